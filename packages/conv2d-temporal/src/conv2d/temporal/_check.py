"""Checks at the public boundary: what a label sequence and a probability sequence must look like."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Labels = NDArray[np.int32]
Probabilities = NDArray[np.floating]

# Float32 softmax rows of a thousand classes sum to 1 within about 1e-5; logits or percentages miss by far more.
_ROW_SUM_TOLERANCE = 1e-4
_INT32 = np.iinfo(np.int32)


def check_labels(labels: ArrayLike) -> Labels:
    """Return `labels` as an int32 array of shape (T,) or (B, T), or say what is wrong with it.

    It may be the caller's own array: not to be written to, or given back.
    """
    array = np.asarray(labels)
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(
            f"labels must be integers (int32; another integer type is taken where its values fit), got dtype "
            f"{array.dtype}. Float labels are not rounded here: convert them with labels.astype(np.int32)."
        )
    if array.ndim not in (1, 2):
        raise ValueError(
            f"labels must have shape (T,) or (B, T), got {array.shape}: one label per step, -1 for a step to ignore."
        )
    too_large = array.dtype != np.int32 and array.size and array.max() > _INT32.max
    if array.size and (too_large or array.min() < -1):
        raise ValueError(
            f"labels must lie in 0..{_INT32.max}, or be -1 for a step to ignore; got values from {array.min()} to "
            f"{array.max()}."
        )
    return array.astype(np.int32, copy=False)


def check_probabilities(probabilities: ArrayLike, labels: Labels) -> Probabilities:
    """Return `probabilities` as a float array of shape labels.shape + (K,), or say what is wrong with it.

    Rows at ignored steps (label -1) are not read, so they may hold anything.
    """
    array = np.asarray(probabilities)
    if array.dtype.name not in ("float32", "float64"):
        raise TypeError(f"probabilities must be float32 or float64, got dtype {array.dtype}.")
    if array.ndim != labels.ndim + 1 or array.shape[:-1] != labels.shape:
        expected = ", ".join(str(size) for size in labels.shape)
        raise ValueError(
            f"probabilities must have shape ({expected}, K), one row per label (labels have shape {labels.shape}); "
            f"got {array.shape}."
        )
    known = labels >= 0
    top = int(labels.max(initial=-1))
    if top >= array.shape[-1]:
        raise ValueError(
            f"probabilities have K={array.shape[-1]} columns, but labels reach {top}: a label is a column number, "
            f"so K must be at least {top + 1}."
        )
    rows = array[known]
    if not np.isfinite(rows).all():
        raise ValueError("probabilities hold NaN or infinity at a step whose label is not -1; mark such steps with -1.")
    if rows.size and (rows.min() < 0 or np.abs(rows.sum(axis=-1, dtype=np.float64) - 1).max() > _ROW_SUM_TOLERANCE):
        raise ValueError(
            f"probabilities must be >= 0 and each row must sum to 1 (within {_ROW_SUM_TOLERANCE}); got a minimum of "
            f"{rows.min():.6g} and row sums from {rows.sum(axis=-1).min():.6g} to {rows.sum(axis=-1).max():.6g}. "
            "Logits become probabilities through a softmax."
        )
    return array


def check_at_least(name: str, value: object, least: int) -> None:
    """Refuse a count that is not an integer >= `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer number of steps, got {value!r} ({type(value).__name__}).")
    if value < least:
        raise ValueError(f"{name} must be at least {least} (steps), got {value}.")


def check_seconds(name: str, value: float) -> None:
    """Refuse a length of time that is not finite and positive."""
    if not np.isfinite(value) or value <= 0:
        raise ValueError(f"{name} must be a positive number of seconds, got {value!r}.")
