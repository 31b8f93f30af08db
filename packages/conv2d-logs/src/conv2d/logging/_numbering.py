"""Gaps in the numbers that each process gives its records: what is missing, and where it should stand."""

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

MOST_SPANS = 10_000


@dataclass(frozen=True)
class Place:
    """A line: its file, its number there, and its byte."""

    source: str
    line: int
    offset: int


@dataclass(frozen=True)
class Gap:
    """Numbers `first` to `last` of a process are not there; the record after them is at `place`."""

    run_id: str
    host: str
    pid: str
    first: int
    last: int
    place: Place

    def __str__(self) -> str:
        count = self.last - self.first + 1
        numbers = f"record {self.first} is" if count == 1 else f"{count:,} records, {self.first} to {self.last}, are"
        place = self.place
        return (
            f"{place.source}:{place.line}: byte {place.offset}: {numbers} missing of run {self.run_id}, pid {self.pid}"
        )


@dataclass
class Span:
    """Consecutive numbers, as they stand in a file; the first is at `place`."""

    first: int
    last: int
    place: Place


@dataclass
class Writer:
    """One process, and the numbers of its records."""

    run_id: str
    host: str
    pid: str
    spans: list[Span] = field(default_factory=list[Span])


@dataclass
class Numbering:
    """The numbers of all processes; files may come in any order.

    Memory is bounded: past `MOST_SPANS` spans, further ones are not followed, and `complete` is false.
    """

    writers: list[Writer] = field(default_factory=list[Writer])
    spans: int = 0
    complete: bool = True

    def __post_init__(self) -> None:
        self._found = {(one.run_id, one.host, one.pid): one for one in self.writers}

    def add(self, run_id: str, host: str, pid: str, numbers: list[int], place: Callable[[int], Place]) -> None:
        """Add numbers in the order of their lines; `place` tells where the one at an index stands."""
        writer = self._found.get((run_id, host, pid)) or self._new_writer(run_id, host, pid)
        if writer is None:
            return
        spans, start, count = writer.spans, 0, len(numbers)
        if numbers[-1] - numbers[0] + 1 == count and numbers == list(range(numbers[0], numbers[0] + count)):
            ends = (count,)
        else:
            steps = enumerate(map(operator.sub, numbers[1:], numbers), start=1)
            ends = [*[index for index, step in steps if step != 1], count]
        for end in ends:
            first, last = numbers[start], numbers[end - 1]
            if spans and first == spans[-1].last + 1:
                spans[-1].last = last
            elif self._has_room():
                spans.append(Span(first, last, place(start)))
            start = end

    def merge(self, other: "Numbering") -> None:
        """Add another's numbers."""
        self.complete = self.complete and other.complete
        for one in other.writers:
            writer = self._found.get((one.run_id, one.host, one.pid)) or self._new_writer(one.run_id, one.host, one.pid)
            if writer is not None:
                writer.spans += [Span(span.first, span.last, span.place) for span in one.spans if self._has_room()]

    def gaps(self) -> Iterator[Gap]:
        """Yield what is missing between the first and the last number of each process."""
        for writer in self.writers:
            seen: int | None = None
            for span in sorted(writer.spans, key=lambda one: one.first):
                if seen is not None and span.first > seen + 1:
                    yield Gap(writer.run_id, writer.host, writer.pid, seen + 1, span.first - 1, span.place)
                seen = span.last if seen is None else max(seen, span.last)

    def _new_writer(self, run_id: str, host: str, pid: str) -> Writer | None:
        if len(self.writers) >= MOST_SPANS:
            self.complete = False
            return None
        writer = self._found[run_id, host, pid] = Writer(run_id, host, pid)
        self.writers.append(writer)
        return writer

    def _has_room(self) -> bool:
        self.spans += 1
        self.complete = self.complete and self.spans <= MOST_SPANS
        return self.spans <= MOST_SPANS
