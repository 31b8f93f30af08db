"""The training-free encoder: fixed statistics of a window, the same bytes on every machine.

In the spirit of MiniRocket [1]_: nothing is learnt, a small fixed set of summaries is taken of every channel: where the signal
lies, how far it reaches, where it is heading, how rough it is at several lags, how often it crosses its mean. To be reproducible
everywhere they are computed in integers: samples become fixed-point numbers, weights are integers, sums and order statistics are
exact in any order; what follows are single IEEE operations (division, square root) and a piecewise linear logarithm made of
exponent and mantissa, so no maths library is asked.

Each kind of summary of each sensor is stretched by a piecewise linear curve, so that its values spread evenly over the levels of
FSQ. The knots are quantiles over public recordings of people (SPSW and DSADS); labels had no part in them.

References
----------
.. [1] A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: A Very Fast (Almost) Deterministic Transform for Time Series
   Classification", KDD 2021.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conv2d.features._contract import N_DEVICES, WINDOW_STEPS
from conv2d.features._errors import ContractError
from conv2d.features._fixed_knots import KNOTS

_FIXED_POINT = 4096.0  # steps per unit: 0.24 mm/s² of acceleration
_LIMIT = 2.0**20  # ±256 units in fixed point; beyond, a sample is clipped (sensors end at 160 m/s², 35 rad/s)
_CHUNK = (
    256  # windows at a time: what they need stays in the processor's cache, and memory does not grow with the batch
)

# A small but telling value of each sensor (m/s², rad/s, µT): below it, the logarithmic scale becomes linear.
_SMALL = np.array([1.0, 0.1, 4.0])[:, None, None]
_FLOOR = (_SMALL / 32.0) ** 2  # of a mean square, so that a still sensor has a finite logarithm

_TIME = 2 * np.arange(WINDOW_STEPS) - (WINDOW_STEPS - 1)  # odd integers, sum 0
_QUARTER = WINDOW_STEPS // 4

_MOTION = ("spread", "mean", "slope", "low", "high", "rough1", "rough4", "bend", "above", "crossings")
_FIELD = ("mean", "power", "slope", "rough1")
_MORE = ("power", "rough2", "rough8", "least", "most")
_ACC, _GYRO, _MAG = range(3)

GROUPS = (
    *((kind, sensor) for kind in _MOTION for sensor in (_ACC, _GYRO)),
    *((kind, _MAG) for kind in _FIELD),
    # For more scalars than 64 tokens of three:
    *((kind, _MAG) for kind in _MOTION if kind not in _FIELD),
    *((kind, sensor) for kind in _MORE for sensor in (_ACC, _GYRO, _MAG) if (kind, sensor) != ("power", _MAG)),
)
"""Kind and sensor of each eight features (magnitude, x, y, z of both devices), the most telling first."""

# Where the knots go, the quantiles 0.03, 0.2, 0.5, 0.8 and 0.97: atanh(2 q - 1), which the bound of FSQ spreads evenly.
_TARGETS = (-1.738, -0.693, 0.0, 0.693, 1.738)

_GROUP_SIZE = 4 * N_DEVICES
N_FEATURES = len(GROUPS) * _GROUP_SIZE


class _Series(NamedTuple):
    """Windows in fixed point, (B, sensor, [magnitude x y z], device, time), and what the summaries share."""

    samples: NDArray[np.int64]
    ordered: NDArray[np.int64]
    mean: NDArray[np.float64]
    centred: NDArray[np.int64]  # (sample - mean) * steps: exact
    power: NDArray[np.float64]


def _log2(v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Piecewise linear log2 of positive numbers: exact at powers of two, at most 0.087 low between them."""
    mantissa, exponent = np.frexp(v)
    return exponent - 2.0 + 2.0 * mantissa


def _signed_log(v: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(v < 0, -1.0, 1.0) * _log2(1.0 + np.abs(v) / _SMALL)


def _series(x: NDArray[np.float32]) -> _Series:
    fixed = np.rint(np.clip(x * np.float32(_FIXED_POINT), -_LIMIT, _LIMIT)).astype(np.int64)
    triads = fixed.reshape(len(x), 3, 3, N_DEVICES, WINDOW_STEPS)
    norm = np.rint(np.sqrt((triads * triads).sum(2, keepdims=True).astype(np.float64))).astype(np.int64)
    samples = np.concatenate([norm, triads], 2)
    total = samples.sum(-1)
    centred = samples * WINDOW_STEPS - total[..., None]
    scale = _FIXED_POINT * WINDOW_STEPS
    power = (centred * centred).sum(-1) / (scale * scale * WINDOW_STEPS)  # below 2**60 before the division
    return _Series(samples, np.sort(samples, -1), total / scale, centred, power)


def _rank(s: _Series, percent: int) -> NDArray[np.float64]:
    return s.ordered[..., percent * WINDOW_STEPS // 100] / _FIXED_POINT


def _rough(s: _Series, lag: int) -> NDArray[np.float64]:
    """Mean square step at a lag against the variance: a coarse spectrum, free of scale."""
    step = s.samples[..., lag:] - s.samples[..., :-lag]
    square = (step * step).sum(-1) / (_FIXED_POINT**2 * (WINDOW_STEPS - lag))
    return _log2(square + _FLOOR) - _log2(2.0 * s.power + _FLOOR)


def _summary(s: _Series, kind: str) -> NDArray[np.float64]:
    """Return one summary, (B, sensor, series, device)."""
    above = s.centred > 0
    match kind:
        case "mean":
            return _signed_log(s.mean)
        case "low":
            return _signed_log(_rank(s, 10))
        case "high":
            return _signed_log(_rank(s, 90))
        case "least":
            return _signed_log(_rank(s, 0))
        case "most":
            return _signed_log(_rank(s, 99))
        case "spread":
            return _log2((_rank(s, 75) - _rank(s, 25)) ** 2 + _FLOOR)
        case "power":
            return _log2(s.power + _FLOOR)
        case "slope":  # covariance with time: which way it is heading
            return _signed_log((s.samples * _TIME).sum(-1) / (_FIXED_POINT * WINDOW_STEPS * (WINDOW_STEPS / 2)))
        case "bend":  # the middle half against the ends
            middle = s.centred[..., _QUARTER:-_QUARTER].sum(-1)
            return _signed_log(middle / (_FIXED_POINT * WINDOW_STEPS * (WINDOW_STEPS / 2)))
        case "above":
            return above.sum(-1) / WINDOW_STEPS
        case "crossings":
            return (above[..., 1:] != above[..., :-1]).sum(-1) / WINDOW_STEPS
        case _:
            return _rough(s, int(kind.removeprefix("rough")))


def fixed_features(x: NDArray[np.float32], count: int = N_FEATURES) -> NDArray[np.float32]:
    """Return the first features of the bank.

    Parameters
    ----------
    x : ndarray of float32, shape (B, 9, 2, 100)
        Checked windows, in m/s², rad/s and µT.
    count : int
        How many features.

    Returns
    -------
    ndarray of float32, shape (B, count)
        Scaled so that typical values spread over the levels of FSQ, about ±1.5.
    """
    groups = GROUPS[: -(-count // _GROUP_SIZE)]
    knots = _knots(len(groups))
    features = np.empty((len(x), len(groups) * _GROUP_SIZE), np.float32)
    for start in range(0, len(x), _CHUNK):
        part = slice(start, start + _CHUNK)
        series = _series(x[part])
        summaries = {kind: _summary(series, kind) for kind in dict.fromkeys(kind for kind, _ in groups)}
        raw = np.concatenate([summaries[kind][:, sensor] for kind, sensor in groups], 1)  # (B, groups * series, device)
        features[part] = _spread_out(raw.reshape(raw.shape[0], -1), knots)
    return features[:, :count]


@cache
def _knots(n_groups: int) -> NDArray[np.float64]:
    """Return the knots of the features of the first groups, (knots, features)."""
    rows = [
        KNOTS[kind][sensor][0 if series == 0 else 1]
        for kind, sensor in GROUPS[:n_groups]
        for series in range(4)
        for _ in range(N_DEVICES)
    ]
    return np.array(rows).T.copy()


def _spread_out(v: NDArray[np.float64], knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map the knots to ``_TARGETS``, linear between and beyond them; in single operations, which no compiler may fuse."""
    result = np.full(v.shape, _TARGETS[0])
    for i in range(len(knots) - 1):
        piece = v - knots[i]
        if i > 0:
            np.maximum(piece, 0.0, out=piece)
        if i < len(knots) - 2:
            np.minimum(piece, knots[i + 1] - knots[i], out=piece)
        piece *= (_TARGETS[i + 1] - _TARGETS[i]) / (knots[i + 1] - knots[i])
        result += piece
    return result


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
    return np.ascontiguousarray(fixed_features(x, wanted)).reshape(len(x), embedding_dim, n_scalars)
