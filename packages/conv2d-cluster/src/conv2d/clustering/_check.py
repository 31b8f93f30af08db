"""Checks at the public boundary: what label arrays, features and parameters must look like."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

Labels = NDArray[np.int32]
Features = NDArray[np.float64]
# The checked input of a clusterer, one point per row: float64 features, or int32 codes.
Table = NDArray[Any]

_INT32 = np.iinfo(np.int32)
_ROWS_AT_ONCE = 4096


def check_labels(name: str, labels: ArrayLike) -> Labels:
    """Return `labels` as an int32 array of shape (N,), or say what is wrong with it."""
    array = np.asarray(labels)
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(
            f"{name} must be integers (int32; another integer type is taken where its values fit), got dtype "
            f"{array.dtype}. Use -1, not NaN, for a point without a motif."
        )
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (N,), one motif id per point, got {array.shape}.")
    if array.size and (array.min() < -1 or array.max() > _INT32.max):
        raise ValueError(
            f"{name} must be motif ids >= 0, or -1 for noise; got values from {array.min()} to {array.max()}."
        )
    return array.astype(np.int32)


def check_finite(features: Features) -> None:
    """Refuse features with NaN or infinity, naming the first row."""
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        kind = "NaN" if np.isnan(features[row]).any() else "infinity"
        raise ValueError(
            f"features contains {kind} in {np.count_nonzero(~finite)} of {len(features)} rows, the first is row {row}. "
            "Clusters need finite numbers: drop such rows, or label them -1 after clustering the rest."
        )


def check_count(name: str, value: object, least: int = 1) -> int:
    """Return `value` as an int, or refuse what is not an integer >= `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {value!r} ({type(value).__name__}).")
    count = int(cast("int", value))
    if count < least:
        raise ValueError(f"{name} must be at least {least}, got {count}.")
    return count


def check_positive(name: str, value: object) -> None:
    """Refuse what is not a finite number above zero."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} must be a number, got {value!r} ({type(value).__name__}).")
    if not 0 < float(cast("float", value)) < np.inf:
        raise ValueError(f"{name} must be positive and finite, got {value!r}.")


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse what is not one of the names."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(repr(choice) for choice in choices)}; got {value!r}.")


def check_groups(groups: ArrayLike, rows: int) -> tuple[list[str], NDArray[np.intp]]:
    """Return the names of the groups, in order, and the number of the group of each row."""
    array = np.asarray(groups)
    if array.shape != (rows,):
        raise ValueError(f"groups must have shape ({rows},), one group per row of features; got {array.shape}.")
    if array.dtype.kind not in "iuUS":
        raise TypeError(f"groups must be strings or integers (subjects, devices), got dtype {array.dtype}.")
    names, codes = np.unique(array.astype(np.str_), return_inverse=True)
    return [str(name) for name in names], codes


def count_distinct(table: Table, enough: int) -> int:
    """Return the number of distinct rows, counting no further than `enough`."""
    seen, at, size = table[:0], 0, 4 * enough
    while at < len(table):
        seen = np.unique(np.concatenate([seen, table[at : at + size]]), axis=0)
        # Mostly the first few rows settle it; the rest goes in larger steps.
        at, size = at + size, _ROWS_AT_ONCE
        if len(seen) >= enough:
            return enough
    return len(seen)
