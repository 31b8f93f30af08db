"""Find the lines that matter in a block of bytes, before any of it is decoded."""

import re
from collections.abc import Callable, Iterator

Search = Callable[[bytes], Iterator[tuple[int, bytes]]]
"""Yields place and text of the lines in a block that are wanted, or may be, in their order."""

# Our own lines of these levels need no decoding: the level stands at the same place in each. One match takes a whole
# run of them, without going back: "++" gives nothing back, "*+" neither.
_QUIET_LINES = re.compile(rb'(?:\{"ts":"[^"\\\n]++","level":"(?:debug|info|warning)"[^\n]*+(?<=\})\n)*+')
# The sign that a search looks for comes first: several times faster than "}" before it.
_FAULTY_SEAMS = re.compile(rb"\n(?:(?<!\}\n)|(?!\{))")
_DAY = len('{"ts":"2026-11-21T')


def every_line(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield all lines."""
    place = 0
    for text in data.split(b"\n"):
        yield place, text
        place += len(text) + 1


def loud_lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not our own, from "{" to "}", of a level below error."""
    skip = _QUIET_LINES.match
    place = 0
    while (found := skip(data, place)) and (start := found.end()) < len(data):
        yield start, (text := data[start : _end(data, start)])
        place = start + len(text) + 1


def lines_with(needle: bytes) -> Search:
    """Return the search for lines that hold `needle`."""

    def search(data: bytes) -> Iterator[tuple[int, bytes]]:
        place = 0
        while (found := data.find(needle, place)) >= 0:
            start, end = data.rfind(b"\n", place, found) + 1 or place, _end(data, found)
            yield start, data[start:end]
            place = end + 1

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

    def search(data: bytes) -> Iterator[tuple[int, bytes]]:
        place = 0
        while place < len(data) and (found := pattern.search(data, place)):
            start = data.rfind(b"\n", place, found.start()) + 1 or place
            end = _end(data, start)
            # What was found may run over the line's end.
            if pattern.search(data, start, end):
                yield start, data[start:end]
            place = end + 1

    return search


def are_objects(data: bytes, count: int) -> bool:
    """Whether each of so many lines begins and ends as an object does."""
    if not (data.startswith(b"{") and data.endswith((b"}\n", b"}"))):
        return False
    # All lines of a day begin alike, and a longer text is counted faster.
    return (data.count(b"}\n" + data[:_DAY]) or data.count(b"}\n{")) == count - 1


def not_objects(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that do not begin and end as an object does."""
    starts = set[int]() if data.startswith(b"{") else {0}
    for found in _FAULTY_SEAMS.finditer(data):
        place = found.start()
        if data[place - 1 : place] != b"}":
            starts.add(data.rfind(b"\n", 0, place) + 1)
        if data[place + 1 : place + 2] != b"{":
            starts.add(place + 1)
    if not data.endswith((b"}", b"\n")):
        starts.add(data.rfind(b"\n") + 1)
    for start in sorted(starts):
        if start < len(data):
            yield start, data[start : _end(data, start)]


def _end(data: bytes, place: int) -> int:
    end = data.find(b"\n", place)
    return end if end >= 0 else len(data)
