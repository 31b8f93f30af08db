"""A sidecar file beside a log: what a query found and up to which byte, so that asking again reads only what is new.

It holds the places of lines, not their text. It is trusted only while the log begins, and ends at the byte up to which
it was read, as it did then; else the query is asked anew.
"""

import hashlib
import os
import sys
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from conv2d.logging._sources import COMPRESSED, STDIN

T = TypeVar("T")

VERSION = 1
MOST_ENTRIES = 32
_EDGE = 4096


class Entry(msgspec.Struct):
    """An answer, and the state of the log for which it holds."""

    end: int
    line: int
    edges: str
    modified: int
    answer: msgspec.Raw


class _File(msgspec.Struct):
    version: int
    entries: dict[str, Entry]


class Sidecar:
    """The remembered answer of one query to one log.

    Parameters
    ----------
    source
        The log. Standard input and compressed files have no sidecar: there is no way into their middle.
    key
        The query.
    """

    def __init__(self, source: str, key: str) -> None:
        self._source = Path(source)
        self._path = Path(f"{source}.idx")
        self._key = key
        self._usable = source != STDIN and not source.endswith(COMPRESSED)

    def load(self, kind: type[T]) -> tuple[T, int, int] | None:
        """Return the answer, and the byte and line up to which it holds; None when there is none."""
        entry = self._entries().get(self._key) if self._usable else None
        if entry is None:
            return None
        try:
            status = self._source.stat()
            edited = status.st_size == entry.end and status.st_mtime_ns != entry.modified
            if status.st_size < entry.end or edited or _edges(self._source, entry.end) != entry.edges:
                return None
            return msgspec.json.decode(entry.answer, type=kind), entry.end, entry.line
        except (OSError, msgspec.MsgspecError):
            return None

    def store(self, answer: Any, end: int, line: int) -> None:
        """Remember an answer that holds up to byte `end`, where line `line` begins."""
        if not self._usable:
            return
        try:
            entries = self._entries()
            entries.pop(self._key, None)
            modified = self._source.stat().st_mtime_ns
            raw = msgspec.Raw(msgspec.json.encode(answer))
            entries[self._key] = Entry(end, line, _edges(self._source, end), modified, raw)
            kept = dict(list(entries.items())[-MOST_ENTRIES:])
            aside = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
            aside.write_bytes(msgspec.json.encode(_File(VERSION, kept)))
            aside.replace(self._path)
        except OSError as error:
            sys.stderr.write(f"conv2d-logs: the index {self._path} cannot be written: {error.strerror}\n")

    def _entries(self) -> dict[str, Entry]:
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=_File)
        except (OSError, msgspec.MsgspecError):
            return {}
        return found.entries if found.version == VERSION else {}


def _edges(path: Path, end: int) -> str:
    """Return a digest of the beginning of a file, and of what stands before byte `end`."""
    with path.open("rb") as stream:
        first = stream.read(min(_EDGE, end))
        stream.seek(max(0, end - _EDGE))
        return hashlib.sha256(first + stream.read(min(_EDGE, end))).hexdigest()
