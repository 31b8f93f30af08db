"""The whole verdict on a classifier in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._binning import Closed
from ._classification import ClassificationReport, names_of, report_of
from ._inputs import grouped, scored
from ._intervals import Interval, Resampling
from ._results import record
from ._statistics import named

_HEADLINE = ("accuracy", "macro_f1", "ece", "nll")


@dataclass(frozen=True)
class SubjectScore:
    """The figures of one subject.

    Attributes
    ----------
    subject : int or str
    n_windows : int
        Labelled windows.
    accuracy, macro_f1, ece, nll : float
        The subject's own; macro-F1 over the classes in its labels or predictions.

    Examples
    --------
    >>> SubjectScore("ada", 120, 0.9, 0.88, 0.03, 0.4).subject
    'ada'
    """

    subject: int | str
    n_windows: int
    accuracy: float
    macro_f1: float
    ece: float
    nll: float


@dataclass(frozen=True)
class Evaluation:
    """Headline figures with confidence intervals over subjects, and the tables behind them.

    Attributes
    ----------
    accuracy, macro_f1, ece, nll : Interval
    n_windows : int
        Labelled windows; `n_ignored` more were labelled −1.
    n_ignored : int
    n_subjects : int
        Subjects with a labelled window.
    per_subject : tuple of SubjectScore
    per_class : ClassificationReport
        Also holds the confusion matrix and the label names.

    Examples
    --------
    >>> y_prob = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    >>> result = evaluate_probabilities([0, 1, 1, 1], y_prob, ["ada", "ada", "bo", "bo"])
    >>> sorted(result.to_dict())
    ['accuracy', 'confusion', 'ece', 'interval', 'label_names', 'macro_f1', 'n_ignored', 'n_subjects', 'n_windows',
     'nll', 'per_class', 'per_subject']
    """

    accuracy: Interval
    macro_f1: Interval
    ece: Interval
    nll: Interval
    n_windows: int
    n_ignored: int
    n_subjects: int
    per_subject: tuple[SubjectScore, ...]
    per_class: ClassificationReport

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: NaN and infinity are null beside a ``reason`` in the same object.

        ``accuracy``, ``macro_f1``, ``ece``, ``nll`` are ``{"value", "low", "high"}``; how the ends were made is told
        once, under ``interval``.
        """
        return {
            **{name: _ends(getattr(self, name)) for name in _HEADLINE},
            "interval": {
                "method": self.accuracy.method,
                "unit": "subject",
                "confidence": self.accuracy.confidence,
                "n_resamples": self.accuracy.n_resamples,
            },
            "n_windows": self.n_windows,
            "n_ignored": self.n_ignored,
            "n_subjects": self.n_subjects,
            "per_subject": [
                record(vars(score), "" if np.isfinite(score.nll) else _INFINITE) for score in self.per_subject
            ],
            **self.per_class.to_dict(),
        }


_INFINITE = "nll is infinite: probability 0 was given to a true class"


def evaluate_probabilities(
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    label_names: Sequence[str] | None = None,
    n_bins: int = 15,
    closed: Closed = "right",
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Evaluation:
    """Accuracy, macro-F1, ECE and NLL with confidence intervals by bootstrap over subjects.

    Parameters
    ----------
    y_true : array_like of int, shape (...)
        Class indices; windows labelled −1 are ignored.
    y_prob : array_like of float32 or float64, shape (..., K)
        Rows sum to 1 within 1e-4.
    groups : array_like of int or str, shape (...)
        The subject of each window.
    label_names : sequence of str, length K, optional
        By default the class indices.
    n_bins, closed
        Bins of the ECE, as `reliability` (equal width).
    n_resamples, confidence, seed
        As `bootstrap_ci`; the four figures share the resamples.

    Returns
    -------
    Evaluation

    Raises
    ------
    TypeError, ValueError
        As `nll` and `bootstrap_ci`; `groups` is not one a window, `label_names` not one a class.

    Examples
    --------
    >>> y_prob = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    >>> result = evaluate_probabilities([0, 1, 1, 1], y_prob, ["ada", "ada", "bo", "bo"])
    >>> f"{result.accuracy:.2f}", result.per_subject[1].accuracy
    ('0.75 [0.50, 1.00]', 0.5)
    """
    how = Resampling(n_resamples, confidence, seed)
    sample = scored(y_true, y_prob)
    subjects = grouped(groups, sample.kept)
    names = names_of(label_names, sample.n_classes)
    figures = {name: named(name, sample, n_bins=n_bins, closed=closed) for name in _HEADLINE}
    headline = {name: figure.interval(subjects, how) for name, figure in figures.items()}
    of_subject = {name: figure.of_groups(subjects) for name, figure in figures.items()}
    n_windows = np.bincount(subjects.codes, minlength=subjects.n)
    return Evaluation(
        **headline,
        n_windows=len(sample.y_true),
        n_ignored=len(sample.kept) - len(sample.y_true),
        n_subjects=subjects.n,
        per_subject=tuple(
            SubjectScore(
                subject=subject,
                n_windows=int(n_windows[i]),
                **{name: float(values[i]) for name, values in of_subject.items()},
            )
            for i, subject in enumerate(subjects.keys)
        ),
        per_class=report_of(figures["accuracy"].table()[0].astype(np.int64), names),
    )


def _ends(figure: Interval) -> dict[str, Any]:
    return record({"value": figure.value, "low": figure.low, "high": figure.high}, figure.reason)
