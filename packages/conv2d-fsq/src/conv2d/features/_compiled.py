"""Threshold counting compiled for one set of levels. Imported on demand only: numba takes a second to load.

The thresholds are constants of the machine code, so the loop over them is unrolled and the loop over vectors uses the full width
of the processor's registers. Comparisons and integer sums only: the result is that of the numpy path, bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from conv2d.features._levels import Levels

if TYPE_CHECKING:

    def njit(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Typed face of `numba.njit`."""
        ...
else:
    from numba import njit

Kernel = Callable[[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32] | None], int]


@dataclass(frozen=True)
class Kernels:
    """Quantisers for one set of levels; each returns the number of NaN that it met.

    Attributes
    ----------
    last : callable
        Takes z (m * n,), codes (m,) to fill, and quantised values (m * n,) to fill or None.
    first : callable
        Takes z (outer, n, inner), codes (outer, inner), and quantised values (outer, n, inner) or None.
    """

    last: Kernel
    first: Kernel


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the GIL, and keep the machine code where a folder for it can be written."""
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no folder to write to
        return njit(nogil=True, error_model="numpy")(function)


def build(table: Levels) -> Kernels:
    """Return the kernels of a set of levels; they compile on their first call.

    Parameters
    ----------
    table : Levels
        With few levels: the code grows with their sum.

    Returns
    -------
    Kernels
        For both memory layouts.
    """
    # Plain numbers and read-only arrays of a closure become constants of the compiled code.
    n, most = table.thresholds.shape
    thresholds, basis, half = table.thresholds, table.basis, table.half_width
    zero, one = np.int32(0), np.int32(1)

    def last(z: NDArray[np.float32], codes: NDArray[np.int32], quantized: NDArray[np.float32] | None) -> int:
        nans = 0
        for i in range(codes.size):
            code = zero
            for k in range(n):
                value = z[i * n + k]
                level = zero
                for j in range(most):
                    level = np.int32(level + (one if value > thresholds[k, j] else zero))
                code = np.int32(code + np.int32(basis[k] * level))
                if quantized is not None:
                    quantized[i * n + k] = (np.float32(level) - half[k]) / half[k]
                nans += value != value
            codes[i] = code
        return nans

    def first(z: NDArray[np.float32], codes: NDArray[np.int32], quantized: NDArray[np.float32] | None) -> int:
        nans = 0
        for o in range(codes.shape[0]):
            for i in range(codes.shape[1]):
                code = zero
                for k in range(n):
                    value = z[o, k, i]
                    level = zero
                    for j in range(most):
                        level = np.int32(level + (one if value > thresholds[k, j] else zero))
                    code = np.int32(code + np.int32(basis[k] * level))
                    if quantized is not None:
                        quantized[o, k, i] = (np.float32(level) - half[k]) / half[k]
                    nans += value != value
                codes[o, i] = code
        return nans

    return Kernels(_jit(last), _jit(first))
