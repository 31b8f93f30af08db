"""What kind of mistake each wrong step is: Ward's event categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._inputs import IGNORE, IntArray
from ._results import record
from ._sequences import LabelSequences, joined_pair

CATEGORIES = (
    "true_positive",
    "true_negative",
    "insertion",
    "deletion",
    "fragmentation",
    "merge",
    "overfill_start",
    "overfill_end",
    "underfill_start",
    "underfill_end",
)
_TP, _TN = 0, 1
_FALSE_POSITIVE = np.array([2, 7, 6, 5])  # insertion, overfill end, overfill start, merge: by hits (before, after)
_FALSE_NEGATIVE = np.array([3, 9, 8, 4])  # deletion, underfill end, underfill start, fragmentation


@dataclass(frozen=True)
class WardFrames:
    """Steps of each class by Ward's categories.

    Attributes
    ----------
    classes : ndarray of int64, shape (K,)
        Classes that occur in truth or prediction, less the background.
    counts : ndarray of int64, shape (K, 10)
        Steps by `categories`; each row sums to all steps.
    categories : tuple of str
        ``true_positive, true_negative, insertion, deletion, fragmentation, merge, overfill_start, overfill_end,
        underfill_start, underfill_end``.

    Examples
    --------
    >>> found = ward_frames([0, 1, 1, 1, 1, 0], [0, 1, 0, 0, 1, 1], background=[0])
    >>> found["fragmentation"], found["overfill_end"]
    (array([2]), array([1]))
    """

    classes: IntArray
    counts: IntArray
    categories: tuple[str, ...] = CATEGORIES

    def __getitem__(self, category: str) -> IntArray:
        """Give the steps of one category, ``(K,)``."""
        return self.counts[:, self.categories.index(category)]

    def to_dict(self) -> dict[str, Any]:
        """Write the counts of each class by name, JSON-safe."""
        rows = zip(self.classes.tolist(), self.counts.tolist(), strict=True)
        return record({"per_class": [{"label": k, **dict(zip(self.categories, row, strict=True))} for k, row in rows]})


def ward_frames(y_true: LabelSequences, y_pred: LabelSequences, *, background: Sequence[int] = ()) -> WardFrames:
    """Say of each step, class by class, what kind of mistake it is.

    A stretch that is predicted but not true is a *merge* between two hits, *overfill* beside one (at the end of the hit
    before it, or at the start of the one after it), and an *insertion* beside none. A stretch that is true but not
    predicted is a *fragmentation*, an *underfill* or a *deletion* in the same way.

    Parameters
    ----------
    y_true, y_pred : array_like of int, (T,), (B, T) or a list of sequences
        Class of each step; steps with `y_true` −1 are taken out, and nothing is beside anything across them.
    background : sequence of int
        Classes that get no row.

    Returns
    -------
    WardFrames

    Raises
    ------
    TypeError, ValueError
        As `segment_matches`.

    References
    ----------
    J. Ward, P. Lukowicz, H. Gellersen, "Performance metrics for activity recognition", ACM TIST 2(1), 2011 (2SET).

    Examples
    --------
    >>> ward_frames([0, 0, 1, 1, 0, 0], [1, 0, 0, 1, 1, 0], background=[0]).to_dict()["per_class"][0]["overfill_end"]
    1
    """
    true, pred, offset = joined_pair(y_true, y_pred)
    new = np.ones(len(true), dtype=np.bool_)
    new[1:] = (true[1:] != true[:-1]) | (pred[1:] != pred[:-1])
    new[offset[:-1][offset[:-1] < len(true)]] = True
    start = np.flatnonzero(new)
    length = np.diff(start, append=len(true))
    true, pred, first = true[start], pred[start], np.isin(start, offset)
    classes = np.setdiff1d(np.union1d(true, pred), [IGNORE, *background])
    counts = [_categories(true == k, pred == k, true == IGNORE, first, length) for k in classes]
    return WardFrames(classes.astype(np.int64), np.array(counts, dtype=np.int64).reshape(-1, len(CATEGORIES)))


def _categories(true: Any, pred: Any, ignored: Any, first: Any, length: IntArray) -> IntArray:
    """Count the steps of one class by category, ``(10,)``, from pieces of time within which nothing changes."""
    state = np.where(ignored, -1, 2 * true + pred)
    new = first.copy()
    new[:1] = True
    new[1:] |= state[1:] != state[:-1]
    at = np.flatnonzero(new)
    state, first, length = state[at], first[at], np.add.reduceat(length, at) if len(at) else length
    hit = state == 3
    before, after = np.zeros_like(hit), np.zeros_like(hit)
    before[1:] = hit[:-1] & ~first[1:]
    after[:-1] = hit[1:] & ~first[1:]
    beside = before + 2 * after
    kind = np.select([hit, state == 0, state == 1], [_TP, _TN, _FALSE_POSITIVE[beside]], _FALSE_NEGATIVE[beside])
    seen = state >= 0
    counts = np.zeros(len(CATEGORIES), dtype=np.int64)
    np.add.at(counts, kind[seen], length[seen])
    return counts
