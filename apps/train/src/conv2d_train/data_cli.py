"""``conv2d data``: list, describe, simulate and convert recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from conv2d.data import QualityReport, Recording, quality_report, read_recordings, simulate, write_table
from conv2d_train._terminal import emit, show, tell

app = typer.Typer(no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(help="Folder or file of recordings.", exists=True)]
ReaderOption = Annotated[
    Literal["table", "spsw", "dsads", "hapt"], typer.Option("--reader", help="How the folder is laid out.")
]
DevicesOption = Annotated[
    str | None, typer.Option("--devices", help="Of a table or dsads: which one or two, device 0 first, with a comma.")
]
FormatOption = Annotated[Literal["parquet", "csv"], typer.Option("--format")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


@app.command(name="ls")
def list_recordings(
    folder: FolderArgument, reader: ReaderOption = "table", devices: DevicesOption = None, json: JsonOption = False
) -> None:
    """List recordings: subject, session, duration, rate, labels."""
    rows = [_row(recording) for recording in _read(folder, reader, devices)]
    if json:
        emit({"recordings": rows})
        return
    table = Table(*rows[0]) if rows else Table("no recordings")
    for row in rows:
        table.add_row(*(", ".join(v) if isinstance(v, list) else str(v) for v in row.values()))
    show(table)


def _row(recording: Recording) -> dict[str, str | float | list[str]]:
    present = sorted({int(k) for k in recording.labels if k >= 0})
    return {
        "subject": recording.subject,
        "session": recording.session,
        "duration_s": round(recording.duration_s, 2),
        "rate_hz": recording.rate_hz,
        "devices": list(recording.devices),
        "labels": [recording.label_names[k] for k in present],
    }


@app.command()
def describe(
    folder: FolderArgument, reader: ReaderOption = "table", devices: DevicesOption = None, json: JsonOption = False
) -> None:
    """Tell what the recordings hold and what is wrong with them: gaps, flat lines, clipping, missing channels."""
    report = quality_report(_read(folder, reader, devices))
    if json:
        emit(report.to_dict())
    else:
        show(_recordings_table(report))
        tell(_summary(report))


def _recordings_table(report: QualityReport) -> Table:
    table = Table(
        "recording",
        "device",
        "duration_s",
        "rate_hz",
        "|acc| m/s²",
        "absent",
        "doubled",
        "interpolated",
        "gaps",
        "invalid",
        "flat",
        "clipped",
    )
    for recording in report.recordings:
        for device in recording.devices:
            table.add_row(
                recording.name,
                device.name,
                f"{recording.duration_s:.1f}",
                f"{recording.rate_hz:g}",
                "" if device.acc_norm is None else f"{device.acc_norm:.2f}",
                ", ".join(sorted({channel.split("_")[0] for channel in device.absent_channels})),
                *(str(n) for n in (device.doubled, device.interpolated, device.gaps, device.invalid_steps)),
                ", ".join(device.flat_channels),
                ", ".join(device.clipped_channels),
            )
    return table


def _summary(report: QualityReport) -> str:
    shares = ", ".join(f"{name or 'unlabelled'} {share:.1%}" for name, share in report.label_share.items())
    lines = [
        f"{len(report.recordings)} recordings of {len(report.subjects)} subjects, {report.duration_s / 60:.1f} minutes",
        f"labels: {shares}",
        *(f"warning: {warning}" for warning in report.warnings),
    ]
    return "\n".join(lines)


@app.command(name="simulate")
def simulate_recordings(
    out: Annotated[Path, typer.Option("--out", help="Folder to write; must not hold recordings yet.")],
    subjects: Annotated[int, typer.Option("--subjects", min=1)] = 12,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="Per subject.")] = 4.0,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    format: FormatOption = "parquet",  # noqa: A002 - the option's name
    json: JsonOption = False,
) -> None:
    """Write simulated recordings of dogs with a collar and a harness sensor, in the plain layout."""
    _write(simulate(n_subjects=subjects, minutes=minutes, seed=seed), out, format, json)


@app.command()
def convert(
    folder: FolderArgument,
    out: Annotated[Path, typer.Option("--out", help="Folder to write; must not hold recordings yet.")],
    reader: ReaderOption = "table",
    devices: DevicesOption = None,
    format: FormatOption = "parquet",  # noqa: A002 - the option's name
    json: JsonOption = False,
) -> None:
    """Convert recordings to the plain layout: one file each, with t, <device>_<sensor>_<axis> and label."""
    _write(_read(folder, reader, devices), out, format, json)


def _read(folder: Path, reader: str, devices: str | None) -> list[Recording]:
    if devices is None:
        return read_recordings(folder, reader)
    return read_recordings(folder, reader, devices=tuple(name.strip() for name in devices.split(",")))


def _write(recordings: list[Recording], out: Path, format: Literal["parquet", "csv"], json: bool) -> None:  # noqa: A002
    if out.is_dir() and any(out.iterdir()):
        raise typer.BadParameter(f"{out} is not empty; recordings are never mixed. Give a new folder.")
    written = [str(write_table(recording, out, format=format)) for recording in recordings]
    if json:
        emit({"files": written})
    else:
        tell(f"{len(written)} recordings in {out}")
