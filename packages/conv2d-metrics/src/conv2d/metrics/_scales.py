"""The scale on which a figure of a known range scatters evenly: log-odds between two bounds, the logarithm above one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ._inputs import FloatArray


@dataclass(frozen=True)
class Scale:
    """The range of a figure, from a finite ``low`` to a finite or infinite ``high``.

    Near an end of its range a figure scatters on one side only: of an accuracy of 0.97 the truth may lie far below,
    never far above. Log-odds (above a single bound, logarithms) spread the scatter evenly, so that Student's interval
    is right there, and what is taken back cannot leave the range.
    """

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether the value has a place on the scale: strictly between the ends."""
        return self.low < value < self.high

    def interval(self, value: float, replicates: FloatArray, reach: float) -> tuple[float, float]:
        """Go ``reach`` standard errors either way from the value, and take both ends back.

        The standard error is the larger of two, which agree on large samples: the spread of the replicates on the
        scale, where those at the very end of the range have no place, and the spread off it times the slope.
        """
        middle = float(self._there(np.array(value)))
        inside = replicates[(replicates > self.low) & (replicates < self.high)]
        spread = float(self._there(inside).std()) if len(inside) else 0.0
        error = reach * max(spread, float(replicates.std()) * self._slope(value))
        # There and back rounds: without a spread the ends would miss the value by a last place.
        return min(value, self._back(middle - error)), max(value, self._back(middle + error))

    def _there(self, values: FloatArray) -> FloatArray:
        from_low = np.log(values - self.low)
        return from_low if math.isinf(self.high) else from_low - np.log(self.high - values)

    def _slope(self, value: float) -> float:
        return 1 / (value - self.low) + (0.0 if math.isinf(self.high) else 1 / (self.high - value))

    def _back(self, place: float) -> float:
        if math.isinf(self.high):
            return self.low + math.exp(min(place, 700.0))
        return self.low + (self.high - self.low) * (1 + math.tanh(place / 2)) / 2
