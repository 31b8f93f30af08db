"""The figures known by name: each a table of sums and a function of that table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from . import _sums
from ._binning import Closed, bin_edges, bin_index
from ._inputs import FloatArray, Groups, Predicted, Scored

_TABLE_LIMIT = 2**22
"""Largest per-group table (numbers) held at once; beyond it each resample is summed anew from the windows."""


class Table(Protocol):
    """Builds the sums ``(G, ...)`` of each group; of all windows, ``G = 1``, when ``by`` is None."""

    def __call__(self, by: Groups | None = None, weight: FloatArray | None = None) -> FloatArray:
        """Sum the windows, each counted `weight` times (once when None)."""
        ...


@dataclass(frozen=True)
class Statistic:
    """A figure of all windows, of each group, or of resampled groups, without going back to the windows."""

    table: Table
    figure: Callable[[FloatArray], FloatArray]
    width: int

    def value(self) -> float:
        """Compute the figure on all windows."""
        return float(self.figure(self.table()[0]))

    def of_groups(self, by: Groups) -> FloatArray:
        """Compute the figure of each group ``(G,)``."""
        return self.figure(self.table(by))

    def resampled(self, by: Groups, n_resamples: int, seed: int) -> FloatArray:
        """Compute the figure on each resample of the groups ``(n_resamples,)``."""
        draws = multiplicities(by.n, n_resamples, seed)
        if by.n * self.width > _TABLE_LIMIT:
            return np.array([float(self.figure(self.table(weight=times[by.codes])[0])) for times in draws])
        sums = self.table(by)
        totals = np.stack(list(draws)) @ sums.reshape(by.n, -1)
        return self.figure(totals.reshape(n_resamples, *sums.shape[1:]))


def multiplicities(n_groups: int, n_resamples: int, seed: int) -> Iterator[FloatArray]:
    """Draw groups with replacement: how often each came, ``(G,)``, one resample after another."""
    rng = np.random.default_rng(seed)
    for _ in range(n_resamples):
        drawn = rng.integers(n_groups, size=n_groups)
        yield np.bincount(drawn, minlength=n_groups).astype(np.float64)


_OF_CONFUSION: dict[str, Callable[[FloatArray], FloatArray]] = {
    "accuracy": _sums.accuracy_of,
    "balanced_accuracy": _sums.balanced_accuracy_of,
    "macro_f1": _sums.macro_f1_of,
    "weighted_f1": _sums.weighted_f1_of,
}
_LOSSES: dict[str, Callable[[Scored], FloatArray]] = {"nll": _sums.log_loss, "brier": _sums.squared_loss}
_BIN_NORMS = {"ece": "l1", "mce": "max", "rmsce": "l2"}

FROM_PREDICTIONS = tuple(_OF_CONFUSION)
FROM_PROBABILITIES = (*_LOSSES, *_BIN_NORMS)


def named(name: str, sample: Predicted, *, n_bins: int = 15, closed: Closed = "right") -> Statistic:
    """Make the figure of this name on a sample; one that needs probabilities refuses a sample without."""
    if name in FROM_PREDICTIONS:
        return Statistic(confusion_table(sample), _OF_CONFUSION[name], sample.n_classes**2)
    if not isinstance(sample, Scored):
        raise ValueError(f"statistic {name!r}: needs y_prob.")
    if name in _LOSSES:
        return Statistic(loss_table(_LOSSES[name](sample)), _sums.mean_loss_of, 3)

    def binned_error(bins: FloatArray) -> FloatArray:
        return _sums.calibration_error_of(bins, _BIN_NORMS[name])

    return Statistic(bin_table(sample, n_bins, closed), binned_error, 3 * n_bins)


def confusion_table(sample: Predicted) -> Table:
    """Make the builder of confusion counts ``(G, K, K)``."""

    def table(by: Groups | None = None, weight: FloatArray | None = None) -> FloatArray:
        return _sums.confusion_sums(sample.y_true, sample.y_pred, sample.n_classes, by, weight)

    return table


def loss_table(loss: FloatArray) -> Table:
    """Make the builder of loss sums ``(G, 3)``."""

    def table(by: Groups | None = None, weight: FloatArray | None = None) -> FloatArray:
        return _sums.loss_sums(loss, by, weight)

    return table


def bin_table(sample: Scored, n_bins: int, closed: Closed) -> Table:
    """Make the builder of reliability sums ``(G, 3, B)`` on equal-width bins."""
    bins = bin_index(sample.confidence, bin_edges(sample.confidence, n_bins, "uniform"), closed)
    correct = (sample.y_pred == sample.y_true).astype(np.float64)

    def table(by: Groups | None = None, weight: FloatArray | None = None) -> FloatArray:
        return _sums.bin_sums(sample.confidence, correct, bins, n_bins, by, weight)

    return table
