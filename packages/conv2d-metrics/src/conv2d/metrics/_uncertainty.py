"""How uncertain a prediction is, and of an ensemble, where that comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._inputs import FloatArray, check_rows, floats
from ._results import record


@dataclass(frozen=True)
class EntropyDecomposition:
    """Uncertainty of each window in nats; ``total = aleatoric + epistemic``.

    Attributes
    ----------
    total : ndarray of float64, shape (...)
        Entropy of the mean of the members.
    aleatoric : ndarray of float64, shape (...)
        Mean entropy of the members: what they agree to be uncertain about.
    epistemic : ndarray of float64, shape (...)
        Mutual information of class and member: how much they disagree. At least 0.
    mean_prob : ndarray of float64, shape (..., K)
        Mean of the members.
    variation_ratio : ndarray of float64, shape (...)
        Share of the members whose top class is not the commonest top class.

    Examples
    --------
    >>> entropy_decomposition([[[1.0, 0.0]], [[0.0, 1.0]]]).variation_ratio
    array([0.5])
    """

    total: FloatArray
    aleatoric: FloatArray
    epistemic: FloatArray
    mean_prob: FloatArray
    variation_ratio: FloatArray

    @property
    def max_prob_uncertainty(self) -> FloatArray:
        """1 less the highest mean probability ``(...)``."""
        return 1 - self.mean_prob.max(axis=-1)

    def to_dict(self) -> dict[str, Any]:
        """Write the mean of each figure over the windows, JSON-safe."""
        n = self.total.size
        names = ("total", "aleatoric", "epistemic", "variation_ratio", "max_prob_uncertainty")
        means = {name: float(getattr(self, name).mean()) if n else np.nan for name in names}
        return record({"n_windows": n, **means}, "" if n else "no windows")


def predictive_entropy(y_prob: npt.ArrayLike) -> FloatArray:
    """Compute the entropy of each predicted distribution, −Σ p ln p.

    Parameters
    ----------
    y_prob : array_like of float32 or float64, shape (..., K)
        Rows sum to 1 within 1e-4.

    Returns
    -------
    ndarray of float64, shape (...)
        Nats, at most ln K.

    Raises
    ------
    TypeError, ValueError
        Not float, no class axis, or rows that are not probabilities.

    Examples
    --------
    >>> predictive_entropy([[0.5, 0.5], [1.0, 0.0]]).round(3)
    array([0.693, 0.   ])
    """
    prob = floats("y_prob", y_prob)
    if prob.ndim < 1 or prob.shape[-1] == 0:
        raise ValueError(f"y_prob: must be (..., classes), got shape {prob.shape}.")
    check_rows("y_prob", prob.reshape(-1, prob.shape[-1]))
    return _entropy(prob.astype(np.float64))


def entropy_decomposition(member_prob: npt.ArrayLike) -> EntropyDecomposition:
    """Split the predictive entropy of an ensemble, or of Monte-Carlo dropout, into its two sources.

    Parameters
    ----------
    member_prob : array_like of float32 or float64, shape (M, ..., K)
        Probabilities of each of M members; rows sum to 1 within 1e-4.

    Returns
    -------
    EntropyDecomposition
        In nats.

    Raises
    ------
    TypeError, ValueError
        Not float, no member and class axis, or rows that are not probabilities.

    References
    ----------
    A. Depeweg et al., "Decomposition of uncertainty in Bayesian deep learning", ICML 2018.

    Examples
    --------
    >>> agree, differ = [[0.5, 0.5], [0.5, 0.5]], [[1.0, 0.0], [0.0, 1.0]]
    >>> parts = entropy_decomposition(np.stack([agree, differ], axis=1))
    >>> parts.aleatoric.round(3), parts.epistemic.round(3)
    (array([0.693, 0.   ]), array([0.   , 0.693]))
    """
    prob = floats("member_prob", member_prob)
    if prob.ndim < 2 or 0 in (prob.shape[0], prob.shape[-1]):
        raise ValueError(f"member_prob: must be (members, ..., classes), got shape {prob.shape}.")
    check_rows("member_prob", prob.reshape(-1, prob.shape[-1]))
    exact = prob.astype(np.float64)
    mean, top = exact.mean(axis=0), exact.argmax(axis=-1)
    total, aleatoric = _entropy(mean), _entropy(exact).mean(axis=0)
    commonest = np.max([(top == k).sum(axis=0) for k in range(prob.shape[-1])], axis=0)
    # Jensen's inequality makes the difference at least 0; rounding can make it −1e-17.
    return EntropyDecomposition(total, aleatoric, np.maximum(0.0, total - aleatoric), mean, 1 - commonest / len(top))


def _entropy(prob: FloatArray) -> FloatArray:
    """−Σ p ln p over the last axis, with 0 ln 0 = 0."""
    return -(prob * np.log(np.where(prob > 0, prob, 1.0))).sum(axis=-1) + 0.0  # not −0
