"""Figures of a stream or a corpus in shards: sums that merge exactly, then the figures of the sums."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ._binning import Closed, bin_edges, bin_index
from ._calibration import Reliability
from ._classification import Classes, ClassificationReport, names_of, report_of
from ._exact import ExactSums
from ._inputs import FloatArray, Groups, IntArray, Predicted, Scored, choice, grouped, predicted, scored, whole
from ._intervals import Interval, Resampling
from ._statistics import FIGURES, interval_of_sums
from ._sums import log_loss, squared_loss
from .core import Metrics, figures_of

_Key = int | str | None


class MetricAccumulator:
    """Collects windows batch by batch, keeps only sums, and merges with others exactly.

    However a corpus is cut into batches and shards, and in whatever order they merge, the sums are the same to the last
    bit: they are kept as whole numbers and rounded once, when a figure is asked for. With `groups` the sums are kept
    for each group, and intervals over subjects come without the windows.

    Figures that need all windows at once (AUROC, average precision, equal-mass bins, smooth ECE) are not among them.

    Parameters
    ----------
    n_classes : int
        K, which shards have to agree on.
    n_bins, closed
        Bins of the calibration errors, as `reliability` (equal width).
    classes : {"present", "true", "all"}
        As `f1_score`.

    Examples
    --------
    >>> first, second = MetricAccumulator(2), MetricAccumulator(2)
    >>> _ = first.update([0, 1], y_prob=[[0.9, 0.1], [0.2, 0.8]], groups=["ada", "ada"])
    >>> _ = second.update([1, -1], y_prob=[[0.6, 0.4], [0.5, 0.5]], groups=["bo", "bo"])
    >>> whole = first + second
    >>> round(whole.compute().accuracy, 3), f"{whole.interval('accuracy'):.2f}"
    (0.667, '0.67 [0.00, 1.00]')
    """

    def __init__(
        self, n_classes: int, *, n_bins: int = 15, closed: Closed = "right", classes: Classes = "present"
    ) -> None:
        whole("n_classes", n_classes, 1)
        self._settings = (n_classes, n_bins, closed, classes)
        self._edges = bin_edges(np.empty(0), n_bins, "uniform")
        self._shapes: dict[str, tuple[int, ...]] = {
            "confusion": (n_classes, n_classes),
            "nll": (3,),
            "brier": (3,),
            "bins": (3, n_bins),
            "class_bins": (n_classes, 3, n_bins),
        }
        self._sums: dict[str, dict[_Key, ExactSums]] = {}
        self._windows: dict[_Key, int] = {}

    def update(
        self,
        y_true: npt.ArrayLike,
        y_pred: npt.ArrayLike | None = None,
        y_prob: npt.ArrayLike | None = None,
        *,
        groups: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> MetricAccumulator:
        """Count a batch.

        Parameters
        ----------
        y_true, y_pred, y_prob, sample_weight
            As `MetricsCalculator.compute_all`; every batch with the same inputs.
        groups : array_like of int or str, shape (...), optional
            The subject of each window.

        Returns
        -------
        MetricAccumulator
            This object.

        Raises
        ------
        TypeError, ValueError
            As `MetricsCalculator.compute_all`; neither `y_pred` nor `y_prob`; other inputs than in earlier batches;
            another number of classes.
        """
        n_classes, _, closed, _ = self._settings
        by_prob = None if y_prob is None else scored(y_true, y_prob, sample_weight)
        if by_prob is not None and by_prob.n_classes != n_classes:
            raise ValueError(f"y_prob: the accumulator is for {n_classes} classes, got {by_prob.n_classes}.")
        by_pred: Predicted | None = by_prob
        if y_pred is not None:
            by_pred = predicted(y_true, y_pred, n_classes, sample_weight)
        if by_pred is None:
            raise ValueError("y_pred, y_prob: one of them is needed.")
        tables = tuple(self._shapes) if by_prob is not None else ("confusion",)
        if self._sums and set(self._sums) != set(tables):
            raise ValueError("y_prob: given in some batches and not in others; the figures would be of other windows.")
        by = None if groups is None else grouped(groups, by_pred.kept)
        n_windows = np.bincount(by.codes, minlength=by.n).tolist() if by is not None else [len(by_pred.y_true)]
        for key, count in zip(by.keys if by is not None else (None,), n_windows, strict=True):
            self._windows[key] = self._windows.get(key, 0) + count
        self._count("confusion", by_pred.y_true * n_classes + by_pred.y_pred, None, by_pred, by)
        if by_prob is not None:
            self._count_probabilities(by_prob, by, closed)
        return self

    def __add__(self, other: MetricAccumulator) -> MetricAccumulator:
        """Merge two accumulators of the same settings and inputs; both stay as they are.

        Raises
        ------
        ValueError
            Settings or inputs differ.
        """
        if self._settings != other._settings:
            raise ValueError(f"MetricAccumulator: settings differ, {self._settings} and {other._settings}.")
        if self._sums and other._sums and set(self._sums) != set(other._sums):
            raise ValueError("MetricAccumulator: one has counted probabilities and the other has not.")
        n_classes, n_bins, closed, classes = self._settings
        out = MetricAccumulator(n_classes, n_bins=n_bins, closed=closed, classes=classes)
        for part in (self, other):
            for key, count in part._windows.items():
                out._windows[key] = out._windows.get(key, 0) + count
            for name, tables in part._sums.items():
                mine = out._sums.setdefault(name, {})
                for key, sums in tables.items():
                    mine[key] = mine[key] + sums if key in mine else sums
        return out

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, MetricAccumulator)
            and self._settings == other._settings
            and self._windows == other._windows
            and self._sums == other._sums
        )

    @property
    def n_windows(self) -> int:
        """Labelled windows counted."""
        return sum(self._windows.values())

    def compute(self) -> Metrics:
        """Compute all figures that sums allow.

        Returns
        -------
        Metrics
        """
        figures = figures_of({name: self._total(name) for name in self._sums}, self._settings[3])
        return Metrics({"n_windows": self.n_windows, **figures})

    def report(self, label_names: list[str] | None = None) -> ClassificationReport:
        """Make the table of the classes; the confusion is of whole counts unless weights were given.

        Parameters
        ----------
        label_names : list of str, length K, optional

        Returns
        -------
        ClassificationReport
        """
        table = self._total("confusion")
        counts = table.astype(np.int64)
        return report_of(counts if (counts == table).all() else table, names_of(label_names, self._settings[0]))

    def reliability(self) -> Reliability:
        """Give the numbers of the reliability diagram.

        Raises
        ------
        ValueError
            No probabilities were counted.
        """
        if "bins" not in self._sums:
            raise ValueError("reliability: needs batches with y_prob, and there were none.")
        table = self._total("bins")
        counts = table[0].astype(np.int64)
        return Reliability(self._edges, counts if (counts == table[0]).all() else table[0], table[1], table[2])

    def interval(self, statistic: str, *, n_resamples: int = 1000, confidence: float = 0.95, seed: int = 0) -> Interval:
        """Compute a figure with its interval over the groups, as `bootstrap_ci` does, from the sums alone.

        Parameters
        ----------
        statistic : str
            A figure of `compute`.
        n_resamples, confidence, seed
            As `bootstrap_ci`.

        Returns
        -------
        Interval

        Raises
        ------
        ValueError
            An unknown figure, one whose inputs were not counted, or batches without groups.
        """
        known = tuple(name for name, (table, _) in FIGURES.items() if table in self._sums)
        choice("statistic", statistic, known)
        keys = sorted(cast("set[Any]", {key for key, count in self._windows.items() if count}), key=str)
        if None in keys:
            raise ValueError("groups: an interval needs the subject of every window in every batch.")
        name, _ = FIGURES[statistic]
        sums = np.stack([self._of(name, key) for key in keys]) if keys else np.empty((0, *self._shapes[name]))
        how = Resampling(n_resamples, confidence, seed)
        return interval_of_sums(statistic, sums, self._total(name), self._settings[0], how)

    def _count_probabilities(self, sample: Scored, by: Groups | None, closed: Closed) -> None:
        correct = (sample.y_pred == sample.y_true).astype(np.float64)
        bins = bin_index(sample.confidence, self._edges, closed)
        n_bins, n_classes = len(self._edges) - 1, sample.n_classes
        for row, value in enumerate((None, sample.confidence, correct)):
            self._count("bins", bins + row * n_bins, value, sample, by)
        for name, loss in (("nll", log_loss(sample)), ("brier", squared_loss(sample))):
            infinite = np.isinf(loss)
            for row, value in enumerate((None, np.where(infinite, 0.0, loss), infinite.astype(np.float64))):
                self._count(name, np.full(len(loss), row), value, sample, by)
        for index in range(n_classes):
            probability = sample.y_prob[:, index].astype(np.float64)
            hit = (sample.y_true == index).astype(np.float64)
            cell = bin_index(probability, self._edges, closed) + index * 3 * n_bins
            for row, value in enumerate((None, probability, hit)):
                self._count("class_bins", cell + row * n_bins, value, sample, by)

    def _count(self, name: str, cell: IntArray, value: FloatArray | None, sample: Predicted, by: Groups | None) -> None:
        width = math.prod(self._shapes[name])
        if value is None:
            value = np.ones(len(cell)) if sample.weight is None else sample.weight
        elif sample.weight is not None:
            value = value * sample.weight
        tables = self._sums.setdefault(name, {})
        if by is None:
            tables.setdefault(None, ExactSums(width)).add(cell, value)
            return
        for code, key in enumerate(by.keys):
            own = by.codes == code
            tables.setdefault(key, ExactSums(width)).add(cell[own], value[own])

    def _of(self, name: str, key: _Key) -> FloatArray:
        return self._sums[name][key].values().reshape(self._shapes[name])

    def _total(self, name: str) -> FloatArray:
        tables: Mapping[_Key, ExactSums] = self._sums.get(name, {})
        return sum(tables.values(), start=ExactSums(math.prod(self._shapes[name]))).values().reshape(self._shapes[name])
