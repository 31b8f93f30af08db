"""Scores of packing operations, clip by clip: which operation, when in the clip, and which comes next.

A model that answers in free text sometimes answers nothing usable. Such a degenerate answer is wrong, not absent: it
stays in the denominator and is counted. And each score stands beside what needs no model at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._behaviour import Transitions
from ._detections import tiou
from ._inputs import IGNORE, BoolArray, FloatArray, IntArray, class_labels, integers
from ._results import record


@dataclass(frozen=True)
class OperationScore:
    """A share of clips answered rightly, beside the same share of an answer that looks at nothing.

    Attributes
    ----------
    value : float
        Right answers over labelled clips; NaN when no clip is labelled.
    n_clips : int
        Labelled clips.
    n_degenerate : int
        Those among them whose answer was unusable; they count as wrong.
    baseline : str
        The trivial answer compared with.
    baseline_value : float
        Its score on the same clips.
    reason : str
        Why the figures are NaN, or empty.

    Examples
    --------
    >>> score = operation_accuracy([0, 1, 2, 0], [0, 1, -1, 1])
    >>> score.value, score.n_degenerate, score.baseline_value
    (0.5, 1, 0.5)
    """

    value: float
    n_clips: int
    n_degenerate: int
    baseline: str
    baseline_value: float
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Write the fields, JSON-safe."""
        return record(vars(self))


def operation_accuracy(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, prior: npt.ArrayLike | None = None
) -> OperationScore:
    """Compute the operation classification accuracy (OCA): the share of clips whose dominant operation is named.

    Parameters
    ----------
    y_true : array_like of int, shape (N,)
        Dominant operation of each clip; −1 is not labelled, and left out.
    y_pred : array_like of int, shape (N,)
        Named operation; −1 where the answer was none (unparsable, an unknown word): wrong, and counted.
    prior : array_like of float, shape (K,), optional
        How common each operation is in training, for the baseline that always names the commonest. By default that of
        `y_true`, which is the best that any constant answer can do.

    Returns
    -------
    OperationScore
        The baseline is ``"commonest operation"``.

    Raises
    ------
    TypeError, ValueError
        Labels are not integers from −1, or differ in shape; a prior that is empty, negative or not finite.

    Examples
    --------
    >>> operation_accuracy([0, 1, 1], [0, 1, -1]).value
    0.6666666666666666
    """
    true, pred = _answers(y_true, y_pred)
    if prior is None:
        weights = np.bincount(true) if len(true) else np.zeros(1)
    else:
        weights = np.asarray(prior, dtype=np.float64)
        if weights.ndim != 1 or not weights.size or not np.isfinite(weights).all() or weights.min() < 0:
            raise ValueError(f"prior: must be one finite weight ≥ 0 a class, (K,), got shape {weights.shape}.")
    return _score(true == pred, pred == IGNORE, "commonest operation", true == np.argmax(weights))


def operation_tiou(
    true: npt.ArrayLike, predicted: npt.ArrayLike, clip: npt.ArrayLike, *, overlap: float = 0.5
) -> OperationScore:
    """Compute tIoU@0.5: the share of clips whose predicted segment overlaps the true one enough.

    Parameters
    ----------
    true, predicted : array_like of float, shape (N, 2)
        Start and end of the operation in each clip, in any one unit. A prediction that is not finite, or does not end
        after it starts, is degenerate: wrong, and counted.
    clip : array_like of float, shape (2,) or (N, 2)
        Start and end of the clip, for the baseline that answers with all of it. In short clips that is a good answer,
        which is why it is always told.
    overlap : float
        θ in (0, 1]; an IoU of exactly θ is enough.

    Returns
    -------
    OperationScore
        The baseline is ``"whole clip"``.

    Raises
    ------
    ValueError
        Shapes differ, a true segment or clip is not finite or runs backwards, `overlap` is out of range.

    Examples
    --------
    >>> score = operation_tiou([[0, 60], [10, 30]], [[0, 50], [30, 10]], clip=[0, 100])
    >>> score.value, score.n_degenerate, score.baseline_value
    (0.5, 1, 0.5)
    """
    if not 0 < overlap <= 1:
        raise ValueError(f"overlap: must lie in (0, 1], got {overlap}.")
    wanted, found = np.asarray(true, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if wanted.ndim != 2 or wanted.shape != found.shape:
        raise ValueError(f"predicted: must be (N, 2) like true {wanted.shape}, got {found.shape}.")
    usable = np.isfinite(found).all(axis=1) & (found[:, -1] > found[:, 0])
    hit = tiou(wanted, np.where(usable[:, None], found, wanted)) >= overlap
    return _score(hit & usable, ~usable, "whole clip", tiou(wanted, clip) >= overlap)


def anticipation_accuracy(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    current: npt.ArrayLike,
    grammar: Transitions | npt.ArrayLike,
) -> OperationScore:
    """Compute the anticipation accuracy (AA@1): the share of clips whose next operation is named.

    Parameters
    ----------
    y_true : array_like of int, shape (N,)
        The operation that follows; −1 where none does, left out.
    y_pred : array_like of int, shape (N,)
        Named operation; −1 where the answer was none: wrong, and counted.
    current : array_like of int, shape (N,)
        The true operation of each clip, which the baseline is told.
    grammar : Transitions, or array_like of float, shape (K, K)
        What follows what in training, as ``transition_matrix(sequences).without_self()``: counts or probabilities. The
        baseline names the commonest successor (ties: the lowest class), and after an operation that nothing follows in
        training the commonest operation of all to follow.

    Returns
    -------
    OperationScore
        The baseline is ``"grammar prior"``.

    Raises
    ------
    TypeError, ValueError
        Labels are not integers from −1, differ in shape, or reach beyond the grammar; a grammar that is not square.

    Examples
    --------
    >>> from conv2d.metrics import transition_matrix
    >>> grammar = transition_matrix([0, 1, 2, 0, 1, 2]).without_self()
    >>> score = anticipation_accuracy([1, 2, 1], [1, -1, 1], current=[0, 1, 2], grammar=grammar)
    >>> round(score.value, 3), round(score.baseline_value, 3)
    (0.667, 0.667)
    """
    true, pred = _answers(y_true, y_pred)
    now = class_labels("current", current)
    if now.shape != np.shape(y_true):
        raise ValueError(f"current: must have the shape of y_true {np.shape(y_true)}, got {now.shape}.")
    now = now[class_labels("y_true", y_true) != IGNORE]
    follows = _successors(grammar)
    if len(now) and not 0 <= now.min() <= now.max() < len(follows):
        raise ValueError(
            f"current: must lie in 0..{len(follows) - 1}, the classes of the grammar, where a clip is labelled."
        )
    return _score(true == pred, pred == IGNORE, "grammar prior", true == follows[now])


def _successors(grammar: Transitions | npt.ArrayLike) -> IntArray:
    """Find the commonest successor of each class, ``(K,)``."""
    table = np.asarray(grammar.counts if isinstance(grammar, Transitions) else grammar, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or not table.size:
        raise ValueError(f"grammar: must be (K, K), from what to what, got shape {table.shape}.")
    known: FloatArray = np.nan_to_num(table)  # a row that is NaN is one that nothing follows
    anywhere = int(known.sum(axis=0).argmax())
    return np.where(known.any(axis=1), known.argmax(axis=1), anywhere)


def _answers(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> tuple[IntArray, IntArray]:
    """Take the labelled clips, with −1 for every answer that names no class."""
    true, pred = class_labels("y_true", y_true), integers("y_pred", y_pred)
    if true.ndim != 1 or true.shape != pred.shape:
        raise ValueError(f"y_pred: one answer a clip, (N,) like y_true {true.shape}, got {pred.shape}.")
    kept = true != IGNORE
    return true[kept], np.maximum(pred[kept], IGNORE)


def _score(right: BoolArray, degenerate: BoolArray, baseline: str, by_baseline: BoolArray) -> OperationScore:
    n = len(right)
    if not n:
        return OperationScore(np.nan, 0, 0, baseline, np.nan, "no labelled clip")
    return OperationScore(float(right.mean()), n, int(degenerate.sum()), baseline, float(by_baseline.mean()))
