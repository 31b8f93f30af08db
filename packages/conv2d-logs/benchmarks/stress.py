"""Durability at full size: many processes and threads in one rotated file, and kills.

    python packages/conv2d-logs/benchmarks/stress.py --processes 8 --threads 4 --events 100000 --kills 200

The tests do the same at a smaller size. Exits with 1 when an event is lost, doubled or torn.
"""

import argparse
import gzip
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORKER = """
import sys, threading
from conv2d.logging import setup_logging
path, name, threads, count, rotate = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:5]), sys.argv[5]
log = setup_logging(name, path, console="off", run_id="stress", rotate=rotate)
def work(thread):
    for i in range(count):
        log.info("x", who=f"{name}.{thread}", i=i)
started = [threading.Thread(target=work, args=(t,)) for t in range(threads)]
[t.start() for t in started]
[t.join() for t in started]
"""
KILLED = """
import sys
from conv2d.logging import setup_logging
log = setup_logging("k", sys.argv[1], console="off", rotate=sys.argv[2] or None)
i = 0
while True:
    log.info("x", i=i)
    sys.stdout.write(f"{i}\\n")
    sys.stdout.flush()
    i += 1
"""


def lines(folder: Path) -> list[bytes]:
    found: list[bytes] = []
    for path in sorted(folder.glob("training.log*")):
        if path.suffix == ".tmp" or path.with_name(path.name + ".gz").exists():
            continue  # half a compressed file, or what was compressed and could not be removed any more
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        found += data.splitlines(keepends=True)
    return found


def share(folder: Path, processes: int, threads: int, events: int, rotate: str) -> bool:
    start = time.perf_counter()
    command = [sys.executable, "-c", WORKER, str(folder / "training.log")]
    started = [subprocess.Popen([*command, f"p{p}", str(threads), str(events), rotate]) for p in range(processes)]
    failed = sum(process.wait() != 0 for process in started)
    spent = time.perf_counter() - start
    seen: dict[str, bytearray] = {f"p{p}.{t}": bytearray(events) for p in range(processes) for t in range(threads)}
    torn = total = 0
    for path in sorted(folder.glob("training.log*")):
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            for line in stream:
                total += 1
                try:
                    one = json.loads(line)
                    seen[one["who"]][one["i"]] += 1
                except (ValueError, KeyError):
                    torn += 1
    lost = sum(marks.count(0) for marks in seen.values())
    doubled = sum(len(marks) - marks.count(0) - marks.count(1) for marks in seen.values())
    files = len(list(folder.glob("training.log*")))
    print(
        f"{processes} processes × {threads} threads × {events:,} events, rotate={rotate}: {total:,} lines in {files} "
        f"files, {lost} lost, {doubled} doubled, {torn} torn, {failed} processes failed; {total / spent:,.0f} events/s"
    )
    return not (lost or doubled or torn or failed)


def kill(folder: Path, rotate: str) -> tuple[int, int]:
    """Kill a process at work; return how many lines it had been told are written, and how many of them are not."""
    command = [sys.executable, "-c", KILLED, str(folder / "training.log"), rotate]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(200)]
    process.send_signal(signal.SIGKILL)
    told += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    returned = max(int(line) for line in told if line.endswith("\n")) + 1
    written = {json.loads(line)["i"] for line in lines(folder) if line.endswith(b"\n")}
    return returned, len(set(range(returned)) - written)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rotate", default="50MB")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        good = share(Path(place), options.processes, options.threads, options.events, options.rotate)
    returned = lost = 0
    for n in range(options.kills):
        with tempfile.TemporaryDirectory(dir=options.folder) as place:
            had, gone = kill(Path(place), "" if n % 2 else "20KB")
            returned, lost = returned + had, lost + gone
    print(
        f"{options.kills} × kill -9, every second one with rotation: {returned:,} lines had returned, {lost} are lost"
    )
    raise SystemExit(0 if good and not lost else 1)


if __name__ == "__main__":
    main()
