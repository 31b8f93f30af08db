"""`MetricsCalculator`: every figure that the given inputs allow, and none that they do not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy.typing as npt

from ._binning import Closed
from ._classification import Classes
from ._inputs import IGNORE, FloatArray, class_labels, predicted, scored
from ._ranking import auroc, average_precision_score, top_k_accuracy
from ._results import record
from ._statistics import FIGURES, FROM_PREDICTIONS, FROM_PROBABILITIES, table_of
from ._sums import macro_f1_of

__all__ = ["Metrics", "MetricsCalculator"]

_RANKINGS = ("top_k_accuracy", "auroc", "average_precision")
_NEEDS = {
    **dict.fromkeys(FROM_PREDICTIONS, "y_pred or y_prob"),
    **dict.fromkeys((*FROM_PROBABILITIES, *_RANKINGS), "y_prob"),
}
_UNDEFINED = {
    "nll": "nll is infinite: probability 0 was given to a true class",
    "mcc": "mcc has no meaning where all labels, or all predictions, are of one class",
    "kappa": "kappa has no meaning where all labels and predictions are of one class",
    "auroc": "auroc needs labels of more than one class",
    "average_precision": "average_precision needs labels of class 1",
}


class Metrics:
    """Figures by name, as attributes; frozen.

    A figure whose inputs were not given is absent, never 0: reading it raises AttributeError and says what it needs,
    ``hasattr`` is False, and `to_dict` leaves it out. With no labelled window the figures are NaN.

    Attributes
    ----------
    n_windows : int
        Labelled windows.
    accuracy, balanced_accuracy, macro_f1, micro_f1, weighted_f1, mcc, kappa : float
        Need `y_pred` or `y_prob`.
    coverage : float
        `class_coverage`: share of the labelled classes that are predicted at all.
    motif_count : float
        Different classes predicted.
    nll, brier, ece, mce, rmsce, classwise_ece, smooth_ece, top_k_accuracy, auroc, average_precision : float
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
    micro_f1: float
    weighted_f1: float
    mcc: float
    kappa: float
    coverage: float
    motif_count: float
    nll: float
    brier: float
    ece: float
    mce: float
    rmsce: float
    classwise_ece: float
    smooth_ece: float
    top_k_accuracy: float
    auroc: float
    average_precision: float

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
        if not self.n_windows:
            return record(vars(self), "no labelled window")
        undefined = [name for name, value in vars(self).items() if not math.isfinite(value)]
        return record(vars(self), "; ".join(_UNDEFINED.get(name, f"{name} is undefined") for name in undefined))


@dataclass(frozen=True, kw_only=True)
class MetricsCalculator:
    """Computes all figures that the inputs allow, under one set of conventions.

    Parameters
    ----------
    n_bins, closed
        Bins of the calibration errors, as `reliability` (equal width).
    classes : {"present", "true", "all"}
        Which classes the macro-F1 runs over, as `f1_score`.
    k : int
        Of `top_k_accuracy`.

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
    k: int = 3

    def compute_all(
        self,
        y_true: npt.ArrayLike,
        y_pred: npt.ArrayLike | None = None,
        y_prob: npt.ArrayLike | None = None,
        *,
        sample_weight: npt.ArrayLike | None = None,
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
        sample_weight : array_like, shape (...), optional
            As `accuracy`.

        Returns
        -------
        Metrics

        Raises
        ------
        TypeError, ValueError
            As `confusion_matrix` and `nll`.
        """
        values: dict[str, float] = {"n_windows": int((class_labels("y_true", y_true) != IGNORE).sum())}
        by_prob = None if y_prob is None else scored(y_true, y_prob, sample_weight)
        by_pred = by_prob
        if y_pred is not None:
            n_classes = None if by_prob is None else by_prob.n_classes
            by_pred = predicted(y_true, y_pred, n_classes, sample_weight)
        tables: dict[str, FloatArray] = {}
        for name in dict.fromkeys(table for table, _ in FIGURES.values()):
            sample = by_pred if name == "confusion" else by_prob
            if sample is not None:
                tables[name] = table_of(name, sample, self.n_bins, self.closed)()[0]
        values |= figures_of(tables, self.classes)
        if by_prob is not None and y_prob is not None:
            values["top_k_accuracy"] = top_k_accuracy(y_true, y_prob, k=self.k, sample_weight=sample_weight)
            values["auroc"] = auroc(y_true, y_prob, sample_weight=sample_weight)
            values["average_precision"] = average_precision_score(y_true, y_prob, sample_weight=sample_weight)
        return Metrics(values)


def figures_of(tables: Mapping[str, FloatArray], classes: Classes) -> dict[str, float]:
    """Compute the figures whose tables of sums are there."""
    figures = {name: float(figure(tables[table])) for name, (table, figure) in FIGURES.items() if table in tables}
    if "confusion" in tables:
        figures["macro_f1"] = float(macro_f1_of(tables["confusion"], classes))
    return figures
