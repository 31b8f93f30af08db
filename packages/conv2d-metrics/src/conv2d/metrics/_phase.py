"""Rhythm: the phase of a signal in a band, and how constant the difference of two phases is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ._circular import angles, circular_statistics
from ._inputs import FloatArray, duration, whole
from ._results import record
from ._significance import SurrogateKind, p_value, surrogates_of
from ._untyped import scipy


@dataclass(frozen=True)
class PhaseLocking:
    """How constant the difference of two phases is.

    Attributes
    ----------
    value : float
        Phase-locking value, R of the phase differences: in [0, 1], and above 0 by chance.
    ppc : float
        Pairwise phase consistency, the unbiased estimate of its square; NaN for one step.
    difference : float
        Mean of x's phase less y's, radians; above 0, x is ahead.
    n : int
        Steps compared.
    expected : float
        √(π / 4n), the value of independent steps that are not locked. Phases of a filtered signal are not independent
        from step to step: `p` says more.
    rayleigh_p : float
        Rayleigh's test, for independent steps.
    p : float
        Share of surrogates at least as locked; NaN without.
    n_surrogates : int

    Examples
    --------
    >>> t = np.arange(1000) / 100
    >>> x, y = np.sin(2 * np.pi * 2 * t), np.sin(2 * np.pi * 2 * t - 0.5)
    >>> locked = phase_locking(x, y, rate=100, band=(1, 3))
    >>> round(locked.value, 2), round(locked.difference, 1)
    (1.0, 0.5)
    """

    value: float
    ppc: float
    difference: float
    n: int
    expected: float
    rayleigh_p: float
    p: float = np.nan
    n_surrogates: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Write the fields, JSON-safe."""
        lacking = [why for name, why in (("p", "no surrogates"), ("ppc", "one step")) if np.isnan(getattr(self, name))]
        return record(vars(self), " and ".join(lacking))


def instantaneous_phase(signal: npt.ArrayLike, *, rate: float, band: tuple[float, float], order: int = 4) -> FloatArray:
    """Compute the phase of a rhythm: band-pass forwards and backwards, then the angle of the analytic signal.

    Parameters
    ----------
    signal : array_like of float, shape (..., T)
    rate : float
        Steps a second.
    band : (low, high)
        Hz, within (0, rate / 2). A phase means something for a narrow band only.
    order : int
        Of the Butterworth filter; run both ways it does not delay.

    Returns
    -------
    ndarray of float64, shape (..., T)
        Radians in (−π, π]. The first and last cycles are distorted by the edges.

    Raises
    ------
    TypeError, ValueError
        Not finite, a band out of range, or a signal shorter than the filter needs.

    Examples
    --------
    >>> t = np.arange(800) / 100
    >>> phase = instantaneous_phase(np.cos(2 * np.pi * 5 * t), rate=100, band=(4, 6))
    >>> bool(abs(phase[400]) < 0.01)
    True
    """
    values = angles("signal", signal)
    duration("rate", rate)
    whole("order", order, 1)
    low, high = band
    if not 0 < low < high < rate / 2:
        raise ValueError(f"band: must be 0 < low < high < rate / 2 = {rate / 2:g} Hz, got {band}.")
    module = scipy("signal")
    sections = module.butter(order, band, btype="bandpass", fs=rate, output="sos")
    needed = 3 * (2 * len(sections) + 1)
    if values.shape[-1] <= needed:
        raise ValueError(f"signal: the filter needs more than {needed} steps, got {values.shape[-1]}.")
    return np.angle(cast(npt.NDArray[np.complex128], module.hilbert(module.sosfiltfilt(sections, values, axis=-1))))


def phase_locking(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    rate: float | None = None,
    band: tuple[float, float] | None = None,
    surrogates: int = 0,
    kind: SurrogateKind = "circular",
    block: int | None = None,
    seed: int = 0,
) -> PhaseLocking:
    """Measure how constant the phase difference of two signals is.

    Parameters
    ----------
    x, y : array_like of float, shape (T,)
        With `rate` and `band`, signals: they are filtered, and the first and last cycle of the band's lower edge are
        left out. Without, phases in radians.
    rate, band
        As in `instantaneous_phase`; both or neither.
    surrogates, kind, block, seed
        As in `mutual_information`, of the phases of x.

    Returns
    -------
    PhaseLocking

    Raises
    ------
    TypeError, ValueError
        Not finite, of different lengths, one of `rate` and `band` alone, or as `instantaneous_phase`.

    References
    ----------
    J.-P. Lachaux et al., "Measuring phase synchrony in brain signals", Human Brain Mapping 8, 1999.
    M. Vinck et al., "The pairwise phase consistency", NeuroImage 51, 2010.

    Examples
    --------
    >>> phase_locking([0.1, 1.1, 2.1], [0.0, 1.0, 2.0]).ppc
    1.0
    """
    one, other = angles("x", x), angles("y", y)
    if one.ndim != 1 or one.shape != other.shape or not len(one):
        raise ValueError(f"y: must be (T,) like x {one.shape}, got {other.shape}.")
    if (rate is None) != (band is None):
        raise ValueError("rate, band: give both for signals, neither for phases.")
    if rate is not None and band is not None:
        one, other = (instantaneous_phase(signal, rate=rate, band=band) for signal in (one, other))
        edge = int(np.ceil(rate / band[0]))
        if len(one) <= 2 * edge:
            raise ValueError(f"x: must hold more than two cycles of {band[0]:g} Hz ({2 * edge} steps), got {len(one)}.")
        one, other = one[edge:-edge], other[edge:-edge]
    locked = circular_statistics(one - other)
    n, square = locked.n, locked.resultant**2
    ppc = (n * square - 1) / (n - 1) if n > 1 else np.nan
    turn = np.exp(-1j * other)
    again = surrogates_of(np.exp(1j * one), surrogates, kind, seed, block=block)
    null = np.array([abs(np.vdot(turn.conj(), turned)) / n for turned in again])
    return PhaseLocking(
        locked.resultant,
        ppc,
        locked.mean,
        n,
        float(np.sqrt(np.pi / (4 * n))),
        locked.p,
        p_value(locked.resultant, null),
        len(null),
    )
