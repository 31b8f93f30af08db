"""Proper scoring rules of class probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from . import _sums
from ._binning import Closed, Scheme
from ._class_bins import class_tables
from ._inputs import scored
from ._results import record


def nll(
    y_true: npt.ArrayLike, y_prob: npt.ArrayLike, *, floor: float = 0.0, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Mean negative log-likelihood of the true class, in nats (cross-entropy, log loss).

    One window given probability 0 for its true class makes the result infinite: that is what the rule says, and hiding
    it hides a model that was certain and wrong. scikit-learn raises probabilities to 2⁻⁵² first; ``floor=2**-52`` does
    the same.

    Parameters
    ----------
    y_true : array_like of int, shape (...)
        Class indices; windows labelled −1 are ignored.
    y_prob : array_like of float32 or float64, shape (..., K)
        Rows sum to 1 within 1e-4.
    floor : float
        Probabilities below it are raised to it.
    sample_weight : array_like, shape (...), optional
        As `accuracy`.

    Returns
    -------
    float
        In [0, ∞]; NaN when no window is labelled.

    Raises
    ------
    TypeError, ValueError
        Labels are not indices into the classes; `y_prob` is not float, not finite, negative, or rows do not sum to 1.

    References
    ----------
    I. J. Good, "Rational decisions", Journal of the Royal Statistical Society B 14, 1952.

    Examples
    --------
    >>> round(nll([0, 1], [[0.5, 0.5], [0.5, 0.5]]), 4)
    0.6931
    """
    sample = scored(y_true, y_prob, sample_weight)
    return float(_sums.mean_loss_of(_sums.loss_sums(_sums.log_loss(sample, floor), weight=sample.weight)[0]))


def brier_score(y_true: npt.ArrayLike, y_prob: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None) -> float:
    """Mean squared distance of the probabilities from the one-hot label, summed over the classes.

    Ranges over [0, 2] as in Brier's paper; scikit-learn's binary Brier score, on p(class 1) alone, is half of it.

    Parameters
    ----------
    y_true : array_like of int, shape (...)
        Class indices; windows labelled −1 are ignored.
    y_prob : array_like of float32 or float64, shape (..., K)
        Rows sum to 1 within 1e-4.
    sample_weight : array_like, shape (...), optional
        As `accuracy`.

    Returns
    -------
    float
        NaN when no window is labelled.

    Raises
    ------
    TypeError, ValueError
        As `nll`.

    References
    ----------
    G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78, 1950.

    Examples
    --------
    >>> brier_score([0, 1], [[1.0, 0.0], [0.5, 0.5]])
    0.25
    """
    sample = scored(y_true, y_prob, sample_weight)
    return float(_sums.mean_loss_of(_sums.loss_sums(_sums.squared_loss(sample), weight=sample.weight)[0]))


@dataclass(frozen=True)
class BrierDecomposition:
    """Where a Brier score comes from: ``brier = reliability − resolution + uncertainty + within_bins``, exactly.

    Attributes
    ----------
    brier : float
        `brier_score`, in [0, 2].
    reliability : float
        Mean squared distance of what was said from what came true, by bin: what recalibration can win.
    resolution : float
        How far the bins' outcomes lie from the base rates: what the model knows. Large is good.
    uncertainty : float
        The score of the base rates themselves.
    within_bins : float
        What bins of probabilities leave over, because a bin holds more than one; shrinks with more bins.

    Examples
    --------
    >>> parts = brier_decomposition([0, 1, 1, 1], [[0.5, 0.5], [0.5, 0.5], [0.0, 1.0], [0.0, 1.0]])
    >>> parts.reliability, parts.resolution, parts.uncertainty
    (0.0, 0.125, 0.375)
    """

    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within_bins: float

    def to_dict(self) -> dict[str, Any]:
        """All fields, JSON-safe: null beside a ``reason`` where nothing is labelled."""
        return record(vars(self), "no labelled window" if math.isnan(self.brier) else "")


def brier_decomposition(
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    *,
    n_bins: int = 15,
    scheme: Scheme = "uniform",
    closed: Closed = "right",
    sample_weight: npt.ArrayLike | None = None,
) -> BrierDecomposition:
    """Split the Brier score into reliability, resolution and uncertainty, over bins of each class's probability.

    Parameters
    ----------
    y_true, y_prob, n_bins, scheme, closed, sample_weight
        As `reliability`.

    Returns
    -------
    BrierDecomposition
        Each part summed over the classes, as the score is.

    Raises
    ------
    TypeError, ValueError
        As `reliability`.

    References
    ----------
    A. H. Murphy, "A new vector partition of the probability score", Journal of Applied Meteorology 12, 1973.
    D. B. Stephenson, C. A. S. Coelho, I. T. Jolliffe, "Two extra components in the Brier score decomposition",
    Weather and Forecasting 23, 2008, for the part within bins.

    Examples
    --------
    >>> brier_decomposition([0, 1], [[1.0, 0.0], [0.0, 1.0]]).resolution
    0.5
    """
    sample = scored(y_true, y_prob, sample_weight)
    brier = float(_sums.mean_loss_of(_sums.loss_sums(_sums.squared_loss(sample), weight=sample.weight)[0]))
    if math.isnan(brier):
        return BrierDecomposition(*[math.nan] * 5)
    reliability = resolution = uncertainty = 0.0
    for table in class_tables(sample, n_bins, scheme, closed):
        count, probability, hits = table[:, table[0] > 0]
        total = count.sum()
        base = hits.sum() / total
        reliability += float(((probability - hits) ** 2 / count).sum() / total)
        resolution += float((count * (hits / count - base) ** 2).sum() / total)
        uncertainty += float(base * (1 - base))
    within = brier - reliability + resolution - uncertainty
    return BrierDecomposition(brier, reliability, resolution, uncertainty, within)
