"""The quantiser of arrays: counts thresholds, compiled for large arrays where numba is installed, in numpy otherwise."""

from __future__ import annotations

import math
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from conv2d.features._levels import Levels

COMPILED_FROM = 2**15
"""Scalars in one call from which the compiled path is used: a live stream of single windows never waits for a compiler."""

_COMPILED_LEVELS = 128
"""Sum of levels up to which the path is compiled: the machine code grows with it."""

_MANY_LEVELS = 32
"""Levels of one scalar from which its ends are searched by bisection instead of counted."""


class Quantized(NamedTuple):
    """Codes int32 without the axis of scalars, quantised values float32 if asked for, and the number of NaN met."""

    codes: NDArray[np.int32]
    values: NDArray[np.float32] | None
    n_nan: int


def quantize(
    z: NDArray[np.float32],
    table: Levels,
    axis: int = -1,
    *,
    values: bool,
    out: NDArray[np.int32] | None = None,
) -> Quantized:
    """Quantise vectors that lie along an axis.

    Parameters
    ----------
    z : ndarray of float32
        Its ``axis`` holds one scalar for each of the levels.
    table : Levels
        The levels.
    axis : int
        The axis of scalars.
    values : bool
        Also return quantised values.
    out : ndarray of int32, optional
        Checked and C-contiguous: where the codes go.

    Returns
    -------
    Quantized
        A NaN counts as the lowest level.
    """
    axis %= z.ndim
    outer, n, inner = math.prod(z.shape[:axis]), z.shape[axis], math.prod(z.shape[axis + 1 :])
    z = np.ascontiguousarray(z)
    codes = np.empty((outer, inner), np.int32) if out is None else out.reshape(outer, inner)
    found = np.empty((outer, n, inner), np.float32) if values else None
    kernels = _kernels(table) if z.size >= COMPILED_FROM and sum(table.levels) <= _COMPILED_LEVELS else None
    if kernels is None:
        n_nan = _quantize_numpy(z.reshape(outer, n, inner), codes, found, table)
    elif inner == 1:
        n_nan = kernels.last(z.reshape(-1), codes.reshape(-1), None if found is None else found.reshape(-1))
    else:
        n_nan = kernels.first(z.reshape(outer, n, inner), codes, found)
    shape = z.shape[:axis] + z.shape[axis + 1 :]
    codes = codes.reshape(shape) if out is None else out
    return Quantized(codes, None if found is None else found.reshape(z.shape), n_nan)


@cache
def _kernels(table: Levels) -> Any:
    try:
        module = import_module("conv2d.features._compiled")
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("numba", "llvmlite"):
            raise
        return None
    return module.build(table)


def _quantize_numpy(
    z: NDArray[np.float32], codes: NDArray[np.int32], values: NDArray[np.float32] | None, table: Levels
) -> int:
    """Fill ``codes`` (outer, inner) and ``values`` (outer, n, inner) from ``z`` (outer, n, inner); return the number of NaN."""
    codes[:] = 0
    for i, count in enumerate(table.levels):
        scalar = np.ascontiguousarray(z[:, i])
        ends = table.thresholds[i, : count - 1]
        if count >= _MANY_LEVELS:
            number = np.searchsorted(ends, np.where(np.isnan(scalar), -np.inf, scalar))
        else:
            number = np.zeros(scalar.shape, np.uint8)
            for end in ends:  # cheap passes over bytes; no temporary of all ends at once
                number += scalar > end
        codes += number.astype(np.int32) * table.basis[i]
        if values is not None:
            values[:, i] = (number.astype(np.float32) - table.half_width[i]) / table.half_width[i]
    return int(np.count_nonzero(np.isnan(z)))


@cache
def codebook(table: Levels) -> NDArray[np.float32]:
    """Return the quantised vectors of all codes, float32 (n_codes, n), read-only."""
    codes = np.arange(table.n_codes, dtype=np.int32)[:, None]
    numbers = codes // table.basis % np.array(table.levels, np.int32)
    book = cast("NDArray[np.float32]", (numbers.astype(np.float32) - table.half_width) / table.half_width)
    book.flags.writeable = False
    return book
