"""The whole verdict on a classifier in one call."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._binning import Closed
from ._calibration import Reliability, reliability
from ._classification import ClassificationReport, names_of, report_of
from ._gates import GateVerdict
from ._html import render
from ._inputs import Groups, IntArray, Predicted, class_labels, grouped, predicted, scored, whole
from ._intervals import Interval, Resampling
from ._results import record
from ._statistics import FIGURES, FROM_PREDICTIONS, named

_HEADLINE = ("accuracy", "macro_f1", "ece", "nll")
_INFINITE = "nll is infinite: probability 0 was given to a true class"


@dataclass(frozen=True)
class SubjectScore:
    """The figures of one subject.

    Attributes
    ----------
    subject : int or str
    n_windows : int
        Labelled windows.
    accuracy, macro_f1, ece, nll : float
        The subject's own; macro-F1 over the classes in its labels or predictions; ECE and NLL NaN without
        probabilities.

    Examples
    --------
    >>> SubjectScore("ada", 120, 0.9, 0.88, 0.03, 0.4).subject
    'ada'
    """

    subject: int | str
    n_windows: int
    accuracy: float
    macro_f1: float
    ece: float = math.nan
    nll: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """Write the figures, JSON-safe; ECE and NLL are left out where there are none for want of probabilities."""
        absent = ("ece", "nll") if math.isnan(self.ece) else ()
        fields = {name: value for name, value in vars(self).items() if name not in absent}
        return record(fields, _INFINITE if math.isinf(self.nll) else "")


@dataclass(frozen=True)
class Timeline:
    """Labels and predictions of one recording, in the order of time.

    Attributes
    ----------
    recording : int or str
    y_true, y_pred : ndarray of int64, shape (T,)
        −1 where there is no label.
    hop_s : float
        Seconds from one window to the next.

    Examples
    --------
    >>> Timeline("walk-1", np.array([0, 0, 1]), np.array([0, 1, 1]), hop_s=0.5).hop_s
    0.5
    """

    recording: int | str
    y_true: IntArray
    y_pred: IntArray
    hop_s: float

    def to_dict(self) -> dict[str, Any]:
        """Write the fields, JSON-safe."""
        return record(vars(self))


@dataclass(frozen=True)
class Evaluation:
    """Figures with confidence intervals over subjects, and the tables behind them.

    ``accuracy``, ``macro_f1``, ``ece`` and ``nll`` are also attributes.

    Attributes
    ----------
    figures : mapping of str to Interval
        The figures whose inputs were given; the others are absent.
    n_windows : int
        Labelled windows; `n_ignored` more were labelled −1.
    n_ignored : int
    n_subjects : int
        Subjects with a labelled window.
    per_subject : tuple of SubjectScore
    per_class : ClassificationReport
        Also holds the confusion matrix and the label names.
    reliability : Reliability or None
        None without probabilities.
    timelines : tuple of Timeline

    Examples
    --------
    >>> y_prob = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    >>> result = evaluate_probabilities([0, 1, 1, 1], y_prob, ["ada", "ada", "bo", "bo"])
    >>> sorted(result.to_dict())
    ['accuracy', 'confusion', 'ece', 'interval', 'label_names', 'macro_f1', 'n_ignored', 'n_subjects', 'n_windows',
     'nll', 'per_class', 'per_subject']
    """

    figures: Mapping[str, Interval]
    n_windows: int
    n_ignored: int
    n_subjects: int
    per_subject: tuple[SubjectScore, ...]
    per_class: ClassificationReport
    reliability: Reliability | None = None
    timelines: tuple[Timeline, ...] = ()

    @property
    def accuracy(self) -> Interval:
        """Share of labelled windows whose class was predicted."""
        return self._figure("accuracy")

    @property
    def macro_f1(self) -> Interval:
        """Mean F1 over the classes in labels or predictions."""
        return self._figure("macro_f1")

    @property
    def ece(self) -> Interval:
        """Expected calibration error; absent without probabilities."""
        return self._figure("ece")

    @property
    def nll(self) -> Interval:
        """Mean negative log-likelihood in nats; absent without probabilities."""
        return self._figure("nll")

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: NaN and infinity are null beside a ``reason`` in the same object.

        Each figure is ``{"value", "low", "high"}``; how the ends were made is told once, under ``interval``.
        """
        accuracy = self.figures["accuracy"]
        return {
            **{
                name: record({"value": found.value, "low": found.low, "high": found.high}, found.reason)
                for name, found in self.figures.items()
            },
            "interval": {
                "method": "bootstrap",
                "unit": accuracy.unit,
                "confidence": accuracy.confidence,
                "n_resamples": accuracy.n_resamples,
            },
            "n_windows": self.n_windows,
            "n_ignored": self.n_ignored,
            "n_subjects": self.n_subjects,
            "per_subject": [score.to_dict() for score in self.per_subject],
            **self.per_class.to_dict(),
        }

    def to_html(self, *, title: str = "Evaluation", verdict: GateVerdict | None = None) -> str:
        """Write the report as one self-contained HTML page: no script, no network, nothing beside it.

        Parameters
        ----------
        title : str
        verdict : GateVerdict, optional
            Shown first.

        Returns
        -------
        str
            With tables of figures, classes and subjects, the confusion, the reliability diagram, a forest plot of the
            subjects and the timelines.
        """
        return render(self, title, verdict)

    def _figure(self, name: str) -> Interval:
        if name not in self.figures:
            raise AttributeError(f"{name}: absent, because the evaluation was made without y_prob.")
        return self.figures[name]


def evaluate(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike | None = None,
    y_prob: npt.ArrayLike | None = None,
    *,
    groups: npt.ArrayLike,
    recordings: npt.ArrayLike | None = None,
    label_names: Sequence[str] | None = None,
    hop_s: float = 1.0,
    n_timelines: int = 3,
    n_bins: int = 15,
    closed: Closed = "right",
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Evaluation:
    """Judge a classifier: every figure the inputs allow, with intervals over subjects, and the material of a report.

    Parameters
    ----------
    y_true : array_like of int, shape (...)
        Class indices; windows labelled −1 are ignored.
    y_pred : array_like of int, shape (...), optional
        Predicted classes, as after temporal smoothing; by default the top class of `y_prob`.
    y_prob : array_like of float32 or float64, shape (..., K), optional
        Rows sum to 1 within 1e-4. Without it, calibration is absent.
    groups : array_like of int or str, shape (...)
        The subject of each window.
    recordings : array_like of int or str, shape (...), optional
        The recording of each window, whose windows are in the order of time; by default the subject's.
    label_names : sequence of str, length K, optional
        By default the class indices.
    hop_s : float
        Seconds from one window to the next, for the timelines.
    n_timelines : int
        How many recordings are kept for the report, the first ones by name.
    n_bins, closed
        Bins of the calibration errors, as `reliability` (equal width).
    n_resamples, confidence, seed
        As `bootstrap_ci`; all figures share the resamples.

    Returns
    -------
    Evaluation

    Raises
    ------
    TypeError, ValueError
        As `confusion_matrix`, `nll` and `bootstrap_ci`; neither `y_pred` nor `y_prob`; `groups` or `recordings` not one
        a window; `label_names` not one a class.

    Examples
    --------
    >>> result = evaluate([0, 1, 1, 1], [0, 1, 0, 1], groups=["ada", "ada", "bo", "bo"])
    >>> f"{result.accuracy:.2f}", "ece" in result.figures, result.to_html()[:15]
    ('0.75 [0.00, 1.00]', False, '<!DOCTYPE html>')
    """
    whole("n_timelines", n_timelines, 0)
    by_prob = None if y_prob is None else scored(y_true, y_prob)
    by_pred: Predicted | None = by_prob
    if y_pred is not None:
        n_classes = len(label_names) if by_prob is None and label_names is not None else None
        by_pred = predicted(y_true, y_pred, n_classes if by_prob is None else by_prob.n_classes)
    if by_pred is None:
        raise ValueError("y_pred, y_prob: one of them is needed.")
    samples = {name: by_pred if name in FROM_PREDICTIONS else by_prob for name in FIGURES}
    made = _evaluate(
        {name: sample for name, sample in samples.items() if sample is not None},
        grouped(groups, by_pred.kept),
        names_of(label_names, by_pred.n_classes),
        Resampling(n_resamples, confidence, seed),
        n_bins,
        closed,
    )
    diagram = None if y_prob is None else reliability(y_true, y_prob, n_bins=n_bins, closed=closed)
    lines = _timelines(y_true, by_pred, groups if recordings is None else recordings, hop_s, n_timelines)
    return Evaluation(**made, reliability=diagram, timelines=lines)


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
    """Accuracy, macro-F1, ECE and NLL with confidence intervals by bootstrap over subjects: the headline of `evaluate`.

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
    ('0.75 [0.00, 1.00]', 0.5)
    """
    how = Resampling(n_resamples, confidence, seed)
    sample = scored(y_true, y_prob)
    subjects = grouped(groups, sample.kept)
    names = names_of(label_names, sample.n_classes)
    made = _evaluate(dict.fromkeys(_HEADLINE, sample), subjects, names, how, n_bins, closed)
    return Evaluation(**made, reliability=reliability(y_true, y_prob, n_bins=n_bins, closed=closed))


def _evaluate(
    samples: Mapping[str, Predicted],
    subjects: Groups,
    label_names: tuple[str, ...],
    how: Resampling,
    n_bins: int,
    closed: Closed,
) -> dict[str, Any]:
    """Fields of an `Evaluation`: the figures of these names, each on its sample."""
    figures = {name: named(name, sample, n_bins=n_bins, closed=closed) for name, sample in samples.items()}
    of_subject = {name: figures[name].of_groups(subjects) for name in _HEADLINE if name in figures}
    sample = samples["accuracy"]
    n_windows = np.bincount(subjects.codes, minlength=subjects.n)
    return {
        "figures": {name: figure.interval(subjects, how) for name, figure in figures.items()},
        "n_windows": len(sample.y_true),
        "n_ignored": len(sample.kept) - len(sample.y_true),
        "n_subjects": subjects.n,
        "per_subject": tuple(
            SubjectScore(subject, int(n_windows[i]), **{name: float(values[i]) for name, values in of_subject.items()})
            for i, subject in enumerate(subjects.keys)
        ),
        "per_class": report_of(figures["accuracy"].table()[0].astype(np.int64), label_names),
    }


def _timelines(
    y_true: npt.ArrayLike, sample: Predicted, recordings: npt.ArrayLike, hop_s: float, n_timelines: int
) -> tuple[Timeline, ...]:
    """Take the first recordings; where there is no label, the prediction is left out as well."""
    true = class_labels("y_true", y_true).ravel()
    pred = np.full(true.shape, -1, dtype=np.int64)
    pred[sample.kept] = sample.y_pred
    of = grouped(recordings, np.ones(true.shape, dtype=np.bool_))
    lines: list[Timeline] = []
    for code, name in enumerate(of.keys[:n_timelines]):
        own = of.codes == code
        lines.append(Timeline(name, true[own], pred[own], hop_s))
    return tuple(lines)
