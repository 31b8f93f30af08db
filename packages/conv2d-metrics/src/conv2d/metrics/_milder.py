"""How much milder the miscalibration may be than the one seen: the lower end of a calibration error's interval.

A binned error adds up the sizes of gaps, and scatter alone makes gaps: the error of a few windows lies above that of
the population, and that of a resample, which scatters twice, above both. Percentiles of resamples can therefore miss
the truth altogether. Here the resamples are made to answer the question itself: were each gap only a share of what it
is, how often would an error as large as the one seen come about?
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._inputs import BoolArray, FloatArray
from ._sums import ratio

Milder = Callable[[FloatArray, FloatArray, float], FloatArray]
"""``(tables (..., *), seen (*), share)``: the tables, had the gaps of ``seen`` been that share of what they are."""

_STEPS = 8  # halvings of the share: the lower end to 1/256 of the value


def milder_bins(tables: FloatArray, seen: FloatArray, share: float) -> FloatArray:
    """Shrink the gaps of reliability sums ``(..., 3, B)``: the confidence moves towards the accuracy."""
    gap = np.nan_to_num(ratio(seen[..., 1, :] - seen[..., 2, :], seen[..., 0, :]))
    out = tables.copy()
    out[..., 1, :] -= (1 - share) * gap * tables[..., 0, :]
    return out


def milder_residuals(tables: FloatArray, seen: FloatArray, share: float) -> FloatArray:
    """Shrink the residuals of ``(..., GRID + 2)`` sums by those of an average window."""
    out = tables.copy()
    out[..., :-1] -= (1 - share) * seen[:-1] / seen[-1] * tables[..., -1:]
    return out


@dataclass(frozen=True)
class Inversion:
    """The test of a share of the gaps, inverted.

    ``reaches`` says which tables have a figure of at least a value, where that is quicker than the figure itself.
    """

    figure: Callable[[FloatArray], FloatArray]
    milder: Milder
    reaches: Callable[[FloatArray, float], BoolArray] | None = None

    def least(self, totals: FloatArray, seen: FloatArray, tail: float) -> float:
        """Find the smallest error at which more than ``tail`` of the resamples reach the error seen.

        At share 0 the population is calibrated: if its resamples reach the error, calibration is not ruled out.
        """
        value = float(self.figure(seen))

        def plausible(share: float) -> bool:
            tables = self.milder(totals, seen, share)
            reached = self.figure(tables) >= value if self.reaches is None else self.reaches(tables, value)
            return float(reached.mean()) > tail

        if plausible(0.0):
            return 0.0
        low, high = 0.0, 1.0
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (low, middle) if plausible(middle) else (middle, high)
        return float(self.figure(self.milder(seen, seen, low)))
