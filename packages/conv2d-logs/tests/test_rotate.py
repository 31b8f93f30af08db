import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from conv2d.logging import setup_logging, shutdown_logging
from conv2d.logging._errors import UserError
from conv2d.logging._read import read_lines
from conv2d.logging._sources import Damages, find_sources, read_blocks

EACH = 300

WORKER = """
import sys, threading
from conv2d.logging import setup_logging
path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
log = setup_logging(name, path, console="off", rotate="20KB")
def work(thread):
    for i in range(count):
        log.info("x", who=f"{name}.{thread}", i=i)
threads = [threading.Thread(target=work, args=(t,)) for t in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
"""


def files(log_file: Path) -> list[Path]:
    return sorted(log_file.parent.glob("training.log*"))


def read(log_file: Path) -> list[dict[str, object]]:
    texts = [
        gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes() for path in files(log_file)
    ]
    assert all(text.endswith(b"\n") for text in texts), "no torn line"
    return [json.loads(line) for text in texts for line in text.splitlines()]


def wait_for_threads() -> None:
    for thread in threading.enumerate():
        if thread.name == "conv2d-logs-rotate":
            thread.join(30)


def test_every_line_once_with_many_processes_and_threads(log_file: Path) -> None:
    command = [sys.executable, "-c", WORKER, str(log_file)]
    started = [subprocess.Popen([*command, f"p{p}", str(EACH)]) for p in range(4)]
    assert [process.wait(120) for process in started] == [0] * 4
    expected = {(f"p{p}.{t}", i) for p in range(4) for t in range(4) for i in range(EACH)}
    assert Counter((one["who"], one["i"]) for one in read(log_file)) == Counter(expected)
    rotated = [path for path in files(log_file) if path != log_file]
    total = sum(len(gzip.decompress(path.read_bytes())) for path in rotated)
    assert len(rotated) >= total // 20_000 > 5
    assert {path.suffix for path in rotated} == {".gz"}, "all compressed, nothing left aside"
    longest = max(len(json.dumps(one)) for one in read(log_file))
    # Processes look at the size under a shared lock: each of the three others may add the line it has in hand.
    assert max(len(gzip.decompress(path.read_bytes())) for path in rotated) <= 20_000 + 3 * longest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system: NOT TESTED")
def test_parent_and_forked_children(log_file: Path) -> None:
    log = setup_logging("f", log_file, console="off", rotate="2KB")
    log.info("before")
    children: list[int] = []
    for child in range(4):
        pid = os.fork()
        if pid == 0:
            for i in range(50):
                log.info("x", child=child, i=i)
            wait_for_threads()
            os._exit(0)
        children.append(pid)
    for i in range(50):
        log.info("x", child=-1, i=i)
    for pid in children:
        os.waitpid(pid, 0)
    wait_for_threads()
    found = Counter((one["child"], one["i"]) for one in read(log_file) if one["event"] == "x")
    assert found == Counter((child, i) for child in range(-1, 4) for i in range(50))


def test_by_time(log_file: Path) -> None:
    log = setup_logging("t", log_file, console="off", rotate="1d")
    log.info("yesterday")
    shutdown_logging()
    os.utime(log_file, (time.time() - 86_400, time.time() - 86_400))
    log = setup_logging("t", log_file, console="off", rotate="1d")
    log.info("today")
    log.info("today")
    wait_for_threads()
    assert len(files(log_file)) == 2
    assert [one["event"] for one in read(log_file)] == ["today", "today", "yesterday"]


def test_keep(log_file: Path) -> None:
    log = setup_logging("k", log_file, console="off", rotate="1KB", keep=2)
    (log_file.parent / "training.log.notes").touch()
    for i in range(100):
        log.info("x", i=i)
        wait_for_threads()
    (log_file.parent / "training.log.notes").unlink()
    assert len(files(log_file)) == 3
    kept = sorted(int(str(one["i"])) for one in read(log_file))
    assert kept == list(range(100 - len(kept), 100)), "the newest are kept"


def test_a_line_above_the_limit_is_written_all_the_same(log_file: Path) -> None:
    log = setup_logging("k", log_file, console="off", rotate="1KB")
    for _ in range(3):
        log.info("x", pad="-" * 5000)
    wait_for_threads()
    assert len(read(log_file)) == len(files(log_file)) == 3


def test_zstd(log_file: Path) -> None:
    log = setup_logging("z", log_file, console="off", rotate="1KB", compress="zstd")
    for i in range(50):
        log.info("x", i=i)
    wait_for_threads()
    assert {path.suffix for path in files(log_file) if path != log_file} == {".zst"}
    found: list[int] = []
    for source in find_sources([str(log_file.parent)]):
        for block in read_blocks(source, Damages()):
            found += [record["i"] for _, _, record in read_lines(block, Damages())]
    assert sorted(found) == list(range(50))


def test_zstd_that_is_not_installed_is_told(log_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'conv2d-logs\[zstd\]'"):
        setup_logging("z", log_file, console="off", rotate="1KB", compress="zstd")
    assert not log_file.exists()
    old = log_file.with_name("old.log.zst")
    old.touch()
    with pytest.raises(UserError, match=r"old.log.zst: zstd is not installed; install it with"):
        list(read_blocks(str(old), Damages()))


def test_uncompressed(log_file: Path) -> None:
    log = setup_logging("z", log_file, console="off", rotate="1KB", compress="none")
    for i in range(20):
        log.info("x", i=i)
    wait_for_threads()
    assert sorted(int(str(one["i"])) for one in read(log_file)) == list(range(20))
    assert len(files(log_file)) > 2
    assert not [path for path in files(log_file) if path.suffix == ".gz"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rotate": "soon"}, "rotate must be a size, such as 100MB or 1GiB, or a span, .* got 'soon'"),
        ({"rotate": "0MB"}, "rotate must be a size"),
        ({"rotate": "1MB", "keep": 0}, "keep must be at least 1, or None to keep all; got 0"),
        ({"keep": 3}, "keep needs rotate; got 3"),
        ({"compress": "gzip"}, "compress needs rotate; got 'gzip'"),
        ({"rotate": "1MB", "compress": "lzma"}, "compress must be one of gzip, zstd, none; got 'lzma'"),
        ({"rotate": "1MB", "output_file": None}, "rotate needs output_file; got '1MB'"),
    ],
)
def test_wrong_arguments_are_refused(log_file: Path, arguments: dict[str, object], message: str) -> None:
    wrong: Any = {"output_file": log_file, "console": "off", **arguments}
    with pytest.raises(ValueError, match=message):
        setup_logging(**wrong)
