"""What every figure takes: labels, predictions and probabilities, checked once and stripped of ignored windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from ._rows import FloatArray, IntArray, Probabilities, check_rows, top_class

__all__ = [
    "IGNORE",
    "BoolArray",
    "FloatArray",
    "Groups",
    "IntArray",
    "Predicted",
    "Probabilities",
    "Scored",
    "check_rows",
    "choice",
    "class_labels",
    "floats",
    "grouped",
    "integers",
    "labelled_weights",
    "predicted",
    "rectangular",
    "scored",
    "whole",
]

IGNORE = -1
"""The label of a window that no figure counts."""

BoolArray = npt.NDArray[np.bool_]

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True)
class Predicted:
    """Labelled windows with a predicted class each; ignored windows are gone.

    ``kept`` marks, in the caller's flattened order, the windows that stayed; ``weight`` is None where all count once.
    """

    y_true: IntArray
    y_pred: IntArray
    n_classes: int
    kept: BoolArray
    weight: FloatArray | None


@dataclass(frozen=True)
class Scored(Predicted):
    """`Predicted` with probabilities: ``y_pred`` is the top class (ties: lowest index), at this ``confidence``."""

    y_prob: Probabilities
    confidence: FloatArray


@dataclass(frozen=True)
class Groups:
    """Which group each window belongs to: ``names (G,)`` sorted, ``codes (N,)`` into them."""

    names: npt.NDArray[Any]
    codes: IntArray

    @property
    def n(self) -> int:
        """Number of groups."""
        return len(self.names)

    @property
    def keys(self) -> tuple[int | str, ...]:
        """The names as plain Python values."""
        return tuple(cast("list[int | str]", self.names.tolist()))


def integers(name: str, values: npt.ArrayLike) -> IntArray:
    """View integer ``values`` of any shape as int64; anything else is refused, never rounded."""
    return signed(name, values).astype(np.int64, copy=False)


def rectangular(name: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    """Take values as an array; rows of different lengths make none."""
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{name}: must be an array, whose rows are of one length, and these are not. Pad the short ones, labelled "
            "−1, or call once for each."
        ) from error


def signed(name: str, values: npt.ArrayLike) -> npt.NDArray[np.signedinteger[Any]]:
    """Take integer ``values`` as they are, unsigned ones as int64; anything else is refused, never rounded."""
    array = rectangular(name, values)
    if not array.size and not isinstance(values, np.ndarray):
        return np.zeros(array.shape, dtype=np.int64)  # an empty list says nothing of its type
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: class indices must be integers, got dtype {array.dtype}. "
            "Map class names to 0..K-1 first, and −1 to the windows to ignore."
        )
    return array.astype(np.int64) if array.dtype.kind == "u" else array


def class_labels(name: str, values: npt.ArrayLike) -> IntArray:
    """Take class indices from −1 (ignore) upwards, any shape."""
    array = integers(name, values)
    check_labels(name, array)
    return array


def check_labels(name: str, array: npt.NDArray[np.signedinteger[Any]]) -> None:
    """Refuse class indices below −1 (ignore)."""
    if array.size and array.min() < IGNORE:
        raise ValueError(f"{name}: a label is −1 (ignore) or a class index from 0; the smallest here is {array.min()}.")


def floats(name: str, values: npt.ArrayLike) -> Probabilities:
    """Take a float32 or float64 array; other types are refused, never cast."""
    array = rectangular(name, values)
    if array.dtype.name not in ("float32", "float64"):
        raise TypeError(
            f"{name}: must be float32 or float64, got dtype {array.dtype}. Nothing is cast in silence: use "
            "astype(np.float32) or astype(np.float64)."
        )
    return array


def labelled_weights(sample_weight: npt.ArrayLike | None, shape: tuple[int, ...], kept: BoolArray) -> FloatArray | None:
    """Take one weight a window, at least 0 and finite; those of ignored windows are not looked at."""
    if sample_weight is None:
        return None
    array = np.asarray(sample_weight)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"sample_weight: must be numbers, got dtype {array.dtype}.")
    if array.shape != shape:
        raise ValueError(f"sample_weight: must have the shape of y_true {shape}, got {array.shape}.")
    weight = _select(array.ravel(), kept).astype(np.float64)
    if not (np.isfinite(weight) & (weight >= 0)).all():
        raise ValueError("sample_weight: weights must be at least 0 and finite; a negative, NaN or infinite one came.")
    return weight


def predicted(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    n_classes: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> Predicted:
    """Check labels against predictions (same shape) and drop the ignored."""
    true = class_labels("y_true", y_true)
    pred = integers("y_pred", y_pred)
    if true.shape != pred.shape:
        raise ValueError(f"y_pred: must have the shape of y_true {true.shape}, got {pred.shape}.")
    kept = (true != IGNORE).ravel()
    weight = labelled_weights(sample_weight, true.shape, kept)
    true, pred = _select(true.ravel(), kept), _select(pred.ravel(), kept)
    if pred.size and pred.min() < 0:
        raise ValueError(
            f"y_pred: a prediction is a class index from 0; {pred.min()} came for a labelled window. "
            "To leave a window out of the score, set its y_true to −1."
        )
    highest = int(max(true.max(), pred.max())) if true.size else -1
    if n_classes is not None and highest >= n_classes:
        raise ValueError(f"n_classes={n_classes}: class indices must be below it, but {highest} occurs.")
    return Predicted(true, pred, highest + 1 if n_classes is None else n_classes, kept, weight)


def scored(
    y_true: npt.ArrayLike, y_prob: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None, *, rank: bool = True
) -> Scored:
    """Check labels ``(...)`` against probabilities ``(..., K)`` and drop the ignored.

    Without ``rank``, for figures that ask every class alike, no top class is sought and those fields are empty.
    """
    true = class_labels("y_true", y_true)
    prob = floats("y_prob", y_prob)
    if prob.ndim != true.ndim + 1 or prob.shape[:-1] != true.shape or prob.shape[-1] == 0:
        raise ValueError(
            f"y_prob: must be y_true's shape plus a class axis, {(*true.shape, 'K')}, got {prob.shape}. "
            "For two classes given as one probability p, pass np.stack([1 - p, p], axis=-1)."
        )
    n_classes = prob.shape[-1]
    kept = (true != IGNORE).ravel()
    weight = labelled_weights(sample_weight, true.shape, kept)
    true, prob = _select(true.ravel(), kept), _select(prob.reshape(-1, n_classes), kept)
    if true.size and true.max() >= n_classes:
        raise ValueError(f"y_true: label {true.max()} has no column in y_prob, which has {n_classes} classes.")
    if rank:
        top, confidence = top_class("y_prob", prob)
    else:
        check_rows("y_prob", prob)
        top, confidence = np.empty(0, dtype=np.int64), np.empty(0)
    return Scored(true, top, n_classes, kept, weight, prob, confidence)


def grouped(groups: npt.ArrayLike, kept: BoolArray) -> Groups:
    """Find the groups of the kept windows; a group whose windows are all ignored is not one."""
    array = np.asarray(groups).ravel()
    if len(array) != len(kept):
        raise ValueError(f"groups: one per window, {len(kept)}, are needed, got {len(array)}.")
    if array.dtype.kind == "O" and all(isinstance(name, str) for name in array):
        array = array.astype(np.str_)  # how data frames hand text over
    if array.dtype.kind not in "iuU":
        raise TypeError(f"groups: must be integers or text (one name a window), got dtype {array.dtype}.")
    chosen = _select(array, kept)
    # Windows of one group usually stand together: only the first of each run is sorted.
    first = np.flatnonzero(np.append([True] * bool(len(chosen)), chosen[1:] != chosen[:-1]))
    names, codes = np.unique(chosen[first], return_inverse=True)
    lengths = np.diff(np.append(first, len(chosen)))
    return Groups(names, np.repeat(codes.astype(np.int64, copy=False), lengths))


def choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a word that is not one of ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{name}: must be one of {', '.join(map(repr, allowed))}, got {value!r}.")


def whole(name: str, value: int, at_least: int) -> None:
    """Refuse a count below ``at_least``."""
    if value < at_least:
        raise ValueError(f"{name}: must be a whole number of at least {at_least}, got {value}.")


def duration(name: str, value: float) -> None:
    """Refuse a time that is not positive and finite."""
    if not 0 < value < np.inf:
        raise ValueError(f"{name}: must be a positive finite duration, got {value}.")


def _select(array: npt.NDArray[_Scalar], kept: BoolArray) -> npt.NDArray[_Scalar]:
    return array if kept.all() else array[kept]
