"""Across the apps: a bundle that was trained, evaluated and packed answers over HTTP what ``eval`` computed."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from conv2d_train import cli
from conv2d_train.config import load_config
from conv2d_train.sources import load_windows

CONFIG = """
name: served
seed: 1
data: {source: simulator, simulator: {subjects: 4, minutes: 0.8, seed: 11}}
split: {kind: holdout, test: 0.4, calibration: 0.3}
model: {width: 6}
training: {epochs: 2, threads: 1, batch_size: 32}
evaluation: {resamples: 100, strong_baseline: none}
clustering: {min_clusters: 3, max_clusters: 3}
gates: {accuracy: 0.0, ece: 1.0} # two epochs: what is served matters here, not how good it is
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served")
    (root / "served.yaml").write_text(CONFIG)
    cli.run(root / "served.yaml", None, None, root / "runs", root / "artifacts", 1, False)
    return root


@pytest.fixture(scope="module")
def address(place: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    bundle = next((place / "artifacts").iterdir())
    command = [
        str(Path(sys.executable).with_name("conv2d-edge")),
        "serve",
        "--bundle",
        str(bundle),
        "--port",
        str(port),
    ]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/healthz", timeout=1).close()
                break
            except (urllib.error.URLError, ConnectionError):
                assert server.poll() is None, server.stderr.read() if server.stderr else ""
                time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.communicate(timeout=20)


def test_served_probabilities_are_those_of_eval(place: Path, address: str) -> None:
    table = pl.read_parquet(place / "runs" / "served" / "eval" / "predictions.parquet")
    config = load_config(place / "served.yaml")
    windows = load_windows(config.data).of_subjects(sorted(table["subject"].unique()))
    names = [f"p_{name}" for name in windows.label_names]
    rows = np.linspace(0, len(windows) - 1, 20).astype(int)
    expected = table.select(names).to_numpy()[rows]

    raw = windows.x[rows].astype("<f4").tobytes()
    request = urllib.request.Request(f"{address}/v1/windows", raw, {"Content-Type": "application/octet-stream"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        binary = json.load(answer)
    request = urllib.request.Request(
        f"{address}/v1/windows",
        json.dumps({"windows": windows.x[rows].tolist()}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        text = json.load(answer)
    for answer in (binary, text):
        served = np.array([prediction["probabilities"] for prediction in answer["predictions"]])
        assert np.abs(served - expected).max() <= 1e-5


def test_a_corrupt_bundle_is_not_served(place: Path, tmp_path: Path) -> None:
    import shutil

    bundle = next((place / "artifacts").iterdir())
    broken = tmp_path / bundle.name
    shutil.copytree(bundle, broken)
    with (broken / "calibration.json").open("ab") as file:
        file.write(b" ")
    command = [str(Path(sys.executable).with_name("conv2d-edge")), "serve", "--bundle", str(broken), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert "calibration.json" in done.stderr
    assert "Traceback" not in done.stderr
