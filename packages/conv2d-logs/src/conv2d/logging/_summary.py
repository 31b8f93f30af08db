"""What is in a log: counts by level, event and run, the time it spans, damage, and gaps in the numbering."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from conv2d.logging._levels import level_name
from conv2d.logging._read import Damages
from conv2d.logging._record import Record
from conv2d.logging._when import instant

_MOST_NAMES = 10_000


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
        """Count records."""
        for record in records:
            self.records += 1
            level = level_name(record.get("level")) or "-"
            self.levels[level] += 1
            _count(self.events, record.get("event"))
            _count(self.loggers, record.get("logger"))
            run_id = str(record.get("run_id") or "-")
            run = self.runs.get(run_id)
            if run is None:
                if len(self.runs) >= _MOST_NAMES:
                    run_id = "(other)"
                run = self.runs.setdefault(run_id, Run())
            run.records += 1
            run.errors += level in ("error", "critical")
            stamp = record.get("ts")
            if isinstance(stamp, str):
                run.first = min(run.first, stamp) if run.first else stamp
                run.last = max(run.last, stamp)
            self._number(run_id, record)

    def _number(self, run_id: str, record: Record) -> None:
        seq = record.get("seq")
        if type(seq) is not int:
            return
        key = (run_id, record.get("host"), record.get("pid"))
        found = self._numbering.get(key)
        if found is not None:
            found[0], found[1], found[2] = min(found[0], seq), max(found[1], seq), found[2] + 1
        elif len(self._numbering) < _MOST_NAMES:
            self._numbering[key] = [seq, seq, 1]

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


def _count(counts: Counter[str], value: object) -> None:
    name = value if isinstance(value, str) else "-" if value is None else str(value)
    # Texts with numbers inside can be as many as the records: past the limit they share one line.
    if name in counts or len(counts) < _MOST_NAMES:
        counts[name] += 1
    else:
        counts["(other)"] += 1
