"""Durability: threads, processes, kills, full disks, vanished files."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from conv2d.logging import setup_logging, shutdown_logging

EACH = 500

WORKER = """
import sys, threading
from conv2d.logging import setup_logging
path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
log = setup_logging(name, path, console="off", run_id="r")
def work(thread):
    for i in range(count):
        log.info("x", who=f"{name}.{thread}", i=i, pad="-" * (i % 300))
threads = [threading.Thread(target=work, args=(t,)) for t in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
"""

KILLED = """
import sys
from conv2d.logging import setup_logging
log = setup_logging("k", sys.argv[1], console="off")
i = 0
while True:
    log.info("x", i=i)
    sys.stdout.write(f"{i}\\n")
    sys.stdout.flush()
    i += 1
"""


def test_processes_and_threads_share_a_file(log_file: Path) -> None:
    command = [sys.executable, "-c", WORKER, str(log_file)]
    started = [subprocess.Popen([*command, f"p{p}", str(EACH)]) for p in range(4)]
    assert [process.wait(60) for process in started] == [0] * 4
    found = [json.loads(line) for line in log_file.read_text().splitlines()]
    expected = {(f"p{p}.{t}", i) for p in range(4) for t in range(4) for i in range(EACH)}
    assert Counter((one["who"], one["i"]) for one in found) == Counter(expected)
    for pid in {one["pid"] for one in found}:
        # A process's numbers stand in the file in order, without a gap.
        assert [one["seq"] for one in found if one["pid"] == pid] == list(range(4 * EACH))


def test_killed_process_loses_no_line_that_had_returned(log_file: Path) -> None:
    for _ in range(5):
        log_file.unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(log_file)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        acknowledged = [process.stdout.readline() for _ in range(50)]
        process.send_signal(signal.SIGKILL)
        acknowledged += process.stdout.readlines()
        process.wait(30)
        process.stdout.close()
        last = max(int(line) for line in acknowledged if line.endswith("\n"))
        written = [json.loads(line)["i"] for line in log_file.read_text().splitlines()]
        assert written[: last + 1] == list(range(last + 1))
        assert len(written) <= last + 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system: NOT TESTED")
def test_fork_while_threads_log(log_file: Path) -> None:
    log = setup_logging("f", log_file, console="off")
    stop = threading.Event()

    def chatter() -> None:
        while not stop.is_set():
            log.info("chatter")

    thread = threading.Thread(target=chatter)
    thread.start()
    children: list[int] = []
    try:
        for child in range(5):
            pid = os.fork()
            if pid == 0:
                for i in range(20):
                    log.info("child", child=child, i=i)
                os._exit(0)
            children.append(pid)
        deadline = time.monotonic() + 30
        for pid in children:
            while os.waitpid(pid, os.WNOHANG) == (0, 0):
                assert time.monotonic() < deadline, "a child hangs on a lock that nobody holds"
                time.sleep(0.01)
    finally:
        stop.set()
        thread.join()
    found = [json.loads(line) for line in log_file.read_text().splitlines()]
    for child, pid in enumerate(children):
        mine = [(one["child"], one["i"], one["seq"]) for one in found if one["pid"] == pid]
        assert mine == [(child, i, i) for i in range(20)]


def test_removed_file_comes_back(log_file: Path) -> None:
    log = setup_logging("v", log_file, console="off")
    log.info("a")
    log_file.unlink()
    log.info("b")
    assert [json.loads(line)["event"] for line in log_file.read_text().splitlines()] == ["b"]


def test_a_file_removed_in_a_burst_takes_no_later_line_with_it(log_file: Path) -> None:
    """In a burst not every line is preceded by a look at the file; those written after its removal come back."""
    log = setup_logging("v", log_file, console="off")
    for i in range(3000):
        if i in (1000, 2000):
            log_file.unlink()
        log.info("x", i=i)
    shutdown_logging()
    numbers = [json.loads(line)["i"] for line in log_file.read_text().splitlines()]
    # Up to 16 lines from before the removal may come along.
    assert numbers[-1000:] == list(range(2000, 3000))
    assert len(numbers) <= 1016


def test_renamed_file_keeps_what_it_got(log_file: Path) -> None:
    log = setup_logging("v", log_file, console="off")
    log.info("a")
    moved = log_file.rename(log_file.with_name("old.log"))
    log.info("b")  # may still go to the renamed file
    time.sleep(0.15)
    log.info("c")
    lines = moved.read_text().splitlines() + log_file.read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["a", "b", "c"]
    assert "c" in log_file.read_text()


def test_unwritable_file_degrades_to_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    log = setup_logging("u", tmp_path / "file" / "training.log", console="off")
    log.info("a")
    log.info("b")
    warning, *lines = capfd.readouterr().err.splitlines()
    assert warning.startswith(f"conv2d.logging: cannot write {tmp_path / 'file' / 'training.log'}: Not a directory")
    assert [json.loads(line)["event"] for line in lines] == ["a", "b"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system: NOT TESTED on a full disk")
def test_full_disk_degrades_to_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    full = tmp_path / "full.log"
    full.symlink_to("/dev/full")
    log = setup_logging("u", full, console="off")
    log.info("a")
    log.info("b")
    err = capfd.readouterr().err
    assert err.count("No space left on device") == 1
    assert err.count('"event":') == 2


def test_the_file_is_tried_again(
    log_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("conv2d.logging._sink.RETRY_S", 0.0)
    blocker = log_file.parent / "sub"
    blocker.touch()
    log = setup_logging("u", blocker / "training.log", console="off")
    log.info("a")
    blocker.unlink()
    log.info("b")
    lost = json.loads(capfd.readouterr().err.splitlines()[-1])
    kept = json.loads((blocker / "training.log").read_text())
    assert kept["seq"] == lost["seq"] + 1, "a gap in the file's numbering tells what is missing"


def test_a_line_does_not_grow_on_to_a_torn_one(log_file: Path) -> None:
    log_file.write_text('{"half": ')
    setup_logging("t", log_file, console="off").info("whole")
    torn, whole = log_file.read_text().splitlines()
    assert torn == '{"half": '
    assert json.loads(whole)["event"] == "whole"


def test_closed_standard_error_is_survived() -> None:
    program = (
        "import os; os.close(2); from conv2d.logging import setup_logging; setup_logging(console='json').info('x')"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_fsync_follows_the_level(log_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    log = setup_logging("s", log_file, console="off", fsync="error")
    log.info("a")
    assert synced == []
    log.error("b")
    log.critical("c")
    assert len(synced) == 2


def test_folder_change_does_not_move_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    log = setup_logging("c", "logs/training.log", console="off")
    monkeypatch.chdir(tmp_path / "elsewhere")
    log.info("a")
    shutdown_logging()
    assert (tmp_path / "logs" / "training.log").exists()


def test_spawned_children_share_the_run_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONV2D_RUN_ID", "shared-run")
    file = tmp_path / "a.log"
    process = multiprocessing.get_context("spawn").Process(target=_log_once, args=(str(file),))
    process.start()
    process.join(30)
    setup_logging("p", file, console="off").info("parent")
    assert [json.loads(line)["run_id"] for line in file.read_text().splitlines()] == ["shared-run"] * 2


def _log_once(path: str) -> None:
    setup_logging("p", path, console="off").info("child")
