"""Counters and timers: summed in the process, logged once, by each process what it counted."""

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conv2d.logging import metrics, setup_logging, shutdown_logging

Read = Callable[[], list[dict[str, Any]]]


def counters(records: list[dict[str, Any]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for one in records:
        for name, value in one.get("counters", {}).items():
            total[name] = total.get(name, 0) + value
    return total


def test_sums_are_flushed_once(log_file: Path, records: Read) -> None:
    setup_logging("app", log_file, console="off")
    metrics.incr("rows_interpolated")
    metrics.incr("rows_interpolated", 41)
    metrics.incr("bytes", np.int64(2**62))
    metrics.incr("bytes", 2**62)
    metrics.incr("seconds", np.float32(0.5))
    metrics.flush()
    metrics.flush()
    [record] = records()
    assert (record["event"], record["level"]) == ("counters", "info")
    assert record["counters"] == {"rows_interpolated": 42, "bytes": 2**63, "seconds": 0.5}
    assert record["timers"] == {}
    metrics.incr("rows_interpolated")
    shutdown_logging()
    assert counters(records()) == {"rows_interpolated": 43, "bytes": 2**63, "seconds": 0.5}


def test_timers(log_file: Path, records: Read) -> None:
    setup_logging("app", log_file, console="off")

    @metrics.timer("call")
    def work(depth: int) -> int:
        """Its text."""
        return depth if depth == 0 else work(depth - 1)

    with metrics.timer("block"):
        time.sleep(0.01)
    with pytest.raises(KeyError), metrics.timer("block"):
        raise KeyError
    assert (work(2), work.__doc__) == (0, "Its text.")
    metrics.observe("given", 1.25)
    metrics.flush()
    timers = records()[0]["timers"]
    assert timers["given"] == {"count": 1, "seconds": 1.25, "min_s": 1.25, "max_s": 1.25}
    assert timers["block"]["count"] == 2
    assert timers["block"]["max_s"] >= 0.01 > timers["block"]["min_s"]
    assert timers["block"]["seconds"] == pytest.approx(timers["block"]["max_s"] + timers["block"]["min_s"])
    assert timers["call"]["count"] == 3


def test_threads_lose_no_count(log_file: Path, records: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    setup_logging("app", log_file, console="off")
    monkeypatch.setattr("conv2d.logging._counters.FLUSH_S", 0.0)
    metrics.reset()

    def work() -> None:
        timer = metrics.timer("t")
        for _ in range(500):
            with timer:
                metrics.incr("n")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shutdown_logging()
    found = records()
    assert counters(found) == {"n": 2000}
    assert sum(one["timers"].get("t", {"count": 0})["count"] for one in found) == 2000
    assert len(found) > 1, "flushed on the way"


@pytest.mark.parametrize(
    ("by", "error", "message"),
    [
        (True, TypeError, "by must be a number; got True"),
        ("1", TypeError, "by must be a number; got '1'"),
        (float("nan"), ValueError, "by must be finite"),
    ],
)
def test_nonsense_is_refused(by: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        metrics.incr("n", by)
    with pytest.raises(ValueError, match="seconds must be finite"):
        metrics.observe("t", -1.0)


PROGRAM = """
import os, sys
from conv2d.logging import metrics, setup_logging
setup_logging("app", sys.argv[1], console="off")
metrics.incr("n", 5)
pid = os.fork()
if pid == 0:
    metrics.incr("n", 7)
    metrics.flush()
    os._exit(0)
os.waitpid(pid, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system: NOT TESTED")
def test_a_forked_child_begins_at_zero_and_exit_flushes(log_file: Path, records: Read) -> None:
    subprocess.run([sys.executable, "-c", PROGRAM, str(log_file)], check=True)
    found = records()
    assert [one["counters"] for one in found] == [{"n": 7}, {"n": 5}]
    assert len({one["pid"] for one in found}) == 2


def count(times: int) -> None:
    metrics.incr("n", times)


SPAWNER = """
import multiprocessing, sys
from conv2d.logging import metrics, setup_logging
from test_counters import count
setup_logging("app", sys.argv[1], console="off")
context = multiprocessing.get_context("fork")
children = [context.Process(target=count, args=(n,)) for n in (3, 4)]
[child.start() for child in children]
[child.join() for child in children]
metrics.incr("n", 10)
"""


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system: NOT TESTED")
def test_children_of_multiprocessing_flush_as_they_end(log_file: Path, records: Read) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run([sys.executable, "-c", SPAWNER, str(log_file)], check=True, env=environment)
    assert sorted(one["counters"]["n"] for one in records()) == [3, 4, 10]


def test_without_set_up_they_go_to_standard_error() -> None:
    program = "from conv2d.logging import metrics; metrics.incr('n', 3)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert json.loads(done.stderr)["counters"] == {"n": 3}
