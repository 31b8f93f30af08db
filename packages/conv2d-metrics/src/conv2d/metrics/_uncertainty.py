"""Where the uncertainty of an ensemble comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._inputs import FloatArray, check_rows, floats


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

    Examples
    --------
    >>> EntropyDecomposition(np.array([0.7]), np.array([0.5]), np.array([0.2])).epistemic
    array([0.2])
    """

    total: FloatArray
    aleatoric: FloatArray
    epistemic: FloatArray


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
    total, aleatoric = _entropy(exact.mean(axis=0)), _entropy(exact).mean(axis=0)
    # Jensen's inequality makes the difference at least 0; rounding can make it −1e-17.
    return EntropyDecomposition(total, aleatoric, np.maximum(0.0, total - aleatoric))


def _entropy(prob: FloatArray) -> FloatArray:
    """−Σ p ln p over the last axis, with 0 ln 0 = 0."""
    return -(prob * np.log(np.where(prob > 0, prob, 1.0))).sum(axis=-1)
