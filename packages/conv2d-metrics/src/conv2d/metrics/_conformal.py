"""Conformal prediction sets: sets of classes that hold the true one with a chosen probability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from ._blocks import block_codes
from ._conformal_quantiles import WeightedQuantile, balanced_quantile, conformal_quantile, exact_rate
from ._inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    Scored,
    check_rows,
    choice,
    floats,
    grouped,
    labelled_weights,
    scored,
)
from ._nonconformity import Method, Score
from ._results import record

Within = Literal["all", "class", "group", "balanced", "block"]


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

    def to_dict(self) -> dict[str, Any]:
        """Write `sets`, `sizes` and `alpha`, JSON-safe."""
        return record({"sets": self.sets, "sizes": self.sizes, "alpha": self.alpha})


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
    within : {"all", "class", "group", "balanced", "block"}
        Which calibration windows set a threshold. ``all``: all of them, one threshold. ``class``: those of each class,
        for coverage in every class (Mondrian). ``group``: those of each group, for coverage in every known group;
        a group without calibration gets full sets. ``balanced``: one threshold for new groups (subjects), where each
        group counts the same however many windows it has, and the group to come as one more whose scores are infinite:
        with G groups, α < 1/(G + 1) allows no promise and gives full sets. ``block``: as ``balanced`` over blocks of
        `block_length` neighbouring windows, for one long recording whose windows depend on their neighbours: they are
        fewer than they seem, and the threshold is the more careful.
    randomized : bool
        Subtract u·p_y from ``aps`` and ``raps`` scores, u uniform in [0, 1), one for each window. Exact coverage
        instead of too much, at the price of sets that depend on a draw (seeded by `seed`).
    penalty, free_rank : float, int
        λ and k_reg of ``raps``; ranks count from 1.
    seed : int
        Of the draws; calibration and prediction use independent streams of it.
    block_length : int, optional
        In windows; for ``within="block"``, and only there.
    score : {"lac", "aps", "raps"}, optional
        Another name for `method`.

    Attributes
    ----------
    alpha : float
    thresholds : dict
        Threshold by class or group; under the key ``None`` for ``all``, ``balanced`` and ``block``. Needs a fit. Empty
        after a weighted one, where each new window has its own.
    n_effective : float
        Calibration windows behind the thresholds; with weights Kish's effective number (Σw)²/Σw². Needs a fit.

    References
    ----------
    M. Sadinle, J. Lei, L. Wasserman, "Least ambiguous set-valued classifiers with bounded error levels", JASA 2019.
    Y. Romano, M. Sesia, E. Candès, "Classification with valid and adaptive coverage", NeurIPS 2020.
    A. Angelopoulos, S. Bates, J. Malik, M. Jordan, "Uncertainty sets for image classifiers", ICLR 2021.
    Y. Lee, R. Foygel Barber, R. Willett, "Distribution-free inference with hierarchical data", arXiv:2306.06342, 2023,
    for groups that count the same.
    R. J. Tibshirani, R. Foygel Barber, E. Candès, A. Ramdas, "Conformal prediction under covariate shift", NeurIPS 2019.

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
    n_effective: float

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
        block_length: int | None = None,
        score: Method | None = None,
    ) -> None:
        if score is not None and method not in ("lac", score):
            raise ValueError(f"score={score!r}: is another name for method, which is {method!r}; give one of them.")
        choice("within", within, get_args(Within))
        if (block_length is not None) != (within == "block"):
            raise ValueError(f"block_length: {'needed' if within == 'block' else 'not used'} with within={within!r}.")
        self.method: Method = method if score is None else score
        self._score = Score(self.method, penalty, free_rank)
        self._exact_alpha = exact_rate(alpha)
        self.alpha: float = float(alpha)
        self.within: Within = within
        self.randomized = randomized
        self.seed = seed
        self.block_length = block_length

    def fit(
        self,
        y_true: npt.ArrayLike,
        y_prob: npt.ArrayLike,
        groups: npt.ArrayLike | None = None,
        *,
        sample_weight: npt.ArrayLike | None = None,
    ) -> SplitConformal:
        """Set the thresholds from calibration windows, which must not have been used to fit the model.

        Parameters
        ----------
        y_true : array_like of int, shape (...)
            Class indices; windows labelled −1 are ignored.
        y_prob : array_like of float32 or float64, shape (..., K)
            Rows sum to 1 within 1e-4.
        groups : array_like of int or str, shape (...), optional
            Needed for ``within="group"`` and ``"balanced"``; for ``"block"``, the recordings that no block may span
            (without them, blocks run along the last axis of `y_true`).
        sample_weight : array_like, shape (...), optional
            For new windows that are distributed otherwise (covariate shift): how much more often a window like this
            comes among them than in calibration, up to a factor. Needs ``within="all"``, and weights in `predict`.

        Returns
        -------
        SplitConformal
            This object.

        Raises
        ------
        TypeError, ValueError
            As `nll`; `groups` or `sample_weight` missing or not wanted.
        """
        if self.within != "block":
            self._require_groups(groups, self.within in ("group", "balanced"))
        if sample_weight is not None and self.within != "all":
            raise ValueError(f"sample_weight: weights go with within='all', not with {self.within!r}.")
        sample = scored(y_true, y_prob, sample_weight, rank=False)
        scores = self._score.of_true(sample.y_prob, sample.y_true, self._draws(len(sample.y_prob), stream=0))
        self._n_classes = sample.n_classes
        self._weighted: WeightedQuantile | None = None
        if sample.weight is None:
            self.n_effective = float(len(scores))
            if self.within == "block":
                groups = block_codes(np.shape(y_true), groups, self.block_length or 1)
            self.thresholds = self._thresholds(scores, sample, groups)
        else:
            self._weighted = WeightedQuantile(scores, sample.weight, self._exact_alpha)
            square = float((sample.weight**2).sum())
            self.n_effective = float(sample.weight.sum()) ** 2 / square if square else 0.0
            self.thresholds = {}
        return self

    def predict(
        self,
        y_prob: npt.ArrayLike,
        groups: npt.ArrayLike | None = None,
        *,
        sample_weight: npt.ArrayLike | None = None,
    ) -> PredictionSets:
        """Build the sets of new windows.

        Parameters
        ----------
        y_prob : array_like of float32 or float64, shape (..., K)
            Rows sum to 1 within 1e-4.
        groups : array_like of int or str, shape (...), optional
            Needed, and allowed, for ``within="group"``.
        sample_weight : array_like, shape (...), optional
            Needed, and allowed, after a weighted fit: the same ratio for the new windows. One that is rare in
            calibration weighs much and gets a large set.

        Returns
        -------
        PredictionSets

        Raises
        ------
        RuntimeError
            Called before `fit`.
        TypeError, ValueError
            As `nll`; another number of classes than in calibration; `groups` or `sample_weight` missing or not wanted.
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
        if (sample_weight is None) != (self._weighted is None):
            wanted = "not used: the fit was without" if self._weighted is None else "needed: the fit was with"
            raise ValueError(f"sample_weight: {wanted} weights.")
        everyone = np.ones(len(rows), dtype=np.bool_)
        if self._weighted is not None:
            weight = labelled_weights(sample_weight, prob.shape[:-1], everyone)
            limit = self._weighted.at(np.ones(len(rows)) if weight is None else weight)[:, None]
        elif groups is not None:
            by = grouped(groups, everyone)
            limit = np.array([self.thresholds.get(key, math.inf) for key in by.keys])[by.codes, None]
        elif self.within == "class":
            limit = np.array([[self.thresholds[index] for index in range(self._n_classes)]])
        else:
            limit = np.array(self.thresholds[None])
        sets = self._score.sets(rows, limit, self._draws(len(rows), stream=1))
        return PredictionSets(sets.reshape(prob.shape), self.alpha)

    def __repr__(self) -> str:
        return f"SplitConformal(method={self.method!r}, alpha={self.alpha}, within={self.within!r})"

    def _require_groups(self, groups: npt.ArrayLike | None, wanted: bool) -> None:
        if wanted != (groups is not None):
            raise ValueError(f"groups: {'needed' if wanted else 'not used'} here with within={self.within!r}.")

    def _draws(self, n_rows: int, stream: int) -> FloatArray | None:
        """Draw one number a row if randomized; stream 0 calibrates, stream 1 predicts."""
        if not self.randomized or self.method == "lac":
            return None
        return np.random.default_rng([self.seed, stream]).random(n_rows)

    def _thresholds(self, scores: FloatArray, sample: Scored, groups: npt.ArrayLike | None) -> dict[Any, float]:
        if self.within == "class":
            return {
                index: conformal_quantile(scores[sample.y_true == index], self._exact_alpha)
                for index in range(sample.n_classes)
            }
        if groups is None:
            return {None: conformal_quantile(scores, self._exact_alpha)}
        by = grouped(groups, sample.kept)
        if self.within in ("balanced", "block"):
            return {None: balanced_quantile(scores, by, self._exact_alpha)}
        return {
            key: conformal_quantile(scores[by.codes == code], self._exact_alpha) for code, key in enumerate(by.keys)
        }
