"""The definition of FSQ that every back-end shares: which real numbers fall on which level.

Mentzer et al. bound a scalar ``z`` with ``tanh(z + shift) * radius - offset`` and round it. ``tanh`` is monotone, so a level is an
interval of ``z`` and rounding is counting how many interval ends lie below ``z``. The ends are computed once, in float64, and
lowered to the nearest float32 at or below: for a float32 ``z`` that comparison decides exactly as the real-number definition
does, on every machine. A float32 ``tanh`` does not: it differs between maths libraries in the last bit.

The symmetric variant (Parker et al. 2024) bounds with ``tanh(z)`` alone and takes ``floor((L - 1) * (tanh(z) + 1) / 2 + 1/2)``, so
that an even number of levels reaches both ends. Its levels are intervals as well.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conv2d.features._errors import ContractError

EPSILON = 1e-3
"""Widening of the bound, so that the outermost levels are reached at finite ``z`` (the reference implementation's value)."""

MAX_CODES = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Levels:
    """Validated FSQ levels and the constants derived from them.

    Attributes
    ----------
    levels : tuple of int
        Levels per scalar, each at least 2.
    thresholds : ndarray of float32, shape (n, max(levels) - 1)
        ``level = #{j : z > thresholds[i, j]}``; rows are padded with +inf.
    half_width : ndarray of float32, shape (n,)
        ``level // 2``, or half of the largest level in the symmetric variant: a level minus this, divided by this, is the
        quantised value.
    basis : ndarray of int32, shape (n,)
        Little-endian place values: the first scalar is the fastest digit.
    radius, offset, shift : ndarray of float64, shape (n,)
        Constants of the bound ``tanh(z + shift) * radius - offset``.
    symmetric : bool
        Which variant.
    """

    levels: tuple[int, ...]
    thresholds: NDArray[np.float32]
    half_width: NDArray[np.float32]
    basis: NDArray[np.int32]
    radius: NDArray[np.float64]
    offset: NDArray[np.float64]
    shift: NDArray[np.float64]
    symmetric: bool

    @property
    def n_codes(self) -> int:
        """Number of codes, the product of the levels."""
        return int(np.prod(np.array(self.levels, np.int64)))


def check_levels(levels: Sequence[int], symmetric: bool = False) -> Levels:
    """Return the constants of ``levels``, or raise ContractError.

    Parameters
    ----------
    levels : sequence of int
        At least one entry, each at least 2; their product at most 2**31 - 1, as codes are int32.
    symmetric : bool
        The variant whose values run from -1 to 1 for even levels too.

    Returns
    -------
    Levels
        Cached: the same levels give the same object.
    """
    given: list[object] = list(levels)
    fine = [(type(v) is int or isinstance(v, np.integer)) and v >= 2 for v in given]
    if not fine or not all(fine):
        raise ContractError(
            f"levels must be one or more integers, each at least 2 (a scalar with one level carries nothing), got {given!r}."
        )
    key = tuple(map(int, levels))
    if math.prod(key) > MAX_CODES:  # Python integers: no overflow to hide
        raise ContractError(
            f"levels {list(key)} make {math.prod(key)} codes, but a code is int32 and holds at most {MAX_CODES}; "
            "use fewer or smaller levels, or more tokens per window."
        )
    return _levels(key, bool(symmetric))


@functools.cache
def _levels(levels: tuple[int, ...], symmetric: bool) -> Levels:
    n = np.array(levels, np.float64)
    if symmetric:
        radius = half_width = (n - 1) / 2
        offset = shift = np.zeros(len(levels))
    else:
        radius, half_width = (n - 1) * (1 + EPSILON) / 2, n // 2
        offset = np.where(n % 2 == 0, 0.5, 0.0)
        shift = np.arctanh(offset / radius)
    thresholds = np.full((len(levels), max(levels) - 1), np.inf, np.float32)
    for i, count in enumerate(levels):
        ends = np.arange(count - 1) - half_width[i] + 0.5  # where the bounded value is half-way between two levels
        z = np.arctanh((ends + offset[i]) / radius[i]) - shift[i]
        # An end itself belongs to the level below in the published variant (which of the two is rounded to is a matter of one
        # real number) and to the level above in the symmetric one (floor).
        thresholds[i, : count - 1] = _below(z, strictly=symmetric)
    basis = np.cumprod(np.array((1, *levels[:-1]), np.int64)).astype(np.int32)
    found = Levels(levels, thresholds, half_width.astype(np.float32), basis, radius, offset, shift, symmetric)
    for array in (found.thresholds, found.half_width, found.basis, found.radius, found.offset, found.shift):
        array.flags.writeable = False
    return found


def _below(z: NDArray[np.float64], *, strictly: bool) -> NDArray[np.float32]:
    """Return the largest float32 at or below numbers, or strictly below them."""
    nearest = z.astype(np.float32)
    too_high = nearest >= z if strictly else nearest > z
    return np.where(too_high, np.nextafter(nearest, np.float32(-np.inf)), nearest)
