import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv2d.logging._errors import UserError
from conv2d.logging._filter import compile_filter

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
    assert compile_filter(text)(RECORD) is holds


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
    assert compile_filter(text)({"a": a, "b": b}) is eval(text, {"a": a, "b": b})


@given(st.sampled_from(["<", "<=", ">", ">=", "=="]), st.floats(), st.floats())
def test_floats_compare_as_floats(sign: str, found: float, value: float) -> None:
    compare = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq}[sign]
    written = found if abs(found) < float("inf") else f"float:{found}"
    assert compile_filter(f"x {sign} {value!r}")({"x": written}) is compare(found, value)


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
