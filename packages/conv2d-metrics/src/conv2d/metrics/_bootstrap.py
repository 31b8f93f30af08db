"""Confidence intervals by resampling whole groups: subjects, recordings, sessions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._binning import Closed
from ._inputs import FloatArray, IntArray, choice, grouped, predicted, scored, whole
from ._results import record
from ._statistics import FROM_PREDICTIONS, FROM_PROBABILITIES, multiplicities, named


@dataclass(frozen=True)
class Interval:
    """A figure with its confidence interval.

    Attributes
    ----------
    value : float
        The figure on all windows.
    low, high : float
        Ends of the interval; NaN when there is none, and `reason` says why.
    confidence : float
    n_groups, n_resamples : int
    method : str
    reason : str
        Empty when value, low and high are finite.

    Examples
    --------
    >>> f"{Interval(0.8, 0.7, 0.9, confidence=0.95, n_groups=12, n_resamples=1000):.1f}"
    '0.8 [0.7, 0.9]'
    """

    value: float
    low: float
    high: float
    confidence: float
    n_groups: int
    n_resamples: int
    method: str = "percentile"
    reason: str = ""

    def __format__(self, spec: str) -> str:
        """``f"{interval:.3f}"`` gives ``0.800 [0.700, 0.900]``."""
        value, low, high = (format(number, spec) for number in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]"

    def to_dict(self) -> dict[str, Any]:
        """All fields, JSON-safe: a value that is not finite is null beside the ``reason``."""
        fields = {name: value for name, value in vars(self).items() if name != "reason"}
        return record(fields, self.reason)


def bootstrap_ci(
    statistic: str | Callable[..., float],
    y_true: npt.ArrayLike,
    *,
    y_pred: npt.ArrayLike | None = None,
    y_prob: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    n_bins: int = 15,
    closed: Closed = "right",
) -> Interval:
    """Percentile bootstrap over whole groups.

    Windows of one subject resemble each other, so the subjects are the sample: G groups are drawn with replacement,
    each with all its windows, as often as it was drawn. With few groups the percentile interval is somewhat too short;
    below about ten, read it as a lower bound on the uncertainty.

    A figure given by name is computed from per-group sufficient sums, so a thousand replicates cost little more than
    one pass over the windows. Any other figure is a callable, called on the resampled windows themselves.

    Parameters
    ----------
    statistic : str or callable
        From predictions: ``"accuracy"``, ``"balanced_accuracy"``, ``"macro_f1"``, ``"weighted_f1"``; these take the top
        class if only `y_prob` is given. From probabilities: ``"nll"``, ``"brier"``, ``"ece"``, ``"mce"``, ``"rmsce"``.
        Or ``f(y_true, y_pred)``, ``f(y_true, y_prob)`` or ``f(y_true, y_pred, y_prob)``, according to what is given,
        which gets the windows as they are, those labelled −1 too.
    y_true : array_like of int, shape (...)
        Class indices; windows labelled −1 are ignored.
    y_pred : array_like of int, shape (...), optional
    y_prob : array_like of float32 or float64, shape (..., K), optional
    groups : array_like of int or str, shape (...), optional
        The group of each window. Without it every window is its own group, which is right only for windows that are
        independent.
    n_resamples : int
    confidence : float
        In (0, 1).
    seed : int
        Same seed, same interval.
    n_bins, closed
        Bins of the calibration errors, as `reliability` (equal width).

    Returns
    -------
    Interval
        The ends are order statistics of the replicates. NaN with a reason when there is one group only, or when the
        figure is undefined on a replicate.

    Raises
    ------
    TypeError, ValueError
        As the figures; an unknown name, or one whose input is missing; `confidence` outside (0, 1), `n_resamples` < 1.

    References
    ----------
    B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    C. Field, A. Welsh, "Bootstrapping clustered data", Journal of the Royal Statistical Society B 69, 2007.

    Examples
    --------
    >>> y_true = np.array([0, 1, 0, 1, 0, 1])
    >>> y_pred = np.array([0, 1, 0, 0, 0, 1])
    >>> f"{bootstrap_ci('accuracy', y_true, y_pred=y_pred, groups=['ada', 'ada', 'bo', 'bo', 'cy', 'cy']):.2f}"
    '0.83 [0.50, 1.00]'
    """
    check_resampling(n_resamples, confidence)
    if not isinstance(statistic, str):
        value, replicates, n_groups = _resample_windows(statistic, y_true, y_pred, y_prob, groups, n_resamples, seed)
        return interval(value, replicates, n_groups, n_resamples, confidence)

    choice("statistic", statistic, (*FROM_PREDICTIONS, *FROM_PROBABILITIES))
    if y_pred is not None and statistic in FROM_PREDICTIONS:
        sample = predicted(y_true, y_pred)
    elif y_prob is not None:
        sample = scored(y_true, y_prob)
    else:
        raise ValueError(f"statistic {statistic!r}: needs y_prob{' or y_pred' * (statistic in FROM_PREDICTIONS)}.")
    by = grouped(np.arange(len(sample.kept)) if groups is None else groups, sample.kept)
    figure = named(statistic, sample, n_bins=n_bins, closed=closed)
    replicates = figure.resampled(by, n_resamples, seed) if by.n > 1 else np.empty(0)
    return interval(figure.value(), replicates, by.n, n_resamples, confidence)


def check_resampling(n_resamples: int, confidence: float) -> None:
    """Refuse settings that no interval comes from."""
    whole("n_resamples", n_resamples, 1)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: must lie between 0 and 1, got {confidence}.")


def interval(value: float, replicates: FloatArray, n_groups: int, n_resamples: int, confidence: float) -> Interval:
    """Take the percentile interval of the replicates, or say why there is none."""
    undefined = int(np.isnan(replicates).sum())
    low = high = math.nan
    reasons: list[str] = []
    if n_groups == 0:
        reasons.append("no labelled window")
    elif n_groups == 1:
        reasons.append("one group only: nothing to resample")
    elif undefined:
        reasons.append(f"undefined on {undefined} of {n_resamples} resamples")
    else:
        # Order statistics, not interpolation, which turns infinite replicates into NaN. The tail holds as many
        # replicates on either side, so the interval is symmetric in rank.
        tail = math.floor((1 - confidence) / 2 * n_resamples + 1e-9)
        ordered = np.sort(replicates)
        low, high = float(ordered[tail]), float(ordered[-1 - tail])
    if any(math.isinf(number) for number in (value, low, high)):
        reasons.append("infinite, as the NLL is when a true class has probability 0")
    return Interval(value, low, high, confidence, n_groups, n_resamples, reason="; ".join(reasons))


def _resample_windows(
    statistic: Callable[..., float],
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike | None,
    y_prob: npt.ArrayLike | None,
    groups: npt.ArrayLike | None,
    n_resamples: int,
    seed: int,
) -> tuple[float, FloatArray, int]:
    """Value and replicates of any callable, on the windows themselves, and the number of groups."""
    true = np.asarray(y_true)
    given: list[npt.NDArray[Any]] = [true.ravel()]
    for name, values in (("y_pred", y_pred), ("y_prob", y_prob)):
        if values is not None:
            array = np.asarray(values)
            if array.shape[: true.ndim] != true.shape:
                raise ValueError(f"{name}: must start with the shape of y_true {true.shape}, got {array.shape}.")
            given.append(array.reshape(true.size, *array.shape[true.ndim :]))
    if len(given) == 1:
        raise ValueError("statistic: a callable is called on y_true beside y_pred, y_prob or both; neither was given.")

    by = grouped(np.arange(true.size) if groups is None else groups, np.ones(true.size, dtype=np.bool_))
    order = np.argsort(by.codes, kind="stable")
    rows_of = np.split(order, np.cumsum(np.bincount(by.codes, minlength=by.n))[:-1])

    def on(rows: IntArray) -> float:
        return float(statistic(*(array[rows] for array in given)))

    value = float(statistic(*given))
    if by.n < 2:
        return value, np.empty(0), by.n
    replicates = [
        on(np.concatenate([rows_of[group] for group in np.repeat(np.arange(by.n), times.astype(np.int64))]))
        for times in multiplicities(by.n, n_resamples, seed)
    ]
    return value, np.array(replicates), by.n
