"""A training log of a given size, from a seed; lines as ``setup_logging`` writes them."""

import random
from pathlib import Path

_TRACE = 'Traceback (most recent call last):\\n  File \\"evaluate.py\\", line 41, in score\\nValueError: no such label'


def make_log(path: Path, size: float, seed: int = 0) -> int:
    """Write about `size` bytes; return the number of lines."""
    draw = random.Random(seed)
    written = count = 0
    with path.open("wb") as stream:
        while written < size:
            kind = draw.random()
            level = "info"
            if kind < 0.5:
                event = "batch"
                fields = f'"step":{count},"loss":{draw.random()},"lr":{draw.random()},"subject":"s{count % 30}"'
            elif kind < 0.8:
                event, level = "window_read", "debug"
                fields = f'"path":"/data/s{count % 30}/collar.csv","rows":{count % 9000},"seconds":{draw.random()}'
            elif kind < 0.82:
                event, level = "qa_issue", "warning"
                fields = f'"check":"gap","message":"{draw.random():.2f} s without samples","subject":"s{count % 30}"'
            elif kind < 0.821:
                event, level = "exception", "error"
                error = f'{{"type":"ValueError","message":"no such label","traceback":"{_TRACE}"}}'
                fields = f'"step":"evaluate","exception":{error}'
            else:
                event = "epoch"
                fields = f'"loss":{draw.random()},"accuracy":{draw.random()},"epoch":{count % 200}'
            run, seq = divmod(count, 500_000)
            second = count // 1000
            clock = f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{count % 1000:03d}123456"
            line = (
                f'{{"ts":"2026-11-21T{clock}Z","level":"{level}","logger":"training","event":"{event}",'
                f'"run_id":"20261121T143000-abc{run}","host":"worker-1","pid":{4000 + run},"thread":"MainThread",'
                f'{fields},"seq":{seq}}}\n'
            ).encode()
            stream.write(line)
            written += len(line)
            count += 1
    return count


def tear(path: Path, torn: Path, fraction: float, seed: int = 0) -> None:
    """Copy a log, with a fraction of its lines cut short."""
    draw = random.Random(seed)
    with path.open("rb") as source, torn.open("wb") as target:
        for line in source:
            target.write(line if draw.random() >= fraction else line[: draw.randrange(1, len(line) - 2)] + b"\n")
