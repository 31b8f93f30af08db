import gzip
import hashlib
import importlib
import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from conv2d.logging import _frames, _sources
from conv2d.logging._errors import UserError
from conv2d.logging._frames import FrameReader
from conv2d.logging._read import read_lines
from conv2d.logging._search import lines_matching, lines_with, loud_lines, not_objects
from conv2d.logging._sources import Block, Damages, find_sources, read_blocks

zstd: Any = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")

GOOD = st.integers(0, 10**6).map(lambda n: json.dumps({"n": n, "pad": "é" * (n % 40)}).encode())
LINES = st.lists(
    st.one_of(GOOD, st.sampled_from([b"", b"  ", b"\r"]), st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")))
)
SHARED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def oracle(data: bytes) -> tuple[list[int], list[tuple[int, int]]]:
    """What Python's own JSON reader makes of the lines: the numbers `n`, and line and byte of each damaged one."""
    values: list[int] = []
    damaged: list[tuple[int, int]] = []
    offset = 0
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip(b" \r\t\x0b\x0c"):
            try:
                record = json.loads(line.decode("utf-8"), parse_constant=lambda _: 1 / 0)
                values.append(record.get("n"))
            except (ValueError, AttributeError, ZeroDivisionError):
                damaged.append((number, offset))
        offset += len(line) + 1
    return values, damaged


def numbered(data: bytes, lines: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Line number and text of found lines, which must stand in the data where they say."""
    found: list[tuple[int, bytes]] = []
    for place, text in lines:
        assert data[place : place + len(text)] == text and data[place - 1 : place] in (b"", b"\n")
        found.append((data.count(b"\n", 0, place) + 1, text))
    return found


@SHARED
@given(LINES, st.sampled_from([1, 7, 64, 1 << 20]), st.booleans())
def test_any_bytes_in_any_block_size(tmp_path: Path, lines: list[bytes], size: int, ended: bool) -> None:
    data = b"\n".join(lines) + b"\n" * ended
    file = tmp_path / "a.log"
    file.write_bytes(data)
    damages = Damages()
    found: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_sources, "BLOCK_BYTES", size)
        blocks = list(read_blocks(str(file), damages))
    assert b"".join(block.data for block in blocks) == data
    for block in blocks:
        found += [record["n"] for _, _, record in read_lines(block, damages) if "n" in record]
    values, damaged = oracle(data)
    assert found == [value for value in values if value is not None]
    assert damages.count == len(damaged)
    assert [(one.line, one.offset) for one in damages.first] == damaged[:20]


@SHARED
@given(LINES, st.sampled_from([b"1", b"n", b"9|pad", b"^.*5", b"$", rb"\d[^x]*\d$", rb"}\s*"]))
def test_matching_lines_are_those_of_a_plain_loop(lines: list[bytes], pattern: bytes) -> None:
    data = b"\n".join(lines)
    compiled = re.compile(pattern, re.MULTILINE)
    expected = [(n, line) for n, line in enumerate(data.split(b"\n"), start=1) if compiled.search(line)]
    found = numbered(data, lines_matching(compiled)(data))
    assert [one for one in found if one[1]] == [one for one in expected if one[1]]


@SHARED
@given(LINES, st.sampled_from([b"1", b"pad", b"\xc3", b'{"n": 4']))
def test_lines_with_a_text(lines: list[bytes], needle: bytes) -> None:
    data = b"\n".join(lines)
    expected = [(n, line) for n, line in enumerate(data.split(b"\n"), start=1) if needle in line]
    assert numbered(data, lines_with(needle)(data)) == expected


@SHARED
@given(LINES, st.sampled_from([b"pad", b"1", b"5.*}"]))
def test_a_search_tells_lines_that_are_cut_short(lines: list[bytes], pattern: bytes) -> None:
    data = b"\n".join(lines)
    block = Block("s", data, 1, 0, data.count(b"\n") + (not data.endswith(b"\n")))
    compiled = re.compile(pattern, re.MULTILINE)
    damages, all_damages = Damages(), Damages()
    found = [text for _, text, _ in read_lines(block, damages, lines_matching(compiled))]
    assert found == [text for _, text, _ in read_lines(block, all_damages) if compiled.search(text)]
    # What is damaged between its ends is met only where it is decoded.
    met = [one for one in lines if not (one[:1] == b"{" and one[-1:] == b"}") or compiled.search(one)]
    assert [lines[one.line - 1] for one in damages.first] == [
        lines[one.line - 1] for one in all_damages.first if lines[one.line - 1] in met
    ]


@SHARED
@given(st.binary(max_size=40) | st.text("{}\n x").map(str.encode))
def test_lines_that_are_no_objects_by_their_ends(data: bytes) -> None:
    lines = data.removesuffix(b"\n").split(b"\n") if data else []
    expected = [(n, one) for n, one in enumerate(lines, start=1) if one[:1] != b"{" or one[-1:] != b"}"]
    assert numbered(data, not_objects(data)) == expected


OWN = ["debug", "info", "warning", "error", "critical"]


@SHARED
@given(
    st.lists(
        st.one_of(
            st.sampled_from(OWN).map(
                lambda level: b'{"ts":"2026-11-21T14:30:00.000000001Z","level":"%s","x":1}' % level.encode()
            ),
            st.just(b'{"ts":"2026-11-21T14:30:00.000000001Z","level":"info","x":'),
            st.sampled_from(OWN).map(
                lambda level: b'{"level":"%s","ts":"x","event":"level\\":\\"info"}' % level.encode()
            ),
            st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"")),
        )
    ),
    st.booleans(),
)
def test_quiet_lines_of_our_own_are_passed_over_and_no_others(lines: list[bytes], ended: bool) -> None:
    data = b"\n".join(lines) + b"\n" * ended
    quiet = re.compile(rb'\{"ts":"[^"]*","level":"(debug|info|warning)".*\}$')
    found = [one for one in numbered(data, loud_lines(data)) if one[1]]
    expected = [(n, line) for n, line in enumerate(data.split(b"\n"), start=1) if line and not quiet.match(line)]
    # The last line may be told although it is quiet, when it has no end: it may be torn.
    assert found == expected or (not ended and found[:-1] == expected and found[-1][1] == lines[-1])


FRAME = '{"ts":"t%d","level":"info","logger":"l","event":"%s","run_id":"r","host":"h","pid":1,"thread":"m","seq":%d}'
MIXED = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 9), st.sampled_from(["a", "b", "naïve", "c" * 300]), st.integers(0, 10**6)).map(
            lambda one: (FRAME % one).encode()
        ),
        GOOD,
        st.sampled_from([b"", b" ", b"{torn", b"[1]", b'{"ts":"1"} {"ts":"2"}', b"\xff"]),
        st.just((FRAME % (1, "a", 2)).encode()[:-20]),
        st.just((FRAME % (1, "a", 2) + " " + FRAME % (1, "a", 3)).encode()),
    ),
    max_size=40,
)


TWICE = f"{FRAME % (1, 'a', 2)} {FRAME % (1, 'a', 3)}".encode()


@SHARED
@example([b"", TWICE], 1 << 18, 1)
@example([TWICE, b'{"ts":', b'{"a":1}}'], 1 << 18, 1)
@given(MIXED, st.sampled_from([1, 100, 1 << 18]), st.sampled_from([1, 256]))
def test_frames_are_those_of_a_line_by_line_reading(tmp_path: Path, lines: list[bytes], size: int, alone: int) -> None:
    """Whatever is damaged or foreign, taught or untaught: the same records, places and damages."""
    file = tmp_path / "a.log"
    file.write_bytes(b"\n".join(lines))
    found: list[tuple[int, object]] = []
    damages, expected_damages = Damages(), Damages()
    reader = FrameReader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_sources, "BLOCK_BYTES", size)
        patch.setattr(_frames, "_MOST_ALONE", alone)
        for block in read_blocks(str(file), damages):
            read = reader.read(block, damages)
            found += [(block.place(i)[1], frame.seq) for i, frame in zip(read.indices, read.frames, strict=True)]
            found += [(block.place(i)[1], record.get("seq")) for i, record in read.others]
    expected = [
        (offset, record.get("seq"))
        for block in read_blocks(str(file), expected_damages)
        for offset, _, record in read_lines(block, expected_damages)
    ]
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert damages == expected_damages


@pytest.mark.parametrize("lessons", [0, 3, 100])
def test_writers_that_follow_each_other_and_alternate(monkeypatch: pytest.MonkeyPatch, lessons: int) -> None:
    monkeypatch.setattr(_frames, "_FIRST_LESSONS", lessons)
    reader = FrameReader()
    of_one: list[bool] = []
    for runs in ("aaaa", "aaaa", "bbbb", "bbbb", "abab", "aabb", "aaaa", "aaaa"):
        data = "".join(FRAME.replace('"r"', f'"{run}"') % (n, "e", n) + "\n" for n, run in enumerate(runs)).encode()
        read = reader.read(Block("s", data, 1, 0, 4), Damages())
        assert "".join(frame.run_id for frame in read.frames) == runs
        assert not read.one_writer or len(set(runs)) == 1
        of_one.append(read.one_writer)
    assert of_one == [False, True, False, lessons > 0, False, False, lessons == 0, True]


@pytest.mark.parametrize("size", [16, 1 << 20])
def test_a_line_without_end_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(_sources, "LONGEST_LINE", 100)
    monkeypatch.setattr(_sources, "BLOCK_BYTES", 16)
    file = tmp_path / "a.log"
    first, last = b'{"n": 1}\n', b'{"n": 2}\n'
    file.write_bytes(first + b"x" * 1000 + b"\n" + last)
    damages = Damages()
    read = [
        (record["n"], block) for block in read_blocks(str(file), damages) for _, _, record in read_lines(block, damages)
    ]
    assert [n for n, _ in read] == [1, 2]
    assert (read[1][1].line, read[1][1].offset) == (3, len(first) + 1001)
    assert [(one.line, one.offset) for one in damages.first] == [(2, len(first))]


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".zst", zstd.compress)])
def test_compressed_files_and_their_torn_tails(tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]) -> None:
    lines = b"".join(
        b'{"n": %d, "hash": "%s"}\n' % (n, hashlib.md5(b"%d" % n).hexdigest().encode()) for n in range(20_000)
    )
    # Two parts in one file, as a program that appends compressed parts leaves them.
    whole = tmp_path / f"a.log{suffix}"
    half = lines.index(b"\n", len(lines) // 2) + 1
    whole.write_bytes(compress(lines[:half]) + compress(lines[half:]))
    torn = tmp_path / f"b.log{suffix}"
    torn.write_bytes(compress(lines)[:-2000])
    for path, damaged in ((whole, 0), (torn, 1)):
        damages = Damages()
        found = [r["n"] for block in read_blocks(str(path), damages) for _, _, r in read_lines(block, damages)]
        assert found == list(range(len(found)))
        assert (damages.count > 0) == bool(damaged)
        assert len(found) > 15_000
        assert damaged or len(found) == 20_000


def test_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.log", "a.jsonl", "sub/c.log.2.gz", "sub/d.ndjson", "e.txt", "log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert find_sources([str(tmp_path)]) == tuple(
        str(tmp_path / name) for name in ("a.jsonl", "b.log", "sub/c.log.2.gz", "sub/d.ndjson")
    )
    assert find_sources(["*.log", "b.log", "e.txt"]) == ("b.log", "e.txt")
    assert find_sources(["**/*.ndjson"]) == ("sub/d.ndjson",)
    assert find_sources([str(tmp_path / "*.jsonl"), "-"]) == (str(tmp_path / "a.jsonl"), "-")
    for nothing in ("absent.log", "*.absent", "sub/absent"):
        with pytest.raises(UserError, match="no such log file"):
            find_sources([nothing])


def test_a_rotated_file_that_is_there_twice_is_read_once(tmp_path: Path) -> None:
    """As a program leaves it that was killed after compressing it, before removing it."""
    for name in ("a.log", "a.log.20261121143000123456", "a.log.20261121143000123456.gz", "a.log.gz"):
        (tmp_path / name).touch()
    names = [Path(one).name for one in find_sources([str(tmp_path)])]
    assert names == ["a.log", "a.log.20261121143000123456.gz", "a.log.gz"]
