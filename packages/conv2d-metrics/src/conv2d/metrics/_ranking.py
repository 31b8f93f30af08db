"""Figures of the order in which probabilities rank the windows, or the classes: AUROC, average precision, top-k."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from ._inputs import BoolArray, FloatArray, IntArray, Probabilities, Scored, choice, scored, whole
from ._rows import BLOCK
from ._sums import ratio

ClassAverage = Literal["macro", "weighted"]
_Figure = Callable[[FloatArray, FloatArray], float]


def top_k_accuracy(
    y_true: npt.ArrayLike, y_prob: npt.ArrayLike, *, k: int = 3, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Share of labelled windows whose class is among the k most probable.

    Parameters
    ----------
    y_true : array_like of int, shape (...)
        Class indices; windows labelled −1 are ignored.
    y_prob : array_like of float32 or float64, shape (..., K)
        Rows sum to 1 within 1e-4. Among equal probabilities the lower index ranks first, so k=1 is `accuracy` of the
        top class.
    k : int
        At least 1.
    sample_weight : array_like, shape (...), optional
        As `accuracy`.

    Returns
    -------
    float
        In [0, 1]; NaN when no window is labelled.

    Raises
    ------
    TypeError, ValueError
        As `nll`; `k` < 1.

    Examples
    --------
    >>> top_k_accuracy([0, 1], [[0.2, 0.5, 0.3], [0.2, 0.5, 0.3]], k=2)
    0.5
    """
    whole("k", k, 1)
    sample = scored(y_true, y_prob, sample_weight)
    hit = np.empty(len(sample.y_true), dtype=np.bool_)
    for start in range(0, len(hit), BLOCK):
        rows = slice(start, start + BLOCK)
        hit[rows] = true_rank(sample.y_prob[rows], sample.y_true[rows]) < k
    weight = np.ones(len(hit)) if sample.weight is None else sample.weight
    return float(ratio(weight[hit].sum(), weight.sum()))


def auroc(
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    *,
    average: ClassAverage = "macro",
    class_index: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Area under the ROC curve: how often a window of the class gets more of its probability than one of the rest.

    Ties count one half. With more than two classes, one-vs-rest of each class that occurs, averaged. Whether there are
    two classes is read from the columns of `y_prob`, never from the labels that happen to be present.

    Parameters
    ----------
    y_true : array_like of int, shape (...)
        Class indices; windows labelled −1 are ignored.
    y_prob : array_like of float32 or float64, shape (..., K)
        Rows sum to 1 within 1e-4.
    average : {"macro", "weighted"}
        Plain mean over the classes, or weighted by their labels. A class without labels has no curve and is left out.
    class_index : int, optional
        This class only. By default class 1 of two, or the average over all of more.
    sample_weight : array_like, shape (...), optional
        As `accuracy`.

    Returns
    -------
    float
        In [0, 1]; NaN when all labels are of one class, or none of the class asked for.

    Raises
    ------
    TypeError, ValueError
        As `nll`; `class_index` outside the classes, an unknown `average`.

    References
    ----------
    J. A. Hanley, B. J. McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC)
    curve", Radiology 143, 1982.

    Examples
    --------
    >>> auroc([0, 0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    0.75
    """
    return _over_classes(scored(y_true, y_prob, sample_weight), area_under_roc, average, class_index)


def average_precision_score(
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    *,
    average: ClassAverage = "macro",
    class_index: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Average precision: Σ (R_n − R_{n−1}) P_n over the thresholds, without interpolation (as scikit-learn).

    Parameters
    ----------
    y_true, y_prob, average, class_index, sample_weight
        As `auroc`. Windows of equal probability pass the threshold together.

    Returns
    -------
    float
        In [0, 1]; NaN when no label is of the class asked for.

    Raises
    ------
    TypeError, ValueError
        As `auroc`.

    Examples
    --------
    >>> round(average_precision_score([0, 0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]]), 4)
    0.8333
    """
    return _over_classes(scored(y_true, y_prob, sample_weight), _precision, average, class_index)


def true_rank(prob: Probabilities, y_true: IntArray) -> IntArray:
    """Count the classes ranked before the true one ``(N,)``: more probable, or as probable with a lower index."""
    own = np.take_along_axis(prob, y_true[:, None], axis=1)
    before = cast(BoolArray, np.arange(prob.shape[1]) < y_true[:, None])
    ahead = cast(BoolArray, (prob > own) | ((prob == own) & before))
    return ahead.sum(axis=1)


def _over_classes(sample: Scored, figure: _Figure, average: str, class_index: int | None) -> float:
    choice("average", average, get_args(ClassAverage))
    n_classes = sample.n_classes
    if class_index is None and n_classes == 2:
        class_index = 1
    if class_index is not None:
        if not 0 <= class_index < n_classes:
            raise ValueError(f"class_index: must be in 0..{n_classes - 1}, got {class_index}.")
        return _one_vs_rest(sample, figure, class_index)
    found = np.array([_one_vs_rest(sample, figure, index) for index in range(n_classes)])
    support = np.bincount(sample.y_true, sample.weight, n_classes)
    chosen = ~np.isnan(found)
    weight = (support if average == "weighted" else np.ones(n_classes))[chosen]
    return float(ratio((found[chosen] * weight).sum(), weight.sum()))


def _one_vs_rest(sample: Scored, figure: _Figure, class_index: int) -> float:
    hits, rest = ranked_counts(sample.y_prob[:, class_index], sample.y_true == class_index, sample.weight)
    return figure(hits, rest)


def ranked_counts(score: Probabilities, hit: BoolArray, weight: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """Hits and others above each distinct threshold, falling, ``(n_thresholds + 1,)`` with 0 first."""
    if weight is not None:
        counted = weight > 0  # a window that counts nothing sets no threshold
        score, hit, weight = score[counted], hit[counted], weight[counted]
    order = np.argsort(score)[::-1]
    ordered = score[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], [True] * bool(len(order))))
    once = np.ones(len(order)) if weight is None else weight[order]
    hits, everyone = (np.append(0.0, np.cumsum(column)[last]) for column in (once * hit[order], once))
    return hits, everyone - hits


def area_under_roc(hits: FloatArray, rest: FloatArray) -> float:
    if not (len(hits) > 1 and hits[-1] > 0 and rest[-1] > 0):
        return math.nan
    return float((np.diff(rest) * (hits[1:] + hits[:-1])).sum() / 2 / (hits[-1] * rest[-1]))


def _precision(hits: FloatArray, rest: FloatArray) -> float:
    if not (len(hits) > 1 and hits[-1] > 0):
        return math.nan
    return float((np.diff(hits) * ratio(hits[1:], (hits + rest)[1:])).sum() / hits[-1])
