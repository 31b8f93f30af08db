"""What the tests across wheels share."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# The repository's tools are not installed; they are run from the root, and tested from here.
sys.path.insert(0, str(ROOT))


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the workspace."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Callable[..., Path]:
    """Give the path of test data that is not in the repository, or skip, loudly, when it is absent."""
    data = (ROOT / os.environ.get("CONV2D_TEST_DATA", "../shared")).resolve()

    def find(*parts: str) -> Path:
        path = data.joinpath(*parts)
        if not path.exists():
            pytest.skip(f"CONV2D_TEST_DATA: {path} absent: NOT TESTED on this data; set it to the folder of test data")
        return path

    return find
