"""Confidence intervals from replicates of a figure, honest with a dozen subjects."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np

from ._inputs import FloatArray, whole
from ._results import record
from ._scales import Scale

_UNBIASED = 0.1
"""Up to this share of its standard error a figure's bootstrap bias is that of the draws: 3/√1000."""


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
        ``student-t``, ``inversion``, ``percentile-t`` or ``jackknife-t``, see `bootstrap_ci`; empty when there is no
        interval.
    unit : str
        What was resampled: ``subject``, ``block`` or ``frame``.
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
    method: str = "student-t"
    unit: str = "subject"
    reason: str = ""

    def __format__(self, spec: str) -> str:
        """``f"{interval:.3f}"`` gives ``0.800 [0.700, 0.900]``."""
        value, low, high = (format(number, spec) for number in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]"

    def to_dict(self) -> dict[str, Any]:
        """All fields, JSON-safe: a value that is not finite is null beside the ``reason``."""
        fields = {name: value for name, value in vars(self).items() if name != "reason"}
        return record(fields, self.reason)


@dataclass(frozen=True)
class Resampling:
    """How a bootstrap is run: checked once, shared by all figures of one evaluation."""

    n_resamples: int
    confidence: float
    seed: int
    unit: str = "subject"

    def __post_init__(self) -> None:
        whole("n_resamples", self.n_resamples, 1)
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence: must lie between 0 and 1, got {self.confidence}.")

    def interval(
        self,
        value: float,
        replicates: FloatArray,
        n_groups: int,
        scale: Scale | None,
        *,
        leave_one_out: Callable[[], FloatArray],
        least: Callable[[float], float] | None = None,
    ) -> Interval:
        """Make the interval of the replicates, or say why there is none.

        Parameters
        ----------
        value : float
        replicates : ndarray of float64, shape (R,)
        n_groups : int
        scale : Scale or None
            The range of the figure, if it is known.
        leave_one_out : callable
            Gives the figure without each group in turn ``(G,)``; asked for when needed.
        least : callable, optional
            Gives the lower end that leaves this tail below it, for a figure that scatter can only raise.
        """
        undefined = int(np.isnan(replicates).sum())
        low = high = math.nan
        method, reasons = "", list[str]()
        if n_groups == 0:
            reasons.append("no labelled window")
        elif n_groups == 1:
            reasons.append("one group only: nothing to resample")
        elif math.isnan(value):
            reasons.append("undefined on all windows")
        elif undefined:
            reasons.append(f"undefined on {undefined} of {self.n_resamples} resamples")
        else:
            # The spread of resamples lacks the factor √(G/(G − 1)), and its size is estimated: Student's tails.
            quantile, widen = student_quantile((1 + self.confidence) / 2, n_groups - 1), _widen(n_groups)
            finite = bool(np.isfinite(replicates).all()) and math.isfinite(value)
            if scale is not None and finite and scale.holds(value):
                method = "student-t"
                low, high = scale.interval(value, replicates, widen * quantile)
                if least is not None:
                    method, low = "inversion", least(NormalDist().cdf(-widen * quantile))
            else:
                found = (
                    self._jackknife(value, replicates, n_groups, leave_one_out) if finite and scale is None else None
                )
                method = "jackknife-t" if found else "percentile-t"
                low, high = found or _percentiles(replicates, NormalDist().cdf(-widen * quantile))
        if any(math.isinf(number) for number in (value, low, high)):
            reasons.append("infinite, as the NLL is when a true class has probability 0")
        return Interval(
            value,
            low,
            high,
            confidence=self.confidence,
            n_groups=n_groups,
            n_resamples=self.n_resamples,
            method=method,
            unit=self.unit,
            reason="; ".join(reasons),
        )

    def _jackknife(
        self, value: float, replicates: FloatArray, n_groups: int, leave_one_out: Callable[[], FloatArray]
    ) -> tuple[float, float] | None:
        """Make the interval of a figure that resampling biases, longer by that bias; None if it does not."""
        bias, spread = float(replicates.mean()) - value, float(replicates.std())
        if abs(bias) <= _UNBIASED * spread:
            return None
        error = _widen(n_groups) * spread
        if n_groups <= self.n_resamples:
            error = math.sqrt((n_groups - 1) * float(leave_one_out().var()))
        if not math.isfinite(error):
            return None
        reach = student_quantile((1 + self.confidence) / 2, n_groups - 1) * error
        return value - max(bias, 0.0) - reach, value - min(bias, 0.0) + reach


def _widen(n_groups: int) -> float:
    return math.sqrt(n_groups / (n_groups - 1))


def _percentiles(replicates: FloatArray, tail: float) -> tuple[float, float]:
    """Take order statistics, not interpolations, which turn infinite replicates into NaN; as many on either side."""
    outside = math.floor(tail * len(replicates) + 1e-9)
    ordered = np.sort(replicates)
    return float(ordered[outside]), float(ordered[-1 - outside])


@cache
def student_quantile(level: float, freedom: int) -> float:
    """Quantile of Student's t at ``level`` > ½, from its integral: with t = √ν·tan θ the density is cos^(ν−1) θ."""
    if freedom > 10_000:  # the normal is as near as its fourth digit
        return NormalDist().inv_cdf(level)
    nodes, weights = np.polynomial.legendre.leggauss(100)
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        inside = middle / 2 * float(weights @ np.cos(middle / 2 * (nodes + 1)) ** (freedom - 1))
        low, high = (middle, high) if 0.5 + scale * inside < level else (low, middle)
    return math.sqrt(freedom) * math.tan(low)
