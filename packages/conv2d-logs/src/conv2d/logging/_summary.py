"""What is in a log: counts by level, event and run, the time it spans, damage, and gaps in the numbering."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from conv2d.logging._levels import level_name
from conv2d.logging._read import Damages, Line
from conv2d.logging._record import Record
from conv2d.logging._when import instant

_MOST_NAMES = 10_000
_OTHER = "(other)"
_ERRORS = ("error", "critical")


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
    levels: Counter[str] = field(default_factory=Counter[str])
    events: Counter[str] = field(default_factory=Counter[str])
    loggers: Counter[str] = field(default_factory=Counter[str])
    runs: dict[str, Run] = field(default_factory=dict[str, Run])
    _numbering: dict[tuple[str, object, object], list[int]] = field(
        default_factory=dict[tuple[str, object, object], list[int]]
    )

    @property
    def missing(self) -> int:
        """Records that a process numbered and that are not here, of all between its first and last that are."""
        return sum(max(0, last - first + 1 - count) for first, last, count in self._numbering.values())

    def add(self, records: Iterable[Record]) -> None:
        """Count records of any producer."""
        for record in records:
            level = level_name(record.get("level")) or "-"
            self.records += 1
            self.levels[level] += 1
            _count(self.events, record.get("event"), 1)
            _count(self.loggers, record.get("logger"), 1)
            stamp, seq = record.get("ts"), record.get("seq")
            stamps = [stamp] if isinstance(stamp, str) else []
            name = self._add_to_run(record.get("run_id"), 1, level in _ERRORS, stamps)
            if type(seq) is int:
                self._number((name, record.get("host"), record.get("pid")), [seq])

    def add_frames(self, lines: Sequence[Line]) -> None:
        """Count our own records, a block at a time."""
        self.records += len(lines)
        self.levels.update([line.level for line in lines])
        for counts, names in (
            (self.events, [line.event for line in lines]),
            (self.loggers, [line.logger for line in lines]),
        ):
            for name, count in Counter(names).items():
                _count(counts, name, count)
        writers: dict[tuple[str, str, int], list[Line]] = {}
        for line in lines:
            writers.setdefault((line.run_id, line.host, line.pid), []).append(line)
        for (run_id, host, pid), own in writers.items():
            errors = sum([line.level in _ERRORS for line in own])
            name = self._add_to_run(run_id, len(own), errors, [line.ts for line in own])
            self._number((name, host, pid), [line.seq for line in own])

    def _add_to_run(self, run_id: object, records: int, errors: int, stamps: Sequence[str]) -> str:
        name = str(run_id or "-")
        if name not in self.runs and len(self.runs) >= _MOST_NAMES:
            name = _OTHER
        run = self.runs.setdefault(name, Run())
        run.records += records
        run.errors += errors
        if stamps:
            run.first = min(run.first or stamps[0], min(stamps))
            run.last = max(run.last, max(stamps))
        return name

    def _number(self, key: tuple[str, object, object], seqs: Sequence[int]) -> None:
        found = self._numbering.get(key)
        if found is not None:
            found[0], found[1], found[2] = min(found[0], *seqs), max(found[1], *seqs), found[2] + len(seqs)
        elif len(self._numbering) < _MOST_NAMES:
            self._numbering[key] = [min(seqs), max(seqs), len(seqs)]

    def as_dict(self) -> dict[str, object]:
        """Return everything as plain data."""
        return {
            "files": self.files,
            "bytes": self.bytes,
            "records": self.records,
            "damaged": self.damages.count,
            "missing": self.missing,
            "levels": dict(self.levels),
            "events": dict(self.events.most_common()),
            "loggers": dict(self.loggers.most_common()),
            "runs": {
                name: {"records": run.records, "errors": run.errors, "first": run.first, "last": run.last}
                | {"seconds": run.seconds}
                for name, run in self.runs.items()
            },
        }


def _count(counts: Counter[str], value: object, times: int) -> None:
    name = value if isinstance(value, str) else "-" if value is None else str(value)
    # Texts with numbers inside can be as many as the records: past the limit they share one line.
    counts[name if name in counts or len(counts) < _MOST_NAMES else _OTHER] += times
