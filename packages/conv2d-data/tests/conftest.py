import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conv2d.data import CHANNELS, Recording

AXES = ("x", "y", "z")


def _test_data() -> Path:
    if given := os.environ.get("CONV2D_TEST_DATA"):
        return Path(given)
    beside = (parent / "shared" for parent in Path(__file__).resolve().parents)
    return next((folder for folder in beside if (folder / "data").is_dir()), Path("shared"))


@pytest.fixture(scope="session")
def shared() -> Callable[..., Path]:
    """Path of a file or folder of the real recordings, or a loud skip."""

    def path(*parts: str) -> Path:
        found = _test_data().joinpath(*parts)
        if not found.exists():
            pytest.skip(f"CONV2D_TEST_DATA: {found} absent: NOT TESTED on real recordings")
        return found

    return path


@pytest.fixture
def make_recording() -> Callable[..., Recording]:
    """Build a recording of seeded noise; any field can be given."""

    def make(n_steps: int = 500, *, seed: int = 0, absent: tuple[tuple[str, int], ...] = (), **fields) -> Recording:
        rng = np.random.default_rng(seed)
        mask = np.ones((9, 2), bool)
        for sensor, device in absent:
            mask[[CHANNELS.index(f"{sensor}_{axis}") for axis in AXES], device] = False
        signal = rng.normal(size=(9, 2, n_steps)).astype(np.float32)
        signal[~mask] = 0
        defaults = {
            "subject": "rex",
            "session": "1",
            "devices": ("collar", "harness"),
            "signal": signal,
            "channel_mask": mask,
            "rate_hz": 100.0,
            "labels": rng.integers(0, 3, n_steps // 40 + 1).repeat(40)[:n_steps].astype(np.int32),
            "label_names": ("sit", "trot", "walk"),
            "valid": np.ones((2, n_steps), bool),
        }
        return Recording(**(defaults | fields))

    return make
