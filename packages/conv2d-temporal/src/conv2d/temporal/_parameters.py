"""Checks of a model's parameters."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.temporal.durations import Duration, Geometric

Float = NDArray[np.float64]

# Probabilities may miss a sum of 1 by this: rounding in files, not a forgotten normalisation.
_SUM_TOLERANCE = 1e-6


def parameter(name: str, value: ArrayLike, ndim: int) -> Float:
    """Return a copy of log probabilities, or say what is wrong with them."""
    array = np.asarray(value)
    if array.dtype.name not in ("float32", "float64"):
        raise TypeError(f"{name} must be a float64 array of log probabilities, got dtype {array.dtype}.")
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension{'s' * (ndim > 1)}, got shape {array.shape}.")
    if not (array < np.inf).all():
        raise ValueError(f"{name} holds NaN or +inf; log probabilities are at most 0, and -inf where impossible.")
    return np.array(array, dtype=np.float64, order="C")


def duration_table(log_duration: ArrayLike | Sequence[Duration]) -> Float:
    """Return the durations as one table (K, D), shorter families padded with -inf."""
    entries = cast("Sequence[object]", log_duration) if isinstance(log_duration, (list, tuple)) else ()
    families = [entry for entry in entries if isinstance(entry, Duration)]
    if families:
        if len(families) < len(entries):
            raise TypeError(
                f"log_duration must be a (K, D) array or one duration family per state, got {len(families)} families "
                f"among {len(entries)} entries."
            )
        rows = [parameter("log_pmf() of a duration", family.log_pmf(), 1) for family in families]
        table = np.full((len(rows), max(row.size for row in rows)), -np.inf)
        for k, row in enumerate(rows):
            table[k, : row.size] = row
        return table
    return parameter("log_duration", cast("ArrayLike", log_duration), 2)


def stay_of(log_duration: ArrayLike | Sequence[Duration]) -> Float | None:
    """Return the probabilities of staying where all durations are geometric without a longest one."""
    if not isinstance(log_duration, (list, tuple)):
        return None
    entries = cast("Sequence[object]", log_duration)
    free = [entry.stay for entry in entries if isinstance(entry, Geometric) and entry.max_duration is None]
    return np.array(free) if len(free) == len(entries) else None


def check_sums(name: str, rows: Float) -> None:
    """Refuse rows whose probabilities do not sum to 1."""
    sums = np.exp(rows).sum(axis=1)
    if rows.size and np.abs(sums - 1).max() > _SUM_TOLERANCE:
        raise ValueError(
            f"{name} must hold the logarithms of probabilities that sum to 1 (in each row), got sums from "
            f"{sums.min():.6g} to {sums.max():.6g}. Subtract the row's logsumexp to normalise."
        )
