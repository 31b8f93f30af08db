"""Conformal prediction sets: sets of classes that hold the true one with a chosen probability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from ._inputs import BoolArray, FloatArray, Groups, IntArray, Scored, check_rows, choice, floats, grouped, scored, whole

Method = Literal["lac", "aps", "raps"]
Within = Literal["all", "class", "group", "balanced"]


@dataclass(frozen=True)
class PredictionSets:
    """The classes that cannot be ruled out.

    Attributes
    ----------
    sets : ndarray of bool, shape (..., K)
        Whether the class is in the window's set. A set may be empty: no class conforms.
    alpha : float
        The tolerated rate of misses.

    Examples
    --------
    >>> PredictionSets(np.array([[True, False], [True, True]]), alpha=0.1).sizes
    array([1, 2])
    """

    sets: BoolArray
    alpha: float

    @property
    def sizes(self) -> IntArray:
        """Number of classes in each set ``(...)``."""
        return self.sets.sum(axis=-1)


class SplitConformal:
    """Split conformal prediction with the exact finite-sample quantile.

    On calibration windows the nonconformity of the true class is scored; the threshold is the k-th smallest of the n
    scores, k = ⌈(n + 1)(1 − α)⌉ in exact arithmetic, and a class is in the set of a new window if its score is at most
    that. If calibration and new windows are exchangeable, the set holds the true class with probability at least
    1 − α. With k > n there are too few scores for any promise: the threshold is infinite, all sets are full, and
    `thresholds` shows it. (``np.quantile`` with ``method="higher"`` takes another order statistic, and a floating
    (n + 1)(1 − α) can round over an integer; neither happens here.)

    Parameters
    ----------
    method : {"lac", "aps", "raps"}
        The score of class y. ``lac``: 1 − p_y, the smallest sets on average. ``aps``: the probability of the classes
        at least as probable, y included (descending, ties: the lower index first), which adapts the size to the
        difficulty. ``raps``: ``aps`` plus `penalty` for each rank beyond `free_rank`, against long tails.
    alpha : float or str
        Rate of misses in (0, 1). Read as the decimal that it prints as: 0.1 is one tenth.
    within : {"all", "class", "group", "balanced"}
        Which calibration windows set a threshold. ``all``: all of them, one threshold. ``class``: those of each class,
        for coverage in every class (Mondrian). ``group``: those of each group, for coverage in every known group;
        a group without calibration gets full sets. ``balanced``: one threshold for new groups (subjects), where each
        group counts the same however many windows it has, and the group to come as one more whose scores are infinite:
        with G groups, α < 1/(G + 1) allows no promise and gives full sets.
    randomized : bool
        Subtract u·p_y from ``aps`` and ``raps`` scores, u uniform in [0, 1), one for each window. Exact coverage
        instead of too much, at the price of sets that depend on a draw (seeded by `seed`).
    penalty, free_rank : float, int
        λ and k_reg of ``raps``; ranks count from 1.
    seed : int
        Of the draws; calibration and prediction use independent streams of it.

    Attributes
    ----------
    alpha : float
    thresholds : dict
        Threshold by class or group; under the key ``None`` for ``all`` and ``balanced``. Needs a fit.

    References
    ----------
    M. Sadinle, J. Lei, L. Wasserman, "Least ambiguous set-valued classifiers with bounded error levels", JASA 2019.
    Y. Romano, M. Sesia, E. Candès, "Classification with valid and adaptive coverage", NeurIPS 2020.
    A. Angelopoulos, S. Bates, J. Malik, M. Jordan, "Uncertainty sets for image classifiers", ICLR 2021.
    Y. Lee, R. Foygel Barber, R. Willett, "Distribution-free inference with hierarchical data", arXiv:2306.06342, 2023,
    for groups that count the same.

    Examples
    --------
    >>> y_prob = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    >>> conformal = SplitConformal(method="lac", alpha=0.2).fit([0, 1, 1, 0], y_prob)
    >>> conformal.thresholds
    {None: 0.6}
    >>> conformal.predict([[0.55, 0.45], [0.95, 0.05]]).sets
    array([[ True,  True],
           [ True, False]])
    """

    thresholds: dict[Any, float]

    def __init__(
        self,
        method: Method = "lac",
        alpha: float | str = 0.1,
        *,
        within: Within = "all",
        randomized: bool = False,
        penalty: float = 0.01,
        free_rank: int = 1,
        seed: int = 0,
    ) -> None:
        choice("method", method, get_args(Method))
        choice("within", within, get_args(Within))
        whole("free_rank", free_rank, 0)
        if penalty < 0:
            raise ValueError(f"penalty: must be at least 0, got {penalty}.")
        if not 0 < float(alpha) < 1:
            raise ValueError(f"alpha: must lie between 0 and 1, got {alpha}.")
        self.method: Method = method
        self.alpha: float = float(alpha)
        self._exact_alpha = Fraction(Decimal(str(alpha)))
        self.within: Within = within
        self.randomized = randomized
        self.penalty = penalty
        self.free_rank = free_rank
        self.seed = seed

    def fit(self, y_true: npt.ArrayLike, y_prob: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> SplitConformal:
        """Set the thresholds from calibration windows, which must not have been used to fit the model.

        Parameters
        ----------
        y_true : array_like of int, shape (...)
            Class indices; windows labelled −1 are ignored.
        y_prob : array_like of float32 or float64, shape (..., K)
            Rows sum to 1 within 1e-4.
        groups : array_like of int or str, shape (...), optional
            Needed, and allowed, for ``within="group"`` and ``"balanced"``.

        Returns
        -------
        SplitConformal
            This object.

        Raises
        ------
        TypeError, ValueError
            As `nll`; `groups` missing or not wanted.
        """
        self._require_groups(groups, self.within in ("group", "balanced"))
        sample = scored(y_true, y_prob)
        scores = self._scores(sample.y_prob, stream=0)
        true_scores = np.take_along_axis(scores, sample.y_true[:, None], axis=1)[:, 0]
        self._n_classes = sample.n_classes
        self.thresholds = self._thresholds(true_scores, sample, groups)
        return self

    def predict(self, y_prob: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> PredictionSets:
        """Build the sets of new windows.

        Parameters
        ----------
        y_prob : array_like of float32 or float64, shape (..., K)
            Rows sum to 1 within 1e-4.
        groups : array_like of int or str, shape (...), optional
            Needed, and allowed, for ``within="group"``.

        Returns
        -------
        PredictionSets

        Raises
        ------
        RuntimeError
            Called before `fit`.
        TypeError, ValueError
            As `nll`; another number of classes than in calibration; `groups` missing or not wanted.
        """
        if not hasattr(self, "thresholds"):
            raise RuntimeError("SplitConformal: not fitted yet. Call fit(y_true, y_prob) on calibration windows first.")
        self._require_groups(groups, self.within == "group")
        prob = floats("y_prob", y_prob)
        if prob.ndim == 0 or prob.shape[-1] != self._n_classes:
            raise ValueError(
                f"y_prob: needs the {self._n_classes} classes of calibration last, got shape {prob.shape}."
            )
        rows = prob.reshape(-1, self._n_classes)
        check_rows("y_prob", rows)
        if groups is not None:
            by = grouped(groups, np.ones(len(rows), dtype=np.bool_))
            limit = np.array([self.thresholds.get(key, math.inf) for key in by.keys])[by.codes, None]
        elif self.within == "class":
            limit = np.array([self.thresholds[index] for index in range(self._n_classes)])
        else:
            limit = np.array(self.thresholds[None])
        sets = self._scores(rows, stream=1) <= limit
        return PredictionSets(sets.reshape(prob.shape), self.alpha)

    def __repr__(self) -> str:
        return f"SplitConformal(method={self.method!r}, alpha={self.alpha}, within={self.within!r})"

    def _require_groups(self, groups: npt.ArrayLike | None, wanted: bool) -> None:
        if wanted != (groups is not None):
            raise ValueError(f"groups: {'needed' if wanted else 'not used'} here with within={self.within!r}.")

    def _scores(self, prob: npt.NDArray[np.floating[Any]], stream: int) -> FloatArray:
        """Nonconformity of every class ``(N, K)``; the draws of stream 0 calibrate, those of stream 1 predict."""
        draws = np.random.default_rng([self.seed, stream]).random(len(prob)) if self.randomized else None
        return nonconformity(prob.astype(np.float64), self.method, draws, self.penalty, self.free_rank)

    def _thresholds(self, scores: FloatArray, sample: Scored, groups: npt.ArrayLike | None) -> dict[Any, float]:
        if self.within == "class":
            return {
                index: conformal_quantile(scores[sample.y_true == index], self._exact_alpha)
                for index in range(sample.n_classes)
            }
        if groups is None:
            return {None: conformal_quantile(scores, self._exact_alpha)}
        by = grouped(groups, sample.kept)
        if self.within == "balanced":
            return {None: balanced_quantile(scores, by, self._exact_alpha)}
        return {
            key: conformal_quantile(scores[by.codes == code], self._exact_alpha) for code, key in enumerate(by.keys)
        }


def nonconformity(
    prob: FloatArray, method: Method, draws: FloatArray | None, penalty: float, free_rank: int
) -> FloatArray:
    """Score every class ``(N, K)``; higher conforms less."""
    if method == "lac":
        return 1.0 - prob
    order = np.argsort(-prob, axis=1, kind="stable")
    descending = np.take_along_axis(prob, order, axis=1)
    ranked = np.cumsum(descending, axis=1)
    if draws is not None:
        ranked -= draws[:, None] * descending
    if method == "raps":
        rank = np.arange(1, prob.shape[1] + 1, dtype=np.float64)
        ranked += penalty * np.maximum(0.0, rank - free_rank)
    scores = np.empty_like(ranked)
    np.put_along_axis(scores, order, ranked, axis=1)
    return scores


def conformal_quantile(scores: FloatArray, alpha: Fraction) -> float:
    """Take the ⌈(n + 1)(1 − α)⌉-th smallest of n scores, infinity when there are not that many."""
    k = math.ceil((len(scores) + 1) * (1 - alpha))
    return math.inf if k > len(scores) else float(np.partition(scores, k - 1)[k - 1])


def balanced_quantile(scores: FloatArray, by: Groups, alpha: Fraction) -> float:
    """Take the (1 − α)-quantile where each of G groups weighs 1/(G + 1) and the rest lies at infinity."""
    order = np.argsort(scores, kind="stable")
    size = np.bincount(by.codes, minlength=by.n)
    reached = np.cumsum(1.0 / size[by.codes[order]])
    needed = float((by.n + 1) * (1 - alpha)) - 1e-9  # the slack of summing up to 10⁶ weights in float64
    index = int(np.searchsorted(reached, needed))
    return float(scores[order[index]]) if index < len(scores) else math.inf
