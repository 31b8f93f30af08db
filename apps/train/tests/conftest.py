"""A corpus small enough to train on in seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from conv2d.data import Windows
from conv2d_train.config import Experiment, load_config
from conv2d_train.sources import load_windows

TINY = """
name: tiny
seed: 3
data: {source: simulator, simulator: {subjects: 6, minutes: 1.2, seed: 5}}
split: {kind: holdout, test: 0.34, calibration: 0.17}
model: {width: 6}
training: {epochs: 12, threads: 1, batch_size: 32, learning_rate: 0.01}
evaluation: {resamples: 100, strong_baseline: none}
clustering: {min_clusters: 3, max_clusters: 4}
gates: {accuracy: 0.0, ece: 1.0} # a minute of training: the pipeline is judged here, not the model
"""


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("conf") / "tiny.yaml"
    file.write_text(TINY)
    return file


@pytest.fixture(scope="session")
def tiny(tiny_file: Path) -> Experiment:
    return load_config(tiny_file)


@pytest.fixture(scope="session")
def windows(tiny: Experiment) -> Windows:
    return load_windows(tiny.data)
