"""Blocks of neighbouring windows: the unit that is resampled, or calibrated on, when windows depend on each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._inputs import IntArray, grouped, whole


def block_codes(shape: tuple[int, ...], groups: npt.ArrayLike | None, length: int) -> IntArray:
    """Give each of the flattened windows the number of its block of ``length`` windows ``(N,)``.

    Windows follow each other in the order given, within each group; without groups, along the last axis of ``shape``.
    A block never spans two groups, and the last one of a group may be shorter.
    """
    whole("block_length", length, 1)
    n_windows = int(np.prod(shape))
    if groups is None:
        codes = np.arange(n_windows) // max(1, shape[-1] if shape else 1)
    else:
        codes = grouped(groups, np.ones(n_windows, dtype=np.bool_)).codes
    order = np.argsort(codes, kind="stable")
    size = np.bincount(codes)
    first = np.cumsum(size) - size
    place = np.empty(n_windows, dtype=np.int64)
    place[order] = np.arange(n_windows) - first[codes[order]]
    n_blocks = -(-size // length)
    return (np.cumsum(n_blocks) - n_blocks)[codes] + place // length
