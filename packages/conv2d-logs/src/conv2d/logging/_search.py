"""Find the lines that matter in a block of bytes, before any of it is decoded."""

import re
from collections.abc import Callable, Iterator

from conv2d.logging._sources import Block

Search = Callable[[Block], Iterator[Block]]

# Our own lines of these levels need no decoding: the level stands at the same place in each. One match takes a whole
# run of them, without going back: "++" gives nothing back, "*+" neither.
_QUIET_LINES = re.compile(rb'(?:\{"ts":"[^"\\\n]++","level":"(?:debug|info|warning)"[^\n]*+\n)*+')


def every_line(block: Block) -> Iterator[Block]:
    """Yield the block itself."""
    yield block


def loud_lines(block: Block) -> Iterator[Block]:
    """Yield the lines, each as a block, that are not our own of a level below error."""
    data = block.data
    skip = _QUIET_LINES.match
    lines = _Lines(block)
    place = 0
    while (found := skip(data, place)) and (start := found.end()) < len(data):
        line = lines.around(start)
        place = start + len(line.data) + 1
        yield line


def lines_with(needle: bytes) -> Search:
    """Return the search for lines that hold `needle`."""

    def search(block: Block) -> Iterator[Block]:
        data, place = block.data, 0
        lines = _Lines(block)
        while (found := data.find(needle, place)) >= 0:
            line = lines.around(found)
            yield line
            place = line.offset - block.offset + len(line.data) + 1

    return search


def lines_matching(pattern: re.Pattern[bytes]) -> Search:
    """Return the search for lines in which `pattern` occurs.

    `pattern` is compiled with ``re.MULTILINE``, so that ``^`` and ``$`` are a line's. A pattern without special
    characters is looked for as it is, which is several times faster.
    """
    if (
        pattern.pattern
        and not pattern.flags & re.IGNORECASE
        and re.fullmatch(rb"[^\n\\^$.|?*+()\[\]{}]+", pattern.pattern)
    ):
        return lines_with(pattern.pattern)

    def search(block: Block) -> Iterator[Block]:
        data, place = block.data, 0
        lines = _Lines(block)
        while place < len(data) and (found := pattern.search(data, place)):
            line = lines.around(found.start())
            start = line.offset - block.offset
            # What was found may run over the line's end.
            if pattern.search(data, start, start + len(line.data)):
                yield line
            place = start + len(line.data) + 1

    return search


class _Lines:
    """Cut lines out of a block, in ascending order, counting them on the way."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self._line = block.line
        self._counted = 0

    def around(self, place: int) -> Block:
        data = self._block.data
        start = data.rfind(b"\n", 0, place) + 1
        end = data.find(b"\n", place)
        self._line += data.count(b"\n", self._counted, start)
        self._counted = start
        return Block(
            self._block.source, data[start : end if end >= 0 else None], self._line, self._block.offset + start
        )
