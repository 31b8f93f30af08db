"""Rounding of weights that makes up for its own errors on calibration data.

References
----------
Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", ICLR 2023.
Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019 (bias correction).
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
_LEVELS = 127
_DAMPING = 1e-3


def channel_scales(weights: Matrix) -> Matrix:
    """Return one scale for each output channel (row), so that its largest weight is 127."""
    largest = np.abs(weights).max(axis=1)
    return np.where(largest > 0, largest, 1.0) / _LEVELS


def round_weights(weights: Matrix, scales: Matrix, moments: Matrix) -> NDArray[np.int8]:
    """Round (out, in) weights to int8 so that the outputs, not the weights, change least.

    `moments` is the second moment (in, in) of the inputs. Inputs are rounded one after the other, the strongest first; what
    each rounding does to the output is made up for by the weights that are still free.
    """
    size = weights.shape[1]
    strength = np.diag(moments)
    order = np.argsort(-strength, kind="stable")
    damped = moments[np.ix_(order, order)] + np.eye(size) * (_DAMPING * strength.mean() + 1e-12)
    # The upper factor of the inverse: row j tells how an error in input j is spread over the inputs after it.
    spread = cast("Matrix", np.linalg.cholesky(cast("Matrix", np.linalg.inv(damped)))).T
    free = weights[:, order].copy()
    rounded = np.empty(weights.shape, np.int8)
    for j in range(size):
        level = np.clip(np.rint(free[:, j] / scales), -_LEVELS, _LEVELS)
        rounded[:, order[j]] = level.astype(np.int8)
        error = (free[:, j] - level * scales) / spread[j, j]
        free[:, j + 1 :] -= np.outer(error, spread[j, j + 1 :])
    return rounded


def activation_range(values: NDArray[np.float32]) -> tuple[float, int]:
    """Return scale and zero point of a uint8 activation: the range with the least squared error on `values`."""
    flat = values.ravel()
    flat = flat[:: max(1, flat.size // 100_000)].astype(np.float64)
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    best = (np.inf, 1.0, 0)
    for share in np.linspace(0.4, 1.0, 25):
        scale = float(np.float32(max(high - low, 1e-6) * share / 255))
        zero = int(np.clip(np.rint(-low * share / scale), 0, 255))
        back = (np.clip(np.rint(flat / scale) + zero, 0, 255) - zero) * scale
        best = min(best, (float(((back - flat) ** 2).mean()), scale, zero))
    return best[1], best[2]
