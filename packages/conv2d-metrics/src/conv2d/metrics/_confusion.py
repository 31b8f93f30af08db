"""Counting pairs of labels and predictions in one pass, in blocks that stay in the cache."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._inputs import IGNORE, FloatArray, signed

_BLOCK = 65536  # rows, whose keys fill half of a second-level cache
_MOST_CLASSES = 128  # what a signed byte can name; its negative numbers read as unsigned lie above


def counted(y_true: npt.ArrayLike, y_pred: npt.ArrayLike, n_classes: int | None) -> FloatArray | None:
    """Count the confusion ``(K, K)`` of windows that weigh the same, as `predicted` and `confusion_sums` would.

    None where they have to look: at input that is wrong, empty, or of very many classes.
    """
    true, pred = signed("y_true", y_true), signed("y_pred", y_pred)
    most = _MOST_CLASSES if n_classes is None else n_classes
    if true.shape != pred.shape or not true.size or most > _MOST_CLASSES:
        return None
    true, pred = true.ravel(), pred.ravel()
    table = np.zeros((n_classes or 0, n_classes or 0), dtype=np.int64)
    keys = np.empty(min(_BLOCK, len(true)), dtype=np.intp)
    for start in range(0, len(true), _BLOCK):
        labels, calls = true[start : start + _BLOCK], pred[start : start + _BLOCK]
        if _top(labels) >= most:
            kept = labels != IGNORE
            labels, calls = labels[kept], calls[kept]
        k = max(len(table), _top(labels) + 1, _top(calls) + 1)
        if k > most:
            return None
        key = keys[: len(labels)]
        np.multiply(labels, k, out=key, dtype=np.intp)
        key += calls
        counts = np.bincount(key, minlength=k * k).reshape(k, k)
        counts[: len(table), : len(table)] += table
        table = counts
    return table.astype(np.float64)


def _top(labels: npt.NDArray[np.signedinteger[Any]]) -> int:
    """Find the highest label, −1 if there is none; one below 0 is read as unsigned, and is higher than any class."""
    return int(labels.view(f"u{labels.itemsize}").max()) if labels.size else -1
