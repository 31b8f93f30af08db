"""Knowing when not to answer: confidence levels, abstention, and scores for what a model has never seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._inputs import FloatArray, IntArray, check_rows, floats
from ._ranking import area_under_roc, ranked_counts
from ._results import record

LEVELS = ("low", "medium", "high")


@dataclass(frozen=True)
class ConfidenceLevels:
    """Windows by confidence: high, medium or low.

    Attributes
    ----------
    level : ndarray of int64, shape (...)
        Index into `names`: 0 low, 1 medium, 2 high.
    medium, high : float
        The least confidence of each level; a confidence of exactly that has it.

    Examples
    --------
    >>> levels = confidence_levels([0.95, 0.7, 0.3], medium=0.6, high=0.9)
    >>> levels.level, levels.counts
    (array([2, 1, 0]), {'low': 1, 'medium': 1, 'high': 1})
    """

    level: IntArray
    medium: float
    high: float
    names: tuple[str, ...] = LEVELS

    @property
    def counts(self) -> dict[str, int]:
        """Windows of each level."""
        return dict(zip(self.names, np.bincount(self.level.ravel(), minlength=3).tolist(), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Write the thresholds and counts, JSON-safe."""
        return record({"medium": self.medium, "high": self.high, "counts": self.counts})


@dataclass(frozen=True)
class RiskCoverage:
    """Errors among the windows answered, as more and more are.

    Attributes
    ----------
    coverage : ndarray of float64, shape (C,)
        Share of the windows answered, most confident first. Windows of equal confidence are answered together.
    risk : ndarray of float64, shape (C,)
        Share of errors among them.
    threshold : ndarray of float64, shape (C,)
        Least confidence answered.
    n : int

    Examples
    --------
    >>> curve = risk_coverage([True, True, False], [0.9, 0.8, 0.3])
    >>> curve.risk.round(3), round(curve.aurc, 3)
    (array([0.   , 0.   , 0.333]), 0.111)
    """

    coverage: FloatArray
    risk: FloatArray
    threshold: FloatArray
    n: int

    @property
    def aurc(self) -> float:
        """Area under the curve: the mean risk over all coverages, windows of equal confidence in random order.

        NaN without windows.
        """
        if not self.n:
            return np.nan
        answered = np.rint(self.coverage * self.n)
        errors = np.rint(self.risk * answered)
        # Within a tie the i-th answer adds errors at the tie's own rate.
        before, wrong_before = np.append(0.0, answered[:-1]), np.append(0.0, errors[:-1])
        which = np.repeat(np.arange(len(answered)), (answered - before).astype(np.int64))
        i = np.arange(1, self.n + 1)
        rate = (errors - wrong_before) / (answered - before)
        return float(np.mean((wrong_before[which] + rate[which] * (i - before[which])) / i))

    @property
    def excess_aurc(self) -> float:
        """E-AURC, beyond that of the same errors ranked last of all; NaN without windows."""
        if not self.n:
            return np.nan
        wrong = round(float(self.risk[-1]) * self.n)
        i = np.arange(1, self.n + 1)
        return self.aurc - float(np.mean(np.maximum(0, i - (self.n - wrong)) / i))

    def coverage_at(self, risk: float) -> float:
        """Find the largest coverage at which the risk is at most this; 0 when there is none."""
        fits = np.flatnonzero(self.risk <= risk)
        return float(self.coverage[fits[-1]]) if len(fits) else 0.0

    def threshold_at(self, risk: float) -> float:
        """Find the confidence to abstain below for that; infinity when none will do."""
        fits = np.flatnonzero(self.risk <= risk)
        return float(self.threshold[fits[-1]]) if len(fits) else np.inf

    def to_dict(self) -> dict[str, Any]:
        """Write the curve and its areas, JSON-safe."""
        fields = {**vars(self), "aurc": self.aurc, "excess_aurc": self.excess_aurc}
        return record(fields, "" if self.n else "no labelled window")


def confidence_levels(confidence: npt.ArrayLike, *, medium: float, high: float) -> ConfidenceLevels:
    """Sort windows into high, medium and low confidence by stated thresholds.

    Parameters
    ----------
    confidence : array_like of float, any shape
        In [0, 1], as the highest probability of each window.
    medium, high : float
        The least confidence of those levels, ``0 < medium < high ≤ 1``. There is no default: thresholds belong to a
        model and its calibration (`RiskCoverage.threshold_at` finds one).

    Returns
    -------
    ConfidenceLevels

    Raises
    ------
    ValueError
        Thresholds out of order, a confidence outside [0, 1] or NaN.

    Examples
    --------
    >>> confidence_levels([0.6], medium=0.6, high=0.9).level
    array([1])
    """
    if not 0 < medium < high <= 1:
        raise ValueError(f"medium, high: must be 0 < medium < high ≤ 1, got {medium} and {high}.")
    values = np.asarray(confidence, dtype=np.float64)
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"confidence: must lie in [0, 1], got {values.min()} to {values.max()}.")
    level = (values >= medium).astype(np.int64) + (values >= high)
    return ConfidenceLevels(level, medium, high)


def risk_coverage(correct: npt.ArrayLike, confidence: npt.ArrayLike) -> RiskCoverage:
    """Trace how the share of errors grows as a model answers more and abstains less.

    Parameters
    ----------
    correct : array_like of bool, shape (N,)
        Whether the answer for each window is right, as ``y_pred == y_true`` of the labelled windows.
    confidence : array_like of float, shape (N,)
        Any score that is higher where the answer is surer; not NaN.

    Returns
    -------
    RiskCoverage

    Raises
    ------
    TypeError, ValueError
        `correct` is not boolean, shapes differ, a confidence is NaN.

    References
    ----------
    Y. Geifman, R. El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017.
    Y. Geifman, G. Uziel, R. El-Yaniv, "Bias-reduced uncertainty estimation for deep neural classifiers", ICLR 2019.

    Examples
    --------
    >>> curve = risk_coverage([True, False, True, True], [0.9, 0.4, 0.8, 0.7])
    >>> curve.coverage_at(risk=0.0), curve.threshold_at(risk=0.0)
    (0.75, 0.7)
    """
    right, score = np.asarray(correct), np.asarray(confidence, dtype=np.float64)
    if right.dtype != np.bool_:
        raise TypeError(f"correct: must be boolean, got dtype {right.dtype}; compare y_pred == y_true first.")
    if right.ndim != 1 or right.shape != score.shape:
        raise ValueError(f"confidence: must be (N,) like correct {right.shape}, got {score.shape}.")
    if np.isnan(score).any():
        raise ValueError(f"confidence: {int(np.isnan(score).sum())} values are NaN.")
    threshold, inverse = np.unique(-score, return_inverse=True)
    answered = np.cumsum(np.bincount(inverse, minlength=len(threshold)))
    errors = np.cumsum(np.bincount(inverse, weights=~right, minlength=len(threshold)))
    n = len(right)
    return RiskCoverage(answered / max(n, 1), errors / answered, -threshold + 0.0, n)


def max_softmax_score(y_prob: npt.ArrayLike) -> FloatArray:
    """Score how unlike its training data a model finds each window: 1 less the highest probability.

    Parameters
    ----------
    y_prob : array_like of float32 or float64, shape (..., K)
        Rows sum to 1 within 1e-4.

    Returns
    -------
    ndarray of float64, shape (...)
        Higher is stranger.

    Raises
    ------
    TypeError, ValueError
        Rows that are not probabilities.

    References
    ----------
    D. Hendrycks, K. Gimpel, "A baseline for detecting misclassified and out-of-distribution examples", ICLR 2017.

    Examples
    --------
    >>> max_softmax_score([[0.75, 0.25]])
    array([0.25])
    """
    prob = floats("y_prob", y_prob)
    if prob.ndim < 1 or prob.shape[-1] == 0:
        raise ValueError(f"y_prob: must be (..., classes), got shape {prob.shape}.")
    check_rows("y_prob", prob.reshape(-1, prob.shape[-1]))
    return 1 - prob.astype(np.float64).max(axis=-1)


def energy_score(logits: npt.ArrayLike, *, temperature: float = 1.0) -> FloatArray:
    """Score how unlike its training data a model finds each window: the free energy −T ln Σ exp(logit / T).

    Unlike the highest probability it does not throw away the scale of the logits.

    Parameters
    ----------
    logits : array_like of float32 or float64, shape (..., K)
    temperature : float
        T, positive.

    Returns
    -------
    ndarray of float64, shape (...)
        Higher is stranger.

    Raises
    ------
    TypeError, ValueError
        Not float, not finite, no class axis; a temperature that is not positive.

    References
    ----------
    W. Liu et al., "Energy-based out-of-distribution detection", NeurIPS 2020.

    Examples
    --------
    >>> energy_score([[0.0, 0.0], [9.0, 0.0]]).round(3)
    array([-0.693, -9.   ])
    """
    values = floats("logits", logits)
    if values.ndim < 1 or values.shape[-1] == 0 or not np.isfinite(values).all():
        raise ValueError(f"logits: must be finite, (..., classes), got shape {values.shape}.")
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature: must be positive and finite, got {temperature}.")
    scaled = values.astype(np.float64) / temperature
    top = scaled.max(axis=-1, keepdims=True)
    return -temperature * (top[..., 0] + np.log(np.exp(scaled - top).sum(axis=-1)))


def ood_auroc(known: npt.ArrayLike, strange: npt.ArrayLike) -> float:
    """Compute how well a score tells strange windows from known ones: P(strange > known) + P(equal) / 2.

    Parameters
    ----------
    known, strange : array_like of float, shape (N,) and (M,)
        Scores, higher for stranger, as of `energy_score`.

    Returns
    -------
    float
        Area under the ROC curve: 1 tells them apart, 0.5 is chance; NaN when either is empty.

    Raises
    ------
    ValueError
        Scores that are NaN.

    References
    ----------
    J. Hanley, B. McNeil, "The meaning and use of the area under a ROC curve", Radiology 143, 1982.

    Examples
    --------
    >>> ood_auroc([0.1, 0.2, 0.3], [0.3, 0.9])
    0.9166666666666666
    """
    one, other = (np.asarray(scores, dtype=np.float64).ravel() for scores in (known, strange))
    if np.isnan(one).any() or np.isnan(other).any():
        raise ValueError("known, strange: scores must not be NaN.")
    hit = np.repeat([False, True], [len(one), len(other)])
    return area_under_roc(*ranked_counts(np.concatenate([one, other]), hit, None))


def crps_ensemble(y_true: npt.ArrayLike, members: npt.ArrayLike) -> FloatArray:
    """Compute the continuous ranked probability score of an ensemble of point forecasts.

    Mean |member − truth| less half the mean |member − member'|: in the unit of the forecast, and |forecast − truth|
    for one member.

    Parameters
    ----------
    y_true : array_like of float, shape (...)
    members : array_like of float, shape (..., M)

    Returns
    -------
    ndarray of float64, shape (...)

    Raises
    ------
    ValueError
        Shapes that do not fit, no member, values that are not finite.

    References
    ----------
    T. Gneiting, A. Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 102, 2007, eq. 21.

    Examples
    --------
    >>> crps_ensemble([1.0], [[0.0, 2.0]])
    array([0.5])
    """
    truth, forecast = np.asarray(y_true, dtype=np.float64), np.asarray(members, dtype=np.float64)
    m = int(forecast.shape[-1]) if forecast.ndim else 0
    if forecast.ndim != truth.ndim + 1 or forecast.shape[:-1] != truth.shape or m == 0:
        raise ValueError(
            f"members: must be y_true's shape plus a member axis, {(*truth.shape, 'M')}, got {forecast.shape}."
        )
    if not (np.isfinite(truth).all() and np.isfinite(forecast).all()):
        raise ValueError("y_true, members: must be finite.")
    # Of sorted members, Σ |f − f'| over ordered pairs is 2 Σ (2i − m − 1) fᵢ.
    weights = np.linspace(1.0 - m, m - 1.0, m)
    pairs = 2 * (np.sort(forecast, axis=-1) @ weights)
    return np.abs(forecast - truth[..., None]).mean(axis=-1) - pairs / (2 * m * m)
