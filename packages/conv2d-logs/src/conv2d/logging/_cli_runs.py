"""The commands ``metrics`` and ``compare``: numbers over time, and runs side by side."""

import itertools
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from conv2d.logging._compare import Directions, collect, parse_threshold, regressions, rows
from conv2d.logging._encode import encode, plain
from conv2d.logging._errors import UserError
from conv2d.logging._filter import Filter, compile_filter, look_up, needles_of
from conv2d.logging._options import Files, Since, TableStyle, Until, Window, found_in
from conv2d.logging._plot import draw, picture
from conv2d.logging._pretty import harmless
from conv2d.logging._query import Query
from conv2d.logging._record import Record
from conv2d.logging._search import every_line, lines_with
from conv2d.logging._series import Curve, Statistics, number, numbers, position
from conv2d.logging._show import tell_damages
from conv2d.logging._sources import Damages, find_sources
from conv2d.logging._table import FORMATS, TableFormat, render
from conv2d.logging._when import instant
from conv2d.logging._write import aside

T = TypeVar("T")

_MOST_CURVES = 24
_MOST_FIELDS = 10_000
_ROWS = 1000


def metrics(
    files: Files = None,
    field: Annotated[list[str] | None, typer.Option("--field", "-F", help="Show the series of this field.")] = None,
    where: Annotated[str | None, typer.Option(help="Only records for which this filter holds.")] = None,
    since: Since = None,
    until: Until = None,
    style: TableStyle = "table",
    plot: Annotated[bool, typer.Option("--plot", help="Draw the series, in the terminal or to --output.")] = False,
    output: Annotated[Path | None, typer.Option(help="A picture: .png, .svg or .pdf; needs the extra plots.")] = None,
) -> None:
    """Show the series of numeric fields; without --field, what numeric fields there are and their statistics."""
    if output is not None and not plot:
        raise UserError("--output is the picture of --plot; give both, or redirect standard output for text")
    wanted = field or []
    chosen = compile_filter(where) if where else Filter(lambda _: True)
    if len(wanted) == 1:
        chosen = Filter(chosen.test, chosen.needles | needles_of(wanted[0]))
    query = Query("metrics", lines_with(chosen.needle) if chosen.needle else every_line, chosen.test)
    damages = Damages()
    records = (record for _, record in found_in(files, query, Window(since, until), damages))
    if not wanted:
        if plot:
            raise UserError("--plot needs --field, the field to draw")
        count = _statistics(records, style)
    elif plot:
        count = _plot(records, wanted, output)
    else:
        count = _series(records, wanted, style)
    tell_damages(damages)
    raise typer.Exit(0 if count else 1)


def compare(
    files: Files = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help=".csv, .json, .md, .html or .txt.")] = None,
    style: Annotated[
        TableFormat | None, typer.Option("--format", help="By default as --output ends, else table.")
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="Run to measure against; by default the earliest.")] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(help="How much worse a run's final metric may be: accuracy=0.01, val_loss=2%, or 5% for all."),
    ] = None,
    lower: Annotated[
        list[str] | None, typer.Option("--lower-is-better", help="A metric of which its name does not tell.")
    ] = None,
    higher: Annotated[list[str] | None, typer.Option("--higher-is-better", help="The opposite.")] = None,
) -> None:
    """Put runs side by side; exit code 1 when one is worse than the baseline beyond a --threshold."""
    if output is not None and style is None and output.suffix not in FORMATS:
        raise UserError(f"--output must end in {', '.join(FORMATS)}, or give --format; got {output}")
    thresholds = [parse_threshold(text) for text in threshold or []]
    damages = Damages()
    ways = Directions(frozenset(lower or []), frozenset(higher or []))
    runs = collect(find_sources(files or []), damages, ways)
    tell_damages(damages)
    if not runs:
        raise typer.Exit(1)
    ways.check(runs)
    against = baseline or next(iter(runs))
    if against not in runs:
        raise UserError(f"--baseline {against}: no such run; there are {', '.join(runs)}")
    found = list(regressions(runs, against, thresholds, ways)) if thresholds else []
    body = [[section, name, *values] for section, name, values in rows(runs, ways)]
    chosen = style or (FORMATS[output.suffix] if output is not None else "table")
    text = render(["section", "name", *runs], body, chosen, "Runs side by side")
    if output is None:
        sys.stdout.write(text)
    else:
        with aside(output) as place:
            place.write_text(text, "utf-8")
    for sentence in found:
        sys.stderr.write(f"regression: {harmless(sentence)}\n")
    raise typer.Exit(1 if found else 0)


def _statistics(records: Iterable[Record], style: TableFormat) -> int:
    fields: dict[str, Statistics] = {}
    for part in _batches(iter(records)):
        columns: dict[str, list[int | float]] = {}
        for record in part:
            for name, value in numbers(record):
                columns.setdefault(name, []).append(value)
        for name, values in columns.items():
            if name in fields or len(fields) < _MOST_FIELDS:
                fields.setdefault(name, Statistics()).add(values)
    body = [[name, *one.as_dict().values()] for name, one in sorted(fields.items())]
    if body:
        sys.stdout.write(render(["field", *Statistics().as_dict()], body, style))
    return len(fields)


def _series(records: Iterable[Record], wanted: list[str], style: TableFormat) -> int:
    """Write rows as they come, a thousand at a time, so that memory stays bounded."""
    head = ["ts", "run_id", "at", *wanted]
    count = 0
    for part in _batches(_rows(records, wanted)):
        text = (
            render(head, part, style)
            if style != "json"
            else "".join(encode(dict(zip(head, row, strict=True))).decode() + "\n" for row in part)
        )
        sys.stdout.write(text if count == 0 or style == "json" else text.split("\n", 1)[1])
        count += len(part)
    return count


def _rows(records: Iterable[Record], wanted: list[str]) -> Iterator[list[object]]:
    for record in records:
        values = [number(look_up(record, name)) for name in wanted]
        if any(value is not None for value in values):
            at = position(record)
            yield [
                record.get("ts"),
                record.get("run_id"),
                None if at is None else at[1],
                *(plain(one) for one in values),
            ]


def _batches(found: Iterator[T]) -> Iterator[list[T]]:
    while part := list(itertools.islice(found, _ROWS)):
        yield part


def _plot(records: Iterable[Record], wanted: list[str], output: Path | None) -> int:
    curves: dict[str, Curve] = {}
    across, dropped, origin = "", 0, 0
    for record in records:
        at = position(record)
        moment = instant(record.get("ts"))
        if at is not None and across in ("", at[0]):
            across, x = at[0], float(at[1])
        elif at is None and moment is not None and across in ("", "seconds"):
            origin = origin if across else moment
            across, x = "seconds", (moment - origin) / 1e9
        else:
            continue
        for name in wanted:
            value = number(look_up(record, name))
            if value is None:
                continue
            label = f"{name} {record.get('run_id') or ''}".rstrip()
            if label not in curves and len(curves) >= _MOST_CURVES:
                dropped += 1
                continue
            curves.setdefault(label, Curve()).add(x, float(value))
    if dropped:
        sys.stderr.write(f"only the first {_MOST_CURVES} curves are drawn; {dropped} points of others are left out\n")
    drawn = {name: curve for name, curve in curves.items() if curve.points}
    if output is not None and drawn:
        picture(drawn, across, output)
    elif drawn:
        size = shutil.get_terminal_size()
        sys.stdout.write(draw(drawn, across, size.columns, max(6, min(24, size.lines - len(drawn) - 4))))
    return len(drawn)
