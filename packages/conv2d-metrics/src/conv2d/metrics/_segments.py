"""Scores of segments: whether each bout is found, once, in the right order, with the right edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._inputs import FloatArray, IntArray, whole
from ._results import record
from ._sequences import LabelSequences, Runs, Track, runs, track_pair


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
    if not 0 < overlap <= 1:
        raise ValueError(f"overlap: must lie in (0, 1], got {overlap}.")
    true_track, pred_track = track_pair(y_true, y_pred)
    true, pred = runs(true_track).without(background), runs(pred_track).without(background)
    pred_of, true_of, iou = _overlaps(true, pred)
    best = _first_per(pred_of, np.lexsort((true_of, -iou, pred_of)))
    claimed = true_of[best][iou[best] >= overlap]
    tp = len(np.unique(claimed))  # of several claims on one true segment the first wins, the rest are false positives
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
    true_track, pred_track = track_pair(y_true, y_pred)
    orders = [_orders(of, background) for of in (true_track, pred_track)]
    scores = [
        1 - levenshtein(true, pred) / max(len(true), len(pred))
        for true, pred in zip(*orders, strict=True)
        if len(true) or len(pred)
    ]
    return float(np.mean(scores)) if scores else np.nan


def boundary_matches(y_true: LabelSequences, y_pred: LabelSequences, *, tolerance: int = 0) -> Matches:
    """Match predicted changes of label with true ones, one to one, as many as possible.

    Parameters
    ----------
    y_true, y_pred
        As `segment_matches`. Ends of a sequence are not boundaries; changes to and from background are.
    tolerance : int
        Steps that a boundary may be off, either way.

    Returns
    -------
    Matches

    Raises
    ------
    TypeError, ValueError
        As `segment_matches`; a negative tolerance.

    Examples
    --------
    >>> boundary_matches([1, 1, 1, 2, 2], [1, 1, 2, 2, 2], tolerance=1)
    Matches(tp=1, fp=0, fn=0)
    """
    whole("tolerance", tolerance, 0)
    true, pred = (_boundaries(of, tolerance).tolist() for of in track_pair(y_true, y_pred))
    # On a line, taking the earliest pair that fits loses no match: the earlier of the two fits nothing later better.
    i = j = tp = 0
    while i < len(true) and j < len(pred):
        if abs(true[i] - pred[j]) <= tolerance:
            tp, i, j = tp + 1, i + 1, j + 1
        elif true[i] < pred[j]:
            i += 1
        else:
            j += 1
    return Matches(tp, len(pred) - tp, len(true) - tp)


def boundary_f1(y_true: LabelSequences, y_pred: LabelSequences, *, tolerance: int = 0) -> float:
    """Compute the F1 score of changes of label, within a tolerance.

    Parameters
    ----------
    y_true, y_pred, tolerance
        As `boundary_matches`.

    Returns
    -------
    float
        In [0, 1]; NaN when neither changes.

    Raises
    ------
    TypeError, ValueError
        As `boundary_matches`.

    Examples
    --------
    >>> boundary_f1([1, 1, 1, 2, 2], [1, 1, 2, 2, 2]), boundary_f1([1, 1, 1, 2, 2], [1, 1, 2, 2, 2], tolerance=1)
    (0.0, 1.0)
    """
    return boundary_matches(y_true, y_pred, tolerance=tolerance).f1


def tiou(one: npt.ArrayLike, other: npt.ArrayLike) -> FloatArray:
    """Compute the temporal intersection over union of segments, pair by pair.

    Parameters
    ----------
    one, other : array_like of float, shape (..., 2)
        Start and end, in any one unit; leading axes broadcast.

    Returns
    -------
    ndarray of float64, shape (...)
        In [0, 1]; 0 for two empty segments.

    Raises
    ------
    ValueError
        The last axis is not 2, a time is not finite, or an end lies before its start.

    Examples
    --------
    >>> tiou([[0, 4], [0, 4]], [2, 6])
    array([0.33333333, 0.33333333])
    """
    (a_start, a_end), (b_start, b_end) = _ends("one", one), _ends("other", other)
    shared = np.maximum(0.0, np.minimum(a_end, b_end) - np.maximum(a_start, b_start))
    union = (a_end - a_start) + (b_end - b_start) - shared
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)


def levenshtein(one: IntArray, other: IntArray) -> int:
    """Count the insertions, deletions and substitutions that turn one sequence into the other.

    A column of the table is held as two bit vectors of its ±1 steps, in Python's big integers (G. Myers, JACM 1999, in
    the form of H. Hyyrö, 2003): 64 cells a machine operation.
    """
    m = len(one)
    if m == 0:
        return len(other)
    places = {
        symbol: int.from_bytes(np.packbits(one == symbol, bitorder="little").tobytes(), "little")
        for symbol in np.unique(one).tolist()
    }
    all_bits, last = (1 << m) - 1, 1 << (m - 1)
    up, down, distance = all_bits, 0, m
    for symbol in other.tolist():
        equal = places.get(symbol, 0)
        diagonal = equal | down
        horizontal = (((equal & up) + up) ^ up) | equal
        right_up = (down | ~(horizontal | up)) & all_bits
        right_down = up & horizontal
        distance += bool(right_up & last) - bool(right_down & last)
        right_up = (right_up << 1) | 1
        up = ((right_down << 1) | ~(diagonal | right_up)) & all_bits
        down = right_up & diagonal
    return distance


def _overlaps(true: Runs, pred: Runs) -> tuple[IntArray, IntArray, FloatArray]:
    """Every pair of overlapping runs of one class: indices ``(P,)`` of the predicted and the true run, and their IoU.

    Runs of one kind are disjoint and in order, so cutting time at all edges gives at most one piece a pair.
    """
    if not len(true.label) or not len(pred.label):
        nothing = np.zeros(0, dtype=np.int64)
        return nothing, nothing, np.zeros(0)
    cuts = np.unique(np.concatenate([true.start, true.end, pred.start, pred.end]))
    piece, length = cuts[:-1], np.diff(cuts)
    true_of = np.searchsorted(true.start, piece, side="right") - 1
    pred_of = np.searchsorted(pred.start, piece, side="right") - 1
    shared = (true_of >= 0) & (pred_of >= 0)
    shared &= (piece < true.end[true_of]) & (piece < pred.end[pred_of]) & (true.label[true_of] == pred.label[pred_of])
    true_of, pred_of, length = true_of[shared], pred_of[shared], length[shared]
    return pred_of, true_of, length / (true.length[true_of] + pred.length[pred_of] - length)


def _first_per(key: IntArray, order: IntArray) -> IntArray:
    """Find the first index in `order` for each value of `key`."""
    ordered = key[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    return order[first]


def _orders(of: Track, background: Sequence[int]) -> list[IntArray]:
    """List the labels of the runs of each chunk, in order."""
    found = runs(of).without(background)
    chunk = (np.cumsum(of.fresh) - 1)[found.start]
    return np.split(found.label, np.searchsorted(chunk, np.arange(1, int(of.fresh.sum()))))


def _boundaries(of: Track, tolerance: int) -> IntArray:
    """Find the steps where the label changes, chunks drawn apart so that none is within tolerance of another's."""
    chunk = np.cumsum(of.fresh) - 1
    start = runs(of).start
    inner = start[~of.fresh[start]]
    return inner + chunk[inner] * (tolerance + 1)


def _ends(name: str, segments: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    times = np.asarray(segments, dtype=np.float64)
    if times.ndim == 0 or times.shape[-1] != 2:
        raise ValueError(f"{name}: the last axis holds start and end, got shape {times.shape}.")
    if not np.isfinite(times).all() or (times[..., 1] < times[..., 0]).any():
        raise ValueError(f"{name}: times must be finite and no end before its start.")
    return times[..., 0], times[..., 1]
