import csv
import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import pytest

from conv2d.logging import log_epoch, log_exception, log_fsq_config, setup_logging, shutdown_logging


class Shell(Protocol):
    def __call__(self, *arguments: str, stdin: bytes | None = None) -> tuple[int, str, str]: ...


@pytest.fixture
def log(log_file: Path) -> str:
    """Seven records of two runs, written by the library itself."""
    for run in ("one", "two"):
        setup_logging("app", log_file, console="off", run_id=run)
        log_fsq_config([8, 6, 5], 64)
        for epoch in (1, 2):
            log_epoch(epoch, loss=0.5 / epoch)
        shutdown_logging()
    setup_logging("app", log_file, console="off", run_id="two")
    try:
        raise ValueError("bad \x1b[2J label")
    except ValueError as error:
        log_exception(error, step="=1+1")
    shutdown_logging()
    return str(log_file)


def test_summary(shell: Shell, log: str) -> None:
    status, out, err = shell("summary", log, "--format", "json")
    assert (status, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    assert found["records"] == 7
    assert found["bytes"] == Path(log).stat().st_size
    assert found["levels"] == {"info": 6, "error": 1}
    assert found["events"] == {"epoch": 4, "fsq_config": 2, "exception": 1}
    assert {name: (run["records"], run["errors"]) for name, run in found["runs"].items()} == {
        "one": (3, 0),
        "two": (4, 1),
    }
    assert 0 <= found["runs"]["one"]["seconds"] < 60

    status, out, _ = shell("summary", log)
    assert status == 0
    assert out.startswith("7 records in 1 file: 6 info, 1 error\n0 damaged lines, 0 records missing")
    _, out, _ = shell("summary", log, "--format", "csv")
    rows = list(csv.reader(io.StringIO(out)))
    assert ["levels", "info", "6"] in rows
    assert ["runs", "one", "3"] in rows


def test_summary_tells_gaps_and_damage(shell: Shell, log: str) -> None:
    lines = Path(log).read_bytes().splitlines(keepends=True)
    del lines[1]  # run one, seq 1
    lines[3] = b"{torn\n"  # run two, seq 4
    Path(log).write_bytes(b"".join(lines))
    status, out, err = shell("summary", log)
    assert status == 0
    assert "1 damaged lines, 2 records missing" in out
    offset = sum(map(len, lines[:3]))
    assert err.startswith(f"1 damaged line skipped\n  {log}:4: byte {offset}: not a JSON object")


def test_errors(shell: Shell, log: str) -> None:
    status, out, err = shell("errors", log)
    assert (status, err) == (1, "")
    assert "ValueError: bad \\x1b[2J label" in out
    assert "Traceback" not in out
    status, out, _ = shell("errors", "--verbose", log)
    assert status == 1
    assert out.count("\n") > 3
    assert "Traceback (most recent call last):\n" in out
    assert "\x1b" not in out
    assert shell("errors", "--level", "info", "--format", "json", log)[1].count("\n") == 7
    Path(log).write_text("\n".join(Path(log).read_text().splitlines()[:-1]))
    assert shell("errors", log) == (0, "", "")


def test_errors_of_other_producers_are_found(shell: Shell, tmp_path: Path) -> None:
    lines = [
        {"level": 50, "msg": "x", "v": 0, "hostname": "h"},
        {"levelname": "ERROR", "message": "x"},
        {"ts": "1970-01-01T00:00:00Z", "level": "info", "event": "fine"},
        {"severity": "FATAL", "message": "x"},
        {"log": {"level": "error"}, "message": "x"},
    ]
    file = tmp_path / "a.log"
    file.write_text("\n".join(json.dumps(line) for line in lines))
    status, out, _ = shell("errors", str(file))
    assert (status, out.count("\n")) == (1, 4)


def test_grep(shell: Shell, log: str) -> None:
    lines = Path(log).read_text().splitlines(keepends=True)
    assert shell("grep", "fsq_config", log) == (0, lines[0] + lines[3], "")
    assert shell("grep", "FSQ_", log)[0] == 1
    assert shell("grep", "-i", "-c", "FSQ_", log) == (0, "2\n", "")
    assert shell("grep", "absent", log) == (1, "", "")
    assert shell("grep", '"epoch":2,', "-", stdin="".join(lines).encode())[1] == lines[2] + lines[5]
    status, _, err = shell("grep", "(", log)
    assert status == 2
    assert "PATTERN is not a regular expression" in err


def test_filter(shell: Shell, log: str) -> None:
    lines = Path(log).read_text().splitlines(keepends=True)
    assert shell("filter", "run_id == two and epoch > 1", log) == (0, lines[5], "")
    assert shell("filter", "level>=critical", log) == (1, "", "")
    assert shell("filter", "epoch", "-c", log) == (0, "4\n", "")
    assert shell("filter", "epoch == 1", log, "--fields", "epoch,loss,absent")[1] == '{"epoch": 1, "loss": 0.5}\n' * 2
    status, out, _ = shell("filter", "epoch", log, "--format", "csv", "--fields", "run_id,loss")
    assert (status, out) == (0, "run_id,loss\none,0.5\none,0.25\ntwo,0.5\ntwo,0.25\n")
    status, _, err = shell("filter", "epoch >", log)
    assert status == 2
    assert err.startswith("conv2d-logs: the filter cannot be read: expected a value\n  epoch >\n")


def test_csv_cells_cannot_be_formulas(shell: Shell, log: str) -> None:
    _, out, _ = shell("errors", log, "--format", "csv", "--fields", "step,run_id")
    assert out == "step,run_id\n'=1+1,two\n"


def test_since_and_until(shell: Shell, log: str) -> None:
    stamps = [json.loads(line)["ts"] for line in Path(log).read_text().splitlines()]
    assert shell("filter", "seq", "-c", log, "--since", stamps[2])[1] == "5\n"
    assert shell("filter", "seq", "-c", log, "--until", stamps[2])[1] == "2\n"
    assert shell("filter", "seq", "-c", log, "--since", stamps[1], "--until", stamps[5])[1] == "4\n"
    assert shell("filter", "seq", "-c", log, "--since", "1h")[1] == "7\n"
    assert shell("filter", "seq", "-c", log, "--until", "1h") == (1, "0\n", "")
    status, _, err = shell("summary", log, "--since", "soon")
    assert status == 2
    assert "--since must be a span back from now" in err


def test_tail(shell: Shell, log: str) -> None:
    lines = Path(log).read_text().splitlines(keepends=True)
    assert shell("tail", "-n", "2", log) == (0, "".join(lines[-2:]), "")
    assert shell("tail", "-n", "0", log) == (0, "", "")
    assert shell("tail", "-n", "99", log) == (0, "".join(lines), "")
    assert shell("tail", "--where", "epoch == 2", log)[1] == lines[2] + lines[5]
    assert shell("tail", "-", stdin=b"")[0] == 2


@pytest.mark.parametrize("command", [["summary"], ["errors"], ["grep", "x"], ["filter", "x"], ["tail"]])
def test_wrong_use_is_told_without_a_traceback(shell: Shell, command: list[str], tmp_path: Path) -> None:
    status, out, err = shell(*command, str(tmp_path / "absent.log"))
    assert (status, out) == (2, "")
    assert err == f"conv2d-logs: {tmp_path / 'absent.log'}: no such log file; " + err.split("; ", 1)[1]
    assert shell(*command, "--no-such-option")[0] == 2


def test_unreadable_file(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "a.log.gz"
    file.write_bytes(b"not gzip")
    status, _, err = shell("summary", str(file))
    assert status == 2
    assert "cannot be read: Not a gzipped file" in err


def test_internal_error_is_70(shell: Shell, log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conv2d.logging.cli.write_summary", lambda *_: 1 / 0)
    status, _, err = shell("summary", log)
    assert status == 70
    assert "internal error: ZeroDivisionError" in err
    assert "Traceback" not in err


def start(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "conv2d.logging.cli", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_pipe_closed_early_is_fine(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_text('{"event": "x"}\n' * 200_000)
    process = start("grep", "x", str(file))
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == '{"event": "x"}\n'
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    process.wait(30)


def test_follow_sees_appends_rotation_and_truncation(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_text('{"n": 0}\n')
    process = start("tail", "-f", "-n", "1", "--format", "json", str(file))
    assert process.stdout is not None and process.stderr is not None
    try:
        assert process.stdout.readline() == '{"n": 0}\n'
        with file.open("a") as stream:
            stream.write('{"n": 1}\n{"n": ')
            stream.flush()
            assert process.stdout.readline() == '{"n": 1}\n'
            stream.write("2}\n")
        assert process.stdout.readline() == '{"n": 2}\n'
        file.rename(tmp_path / "a.log.1")
        file.write_text('{"n": 3}\n')
        assert process.stdout.readline() == '{"n": 3}\n'
        file.write_text("")
        with file.open("a") as stream:
            # Shorter than before, so that the cut shows whenever the follower looks.
            stream.write('{"n":4}\n')
        assert process.stdout.readline() == '{"n":4}\n'
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        process.stdout.close()
        process.stderr.close()
    assert process.returncode == 0
