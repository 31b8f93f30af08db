"""DuckDB over records, and Parquet."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from conv2d.logging import log_epoch, setup_logging, shutdown_logging

Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    log = setup_logging("app", tmp_path / "own.log", console="off", run_id="r")
    for epoch in range(5):
        log_epoch(epoch, loss=1 / (epoch + 3))
    log.info("dated", when="2026-11-21T14:30:00.123456789Z", text="=1+1", nested={"a": [1, 2.5]})
    shutdown_logging()
    with (tmp_path / "own.log").open("a") as stream:
        stream.write("{torn\n")
    (tmp_path / "foreign.jsonl").write_text('{"time": 1.000000001, "levelname": "WARN", "message": "late", "lag": 3}\n')
    return tmp_path


def test_sql(folder: Path, shell: Shell) -> None:
    statement = "select event, count(*) as n, sum(loss) as s from logs group by event order by n desc, event"
    status, out, err = shell("sql", statement, str(folder), "--format", "json")
    assert status == 0
    assert [json.loads(line) for line in out.splitlines()] == [
        {"event": "epoch", "n": 5, "s": sum(1 / (n + 3) for n in range(5))},
        {"event": "dated", "n": 1, "s": None},
        {"event": "late", "n": 1, "s": None},
    ]
    assert err.startswith("1 damaged line skipped\n")
    assert (
        shell("sql", "select text from logs where text is not null", str(folder), "--format", "csv")[1]
        == "text\n'=1+1\n"
    )
    assert shell("sql", "select \"when\" from logs where event = 'dated'", str(folder))[1].split() == [
        "when",
        "2026-11-21T14:30:00.123456789Z",
    ]
    assert shell("sql", "select epoch_ns(ts) % 1000 >= 0 as k from logs limit 1", str(folder))[1].split() == [
        "k",
        "true",
    ]
    assert shell("sql", "select 1 from logs where false", str(folder))[0] == 1
    assert (
        shell("sql", "select count(*) from logs", str(folder), "--since", "1h", "--format", "csv")[1]
        == "count_star()\n6\n"
    )


def test_wrong_sql_is_told(folder: Path, shell: Shell) -> None:
    status, out, err = shell("sql", "select absent from logs", str(folder))
    assert (status, out) == (2, "")
    assert "absent" in err and "Traceback" not in err


def test_parquet(folder: Path, shell: Shell) -> None:
    output = folder / "it's.parquet"
    status, out, err = shell("export", "parquet", str(folder), "--output", str(output))
    assert (status, out) == (0, "")
    assert err.endswith(f"7 records written to {output}\n")
    lines = [json.loads(line) for line in (folder / "own.log").read_text().splitlines()[:-1]]
    rows = duckdb.execute(
        "select event, loss, epoch_ns(ts), seq from read_parquet(?) where run_id = 'r' order by seq", [str(output)]
    ).fetchall()
    assert [(row[0], row[1], row[3]) for row in rows] == [(one["event"], one.get("loss"), one["seq"]) for one in lines]
    assert [f"{row[2] % 10**9:09d}Z" for row in rows] == [one["ts"].partition(".")[2] for one in lines]
    assert list(folder.glob(".*")) == []


def test_no_records_write_nothing(tmp_path: Path, shell: Shell) -> None:
    (tmp_path / "a.log").touch()
    assert shell("export", "parquet", str(tmp_path), "-o", str(tmp_path / "x.parquet"))[0] == 1
    assert not (tmp_path / "x.parquet").exists()
    assert shell("sql", "select * from logs", str(tmp_path))[0] == 1


@pytest.mark.parametrize(("command", "extra"), [(["sql", "select 1"], "sql"), (["export", "parquet"], "parquet")])
def test_without_duckdb_the_extra_is_named(
    folder: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch, command: list[str], extra: str
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    status, out, err = shell(*command, str(folder))
    assert (status, out) == (5, "")
    assert err == f"conv2d-logs: DuckDB is not installed; pip install 'conv2d-logs[{extra}]'\n"
