"""Scores of segments: whether each bout is found, once, in the right order, with the right edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._inputs import FloatArray, IntArray, duration
from ._results import record
from ._sequences import LabelSequences, Runs, runs, runs_pair, times


@dataclass(frozen=True)
class Matches:
    """One-to-one matches of what was predicted with what is true. Counts of several corpora add.

    Attributes
    ----------
    tp, fp, fn : int
        Predicted and true; predicted only; true only.

    Examples
    --------
    >>> (Matches(3, 1, 0) + Matches(1, 1, 2)).f1
    0.6666666666666666
    """

    tp: int
    fp: int
    fn: int

    @property
    def precision(self) -> float:
        """Share of the predicted that is true, NaN when nothing was predicted."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else np.nan

    @property
    def recall(self) -> float:
        """Share of the true that was predicted, NaN when nothing is true."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else np.nan

    @property
    def f1(self) -> float:
        """2·TP / (2·TP + FP + FN), NaN when nothing is true and nothing was predicted."""
        total = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / total if total else np.nan

    def __add__(self, other: Matches) -> Matches:
        """Pool the counts."""
        return Matches(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    def to_dict(self) -> dict[str, Any]:
        """Write counts and scores, JSON-safe."""
        missing = [word for word, n in (("predicted", self.tp + self.fp), ("true", self.tp + self.fn)) if not n]
        scores = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return record({**vars(self), **scores}, " and ".join(f"nothing {word}" for word in missing))


@dataclass(frozen=True)
class Segments:
    """Segments of label sequences, half-open [start, end).

    Attributes
    ----------
    sequence : ndarray of int64, shape (R,)
        Which sequence each is in.
    start, end : ndarray of float64, shape (R,)
        From the beginning of that sequence, in units of the step.
    label : ndarray of int64, shape (R,)

    Examples
    --------
    >>> segments([0, 0, 1, 1, 1], background=[0], step=0.5).rows
    array([[0. , 1. , 2.5, 1. ]])
    """

    sequence: IntArray
    start: FloatArray
    end: FloatArray
    label: IntArray

    @property
    def rows(self) -> FloatArray:
        """One row a segment, ``(R, 4)``: sequence, start, end, label, as `average_precision` takes them."""
        sequence, label = self.sequence.astype(np.float64), self.label.astype(np.float64)
        return np.stack([sequence, self.start, self.end, label], axis=1)

    def __len__(self) -> int:
        return len(self.label)

    def to_dict(self) -> dict[str, Any]:
        """Write the columns, JSON-safe."""
        return record(vars(self))


def segments(labels: LabelSequences, *, background: Sequence[int] = (), step: float = 1.0) -> Segments:
    """Cut label sequences into segments: the maximal runs of one class.

    Parameters
    ----------
    labels : array_like of int, (T,), (B, T) or a list of sequences
        Class of each step. Steps labelled −1 belong to no segment, and none reaches across them.
    background : sequence of int
        Classes whose runs are not segments.
    step : float
        Duration of a step; times come in its unit.

    Returns
    -------
    Segments

    Raises
    ------
    TypeError, ValueError
        Labels are not integers from −1; `step` is not positive.

    Examples
    --------
    >>> found = segments([2, 2, -1, 2, 0])
    >>> found.start, found.label
    (array([0., 3., 4.]), array([2, 2, 0]))
    """
    duration("step", step)
    of = runs("labels", labels).without(background)
    zero = of.offset[of.sequence]
    return Segments(of.sequence, times(of.start - zero, step), times(of.end - zero, step), of.label)


def segment_matches(
    y_true: LabelSequences, y_pred: LabelSequences, *, overlap: float = 0.5, background: Sequence[int] = ()
) -> Matches:
    """Match predicted segments with true ones by overlap, as the MS-TCN evaluation does.

    In time order, each predicted segment takes the true segment of its class that it overlaps best (intersection over
    union; ties: the earlier). It is a true positive if that IoU is at least `overlap` and the true segment is not
    taken yet, else a false positive: there is no second choice. Counts are pooled over the sequences.

    Parameters
    ----------
    y_true, y_pred : array_like of int, (T,), (B, T) or a list of sequences
        Class of each step; steps with `y_true` −1 are taken out and cut a sequence in two.
    overlap : float
        In (0, 1]; F1@50 has 0.5.
    background : sequence of int
        Classes whose runs are not segments.

    Returns
    -------
    Matches

    Raises
    ------
    TypeError, ValueError
        Labels are not integers, sequences differ in length, `overlap` is out of range.

    References
    ----------
    C. Lea et al., "Temporal convolutional networks for action segmentation and detection", CVPR 2017.
    Y. Abu Farha, J. Gall, "MS-TCN", CVPR 2019.

    Examples
    --------
    >>> segment_matches([1, 1, 1, 1, 2, 2], [1, 1, 1, 2, 2, 1], overlap=0.25)
    Matches(tp=2, fp=1, fn=0)
    """
    true, pred = (of.without(background) for of in runs_pair(y_true, y_pred))
    tp = len(matched(true, pred, overlap)[0])
    return Matches(tp, len(pred.label) - tp, len(true.label) - tp)


def segment_f1(
    y_true: LabelSequences, y_pred: LabelSequences, *, overlap: float = 0.5, background: Sequence[int] = ()
) -> float:
    """Compute the segmental F1 score at an overlap (F1@10, @25, @50 have 0.1, 0.25, 0.5).

    Parameters
    ----------
    y_true, y_pred, overlap, background
        As `segment_matches`.

    Returns
    -------
    float
        In [0, 1] (the MS-TCN script prints 100 times that); NaN when neither has a segment.

    Raises
    ------
    TypeError, ValueError
        As `segment_matches`.

    Examples
    --------
    >>> segment_f1([1, 1, 1, 1, 2, 2], [1, 1, 1, 2, 2, 1], overlap=0.25)
    0.8
    """
    return segment_matches(y_true, y_pred, overlap=overlap, background=background).f1


segmental_f1 = segment_f1
"""Another name of `segment_f1`."""


def edit_score(y_true: LabelSequences, y_pred: LabelSequences, *, background: Sequence[int] = ()) -> float:
    """Compare the order of segments whatever their lengths: 1 − Levenshtein / longer, mean over sequences.

    Parameters
    ----------
    y_true, y_pred, background
        As `segment_matches`. The pieces that ignored steps leave are sequences of their own.

    Returns
    -------
    float
        In [0, 1] (the MS-TCN script prints 100 times that). Sequences without any segment are left out; NaN when all
        are.

    Raises
    ------
    TypeError, ValueError
        As `segment_matches`.

    References
    ----------
    C. Lea, A. Reiter, R. Vidal, G. Hager, "Segmental spatiotemporal CNNs for fine-grained action segmentation",
    ECCV 2016.

    Examples
    --------
    >>> edit_score([1, 1, 2, 2, 3], [1, 2, 1, 2, 3])
    0.6
    """
    from rapidfuzz.distance import Levenshtein  # only here: its import takes as long as all of this wheel's

    true, pred = (of.without(background) for of in runs_pair(y_true, y_pred))
    chunks = np.union1d(true.chunk, pred.chunk)
    if not len(chunks):
        return np.nan
    orders = (np.split(of.label, np.searchsorted(of.chunk, chunks[1:])) for of in (true, pred))
    scores = [
        1 - Levenshtein.distance(*_symbols(one, other)) / max(len(one), len(other))
        for one, other in zip(*orders, strict=True)
    ]
    return float(np.mean(scores))


def matched(true: Runs, pred: Runs, overlap: float) -> tuple[IntArray, IntArray]:
    """Pair predicted with true runs as `segment_matches` does: indices ``(M,)`` into each, in order of the true."""
    if not 0 < overlap <= 1:
        raise ValueError(f"overlap: must lie in (0, 1], got {overlap}.")
    pred_of, true_of, iou = overlaps(true, pred)
    group = _first(pred_of)
    highest = np.maximum.reduceat(iou, group) if len(group) else iou
    best = np.flatnonzero(iou == np.repeat(highest, np.diff(group, append=len(iou))))
    best = best[_first(pred_of[best])]  # ties: the earlier
    claims = best[iou[best] >= overlap]
    claimed, first = np.unique(true_of[claims], return_index=True)  # of several claims on one true run the first wins
    return claimed, pred_of[claims][first]


def _symbols(one: IntArray, other: IntArray) -> tuple[Sequence[int], Sequence[int]]:
    """Hand labels to rapidfuzz in the form it is quickest with: bytes where they fit."""
    if max(one.max(initial=0), other.max(initial=0)) < 256:
        return one.astype(np.uint8).tobytes(), other.astype(np.uint8).tobytes()
    return one.tolist(), other.tolist()


def overlaps(true: Runs, pred: Runs) -> tuple[IntArray, IntArray, FloatArray]:
    """Every pair of overlapping runs of one class: indices ``(P,)`` of the predicted and the true run, and their IoU.

    Runs of one kind are disjoint and in order, so the true runs that a predicted one meets are a range. The pairs come
    in order of the predicted run, then of the true one.
    """
    first = np.searchsorted(true.end, pred.start, side="right")
    meets = np.maximum(0, np.searchsorted(true.start, pred.end, side="left") - first)
    pred_of = np.repeat(np.arange(len(meets)), meets)
    true_of = np.arange(len(pred_of)) + np.repeat(first - np.cumsum(meets) + meets, meets)
    same = true.label[true_of] == pred.label[pred_of]
    pred_of, true_of = pred_of[same], true_of[same]
    shared = np.minimum(true.end[true_of], pred.end[pred_of]) - np.maximum(true.start[true_of], pred.start[pred_of])
    return pred_of, true_of, shared / (true.length[true_of] + pred.length[pred_of] - shared)


def _first(key: IntArray) -> IntArray:
    """Find where each value of a sorted key comes first."""
    new = np.ones(len(key), dtype=np.bool_)
    new[1:] = key[1:] != key[:-1]
    return np.flatnonzero(new)
