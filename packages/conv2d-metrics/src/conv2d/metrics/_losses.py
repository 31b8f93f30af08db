"""Proper scoring rules of class probabilities."""

from __future__ import annotations

import numpy.typing as npt

from . import _sums
from ._inputs import scored


def nll(y_true: npt.ArrayLike, y_prob: npt.ArrayLike, *, floor: float = 0.0) -> float:
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
    return float(_sums.mean_loss_of(_sums.loss_sums(_sums.log_loss(scored(y_true, y_prob), floor))[0]))


def brier_score(y_true: npt.ArrayLike, y_prob: npt.ArrayLike) -> float:
    """Mean squared distance of the probabilities from the one-hot label, summed over the classes.

    Ranges over [0, 2] as in Brier's paper; scikit-learn's binary Brier score, on p(class 1) alone, is half of it.

    Parameters
    ----------
    y_true : array_like of int, shape (...)
        Class indices; windows labelled −1 are ignored.
    y_prob : array_like of float32 or float64, shape (..., K)
        Rows sum to 1 within 1e-4.

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
    return float(_sums.mean_loss_of(_sums.loss_sums(_sums.squared_loss(scored(y_true, y_prob)))[0]))
