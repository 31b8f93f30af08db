"""The command ``conv2d-logs``: results on standard output, remarks on standard error.

Exit codes are grep's: 0 found, 1 found nothing (``errors``: found some; ``compare``: a regression; ``schema check``: a
record against the schema), 2 wrong use or unreadable file, 5 a missing library; 70 for a fault of this program.
"""

import os
import re
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from conv2d.logging._cli_export import app as export_app
from conv2d.logging._cli_export import schema_app, sql
from conv2d.logging._cli_runs import compare, metrics
from conv2d.logging._errors import INTERNAL, MISSING_TOOL, USAGE, MissingToolError, UserError
from conv2d.logging._filter import Test, compile_filter
from conv2d.logging._levels import LEVELS, level_name
from conv2d.logging._options import (
    Fields,
    Files,
    Indexed,
    Since,
    Style,
    TableStyle,
    Until,
    Window,
    found_in,
    level_of,
    names,
    writer_for,
)
from conv2d.logging._query import Query, summarise
from conv2d.logging._read import read_lines
from conv2d.logging._search import every_line, lines_matching, lines_with, loud_lines
from conv2d.logging._show import RecordWriter, tell_damages, tell_gaps, write_summary
from conv2d.logging._sources import COMPRESSED, STDIN, Block, Damages, find_sources
from conv2d.logging._summary import Summary
from conv2d.logging._tail import follow, last_lines

__all__ = ["app", "main"]

app: typer.Typer = typer.Typer(
    help="Answer questions about JSON-lines logs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def summary(
    files: Files = None,
    since: Since = None,
    until: Until = None,
    style: TableStyle = "table",
    top: Annotated[int, typer.Option(min=1, help="Names to show of each kind, in a table.")] = 10,
    index: Indexed = False,
) -> None:
    """Count records by level, event, logger and run; tell damage and gaps."""
    window = Window(since, until)
    keeps = None if window.everything else window.holds_stamp
    found = Summary()
    for source in find_sources(files or []):
        found.merge(summarise(source, index, keeps))
    write_summary(found, style, top)
    tell_damages(found.damages)
    tell_gaps(found.numbering)


@app.command()
def errors(
    files: Files = None,
    since: Since = None,
    until: Until = None,
    style: TableStyle = "table",
    fields: Fields = None,
    level: Annotated[str, typer.Option(help="Lowest level to show.")] = "error",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="With tracebacks.")] = False,
    index: Indexed = False,
) -> None:
    """Show errors; exit code 1 when there are any, so that a build can fail on them."""
    lowest = LEVELS[level_of(level)]
    search = loud_lines if lowest >= LEVELS["error"] else every_line
    query = Query(
        f"errors {lowest}",
        search,
        lambda record: (name := level_name(record.get("level"))) is not None and LEVELS[name] >= lowest,
    )
    damages = Damages()
    writer = RecordWriter(style, names(fields), verbose)
    count = 0
    for text, record in found_in(files, query, Window(since, until), damages, index):
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
    index: Indexed = False,
) -> None:
    """Show records whose line matches a pattern."""
    try:
        flags = re.MULTILINE | (re.IGNORECASE if ignore_case else 0)
        compiled = re.compile(pattern.encode("utf-8", "surrogateescape"), flags)
    except re.error as error:
        raise UserError(f"PATTERN is not a regular expression: {error}; got {pattern!r}") from error
    query = Query(f"grep {flags} {pattern}", lines_matching(compiled))
    _show_matches(files, query, Window(since, until), None if count else writer_for(style, fields), index)


@app.command(name="filter")
def filter_(
    expression: Annotated[str, typer.Argument(help="Such as: level>=warning and (epoch>3 or subject in [rex, ada])")],
    files: Files = None,
    since: Since = None,
    until: Until = None,
    style: Style = None,
    fields: Fields = None,
    count: Annotated[bool, typer.Option("--count", "-c", help="Print only the number of records.")] = False,
    index: Indexed = False,
) -> None:
    """Show records for which an expression holds."""
    found = compile_filter(expression)
    query = Query(f"filter {expression}", lines_with(found.needle) if found.needle else every_line, found.test)
    _show_matches(files, query, Window(since, until), None if count else writer_for(style, fields), index)


@app.command()
def tail(
    files: Files = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Records to begin with, of each file.")] = 10,
    following: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the files grow; Ctrl-C ends it.")] = False,
    style: Style = None,
    where: Annotated[str | None, typer.Option(help="Show only records for which this filter holds.")] = None,
) -> None:
    """Show the end of files, and follow them."""
    test = compile_filter(where).test if where else None
    paths = [Path(source) for source in find_sources(files or [])]
    if any(str(path) == STDIN or path.suffix in COMPRESSED for path in paths):
        raise UserError(
            "tail needs plain files; standard input and compressed files have no end to begin at, so use filter"
        )
    damages = Damages()
    writer = writer_for(style, None)
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


app.command()(metrics)
app.command()(compare)
app.command()(sql)
app.add_typer(export_app, name="export")
app.add_typer(schema_app, name="schema")


def main() -> None:
    """Run the command line and exit."""
    if hasattr(signal, "SIGPIPE"):
        # As other filters do: `conv2d-logs … | head` ends quietly when head has seen enough.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        app()
    except MissingToolError as error:
        sys.stderr.write(f"conv2d-logs: {error}\n")
        raise SystemExit(MISSING_TOOL) from None
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


def _show_matches(
    files: list[str] | None, query: Query, window: Window, writer: RecordWriter | None, indexed: bool
) -> None:
    """Write matching records, or without a writer their number; exit with 1 when there are none."""
    damages = Damages()
    found = 0
    for text, record in found_in(files, query, window, damages, indexed):
        if writer is not None:
            writer.write(text, record)
        found += 1
    if writer is None:
        sys.stdout.write(f"{found}\n")
    tell_damages(damages)
    raise typer.Exit(0 if found else 1)


def _tail_block(block: Block, damages: Damages, writer: RecordWriter, test: Test | None) -> None:
    for _, text, record in read_lines(block, damages):
        if test is None or test(record):
            writer.write(text, record)


if __name__ == "__main__":
    main()
