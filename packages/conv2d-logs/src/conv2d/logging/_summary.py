"""What is in a log: counts by level, event and run, the time it spans, damage, and gaps in the numbering."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from conv2d.logging._frames import Frame, Frames
from conv2d.logging._levels import level_name
from conv2d.logging._numbering import Numbering, Place
from conv2d.logging._record import Record
from conv2d.logging._sources import Block, Damages
from conv2d.logging._when import instant

_MOST_NAMES = 10_000
_OTHER = "(other)"
_ERRORS = ("error", "critical")
# Longer names are cut: a name may be a whole line.
_LONGEST_NAME = 200


@dataclass
class Run:
    """One run: its number of records, the time they span, and its errors."""

    records: int = 0
    first: str = ""
    last: str = ""
    errors: int = 0

    @property
    def seconds(self) -> float | None:
        """Time from the first record to the last, None when they carry none."""
        first, last = instant(self.first), instant(self.last)
        return None if first is None or last is None else (last - first) / 1e9


@dataclass
class Summary:
    """Counts over a stream of records; its memory is bounded by the number of distinct names."""

    files: int = 0
    records: int = 0
    bytes: int = 0
    damages: Damages = field(default_factory=Damages)
    levels: dict[str, int] = field(default_factory=dict[str, int])
    events: dict[str, int] = field(default_factory=dict[str, int])
    loggers: dict[str, int] = field(default_factory=dict[str, int])
    runs: dict[str, Run] = field(default_factory=dict[str, Run])
    numbering: Numbering = field(default_factory=Numbering)

    @property
    def missing(self) -> int:
        """Records that a process numbered and that are not here, of all between its first and last that are."""
        return sum(gap.last - gap.first + 1 for gap in self.numbering.gaps())

    def add(self, found: Frames) -> None:
        """Count the records of a block."""
        if found.frames:
            self._add_frames(found)
        for index, record in found.others:
            self._add_record(found.block, index, record)

    def merge(self, other: "Summary") -> None:
        """Count what another has counted."""
        self.files += other.files
        self.records += other.records
        self.bytes += other.bytes
        self.damages.merge(other.damages)
        _count(self.levels, other.levels)
        _count(self.events, other.events)
        _count(self.loggers, other.loggers)
        for name, run in other.runs.items():
            self._add_to_run(name, run.records, run.errors, [one for one in (run.first, run.last) if one])
        self.numbering.merge(other.numbering)

    def _add_record(self, block: Block, index: int, record: Record) -> None:
        level = level_name(record.get("level")) or "-"
        self.records += 1
        _count(self.levels, {level: 1})
        _count(self.events, {_name(record.get("event")): 1})
        _count(self.loggers, {_name(record.get("logger")): 1})
        stamp, seq = record.get("ts"), record.get("seq")
        stamps = [stamp] if isinstance(stamp, str) else []
        run = self._add_to_run(record.get("run_id"), 1, level in _ERRORS, stamps)
        if type(seq) is int:
            host, pid = _name(record.get("host")), _name(record.get("pid"))
            self.numbering.add(run, host, pid, [seq], lambda _: Place(block.source, *block.place(index)))

    def _add_frames(self, found: Frames) -> None:
        # A list for each field, and then C's speed: half the time of one loop over the frames.
        frames = found.frames
        levels = Counter([frame.level for frame in frames])
        self.records += len(frames)
        _count(self.levels, levels)
        _count(self.events, Counter([frame.event for frame in frames]))
        loggers = {frames[0].logger: len(frames)} if found.one_writer else Counter([frame.logger for frame in frames])
        _count(self.loggers, loggers)
        for own, places in _by_writer(found):
            errors = sum(levels[level] for level in _ERRORS) if own is frames else _errors(own)
            stamps = [frame.ts for frame in own]
            run = self._add_to_run(own[0].run_id, len(own), errors, stamps)

            def place(index: int, places: Sequence[int] = places) -> Place:
                return Place(found.block.source, *found.block.place(places[index]))

            self.numbering.add(run, _name(own[0].host), str(own[0].pid), [frame.seq for frame in own], place)

    def _add_to_run(self, run_id: object, records: int, errors: int, stamps: Sequence[str]) -> str:
        name = _name(run_id or None)
        if name not in self.runs and len(self.runs) >= _MOST_NAMES:
            name = _OTHER
        run = self.runs.setdefault(name, Run())
        run.records += records
        run.errors += errors
        if stamps:
            # In order nearly always, and then found so faster than the least and the greatest.
            ordered = sorted(stamps)
            run.first = min(run.first or ordered[0], ordered[0])
            run.last = max(run.last, ordered[-1])
        return name

    def as_dict(self) -> dict[str, object]:
        """Return everything as plain data."""
        return {
            "files": self.files,
            "bytes": self.bytes,
            "records": self.records,
            "damaged": self.damages.count,
            "missing": self.missing,
            "gaps": [dataclasses.asdict(gap) for gap in itertools.islice(self.numbering.gaps(), 100)],
            "levels": dict(self.levels),
            "events": most_common(self.events),
            "loggers": most_common(self.loggers),
            "runs": {
                name: {"records": run.records, "errors": run.errors, "first": run.first, "last": run.last}
                | {"seconds": run.seconds}
                for name, run in self.runs.items()
            },
        }


def _by_writer(found: Frames) -> list[tuple[Sequence[Frame], Sequence[int]]]:
    """Part the frames of a block by process; there is one nearly always."""
    frames = found.frames
    if found.one_writer or len({(one.run_id, one.host, one.pid) for one in frames}) == 1:
        return [(frames, found.indices)]
    writers: dict[tuple[str, str, int], tuple[list[Frame], list[int]]] = {}
    for frame, index in zip(frames, found.indices, strict=True):
        own, places = writers.setdefault((frame.run_id, frame.host, frame.pid), ([], []))
        own.append(frame)
        places.append(index)
    return list(writers.values())


def _errors(frames: Sequence[Frame]) -> int:
    return sum(frame.level in _ERRORS for frame in frames)


def _name(value: object) -> str:
    text = value if isinstance(value, str) else "-" if value is None else str(value)
    return text if len(text) <= _LONGEST_NAME else text[:_LONGEST_NAME] + "…"


def most_common(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts with the greatest first."""
    return dict(sorted(counts.items(), key=lambda one: -one[1]))


def _count(counts: dict[str, int], found: Mapping[str, int]) -> None:
    for value, times in found.items():
        name = _name(value)
        # Texts with numbers inside can be as many as the records: past the limit they share one line.
        name = name if name in counts or len(counts) < _MOST_NAMES else _OTHER
        counts[name] = counts.get(name, 0) + times
