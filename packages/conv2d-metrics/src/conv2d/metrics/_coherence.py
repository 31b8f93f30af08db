"""Coherence: how far two signals share each frequency, and which of them is ahead there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ._inputs import FloatArray, duration, whole
from ._results import record
from ._shifts import signal_pair
from ._untyped import scipy


@dataclass(frozen=True)
class Coherence:
    """Magnitude-squared coherence by frequency.

    Attributes
    ----------
    frequency : ndarray of float64, shape (F,)
        Hz.
    value : ndarray of float64, shape (F,)
        In [0, 1]; NaN where one of the signals has no power.
    phase : ndarray of float64, shape (F,)
        Of x less that of y, radians: above 0, x is ahead.
    segments : float
        How many independent segments the average is worth, overlap accounted for.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=5000)
    >>> found = coherence(x, rng.normal(size=5000), rate=100, segment=200)
    >>> bool(np.mean(found.value > found.threshold(0.05)) < 0.1)
    True
    """

    frequency: FloatArray
    value: FloatArray
    phase: FloatArray
    segments: float

    @property
    def delay(self) -> FloatArray:
        """Seconds that x leads by at each frequency ``(F,)``, to within whole periods; NaN at 0 Hz."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.frequency > 0, self.phase / (2 * np.pi * self.frequency), np.nan)

    def threshold(self, level: float = 0.05, *, tests: int = 1) -> float:
        """Give the coherence that independent Gaussian signals exceed with a probability of ``level``.

        ``1 − level^(1 / (segments − 1))``; with ``tests`` frequencies looked at, the level is shared out among them.
        """
        if not 0 < level < 1:
            raise ValueError(f"level: must lie in (0, 1), got {level}.")
        whole("tests", tests, 1)
        return 1 - (level / tests) ** (1 / (self.segments - 1)) if self.segments > 1 else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Write the fields, JSON-safe."""
        return record(vars(self), "null where a signal has no power" if np.isnan(self.value).any() else "")


def coherence(x: npt.ArrayLike, y: npt.ArrayLike, *, rate: float, segment: int, overlap: float = 0.5) -> Coherence:
    """Estimate the magnitude-squared coherence of two signals by Welch's method.

    Parameters
    ----------
    x, y : array_like of float, shape (T,)
    rate : float
        Steps a second.
    segment : int
        Steps of a segment (Hann window, mean removed); frequencies are ``rate / segment`` apart. At least two segments
        must fit: of one, coherence is 1 whatever the signals.
    overlap : float
        Share of a segment that the next repeats, in [0, 1).

    Returns
    -------
    Coherence

    Raises
    ------
    TypeError, ValueError
        Not two finite signals of one length, or fewer than two segments.

    References
    ----------
    P. Welch, "The use of fast Fourier transform for the estimation of power spectra", IEEE Trans. AU-15, 1967.
    G. Carter, "Coherence and time delay estimation", Proc. IEEE 75, 1987.

    Examples
    --------
    >>> t = np.arange(4000) / 100
    >>> noise = np.random.default_rng(0).normal(size=(2, 4000))
    >>> x, y = np.sin(2 * np.pi * 5 * t) + noise[0], np.sin(2 * np.pi * 5 * (t - 0.02)) + noise[1]
    >>> found = coherence(x, y, rate=100, segment=200)
    >>> at = found.value.argmax()
    >>> float(found.frequency[at]), round(float(found.delay[at]), 2)
    (5.0, 0.02)
    """
    one, other = signal_pair(x, y)
    duration("rate", rate)
    whole("segment", segment, 4)
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap: must lie in [0, 1), got {overlap}.")
    hop = max(1, segment - int(overlap * segment))
    count = 1 + (len(one) - segment) // hop
    if count < 2:
        raise ValueError(f"segment={segment}: at least two must fit into {len(one)} steps.")
    module = scipy("signal")
    window = cast(FloatArray, module.get_window("hann", segment))
    plan = {"fs": rate, "window": window, "noverlap": segment - hop}
    frequency, cross = cast("tuple[FloatArray, npt.NDArray[np.complex128]]", module.csd(one, other, **plan))
    power = cast(FloatArray, module.welch(one, **plan)[1] * module.welch(other, **plan)[1])
    value = np.divide(np.abs(cross) ** 2, power, out=np.full(len(frequency), np.nan), where=power > 0)
    return Coherence(frequency, np.minimum(value, 1.0), -np.angle(cross), _worth(window, hop, count))


def _worth(window: FloatArray, hop: int, count: int) -> float:
    """How many independent segments ``count`` overlapping ones are worth."""
    power = float(window @ window)
    shared = [
        (float(window[i * hop :] @ window[: len(window) - i * hop]) / power) ** 2
        for i in range(1, count)
        if i * hop < len(window)
    ]
    return count / (1 + 2 * sum((1 - (i + 1) / count) * each for i, each in enumerate(shared)))
