"""Devices with their own clocks and gaps onto one regular grid of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from conv2d.data._checks import check_array
from conv2d.data._errors import DataError
from conv2d.data._recording import ABSENT, CHANNELS, N_DEVICES, UNLABELLED, Recording, Repairs

MAX_GAP_S = 0.25
"""Longest gap that is filled by interpolation: a quarter of a second."""

MAX_PAUSE_S = 86400.0
"""Longest pause inside one recording: a day. Beyond it a clock was set, or time is not in seconds."""

MAX_CLOCK_OFFSET_S = 2.0
"""Most that two devices' first (or last) samples may lie apart."""

# A stream on the grid to within this share of a step is copied as it is: time stamps carry rounding noise, and to
# interpolate over it would change every sample a little for nothing.
_ON_GRID = 0.01

# A step this close to a sample is at it: of samples with the same time, rounding must not choose.
_SAME_TIME_S = 1e-9

# Linear interpolation neither filters nor invents, so the grid must be close to the stream's own rate.
_RATE_RATIO = 1.25

# Samples this many usual spacings apart have a missing one between them.
_MISSING = 1.5


Number = TypeVar("Number", int, float)


@dataclass(frozen=True, eq=False)
class DeviceStream:
    """What one device reported, on its own clock.

    Attributes
    ----------
    name : str
        The device.
    t_s : numpy.ndarray
        float64 (n,), n ≥ 2: time of each sample in seconds, never running back. Samples may share a time: clocks tick.
    values : numpy.ndarray
        float32 (C, n), finite: one row for each of `channels`; m/s², rad/s, µT.
    channels : tuple of str
        The channels present, from `CHANNELS`.

    Raises
    ------
    DataError
        If a shape or dtype differs, time runs back or stands still, or a value is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(100) / 100
    >>> DeviceStream("wrist", t, np.zeros((3, 100), np.float32), ("acc_x", "acc_y", "acc_z")).name
    'wrist'
    """

    name: str
    t_s: NDArray[np.float64]
    values: NDArray[np.float32]
    channels: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a stream without two samples, with time running back, or with another shape than said."""
        where = f"device {self.name!r}"
        unknown = [channel for channel in self.channels if channel not in CHANNELS]
        if unknown or not self.channels or len(set(self.channels)) != len(self.channels):
            raise DataError(
                f"{where}: channels must be some of {', '.join(CHANNELS)}, each once; got {self.channels!r}."
            )
        n = len(self.t_s)
        check_array(self.t_s, "t_s", (n,), np.float64, where)
        check_array(self.values, "values", (len(self.channels), n), np.float32, where)
        if n < 2:
            raise DataError(f"{where}: {n} sample(s); at least two are needed to place it in time.")
        check_time(self.t_s, where)
        if self.spacing_s == 0:
            raise DataError(
                f"{where}: most samples share their time with the one before; the clock ticks too coarsely to place them, "
                f"so write time in milliseconds or finer."
            )
        if not np.isfinite(self.values).all():
            channel, sample = map(int, np.argwhere(~np.isfinite(self.values))[0])
            raise DataError(
                f"{where}: values must be finite, but {self.channels[channel]} is {self.values[channel, sample]} at "
                f"sample {sample}; leave a missing sample out, time shows the gap."
            )

    @property
    def spacing_s(self) -> float:
        """Median time from one sample to the next, in seconds."""
        return float(np.median(np.diff(self.t_s)))


class LabelTrack(NamedTuple):
    """Labels in time: at `t_s` (float64, never running back) the label is `names[code]`, −1 = unlabelled (int32)."""

    t_s: NDArray[np.float64]
    codes: NDArray[np.int32]
    names: tuple[str, ...]


def check_time(t_s: NDArray[np.float64], where: str) -> None:
    """Raise unless time is finite, never runs back, and never leaps a day."""
    forward = np.diff(t_s) >= 0  # False for NaN as well
    if not np.isfinite(t_s).all() or not forward.all():
        i = int(np.argmin(forward)) if not forward.all() else 0
        raise DataError(
            f"{where}: time must be finite and never run back, but goes from {t_s[i]} s to {t_s[i + 1]} s at sample {i + 1} "
            f"(the first is 0); sort the samples, or cut the recording where its clock was set."
        )
    leaps = np.flatnonzero(np.diff(t_s) > MAX_PAUSE_S)
    if len(leaps):
        i = int(leaps[0])
        raise DataError(
            f"{where}: time leaps from {t_s[i]} s to {t_s[i + 1]} s at sample {i + 1} (the first is 0), more than a day; cut "
            f"the recording there, and check that time is in seconds."
        )


def align(
    streams: Sequence[DeviceStream],
    rate_hz: float,
    *,
    subject: str,
    session: str,
    labels: LabelTrack | None = None,
    max_gap_s: float = MAX_GAP_S,
    max_clock_offset_s: float = MAX_CLOCK_OFFSET_S,
    mag_unit: Literal["uT", "earth_field"] = "uT",
) -> Recording:
    """Put one or two devices on a common grid, from the later start to the earlier end.

    Samples are interpolated linearly; a stream that lies on the grid already (to 1 % of a step) is copied bit for bit.
    Steps inside a gap longer than `max_gap_s` are marked invalid, steps across a shorter one are filled and counted.

    Parameters
    ----------
    streams : sequence of DeviceStream
        One or two devices whose clocks show the same time.
    rate_hz : float
        Rate of the grid; within 25 % of each device's own rate. For another rate, `resample` the result.
    subject, session : str
        Name of the recording.
    labels : LabelTrack, optional
        Labels in the same time; a step takes the nearest one, the earlier of two as near.
    max_gap_s : float
        Longest gap to fill, in seconds.
    max_clock_offset_s : float
        Most that the devices' starts, or ends, may differ, in seconds.
    mag_unit : {"uT", "earth_field"}
        Unit of the magnetometer.

    Returns
    -------
    Recording
        With `repairs` saying what was filled, marked and cut.

    Raises
    ------
    DataError
        If the devices share no time, start or end too far apart, or have another rate.

    References
    ----------
    The grid is that of the baselines of the SPSW data set: `numpy.interp` between the nearest two samples.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(300) / 102.0
    >>> ramp = np.stack([t, 2 * t, 3 * t]).astype(np.float32)
    >>> axes = ("acc_x", "acc_y", "acc_z")
    >>> streams = [DeviceStream("wrist", t, ramp, axes), DeviceStream("ankle", t + 0.5, ramp, axes)]
    >>> recording = align(streams, 100.0, subject="s1", session="1")
    >>> recording.start_s, recording.n_steps, round(float(recording.signal[0, 0, 0]), 3)
    (0.5, 244, 0.5)
    """
    where = f"recording {subject}/{session}"
    if not 1 <= len(streams) <= N_DEVICES:
        raise DataError(f"{where}: align takes one or two devices, got {len(streams)}.")
    for stream in streams:
        check_rate(stream, rate_hz, where)
    _check_clocks(streams, max_clock_offset_s, where)
    grid = common_grid([stream.t_s for stream in streams], rate_hz)
    return assemble(
        streams, grid, rate_hz, subject=subject, session=session, labels=labels, max_gap_s=max_gap_s, mag_unit=mag_unit
    )


def common_grid(clocks: Sequence[NDArray[np.float64]], rate_hz: float) -> NDArray[np.float64]:
    """Return regular times from the latest start to the earliest end, which is left out.

    A clock that ticks on the grid ends a step after its last sample: that sample stands for the whole step.
    """
    start = max(float(t_s[0]) for t_s in clocks)
    end = min(float(t_s[-1]) + (1 / rate_hz if _ticks(t_s, start, rate_hz) is not None else 0.0) for t_s in clocks)
    n_steps = int(np.ceil((end - start) * rate_hz - _ON_GRID))
    return start + np.arange(n_steps) / rate_hz


def assemble(
    streams: Sequence[DeviceStream],
    grid: NDArray[np.float64],
    rate_hz: float,
    *,
    subject: str,
    session: str,
    labels: LabelTrack | None,
    max_gap_s: float,
    mag_unit: Literal["uT", "earth_field"],
) -> Recording:
    """Put the recording together on a given grid; outside a device's own span its steps are invalid."""
    if not max_gap_s > 0:
        raise DataError(f"recording {subject}/{session}: max_gap_s must be a positive number, got {max_gap_s!r}.")
    signal = np.zeros((len(CHANNELS), N_DEVICES, len(grid)), dtype=np.float32)
    mask = np.zeros((len(CHANNELS), N_DEVICES), dtype=np.bool_)
    valid = np.ones((N_DEVICES, len(grid)), dtype=np.bool_)
    interpolated, gaps, doubled, trimmed = [0, 0], [0, 0], [0, 0], [0.0, 0.0]
    for device, stream in enumerate(streams):
        rows = [CHANNELS.index(channel) for channel in stream.channels]
        placed = _place(stream, grid, rate_hz, max_gap_s)
        signal[rows, device], valid[device] = placed.values, placed.valid
        mask[rows, device] = True
        interpolated[device], gaps[device] = placed.interpolated, placed.gaps
        doubled[device] = int((np.diff(stream.t_s) == 0).sum())
        before, after = float(grid[0] - stream.t_s[0]), float(stream.t_s[-1] - grid[-1])
        # A last piece shorter than a step is no loss.
        trimmed[device] = round(max(before, 0.0) + (after if after >= 1 / rate_hz else 0.0), 6)
    names = tuple(stream.name for stream in streams)
    return Recording(
        subject=subject,
        session=session,
        devices=(names[0], names[1] if len(names) == N_DEVICES else ABSENT),
        signal=signal,
        channel_mask=mask,
        rate_hz=float(rate_hz),
        labels=_nearest_labels(labels, grid),
        label_names=labels.names if labels else (),
        valid=valid,
        start_s=float(grid[0]),
        mag_unit=mag_unit,
        repairs=Repairs(_pair(interpolated), _pair(gaps), _pair(doubled), _pair(trimmed)),
    )


def _pair(values: Sequence[Number]) -> tuple[Number, Number]:
    return values[0], values[1]


class _Placed(NamedTuple):
    values: NDArray[np.float64]
    valid: NDArray[np.bool_]
    interpolated: int
    gaps: int


def _place(stream: DeviceStream, grid: NDArray[np.float64], rate_hz: float, max_gap_s: float) -> _Placed:
    ticks = _ticks(stream.t_s, float(grid[0]), rate_hz)
    t = stream.t_s if ticks is None else grid[0] + ticks / rate_hz
    left, share = _neighbours(t, grid)
    spacing = np.diff(t)
    before, after = grid < t[0], grid > t[-1] + _ON_GRID / rate_hz
    between = (share > 0) & (share < 1)

    missing = between & (spacing[left] > _MISSING * stream.spacing_s)
    in_gap = between & (spacing[left] > max_gap_s + _SAME_TIME_S)
    values = stream.values[:, left].astype(np.float64)
    values += (stream.values[:, left + 1] - values) * share
    return _Placed(
        values=values,
        valid=~(in_gap | before | after),
        interpolated=int((missing & ~in_gap).sum()),
        gaps=len(np.unique(left[in_gap])) + int(before.any()) + int(after.any()),
    )


def _ticks(t_s: NDArray[np.float64], start_s: float, rate_hz: float) -> NDArray[np.float64] | None:
    """Return the whole step of each time after `start_s`, or None unless all lie on the grid but for rounding."""
    steps = np.rint((t_s - start_s) * rate_hz)
    rounding = np.abs((t_s - start_s) * rate_hz - steps)
    return steps if (rounding < _ON_GRID).all() and (np.diff(steps) > 0).all() else None


def _neighbours(t_s: NDArray[np.float64], grid: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the sample before each grid time and how far (0 … 1) the time lies towards the next; held outside."""
    left = np.clip(np.searchsorted(t_s, grid + _SAME_TIME_S, side="right") - 1, 0, len(t_s) - 2)
    spacing = t_s[left + 1] - t_s[left]
    # Only the last two samples of a stream can be chosen with no time between them; the last one holds then.
    share = np.divide(grid - t_s[left], spacing, out=np.ones_like(grid), where=spacing > 0)
    return left.astype(np.int64), np.clip(share, 0.0, 1.0)


def _nearest_labels(labels: LabelTrack | None, grid: NDArray[np.float64]) -> NDArray[np.int32]:
    if labels is None:
        return np.full(len(grid), UNLABELLED, dtype=np.int32)
    if len(labels.t_s) == 1:
        return np.repeat(labels.codes, len(grid))
    left, share = _neighbours(labels.t_s, grid)
    return labels.codes[left + (share > 0.5)]


def check_rate(stream: DeviceStream, rate_hz: float, where: str) -> None:
    """Raise unless the grid's rate is close enough to the stream's own for linear interpolation."""
    own = 1.0 / stream.spacing_s
    if not rate_hz / _RATE_RATIO <= own <= rate_hz * _RATE_RATIO:
        raise DataError(
            f"{where}: device {stream.name!r} reports at about {own:.4g} Hz, more than 25 % off the grid of {rate_hz:g} "
            f"Hz; align at its own rate and resample afterwards, and check that time is in seconds."
        )


def _check_clocks(streams: Sequence[DeviceStream], max_clock_offset_s: float, where: str) -> None:
    spans = ", ".join(f"{s.name} {s.t_s[0]:.3f} … {s.t_s[-1]:.3f} s" for s in streams)
    starts, ends = [s.t_s[0] for s in streams], [s.t_s[-1] for s in streams]
    if max(starts) >= min(ends):
        raise DataError(
            f"{where}: the devices share no time ({spans}); their clocks must show the same time, so shift one of them."
        )
    offset = max(max(starts) - min(starts), max(ends) - min(ends))
    if offset > max_clock_offset_s:
        raise DataError(
            f"{where}: the devices' clocks start or end {offset:.3f} s apart ({spans}), more than the limit of "
            f"{max_clock_offset_s:g} s; cut both to their common span, or raise max_clock_offset_s if that is how they "
            f"were worn."
        )
