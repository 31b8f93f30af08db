"""The sidecar: the same answers as without it, and no reading of what is known."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from conv2d.logging import _query
from conv2d.logging._index import Sidecar
from conv2d.logging._query import Query, find, summarise
from conv2d.logging._search import lines_with
from conv2d.logging._sources import Damages

Shell = Callable[..., tuple[int, str, str]]
FRAME = '{"ts":"2026-11-21T14:30:00.%09dZ","level":"%s","logger":"l","event":"x","run_id":"r","host":"h","pid":1,"seq":%d}\n'


def lines(first: int, count: int) -> str:
    return "".join(FRAME % (n, "error" if n % 7 == 0 else "info", n) for n in range(first, first + count))


@pytest.fixture
def no_reading(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refuse() -> None:
        def read(source: str, damages: Damages, offset: int = 0, line: int = 1) -> list[object]:
            assert offset == Path(source).stat().st_size, "read again what was known"
            return []

        monkeypatch.setattr(_query, "read_blocks", read)

    return refuse


@pytest.mark.parametrize(
    "command",
    [["summary", "--format", "json"], ["errors", "--format", "json"], ["grep", '"seq":.*3'], ["filter", "seq > 40"]],
)
def test_asked_again_grown_and_changed(command: list[str], log_file: Path, shell: Shell) -> None:
    def same() -> None:
        # What is said of damage too; and the third time from what the second wrote.
        expected = shell(*command, str(log_file))
        assert [shell(*command, "--index", str(log_file)) for _ in range(3)] == [expected] * 3

    log_file.write_text(lines(0, 100) + "{torn\n")
    same()
    with log_file.open("a") as stream:
        stream.write(lines(105, 50))
    same()
    with log_file.open("a") as stream:
        stream.write(lines(155, 1)[:-20])
    same()
    with log_file.open("a") as stream:
        stream.write(lines(155, 1)[-20:] + lines(156, 3))
    same()
    log_file.write_text(lines(3, 5))
    same()
    text = log_file.read_text()
    log_file.write_text(text.replace("info", "warn", 1))
    os.utime(log_file, ns=(1, 1))
    same()


def test_nothing_is_read_twice(log_file: Path, no_reading: Callable[[], None]) -> None:
    log_file.write_text(lines(0, 100))
    query = Query("q", lines_with(b"error"))
    found = list(find(str(log_file), query, Damages(), indexed=True))
    summary = summarise(str(log_file), indexed=True)
    no_reading()
    assert list(find(str(log_file), query, Damages(), indexed=True)) == found
    assert summarise(str(log_file), indexed=True) == summary
    assert len(found) == 15


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 99, "entries": {}}', '{"version": 1, "entries": 3}'])
def test_a_broken_index_is_no_index(content: str, log_file: Path, shell: Shell) -> None:
    log_file.write_text(lines(0, 10))
    Path(f"{log_file}.idx").write_text(content)
    assert shell("grep", "-c", "--index", "error", str(log_file)) == (0, "2\n", "")
    assert json.loads(Path(f"{log_file}.idx").read_text())["version"] == 1


def test_the_index_is_no_log_and_stays_small(log_file: Path, shell: Shell) -> None:
    log_file.write_text(lines(0, 10))
    for n in range(40):
        shell("grep", "-c", "--index", f"{n}", str(log_file))
    assert len(json.loads(Path(f"{log_file}.idx").read_text())["entries"]) == 32
    assert shell("grep", "-c", "error", str(log_file.parent)) == (0, "2\n", "")


def test_an_index_that_cannot_be_written_is_told(log_file: Path, shell: Shell) -> None:
    log_file.write_text(lines(0, 10))
    Path(f"{log_file}.idx").mkdir()
    status, out, err = shell("grep", "-c", "--index", "error", str(log_file))
    assert (status, out) == (0, "2\n")
    assert "cannot be written" in err


def test_compressed_files_and_standard_input_have_none(tmp_path: Path) -> None:
    for name in ("-", "a.log.gz", "a.log.zst"):
        sidecar = Sidecar(name, "q")
        sidecar.store([], 0, 1)
        assert sidecar.load(list) is None
    assert list(tmp_path.iterdir()) == []
