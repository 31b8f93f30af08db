"""Accuracy, F1 and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from . import _sums
from ._confusion import counted
from ._inputs import FloatArray, IntArray, choice, predicted
from ._results import record

Classes = Literal["present", "true", "all"]
Average = Literal["macro", "weighted", "micro"]


def confusion_matrix(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    n_classes: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> IntArray | FloatArray:
    """Count windows by true and predicted class.

    Parameters
    ----------
    y_true : array_like of int, any shape
        Class indices; windows labelled −1 are ignored.
    y_pred : array_like of int, the shape of `y_true`
        Predicted class indices.
    n_classes : int, optional
        K; by default one more than the highest index that occurs.
    sample_weight : array_like, shape of `y_true`, optional
        As `accuracy`.

    Returns
    -------
    ndarray of int64 (with weights float64), shape (K, K)
        Row = true class, column = predicted class (as scikit-learn).

    Raises
    ------
    TypeError
        A label is not an integer.
    ValueError
        Shapes differ, an index is out of range.

    Examples
    --------
    >>> confusion_matrix([0, 0, 1, -1], [0, 1, 1, 0])
    array([[1, 1],
           [0, 1]])
    """
    table = weighted_confusion(y_true, y_pred, n_classes, sample_weight)
    return table if sample_weight is not None else table.astype(np.int64)


def accuracy(y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None) -> float:
    """Share of labelled windows whose class was predicted.

    Parameters
    ----------
    y_true, y_pred : array_like of int, same shape
        Class indices; windows labelled −1 are ignored.
    sample_weight : array_like, shape of `y_true`, optional
        How much each window counts, at least 0 and finite. A weight of 2 is the window twice, one of 0 is none.

    Returns
    -------
    float
        In [0, 1]; NaN when no window is labelled.

    Raises
    ------
    TypeError, ValueError
        As `confusion_matrix`.

    Examples
    --------
    >>> accuracy([0, 1, 1, -1], [0, 1, 0, 0])
    0.6666666666666666
    """
    return float(_sums.accuracy_of(weighted_confusion(y_true, y_pred, sample_weight=sample_weight)))


def balanced_accuracy(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Mean recall over the classes that occur in the labels.

    A class that is only predicted has no recall and is left out (as scikit-learn).

    Parameters
    ----------
    y_true, y_pred : array_like of int, same shape
        Class indices; windows labelled −1 are ignored.
    sample_weight : array_like, shape of `y_true`, optional
        As `accuracy`.

    Returns
    -------
    float
        In [0, 1]; NaN when no window is labelled.

    Raises
    ------
    TypeError, ValueError
        As `confusion_matrix`.

    Examples
    --------
    >>> balanced_accuracy([0, 0, 0, 1], [0, 0, 0, 0])
    0.5
    """
    return float(_sums.balanced_accuracy_of(weighted_confusion(y_true, y_pred, sample_weight=sample_weight)))


def f1_score(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    average: Average = "macro",
    classes: Classes = "present",
    n_classes: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """F1 score over classes, 2·TP / (2·TP + FP + FN) each, with a stated rule for absent ones.

    Parameters
    ----------
    y_true, y_pred : array_like of int, same shape
        Class indices; windows labelled −1 are ignored.
    average : {"macro", "weighted", "micro"}
        Plain mean over classes, mean weighted by labels, or pooled counts (equal to accuracy here, where every window
        has one label and one prediction).
    classes : {"present", "true", "all"}
        Which classes the macro mean runs over. ``present`` (default): those in the labels or the predictions, as
        scikit-learn and torchmetrics. ``true``: those in the labels, so that a class wrongly predicted costs only
        through the classes it was taken from. ``all``: all `n_classes`, an absent one counting 0, for comparisons with
        peers that do so. Without effect on the other averages, where an absent class weighs nothing.
    n_classes : int, optional
        K for ``classes="all"``; by default one more than the highest index that occurs.
    sample_weight : array_like, shape of `y_true`, optional
        As `accuracy`.

    Returns
    -------
    float
        In [0, 1]; NaN when no window is labelled.

    Raises
    ------
    TypeError, ValueError
        As `confusion_matrix`; an unknown `average` or `classes`.

    Examples
    --------
    >>> y_true, y_pred = [0, 0, 1, 1], [0, 0, 1, 2]
    >>> f1_score(y_true, y_pred), f1_score(y_true, y_pred, classes="true")
    (0.5555555555555555, 0.8333333333333333)
    """
    choice("average", average, ("macro", "weighted", "micro"))
    table = weighted_confusion(y_true, y_pred, n_classes, sample_weight)
    if average == "macro":
        return float(_sums.macro_f1_of(table, classes))
    return float(_sums.weighted_f1_of(table) if average == "weighted" else _sums.accuracy_of(table))


@dataclass(frozen=True)
class ClassificationReport:
    """Figures of each class, and of all of them.

    Attributes
    ----------
    label_names : tuple of str, length K
    confusion : ndarray of int64, shape (K, K)
        Row = true class, column = predicted class. With sample weights float64, as the two below.
    support, predicted : ndarray of int64, shape (K,)
        Windows labelled, and windows predicted, as the class.
    precision, recall, f1 : ndarray of float64, shape (K,)
        NaN where undefined: precision of a class never predicted, recall of a class never labelled, F1 of one that is
        neither. (scikit-learn puts 0 there, which reads as a failure.)

    Examples
    --------
    >>> report = classification_report([0, 0, 1], [0, 1, 1], label_names=["sit", "walk"])
    >>> report.rows()[0]
    {'label': 'sit', 'support': 2, 'predicted': 1, 'precision': 1.0, 'recall': 0.5, 'f1': 0.6666666666666666}
    """

    label_names: tuple[str, ...]
    confusion: IntArray | FloatArray
    support: IntArray | FloatArray
    predicted: IntArray | FloatArray
    precision: FloatArray
    recall: FloatArray
    f1: FloatArray

    @property
    def summary(self) -> dict[str, float]:
        """Figures over all classes: the three F1 averages, accuracy, balanced accuracy, MCC and kappa."""
        table = self.confusion.astype(np.float64)
        return {
            "accuracy": float(_sums.accuracy_of(table)),
            "balanced_accuracy": float(_sums.balanced_accuracy_of(table)),
            "macro_f1": float(_sums.macro_f1_of(table)),
            "micro_f1": float(_sums.accuracy_of(table)),
            "weighted_f1": float(_sums.weighted_f1_of(table)),
            "mcc": float(_sums.mcc_of(table)),
            "kappa": float(_sums.kappa_of(table)),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One JSON-safe object a class; an undefined figure is null beside a ``reason``."""
        columns = zip(self.label_names, self.support, self.predicted, self.precision, self.recall, self.f1, strict=True)
        return [
            record(
                {"label": name, "support": n, "predicted": m, "precision": precision, "recall": recall, "f1": f1},
                " and ".join(word for word, count in (("never labelled", n), ("never predicted", m)) if not count),
            )
            for name, n, m, precision, recall, f1 in columns
        ]

    def to_dict(self) -> dict[str, Any]:
        """``label_names``, ``confusion`` and ``per_class`` (the `rows`), JSON-safe."""
        return record({"label_names": self.label_names, "confusion": self.confusion, "per_class": self.rows()})


def classification_report(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    n_classes: int | None = None,
    label_names: Sequence[str] | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> ClassificationReport:
    """Precision, recall and F1 of each class, beside the confusion matrix.

    Parameters
    ----------
    y_true, y_pred : array_like of int, same shape
        Class indices; windows labelled −1 are ignored.
    n_classes : int, optional
        K; by default the number of `label_names`, else one more than the highest index that occurs.
    label_names : sequence of str, length K, optional
        Names for the table; by default the indices.
    sample_weight : array_like, shape of `y_true`, optional
        As `accuracy`.

    Returns
    -------
    ClassificationReport

    Raises
    ------
    TypeError, ValueError
        As `confusion_matrix`; the number of names is not K.

    Examples
    --------
    >>> report = classification_report([0, 0, 1], [0, 1, 1])
    >>> report.recall, report.summary["balanced_accuracy"]
    (array([0.5, 1. ]), 0.75)
    """
    if n_classes is None and label_names is not None:
        n_classes = len(label_names)
    table = confusion_matrix(y_true, y_pred, n_classes=n_classes, sample_weight=sample_weight)
    return report_of(table, names_of(label_names, len(table)))


def names_of(label_names: Sequence[str] | None, n_classes: int) -> tuple[str, ...]:
    """Return the class names, or the indices as text."""
    if label_names is None:
        return tuple(str(index) for index in range(n_classes))
    if len(label_names) != n_classes:
        raise ValueError(f"label_names: one name a class, {n_classes}, are needed, got {len(label_names)}.")
    return tuple(label_names)


def report_of(confusion: IntArray | FloatArray, label_names: tuple[str, ...]) -> ClassificationReport:
    """Make the report of a confusion matrix."""
    hits, support, predicted_as = np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    return ClassificationReport(
        label_names=label_names,
        confusion=confusion,
        support=support,
        predicted=predicted_as,
        precision=_sums.ratio(hits.astype(np.float64), predicted_as.astype(np.float64)),
        recall=_sums.ratio(hits.astype(np.float64), support.astype(np.float64)),
        f1=_sums.class_f1_of(confusion.astype(np.float64)),
    )


def weighted_confusion(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    n_classes: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> FloatArray:
    """Confusion sums ``(K, K)`` in float64."""
    table = None if sample_weight is not None else counted(y_true, y_pred, n_classes)
    if table is not None:
        return table
    sample = predicted(y_true, y_pred, n_classes, sample_weight)
    return _sums.confusion_sums(sample.y_true, sample.y_pred, sample.n_classes, weight=sample.weight)[0]
