"""A sound bundle for every test to use or to spoil."""

from pathlib import Path

import pytest

from conv2d.packaging import Bundle
from conv2d.packaging.testing import small_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return small_bundle(tmp_path / "artifacts")
