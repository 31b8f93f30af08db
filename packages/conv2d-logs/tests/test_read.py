import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conv2d.logging import _read
from conv2d.logging._errors import UserError
from conv2d.logging._read import Block, Damages, find_sources, lines_unlike, matching_lines, read_blocks, read_lines

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


@SHARED
@given(LINES, st.sampled_from([1, 7, 64, 1 << 20]), st.booleans())
def test_any_bytes_in_any_block_size(tmp_path: Path, lines: list[bytes], size: int, ended: bool) -> None:
    data = b"\n".join(lines) + b"\n" * ended
    file = tmp_path / "a.log"
    file.write_bytes(data)
    damages = Damages()
    found: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_read, "BLOCK_BYTES", size)
        blocks = list(read_blocks(str(file), damages))
    assert b"".join(block.data for block in blocks) == data
    for block in blocks:
        found += [record["n"] for _, record in read_lines(block, damages) if "n" in record]
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
    found = [(one.line, one.data) for one in matching_lines(Block("s", data, 1, 0), compiled)]
    assert [one for one in found if one[1]] == [one for one in expected if one[1]]
    for one in matching_lines(Block("s", data, 1, 0), compiled):
        assert data[one.offset : one.offset + len(one.data)] == one.data


def test_lines_unlike() -> None:
    block = Block("s", b"aa\nbb\n\nab\ncc\n", 10, 100)
    assert [(one.data, one.line, one.offset) for one in lines_unlike(block, re.compile(b"a"))] == [
        (b"bb", 11, 103),
        (b"cc", 14, 110),
    ]


@pytest.mark.parametrize("size", [16, 1 << 20])
def test_a_line_without_end_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(_read, "LONGEST_LINE", 100)
    monkeypatch.setattr(_read, "BLOCK_BYTES", 16)
    file = tmp_path / "a.log"
    first, last = b'{"n": 1}\n', b'{"n": 2}\n'
    file.write_bytes(first + b"x" * 1000 + b"\n" + last)
    damages = Damages()
    read = [
        (record["n"], block) for block in read_blocks(str(file), damages) for _, record in read_lines(block, damages)
    ]
    assert [n for n, _ in read] == [1, 2]
    assert (read[1][1].line, read[1][1].offset) == (3, len(first) + 1001)
    assert [(one.line, one.offset) for one in damages.first] == [(2, len(first))]


def test_gzip_and_its_torn_tail(tmp_path: Path) -> None:
    lines = b"".join(b'{"n": %d}\n' % n for n in range(20_000))
    whole = tmp_path / "a.log.gz"
    whole.write_bytes(gzip.compress(lines))
    torn = tmp_path / "b.log.gz"
    torn.write_bytes(gzip.compress(lines)[:-2000])
    for path, damaged in ((whole, 0), (torn, 1)):
        damages = Damages()
        found = [r["n"] for block in read_blocks(str(path), damages) for _, r in read_lines(block, damages)]
        assert found == list(range(len(found)))
        assert (damages.count > 0) == bool(damaged)
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
