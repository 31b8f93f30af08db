"""A small bundle and its engine."""

from pathlib import Path

import pytest

from conv2d.packaging import Bundle
from conv2d.packaging.testing import small_bundle
from conv2d_edge import Engine


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return small_bundle(tmp_path / "artifacts")


@pytest.fixture
def engine(bundle: Bundle) -> Engine:
    return Engine(bundle)
