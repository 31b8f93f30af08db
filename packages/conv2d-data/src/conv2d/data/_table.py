"""The plain layout: one Parquet or CSV table for each recording, read strictly and written so that it reads back."""

import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from conv2d.data._align import MAX_GAP_S, DeviceStream, LabelTrack, assemble, check_rate, check_time, common_grid
from conv2d.data._errors import DataError
from conv2d.data._files import (
    cell,
    constant,
    find_files,
    label_codes,
    label_text,
    naming,
    numbers,
    read_frame,
    require_columns,
)
from conv2d.data._recording import AXES, CHANNELS, N_DEVICES, SENSORS, UNLABELLED, Recording

if TYPE_CHECKING:
    import polars as pl

_COLUMN = re.compile(rf"(?P<device>.+)_(?P<channel>({'|'.join(SENSORS)})_({'|'.join(AXES)}))")

# No motion sensor is slower; time in milliseconds reads as a thousandth of the rate.
_SLOWEST_HZ = 1.0


def read_table(
    path: Path,
    label_names: Sequence[str] | None = None,
    *,
    devices: Sequence[str] | None = None,
    rate_hz: float | None = None,
    max_gap_s: float = MAX_GAP_S,
) -> list[Recording]:
    """Read a folder of tables, or one table, in the plain layout.

    One file is one recording, named `<subject>_<session>.parquet` or `.csv` (the subject ends at the first underscore;
    without one the session is "1"). Columns, of which any others are ignored:

    - `t`: seconds, never running back. All devices share this clock.
    - `<device>_<acc|gyro|mag>_<x|y|z>` for one or two devices, in m/s², rad/s and µT, held as float32. A sensor
      has all its axes or none. A row in which all columns of a device are empty is one that the device missed.
    - `label`, optional; empty = unlabelled.
    - `subject`, `session`, `mag_unit` ("uT" or "earth_field"), optional, the same in all rows: instead of the file's
      name and of µT.

    Parameters
    ----------
    path : Path
        The folder or file.
    label_names : sequence of str, optional
        The vocabulary; another label is an error. By default the labels that occur in any of the files, sorted.
    devices : sequence of str, optional
        The devices to read, device 0 first. By default those of the file, in the order of its columns.
    rate_hz : float, optional
        Rate of the grid; by default the first device's own: the inverse of the median spacing, taken as a whole number
        of Hz if it is within 0.1 % of one. Samples on the grid are taken as they are, others interpolated.
    max_gap_s : float
        Longest gap to fill, in seconds; longer ones become invalid.

    Returns
    -------
    list of Recording
        Sorted by subject and session.

    Raises
    ------
    DataError
        Naming the file, and the row and column where there is one.
    """
    files = find_files(path, "*.parquet", "*.csv")
    recordings = [_read_one(file, label_names, devices, rate_hz, max_gap_s) for file in files]
    _check_distinct(recordings, files)
    if label_names is None:
        vocabulary = sorted({name for recording in recordings for name in recording.label_names})
        recordings = [recording.with_label_names(vocabulary) for recording in recordings]
    return sorted(recordings, key=lambda recording: (recording.subject, recording.session))


def write_table(
    recording: Recording,
    directory: str | os.PathLike[str],
    format: Literal["parquet", "csv"] = "parquet",  # noqa: A002
) -> Path:
    """Write a recording in the plain layout, as `<subject>_<session>.<format>`.

    Reading it back with `read_recordings(file, label_names=recording.label_names)` gives the same signal, labels and
    time. Invalid steps are written as empty cells, so their filler is not kept, and they come back invalid if their gap
    is longer than the reader's gap limit. Repairs are not kept.

    Parameters
    ----------
    recording : Recording
        The recording.
    directory : path-like
        Folder to write to; made if absent. A file of the same name is replaced.
    format : {"parquet", "csv"}
        Numbers are exact in both.

    Returns
    -------
    Path
        The file. It is whole or absent: written aside, then renamed.

    Raises
    ------
    DataError
        If the format is unknown, or only some axes of a sensor are present.
    OSError
        If the file cannot be written; its name is told.

    Examples
    --------
    >>> import tempfile
    >>> from conv2d.data import read_recordings, simulate
    >>> recording = simulate(n_subjects=1, minutes=0.2)[0]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = write_table(recording, folder, format="csv")
    ...     copy = read_recordings(file, label_names=recording.label_names)[0]
    >>> copy.name == recording.name and bool((copy.labels == recording.labels).all())
    True
    """
    if format not in ("parquet", "csv"):
        raise DataError(f"write_table: format must be 'parquet' or 'csv', got {format!r}.")
    import polars as pl

    frame = _to_frame(recording)
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{recording.subject}_{recording.session}.{format}"
    aside = folder / f".{file.name}.{os.getpid()}.tmp"
    try:
        if format == "csv":
            frame.write_csv(aside)
        else:
            frame.write_parquet(aside)
        aside.replace(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _of_file(error, file) from error
    finally:
        aside.unlink(missing_ok=True)
    return file


def _of_file(error: Exception, file: Path) -> OSError:
    """Name the file: polars tells a full disk without it, or as an error of the format."""
    told = re.search(r"os error (\d+)", str(error))
    number = int(told[1]) if told else getattr(error, "errno", None) or errno.EIO
    return OSError(number, os.strerror(number) if told else getattr(error, "strerror", None) or str(error), str(file))


def _read_one(
    file: Path,
    label_names: Sequence[str] | None,
    devices: Sequence[str] | None,
    rate_hz: float | None,
    max_gap_s: float,
) -> Recording:
    if file.suffix not in (".parquet", ".csv"):
        raise DataError(f"{file}: the plain layout is .parquet or .csv, got {file.suffix or 'no suffix'}.")
    frame = read_frame(file)
    require_columns(frame, ["t"], file)
    t_s = numbers(frame, "t", file, np.float64)
    check_time(t_s, str(file))
    streams = [_stream(frame, name, columns, t_s, file) for name, columns in _device_columns(frame, devices, file)]

    rate = _own_rate(streams[0], file) if rate_hz is None else rate_hz
    labels = None
    if "label" in frame.columns:
        names = label_text(frame, file).drop_nulls().unique().sort() if label_names is None else label_names
        labels = LabelTrack(t_s, label_codes(frame, file, tuple(names)), tuple(names))
    subject, _, session = file.stem.partition("_")
    unit = constant(frame, "mag_unit", file, "uT")
    if unit not in ("uT", "earth_field"):
        raise DataError(f"{file}: column mag_unit must be 'uT' or 'earth_field', got {unit!r}.")
    for stream in streams:
        check_rate(stream, rate, str(file))
    recording = assemble(
        streams,
        common_grid([t_s], rate),
        rate,
        subject=constant(frame, "subject", file, subject),
        session=constant(frame, "session", file, session or "1"),
        labels=labels,
        max_gap_s=max_gap_s,
        mag_unit=unit,
    )
    return recording if label_names is None or labels else recording.with_label_names(label_names)


def _device_columns(
    frame: "pl.DataFrame", devices: Sequence[str] | None, file: Path
) -> list[tuple[str, dict[str, str]]]:
    """Find each device's columns, keyed by channel in the order of `CHANNELS`."""
    found: dict[str, dict[str, str]] = {}
    for column in frame.columns:
        match = _COLUMN.fullmatch(column)
        if match:
            found.setdefault(match["device"], {})[match["channel"]] = column
    names = list(devices if devices is not None else found)
    if not found:
        raise DataError(
            f"{file}: no column is named <device>_<acc|gyro|mag>_<x|y|z>; the file has {', '.join(frame.columns)}. "
            f"Rename the sensors' columns."
        )
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"{file}: no columns of device {', '.join(missing)}; the file has {', '.join(found)}.")
    if not 1 <= len(names) <= N_DEVICES:
        raise DataError(
            f"{file}: a recording has one or two devices, got {', '.join(names)}; choose with devices=(…, …)."
        )
    for name in names:
        for sensor in SENSORS:
            absent = [f"{name}_{sensor}_{axis}" for axis in AXES if f"{sensor}_{axis}" not in found[name]]
            if 0 < len(absent) < len(AXES):
                raise DataError(
                    f"{file}: missing column {', '.join(absent)}; a sensor needs all of its axes {', '.join(AXES)}, or "
                    f"none if the device lacks it."
                )
    return [(name, {channel: found[name][channel] for channel in CHANNELS if channel in found[name]}) for name in names]


def _stream(frame: "pl.DataFrame", name: str, columns: dict[str, str], t_s: "np.ndarray", file: Path) -> DeviceStream:
    """Return the rows in which the device reported."""
    values = np.stack([numbers(frame, column, file, np.float32, may_be_empty=True) for column in columns.values()])
    empty = np.isnan(values)  # `numbers` refuses a NaN that is written out
    reported = ~empty.all(axis=0)
    partly = np.argwhere((empty & reported).T)
    if len(partly):
        row, column = map(int, partly[0])
        raise DataError(
            f"{cell(file, row, list(columns.values())[column])} is empty while others of device {name!r} are not; a row "
            f"has all of a device's values or none of them."
        )
    if reported.sum() < 2:
        raise DataError(
            f"{file}: device {name!r} has values in {int(reported.sum())} row(s); if it was not worn, leave its columns out."
        )
    with naming(file):
        return DeviceStream(name, t_s[reported], np.ascontiguousarray(values[:, reported]), tuple(columns))


def _own_rate(stream: DeviceStream, file: Path) -> float:
    rate = 1.0 / stream.spacing_s
    if rate < _SLOWEST_HZ:
        raise DataError(
            f"{file}: device {stream.name!r} reports every {stream.spacing_s:g} s, too seldom for motion; column t must be "
            f"in seconds (divide milliseconds by 1000)."
        )
    whole = round(rate)
    return float(whole) if whole and abs(rate - whole) < 1e-3 * whole else round(rate, 6)


def _check_distinct(recordings: Sequence[Recording], files: Sequence[Path]) -> None:
    first: dict[str, Path] = {}
    for recording, file in zip(recordings, files, strict=True):
        if recording.name in first:
            raise DataError(
                f"{file}: the recording {recording.name} is also in {first[recording.name].name}; rename or remove one."
            )
        first[recording.name] = file


def _to_frame(recording: Recording) -> "pl.DataFrame":
    import polars as pl

    table: dict[str, pl.Series | pl.Expr] = {}
    table["t"] = pl.Series(recording.start_s + np.arange(recording.n_steps) / recording.rate_hz)
    for device, name in enumerate(recording.devices):
        for sensor in SENSORS:
            rows = [CHANNELS.index(f"{sensor}_{axis}") for axis in AXES]
            present = recording.channel_mask[rows, device]
            if present.any() and not present.all():
                raise DataError(
                    f"write_table: recording {recording.name} has only some axes of {name}_{sensor}; the plain layout needs "
                    f"all three or none."
                )
            for row in rows if present.all() else []:
                values = pl.Series(recording.signal[row, device])
                table[f"{name}_{CHANNELS[row]}"] = values.set(pl.Series(~recording.valid[device]), None)
    names = pl.Series([*recording.label_names, None], dtype=pl.String)
    table["label"] = names.gather(
        np.where(recording.labels == UNLABELLED, len(recording.label_names), recording.labels)
    )
    frame = pl.DataFrame(table)

    stem_subject, _, stem_session = f"{recording.subject}_{recording.session}".partition("_")
    if (stem_subject, stem_session) != (recording.subject, recording.session):
        frame = frame.with_columns(subject=pl.lit(recording.subject), session=pl.lit(recording.session))
    if recording.mag_unit != "uT":
        frame = frame.with_columns(mag_unit=pl.lit(recording.mag_unit))
    return frame
