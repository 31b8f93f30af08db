"""`MetricsCalculator`: every figure that the given inputs allow, and none that they do not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy.typing as npt

from ._binning import Closed
from ._calibration import classwise_ece
from ._classification import Classes
from ._inputs import IGNORE, class_labels, predicted, scored
from ._results import record
from ._statistics import FROM_PREDICTIONS, FROM_PROBABILITIES, confusion_table, named
from ._sums import macro_f1_of

__all__ = ["Metrics", "MetricsCalculator"]

_NEEDS = {
    **dict.fromkeys(FROM_PREDICTIONS, "y_pred or y_prob"),
    **dict.fromkeys((*FROM_PROBABILITIES, "classwise_ece"), "y_prob"),
}


class Metrics:
    """Figures by name, as attributes; frozen.

    A figure whose inputs were not given is absent, never 0: reading it raises AttributeError and says what it needs,
    ``hasattr`` is False, and `to_dict` leaves it out. With no labelled window the figures are NaN.

    Attributes
    ----------
    n_windows : int
        Labelled windows.
    accuracy, balanced_accuracy, macro_f1, weighted_f1 : float
        Need `y_pred` or `y_prob`.
    nll, brier, ece, mce, rmsce, classwise_ece : float
        Need `y_prob`.

    Examples
    --------
    >>> metrics = MetricsCalculator().compute_all([0, 1], y_pred=[0, 0])
    >>> metrics.accuracy, hasattr(metrics, "ece")
    (0.5, False)
    """

    n_windows: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    weighted_f1: float
    nll: float
    brier: float
    ece: float
    mce: float
    rmsce: float
    classwise_ece: float

    def __init__(self, values: Mapping[str, float]) -> None:
        vars(self).update(values)

    def __iter__(self) -> Iterator[str]:
        """Names of the figures present."""
        return iter(vars(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Metrics) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(tuple(vars(self).items()))

    def __repr__(self) -> str:
        return f"Metrics({', '.join(f'{name}={value:.6g}' for name, value in vars(self).items())})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{name}: Metrics are frozen; compute_all makes new ones.")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{name}: Metrics are frozen; compute_all makes new ones.")

    if not TYPE_CHECKING:  # a type checker shall still refuse a misspelt name

        def __getattr__(self, name: str) -> NoReturn:
            if name in _NEEDS:
                raise AttributeError(f"{name}: absent, because compute_all was called without {_NEEDS[name]}.")
            raise AttributeError(f"{name}: no such figure; there are n_windows, {', '.join(_NEEDS)}.")

    def to_dict(self) -> dict[str, Any]:
        """Write the figures present, JSON-safe: one that is not finite is null, and ``reason`` says why."""
        finite = all(math.isfinite(value) for value in vars(self).values())
        reason = (
            "no labelled window" if not self.n_windows else "nll is infinite: probability 0 was given to a true class"
        )
        return record(vars(self), "" if finite else reason)


@dataclass(frozen=True, kw_only=True)
class MetricsCalculator:
    """Computes all figures that the inputs allow, under one set of conventions.

    Parameters
    ----------
    n_bins, closed
        Bins of the calibration errors, as `reliability` (equal width).
    classes : {"present", "true", "all"}
        Which classes the macro-F1 runs over, as `f1_score`.

    Examples
    --------
    >>> y_prob = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    >>> metrics = MetricsCalculator(n_bins=5).compute_all([0, 1, 1], y_prob=y_prob)
    >>> round(metrics.accuracy, 3), round(metrics.ece, 3)
    (0.667, 0.3)
    """

    n_bins: int = 15
    closed: Closed = "right"
    classes: Classes = "present"

    def compute_all(
        self,
        y_true: npt.ArrayLike,
        y_pred: npt.ArrayLike | None = None,
        y_prob: npt.ArrayLike | None = None,
    ) -> Metrics:
        """All figures of `Metrics` whose inputs are given.

        Parameters
        ----------
        y_true : array_like of int, shape (...)
            Class indices; windows labelled −1 are ignored.
        y_pred : array_like of int, shape (...), optional
            Predicted classes; by default the top class of `y_prob` (ties: the lowest index). Given beside `y_prob`,
            as after temporal smoothing, it decides accuracy and F1, while the calibration errors judge the top class
            of `y_prob`.
        y_prob : array_like of float32 or float64, shape (..., K), optional
            Rows sum to 1 within 1e-4.

        Returns
        -------
        Metrics

        Raises
        ------
        TypeError, ValueError
            As `confusion_matrix` and `nll`.
        """
        values: dict[str, float] = {"n_windows": int((class_labels("y_true", y_true) != IGNORE).sum())}
        by_prob = None if y_prob is None else scored(y_true, y_prob)
        by_pred = by_prob
        if y_pred is not None:
            by_pred = predicted(y_true, y_pred, None if by_prob is None else by_prob.n_classes)
        if by_pred is not None:
            values |= {name: named(name, by_pred).value() for name in FROM_PREDICTIONS}
            values["macro_f1"] = float(macro_f1_of(confusion_table(by_pred)()[0], self.classes))
        if by_prob is not None and y_prob is not None:
            n_bins, closed = self.n_bins, self.closed
            values |= {name: named(name, by_prob, n_bins=n_bins, closed=closed).value() for name in FROM_PROBABILITIES}
            values["classwise_ece"] = classwise_ece(y_true, y_prob, n_bins=n_bins, closed=closed)
        return Metrics(values)
