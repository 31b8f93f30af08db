"""What is in the recordings, and what looks wrong in them, before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conv2d.data._errors import DataError
from conv2d.data._recording import CHANNELS, N_DEVICES, UNLABELLED, Recording

FLAT_S, FLAT_STEPS = 1.0, 10
"""A channel that repeats one value for this long, in time and steps, is flat: a live sensor's noise does not."""

CLIPPED_STEPS = 3
"""A channel that stays at its largest, or smallest, value for so many steps, twice or more, has left its range."""

# Median accelerations (m/s²) that no body keeps up: below, the unit is g or gravity is missing (jumping, half of it in
# flight, reaches 3.9); above, the unit is a smaller one (running with the unit on the arm reaches 19.5).
_LIGHT, _HEAVY = 2.5, 30.0

# No wearable sensor's range reaches further: 400 g, 6000 °/s, 10 mT (magnetometers end at 5). In the local earth field,
# 200 times 50 µT.
_REACH = {"acc": 4000.0, "gyro": 105.0, "mag": 10_000.0}
_REACH_EARTH_FIELD = 200.0


@dataclass(frozen=True)
class DeviceQuality:
    """One device in one recording.

    Attributes
    ----------
    name : str
        The device.
    absent_channels : tuple of str
        Channels that the mask leaves out.
    invalid_steps : int
        Steps inside gaps longer than the gap limit.
    gaps : int
        Number of those gaps.
    interpolated : int
        Steps filled across shorter gaps.
    doubled : int
        Samples with the same time as the one before.
    trimmed_s : float
        Seconds cut because the other device was not recording.
    flat_channels, clipped_channels : dict of str to int
        For each such channel how many valid steps are flat (`FLAT_S`) or clipped (`CLIPPED_STEPS`).
    acc_norm : float or None
        Median length of the acceleration in m/s²: near 9.8 over a long recording; None without accelerometer.
    out_of_reach : dict of str to float
        For each channel whose largest magnitude no wearable sensor can measure, that value.
    """

    name: str
    absent_channels: tuple[str, ...]
    invalid_steps: int
    gaps: int
    interpolated: int
    doubled: int
    trimmed_s: float
    flat_channels: Mapping[str, int]
    clipped_channels: Mapping[str, int]
    acc_norm: float | None
    out_of_reach: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class RecordingQuality:
    """One recording: `label_share` gives each label's part of its steps, "" = unlabelled."""

    name: str
    subject: str
    rate_hz: float
    duration_s: float
    label_share: Mapping[str, float]
    devices: tuple[DeviceQuality, DeviceQuality]


@dataclass(frozen=True)
class QualityReport:
    """All recordings together, and each by itself.

    Attributes
    ----------
    recordings : tuple of RecordingQuality
        In the order given.
    subjects : tuple of str
        Sorted.
    rates_hz : tuple of float
        The rates that occur, ascending.
    duration_s : float
        Of all recordings together.
    label_share : dict of str to float
        Each label's part of the time, "" = unlabelled; in the vocabulary's order.
    warnings : tuple of str
        What looks wrong, a sentence each; empty if nothing does.

    Examples
    --------
    >>> from conv2d.data import simulate
    >>> report = quality_report(simulate(n_subjects=2, minutes=0.5))
    >>> len(report.subjects), report.duration_s, report.rates_hz
    (2, 60.0, (100.0,))
    """

    recordings: tuple[RecordingQuality, ...]
    subjects: tuple[str, ...]
    rates_hz: tuple[float, ...]
    duration_s: float
    label_share: Mapping[str, float]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists and numbers for JSON.

        Returns
        -------
        dict
            The fields, nested ones as dicts in turn.

        Examples
        --------
        >>> from conv2d.data import simulate
        >>> sorted(quality_report(simulate(n_subjects=1, minutes=0.5)).to_dict())
        ['duration_s', 'label_share', 'rates_hz', 'recordings', 'subjects', 'warnings']
        """
        return asdict(self)


def quality_report(recordings: Sequence[Recording]) -> QualityReport:
    """Describe recordings and look for gaps, flat lines, clipping and wrong units.

    Parameters
    ----------
    recordings : sequence of Recording
        At least one.

    Returns
    -------
    QualityReport
        Counts and shares; nothing is changed.

    Raises
    ------
    DataError
        If there is no recording.

    Examples
    --------
    >>> from conv2d.data import simulate
    >>> report = quality_report(simulate(n_subjects=1, minutes=0.5))
    >>> [device.name for device in report.recordings[0].devices]
    ['collar', 'harness']
    """
    if not recordings:
        raise DataError("quality_report: recordings is empty; at least one recording is needed.")
    each = tuple(_recording_quality(recording) for recording in recordings)
    seconds: dict[str, float] = {}
    for quality in each:
        for label, share in quality.label_share.items():
            seconds[label] = seconds.get(label, 0.0) + share * quality.duration_s
    duration_s = sum(quality.duration_s for quality in each)
    return QualityReport(
        recordings=each,
        subjects=tuple(sorted({quality.subject for quality in each})),
        rates_hz=tuple(sorted({quality.rate_hz for quality in each})),
        duration_s=duration_s,
        label_share={label: part / duration_s for label, part in seconds.items()},
        warnings=(*_disagreements(recordings), *(warning for quality in each for warning in _warnings(quality))),
    )


def _recording_quality(recording: Recording) -> RecordingQuality:
    counts = np.bincount(recording.labels - UNLABELLED, minlength=len(recording.label_names) + 1)
    shares = dict(zip(("", *recording.label_names), (counts / recording.n_steps).tolist(), strict=True))
    first, second = (_device_quality(recording, device) for device in range(N_DEVICES))
    return RecordingQuality(
        name=recording.name,
        subject=recording.subject,
        rate_hz=recording.rate_hz,
        duration_s=recording.duration_s,
        # The order of the vocabulary, what has no label last.
        label_share={label: shares[label] for label in (*recording.label_names, "") if label or shares[""]},
        devices=(first, second),
    )


def _device_quality(recording: Recording, device: int) -> DeviceQuality:
    present = recording.channel_mask[:, device]
    valid = recording.valid[device]
    signal = recording.signal[:, device][:, valid]
    flat: dict[str, int] = {}
    clipped: dict[str, int] = {}
    beyond: dict[str, float] = {}
    for row in np.flatnonzero(present) if signal.size else ():
        values, runs = _runs(signal[row])
        is_flat = runs >= max(FLAT_S * recording.rate_hz, FLAT_STEPS)
        if is_flat.any():
            flat[CHANNELS[row]] = int(runs[is_flat].sum())
        for limit in (values.min(), values.max()):
            at_limit = runs[(values == limit) & (runs >= CLIPPED_STEPS) & ~is_flat]
            if len(at_limit) > 1:
                clipped[CHANNELS[row]] = clipped.get(CHANNELS[row], 0) + int(at_limit.sum())
        most = float(np.abs(values).max())
        if most > _reach(CHANNELS[row], recording.mag_unit):
            beyond[CHANNELS[row]] = most
    acc = signal[:3].astype(np.float64)  # squares of float32 overflow
    acc_norm = float(np.median(np.linalg.norm(acc, axis=0))) if present[:3].all() and signal.size else None
    return DeviceQuality(
        name=recording.devices[device],
        absent_channels=tuple(channel for channel, there in zip(CHANNELS, present, strict=True) if not there),
        invalid_steps=int((~valid).sum()),
        gaps=recording.repairs.gaps[device],
        interpolated=recording.repairs.interpolated[device],
        doubled=recording.repairs.doubled[device],
        trimmed_s=recording.repairs.trimmed_s[device],
        flat_channels=flat,
        clipped_channels=clipped,
        acc_norm=acc_norm,
        out_of_reach=beyond,
    )


def _reach(channel: str, mag_unit: str) -> float:
    sensor = channel.split("_")[0]
    return _REACH_EARTH_FIELD if (sensor, mag_unit) == ("mag", "earth_field") else _REACH[sensor]


def _runs(signal: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the value and the length of each run of equal values."""
    starts = np.flatnonzero(np.concatenate([[True], signal[1:] != signal[:-1]]))
    return signal[starts], np.diff(np.append(starts, len(signal)))


def _disagreements(recordings: Sequence[Recording]) -> list[str]:
    """Tell what keeps recordings from being trained on together, or makes two classes of one."""
    found: list[str] = []
    groups: dict[tuple[str, ...], list[str]] = {}
    for recording in recordings:
        groups.setdefault(recording.devices, []).append(recording.name)
    if len(groups) > 1:
        told = "; ".join(
            f"{' + '.join(devices)} in {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}"
            for devices, names in groups.items()
        )
        found.append(
            f"the recordings have different devices: {told}. Windows need the same two everywhere, in one order."
        )
    alike: dict[str, set[str]] = {}
    for name in {name for recording in recordings for name in recording.label_names}:
        alike.setdefault(name.strip().casefold(), set()).add(name)
    for names in (sorted(names) for _, names in sorted(alike.items()) if len(names) > 1):
        found.append(
            f"labels {', '.join(map(repr, names))} differ only in case or blanks, yet are classes of their own."
        )
    return found


def _warnings(quality: RecordingQuality) -> list[str]:
    found: list[str] = []
    for device in quality.devices:
        where = f"{quality.name}, {device.name}"
        if device.acc_norm is not None and not _LIGHT < device.acc_norm < _HEAVY:
            found.append(
                f"{where}: median acceleration is {device.acc_norm:.3g} m/s², but gravity alone is 9.8; the unit may be "
                f"another (near 1: g), or gravity was taken out."
            )
        if device.out_of_reach:
            told = ", ".join(f"{channel} {value:.3g}" for channel, value in device.out_of_reach.items())
            found.append(
                f"{where}: values beyond any such sensor's range ({told}); a broken row, or another unit (°/s?)."
            )
        if device.invalid_steps:
            lost = device.invalid_steps / quality.rate_hz
            found.append(f"{where}: {lost:.1f} s of {quality.duration_s:.1f} s lie in gaps and reach no window.")
        if device.flat_channels:
            longest = max(device.flat_channels.values()) / quality.rate_hz
            found.append(f"{where}: flat for up to {longest:.1f} s in {', '.join(device.flat_channels)}.")
        if device.clipped_channels:
            most = max(device.clipped_channels.values())
            found.append(f"{where}: clipped in up to {most} steps in {', '.join(device.clipped_channels)}.")
    return found
