"""Ask a question of log files: which records, or how many of what."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from conv2d.logging._filter import Test
from conv2d.logging._frames import FrameReader
from conv2d.logging._index import Sidecar
from conv2d.logging._read import decode_line, read_lines
from conv2d.logging._record import Record
from conv2d.logging._search import Search, every_line
from conv2d.logging._sources import Damages, read_blocks
from conv2d.logging._summary import Summary

# An index of more lines than this would be no shorter way.
_MOST_SPOTS = 100_000


@dataclass(frozen=True)
class Query:
    """Which records are wanted.

    Parameters
    ----------
    key
        What names the query in an index.
    search
        Finds the lines that may hold them, in the bytes.
    test
        Decides by the record; None when the search has decided.
    """

    key: str
    search: Search = every_line
    test: Test | None = None


@dataclass
class _Spots:
    """Where the records stand, byte and length, and the damaged lines on the way."""

    lines: list[tuple[int, int]]
    damages: Damages


def find(source: str, query: Query, damages: Damages, indexed: bool = False) -> Iterator[tuple[bytes, Record]]:
    """Yield text and record of each line of a file that `query` asks for."""
    if not indexed:
        for block in read_blocks(source, damages):
            for _, text, record in read_lines(block, damages, query.search):
                if query.test is None or query.test(record):
                    yield text, record
        return
    sidecar = Sidecar(source, query.key)
    spots, end, line = sidecar.load(_Spots) or (_Spots([], Damages()), 0, 1)
    if spots.lines:
        with Path(source).open("rb") as stream:
            for offset, length in spots.lines:
                stream.seek(offset)
                text = stream.read(length)
                yield text, decode_line(text)
    damages.merge(spots.damages)
    begun = end
    fresh = Damages()
    for block in read_blocks(source, fresh, end, line):
        # The last line may still be growing: it is shown, not remembered.
        whole = block.data.endswith(b"\n")
        for offset, text, record in read_lines(block, fresh if whole else damages, query.search):
            if query.test is None or query.test(record):
                if whole and len(spots.lines) <= _MOST_SPOTS:
                    spots.lines.append((offset, len(text)))
                yield text, record
        if whole:
            end, line = block.offset + len(block.data), block.line + block.count
    damages.merge(fresh)
    spots.damages.merge(fresh)
    if end > begun and len(spots.lines) <= _MOST_SPOTS:
        sidecar.store(spots, end, line)


def summarise(source: str, indexed: bool = False, keeps: Callable[[object], bool] | None = None) -> Summary:
    """Return the summary of a file, or of its records whose time `keeps` accepts; only the whole can be indexed."""
    indexed = indexed and keeps is None
    sidecar = Sidecar(source, "summary")
    found, end, line = (sidecar.load(Summary) if indexed else None) or (Summary(files=1), 0, 1)
    begun = end
    reader = FrameReader()
    for block in read_blocks(source, found.damages, end, line):
        if indexed and not block.data.endswith(b"\n"):
            # The last line may still be growing: it is counted, not remembered.
            sidecar.store(found, end, line)
            indexed = False
        found.bytes += len(block.data)
        read = reader.read(block, found.damages)
        found.add(read if keeps is None else read.keep(keeps))
        end, line = block.offset + len(block.data), block.line + block.count
    if indexed and end > begun:
        sidecar.store(found, end, line)
    return found
