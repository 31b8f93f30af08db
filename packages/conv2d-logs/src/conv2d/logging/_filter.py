"""The language of ``conv2d-logs filter``: ``level >= warning and (epoch > 3 or subject in [rex, ada])``.

::

    either     = both ("or" both)*
    both       = single ("and" single)*
    single     = "not" single | "(" either ")" | field [operator value]
    operator   = "==" | "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" (regular expression) | "in" "[" value, … "]"

A field alone asks whether the record has it; ``a.b`` looks into objects. Levels compare by severity, ``ts`` by time,
numbers as numbers. A comparison with a field that the record lacks, or of another type, does not hold.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from conv2d.logging._errors import UserError
from conv2d.logging._levels import LEVELS, level_name
from conv2d.logging._when import instant

Test = Callable[[Mapping[str, Any]], bool]

# Names that records of other producers get from us: their own lines need not hold them.
_UNIFIED = frozenset({"ts", "level", "logger", "event", "pid", "thread", "exception"})
# What JSON never writes otherwise: text of these signs stands in a line as it is.
_PLAIN = re.compile(r"[A-Za-z0-9_ :-]+")


@dataclass(frozen=True)
class Filter:
    """A test of records, and the texts that every line it holds for must contain."""

    test: Test
    needles: frozenset[bytes] = frozenset()

    @property
    def needle(self) -> bytes | None:
        """The text to look for, the rarest: a value rather than a key, the longest of them."""
        return max(self.needles, key=lambda one: (not one.endswith(b'"'), len(one), one), default=None)


_TOKEN = re.compile(
    r"\s*(?:(?P<string>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    r"|(?P<sign>==|!=|<=|>=|=|<|>|~|\(|\)|\[|\]|,)"
    r"|(?P<word>[^\s\"'()\[\],=!<>~]+))"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
MISSING: object = object()
_CONSTANTS: dict[str, object] = {"true": True, "false": False, "null": None}


def compile_filter(text: str) -> Filter:
    """Return the filter that an expression describes.

    Raises
    ------
    UserError
        If the text is no expression; it points at the place.

    Example
    -------
    >>> found = compile_filter("level >= warning and metrics.loss < 0.5")
    >>> found.test({"level": "error", "metrics": {"loss": 0.25}}), found.test({"level": "error"}), found.needle
    (True, False, b'loss"')
    """
    return _Parser(text).parse()


def look_up(record: Mapping[str, Any], path: str) -> object:
    """Return the value at a dotted path, or the module's marker for a missing one."""
    if path in record:
        return record[path]
    value: object = record
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return MISSING
        value = cast(Mapping[str, object], value)[part]
    return value


def needles_of(field: str) -> frozenset[bytes]:
    """Return what a line that has a field must contain: the end of its key, unless that is a name of ours.

    Example
    -------
    >>> needles_of("metrics.loss"), needles_of("level")
    (frozenset({b'loss"'}), frozenset())
    """
    first, last = field.split(".")[0], field.split(".")[-1]
    plain = first not in _UNIFIED and _PLAIN.fullmatch(last)
    return frozenset({last.encode() + b'"'}) if plain else frozenset()


def _is_constant(text: str) -> bool:
    """Whether a value is not text, so that JSON may write it otherwise: 1 as 1.0."""
    try:
        float(text)
    except ValueError:
        return text.lower() in _CONSTANTS
    return True


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str, int]] = []
        self._next = 0
        place = 0
        while text[place:].strip():
            found = _TOKEN.match(text, place)
            if found is None:
                self._refuse("a quote that is not closed, or a sign that means nothing here", place)
            kind = found.lastgroup or ""
            self._tokens.append((kind, found[kind], found.start(kind)))
            place = found.end()

    def parse(self) -> Filter:
        test = self._either()
        if self._next < len(self._tokens):
            self._refuse("expected `and`, `or` or the end", self._place())
        return test

    def _either(self) -> Filter:
        parts = [self._both()]
        while self._take_word("or"):
            parts.append(self._both())
        if len(parts) == 1:
            return parts[0]
        tests = [part.test for part in parts]
        needles = frozenset[bytes].intersection(*(part.needles for part in parts))
        return Filter(lambda record: any(test(record) for test in tests), needles)

    def _both(self) -> Filter:
        parts = [self._single()]
        while self._take_word("and"):
            parts.append(self._single())
        if len(parts) == 1:
            return parts[0]
        tests = [part.test for part in parts]
        needles = frozenset[bytes]().union(*(part.needles for part in parts))
        if len(tests) == 2:
            one, other = tests
            return Filter(lambda record: one(record) and other(record), needles)
        return Filter(lambda record: all(test(record) for test in tests), needles)

    def _single(self) -> Filter:
        if self._take_word("not"):
            inner = self._single().test
            return Filter(lambda record: not inner(record))
        if self._take_sign("("):
            inside = self._either()
            if not self._take_sign(")"):
                self._refuse("expected `)`", self._place())
            return inside
        kind, field, place = self._take()
        if kind != "word" or field in ("and", "or", "in"):
            self._refuse("expected a field's name", place)
        if self._take_word("in"):
            return Filter(self._membership(field), needles_of(field))
        for sign in (*_COMPARE, "~"):
            if self._take_sign(sign):
                value = self._peek()[1].strip("\"'")
                test = self._comparison(field, sign)
                needles = needles_of(field)
                same = sign in ("==", "=") and field not in ("level", "ts") and not _is_constant(value)
                if same and _PLAIN.fullmatch(value):
                    needles |= {value.encode()}
                return Filter(test, needles)
        return Filter(lambda record: look_up(record, field) is not MISSING, needles_of(field))

    def _comparison(self, field: str, sign: str) -> Test:
        place = self._place()
        value = self._value()
        if sign == "~":
            try:
                pattern = re.compile(str(value))
            except re.error as error:
                self._refuse(f"not a regular expression: {error}", place)
            return lambda record: isinstance(found := look_up(record, field), str) and bool(pattern.search(found))
        return self._compare(field, _COMPARE[sign], value, place)

    def _membership(self, field: str) -> Test:
        if not self._take_sign("["):
            self._refuse("expected `[`", self._place())
        tests: list[Test] = []
        while not self._take_sign("]"):
            place = self._place()
            tests.append(self._compare(field, operator.eq, self._value(), place))
            if not self._take_sign(",") and self._peek() != ("sign", "]"):
                self._refuse("expected `,` or `]`", self._place())
        return lambda record: any(test(record) for test in tests)

    def _compare(self, field: str, compare: Callable[[Any, Any], bool], value: object, place: int) -> Test:
        if field == "level":
            name = level_name(value)
            if name is None:
                self._refuse(f"a level is one of {', '.join(LEVELS)}", place)
            number = LEVELS[name]
            return lambda record: (
                (found := level_name(record.get("level"))) is not None and compare(LEVELS[found], number)
            )
        if field == "ts":
            moment = instant(value)
            if moment is None:
                self._refuse("a time is written as 2026-11-21T14:30:00Z, in quotes if it has a blank", place)
            return lambda record: (found := instant(record.get("ts"))) is not None and compare(found, moment)
        comparable = (int, float) if isinstance(value, int | float) and not isinstance(value, bool) else type(value)
        ordered = compare not in (operator.eq, operator.ne)
        if ordered and (isinstance(value, bool) or not isinstance(value, int | float | str)):
            self._refuse(f"{value!r} has no order; use == or !=", place)

        same = type(value)

        def test(record: Mapping[str, Any]) -> bool:
            found = look_up(record, field)
            if type(found) is same:
                return compare(found, value)
            if isinstance(found, str) and found.startswith("float:") and not isinstance(value, str):
                found = float(found[6:]) if found[6:] in ("nan", "inf", "-inf") else found
            if found is MISSING:
                return False
            if not isinstance(found, comparable) or isinstance(found, bool) != isinstance(value, bool):
                return compare is operator.ne
            return compare(found, value)

        return test

    def _value(self) -> object:
        kind, text, place = self._take()
        if kind == "string":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if kind != "word":
            self._refuse("expected a value", place)
        if text.lower() in _CONSTANTS:
            return _CONSTANTS[text.lower()]
        try:
            return int(text)
        except ValueError:
            pass
        try:
            number = float(text)
        except ValueError:
            return text
        return number if math.isfinite(number) or text.lower() in ("nan", "inf", "-inf") else text

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._next][:2] if self._next < len(self._tokens) else ("end", "")

    def _place(self) -> int:
        return self._tokens[self._next][2] if self._next < len(self._tokens) else len(self._text)

    def _take(self) -> tuple[str, str, int]:
        kind, text = self._peek()
        place = self._place()
        self._next += 1
        return kind, text, place

    def _take_word(self, word: str) -> bool:
        found = self._peek() == ("word", word)
        self._next += found
        return found

    def _take_sign(self, sign: str) -> bool:
        found = self._peek() == ("sign", sign)
        self._next += found
        return found

    def _refuse(self, why: str, place: int) -> NoReturn:
        raise UserError(f"the filter cannot be read: {why}\n  {self._text}\n  {' ' * place}^")
