"""The command ``conv2d-logs``: results on standard output, remarks on standard error.

Exit codes are grep's: 0 found, 1 found nothing (for ``errors``: found some), 2 wrong use or unreadable file; 70 for a
fault of this program.
"""

import os
import re
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from conv2d.logging._errors import INTERNAL, USAGE, UserError
from conv2d.logging._filter import Test, compile_filter
from conv2d.logging._levels import LEVELS, check_level, level_name
from conv2d.logging._read import (
    STDIN,
    Block,
    Damages,
    find_sources,
    lines_unlike,
    matching_lines,
    read_blocks,
    read_frames,
    read_lines,
)
from conv2d.logging._record import Record
from conv2d.logging._show import Format, RecordWriter, tell_damages, write_summary
from conv2d.logging._summary import Summary
from conv2d.logging._tail import follow, last_lines
from conv2d.logging._when import bound, stamp_text

__all__ = ["app", "main"]

app: typer.Typer = typer.Typer(
    help="Answer questions about JSON-lines logs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Files = Annotated[
    list[str] | None,
    typer.Argument(help="Files, folders, quoted patterns, .gz, or - for standard input.", metavar="[FILES]..."),
]
Since = Annotated[str | None, typer.Option(help="Records from this time on: 2h (ago), or 2026-11-21T14:30:00Z.")]
Until = Annotated[str | None, typer.Option(help="Records before this time.")]
Fields = Annotated[str | None, typer.Option(help="Only these fields, as a,b.c; for csv and json.")]
Style = Annotated[Format | None, typer.Option("--format", help="By default table on a terminal, else json.")]
TableStyle = Annotated[Format, typer.Option("--format")]

# Our own lines of these levels need no decoding: the level stands at the same place in each.
_QUIET = re.compile(rb'\{"ts":"[^"\\]+","level":"(?:debug|info|warning)"')


class _Window:
    """The span of time that was asked for; our own stamps compare as text."""

    def __init__(self, since: str | None, until: str | None) -> None:
        now = datetime.now(UTC)
        self._first = "" if since is None else stamp_text(bound(since, now, "--since"))
        self._end = "~" if until is None else stamp_text(bound(until, now, "--until"))
        self.everything = since is None and until is None

    def holds(self, record: Record) -> bool:
        """Whether the record is inside; one without a time never is, unless no span was asked for."""
        stamp = record.get("ts")
        return self.everything or (isinstance(stamp, str) and self._first <= stamp < self._end)


@app.command()
def summary(
    files: Files = None,
    since: Since = None,
    until: Until = None,
    style: TableStyle = "table",
    top: Annotated[int, typer.Option(min=1, help="Names to show of each kind, in a table.")] = 10,
) -> None:
    """Count records by level, event, logger and run; tell damage and gaps."""
    window = _Window(since, until)
    found = Summary()
    for source in find_sources(files or []):
        found.files += 1
        for block in read_blocks(source, found.damages):
            found.bytes += len(block.data)
            frames = read_frames(block) if window.everything else None
            if frames is None:
                found.add(record for _, record in read_lines(block, found.damages) if window.holds(record))
            else:
                found.add_frames(frames)
    write_summary(found, style, top)
    tell_damages(found.damages)


@app.command()
def errors(
    files: Files = None,
    since: Since = None,
    until: Until = None,
    style: TableStyle = "table",
    fields: Fields = None,
    level: Annotated[str, typer.Option(help="Lowest level to show.")] = "error",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="With tracebacks.")] = False,
) -> None:
    """Show errors; exit code 1 when there are any, so that a build can fail on them."""
    lowest = LEVELS[_level(level)]
    window = _Window(since, until)
    damages = Damages()
    writer = RecordWriter(style, _names(fields), verbose)
    count = 0
    for block in _blocks(files, damages):
        maybe = lines_unlike(block, _QUIET) if lowest >= LEVELS["error"] else (block,)
        for part in maybe:
            for text, record in read_lines(part, damages):
                name = level_name(record.get("level"))
                if name is not None and LEVELS[name] >= lowest and window.holds(record):
                    writer.write(text, record)
                    count += 1
    tell_damages(damages)
    raise typer.Exit(1 if count else 0)


@app.command()
def grep(
    pattern: Annotated[str, typer.Argument(help="Regular expression, looked for in the line as it was written.")],
    files: Files = None,
    since: Since = None,
    until: Until = None,
    style: Style = None,
    fields: Fields = None,
    ignore_case: Annotated[bool, typer.Option("--ignore-case", "-i", help="For letters a to z.")] = False,
    count: Annotated[bool, typer.Option("--count", "-c", help="Print only the number of records.")] = False,
) -> None:
    """Show records whose line matches a pattern."""
    try:
        flags = re.MULTILINE | (re.IGNORECASE if ignore_case else 0)
        compiled = re.compile(pattern.encode("utf-8", "surrogateescape"), flags)
    except re.error as error:
        raise UserError(f"PATTERN is not a regular expression: {error}; got {pattern!r}") from error
    damages = Damages()
    parts = (part for block in _blocks(files, damages) for part in matching_lines(block, compiled))
    _show_matches(parts, damages, _Window(since, until), _writer(style, fields, count))


@app.command(name="filter")
def filter_(
    expression: Annotated[str, typer.Argument(help="Such as: level>=warning and (epoch>3 or subject in [rex, ada])")],
    files: Files = None,
    since: Since = None,
    until: Until = None,
    style: Style = None,
    fields: Fields = None,
    count: Annotated[bool, typer.Option("--count", "-c", help="Print only the number of records.")] = False,
) -> None:
    """Show records for which an expression holds."""
    test = compile_filter(expression)
    damages = Damages()
    window = _Window(since, until)
    writer = _writer(style, fields, count)
    _show_matches(_blocks(files, damages), damages, window, writer, test)


@app.command()
def tail(
    files: Files = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Records to begin with, of each file.")] = 10,
    following: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the files grow; Ctrl-C ends it.")] = False,
    style: Style = None,
    where: Annotated[str | None, typer.Option(help="Show only records for which this filter holds.")] = None,
) -> None:
    """Show the end of files, and follow them."""
    test = compile_filter(where) if where else None
    paths = [Path(source) for source in find_sources(files or [])]
    if any(str(path) == STDIN or path.suffix == ".gz" for path in paths):
        raise UserError("tail needs plain files; standard input and .gz have no end to begin at, so use filter")
    damages = Damages()
    writer = _writer(style, None, False)
    try:
        ends: list[tuple[Path, int]] = []
        for path in paths:
            block, end = last_lines(path, lines)
            ends.append((path, end))
            _tail_block(block, damages, writer, test)
        if following:
            for block in follow(ends):
                _tail_block(block, damages, writer, test)
                sys.stdout.flush()
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read: {error.strerror}") from error
    except KeyboardInterrupt:
        pass
    tell_damages(damages)


def main() -> None:
    """Run the command line and exit."""
    if hasattr(signal, "SIGPIPE"):
        # As other filters do: `conv2d-logs … | head` ends quietly when head has seen enough.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        app()
    except UserError as error:
        sys.stdout.flush()
        sys.stderr.write(f"conv2d-logs: {error}\n")
        raise SystemExit(USAGE) from None
    except Exception as error:
        if os.environ.get("CONV2D_DEBUG"):
            raise
        sys.stderr.write(
            f"conv2d-logs: internal error: {type(error).__name__}: {error}\n"
            "This is a fault of the program. Set CONV2D_DEBUG=1 to see where, and report it.\n"
        )
        raise SystemExit(INTERNAL) from None


class _Counter:
    """A writer that only counts."""

    def write(self, text: bytes, record: Record) -> None:
        """Write nothing."""


def _show_matches(
    blocks: Iterator[Block],
    damages: Damages,
    window: _Window,
    writer: RecordWriter | _Counter,
    test: Test | None = None,
) -> None:
    """Write matching records; exit with 1 when there are none."""
    found = 0
    for block in blocks:
        for text, record in read_lines(block, damages):
            if window.holds(record) and (test is None or test(record)):
                writer.write(text, record)
                found += 1
    if isinstance(writer, _Counter):
        sys.stdout.write(f"{found}\n")
    tell_damages(damages)
    raise typer.Exit(0 if found else 1)


def _tail_block(block: Block, damages: Damages, writer: RecordWriter | _Counter, test: Test | None) -> None:
    for text, record in read_lines(block, damages):
        if test is None or test(record):
            writer.write(text, record)


def _blocks(files: list[str] | None, damages: Damages) -> Iterator[Block]:
    for source in find_sources(files or []):
        yield from read_blocks(source, damages)


def _writer(style: Format | None, fields: str | None, count: bool) -> RecordWriter | _Counter:
    if count:
        return _Counter()
    return RecordWriter(style or ("table" if sys.stdout.isatty() else "json"), _names(fields))


def _names(fields: str | None) -> list[str]:
    return [name.strip() for name in (fields or "").split(",") if name.strip()]


def _level(text: str) -> str:
    try:
        return check_level(int(text) if text.isdigit() else text, "--level")
    except ValueError as error:
        raise UserError(str(error)) from None


if __name__ == "__main__":
    main()
