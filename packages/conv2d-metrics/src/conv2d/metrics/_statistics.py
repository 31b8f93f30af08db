"""The figures known by name: each a table of sums and a function of that table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from . import _sums
from ._binning import Closed, bin_edges, bin_index
from ._class_bins import class_bin_sums
from ._inputs import FloatArray, Groups, Predicted, Scored
from ._intervals import Interval, Resampling
from ._milder import Inversion, milder_bins, milder_residuals
from ._scales import Scale
from ._smooth import GRID, residual_sums, smooth_error_of, smooth_error_reaches

_TABLE_LIMIT = 2**22
"""Largest per-group table (numbers) held at once; beyond it each resample is summed anew from the windows."""


Figure = Callable[[FloatArray], FloatArray]


class Table(Protocol):
    """Builds the sums ``(G, ...)`` of each group; of all windows, ``G = 1``, when ``by`` is None."""

    def __call__(self, by: Groups | None = None, weight: FloatArray | None = None) -> FloatArray:
        """Sum the windows, each counted `weight` times (once when None)."""
        ...


@dataclass(frozen=True)
class Statistic:
    """A figure of all windows, of each group, or of resampled groups, without going back to the windows.

    ``scale`` is its range, if that is known; a figure that scatter raises has an ``inversion`` for its lower end.
    """

    table: Table
    figure: Figure
    width: int
    scale: Scale | None
    inversion: Inversion | None = None

    def value(self) -> float:
        """Compute the figure on all windows."""
        return float(self.figure(self.table()[0]))

    def of_groups(self, by: Groups) -> FloatArray:
        """Compute the figure of each group ``(G,)``."""
        return self.figure(self.table(by))

    def interval(self, by: Groups, how: Resampling) -> Interval:
        """Compute the figure with its interval over the groups."""
        if by.n * self.width <= _TABLE_LIMIT:
            return self.interval_of(self.table(by), self.table()[0], how)
        draws = multiplicities(by.n, how.n_resamples, how.seed)
        tables = (self.table(weight=times[by.codes])[0] for times in draws)
        if self.inversion is None:
            replicates, totals = np.array([float(self.figure(total)) for total in tables]), np.empty(0)
        else:
            totals = np.stack(list(tables))
            replicates = self.figure(totals)
        return self._interval(self.table()[0], totals, replicates, by.n, how, lambda: self.table(by))

    def interval_of(self, sums: FloatArray, seen: FloatArray, how: Resampling) -> Interval:
        """Compute the interval from the sums of each group ``(G, ...)`` and of all."""
        totals = recombined(sums, how) if len(sums) > 1 else np.empty((0, *sums.shape[1:]))
        return self._interval(seen, totals, self.figure(totals), len(sums), how, lambda: sums)

    def _interval(
        self,
        seen: FloatArray,
        totals: FloatArray,
        replicates: FloatArray,
        n_groups: int,
        how: Resampling,
        sums: Callable[[], FloatArray],
    ) -> Interval:
        invert = self.inversion
        return how.interval(
            float(self.figure(seen)),
            replicates,
            n_groups,
            self.scale,
            leave_one_out=lambda: self.figure(sums().sum(axis=0) - sums()),
            least=None if invert is None else lambda tail: invert.least(totals, seen, tail),
        )


def recombined(sums: FloatArray, how: Resampling) -> FloatArray:
    """Add up the sums of each group ``(G, ...)`` on each resample of the groups, ``(n_resamples, ...)``."""
    draws = np.stack(list(multiplicities(len(sums), how.n_resamples, how.seed)))
    return (draws @ sums.reshape(len(sums), -1)).reshape(how.n_resamples, *sums.shape[1:])


def multiplicities(n_groups: int, n_resamples: int, seed: int) -> Iterator[FloatArray]:
    """Draw groups with replacement: how often each came, ``(G,)``, one resample after another."""
    rng = np.random.default_rng(seed)
    for _ in range(n_resamples):
        drawn = rng.integers(n_groups, size=n_groups)
        yield np.bincount(drawn, minlength=n_groups).astype(np.float64)


def _classwise_ece(bins: FloatArray) -> FloatArray:
    return _sums.calibration_error_of(bins).mean(axis=-1)


_rmsce = partial(_sums.calibration_error_of, norm="l2")


FIGURES: dict[str, tuple[str, Figure]] = {
    "accuracy": ("confusion", _sums.accuracy_of),
    "balanced_accuracy": ("confusion", _sums.balanced_accuracy_of),
    "macro_f1": ("confusion", _sums.macro_f1_of),
    "micro_f1": ("confusion", _sums.accuracy_of),
    "weighted_f1": ("confusion", _sums.weighted_f1_of),
    "mcc": ("confusion", _sums.mcc_of),
    "kappa": ("confusion", _sums.kappa_of),
    "coverage": ("confusion", _sums.class_coverage_of),
    "motif_count": ("confusion", _sums.motif_count_of),
    "nll": ("nll", _sums.mean_loss_of),
    "brier": ("brier", _sums.mean_loss_of),
    "ece": ("bins", _sums.calibration_error_of),
    "mce": ("bins", partial(_sums.calibration_error_of, norm="max")),
    "rmsce": ("bins", _rmsce),
    "classwise_ece": ("class_bins", _classwise_ece),
    "smooth_ece": ("residuals", smooth_error_of),
}
"""Each figure by name: the table of sums it is a function of, and the function."""

FROM_PREDICTIONS = tuple(name for name, (table, _) in FIGURES.items() if table == "confusion")
FROM_PROBABILITIES = tuple(name for name, (table, _) in FIGURES.items() if table != "confusion")


_INVERSIONS: dict[str, Inversion] = {
    name: Inversion(figure, milder_bins)
    for name, figure in (
        ("ece", _sums.calibration_error_of),
        ("mce", _rmsce),  # the largest gap has no test of its own, see `bootstrap_ci`; it is at least their mean square
        ("rmsce", _rmsce),
        ("classwise_ece", _classwise_ece),
    )
} | {"smooth_ece": Inversion(smooth_error_of, milder_residuals, smooth_error_reaches)}
"""The figures that scatter raises, and what finds the lower end of their intervals."""


def named(name: str, sample: Predicted, *, n_bins: int = 15, closed: Closed = "right") -> Statistic:
    """Make the figure of this name on a sample; one that needs probabilities refuses a sample without."""
    table, figure = FIGURES[name]
    n_classes = sample.n_classes
    width = {"confusion": n_classes**2, "bins": 3 * n_bins, "class_bins": 3 * n_bins * n_classes, "residuals": GRID + 2}
    builder = table_of(table, sample, n_bins, closed)
    return Statistic(builder, figure, width.get(table, 3), _scale(name, n_classes), _INVERSIONS.get(name))


def interval_of_sums(name: str, sums: FloatArray, total: FloatArray, n_classes: int, how: Resampling) -> Interval:
    """Make the interval of the figure of this name from the sums of each group ``(G, ...)`` and of all."""

    def table(by: Groups | None = None, weight: FloatArray | None = None) -> FloatArray:
        return sums

    statistic = Statistic(table, FIGURES[name][1], total.size, _scale(name, n_classes), _INVERSIONS.get(name))
    return statistic.interval_of(sums, total, how)


def _scale(name: str, n_classes: int) -> Scale:
    """Range of the figure of this name."""
    low = -1.0 if name in ("mcc", "kappa") else 0.0
    return Scale(low, {"nll": math.inf, "brier": 2.0, "motif_count": float(n_classes)}.get(name, 1.0))


def table_of(name: str, sample: Predicted, n_bins: int, closed: Closed) -> Table:
    """Make the builder of this table on a sample."""
    if name == "confusion":
        return _weighted(sample, partial(_sums.confusion_sums, sample.y_true, sample.y_pred, sample.n_classes))
    if not isinstance(sample, Scored):
        raise ValueError(f"table {name!r}: needs y_prob.")
    if name in _LOSSES:
        return _weighted(sample, partial(_sums.loss_sums, _LOSSES[name](sample)))
    if name == "class_bins":
        return _weighted(sample, partial(class_bin_sums, sample, n_bins, closed))
    correct = (sample.y_pred == sample.y_true).astype(np.float64)
    if name == "residuals":
        return _weighted(sample, partial(residual_sums, sample.confidence, correct))
    bins = bin_index(sample.confidence, bin_edges(sample.confidence, n_bins, "uniform"), closed)
    return _weighted(sample, partial(_sums.bin_sums, sample.confidence, correct, bins, n_bins))


_LOSSES: dict[str, Callable[[Scored], FloatArray]] = {"nll": _sums.log_loss, "brier": _sums.squared_loss}


def _weighted(sample: Predicted, sums: Callable[[Groups | None, FloatArray | None], FloatArray]) -> Table:
    """Count each window as often as its own weight says, and the weight given."""

    def table(by: Groups | None = None, weight: FloatArray | None = None) -> FloatArray:
        return sums(by, _sums.product(sample.weight, weight))

    return table
