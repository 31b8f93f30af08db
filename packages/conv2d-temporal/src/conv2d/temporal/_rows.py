"""Exponentials and logarithms of whole rows, compiled to vector instructions; numba calls a scalar function for each.

Accurate to two units in the last place, which the tests check against numpy.
"""

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal._compile import compiled

Float = NDArray[np.float64]
Int = NDArray[np.int64]

# Rows are padded to whole vectors of this many float64: one cache line.
LANES = 8

_LOG2_E = 1.4426950408889634
# ln 2 in two parts; the first has zeros at its end, so that its product with a small integer is exact.
_LN2_HIGH = 0.693147180369123816490
_LN2_LOW = 1.90821492927058770002e-10
_SMALLEST = -708.0
_MANTISSA = 0x000FFFFFFFFFFFFF
_ONE = 0x3FF0000000000000
_SQRT2 = 1.4142135623730951


# Multiplying and adding at once is allowed; there is no NaN in a row.
_FAST = {"contract", "nsz", "nnan"}


@compiled()
def fill(target: Float, value: float) -> None:
    """Set a row to one value; assigning to a slice would take numba seconds to compile."""
    for i in range(len(target)):
        target[i] = value


@compiled()
def eight(row: Float) -> tuple[float, float, float, float, float, float, float, float]:
    """Return the first eight numbers of a row, to be held in registers."""
    return row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7]


@compiled(fastmath=_FAST)
def exp_into(target: Float, power: Float, scratch: Int) -> None:
    """Set target to exp(power); 0 below -708, where float64 loses digits. `power` is at most 709."""
    bits = target.view(np.int64)
    for i in range(len(target)):
        x = power[i] if power[i] > _SMALLEST else _SMALLEST
        n = np.floor(x * _LOG2_E + 0.5)
        r = (x - n * _LN2_HIGH) - n * _LN2_LOW
        # Taylor's series: |r| < 0.35, so the first term left out is below 4e-17.
        series = 1.0 / 6227020800.0
        series = series * r + 1.0 / 479001600.0
        series = series * r + 1.0 / 39916800.0
        series = series * r + 1.0 / 3628800.0
        series = series * r + 1.0 / 362880.0
        series = series * r + 1.0 / 40320.0
        series = series * r + 1.0 / 5040.0
        series = series * r + 1.0 / 720.0
        series = series * r + 1.0 / 120.0
        series = series * r + 1.0 / 24.0
        series = series * r + 1.0 / 6.0
        series = series * r + 0.5
        target[i] = (series * r * r + r) + 1.0
        scratch[i] = np.int64(n) << 52
    # Times 2 ** n: n is added to the exponent.
    for i in range(len(target)):
        scaled = bits[i] + scratch[i]
        bits[i] = scaled if power[i] > _SMALLEST else 0


@compiled(fastmath=_FAST)
def log_in_place(value: Float, scratch: Int) -> None:
    """Set value to log(value); -inf for 0. There are no subnormal numbers."""
    bits = value.view(np.int64)
    mantissa = scratch.view(np.float64)
    for i in range(len(value)):
        scratch[i] = (bits[i] & _MANTISSA) | _ONE
    for i in range(len(value)):
        n = np.float64((bits[i] >> 52) - 1023)
        m = mantissa[i]
        large = m > _SQRT2
        m = 0.5 * m if large else m
        n = n + 1.0 if large else n
        # log m = 2 artanh f with |f| < 0.172; the first term left out is below 1e-18.
        f = (m - 1.0) / (m + 1.0)
        s = f * f
        series = 1.0 / 21.0
        series = series * s + 1.0 / 19.0
        series = series * s + 1.0 / 17.0
        series = series * s + 1.0 / 15.0
        series = series * s + 1.0 / 13.0
        series = series * s + 1.0 / 11.0
        series = series * s + 1.0 / 9.0
        series = series * s + 1.0 / 7.0
        series = series * s + 1.0 / 5.0
        series = series * s + 1.0 / 3.0
        result = n * _LN2_HIGH + (2.0 * f + (2.0 * f * s * series + n * _LN2_LOW))
        value[i] = result if value[i] > 0.0 else -np.inf
