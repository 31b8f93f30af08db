from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv2d.logging._errors import UserError
from conv2d.logging._when import bound, instant, stamp_text

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@given(st.integers(0, 2**62))
def test_our_stamp_comes_back(moment: int) -> None:
    assert instant(stamp_text(moment)) == moment


@given(st.datetimes(min_value=datetime(1970, 1, 2), timezones=st.timezones()))
def test_iso_agrees_with_python(moment: datetime) -> None:
    """Python's own parser and arithmetic is the oracle; offsets with seconds (before 1972) are not ISO 8601."""
    text = moment.isoformat()
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    expected = ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
    offset = moment.utcoffset()
    assert offset is not None
    assert instant(text) == (expected if offset.seconds % 60 == 0 else None)


@pytest.mark.parametrize("number", [1_700_000_000, 1_700_000_000_000, 1_700_000_000_000_000, 1_700_000_000 * 10**9])
def test_numbers_by_size(number: int) -> None:
    assert instant(number) == 1_700_000_000 * 10**9


@pytest.mark.parametrize("nonsense", ["yesterday", "", "2026-13-01", "12:00", None, True, [], 1e30, "2026-11-21T25:00"])
def test_nonsense_is_no_instant(nonsense: object) -> None:
    assert instant(nonsense) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2h", "2026-11-21T10:00:00"), ("90s", "2026-11-21T11:58:30"), ("0.5d", "2026-11-21T00:00:00"),
     ("2026-11-20", "2026-11-20T00:00:00"), ("2026-11-20 01:02", "2026-11-20T01:02:00")],
)  # fmt: skip
def test_bounds(text: str, expected: str) -> None:
    assert stamp_text(bound(text, NOW, "--since")) == f"{expected}.000000000Z"


def test_a_bound_that_is_neither() -> None:
    with pytest.raises(UserError, match=r"--until must be a span back from now, .*got 'soon'"):
        bound("soon", NOW, "--until")
