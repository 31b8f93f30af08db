"""A recording at another rate, filtered so that nothing folds back."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from importlib import import_module
from typing import cast

import numpy as np
from numpy.typing import NDArray

from conv2d.data._errors import DataError
from conv2d.data._recording import N_DEVICES, Recording

# Reach of the anti-alias filter in samples of the slower rate, as `scipy.signal.resample_poly` designs it.
_HALF_FILTER = 10


def resample(recording: Recording, rate_hz: float) -> Recording:
    """Change the rate by polyphase filtering with an anti-alias filter.

    A step's label is the nearest old one. A step is valid only if no invalid step lies within reach of the filter, so
    filler never leaks into a window; the ends are extended by their own value.

    Parameters
    ----------
    recording : Recording
        The recording.
    rate_hz : float
        The new rate. Its ratio to the old one must be a fraction of whole numbers up to 1000.

    Returns
    -------
    Recording
        Of the same start and, to a step, the same duration; the counts in `repairs` stay those of the old rate. The
        same object if the rate is the same.

    Raises
    ------
    DataError
        If the rate is not positive or the ratio is not such a fraction.

    References
    ----------
    `scipy.signal.resample_poly`, with its Kaiser window (beta 5).

    Examples
    --------
    >>> from conv2d.data import simulate
    >>> recording = simulate(n_subjects=1, minutes=0.2)[0]
    >>> resample(recording, 50).n_steps == recording.n_steps // 2
    True
    """
    where = f"resample: recording {recording.name}"
    if not (np.isfinite(rate_hz) and rate_hz > 0):
        raise DataError(f"{where}: rate_hz must be a positive number of steps a second, got {rate_hz!r}.")
    if rate_hz == recording.rate_hz:
        return recording
    ratio = Fraction(rate_hz / recording.rate_hz).limit_denominator(1000)
    if ratio.numerator not in range(1, 1001) or abs(float(ratio) * recording.rate_hz / rate_hz - 1) > 1e-9:
        raise DataError(
            f"{where}: the ratio of {rate_hz!r} to {recording.rate_hz!r} Hz must be a fraction of whole numbers up to 1000; "
            f"choose a rate near it that is."
        )
    # Imported here, since scipy.signal takes longer to load than all of this wheel; it has no types.
    resample_poly = cast("Callable[..., NDArray[np.float64]]", import_module("scipy.signal").resample_poly)
    filtered = resample_poly(
        recording.signal.astype(np.float64), ratio.numerator, ratio.denominator, axis=-1, padtype="edge"
    )
    signal = filtered.astype(np.float32)
    signal[~recording.channel_mask] = 0.0
    old_steps = np.arange(signal.shape[-1], dtype=np.float64) / float(ratio)
    nearest = np.rint(old_steps).astype(np.int64).clip(max=recording.n_steps - 1)
    return replace(
        recording,
        signal=np.ascontiguousarray(signal),
        rate_hz=float(rate_hz),
        labels=recording.labels[nearest],
        valid=_valid(recording.valid, old_steps, reach=_HALF_FILTER * max(1.0, 1.0 / float(ratio))),
    )


def _valid(valid: NDArray[np.bool_], centre: NDArray[np.float64], reach: float) -> NDArray[np.bool_]:
    """Keep the steps around which no old step within `reach` is invalid."""
    first = np.ceil(centre - reach).clip(min=0).astype(np.int64)
    last = np.floor(centre + reach).clip(max=valid.shape[-1] - 1).astype(np.int64)
    invalid = np.concatenate([np.zeros((N_DEVICES, 1), dtype=np.int64), np.cumsum(~valid, axis=-1)], axis=-1)
    return invalid[:, last + 1] == invalid[:, first]
