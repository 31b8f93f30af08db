"""Smooth functions of time: every movement is made of these, so that it can be differentiated twice."""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from conv2d.data._simulator.untyped import cubic_spline

Array = NDArray[np.float64]


def smoothstep(x: Array) -> Array:
    """Rise from 0 at x = −½ to 1 at x = ½ with no velocity or acceleration at either end (minimum jerk)."""
    u = np.clip(x + 0.5, 0.0, 1.0)
    return u**3 * (10.0 + u * (6.0 * u - 15.0))


def blend(values: Array, edges_s: Array, widths_s: Array, times_s: Array) -> Array:
    """Hold each row of `values` for its interval and glide to the next around the edge between them.

    Parameters
    ----------
    values : numpy.ndarray
        (n, P), one row an interval.
    edges_s : numpy.ndarray
        (n - 1,), the inner edges, increasing, in seconds.
    widths_s : numpy.ndarray
        (n - 1,), how long each glide takes, centred on its edge. Glides must not overlap.
    times_s : numpy.ndarray
        (T,), increasing.

    Returns
    -------
    numpy.ndarray
        (T, P), twice differentiable in time.
    """
    track = values[np.searchsorted(edges_s, times_s, side="right")]
    begins = np.searchsorted(times_s, edges_s - 0.5 * widths_s)
    ends = np.searchsorted(times_s, edges_s + 0.5 * widths_s)
    for k, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        rise = smoothstep((times_s[begin:end] - edges_s[k]) / widths_s[k])
        track[begin:end] = values[k] + rise[:, None] * (values[k + 1] - values[k])
    return track


def smooth_noise(rng: np.random.Generator, times_s: Array, bandwidth_hz: float, size: int) -> Array:
    """Return (T, size) smooth random functions of about unit standard deviation and the given bandwidth.

    Normal values at 1 / (2 bandwidth) seconds from each other, joined by a cubic spline.
    """
    step = 0.5 / bandwidth_hz
    n_knots = max(4, int(np.ceil((times_s[-1] - times_s[0]) / step)) + 2)
    knots = times_s[0] + step * np.arange(n_knots)
    return cubic_spline(knots, rng.standard_normal((n_knots, size)), times_s)


def jumps(
    rng: np.random.Generator, times_s: Array, median_hold_s: float, size: int, width_s: tuple[float, float]
) -> Array:
    """Return (T, size) unit-variance targets that are held for a while and then left quickly, as a head looks around.

    Holds are log-normal (σ 0.8) and never shorter than the longest movement.
    """
    span = times_s[-1] - times_s[0]
    n = int(np.ceil(span / width_s[1])) + 2
    holds = np.maximum(median_hold_s * np.exp(0.8 * rng.standard_normal(n)), width_s[1])
    targets = rng.standard_normal((n, size))
    widths = rng.uniform(*width_s, size=n)
    edges = times_s[0] + np.cumsum(holds)
    used = int(np.sum(edges < times_s[-1] + width_s[1]))
    return blend(targets[: used + 1], edges[:used], widths[:used], times_s)


def gate(rng: np.random.Generator, times_s: Array, on_share: float, period_s: float) -> Array:
    """Return weights (T,) that switch smoothly between 0 and 1 and are near 1 for about `on_share` of the time."""
    level = smooth_noise(rng, times_s, 0.5 / period_s, 1)[:, 0]
    return 1.0 / (1.0 + np.exp(-8.0 * (level + NormalDist().inv_cdf(on_share))))
