"""Where the reference vectors are, and a loud word where they are not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


def _root() -> Path | None:
    given = os.environ.get("CONV2D_TEST_DATA")
    if given:
        return Path(given)
    return next((p / "shared" for p in Path(__file__).resolve().parents if (p / "shared" / "vectors").is_dir()), None)


@pytest.fixture(scope="session")
def shared() -> Callable[..., Path]:
    def find(*parts: str) -> Path:
        root = _root()
        path = None if root is None else root.joinpath(*parts)
        if path is None or not path.exists():
            pytest.skip(f"CONV2D_TEST_DATA: {'/'.join(parts)} absent: NOT TESTED against the reference vectors")
        return path

    return find
