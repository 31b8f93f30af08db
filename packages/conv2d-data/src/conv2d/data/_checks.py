"""Checks of arguments that several modules make, each with its one sentence."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from conv2d.data._errors import DataError


def check_array(array: Any, argument: str, shape: tuple[int, ...], dtype: type[np.generic], where: str) -> None:
    """Raise `DataError` unless `array` is a numpy array of exactly this shape and dtype."""
    if not isinstance(array, np.ndarray):
        raise DataError(f"{where}: {argument} must be a numpy array, got {type(array).__name__}.")
    given = cast("NDArray[Any]", array)
    if given.shape != shape or given.dtype != dtype:
        raise DataError(
            f"{where}: {argument} must be {np.dtype(dtype)} {shape}, got {given.dtype} {given.shape}; nothing is cast "
            f"or reshaped in silence, convert it where it is made."
        )


def check_names(names: Any, argument: str, where: str) -> None:
    """Raise `DataError` unless `names` is a tuple of different, non-empty strings."""
    if not isinstance(names, tuple) or not all(isinstance(n, str) and n for n in cast("tuple[Any, ...]", names)):
        raise DataError(f"{where}: {argument} must be a tuple of non-empty strings, got {names!r}.")
    given = cast("tuple[str, ...]", names)
    if len(set(given)) != len(given):
        raise DataError(f"{where}: {argument} must all differ, got {given!r}.")


def check_whole(value: Any, where: str) -> int:
    """Return `value` as an int, or raise `DataError` unless it is a whole number of 1 or more."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise DataError(f"{where} must be a whole number, 1 or more, got {value!r}.")
    return int(cast("int", value))


def as_indices(index: Any, length: int, where: str) -> NDArray[np.int64]:
    """Return a bool mask or integer indices as int64 indices into `length` things, or raise `DataError`."""
    given = np.asarray(index)
    if given.dtype == np.bool_:
        if given.shape != (length,):
            raise DataError(f"{where}: a mask must be of shape ({length},), got {given.shape}.")
        return np.flatnonzero(given)
    if given.size == 0 and given.ndim == 1:
        return np.zeros(0, dtype=np.int64)
    if given.ndim != 1 or not np.issubdtype(given.dtype, np.integer):
        raise DataError(f"{where} must be a bool mask or a list of integers, got {given.dtype} {given.shape}.")
    if given.min() < 0 or given.max() >= length:
        raise DataError(f"{where} must lie in 0 … {length - 1}, got {given.min()} … {given.max()}.")
    return given.astype(np.int64)
