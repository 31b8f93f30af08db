"""The order statistics that make a conformal promise true."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np

from ._inputs import FloatArray, Groups

_SAMPLE = 4096

_SLACK = 1e-9
"""Room for summing up to 10⁶ weights in float64, as a share of one window's (or group's) weight."""


def exact_rate(alpha: float | str) -> Fraction:
    """Read a rate of misses as the decimal it prints as; it must lie between 0 and 1."""
    if not 0 < float(alpha) < 1:
        raise ValueError(f"alpha: must lie between 0 and 1, got {alpha}.")
    return Fraction(Decimal(str(alpha)))


def conformal_quantile(scores: FloatArray, alpha: Fraction) -> float:
    """Take the ⌈(n + 1)(1 − α)⌉-th smallest of n scores, infinity when there are not that many."""
    k = math.ceil((len(scores) + 1) * (1 - alpha))
    return math.inf if k > len(scores) else order_statistic(scores, k)


def order_statistic(values: FloatArray, k: int) -> float:
    """Find the k-th smallest value, k from 1.

    Of many values a sorted sample tells between which two of it the k-th lies, most probably; only the values there
    are partitioned. If it lies elsewhere, all are.
    """
    before = 0
    if len(values) > 16 * _SAMPLE:
        sample = np.sort(values[:: len(values) // _SAMPLE])
        place, margin = k / len(values) * len(sample), 3 * math.sqrt(len(sample))
        low = sample[max(0, int(place - margin))]
        high = sample[min(len(sample) - 1, int(place + margin))]
        below = int(np.count_nonzero(values < low))
        inside = values[(values >= low) & (values <= high)]
        if below < k <= below + len(inside):
            values, before = inside, below
    return float(np.partition(values, k - 1 - before)[k - 1 - before])


def balanced_quantile(scores: FloatArray, by: Groups, alpha: Fraction) -> float:
    """Take the (1 − α)-quantile where each of G groups weighs 1/(G + 1) and the rest lies at infinity."""
    order = np.argsort(scores, kind="stable")
    size = np.bincount(by.codes, minlength=by.n)
    reached = np.cumsum(1.0 / size[by.codes[order]])
    index = int(np.searchsorted(reached, float((by.n + 1) * (1 - alpha)) - _SLACK))
    return float(scores[order[index]]) if index < len(scores) else math.inf


class WeightedQuantile:
    """The (1 − α)-quantile of weighted scores, where the new window's own weight lies at infinity."""

    def __init__(self, scores: FloatArray, weight: FloatArray, alpha: Fraction) -> None:
        order = np.argsort(scores, kind="stable")
        self._scores = np.append(scores[order], np.inf)
        self._reached = np.cumsum(weight[order])
        self._total = float(weight.sum())
        self._slack = _SLACK * (self._total / len(weight) if len(weight) else 0.0)
        self._share = float(1 - alpha)

    def at(self, weight: FloatArray) -> FloatArray:
        """Threshold of new windows of these weights ``(N,)``."""
        needed = self._share * (self._total + weight) - self._slack
        return self._scores[np.searchsorted(self._reached, needed)]
