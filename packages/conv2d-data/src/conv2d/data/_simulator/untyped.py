"""The three scipy functions used here, which have no types, behind functions that do.

scipy is loaded by the first call: it takes longer to load than all of this wheel.
"""

from collections.abc import Callable
from importlib import import_module
from typing import cast

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def cubic_spline(knots: Array, values: Array, times: Array) -> Array:
    """Join `values` (n, P) at `knots` (n,) by cubic polynomials and evaluate them at `times` (T,): (T, P)."""
    spline = cast("Callable[[Array, Array], Callable[[Array], Array]]", import_module("scipy.interpolate").CubicSpline)
    return spline(knots, values)(times)


def recursive_filter(b: Array, a: Array, signal: Array) -> Array:
    """Filter along the first axis with the transfer function b / a in powers of 1 / z, from rest."""
    lfilter = cast("Callable[..., Array]", import_module("scipy.signal").lfilter)
    return lfilter(b, a, signal, axis=0)


def decimate(taps: Array, signal: Array, factor: int) -> Array:
    """Convolve the last axis with `taps` and keep every `factor`-th sample of the full convolution."""
    upfirdn = cast("Callable[..., Array]", import_module("scipy.signal").upfirdn)
    return upfirdn(taps, signal, down=factor, axis=-1)
