"""Where the reference vectors are (CONV2D_TEST_DATA, or a folder `shared` beside the workspace), and one thread."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits


def _test_data() -> Path:
    if named := os.environ.get("CONV2D_TEST_DATA"):
        return Path(named)
    beside = (parent / "shared" for parent in Path(__file__).resolve().parents)
    return next((folder for folder in beside if folder.is_dir()), Path("shared"))


@pytest.fixture(scope="session")
def shared() -> Callable[..., Path]:
    """Return the path of a shared test file; skip loudly where it is absent."""

    def path(*parts: str) -> Path:
        found = _test_data().joinpath(*parts)
        if not found.exists():
            pytest.skip(f"CONV2D_TEST_DATA: {found} absent: NOT TESTED against the reference vectors")
        return found

    return path


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny problems on busy machines: threads that wait for each other cost a hundred times the work."""
    with threadpool_limits(limits=1):
        yield
