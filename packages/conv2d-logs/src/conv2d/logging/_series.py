"""Numbers in records: series of a field, their statistics, and curves of bounded size."""

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from conv2d.logging._filter import look_up
from conv2d.logging._record import Record

# Numbers that say which record it is, not what was measured.
_FRAME = frozenset({"pid", "seq"})
_TAGGED = {"float:nan": math.nan, "float:inf": math.inf, "float:-inf": -math.inf}
_DEEPEST = 5
# A whole number may be beyond all floats.
_GREATEST = sys.float_info.max
MOST_POINTS = 4000


def number(value: object) -> int | float | None:
    """Return a number, also one that JSON has no form for and that was tagged; None for anything else.

    Example
    -------
    >>> number(3), number("float:inf"), number("3"), number(True)
    (3, inf, None, None)
    """
    if type(value) is float or type(value) is int:
        return value
    return _TAGGED.get(value) if isinstance(value, str) else None


def numbers(fields: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, int | float]]:
    """Yield the dotted name and value of each number in a record."""
    for name, value in fields.items():
        if (found := number(value)) is not None:
            if prefix or name not in _FRAME:
                yield prefix + name, found
        elif isinstance(value, dict) and depth < _DEEPEST:
            yield from numbers(cast(dict[str, Any], value), f"{prefix}{name}.", depth + 1)


def position(record: Record) -> tuple[str, int | float] | None:
    """Return what the record's place in its run is counted in, ``step`` or ``epoch``, and the count."""
    for name in ("step", "epoch"):
        found = number(look_up(record, name))
        if found is not None:
            return name, found
    return None


@dataclass
class Statistics:
    """What a series of numbers comes to; NaN and infinities are counted apart."""

    count: int = 0
    not_finite: int = 0
    first: float | None = None
    last: float | None = None
    least: float = math.inf
    most: float = -math.inf
    mean: float = 0.0

    def add(self, values: Sequence[int | float]) -> None:
        """Add some numbers, at least one."""
        self.first = values[0] if self.first is None else self.first
        self.last = values[-1]
        finite = [value for value in values if -_GREATEST <= value <= _GREATEST]
        if finite:
            self.least, self.most = min(self.least, *finite), max(self.most, *finite)
            share = len(finite) / (self.count - self.not_finite + len(finite))
            self.mean = self.mean * (1 - share) + math.fsum(value / len(finite) for value in finite) * share
        self.count += len(values)
        self.not_finite += len(values) - len(finite)

    def as_dict(self) -> dict[str, object]:
        """Return everything as plain data; None where there is no finite number."""
        some = self.count > self.not_finite
        return {
            "count": self.count,
            "not_finite": self.not_finite,
            "first": self.first,
            "last": self.last,
            "min": self.least if some else None,
            "max": self.most if some else None,
            "mean": self.mean if some else None,
        }


@dataclass
class Curve:
    """Points for a plot; every second one is dropped when they are too many, as often as needed."""

    points: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    _seen: int = 0
    _stride: int = 1

    def add(self, x: float, y: float) -> None:
        """Add one point; what is not finite has no place in a plot."""
        if not (math.isfinite(x) and math.isfinite(y)):
            return
        if self._seen % self._stride == 0:
            self.points.append((x, y))
            if len(self.points) > MOST_POINTS:
                self.points = self.points[::2]
                self._stride *= 2
        self._seen += 1
