"""Angles: where on the circle they lie, how closely, and what the state of another says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._information import Information, mutual_information
from ._inputs import IGNORE, FloatArray, IntArray, class_labels, whole
from ._results import record
from ._significance import SurrogateKind
from ._untyped import scipy


@dataclass(frozen=True)
class CircularStatistics:
    """Where on the circle angles lie, and how close together.

    Attributes
    ----------
    n : int
    mean : float
        Mean direction, radians in (−π, π]; NaN without angles.
    resultant : float
        R, the length of the mean unit vector: 1 when all angles are equal.
    kappa : float
        Concentration of the von Mises distribution of that R (maximum likelihood); infinite for R = 1.
    p : float
        Rayleigh's test that angles which are independent of each other are uniform.
    reason : str
        Why figures are NaN or infinite, or empty.

    Examples
    --------
    >>> found = circular_statistics([0.1, -0.1, 0.2, -0.2])
    >>> abs(round(found.mean, 3)), round(found.variance, 3)
    (0.0, 0.012)
    """

    n: int
    mean: float
    resultant: float
    kappa: float
    p: float
    reason: str = ""

    @property
    def variance(self) -> float:
        """Circular variance, 1 − R."""
        return 1 - self.resultant

    def to_dict(self) -> dict[str, Any]:
        """Write the fields and the variance, JSON-safe."""
        return record({**vars(self), "variance": self.variance}, self.reason)


@dataclass(frozen=True)
class StatePhase:
    """What state and phase tell of each other, and where in the cycle each state lies.

    Attributes
    ----------
    information : Information
        I(state; phase) in bits, the phase in equal sectors.
    sectors : int
    states : tuple of int
        States that occur.
    per_state : tuple of CircularStatistics
        Phases in each of them.

    Examples
    --------
    >>> phase = np.linspace(0, 40 * np.pi, 4000)
    >>> joint = state_phase_information((np.sin(phase) > 0).astype(int), phase, sectors=8)
    >>> round(joint.information.value, 1), round(joint.per_state[1].mean, 1)
    (1.0, 1.6)
    """

    information: Information
    sectors: int
    states: tuple[int, ...]
    per_state: tuple[CircularStatistics, ...]

    def to_dict(self) -> dict[str, Any]:
        """Write the information and a row a state, JSON-safe."""
        rows = [{"state": k, **of.to_dict()} for k, of in zip(self.states, self.per_state, strict=True)]
        return {"information": self.information.to_dict(), "sectors": self.sectors, "per_state": rows}


def circular_statistics(phase: npt.ArrayLike) -> CircularStatistics:
    """Summarise angles: mean direction, resultant length R, concentration κ, and Rayleigh's test.

    Parameters
    ----------
    phase : array_like of float
        Radians, any shape, wrapped or not.

    Returns
    -------
    CircularStatistics

    Raises
    ------
    TypeError, ValueError
        Not real numbers, or not finite.

    References
    ----------
    N. Fisher, "Statistical analysis of circular data", 1993.
    J. Zar, "Biostatistical analysis", 5th ed., 2010, eq. 27.4 (the p-value).

    Examples
    --------
    >>> round(circular_statistics([0.0, 0.0, np.pi / 2, np.pi / 2]).resultant, 4)
    0.7071
    """
    angle = angles("phase", phase).ravel()
    n = len(angle)
    if not n:
        return CircularStatistics(0, np.nan, np.nan, np.nan, np.nan, "no angles")
    centre = complex(np.exp(1j * angle).mean())
    resultant = min(1.0, abs(centre))
    kappa = _concentration(resultant)
    length = n * resultant
    # n² − (nR)² as a product, which does not cancel when R is near 1
    p = np.exp(np.sqrt(1 + 4 * n + 4 * (n - length) * (n + length)) - (1 + 2 * n))
    reason = "kappa is infinite: all angles are equal" if np.isinf(kappa) else ""
    return CircularStatistics(n, float(np.angle(centre)), resultant, kappa, min(1.0, float(p)), reason)


def state_phase_information(
    states: npt.ArrayLike,
    phase: npt.ArrayLike,
    *,
    sectors: int = 12,
    surrogates: int = 0,
    kind: SurrogateKind = "circular",
    block: int | None = None,
    seed: int = 0,
) -> StatePhase:
    """Estimate I(Z; Φ): what the state of one actor tells of the phase of a rhythm, and where each state lies in it.

    Parameters
    ----------
    states : array_like of int, shape (T,)
        Z; steps labelled −1 are left out.
    phase : array_like of float, shape (T,)
        Φ in radians, as of `instantaneous_phase`.
    sectors : int
        Equal sectors that the circle is cut into from −π, at least 2. The information is at most their logarithm, and
        freed of its bias by Miller and Madow's formula.
    surrogates, kind, block, seed
        As in `mutual_information`, of the states.

    Returns
    -------
    StatePhase

    Raises
    ------
    TypeError, ValueError
        As `mutual_information`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> joint = state_phase_information(rng.integers(0, 3, 3000), rng.uniform(-np.pi, np.pi, 3000), surrogates=99)
    >>> joint.information.p > 0.05
    True
    """
    whole("sectors", sectors, 2)
    labels, angle = class_labels("states", states), angles("phase", phase)
    if labels.ndim != 1 or labels.shape != angle.shape:
        raise ValueError(f"phase: must be (T,) like states {labels.shape}, got {angle.shape}.")
    share = np.mod(angle + np.pi, 2 * np.pi) / (2 * np.pi)
    sector: IntArray = np.minimum(sectors - 1, (share * sectors).astype(np.int64))
    information = mutual_information(labels, sector, surrogates=surrogates, kind=kind, block=block, seed=seed)
    present = tuple(int(k) for k in np.unique(labels[labels != IGNORE]))
    per_state = tuple(circular_statistics(angle[labels == k]) for k in present)
    return StatePhase(information, sectors, present, per_state)


def _concentration(resultant: float) -> float:
    """κ with I₁(κ) / I₀(κ) = R."""
    if resultant >= 1 - 1e-12:
        return np.inf
    if resultant <= 0:
        return 0.0
    special, optimize = scipy("special"), scipy("optimize")

    def beyond(kappa: float) -> float:
        return float(special.i1e(kappa) / special.i0e(kappa)) - resultant

    # The ratio is about 1 − 1 / (2 κ) for large κ and κ / 2 for small, so that at 2 / (1 − R) it is beyond R.
    return float(optimize.brentq(beyond, 0.0, 2.0 / (1 - resultant), xtol=1e-12, rtol=1e-12))


def angles(name: str, values: npt.ArrayLike) -> FloatArray:
    """Take finite real numbers, as float64."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name}: must be real numbers, got dtype {array.dtype}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: {(~np.isfinite(array)).sum()} values are not finite; leave those steps out.")
    return array.astype(np.float64)
