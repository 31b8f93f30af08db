"""The cost of a log call: this wheel against raw orjson + write, bare structlog + orjson, the standard library, loguru.

    uv run --group bench python packages/conv2d-logs/benchmarks/emission.py

CPU time of one thread, the contestants in turns, the best of the rounds. All write JSON lines to a file, one ``write``
a record. "raw" encodes a ready dictionary of the same fields as our record and writes it; nothing else.
"""

import argparse
import json
import logging
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import loguru
import orjson
import structlog

from conv2d.logging import setup_logging

Call = Callable[[int], object]


class Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {"ts": record.created, "level": record.levelname, "logger": record.name, "event": record.getMessage()}
        given = {name: vars(record)[name] for name in ("step", "loss", "lr", "subject")}
        return json.dumps({**fields, **given})


def contestants(folder: Path) -> dict[str, Call]:
    raw_fd = os.open(folder / "raw", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    frame = {
        "ts": "2026-11-21T00:00:00.123123456Z",
        "level": "info",
        "logger": "training",
        "event": "batch",
        "run_id": "20261121T143000-abc123",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "thread": threading.current_thread().name,
    }

    def raw(i: int) -> None:
        fields = {**frame, "step": i, "loss": 0.123456789, "lr": 0.5, "subject": "s1", "seq": i}
        os.write(raw_fd, orjson.dumps(fields) + b"\n")

    bare_file = (folder / "bare").open("ab", buffering=0)
    bare = structlog.wrap_logger(
        structlog.BytesLogger(bare_file),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20),
    ).bind()
    stdlib = logging.getLogger("benchmark")
    stdlib.propagate = False
    stdlib.setLevel(logging.INFO)
    handler = logging.FileHandler(folder / "stdlib")
    handler.setFormatter(Json())
    stdlib.addHandler(handler)
    loguru.logger.remove()
    loguru.logger.add(folder / "loguru", serialize=True, level="INFO")
    log = setup_logging("training", folder / "ours", console="off", capture_stdlib=False)
    return {
        "raw orjson + write": raw,
        "conv2d-logs": lambda i: log.info("batch", step=i, loss=0.123456789, lr=0.5, subject="s1"),
        "conv2d-logs, level filtered out": lambda i: log.debug("batch", step=i, loss=0.123456789, lr=0.5, subject="s1"),
        "bare structlog + orjson": lambda i: bare.info("batch", step=i, loss=0.123456789, lr=0.5, subject="s1"),
        "logging, JSON formatter": lambda i: stdlib.info(
            "batch", extra={"step": i, "loss": 0.123456789, "lr": 0.5, "subject": "s1"}
        ),
        "loguru, serialize": lambda i: loguru.logger.bind(step=i, loss=0.123456789, lr=0.5, subject="s1").info("batch"),
    }


def seconds(call: Call, count: int) -> float:
    start = time.process_time()
    for i in range(count):
        call(i)
    return (time.process_time() - start) / count


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        calls = contestants(Path(folder))
        best = dict.fromkeys(calls, float("inf"))
        for _ in range(options.rounds):
            for name, call in calls.items():
                best[name] = min(best[name], seconds(call, options.events))
        rotated = setup_logging("training", Path(folder) / "rotated", console="off", rotate="1GB", capture_stdlib=False)
        name = "conv2d-logs, with rotation"
        best[name] = min(seconds(lambda i: rotated.info("batch", step=i, loss=0.1), options.events) for _ in range(3))
        print(f"{'':34} {'µs':>7} {'events/s':>10} {'× raw':>6}")
        for name, spent in best.items():
            print(f"{name:34} {spent * 1e6:7.2f} {1 / spent:10,.0f} {spent / best['raw orjson + write']:6.2f}")


if __name__ == "__main__":
    main()
