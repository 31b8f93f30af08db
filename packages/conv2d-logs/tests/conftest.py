"""Each test begins and ends with no logging set up."""

import io
import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from conv2d.logging import metrics, shutdown_logging
from conv2d.logging.cli import main


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    shutdown_logging()
    metrics.reset()
    structlog.contextvars.clear_contextvars()
    yield
    shutdown_logging()
    metrics.reset()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "training.log"


@pytest.fixture
def records(log_file: Path) -> Callable[[], list[dict[str, Any]]]:
    """Read back the records of `log_file` with Python's own JSON reader."""

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in log_file.read_text("utf-8").splitlines()]

    return read


class Shell:
    """Run ``conv2d-logs`` in this process; what a shell would see of it."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: str, stdin: bytes | None = None) -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["conv2d-logs", *arguments])
        if stdin is not None:
            self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self._capsys.readouterr()
        before = signal.getsignal(signal.SIGPIPE) if hasattr(signal, "SIGPIPE") else None
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            if before is not None:
                signal.signal(signal.SIGPIPE, before)
        out, err = self._capsys.readouterr()
        return int(ended.value.code or 0), out, err


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(capsys, monkeypatch)
