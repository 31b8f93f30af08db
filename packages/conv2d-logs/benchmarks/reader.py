"""Questions to a large log, by this wheel and by others: CPU seconds, wall seconds, peak memory.

    uv run --group bench python packages/conv2d-logs/benchmarks/reader.py --size 1e9 --folder /tmp

Every answer is a fresh process, the tools take turns, and the best CPU time of the rounds counts. The file is in the
page cache. jq is taken if it is installed, and asked once. The others know the columns they need beforehand.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from made import make_log, tear

SUMMARY_DUCK = """
import duckdb, sys
columns = "{ts:'VARCHAR',level:'VARCHAR',logger:'VARCHAR',event:'VARCHAR',run_id:'VARCHAR',seq:'BIGINT'}"
print(len(duckdb.sql(f"select level, logger, event, run_id, count(*), min(ts), max(ts), max(seq)-min(seq)+1-count(seq)"
f" from read_ndjson('{sys.argv[1]}', ignore_errors=true, columns={columns}) group by all").fetchall()))
"""
SUMMARY_POLARS = """
import polars as pl, sys
names = ["ts", "level", "logger", "event", "run_id"]
schema = {**{name: pl.String for name in names}, "seq": pl.Int64}
frame = pl.scan_ndjson(sys.argv[1], schema=schema, ignore_errors=True)
print(frame.group_by("level", "logger", "event", "run_id").agg(pl.len(), pl.col("ts").min().alias("first"),
      pl.col("ts").max().alias("last"), pl.col("seq").max()).collect(engine="streaming").height)
"""
SUMMARY_PYTHON = """
import sys, collections
from %s import loads
kinds, runs = collections.Counter(), {}
for line in open(sys.argv[1], "rb"):
    try:
        one = loads(line)
    except ValueError:
        continue
    kinds[one["level"], one["logger"], one["event"], one["run_id"]] += 1
    run = runs.setdefault(one["run_id"], [one["ts"], one["ts"]])
    if one["ts"] < run[0]: run[0] = one["ts"]
    if one["ts"] > run[1]: run[1] = one["ts"]
print(len(kinds))
"""
SUMMARY_JQ = (
    "reduce inputs as $r ({}; .[$r.level + $r.logger + $r.event + $r.run_id] |= "
    "{n: (.n + 1), a: ([.a // $r.ts, $r.ts] | min), b: ([.b // $r.ts, $r.ts] | max)}) | length"
)
SOME_DUCK = """
import duckdb, sys
print(duckdb.sql(f"select count(*), avg(loss), min(loss), max(loss) from read_ndjson('{sys.argv[1]}', "
"ignore_errors=true, columns={event:'VARCHAR',epoch:'BIGINT',loss:'DOUBLE'}) "
"where event='epoch' and epoch>=100").fetchall())
"""
SOME_POLARS = """
import polars as pl, sys
schema = {"event": pl.String, "epoch": pl.Int64, "loss": pl.Float64}
frame = pl.scan_ndjson(sys.argv[1], schema=schema, ignore_errors=True)
loss = pl.col("loss")
print(frame.filter((pl.col("event") == "epoch") & (pl.col("epoch") >= 100)).select(pl.len(), loss.mean().alias("a"),
      loss.min().alias("b"), loss.max().alias("c")).collect(engine="streaming"))
"""
SOME_PYTHON = """
import sys
from %s import loads
losses = []
for line in open(sys.argv[1], "rb"):
    try:
        one = loads(line)
    except ValueError:
        continue
    if one["event"] == "epoch" and one["epoch"] >= 100:
        losses.append(one["loss"])
print(len(losses), sum(losses) / len(losses), min(losses), max(losses))
"""
SOME_JQ = 'reduce (inputs | select(.event == "epoch" and .epoch >= 100)) as $r ([0, 0]; [.[0] + 1, .[1] + $r.loss])'
WHERE = "event == epoch and epoch >= 100"


# Everybody's modules are compiled, as pip leaves them, and as a first run does.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass
class Cost:
    cpu: float
    wall: float
    peak_mb: float


def run(command: list[str]) -> Cost:
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_ENVIRONMENT)
    assert process.stderr is not None
    told = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode not in (0, 1):
        raise SystemExit(f"{command[:4]}: exit status {process.returncode}\n{told.decode()[-800:]}")
    return Cost(usage.ru_utime + usage.ru_stime, time.perf_counter() - start, usage.ru_maxrss / 1024)


def questions(file: str, torn: str) -> dict[str, dict[str, list[str]]]:
    ours = [str(Path(sys.executable).with_name("conv2d-logs"))]
    python = [sys.executable, "-c"]
    jq = shutil.which("jq")
    asked = {
        "summary": {
            "conv2d-logs": [*ours, "summary", file],
            "conv2d-logs, 0.1 % torn": [*ours, "summary", torn],
            "DuckDB": [*python, SUMMARY_DUCK, file],
            "Polars": [*python, SUMMARY_POLARS, file],
            "Python + orjson": [*python, SUMMARY_PYTHON % "orjson", file],
            "Python json": [*python, SUMMARY_PYTHON % "json", file],
        },
        "filter + aggregate": {
            "conv2d-logs": [*ours, "metrics", "--where", WHERE, file],
            "conv2d-logs, 0.1 % torn": [*ours, "metrics", "--where", WHERE, torn],
            "DuckDB": [*python, SOME_DUCK, file],
            "Polars": [*python, SOME_POLARS, file],
            "Python + orjson": [*python, SOME_PYTHON % "orjson", file],
            "Python json": [*python, SOME_PYTHON % "json", file],
        },
        "errors": {
            "conv2d-logs": [*ours, "errors", "--format", "json", file],
            "conv2d-logs, 0.1 % torn": [*ours, "errors", "--format", "json", torn],
        },
        "grep": {
            "conv2d-logs": [*ours, "grep", "-c", "evaluate", file],
            "conv2d-logs, regular expression": [*ours, "grep", "-c", "evalu[aeiou]te", file],
        },
    }
    if jq:
        asked["summary"]["jq"] = [jq, "-n", SUMMARY_JQ, file]
        asked["filter + aggregate"]["jq"] = [jq, "-n", SOME_JQ, file]
    return asked


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=float, default=1e9, help="bytes")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        file, torn = Path(folder) / "training.log", Path(folder) / "torn.log"
        lines = make_log(file, options.size)
        tear(file, torn, 0.001)
        print(f"{lines:,} lines, {options.size / 1e6:,.0f} MB; CPU s and wall s are the best of {options.rounds}\n")
        print(f"{'question':20} {'tool':32} {'CPU s':>7} {'wall s':>7} {'MB':>6}  CPU against DuckDB")
        for question, tools in questions(str(file), str(torn)).items():
            best: dict[str, Cost] = {}
            for round_ in range(options.rounds):
                for tool, command in tools.items():
                    if round_ and tool in ("jq", "Python json"):
                        continue
                    cost = run(command)
                    old = best.get(tool, cost)
                    best[tool] = Cost(min(old.cpu, cost.cpu), min(old.wall, cost.wall), max(old.peak_mb, cost.peak_mb))
            for tool, cost in best.items():
                ratio = f"{cost.cpu / best['DuckDB'].cpu:.2f}" if "DuckDB" in best else ""
                print(
                    f"{question:20} {tool:32} {cost.cpu:7.2f} {cost.wall:7.2f} {cost.peak_mb:6.0f}  {ratio}", flush=True
                )
        ours = questions(str(file), str(torn))
        repeated = [
            ("summary", ours["summary"]["conv2d-logs"]),
            ("errors", ours["errors"]["conv2d-logs"]),
            ("grep", ours["grep"]["conv2d-logs"]),
        ]
        for question, command in repeated:
            cold = min(run(command).cpu for _ in range(options.rounds))
            run([*command, "--index"])
            warm = min(run([*command, "--index"]).cpu for _ in range(3))
            print(
                f"{question:20} {'conv2d-logs --index, again':32} {warm:7.2f} {'':7} {'':6}  {warm / cold:.1%} of cold"
            )


if __name__ == "__main__":
    main()
