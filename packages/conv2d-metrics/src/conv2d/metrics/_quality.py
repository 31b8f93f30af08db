"""What is wrong with an array of sensor values, counted by channel. Nothing is repaired."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._inputs import BoolArray, FloatArray, IntArray, whole
from ._results import record

_MAD_OF_NORMAL = 0.6744897501960817
"""Median absolute deviation of a normal distribution of standard deviation 1."""


@dataclass(frozen=True)
class QualityReport:
    """Faulty samples by channel.

    Attributes
    ----------
    channels : tuple of str
        Names of the C channels.
    n_samples : int
        Samples of each channel.
    nan, inf, outlier, flat, clipped : ndarray of int64, shape (C,)
        Samples of each kind. A sample can be of several: a long stay at the highest value is flat and clipped.
    median, spread : ndarray of float64, shape (C,)
        Of the finite samples; the spread is the median absolute deviation brought to the scale of a standard deviation.
        NaN without finite samples.
    flat_runs, clipped_runs : ndarray of int64, shape (C,)
        In how many stretches.
    settings : dict
        The thresholds that this was found with.

    Examples
    --------
    >>> report = quality_report(np.array([[0.0, 1.0], [np.nan, 2.0], [0.2, np.inf]]), channels=["ax", "ay"])
    >>> report.nan, report.inf, report.ok
    (array([1, 0]), array([0, 1]), False)
    """

    channels: tuple[str, ...]
    n_samples: int
    nan: IntArray
    inf: IntArray
    outlier: IntArray
    flat: IntArray
    clipped: IntArray
    flat_runs: IntArray
    clipped_runs: IntArray
    median: FloatArray
    spread: FloatArray
    settings: dict[str, float | int | None]

    @property
    def ok(self) -> bool:
        """Whether there are samples, and nothing was found in any channel."""
        return self.n_samples > 0 and not any(int(getattr(self, kind).sum()) for kind in _KINDS)

    def to_dict(self) -> dict[str, Any]:
        """Write the settings and a row a channel, JSON-safe."""
        columns = (*_KINDS, "flat_runs", "clipped_runs", "median", "spread")
        rows = [
            record(
                {"channel": name, **{column: getattr(self, column)[c] for column in columns}},
                "" if np.isfinite(self.median[c]) else "no finite sample",
            )
            for c, name in enumerate(self.channels)
        ]
        return record({"ok": self.ok, "n_samples": self.n_samples, "settings": self.settings, "per_channel": rows})


_KINDS = ("nan", "inf", "outlier", "flat", "clipped")


def quality_report(
    values: npt.ArrayLike,
    *,
    time_axis: int = 0,
    channel_axes: Sequence[int] | None = None,
    channels: Sequence[str] | None = None,
    outlier: float = 8.0,
    flat: int = 10,
    clip: int = 3,
    limits: npt.ArrayLike | None = None,
) -> QualityReport:
    """Count NaN, infinite, outlying, flat-lined and clipped samples of each channel.

    Parameters
    ----------
    values : array_like of float or int
        A recording (T, C) or (T, C, D) as it stands; windows (N, 9, 2, 100) with ``time_axis=-1, channel_axes=(1, 2)``.
    time_axis : int
        The axis of time. Runs never reach beyond it, from one window to the next.
    channel_axes : sequence of int, optional
        The axes that make a channel; by default all but that of time. What is left is pooled.
    channels : sequence of str, optional
        A name for each channel, in C order of `channel_axes`; by default their indices, as ``"0"`` or ``"2,1"``.
    outlier : float
        Spreads (robust standard deviations) from the median beyond which a sample is outlying. The default is wide:
        movement has heavy tails. A channel whose spread is 0 has none.
    flat : int
        Equal samples in a row that make a flat line.
    clip : int
        Samples in a row at the highest or the lowest value of the channel that make it clipped, when `limits` does not
        say what the sensor can show. A whole channel at one value is flat, not clipped.
    limits : array_like of float, shape (2,) or (C, 2), optional
        Lowest and highest value that the sensor can show; each sample at or beyond it is clipped.

    Returns
    -------
    QualityReport

    Raises
    ------
    TypeError, ValueError
        Values that are not numbers, axes that do not fit, thresholds out of range.

    References
    ----------
    F. Hampel, "The influence curve and its role in robust estimation", JASA 69, 1974.

    Examples
    --------
    >>> t = np.arange(200) / 10
    >>> report = quality_report(np.clip(np.sin(t), -0.9, 0.9)[:, None])
    >>> report.clipped > 50, report.nan, report.outlier
    (array([ True]), array([0]), array([0]))
    """
    series, shape = _channels(values, time_axis, channel_axes)
    whole("flat", flat, 2)
    whole("clip", clip, 1)
    if not outlier > 0:
        raise ValueError(f"outlier: must be positive, got {outlier}.")
    names = _names(channels, shape)
    bounds = None if limits is None else _limits(limits, len(names))
    columns = [
        _inspect(one, outlier, flat, clip, None if bounds is None else bounds[c]) for c, one in enumerate(series)
    ]
    counts = np.array([found for found, _ in columns], dtype=np.int64).reshape(-1, 7)
    median, spread = np.array([level for _, level in columns], dtype=np.float64).reshape(-1, 2).T
    settings: dict[str, float | int | None] = {
        "outlier": outlier,
        "flat": flat,
        "clip": clip if bounds is None else None,
    }
    n_samples = int(np.prod(series.shape[1:]))
    return QualityReport(names, n_samples, *counts.T, median=median, spread=spread, settings=settings)


def _inspect(
    series: FloatArray, outlier: float, flat: int, clip: int, limits: FloatArray | None
) -> tuple[list[int], tuple[float, float]]:
    """Count the faults of one channel ``(parts, T)``, in the order of the report."""
    finite = np.isfinite(series)
    own = series[finite]
    nan = int(np.isnan(series).sum())
    inf = series.size - len(own) - nan
    if not len(own):
        return [nan, inf, 0, 0, 0, 0, 0], (np.nan, np.nan)
    median = float(np.median(own))
    spread = float(np.median(np.abs(own - median))) / _MAD_OF_NORMAL
    outlying = int((np.abs(own - median) > outlier * spread).sum()) if spread > 0 else 0
    still = _runs(series, finite, flat)
    if limits is not None:
        edge = finite & ((series <= limits[0]) | (series >= limits[1]))
        clipped = int(edge.sum()), _stretches(edge)
    else:
        low, high = float(own.min()), float(own.max())
        edge = finite & ((series == low) | (series == high))
        clipped = _runs(series, edge, clip) if low < high else (0, 0)
    return [nan, inf, outlying, still[0], clipped[0], still[1], clipped[1]], (median, spread)


def _runs(series: FloatArray, among: BoolArray, least: int) -> tuple[int, int]:
    """Count samples, and stretches, of at least so many equal marked samples in a row."""
    new = np.ones(series.shape, dtype=np.bool_)
    new[:, 1:] = (series[:, 1:] != series[:, :-1]) | ~among[:, 1:] | ~among[:, :-1]
    start = np.flatnonzero(new.ravel())
    length = np.diff(start, append=series.size)
    length = length[among.ravel()[start]]
    long = length[length >= least]
    return int(long.sum()), len(long)


def _stretches(marked: BoolArray) -> int:
    first = marked.copy()
    first[:, 1:] &= ~marked[:, :-1]
    return int(first.sum())


def _channels(
    values: npt.ArrayLike, time_axis: int, channel_axes: Sequence[int] | None
) -> tuple[FloatArray, tuple[int, ...]]:
    """Bring values to ``(C, parts, T)``, and say the shape of the channel axes."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"values: must be numbers, got dtype {array.dtype}.")
    if array.ndim == 0:
        raise ValueError("values: need an axis of time, got a single number.")
    axes = range(array.ndim)
    try:
        time = axes[time_axis]
        given = (
            [axis for axis in axes if axis != time] if channel_axes is None else [axes[axis] for axis in channel_axes]
        )
    except IndexError as error:
        raise ValueError(
            f"time_axis={time_axis}, channel_axes={channel_axes}: values have {array.ndim} axes."
        ) from error
    if time in given or len(set(given)) < len(given):
        raise ValueError(f"channel_axes={channel_axes}: must be different axes, none of them that of time ({time}).")
    rest = [axis for axis in axes if axis != time and axis not in given]
    shape = tuple(array.shape[axis] for axis in given)
    moved = array.transpose([*given, *rest, time])
    parts = math.prod(array.shape[axis] for axis in rest)
    return moved.reshape(math.prod(shape), parts, array.shape[time]).astype(np.float64), shape


def _names(channels: Sequence[str] | None, shape: tuple[int, ...]) -> tuple[str, ...]:
    if channels is None:
        return tuple(",".join(map(str, index)) or "0" for index in np.ndindex(shape))
    if len(channels) != int(np.prod(shape)):
        raise ValueError(
            f"channels: {int(np.prod(shape))} names are needed, one for each of {shape}, got {len(channels)}."
        )
    return tuple(channels)


def _limits(limits: npt.ArrayLike, n_channels: int) -> FloatArray:
    bounds = np.asarray(limits, dtype=np.float64)
    if bounds.shape not in ((2,), (n_channels, 2)) or not (bounds[..., 0] < bounds[..., 1]).all():
        raise ValueError(f"limits: must be (2,) or ({n_channels}, 2), each low < high, got {bounds.tolist()}.")
    return np.broadcast_to(bounds, (n_channels, 2))
