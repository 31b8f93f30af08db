"""The two ways of counting, by frames and by records, give the same; and both agree with a plain count."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv2d.logging import _summary
from conv2d.logging._read import Block, Damages, read_frames, read_lines
from conv2d.logging._summary import Summary

RECORD = st.fixed_dictionaries(
    {
        "ts": st.integers(0, 99).map(lambda n: f"2026-11-21T14:30:{n % 60:02d}.00000000{n % 10}Z"),
        "level": st.sampled_from(["debug", "info", "warning", "error", "critical"]),
        "logger": st.sampled_from(["a", "b"]),
        "event": st.sampled_from(["x", "y", "z"]),
        "run_id": st.sampled_from(["r", "s", ""]),
        "host": st.just("h"),
        "pid": st.integers(1, 2),
        "loss": st.floats(0, 1),
        "seq": st.integers(0, 20),
    }
)


def both(records: list[dict[str, object]], size: int) -> tuple[Summary, Summary]:
    by_frames, by_records = Summary(), Summary()
    for start in range(0, len(records), size):
        data = b"".join(msgspec.json.encode(record) + b"\n" for record in records[start : start + size])
        block = Block("s", data, 1, 0)
        frames = read_frames(block)
        assert frames is not None
        by_frames.add_frames(frames)
        by_records.add(record for _, record in read_lines(block, Damages()))
    return by_frames, by_records


@given(st.lists(RECORD, max_size=30), st.integers(1, 10))
def test_frames_and_records_count_alike(records: list[dict[str, object]], size: int) -> None:
    by_frames, by_records = both(records, size)
    assert by_frames == by_records
    assert by_frames.as_dict() == by_records.as_dict()
    assert by_frames.records == len(records)
    assert by_frames.events == Counter(record["event"] for record in records)
    assert by_frames.runs.keys() == {record["run_id"] or "-" for record in records}
    for name, run in by_frames.runs.items():
        stamps = [str(record["ts"]) for record in records if (record["run_id"] or "-") == name]
        assert (run.records, run.first, run.last) == (len(stamps), min(stamps), max(stamps))


@pytest.mark.parametrize("missing", [set[int](), {3}, {0, 7, 8}, {19}])
def test_gaps_between_the_first_and_the_last(missing: set[int]) -> None:
    frame = {"ts": "t", "level": "info", "logger": "a", "event": "x", "run_id": "r", "host": "h", "pid": 1}
    records: list[dict[str, object]] = [{**frame, "seq": n} for n in range(20) if n not in missing]
    inner = {n for n in missing if n not in (0, 19)}
    assert [one.missing for one in both(records, 7)] == [len(inner)] * 2


def test_memory_is_bounded_by_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_summary, "_MOST_NAMES", 5)
    frame = {"ts": "t", "level": "info", "logger": "a", "host": "h", "pid": 1, "seq": 0}
    records: list[dict[str, object]] = [{**frame, "event": f"e{n}", "run_id": f"r{n}"} for n in range(50)]
    for one in both(records, 7):
        assert one.events["(other)"] == 45
        assert one.runs["(other)"].records == 45
        assert sum(one.events.values()) == 50


@pytest.mark.parametrize("line", [b'{"ts": 1}', b"{torn", b"[1]", b'{"event": "x"}', b"\xff"])
def test_other_lines_are_not_taken_for_frames(line: bytes) -> None:
    assert read_frames(Block("s", line + b"\n", 1, 0)) is None
