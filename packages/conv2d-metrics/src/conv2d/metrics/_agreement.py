"""Agreement beyond chance, and how much of the repertoire a model uses."""

from __future__ import annotations

import numpy.typing as npt

from . import _sums
from ._classification import weighted_confusion


def matthews_correlation(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Matthews correlation coefficient (MCC) of K classes: the correlation of labels and predictions.

    Parameters
    ----------
    y_true, y_pred : array_like of int, same shape
        Class indices; windows labelled −1 are ignored.
    sample_weight : array_like, shape (...), optional
        As `accuracy`.

    Returns
    -------
    float
        In [−1, 1]; NaN when all labels, or all predictions, are of one class, where a correlation has no meaning
        (scikit-learn returns 0 there, as if the model had been found out to guess).

    Raises
    ------
    TypeError, ValueError
        As `confusion_matrix`.

    References
    ----------
    J. Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", Computational Biology
    and Chemistry 28, 2004.

    Examples
    --------
    >>> matthews_correlation([0, 0, 1, 1], [0, 0, 1, 0])
    0.5773502691896258
    """
    return float(_sums.mcc_of(weighted_confusion(y_true, y_pred, sample_weight=sample_weight)))


def cohen_kappa(y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None) -> float:
    """Cohen's kappa: agreement beyond what the margins alone would give.

    Parameters
    ----------
    y_true, y_pred : array_like of int, same shape
        Class indices; windows labelled −1 are ignored.
    sample_weight : array_like, shape (...), optional
        As `accuracy`.

    Returns
    -------
    float
        At most 1; NaN when labels and predictions are all of one and the same class, where chance alone agrees fully.

    Raises
    ------
    TypeError, ValueError
        As `confusion_matrix`.

    References
    ----------
    J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20, 1960.

    Examples
    --------
    >>> cohen_kappa([0, 0, 1, 1], [0, 0, 1, 0])
    0.5
    """
    return float(_sums.kappa_of(weighted_confusion(y_true, y_pred, sample_weight=sample_weight)))


def motif_count(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> int:
    """Count the different classes predicted in labelled windows.

    Parameters
    ----------
    y_true, y_pred : array_like of int, same shape
        Class indices; windows labelled −1 are ignored.

    Returns
    -------
    int

    Raises
    ------
    TypeError, ValueError
        As `confusion_matrix`.

    Examples
    --------
    >>> motif_count([0, 1, 2, -1], [0, 0, 2, 5])
    2
    """
    return int(_sums.motif_count_of(weighted_confusion(y_true, y_pred)))


def class_coverage(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> float:
    """Share of the labelled classes that the model predicts at least once.

    Not the coverage of prediction sets, which `coverage_report` gives.

    Parameters
    ----------
    y_true, y_pred : array_like of int, same shape
        Class indices; windows labelled −1 are ignored.

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
    >>> class_coverage([0, 1, 2, 3], [0, 0, 2, 2])
    0.5
    """
    return float(_sums.class_coverage_of(weighted_confusion(y_true, y_pred)))
