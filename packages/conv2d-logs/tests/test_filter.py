import json
import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv2d.logging._errors import UserError
from conv2d.logging._filter import compile_filter
from conv2d.logging._record import unify

RECORD: dict[str, Any] = {
    "ts": "2026-11-21T14:30:00.000000001Z",
    "level": "warning",
    "event": "epoch done",
    "epoch": 3,
    "loss": 0.25,
    "bad": "float:nan",
    "huge": "float:inf",
    "ok": True,
    "nothing": None,
    "metrics": {"f1": 0.5, "per.class": 1},
    "a.b": 7,
    "subject": "rex",
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("level>=warning", True),
        ("level > warning", False),
        ("level == WARN", True),
        ("level in [error, warning]", True),
        ("epoch>3", False),
        ("epoch >= 3.0", True),
        ("epoch = 3 and loss < 0.5", True),
        ("loss == 2.5e-1", True),
        ("metrics.f1 <= 0.5", True),
        ("a.b == 7", True),
        ("metrics", True),
        ("absent", False),
        ("not absent", True),
        ("absent != 3", False),
        ("subject != ada", True),
        ("subject == 'rex'", True),
        ('event == "epoch done"', True),
        ("event ~ ^epoch", True),
        ("event ~ 'd.ne$' and not subject ~ x.x", True),
        ("epoch ~ 3", False),
        ("epoch == '3'", False),
        ("epoch != '3'", True),
        ("ok == true", True),
        ("ok == 1", False),
        ("epoch == true", False),
        ("nothing == null", True),
        ("huge > 1e300", True),
        ("bad > 0 or bad <= 0", False),
        ("ts > 2026-11-21T14:30:00Z", True),
        ("ts <= '2026-11-21 14:30'", False),
        ("epoch in [1, 2] or (epoch in [3] and subject in [ada, rex])", True),
        ("epoch == 1 or epoch == 2 and ok == true or subject == rex", True),
        ("subject in []", False),
    ],
)
def test_meaning(text: str, holds: bool) -> None:
    assert compile_filter(text).test(RECORD) is holds


LEAF = st.tuples(st.sampled_from("ab"), st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), st.integers(-2, 2)).map(
    lambda t: f"{t[0]} {t[1]} {t[2]}"
)
EXPRESSION = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
        inner.map(lambda one: f"({one})"),
        inner.map(lambda one: f"not ({one})"),
    ),
    max_leaves=12,
)


@given(EXPRESSION, st.integers(-2, 2), st.integers(-2, 2))
def test_precedence_is_pythons(text: str, a: int, b: int) -> None:
    assert compile_filter(text).test({"a": a, "b": b}) is eval(text, {"a": a, "b": b})


@given(st.sampled_from(["<", "<=", ">", ">=", "=="]), st.floats(), st.floats())
def test_floats_compare_as_floats(sign: str, found: float, value: float) -> None:
    compare = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq}[sign]
    written = found if abs(found) < float("inf") else f"float:{found}"
    assert compile_filter(f"x {sign} {value!r}").test({"x": written}) is compare(found, value)


@pytest.mark.parametrize(
    ("text", "why", "place"),
    [
        ("", "expected a field's name", 0),
        ("epoch >", "expected a value", 7),
        ("epoch > 3 loss", "expected `and`, `or` or the end", 10),
        ("(epoch > 3", "expected `)`", 10),
        ("epoch in 3", "expected `[`", 9),
        ("epoch in [1 2]", "expected `,` or `]`", 12),
        ("epoch > 'x", "a quote that is not closed", 7),
        ("level > loud", "a level is one of debug, info", 8),
        ("ts > soon", "a time is written as", 5),
        ("ok > true", "True has no order", 5),
        ("event ~ (", "expected a value", 8),
        ("event ~ '('", "not a regular expression", 8),
        ("and epoch", "expected a field's name", 0),
    ],
)
def test_errors_point_at_the_place(text: str, why: str, place: int) -> None:
    with pytest.raises(UserError) as caught:
        compile_filter(text)
    first, shown, caret = str(caught.value).split("\n")
    assert why in first
    assert shown == f"  {text}"
    assert caret.index("^") - 2 == place


NAMES = st.sampled_from(["x", "y", "event", "inner.z"])
TERMS = st.builds(
    lambda name, sign, value: f"{name} {sign} {value}" if sign else name,
    NAMES,
    st.sampled_from(["", "==", "!=", "<", ">=", "~"]),
    st.sampled_from(["1", "0.5", "red", '"dark blue"', "true", "nan"]),
)
TEXTS = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("(not {})".format, inner),
    ),
    max_leaves=5,
)
VALUES = st.sampled_from([1, 0.5, "red", "dark blue", True, None, "float:nan"])


@given(
    TEXTS,
    st.dictionaries(st.sampled_from(["x", "y", "event", "message", "z", "inner"]), VALUES | st.just({"z": "red"})),
)
def test_a_line_that_a_filter_holds_for_has_its_needles(text: str, raw: dict[str, object]) -> None:
    """Else the search in the bytes would pass over it."""
    try:
        found = compile_filter(text)
    except UserError:
        return
    line = json.dumps(raw).encode()
    if found.test(unify(raw)):
        assert all(needle in line for needle in found.needles)


def test_needles() -> None:
    assert compile_filter("event == epoch and loss < 0.1").needle == b"epoch"
    assert compile_filter("a == 1 or a == 2").needles == {b'a"'}
    assert compile_filter("a == 1 or b == 2").needle is None
    assert compile_filter("level >= error").needle is None
