"""What the commands have in common: options, the span of time, and how results are written."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer

from conv2d.logging._errors import UserError
from conv2d.logging._levels import check_level
from conv2d.logging._query import Query, find
from conv2d.logging._record import Record
from conv2d.logging._show import Format, RecordWriter
from conv2d.logging._sources import Damages, find_sources
from conv2d.logging._when import bound, stamp_text

Files = Annotated[
    list[str] | None,
    typer.Argument(help="Files, folders, quoted patterns, .gz, .zst, or - for standard input.", metavar="[FILES]..."),
]
Since = Annotated[str | None, typer.Option(help="Records from this time on: 2h (ago), or 2026-11-21T14:30:00Z.")]
Until = Annotated[str | None, typer.Option(help="Records before this time.")]
Fields = Annotated[str | None, typer.Option(help="Only these fields, as a,b.c; for csv and json.")]
Style = Annotated[Format | None, typer.Option("--format", help="By default table on a terminal, else json.")]
TableStyle = Annotated[Format, typer.Option("--format")]
Indexed = Annotated[
    bool, typer.Option("--index", help="Remember the answer beside each plain file (.idx), and read only what is new.")
]


class Window:
    """The span of time that was asked for; our own stamps compare as text."""

    def __init__(self, since: str | None, until: str | None) -> None:
        now = datetime.now(UTC)
        self._first = "" if since is None else stamp_text(bound(since, now, "--since"))
        self._end = "~" if until is None else stamp_text(bound(until, now, "--until"))
        self.everything = since is None and until is None

    def holds(self, record: Record) -> bool:
        """Whether the record is inside; one without a time never is, unless no span was asked for."""
        return self.everything or self.holds_stamp(record.get("ts"))

    def holds_stamp(self, stamp: object) -> bool:
        """Whether a time is inside."""
        return self.everything or (isinstance(stamp, str) and self._first <= stamp < self._end)


def found_in(
    files: list[str] | None, query: Query, window: Window, damages: Damages, indexed: bool = False
) -> Iterator[tuple[bytes, Record]]:
    """Yield text and record of what a query finds in all files, inside the window."""
    for source in find_sources(files or []):
        for text, record in find(source, query, damages, indexed):
            if window.holds(record):
                yield text, record


def writer_for(style: Format | None, fields: str | None) -> RecordWriter:
    """Return the writer of records."""
    return RecordWriter(style or ("table" if sys.stdout.isatty() else "json"), names(fields))


def names(fields: str | None) -> list[str]:
    """Return what stands between commas."""
    return [name.strip() for name in (fields or "").split(",") if name.strip()]


def level_of(text: str) -> str:
    """Return the level that a user named."""
    try:
        return check_level(int(text) if text.isdigit() else text, "--level")
    except ValueError as error:
        raise UserError(str(error)) from None
