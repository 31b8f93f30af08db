"""What a consumer sensor reports of it: bias, scale, noise, range, resolution, and its own low-pass filter."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conv2d.data._simulator.imu import Ideal
from conv2d.data._simulator.untyped import decimate

Array = NDArray[np.float64]

# ICM-20948 data sheet, DS-000189 rev. 1.3: accelerometer 230 µg/√Hz, ±16 g; gyroscope 0.015 °/s/√Hz, ±2000 °/s, 1.5 %
# scale; magnetometer 0.15 µT a step. Biases are what a factory calibration leaves, and the hard iron that of a buckle.
_G = 9.81
NOISE_DENSITY = np.repeat([230e-6 * _G, np.deg2rad(0.015), 0.04], 3)
"""(9,), m/s²/√Hz, rad/s/√Hz, µT/√Hz."""
RANGE = np.repeat([16.0 * _G, np.deg2rad(2000.0), 4900.0], 3)
"""(9,), the largest magnitude a channel reports: ±16 g, ±2000 °/s, ±4900 µT."""
RESOLUTION = np.repeat([16.0 * _G / 2**15, np.deg2rad(2000.0) / 2**15, 0.15], 3)
BIAS_SD = np.repeat([0.03 * _G, np.deg2rad(0.8), 12.0], 3)
SCALE_SD = np.repeat([0.007, 0.012, 0.02], 3)


@dataclass(frozen=True)
class Errors:
    """The constant errors of one device: offsets and scale factors, (9,)."""

    bias: Array
    scale: Array


def draw_errors(rng: np.random.Generator, noise: float) -> Errors:
    """Draw the errors of one device; `noise` scales them all."""
    return Errors(noise * BIAS_SD * rng.standard_normal(9), 1.0 + noise * SCALE_SD * rng.standard_normal(9))


def half_filter(factor: int) -> int:
    """Return how many fine samples the filter of `measure` reaches to either side."""
    return 0 if factor == 1 else 6 * factor


def measure(rng: np.random.Generator, ideal: Ideal, errors: Errors, fine_hz: float, factor: int, noise: float) -> Array:
    """Turn ideal signals into readings at `fine_hz / factor`.

    Parameters
    ----------
    rng : numpy.random.Generator
    ideal : Ideal
        Signals (F, 3) at `fine_hz`, `half_filter(factor)` samples longer at either end than what is asked for.
    errors : Errors
    fine_hz : float
    factor : int
        Whole number of fine samples to a reading.
    noise : float
        Factor on the white noise.

    Returns
    -------
    numpy.ndarray
        float64 (9, T) with T = (F - 2 half_filter(factor) - 1) // factor + 1.
    """
    signal = np.concatenate(ideal, axis=1).T
    white = rng.standard_normal(signal.shape) * (noise * NOISE_DENSITY * np.sqrt(0.5 * fine_hz))[:, None]
    signal = errors.scale[:, None] * signal + errors.bias[:, None] + white
    half = half_filter(factor)
    if factor > 1:
        # A Hamming-windowed sinc. Its phase is linear, so that nothing is delayed, and its half-amplitude frequency is
        # 0.43 of the output rate.
        at = np.arange(-half, half + 1, dtype=np.float64)
        taps = np.sinc(0.86 * at / factor) * np.hamming(2 * half + 1)
        taps /= taps.sum()
        n_out = (signal.shape[1] - 2 * half - 1) // factor + 1
        signal = decimate(taps, signal, factor)
        first = 2 * half // factor
        signal = signal[:, first : first + n_out]
    signal = np.round(signal / RESOLUTION[:, None]) * RESOLUTION[:, None]
    return np.clip(signal, -RANGE[:, None], RANGE[:, None])
