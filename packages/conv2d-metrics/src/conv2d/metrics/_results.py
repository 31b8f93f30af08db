"""How results become JSON: NaN and infinity are never written bare, they become null beside a reason."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np


def jsonable(value: Any) -> Any:
    """Make plain Python of numpy scalars and arrays; a number that JSON cannot hold becomes None."""
    if isinstance(value, np.ndarray | np.generic):
        return jsonable(cast(Any, value).tolist())
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in cast(Iterable[Any], value)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def record(fields: Mapping[str, Any], reason: str = "") -> dict[str, Any]:
    """Make one JSON object; ``reason`` is added when there is one, and it must be when a field came out null."""
    out = {key: jsonable(value) for key, value in fields.items()}
    if out.get("reason") == "":
        del out["reason"]
    if reason:
        out["reason"] = reason
    return out
