"""Exact sums of float64: whatever the order and the cut into shards, the same to the last bit.

A float64 is a whole number of 53 bits times a power of two. Its two halves are summed as whole numbers, apart for each
power, and nothing is rounded until the sum is asked for.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ._inputs import FloatArray, IntArray

_HALF = 26
_BLOCK = 2**24  # summands whose halves, of at most 27 bits, add within the 53 bits of a float64

Whole = npt.NDArray[np.object_]


class ExactSums:
    """Cells ``(width,)`` of exact sums. They add, and compare equal when their sums are equal."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._powers: dict[int, Whole] = {}

    def add(self, cell: IntArray, amount: FloatArray) -> None:
        """Add finite amounts ``(N,)`` into their cells."""
        for start in range(0, len(cell), _BLOCK):
            rows = slice(start, start + _BLOCK)
            self._add_block(cell[rows], amount[rows])

    def _add_block(self, cell: IntArray, amount: FloatArray) -> None:
        if not len(cell):
            return
        fraction, power = np.frexp(amount)
        upper = np.trunc(np.ldexp(fraction, _HALF))
        lower = np.ldexp(np.ldexp(fraction, _HALF) - upper, 53 - _HALF)  # whole: 53 bits less the 26 above
        least = int(power.min())
        place = (power - least) * np.int64(self.width) + cell
        n_powers = int(power.max()) - least + 1
        halves = [np.bincount(place, half, n_powers * self.width).reshape(n_powers, -1) for half in (upper, lower)]
        for index in np.flatnonzero((halves[0] != 0).any(axis=1) | (halves[1] != 0).any(axis=1)).tolist():
            high, low = (half[index].astype(np.int64).astype(object) for half in halves)
            self._merge(least + index - 53, high * 2 ** (53 - _HALF) + low)

    def _merge(self, power: int, whole: Whole) -> None:
        self._powers[power] = self._powers[power] + whole if power in self._powers else whole

    def __add__(self, other: ExactSums) -> ExactSums:
        """Pool two tables of one width."""
        out = ExactSums(self.width)
        for part in (self, other):
            for power, whole in part._powers.items():
                out._merge(power, whole)
        return out

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExactSums) and self.width == other.width and self._fractions() == other._fractions()

    def values(self) -> FloatArray:
        """Round the sums, once, to float64 ``(width,)``."""
        return np.array([float(total) for total in self._fractions()], dtype=np.float64)

    def _fractions(self) -> list[Fraction]:
        least = min(self._powers, default=0)
        total = sum(
            (whole * 2 ** (power - least) for power, whole in self._powers.items()),
            start=np.zeros(self.width, dtype=object),
        )
        scale = Fraction(2) ** least
        return [int(whole) * scale for whole in total]
