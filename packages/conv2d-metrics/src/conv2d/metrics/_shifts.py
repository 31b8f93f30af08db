"""What correlations over lags share: two signals of one length, shifted, summed over stretches, correlated."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._inputs import FloatArray, IntArray, whole


def signal_pair(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Take two finite signals of one length."""
    one, other = _signal("x", x), _signal("y", y)
    if len(one) != len(other):
        raise ValueError(f"y: must be as long as x ({len(one)} steps), got {len(other)}.")
    return one, other


def _signal(name: str, values: npt.ArrayLike) -> FloatArray:
    array = np.asarray(values)
    if array.dtype.kind != "f":
        raise TypeError(
            f"{name}: must be continuous values (floats), got dtype {array.dtype}; for classes, lagged_kappa."
        )
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ValueError(f"{name}: must be finite values (T,), got shape {array.shape} or NaN among them.")
    return array.astype(np.float64)


def check_lags(n: int, max_lag: int) -> None:
    """Refuse lags that leave fewer than two steps."""
    whole("max_lag", max_lag, 0)
    if max_lag > n - 2:
        raise ValueError(f"max_lag={max_lag}: leaves fewer than 2 steps of a sequence of {n}.")


def shifted(x: Any, y: Any, lag: int) -> tuple[Any, Any]:
    """x(t) and y(t + lag) where both exist."""
    n = len(x)
    return (x[: n - lag], y[lag:]) if lag >= 0 else (x[-lag:], y[: n + lag])


def stretch_sums(values: FloatArray, start: IntArray, length: IntArray | int) -> FloatArray:
    """Sum stretches of a sequence."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    return total[start + length] - total[start]


def pearson(
    product: FloatArray, sx: FloatArray, sxx: FloatArray, sy: FloatArray, syy: FloatArray, count: IntArray | int
) -> FloatArray:
    """Compute Pearson's correlation from sums; NaN where one of the signals is constant."""
    vx, vy = sxx - sx * sx / count, syy - sy * sy / count
    # A variance that is nothing but the rounding of the sums is 0.
    varies = (vx > 1e-13 * sxx.max(initial=0.0)) & (vy > 1e-13 * syy.max(initial=0.0))
    scale = np.sqrt(np.where(varies, vx * vy, 1.0))
    return np.where(varies, np.clip((product - sx * sy / count) / scale, -1, 1), np.nan)


def size_of(value: FloatArray) -> FloatArray:
    """Take the size of values, undefined ones below all others."""
    return np.where(np.isnan(value), -1.0, np.abs(value))
