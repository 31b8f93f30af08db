import base64
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import pathlib
import uuid
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conv2d.logging import setup_logging, shutdown_logging
from conv2d.logging._encode import MAX_DEPTH, MAX_ELEMENTS, REDACTED, encode, plain, plain_fields

RESERVED_FIRST = ["ts", "level", "logger", "event", "run_id", "host", "pid", "thread"]

# Keys are spelled so that none names a secret.
KEYS = st.text(alphabet="xyz_", min_size=1, max_size=5)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first draw of text builds a table of all characters
@given(st.dictionaries(KEYS, JSON))
def test_json_values_come_back_equal(value: dict[str, object]) -> None:
    back = json.loads(encode(plain_fields(value)))
    assert back == value
    assert repr(back) == repr(value)  # 1 is not 1.0, -0.0 is not 0.0


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_float_is_rounded(value: float) -> None:
    assert json.loads(encode({"v": plain(np.float64(value))}))["v"] == value


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**63 - 1))
def test_numpy_scalars_keep_their_value(real: float, whole: int) -> None:
    fields = plain_fields({"f": np.float32(real), "i": np.int64(whole), "b": np.bool_(True)})
    assert json.loads(encode(fields)) == {"f": real, "i": whole, "b": True}


@given(st.binary())
def test_bytes_come_back_from_their_tag(value: bytes) -> None:
    written = plain(value)
    assert isinstance(written, str)
    assert base64.b64decode(written.removeprefix("bytes:")) == value


@given(st.text(st.characters()))
def test_any_text_is_written(value: str) -> None:
    """Also with stray halves of surrogate pairs, which are no valid Unicode."""
    written = json.loads(encode({"v": value}))["v"]
    assert written == value.encode("utf-8", "backslashreplace").decode("utf-8")
    assert encode({value: [value]})


TAGGED = st.one_of(
    st.floats(),
    st.complex_numbers(),
    st.decimals(),
    st.fractions(),
    st.binary(),
    st.dates(),
    st.datetimes(timezones=st.timezones() | st.none()),
    st.timedeltas(),
    st.uuids(),
    st.integers(-(10**40), 10**40),
    st.text(),
)


def untag(value: object, kind: type) -> object:
    """Read the documented form back."""
    if kind is datetime.timedelta:
        return datetime.timedelta(seconds=value) if isinstance(value, int | float) else value
    if not isinstance(value, str) or kind is str:
        return value
    _, _, text = value.partition(":")
    readers: dict[type, Callable[[str], object]] = {
        float: lambda _: float(text),
        complex: lambda _: complex(text),
        decimal.Decimal: lambda _: decimal.Decimal(text),
        fractions.Fraction: lambda _: fractions.Fraction(text),
        bytes: lambda _: base64.b64decode(text),
        datetime.date: datetime.date.fromisoformat,
        datetime.datetime: datetime.datetime.fromisoformat,
        uuid.UUID: uuid.UUID,
    }
    return readers[kind](value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(KEYS, TAGGED | st.lists(JSON) | st.dictionaries(KEYS, JSON), max_size=6), st.text())
def test_anything_logged_comes_back_from_the_file(log_file: Path, fields: dict[str, object], event: str) -> None:
    """Through the whole library: equal after JSON, or in the documented tagged form."""
    log_file.unlink(missing_ok=True)
    setup_logging("app", log_file, console="off").info(event, **fields)
    shutdown_logging()
    [line] = log_file.read_bytes().splitlines()
    back = json.loads(line)
    assert list(back) == [*RESERVED_FIRST, *fields, "seq"]
    assert back["event"] == event
    for name, value in fields.items():
        found = untag(back[name], type(value))
        if isinstance(value, datetime.datetime) and value.tzinfo is not None:
            # ISO 8601 has the offset, not the zone's name; a fold is in the offset.
            assert isinstance(found, datetime.datetime)
            assert found.replace(tzinfo=None) == value.replace(tzinfo=None)
            assert found.utcoffset() == value.utcoffset()
        elif isinstance(value, datetime.timedelta):
            # Python's own total_seconds is exact to a microsecond for 270 years.
            assert isinstance(found, datetime.timedelta)
            assert abs(found - value) <= abs(value) * 2e-16 + datetime.timedelta(microseconds=1)
        elif isinstance(value, decimal.Decimal):
            assert repr(found) == repr(value)
        else:
            assert found == value or repr(found) == repr(value)


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: float
    password: str


ZONE = datetime.timezone(datetime.timedelta(hours=2))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (math.nan, "float:nan"),
        (math.inf, "float:inf"),
        (-math.inf, "float:-inf"),
        (np.float32("nan"), "float:nan"),
        (1 + 2j, "complex:(1+2j)"),
        (np.complex64(1 + 2j), "complex:(1+2j)"),
        (decimal.Decimal("0.10"), "decimal:0.10"),
        (fractions.Fraction(1, 3), "fraction:1/3"),
        (datetime.datetime(2026, 11, 21, 14, 30, tzinfo=ZONE), "2026-11-21T14:30:00+02:00"),
        (datetime.date(2026, 11, 21), "2026-11-21"),
        (datetime.timedelta(minutes=1, milliseconds=5), 60.005),
        (np.datetime64("2026-11-21T14:30:00.123456789"), "2026-11-21T14:30:00.123456789"),
        (pathlib.PurePosixPath("a/b"), "a/b"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Colour.RED, "red"),
        ((1, (2.5,)), [1, [2.5]]),
        ({3, 1, 2}, [1, 2, 3]),
        (np.array([[1, 2], [3, 4]], dtype=np.int8), [[1, 2], [3, 4]]),
        (np.array([1.0, np.inf]), [1.0, "float:inf"]),
        (np.zeros((MAX_ELEMENTS + 1,), np.float32), {"shape": [MAX_ELEMENTS + 1], "dtype": "float32", "elided": True}),
        (Point(1.5, "hush"), {"x": 1.5, "password": REDACTED}),
        (ValueError("no"), {"type": "ValueError", "message": "no"}),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(list, {1: [None]}), {"1": [None]}),
        (np.str_("text"), "text"),
        (range(3), "range(0, 3)"),
        (10**400, 10**400),
    ],
)
def test_documented_forms(value: object, written: object) -> None:
    found = plain(value)
    assert found == written
    assert type(found) is type(written)
    if not isinstance(written, int):
        assert json.loads(encode({"v": found}))["v"] == written


def test_nothing_raises() -> None:
    class Evil:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    cycle: list[object] = []
    cycle.append(cycle)
    deep: dict[str, object] = {}
    deep["down"] = deep
    written = encode(plain_fields({"evil": Evil(), "cycle": cycle, "deep": deep}))
    assert b"Evil that cannot be written" in written
    assert written.count(b'"down"') <= MAX_DEPTH + 1


@pytest.mark.parametrize(
    "key", ["password", "DB_PASSWORD", "api_key", "apiKey", "api-key", "x.auth.token", "Authorization", "clientSecret"]
)
def test_secrets_are_redacted(key: str) -> None:
    assert plain_fields({key: "hush", "inner": {key: ["hush"]}}) == {key: REDACTED, "inner": {key: REDACTED}}


def test_counts_are_not_secrets() -> None:
    """A token is also what the encoder emits."""
    fields = {"tokens": 64, "token_counts": [1, 2], "tokens_seen": np.int64(3), "keyboard": "de", "author": "x"}
    assert plain_fields(fields) == {**fields, "tokens_seen": 3}
