"""Reliability of probabilities: what is said with 80 % confidence should come true 80 % of the time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from . import _sums
from ._binning import Closed, Scheme, bin_edges, bin_index
from ._class_bins import class_tables
from ._inputs import FloatArray, IntArray, choice, scored
from ._results import record

Norm = Literal["l1", "l2", "max", "mean"]
Kind = Literal["top", "classwise"]


@dataclass(frozen=True)
class Reliability:
    """The numbers of a reliability diagram. Diagrams on the same edges add: shards of a corpus sum to the whole.

    Attributes
    ----------
    edges : ndarray of float64, shape (B + 1,)
    counts : ndarray of int64, shape (B,)
        Windows in each bin; with sample weights float64, their weight.
    confidence_sum, correct_sum : ndarray of float64, shape (B,)
        Summed confidence, and number of correct answers, in each bin.

    Examples
    --------
    >>> first = reliability([0, 1], [[0.9, 0.1], [0.2, 0.8]], n_bins=2)
    >>> second = reliability([1], [[0.7, 0.3]], n_bins=2)
    >>> whole = first + second
    >>> whole.counts, whole.accuracy.round(3)
    (array([0, 3]), array([  nan, 0.667]))
    """

    edges: FloatArray
    counts: IntArray | FloatArray
    confidence_sum: FloatArray
    correct_sum: FloatArray

    @property
    def confidence(self) -> FloatArray:
        """Mean confidence in each bin ``(B,)``, NaN in an empty one."""
        return _sums.ratio(self.confidence_sum, self.counts.astype(np.float64))

    @property
    def accuracy(self) -> FloatArray:
        """Share of correct answers in each bin ``(B,)``, NaN in an empty one."""
        return _sums.ratio(self.correct_sum, self.counts.astype(np.float64))

    def error(self, norm: Norm = "l1", *, debiased: bool = False) -> float:
        """Distance of accuracy from confidence over the bins; `calibration_error` explains norm and debiasing."""
        table = np.stack([self.counts.astype(np.float64), self.confidence_sum, self.correct_sum])
        return float(debiased_error(table, norm) if debiased else _sums.calibration_error_of(table, norm))

    def __add__(self, other: Reliability) -> Reliability:
        """Pool two diagrams on the same edges; ValueError if the edges differ."""
        if not np.array_equal(self.edges, other.edges):
            raise ValueError(
                "Reliability: only diagrams on the same edges add. Equal-mass edges depend on the data; "
                'use scheme="uniform" with one n_bins for shards.'
            )
        return Reliability(
            self.edges,
            self.counts + other.counts,
            self.confidence_sum + other.confidence_sum,
            self.correct_sum + other.correct_sum,
        )

    def to_dict(self) -> dict[str, Any]:
        """``edges``, ``counts``, ``confidence``, ``accuracy`` as lists; null where a bin is empty."""
        fields = {
            "edges": self.edges,
            "counts": self.counts,
            "confidence": self.confidence,
            "accuracy": self.accuracy,
        }
        return record(fields, "" if self.counts.all() else "null where a bin is empty")


def reliability(
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    *,
    n_bins: int = 15,
    scheme: Scheme = "uniform",
    closed: Closed = "right",
    class_index: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> Reliability:
    """Sort windows into bins of confidence and count, in each, how often the answer was right.

    Parameters
    ----------
    y_true : array_like of int, shape (...)
        Class indices; windows labelled −1 are ignored.
    y_prob : array_like of float32 or float64, shape (..., K)
        Rows sum to 1 within 1e-4. Sums run in float64 either way.
    n_bins : int
        Number of bins, at most, for ``quantile``.
    scheme : {"uniform", "quantile"}
        Equal width on [0, 1], or equal mass: edges at the distinct type-7 quantiles, so equal confidences never part
        (peers that sort and split cut through ties and depend on the order of the windows).
    closed : {"right", "left"}
        Which end belongs to a bin. ``right``, (lo, hi] as Guo et al. and scikit-learn, is the default; ``left``,
        [lo, hi) with the last bin closed at 1, is that of ``numpy.histogram`` and netcal. They differ only for a
        confidence on an edge. A confidence of exactly 1 lies in the last bin either way (torchmetrics opens a bin of
        its own for it).
    class_index : int, optional
        Judge the probability of this class against "the label is this class", one-vs-rest. By default the top class
        (ties: the lowest index) is judged, also when there are only two classes (netcal switches to class 1 there).
    sample_weight : array_like, shape (...), optional
        As `accuracy`. Equal-mass edges are those of the windows, whatever they weigh.

    Returns
    -------
    Reliability

    Raises
    ------
    TypeError, ValueError
        As `nll`; an unknown `scheme` or `closed`, `n_bins` < 1, `class_index` outside the classes.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> diagram = reliability([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], n_bins=5)
    >>> diagram.counts
    array([0, 0, 1, 1, 1])
    >>> diagram.accuracy
    array([nan, nan,  0.,  1.,  1.])
    """
    sample = scored(y_true, y_prob, sample_weight)
    confidence, correct = sample.confidence, sample.y_pred == sample.y_true
    if class_index is not None:
        if not 0 <= class_index < sample.n_classes:
            raise ValueError(f"class_index: must be in 0..{sample.n_classes - 1}, got {class_index}.")
        confidence = sample.y_prob[:, class_index].astype(np.float64)
        correct = sample.y_true == class_index
    edges = bin_edges(confidence, n_bins, scheme)
    bins = bin_index(confidence, edges, closed)
    table = _sums.bin_sums(confidence, correct.astype(np.float64), bins, len(edges) - 1, weight=sample.weight)[0]
    return Reliability(edges, table[0].astype(np.int64) if sample.weight is None else table[0], table[1], table[2])


def calibration_error(
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    *,
    norm: Norm = "l1",
    kind: Kind = "top",
    debiased: bool = False,
    n_bins: int = 15,
    scheme: Scheme = "uniform",
    closed: Closed = "right",
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Compute the binned calibration error in a chosen norm.

    Parameters
    ----------
    y_true, y_prob, n_bins, scheme, closed, sample_weight
        As `reliability`.
    norm : {"l1", "l2", "max", "mean"}
        Over the gaps abs(acc_b − conf_b) of the bins: mean weighted by windows (ECE), root of the weighted mean square
        (RMSCE), largest (MCE), or plain mean (netcal's "average" calibration error). Empty bins count in none.
    kind : {"top", "classwise"}
        Of the top class, or the mean over all K classes of the error of each class's probability.
    debiased : bool
        For ``l1`` and ``l2``: subtract what chance alone adds. A bin's accuracy scatters by √(acc(1 − acc)/n_b), so the
        plain errors are too large on few windows. ``l2`` subtracts acc(1 − acc)/(n_b − 1) from each squared gap, which
        leaves the mean square without bias; ``l1`` subtracts what a normal scatter of that size adds to the gap. Bins
        of one window say nothing about their scatter and are left out. A result below 0 is 0. Weights are taken as
        repetitions of a window.

    Returns
    -------
    float
        In [0, 1]; NaN when no window is labelled.

    Raises
    ------
    TypeError, ValueError
        As `reliability`; an unknown `norm` or `kind`; `debiased` with another norm.

    References
    ----------
    A. Kumar, P. Liang, T. Ma, "Verified uncertainty calibration", NeurIPS 2019, for the norms and their bias.
    M. Kull et al., "Beyond temperature scaling", NeurIPS 2019, for class-wise errors.

    Examples
    --------
    >>> y_prob = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    >>> round(calibration_error([0, 1, 1], y_prob, norm="max", n_bins=5), 6)
    0.6
    """
    choice("norm", norm, get_args(Norm))
    choice("kind", kind, get_args(Kind))
    if kind == "top":
        diagram = reliability(y_true, y_prob, n_bins=n_bins, scheme=scheme, closed=closed, sample_weight=sample_weight)
        return diagram.error(norm, debiased=debiased)
    error = debiased_error if debiased else _sums.calibration_error_of
    tables = class_tables(scored(y_true, y_prob, sample_weight, rank=False), n_bins, scheme, closed)
    return float(np.mean([error(table, norm) for table in tables]))


def debiased_error(table: FloatArray, norm: str) -> FloatArray:
    """Take the error of ``(3, B)`` sums less what the scatter of the bins' accuracies adds to it."""
    if norm not in ("l1", "l2"):
        raise ValueError(f"debiased: the bias of norm={norm!r} is not known; use norm='l1' or 'l2'.")
    count, confidence, correct = table[:, table[0] > 1]
    gap, accuracy = np.abs(confidence - correct) / count, correct / count
    spread = accuracy * (1 - accuracy)
    if norm == "l2":
        squared = gap**2 - spread / (count - 1)
        return np.sqrt(np.maximum(0.0, _sums.ratio((count * squared).sum(), count.sum())))
    sigma = np.sqrt(spread / count)
    ratio = np.divide(gap, sigma, out=np.full_like(gap, np.inf), where=sigma > 0)
    # E|X| of a normal X around the gap: σ √(2/π) exp(−r²/2) + gap · erf(r/√2), r = gap/σ.
    erf = np.array([math.erf(r / math.sqrt(2)) for r in ratio])
    expected = sigma * math.sqrt(2 / math.pi) * np.exp(-(ratio**2) / 2) + gap * erf
    return np.maximum(0.0, _sums.ratio((count * (2 * gap - expected)).sum(), count.sum()))


def expected_calibration_error(
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    n_bins: int = 15,
    scheme: Scheme = "uniform",
    closed: Closed = "right",
    *,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Compute the expected calibration error, Σ_b n_b/N abs(acc_b − conf_b): the ``l1`` norm of `calibration_error`.

    Parameters
    ----------
    y_true, y_prob, n_bins, scheme, closed, sample_weight
        As `reliability`.

    Returns
    -------
    float
        In [0, 1]; NaN when no window is labelled. Biased upwards on few windows: a perfectly calibrated model scores
        above 0.

    Raises
    ------
    TypeError, ValueError
        As `reliability`.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> round(expected_calibration_error([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], n_bins=5), 6)
    0.3
    """
    return calibration_error(y_true, y_prob, n_bins=n_bins, scheme=scheme, closed=closed, sample_weight=sample_weight)


def classwise_ece(
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    *,
    n_bins: int = 15,
    scheme: Scheme = "uniform",
    closed: Closed = "right",
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Mean over all K classes of the one-vs-rest ECE of the class probability.

    Classes without labels are part of the mean: probability given to them is given wrongly.

    Parameters
    ----------
    y_true, y_prob, n_bins, scheme, closed, sample_weight
        As `reliability`.

    Returns
    -------
    float
        In [0, 1]; NaN when no window is labelled.

    Raises
    ------
    TypeError, ValueError
        As `reliability`.

    References
    ----------
    M. Kull et al., "Beyond temperature scaling", NeurIPS 2019.

    Examples
    --------
    >>> round(classwise_ece([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], n_bins=5), 6)
    0.3
    """
    return calibration_error(
        y_true,
        y_prob,
        kind="classwise",
        n_bins=n_bins,
        scheme=scheme,
        closed=closed,
        sample_weight=sample_weight,
    )
