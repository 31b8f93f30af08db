"""The record of a fit: what came in, what was decided by which numbers, what came out."""

import hashlib
import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from conv2d.clustering._check import Table
from conv2d.clustering._untyped import threadpool_info

if TYPE_CHECKING:
    from conv2d.clustering._fitted import FittedMotifs

AUDIT_FORMAT = "conv2d.clustering.audit/1"
_PACKAGES = ("conv2d-cluster", "numpy", "scipy", "scikit-learn")


def build_audit(model: "FittedMotifs[Any]", table: Table, call: dict[str, Any]) -> dict[str, Any]:
    """Return the audit of a fitted model as JSON values."""
    motifs, support = np.unique(model.labels_, return_counts=True)
    return {
        "format": AUDIT_FORMAT,
        "class": type(model).__name__,
        "params": {name: json_value(name, value) for name, value in model.get_params(deep=False).items()},
        "seed": model.random_state,
        "data": {"sha256": table_hash(table), "shape": list(table.shape), "dtype": str(table.dtype)},
        "call": {"groups": None, **call, "rows": list(call["rows"])},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        "threads": {library["user_api"]: library["num_threads"] for library in threadpool_info()},
        "selection": asdict(model.selection_)
        | {"candidates": [asdict(found) for found in model.selection_.candidates]},
        "merges": [asdict(merge) for merge in model.merges_],
        "match": None if model.match_ is None else model.match_.to_dict(),
        "continuation": None if model.continuation_ is None else asdict(model.continuation_),
        "result": {
            "component_motifs": model.component_motifs_.tolist(),
            "support": [[int(motif), int(count)] for motif, count in zip(motifs, support, strict=True)],
            "next_id": model.next_id_,
            "n_iter": model.n_iter_,
            "converged": model.converged_,
            "labels": model.labels_.tolist(),
        },
    }


def table_hash(table: Table) -> str:
    """Return the SHA-256 of the rows as computed on: float64 or int32, row by row, little-endian."""
    return hashlib.sha256(np.ascontiguousarray(table, dtype=table.dtype.newbyteorder("<")).data).hexdigest()


def json_value(name: str, value: object) -> Any:
    """Return a parameter as JSON: numbers, text, lists, and estimators by class and parameters."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = cast("Any", value).tolist()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [json_value(name, item) for item in cast("list[Any]", value)]
    if hasattr(value, "get_params"):
        kind, params = type(value), cast("Any", value).get_params(deep=False)
        return {
            "estimator": f"{kind.__module__}.{kind.__qualname__}",
            "params": {key: json_value(f"{name}.{key}", item) for key, item in params.items()},
        }
    raise TypeError(f"The parameter {name} = {value!r} has no form in JSON, so this fit cannot be audited.")
