"""FSQ on numpy arrays, without importing torch: the edge's back-end, bit-equal to :class:`conv2d.features.FSQ`.

Calls with 2**15 scalars or more run as machine code where numba is installed; the first of them waits about a second for numba,
and a few more where the code is not yet in numba's cache. Codes are the same either way.

References
----------
.. [1] F. Mentzer, D. Minnen, E. Agustsson, M. Tschannen, "Finite Scalar Quantization: VQ-VAE Made Simple",
   arXiv:2309.15505, 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from conv2d.features._errors import ContractError
from conv2d.features._levels import Levels, check_levels
from conv2d.features._quantize import Quantized, codebook, quantize

__all__ = ["fsq_indices", "fsq_quantize", "indices_to_values", "values_to_indices"]


_TABLE_CODES = 2**16
"""Up to this many codes, vectors are looked up in a table of them all; beyond, they are computed."""


def _check_vectors(name: str, array: NDArray[np.float32], levels: Levels, axis: int = -1) -> None:
    n = len(levels.levels)
    if array.dtype != np.float32 or not -array.ndim <= axis < array.ndim or array.shape[axis] != n:
        raise ContractError(
            f"{name} must be float32 with {n} scalars in axis {axis}, one for each of the levels {list(levels.levels)}, "
            f"got {array.dtype} with shape {array.shape}."
        )


def _checked(found: Quantized, size: int) -> Quantized:
    if found.n_nan:
        raise ContractError(f"z holds {found.n_nan} NaN of {size} values; a NaN has no level. Find its source.")
    return found


def fsq_indices(
    z: NDArray[np.float32],
    levels: Sequence[int],
    axis: int = -1,
    out: NDArray[np.int32] | None = None,
    *,
    symmetric: bool = False,
) -> NDArray[np.int32]:
    """Quantise vectors to code indices.

    Parameters
    ----------
    z : ndarray of float32, shape (..., n)
        Unbounded encoder outputs; infinities fall on the outermost levels.
    levels : sequence of int
        The n levels.
    axis : int
        The axis of the n scalars, if it is not the last. Maps (B, n, T) with ``axis=1`` are read as they lie, and fastest.
    out : ndarray of int32, shape (...), optional
        C-contiguous array to fill and return: a loop over large batches then asks for no memory.
    symmetric : bool
        Use the symmetric variant (see :class:`conv2d.features.FSQ`); its codes are another codebook.

    Returns
    -------
    ndarray of int32, shape (...)
        ``i0 + L0*i1 + L0*L1*i2 + ...`` (little-endian), in ``[0, prod(levels))``.

    Raises
    ------
    ContractError
        For a wrong dtype or shape, or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> fsq_indices(np.zeros((2, 3), np.float32), [8, 6, 5])
    array([124, 124], dtype=int32)
    """
    table = check_levels(levels, symmetric)
    _check_vectors("z", z, table, axis)
    axis %= z.ndim
    shape = z.shape[:axis] + z.shape[axis + 1 :]
    if out is not None and (out.dtype != np.int32 or out.shape != shape or not out.flags.c_contiguous):
        raise ContractError(
            f"out must be a C-contiguous int32 array of shape {shape}, the shape of z without axis {axis}, "
            f"got {out.dtype} with shape {out.shape}{'' if out.flags.c_contiguous else ', not contiguous'}."
        )
    return _checked(quantize(z, table, axis, values=False, out=out), z.size).codes


def fsq_quantize(
    z: NDArray[np.float32], levels: Sequence[int], axis: int = -1, *, symmetric: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Quantise vectors to values in [-1, 1] and to code indices.

    Parameters
    ----------
    z : ndarray of float32, shape (..., n)
        Unbounded encoder outputs.
    levels : sequence of int
        The n levels.
    axis : int
        The axis of the n scalars, if it is not the last.
    symmetric : bool
        Use the symmetric variant (see :class:`conv2d.features.FSQ`); its codes are another codebook.

    Returns
    -------
    quantized : ndarray of float32, shape (..., n)
        ``(level - L//2) / (L//2)``: an even L reaches -1 but not +1, as published. The axis stays where it is in ``z``.
    indices : ndarray of int32, shape (...)
        As :func:`fsq_indices`.

    Raises
    ------
    ContractError
        For a wrong dtype or shape, or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> quantized, indices = fsq_quantize(np.array([[-9, 0, 9]], np.float32), [8, 6, 5])
    >>> quantized, indices
    (array([[-1.,  0.,  1.]], dtype=float32), array([216], dtype=int32))
    """
    table = check_levels(levels, symmetric)
    _check_vectors("z", z, table, axis)
    found = _checked(quantize(z, table, axis, values=True), z.size)
    return cast("NDArray[np.float32]", found.values), found.codes


def indices_to_values(
    indices: NDArray[np.integer], levels: Sequence[int], *, symmetric: bool = False
) -> NDArray[np.float32]:
    """Return the quantised vectors that stand behind code indices.

    Parameters
    ----------
    indices : ndarray of int, shape (...)
        Codes in ``[0, prod(levels))``.
    levels : sequence of int
        The n levels.
    symmetric : bool
        Use the symmetric variant (see :class:`conv2d.features.FSQ`); its codes are another codebook.

    Returns
    -------
    ndarray of float32, shape (..., n)
        Values in [-1, 1].

    Raises
    ------
    ContractError
        For codes that are no integers or out of range.

    Examples
    --------
    >>> import numpy as np
    >>> indices_to_values(np.array([124]), [8, 6, 5])
    array([[0., 0., 0.]], dtype=float32)
    """
    table = check_levels(levels, symmetric)
    if indices.dtype.kind not in "iu" or (indices.size and not 0 <= indices.min() <= indices.max() < table.n_codes):
        span = f"{indices.min()}..{indices.max()}" if indices.size else "nothing"
        raise ContractError(
            f"indices must be integers in [0, {table.n_codes}) for levels {list(table.levels)}, got {indices.dtype} with values {span}."
        )
    if table.n_codes <= _TABLE_CODES:
        return codebook(table).take(indices, 0)
    numbers = indices[..., None] // table.basis % np.array(table.levels, np.int32)
    return (numbers.astype(np.float32) - table.half_width) / table.half_width


def values_to_indices(
    values: NDArray[np.float32], levels: Sequence[int], *, symmetric: bool = False
) -> NDArray[np.int32]:
    """Return the code indices of quantised vectors; the inverse of :func:`indices_to_values`.

    Parameters
    ----------
    values : ndarray of float32, shape (..., n)
        Quantised values as :func:`fsq_quantize` returns them.
    levels : sequence of int
        The n levels.
    symmetric : bool
        Use the symmetric variant (see :class:`conv2d.features.FSQ`); its codes are another codebook.

    Returns
    -------
    ndarray of int32, shape (...)
        Codes in ``[0, prod(levels))``.

    Raises
    ------
    ContractError
        For a wrong dtype or shape, or a value that is not one of the levels'.

    Examples
    --------
    >>> import numpy as np
    >>> values_to_indices(np.zeros((1, 3), np.float32), [8, 6, 5])
    array([124], dtype=int32)
    """
    table = check_levels(levels, symmetric)
    _check_vectors("values", values, table)
    scaled = values * table.half_width + table.half_width
    numbers = np.rint(scaled)
    if not ((np.abs(scaled - numbers) < 1e-3) & (numbers >= 0) & (numbers < np.array(table.levels))).all():
        raise ContractError(
            f"values must be quantised values of levels {list(table.levels)}, (level - h) / h with h = {table.half_width.tolist()}; "
            "some lie between the levels. Quantise first (fsq_quantize)."
        )
    return (numbers.astype(np.int32) * table.basis).sum(-1, dtype=np.int32)
