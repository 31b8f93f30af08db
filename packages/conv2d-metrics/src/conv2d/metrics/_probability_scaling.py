"""Calibrators of probabilities, one class against the rest: isotonic regression and Venn–Abers predictors."""

# scikit-learn ships no type stubs; what comes from it is cast where it enters.
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ._inputs import FloatArray, Probabilities, Scored, check_rows, floats, scored


class _OneVsRest(ABC):
    """What the two share: one map a class (of two classes only that of class 1), applied and made to sum to 1."""

    n_windows: int
    _n_classes: int

    def transform(self, y_prob: npt.ArrayLike) -> Probabilities:
        """Calibrated probabilities.

        Parameters
        ----------
        y_prob : array_like of float32 or float64, shape (..., K)
            Rows sum to 1 within 1e-4.

        Returns
        -------
        ndarray of the dtype of `y_prob`, shape (..., K)
            Each class is mapped on its own and the row divided by its sum; a row in which every class came out 0 keeps
            what it was. Of two classes, class 1 is mapped and class 0 is the rest.

        Raises
        ------
        RuntimeError
            Called before `fit`.
        TypeError, ValueError
            As `nll`; another number of classes than in `fit`.
        """
        prob, rows = self._rows(y_prob)
        exact = rows.astype(np.float64)
        if self._n_classes == 2:
            one = self._map(1, exact[:, 1])
            mapped = np.stack([1 - one, one], axis=1)
        else:
            mapped = np.stack([self._map(index, column) for index, column in enumerate(exact.T)], axis=1)
            total = mapped.sum(axis=1, keepdims=True)
            mapped = np.where(total > 0, mapped / np.where(total > 0, total, 1.0), exact)
        return mapped.reshape(prob.shape).astype(prob.dtype, copy=False)

    @abstractmethod
    def _map(self, index: int, probability: FloatArray) -> FloatArray:
        """Calibrate the probability of one class ``(N,)``."""

    def _start(self, y_true: npt.ArrayLike, y_prob: npt.ArrayLike) -> Scored:
        sample = scored(y_true, y_prob)
        if not len(sample.y_true):
            raise ValueError("y_true: a calibrator needs at least one labelled window, and there is none.")
        self._n_classes, self.n_windows = sample.n_classes, len(sample.y_true)
        return sample

    def _rows(self, y_prob: npt.ArrayLike) -> tuple[Probabilities, Probabilities]:
        if not hasattr(self, "n_windows"):
            raise RuntimeError(
                f"{type(self).__name__}: not fitted yet. Call fit(y_prob, y_true) on calibration windows first."
            )
        prob = floats("y_prob", y_prob)
        if prob.ndim == 0 or prob.shape[-1] != self._n_classes:
            raise ValueError(f"y_prob: needs the {self._n_classes} classes of the fit last, got shape {prob.shape}.")
        rows = prob.reshape(-1, self._n_classes)
        check_rows("y_prob", rows)
        return prob, rows


class IsotonicScaling(_OneVsRest):
    """Isotonic regression of "the label is this class" on its probability, for each class against the rest.

    Any rising map is allowed, so it corrects what no temperature can, and overfits below some thousand windows. Wraps
    scikit-learn's; install ``conv2d-metrics[isotonic]``. What is fitted is kept as plain arrays, and `transform` needs
    numpy alone.

    Attributes
    ----------
    n_windows : int
        Labelled windows of the fit.

    References
    ----------
    B. Zadrozny, C. Elkan, "Transforming classifier scores into accurate multiclass probability estimates", KDD 2002.

    Examples
    --------
    >>> y_prob = np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6], [0.2, 0.8]])
    >>> IsotonicScaling().fit(y_prob, [0, 1, 0, 1]).transform(y_prob)[:, 1]
    array([0. , 0.5, 0.5, 1. ])
    """

    def fit(self, y_prob: npt.ArrayLike, y_true: npt.ArrayLike) -> IsotonicScaling:
        """Fit one map a class.

        Parameters
        ----------
        y_prob : array_like of float32 or float64, shape (..., K)
            Rows sum to 1 within 1e-4.
        y_true : array_like of int, shape (...)
            Class indices; windows labelled −1 are ignored.

        Returns
        -------
        IsotonicScaling
            This object.

        Raises
        ------
        ModuleNotFoundError
            scikit-learn is not installed.
        TypeError, ValueError
            As `nll`; no labelled window.
        """
        try:
            from sklearn.isotonic import IsotonicRegression
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "IsotonicScaling needs scikit-learn: install conv2d-metrics[isotonic]."
            ) from error
        sample = self._start(y_true, y_prob)
        self._maps: list[tuple[FloatArray, FloatArray]] = []
        for index in range(self._n_classes):
            regression: Any = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
            regression.fit(sample.y_prob[:, index].astype(np.float64), (sample.y_true == index).astype(np.float64))
            knots = cast("tuple[FloatArray, FloatArray]", (regression.X_thresholds_, regression.y_thresholds_))
            self._maps.append(knots)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Write the fitted state as JSON-safe values: the knots of each class; `from_dict` reads it back."""
        self._rows(np.zeros((0, getattr(self, "_n_classes", 0))))
        return {"knots": [[x.tolist(), y.tolist()] for x, y in self._maps], "n_windows": self.n_windows}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> IsotonicScaling:
        """Make a fitted calibrator from `to_dict`.

        Raises
        ------
        ValueError
            A key is missing or unknown, or a map is not knots of rising probability.
        """
        if set(state) != {"knots", "n_windows"}:
            raise ValueError(f"state: keys must be knots and n_windows, got {sorted(state)}.")
        calibrator = cls()
        calibrator._maps = [(np.array(x, dtype=np.float64), np.array(y, dtype=np.float64)) for x, y in state["knots"]]
        if any(x.shape != y.shape or (np.diff(x) <= 0).any() or (np.diff(y) < 0).any() for x, y in calibrator._maps):
            raise ValueError("state['knots']: each map must be rising knots, as many places as values.")
        calibrator._n_classes, calibrator.n_windows = len(calibrator._maps), state["n_windows"]
        return calibrator

    def _map(self, index: int, probability: FloatArray) -> FloatArray:
        x, y = self._maps[index]
        return np.interp(probability, x, y)


class VennAbers(_OneVsRest):
    """Inductive Venn–Abers predictors: for each class a pair of probabilities, one of which is right.

    Isotonic regression, once with the new window counted as of the class and once as not: p1 and p0. If calibration and
    new windows are exchangeable, the one that belongs to the window's label is perfectly calibrated, for any model and
    any number of windows. Their distance says how much the calibration set is worth there.
    `transform` merges them to p1/(1 − p0 + p1), which minimises the worst-case log loss.

    Attributes
    ----------
    n_windows : int
        Labelled windows of the fit.

    References
    ----------
    V. Vovk, I. Petej, V. Fedorova, "Large-scale probabilistic predictors with and without guarantees of validity",
    NeurIPS 2015.

    Examples
    --------
    >>> y_prob = np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6], [0.2, 0.8]])
    >>> predictor = VennAbers().fit(y_prob, [0, 0, 1, 1])
    >>> low, high = predictor.pairs([[0.5, 0.5]])
    >>> low[0], high[0]
    (array([0., 0.]), array([1., 1.]))
    >>> predictor.transform([[0.1, 0.9]])
    array([[0.25, 0.75]])
    """

    def fit(self, y_prob: npt.ArrayLike, y_true: npt.ArrayLike) -> VennAbers:
        """Prepare the pairs of every possible probability.

        Parameters
        ----------
        y_prob : array_like of float32 or float64, shape (..., K)
            Rows sum to 1 within 1e-4.
        y_true : array_like of int, shape (...)
            Class indices; windows labelled −1 are ignored.

        Returns
        -------
        VennAbers
            This object.

        Raises
        ------
        TypeError, ValueError
            As `nll`; no labelled window.
        """
        sample = self._start(y_true, y_prob)
        self._scores: list[FloatArray] = []
        self._low: list[FloatArray] = []
        self._high: list[FloatArray] = []
        for index in range(self._n_classes):
            score, place = np.unique(sample.y_prob[:, index].astype(np.float64), return_inverse=True)
            hits = np.bincount(place, (sample.y_true == index).astype(np.float64)).astype(np.float64)
            count = np.bincount(place).astype(np.float64)
            self._scores.append(score)
            self._high.append(np.append(_upper(count, hits), 1.0))
            # Turned round, hits and misses swapped, the lower probability is the upper one.
            self._low.append(np.append(0.0, 1.0 - _upper(count[::-1], (count - hits)[::-1])[::-1]))
        return self

    def pairs(self, y_prob: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Lower and upper probability of every class.

        Parameters
        ----------
        y_prob : array_like of float32 or float64, shape (..., K)
            Rows sum to 1 within 1e-4.

        Returns
        -------
        low, high : ndarray of float64, shape (..., K)
            p0 ≤ p1 of each class against the rest.

        Raises
        ------
        RuntimeError, TypeError, ValueError
            As `transform`.
        """
        prob, rows = self._rows(y_prob)
        pairs = [self._pair(index, column.astype(np.float64)) for index, column in enumerate(rows.T)]
        low, high = (np.stack(side, axis=1).reshape(prob.shape) for side in zip(*pairs, strict=True))
        return low, high

    def _pair(self, index: int, probability: FloatArray) -> tuple[FloatArray, FloatArray]:
        score = self._scores[index]
        low = self._low[index][np.searchsorted(score, probability, side="right")]
        high = self._high[index][np.searchsorted(score, probability, side="left")]
        return low, high

    def _map(self, index: int, probability: FloatArray) -> FloatArray:
        low, high = self._pair(index, probability)
        return high / (1 - low + high)


def _upper(count: FloatArray, hits: FloatArray) -> FloatArray:
    """Isotonic value at each distinct score ``(M,)`` when one more hit is counted there.

    The value at place i is the slope, at i, of the greatest convex minorant of the cumulative sums, whose part before i
    starts one step lower and to the left. Going from left to right, that minorant changes by one corner at a time, so
    all places take one pass over a stack of corners (Vovk et al., algorithms 1 and 2).
    """
    across, up = np.append(0.0, np.cumsum(count)).tolist(), np.append(0.0, np.cumsum(hits)).tolist()

    def below(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
        """Whether b lies below the line from a to c."""
        return (b[1] - a[1]) * (c[0] - a[0]) < (c[1] - a[1]) * (b[0] - a[0])

    corners: list[tuple[float, float]] = []  # from right to left: the leftmost on top of the stack
    for point in [(-1.0, -1.0), *zip(across, up, strict=True)][::-1]:
        while len(corners) > 1 and not below(point, corners[-1], corners[-2]):
            corners.pop()
        corners.append(point)
    out = np.empty(len(count))
    for i in range(len(count)):
        (x0, y0), (x1, y1) = corners[-1], corners[-2]
        out[i] = (y1 - y0) / (x1 - x0)
        moved = (across[i + 1] - 1.0, up[i + 1] - 1.0)  # the sum after place i, with the added hit not yet counted
        if not below(corners[-1], moved, corners[-2]):
            continue
        corners.pop()
        while len(corners) > 1 and not below(moved, corners[-1], corners[-2]):
            corners.pop()
        corners.append(moved)
    return out
