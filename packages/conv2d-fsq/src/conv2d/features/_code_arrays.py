"""What every analysis of codes asks of its arrays."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.features._errors import ContractError

Codes = NDArray[np.integer[Any]]


def check_codes(codes: Codes, n_codes: int) -> None:
    if codes.ndim != 2 or codes.dtype.kind not in "iu":
        raise ContractError(
            f"codes must be integers of shape (windows, tokens), got {codes.dtype} with shape {codes.shape}."
        )
    if codes.size and not 0 <= codes.min() <= codes.max() < n_codes:
        raise ContractError(f"codes must be in [0, {n_codes}), got values {codes.min()}..{codes.max()}.")


def row_labels(name: str, values: ArrayLike | None, n: int) -> NDArray[Any]:
    """Return one label for each window, or zeros where none were given."""
    array = cast("NDArray[Any]", np.zeros(n, np.int64) if values is None else np.asarray(values))
    if array.shape != (n,):
        raise ContractError(f"{name} must have one entry for each of the {n} windows, got shape {array.shape}.")
    return array
