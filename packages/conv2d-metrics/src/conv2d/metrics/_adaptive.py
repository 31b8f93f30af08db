"""Prediction sets for a stream: the rate asked for is steered so that the misses come out right in the long run."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._conformal import PredictionSets
from ._conformal_quantiles import exact_rate
from ._inputs import IGNORE, FloatArray, IntArray, check_rows, class_labels, floats, scored
from ._nonconformity import Method, Score
from ._results import record


@dataclass(frozen=True)
class AdaptiveRun:
    """What became of a stream.

    Attributes
    ----------
    sets : PredictionSets
        Of shape (T, K), each made before its label was seen.
    alphas : ndarray of float64, shape (T,)
        The rate of misses that each set was made for; below 0 the set is full, above 1 empty.
    misses : ndarray of int64, shape (T,)
        1 where the set did not hold the label, 0 where it did, −1 where there was no label.

    Examples
    --------
    >>> run = AdaptiveConformal(alpha=0.5, step=0.1).fit([0], [[0.6, 0.4]]).run([1, 0], [[0.7, 0.3], [0.7, 0.3]])
    >>> run.misses, run.alphas
    (array([1, 0]), array([0.5 , 0.45]))
    """

    sets: PredictionSets
    alphas: FloatArray
    misses: IntArray

    @property
    def miss_rate(self) -> float:
        """Share of labelled steps that were missed, NaN if there are none."""
        labelled = self.misses != IGNORE
        return float(self.misses[labelled].mean()) if labelled.any() else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Write the numbers, JSON-safe, without the sets themselves."""
        rate = self.miss_rate
        fields = {"alpha": self.sets.alpha, "miss_rate": rate, "sizes": self.sets.sizes, "alphas": self.alphas}
        return record(fields | {"misses": self.misses}, "no labelled step" if math.isnan(rate) else "")


class AdaptiveConformal:
    """Adaptive conformal inference: sets for a stream whose windows depend on each other or drift.

    Split conformal sets promise nothing then. Here a miss lowers the rate asked for next, αₜ₊₁ = αₜ + γ(α − missₜ), and
    whatever the stream does, over T labelled steps the rate of misses differs from α by at most
    (max(α, 1 − α) + γ)/(γT). That is a promise about the stream as a whole, not about any part of it.

    Parameters
    ----------
    method : {"lac", "aps", "raps"}
        As `SplitConformal`.
    alpha : float or str
        Rate of misses aimed at, in (0, 1).
    step : float
        γ > 0. Larger follows faster and sways more.
    window : int, optional
        Calibrate on the scores of the latest `window` labelled steps, those of `fit` to begin with. By default the
        scores of `fit` are kept throughout.
    penalty, free_rank
        As `SplitConformal`.

    Attributes
    ----------
    rate : float
        αₜ, the rate that the next set is made for.

    References
    ----------
    I. Gibbs, E. Candès, "Adaptive conformal inference under distribution shift", NeurIPS 2021.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y_prob = rng.dirichlet(np.ones(3), size=3000)
    >>> y_true = np.where(np.arange(3000) < 1500, y_prob.argmax(axis=1), y_prob.argmin(axis=1))  # the stream turns
    >>> run = AdaptiveConformal(alpha=0.1, step=0.05).fit(y_true[:500], y_prob[:500]).run(y_true[500:], y_prob[500:])
    >>> abs(run.miss_rate - 0.1) < 0.02
    True
    """

    method: Method
    alpha: float
    rate: float

    def __init__(
        self,
        method: Method = "lac",
        alpha: float | str = 0.1,
        *,
        step: float = 0.01,
        window: int | None = None,
        penalty: float = 0.01,
        free_rank: int = 1,
    ) -> None:
        exact_rate(alpha)
        if not step > 0:
            raise ValueError(f"step: must be above 0, got {step}.")
        if window is not None and window < 1:
            raise ValueError(f"window: must be at least 1, got {window}.")
        self.method = method
        self.alpha = float(alpha)
        self.step = step
        self.window = window
        self._score = Score(method, penalty, free_rank)

    def fit(self, y_true: npt.ArrayLike, y_prob: npt.ArrayLike) -> AdaptiveConformal:
        """Score calibration windows, and start anew at αₜ = α.

        Parameters
        ----------
        y_true : array_like of int, shape (...)
            Class indices; windows labelled −1 are ignored.
        y_prob : array_like of float32 or float64, shape (..., K)
            Rows sum to 1 within 1e-4.

        Returns
        -------
        AdaptiveConformal
            This object.

        Raises
        ------
        TypeError, ValueError
            As `nll`.
        """
        sample = scored(y_true, y_prob)
        scores = self._score.of_true(sample.y_prob, sample.y_true).tolist()
        self._latest = deque(scores if self.window is None else scores[-self.window :])
        self._ordered = sorted(self._latest)
        self._n_classes = sample.n_classes
        self.rate = self.alpha
        return self

    def run(self, y_true: npt.ArrayLike, y_prob: npt.ArrayLike) -> AdaptiveRun:
        """Go through a stream: at each step a set, then the label. The state carries over to the next call.

        Parameters
        ----------
        y_true : array_like of int, shape (T,)
            In the order of time; −1 where no label came, which changes nothing.
        y_prob : array_like of float32 or float64, shape (T, K)
            Rows sum to 1 within 1e-4.

        Returns
        -------
        AdaptiveRun

        Raises
        ------
        RuntimeError
            Called before `fit`.
        TypeError, ValueError
            Wrong types or shapes, or another number of classes than in `fit`.
        """
        if not hasattr(self, "rate"):
            raise RuntimeError("AdaptiveConformal: not fitted yet. Call fit(y_true, y_prob) on earlier windows first.")
        true, prob = class_labels("y_true", y_true), floats("y_prob", y_prob)
        if true.ndim != 1 or prob.shape != (len(true), self._n_classes):
            raise ValueError(
                f"y_prob: a stream is y_true (T,) and y_prob (T, {self._n_classes}), got {true.shape} and {prob.shape}."
            )
        if true.size and true.max() >= self._n_classes:
            raise ValueError(
                f"y_true: label {true.max()} has no column in y_prob, which has {self._n_classes} classes."
            )
        check_rows("y_prob", prob)
        scores = self._score.of_true(prob, np.maximum(true, 0)).tolist()
        alphas, limits = np.empty(len(true)), np.empty(len(true))
        misses = np.full(len(true), IGNORE, dtype=np.int64)
        for t, (score, label) in enumerate(zip(scores, true.tolist(), strict=True)):
            alphas[t], limits[t] = self.rate, self._limit()
            if label != IGNORE:
                misses[t] = score > limits[t]
                self.rate += self.step * (self.alpha - float(misses[t]))
                self._learn(score)
        return AdaptiveRun(PredictionSets(self._score.sets(prob, limits[:, None]), self.alpha), alphas, misses)

    def _limit(self) -> float:
        k = math.ceil((len(self._ordered) + 1) * (1 - self.rate) - 1e-9)
        if k > len(self._ordered):
            return math.inf
        return self._ordered[k - 1] if k > 0 else -math.inf

    def _learn(self, score: float) -> None:
        if self.window is None:
            return
        self._latest.append(score)
        insort(self._ordered, score)
        if len(self._latest) > self.window:
            del self._ordered[bisect_left(self._ordered, self._latest.popleft())]
