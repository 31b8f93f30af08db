"""The two ways of counting, by frames and by records, give the same; and both agree with a plain count."""

from collections import Counter
from itertools import chain

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv2d.logging import _summary
from conv2d.logging._frames import FrameReader, Frames
from conv2d.logging._numbering import Numbering, Place
from conv2d.logging._read import read_lines
from conv2d.logging._sources import Block, Damages
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

# Processes write one after the other, or by turns.
WRITER = st.fixed_dictionaries(
    {"logger": st.just("a"), "run_id": st.sampled_from(["r", "s"]), "pid": st.integers(1, 2)}
)
TURNS = st.tuples(WRITER, st.lists(RECORD, max_size=20)).map(lambda turn: [{**one, **turn[0]} for one in turn[1]])
RECORDS = st.lists(RECORD, max_size=30) | st.lists(TURNS, max_size=5).map(lambda turns: list(chain(*turns)))


def both(records: list[dict[str, object]], size: int) -> tuple[Summary, Summary]:
    by_frames, by_records = Summary(), Summary()
    reader, offset = FrameReader(), 0
    for start in range(0, len(records), size):
        part = records[start : start + size]
        block = Block("s", b"".join(msgspec.json.encode(one) + b"\n" for one in part), start + 1, offset, len(part))
        offset += len(block.data)
        read = reader.read(block, Damages())
        assert not read.others
        by_frames.add(read)
        others = [(index, one) for index, (_, _, one) in enumerate(read_lines(block, Damages()))]
        by_records.add(Frames(block, [], [], others))
    return by_frames, by_records


@given(RECORDS, st.integers(1, 10))
def test_frames_and_records_count_alike(records: list[dict[str, object]], size: int) -> None:
    by_frames, by_records = both(records, size)
    assert by_frames == by_records
    assert msgspec.json.decode(msgspec.json.encode(by_frames), type=Summary) == by_frames
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


@given(st.lists(RECORD, max_size=30), st.integers(0, 30), st.integers(1, 10))
def test_files_counted_apart_and_merged(records: list[dict[str, object]], cut: int, size: int) -> None:
    whole, (first, second) = both(records, size)[0], (both(records[:cut], size)[0], both(records[cut:], size)[0])
    first.merge(second)
    merged, expected = first.as_dict(), whole.as_dict()
    assert {name: value for name, value in merged.items() if name != "gaps"} == {
        name: value for name, value in expected.items() if name != "gaps"
    }


@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=10), min_size=1, max_size=6))
def test_what_is_missing_is_what_no_record_has(parts: list[list[int]]) -> None:
    numbering = Numbering()
    for part in parts:
        numbering.add("r", "h", "1", part, lambda index, part=part: Place("s", part[index], part[index]))
    seen = {number for part in parts for number in part}
    gaps = list(numbering.gaps())
    missing = [number for gap in gaps for number in range(gap.first, gap.last + 1)]
    assert missing == [number for number in range(min(seen), max(seen)) if number not in seen]
    # The record after a gap is the one that is told.
    assert all(gap.place.line == gap.last + 1 for gap in gaps)


def test_gaps_are_followed_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conv2d.logging._numbering.MOST_SPANS", 10)
    numbering = Numbering()
    numbering.add("r", "h", "1", [2 * n for n in range(50)], lambda index: Place("s", index, index))
    assert not numbering.complete
    assert len(numbering.writers[0].spans) == 10
