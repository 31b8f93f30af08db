"""The training-free encoder: fixed filters whose output is the same bytes on every machine.

In the spirit of MiniRocket [1]_: no weights are learnt, a small fixed set of dilated filters is applied to every channel and
summarised over time. To be reproducible everywhere it computes in integers: samples become fixed-point numbers, filters have
integer weights, sums are exact in any order; what follows are single IEEE operations (division, square root) and a piecewise
linear logarithm made of exponent and mantissa, so no maths library is asked.

References
----------
.. [1] A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: A Very Fast (Almost) Deterministic Transform for Time Series
   Classification", KDD 2021.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from conv2d.features._contract import N_DEVICES, WINDOW_STEPS
from conv2d.features._errors import ContractError

_FIXED_POINT = 4096.0  # steps per unit: 0.24 mm/s² of acceleration
_LIMIT = 2.0**20  # ±256 units in fixed point; beyond, a sample is clipped (sensors end at 160 m/s², 35 rad/s)
_LAGS = (1, 2, 4, 8)

# A typical strength of each sensor triad (m/s², rad/s, µT): the middle of its logarithmic scale.
_TYPICAL_MEAN = np.array([1.0, 0.1, 8.0])
_TYPICAL_SPREAD = np.array([1.0, 0.5, 2.0])

_PAIRS = ((0, 1), (0, 2), (1, 2))


def _log2(v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Piecewise linear log2 of positive numbers: exact at powers of two, at most 0.087 low between them."""
    mantissa, exponent = np.frexp(v)
    return exponent - 2.0 + 2.0 * mantissa


def _rows(array: NDArray[np.float64]) -> NDArray[np.float64]:
    return array.reshape(len(array), math.prod(array.shape[1:]))


def fixed_features(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the bank of fixed features.

    Parameters
    ----------
    x : ndarray of float32, shape (B, 9, 2, 100)
        Checked windows, in SI units (µT for the magnetometer).

    Returns
    -------
    ndarray of float32, shape (B, 195)
        Scaled so that typical values spread over the levels of FSQ, about ±1.5.
    """
    batch = x.shape[0]
    samples = np.rint(np.clip(x * np.float32(_FIXED_POINT), -_LIMIT, _LIMIT)).astype(np.int64)
    triads = samples.reshape(batch, 3, 3, N_DEVICES, WINDOW_STEPS)  # sensor, axis
    norm = np.rint(np.sqrt((triads * triads).sum(2, keepdims=True).astype(np.float64))).astype(np.int64)
    series = np.concatenate([triads, norm], 2)  # (B, sensor, x y z norm, device, time)

    total = series.sum(-1)
    centred = series * WINDOW_STEPS - total[..., None]  # exact: 100 × (sample - mean)
    scale = _FIXED_POINT * WINDOW_STEPS
    mean = total / scale
    power = (centred * centred).sum(-1) / (scale * scale * WINDOW_STEPS)
    sensor = (slice(None), None, None)
    size = np.abs(mean) / _TYPICAL_MEAN[sensor]
    level = np.where(mean < 0, -1.0, 1.0) * _log2(1.0 + size) * 0.5
    spread_floor = (_TYPICAL_SPREAD / 64.0) ** 2
    energy = _log2(power + spread_floor[sensor]) - _log2(_TYPICAL_SPREAD**2)[sensor]
    parts = [level, energy * 0.15]

    for lag in _LAGS:  # roughness at a lag against the whole: a coarse spectrum, free of scale
        step = series[..., lag:] - series[..., :-lag]
        rough = (step * step).sum(-1) / (_FIXED_POINT**2 * (WINDOW_STEPS - lag))
        parts.append((_log2(rough + spread_floor[sensor]) - _log2(2.0 * power + spread_floor[sensor])) * 0.5 + 0.6)

    above = (centred > 0).sum(-1) / WINDOW_STEPS  # proportion of positive values
    parts.append((above - 0.5) * 6.0)
    bank = np.concatenate([_rows(p) for p in parts], 1)

    axes = centred[:, :, :3]
    for i, j in _PAIRS:  # do two axes move together?
        joint = (axes[:, :, i] * axes[:, :, j]).sum(-1) / (scale * scale * WINDOW_STEPS)
        floor = spread_floor[:, None]
        both = np.sqrt((power[:, :, i] + floor) * (power[:, :, j] + floor))
        bank = np.concatenate([bank, _rows(joint / both * 1.5)], 1)
    across = (axes[..., 0, :] * axes[..., 1, :]).sum(-1) / (scale * scale * WINDOW_STEPS)  # the two devices
    both = np.sqrt((power[:, :, :3, 0] + spread_floor[sensor[:2]]) * (power[:, :, :3, 1] + spread_floor[sensor[:2]]))
    bank = np.concatenate([bank, _rows(across / both * 1.5)], 1)
    return bank.astype(np.float32)


N_FEATURES = 3 * 4 * N_DEVICES * (3 + len(_LAGS)) + len(_PAIRS) * 3 * N_DEVICES + 9


def fixed_tokens(x: NDArray[np.float32], embedding_dim: int, n_scalars: int) -> NDArray[np.float32]:
    """Arrange the fixed features as tokens.

    Parameters
    ----------
    x : ndarray of float32, shape (B, 9, 2, 100)
        Checked windows.
    embedding_dim, n_scalars : int
        Tokens per window and scalars per token; their product at most the size of the bank.

    Returns
    -------
    ndarray of float32, shape (B, embedding_dim, n_scalars)
        Unbounded scalars.
    """
    wanted = embedding_dim * n_scalars
    if wanted > N_FEATURES:
        raise ContractError(
            f"the training-free encoder has {N_FEATURES} features, too few for embedding_dim={embedding_dim} tokens of "
            f"{n_scalars} scalars ({wanted}); use fewer tokens, or pass a trained encoder=."
        )
    return np.ascontiguousarray(fixed_features(x)[:, :wanted]).reshape(len(x), embedding_dim, n_scalars)
