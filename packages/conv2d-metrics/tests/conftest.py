"""Where the reference vectors are, and one test a vector file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

# The same examples on every run and machine, and no clock: a busy machine is not a failure.
settings.register_profile("conv2d", derandomize=True, deadline=None, database=None)
settings.load_profile("conv2d")


def _test_data() -> Path:
    """CONV2D_TEST_DATA, or the folder `shared` beside the workspace this file lies in."""
    named = os.environ.get("CONV2D_TEST_DATA")
    if named:
        return Path(named)
    beside = (parent / "shared" for parent in Path(__file__).resolve().parents)
    return next((folder for folder in beside if (folder / "vectors").is_dir()), Path("shared"))


def _absent(path: Path) -> str:
    return f"CONV2D_TEST_DATA: {path} is absent: NOT TESTED against the reference vectors"


@pytest.fixture(scope="session")
def shared() -> Callable[..., Path]:
    """A file or folder of the test data, or a loud skip."""

    def find(*parts: str) -> Path:
        path = _test_data().joinpath(*parts)
        if not path.exists():
            pytest.skip(_absent(path))
        return path

    return find


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "vectors(pattern): run once for each metric vector file of that pattern")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("vectors")
    if marker is None:
        return
    folder = _test_data() / "vectors" / "metrics"
    files = [pytest.param(file, id=file.stem) for file in sorted(folder.glob(marker.args[0]))]
    skipped = pytest.param(None, id="absent", marks=pytest.mark.skip(reason=_absent(folder / marker.args[0])))
    metafunc.parametrize("vector_file", files or [skipped])


@pytest.fixture
def vector(vector_file: Path) -> dict[str, Any]:
    """One vector file, loaded: inputs under plain keys, results under ``expected__<name>``."""
    with np.load(vector_file, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}
