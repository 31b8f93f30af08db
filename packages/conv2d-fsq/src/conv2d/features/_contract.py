"""The window contract: what every encoder takes, checked in one place."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from conv2d.features._errors import ContractError

N_CHANNELS = 9
N_DEVICES = 2
WINDOW_STEPS = 100
WINDOW_SHAPE = (N_CHANNELS, N_DEVICES, WINDOW_STEPS)


def check_windows(x: object) -> None:
    """Raise ContractError unless ``x`` is a window batch.

    Parameters
    ----------
    x : ndarray of float32, shape (B, 9, 2, 100)
        C-contiguous and finite; B may be 0.
    """
    if not isinstance(x, np.ndarray):
        raise ContractError(
            f"windows must be a numpy array, float32 with shape (B, 9, 2, 100) = batch, channel, device, time; got {type(x).__name__}."
        )
    array = cast("NDArray[Any]", x)
    if array.dtype != np.float32 or array.ndim != 4 or array.shape[1:] != WINDOW_SHAPE:
        raise ContractError(
            "windows must be float32 with shape (B, 9, 2, 100) = batch, channel, device, time; "
            f"got {array.dtype} with shape {array.shape}. Nothing is cast for you: use x.astype(numpy.float32) if that is meant."
        )
    if not array.flags.c_contiguous:
        raise ContractError("windows must be C-contiguous; got a strided view. Use numpy.ascontiguousarray(x).")
    bad = ~np.isfinite(array)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ContractError(
            f"windows must be finite; {int(bad.sum())} of {array.size} values are NaN or Inf, the first at (batch, channel, device, step) "
            f"= {where}. Drop such windows or repair the recording before windowing."
        )
