"""Checks at the public boundary: what label arrays, features and parameters must look like."""

from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

Labels = NDArray[np.int32]
Features = NDArray[np.float64]

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


def count_distinct(features: Features, enough: int) -> int:
    """Return the number of distinct rows, counting no further than `enough`."""
    seen = features[:0]
    for at in range(0, len(features), _ROWS_AT_ONCE):
        seen = np.unique(np.concatenate([seen, features[at : at + _ROWS_AT_ONCE]]), axis=0)
        if len(seen) >= enough:
            return enough
    return len(seen)
