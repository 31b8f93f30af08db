"""Readers of the public data sets that the figures are given on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from conv2d.data._align import MAX_CLOCK_OFFSET_S, MAX_GAP_S, DeviceStream, LabelTrack, align
from conv2d.data._errors import DataError
from conv2d.data._files import find_files, label_codes, naming, numbers, read_frame, require_columns
from conv2d.data._recording import CHANNELS, Recording

SPSW_LABELS = ("seated", "sitting_down", "standing_up", "turning", "walking")

DSADS_LABELS = (
    "ascending_stairs",
    "cycling_exercise_bike_horizontal",
    "cycling_exercise_bike_vertical",
    "descending_stairs",
    "exercising_on_cross_trainer",
    "exercising_on_stepper",
    "jumping",
    "lying_on_back",
    "lying_on_right_side",
    "moving_around_in_elevator",
    "playing_basketball",
    "rowing",
    "running_treadmill_8kmh",
    "sitting",
    "standing",
    "standing_in_elevator_still",
    "walking_in_parking_lot",
    "walking_treadmill_4kmh_flat",
    "walking_treadmill_4kmh_incline15",
)

HAPT_LABELS = (
    "laying",
    "lie_to_sit",
    "lie_to_stand",
    "null",
    "sit_to_lie",
    "sit_to_stand",
    "sitting",
    "stand_to_lie",
    "stand_to_sit",
    "standing",
    "walking",
    "walking_downstairs",
    "walking_upstairs",
)

_ACC_GYRO = CHANNELS[:6]


def read_spsw(
    path: Path,
    label_names: Sequence[str] | None = None,
    *,
    rate_hz: float = 100.0,
    max_gap_s: float = MAX_GAP_S,
    max_clock_offset_s: float = MAX_CLOCK_OFFSET_S,
) -> list[Recording]:
    """Read SPSW: `<subject>_phone.parquet` beside `<subject>_watch.parquet`, a recording for each `execution`.

    Phone and watch have their own clocks and gaps, and are aligned on a common grid; labels are the phone's.

    Parameters
    ----------
    path : Path
        The folder, or one subject's phone file.
    label_names : sequence of str, optional
        Another vocabulary than the set's own five labels.
    rate_hz, max_gap_s, max_clock_offset_s : float
        As in `align`.

    Returns
    -------
    list of Recording
        By subject and execution; devices ("phone", "watch"), no magnetometer.

    Raises
    ------
    DataError
        If a file or execution lacks its partner, or a table is not as it should be.
    """
    names = SPSW_LABELS if label_names is None else tuple(label_names)
    recordings: list[Recording] = []
    for phone_file in find_files(path, "*_phone.parquet"):
        subject = phone_file.stem.removesuffix("_phone")
        watch_file = phone_file.with_name(f"{subject}_watch.parquet")
        if not watch_file.is_file():
            raise DataError(
                f"{phone_file}: its partner {watch_file.name} is absent; a recording needs both devices, so add the file or "
                f"take this one out of the folder."
            )
        phone, watch = (
            _pieces(file, "execution", (device,), _ACC_GYRO, names)
            for file, device in ((phone_file, "phone"), (watch_file, "watch"))
        )
        if phone.keys() != watch.keys():
            alone = sorted(phone.keys() ^ watch.keys())
            raise DataError(
                f"{phone_file}: execution {', '.join(map(str, alone))} is only in one of it and {watch_file.name}; a "
                f"recording needs both devices, so remove the rows."
            )
        for number, (streams, labels) in phone.items():
            recordings.append(
                align(
                    [*streams, *watch[number][0]],
                    rate_hz,
                    subject=subject,
                    session=f"execution{number:02d}",
                    labels=labels,
                    max_gap_s=max_gap_s,
                    max_clock_offset_s=max_clock_offset_s,
                )
            )
    return recordings


def read_dsads(
    path: Path,
    label_names: Sequence[str] | None = None,
    *,
    devices: Sequence[str] = ("rarm", "rleg"),
    max_gap_s: float = MAX_GAP_S,
) -> list[Recording]:
    """Read DSADS: `<subject>.parquet`, 25 Hz, a recording for each `block` (one activity, 5 minutes).

    Parameters
    ----------
    path : Path
        The folder, or one subject's file.
    label_names : sequence of str, optional
        Another vocabulary than the set's own nineteen labels.
    devices : sequence of str
        Two of rarm, larm, rleg, lleg; ("larm", "lleg") is the mirrored second pair.
    max_gap_s : float
        As in `align`.

    Returns
    -------
    list of Recording
        By subject and block; the magnetometer in multiples of the earth's field.

    Raises
    ------
    DataError
        If a table is not as it should be.
    """
    names = DSADS_LABELS if label_names is None else tuple(label_names)
    return _read_blocks(path, "block", tuple(devices), CHANNELS, names, 25.0, max_gap_s, "earth_field")


def read_hapt(path: Path, label_names: Sequence[str] | None = None, *, max_gap_s: float = MAX_GAP_S) -> list[Recording]:
    """Read HAPT: `<subject>.parquet`, 50 Hz, a recording for each `exp`; one device, on the waist.

    Parameters
    ----------
    path : Path
        The folder, or one subject's file.
    label_names : sequence of str, optional
        Another vocabulary than the set's own: six activities, six transitions, and `null` for what has no label.
    max_gap_s : float
        As in `align`.

    Returns
    -------
    list of Recording
        By subject and experiment; devices ("waist", "absent"), no magnetometer.

    Raises
    ------
    DataError
        If a table is not as it should be.
    """
    names = HAPT_LABELS if label_names is None else tuple(label_names)
    return _read_blocks(path, "exp", ("waist",), _ACC_GYRO, names, 50.0, max_gap_s, "uT")


def _read_blocks(
    path: Path,
    piece: str,
    devices: Sequence[str],
    channels: Sequence[str],
    names: tuple[str, ...],
    rate_hz: float,
    max_gap_s: float,
    mag_unit: Literal["uT", "earth_field"],
) -> list[Recording]:
    """Read sets in which all devices of a subject share one file and one clock."""
    return [
        align(
            streams,
            rate_hz,
            subject=file.stem,
            session=f"{piece}{number:02d}",
            labels=labels,
            max_gap_s=max_gap_s,
            mag_unit=mag_unit,
        )
        for file in find_files(path, "*.parquet")
        for number, (streams, labels) in _pieces(file, piece, devices, channels, names).items()
    ]


def _pieces(
    file: Path, piece: str, devices: Sequence[str], channels: Sequence[str], names: tuple[str, ...]
) -> dict[int, tuple[list[DeviceStream], LabelTrack]]:
    """Cut a file by the whole numbers in column `piece`: for each of them the devices' streams and the labels."""
    frame = read_frame(file)
    columns = {device: [f"{device}_{channel}" for channel in channels] for device in devices}
    require_columns(frame, ["t", piece, "label", *(column for device in devices for column in columns[device])], file)
    t_s = numbers(frame, "t", file, np.float64)
    codes = label_codes(frame, file, names)
    values = {d: np.stack([numbers(frame, c, file, np.float32) for c in columns[d]]) for d in devices}
    number = numbers(frame, piece, file, np.float64)
    pieces: dict[int, tuple[list[DeviceStream], LabelTrack]] = {}
    for value in np.unique(number):
        rows = np.flatnonzero(number == value)
        with naming(file):
            streams = [DeviceStream(d, t_s[rows], values[d][:, rows], tuple(channels)) for d in devices]
        pieces[int(value)] = (streams, LabelTrack(t_s[rows], codes[rows], names))
    return pieces
