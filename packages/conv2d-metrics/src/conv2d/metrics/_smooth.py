"""Smooth calibration error: a kernel in place of bins, its width chosen by the data."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._inputs import BoolArray, FloatArray, Groups, scored
from ._rows import BLOCK

Spectrum = npt.NDArray[np.complex128]

GRID = 1024
"""Cells of the confidence axis. A residual is shared between its two neighbouring grid points."""

_STEPS = 20
_CHUNK = 2**20  # numbers a block of resampled tables


def residual_sums(
    confidence: FloatArray, correct: FloatArray, by: Groups | None = None, weight: FloatArray | None = None
) -> FloatArray:
    """Sum ``correct − confidence`` onto the grid for each group, ``(G, GRID + 2)``; the last column counts windows."""
    n_groups, width = 1 if by is None else by.n, GRID + 2
    sums = np.zeros(n_groups * width)
    for start in range(0, len(confidence), BLOCK):
        rows = slice(start, start + BLOCK)
        base = 0 if by is None else by.codes[rows] * width
        once = np.ones(len(confidence[rows])) if weight is None else weight[rows]
        place = confidence[rows] * GRID
        left = np.minimum(place.astype(np.int64), GRID - 1)
        share = place - left
        residual = (correct[rows] - confidence[rows]) * once
        for cell, amount in ((left, residual * (1 - share)), (left + 1, residual * share), (GRID + 1, once)):
            sums += np.bincount(np.broadcast_to(base + cell, amount.shape), amount, len(sums))
    return sums.reshape(n_groups, width)


def smooth_error_of(residuals: FloatArray) -> FloatArray:
    """Find the smooth ECE of ``(..., GRID + 2)`` residual sums: the width σ at which the error at σ equals σ.

    Reflected at 0 and 1, a Gaussian kernel multiplies the cosine coefficients of the residuals by exp(−(πkσ)²/2).
    """
    flat = residuals.reshape(-1, GRID + 2)
    out = np.empty(len(flat))
    step = max(1, _CHUNK // (2 * GRID))
    for start in range(0, len(flat), step):
        out[start : start + step] = _fixed_points(flat[start : start + step])
    return out.reshape(residuals.shape[:-1])


def smooth_ece(y_true: npt.ArrayLike, y_prob: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None) -> float:
    """Smooth calibration error of the top class (smECE): no bins, hence no edges to fall on and no number to choose.

    The residuals (correct − confidence) are smoothed along the confidence by a Gaussian kernel reflected at 0 and 1,
    and their mean absolute value is taken; the kernel's width σ is the one at which that value is σ. Small changes of
    the probabilities change it by little, which holds for no binned error.

    Parameters
    ----------
    y_true : array_like of int, shape (...)
        Class indices; windows labelled −1 are ignored.
    y_prob : array_like of float32 or float64, shape (..., K)
        Rows sum to 1 within 1e-4.
    sample_weight : array_like, shape (...), optional
        As `accuracy`.

    Returns
    -------
    float
        In [0, 1], to about 1e-3 of itself; NaN when no window is labelled. Confidences of exactly 0 or 1 count in full
        (relplot gives them half a weight).

    Raises
    ------
    TypeError, ValueError
        As `nll`.

    References
    ----------
    J. Błasiok, P. Nakkiran, "Smooth ECE: principled reliability diagrams via kernel smoothing", ICLR 2024.

    Examples
    --------
    >>> round(smooth_ece([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), 2)
    0.17
    """
    sample = scored(y_true, y_prob, sample_weight)
    correct = (sample.y_pred == sample.y_true).astype(np.float64)
    return float(smooth_error_of(residual_sums(sample.confidence, correct, weight=sample.weight))[0])


def smooth_error_reaches(residuals: FloatArray, value: float) -> BoolArray:
    """Whether the smooth ECE of ``(N, GRID + 2)`` sums is at least a value: the error at that width is, as it falls."""
    out = np.empty(len(residuals), dtype=np.bool_)
    step = max(1, _CHUNK // (2 * GRID))
    for start in range(0, len(out), step):
        rows = slice(start, start + step)
        out[rows] = _error_at(_spectrum(residuals[rows]), np.array([value])) >= value
    return out


def _fixed_points(residuals: FloatArray) -> FloatArray:
    spectrum = _spectrum(residuals)
    low, high = np.zeros(len(residuals)), np.ones(len(residuals))
    for _ in range(_STEPS):  # the error at σ falls with σ
        middle = (low + high) / 2
        below = _error_at(spectrum, middle) < middle
        low, high = np.where(below, low, middle), np.where(below, middle, high)
    return np.where(residuals[:, -1] > 0, _error_at(spectrum, high), np.nan)


def _spectrum(residuals: FloatArray) -> Spectrum:
    """Cosine coefficients of the mean residuals ``(N, GRID + 1)``."""
    windows = residuals[:, -1]
    density = residuals[:, :-1] / np.where(windows > 0, windows, 1.0)[:, None]
    mirrored = np.concatenate([density, density[:, -2:0:-1]], axis=1)  # even, of period 2 · GRID
    # Points at the ends lie on the mirror: they appear once, and their image coincides with them.
    mirrored[:, [0, GRID]] *= 2
    return np.fft.rfft(mirrored, axis=1)


def _error_at(spectrum: Spectrum, width: FloatArray) -> FloatArray:
    """Mean absolute residual after smoothing with kernels of these widths ``(N,)``."""
    kernel = np.exp(-((np.pi * np.arange(GRID + 1) * width[:, None]) ** 2) / 2)
    smoothed = np.abs(np.fft.irfft(spectrum * kernel, 2 * GRID, axis=1)[:, : GRID + 1])
    return smoothed.sum(axis=1) - (smoothed[:, 0] + smoothed[:, -1]) / 2  # trapezoids, GRID cells of 1/GRID
