"""Each test begins and ends with no logging set up."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from conv2d.logging import shutdown_logging


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    shutdown_logging()
    structlog.contextvars.clear_contextvars()
    yield
    shutdown_logging()
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
