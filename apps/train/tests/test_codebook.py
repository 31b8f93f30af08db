"""`conv2d codebook`: with and without a checkpoint, the same bytes again, and the comparison of two analyses."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conv2d.data import Windows
from conv2d_train.cli import main
from conv2d_train.codebook_report import compare_analyses
from conv2d_train.config import Experiment
from conv2d_train.training import train

FILES = ("codebook_analysis.json", "codebook_visualization.png", "selftest.txt")
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def conv2d(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["conv2d", "codebook", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return stop.value.code, captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def checkpoint(tiny: Experiment, windows: Windows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tiny, windows, tmp_path_factory.mktemp("runs") / "tiny").path


def analysis(folder: Path) -> dict[str, Any]:
    return json.loads((folder / FILES[0]).read_text())


def check(content: dict[str, Any], windows: Windows) -> None:
    """What every analysis must satisfy, from counting alone."""
    counts = np.array(content["usage"]["counts"])
    assert counts.sum() == len(windows) * content["embedding_dim"]
    assert content["usage"]["active_codes"] == np.count_nonzero(counts)
    assert content["usage"]["perplexity"] == pytest.approx(2 ** content["usage"]["entropy_bits"])
    gaps = np.count_nonzero((np.diff(windows.recording) != 0) | (np.diff(windows.start) != windows.hop))
    moves = np.array(content["transitions"])
    assert moves.shape == (240, 240)
    assert moves.sum() == (len(windows) - 1 - gaps) * content["embedding_dim"]
    assert content["dwell"]["n_runs"] * content["dwell"]["mean_s"] == pytest.approx(counts.sum() * windows.hop_s)
    clusters = content["clusters"]["summaries"]
    assert sum(cluster["windows"] for cluster in clusters) == len(windows)
    for row in content["clusters"]["transition_probabilities"]:
        assert sum(row) == pytest.approx(1) or sum(row) == 0
    assert set(content["classes"]) == {windows.label_names[k] for k in np.unique(windows.y) if k >= 0}
    assert all(0 <= found["stability"] <= 1 for found in content["classes"].values())
    assert [8, 6, 5] in [point["levels"] for point in content["rate_distortion"]["points"]]


def test_without_a_checkpoint(conv2d: Command, tiny_file: Path, tmp_path: Path, windows: Windows) -> None:
    code, out, _ = conv2d("--config", tiny_file, "--out", tmp_path / "a", "--json")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(FILES)
    content = analysis(tmp_path / "a")
    check(content, windows)
    assert content["encoder"] == {"kind": "training-free", "weights_sha256": None}
    assert json.loads(out)["usage"] == content["usage"]
    shape, loss, *_ = (tmp_path / "a" / FILES[2]).read_text().splitlines()
    assert shape == "(32, 64, 1, 100)"
    assert math.isfinite(float(loss.removeprefix("loss ")))
    assert conv2d("--config", tiny_file, "--out", tmp_path / "b")[0] == 0
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_with_a_checkpoint_and_compared(
    conv2d: Command, tiny_file: Path, checkpoint: Path, tmp_path: Path, windows: Windows
) -> None:
    assert conv2d("--checkpoint", checkpoint, "--out", tmp_path / "trained")[0] == 0
    content = analysis(tmp_path / "trained")
    check(content, windows)
    assert content["encoder"]["kind"] == "trained"
    assert (
        conv2d("--config", tiny_file, "--checkpoint", checkpoint / "model.safetensors", "--out", tmp_path / "again")[0]
        == 0
    )
    assert analysis(tmp_path / "again") == content
    code, out, _ = conv2d("compare", tmp_path / "trained", tmp_path / "again" / FILES[0], "--json")
    assert code == 0
    found = json.loads(out)
    assert found["codes"]["usage_divergence_bits"] == 0
    assert set(found["codes"]["signature_overlap"].values()) == {1.0}
    assert conv2d("--config", tiny_file, "--out", tmp_path / "free")[0] == 0
    code, out, _ = conv2d("compare", tmp_path / "trained", tmp_path / "free")
    assert code == 0
    assert "codes are not compared" in out


def test_disjoint_usage_is_one_bit_apart() -> None:
    def made(counts: list[int], top: list[int]) -> dict[str, Any]:
        return {
            "encoder": {"kind": "training-free"},
            "levels": [2, 2],
            "embedding_dim": 1,
            "windows": 4,
            "subjects": 1,
            "usage": {
                "counts": counts,
                "active_codes": 2,
                "fraction_used": 0.5,
                "perplexity": 2.0,
                "entropy_bits": 1.0,
            },
            "dead_levels": {"count": 0},
            "dwell": {"mean_s": 1.0},
            "clusters": {"summaries": []},
            "classes": {"walk": {"top_codes": top}},
            "rate_distortion": {"recommended": [2, 2]},
        }

    codes = compare_analyses(made([2, 2, 0, 0], [0, 1]), made([0, 0, 2, 2], [1, 2]))["codes"]
    assert codes == {"usage_divergence_bits": pytest.approx(1.0), "signature_overlap": {"walk": pytest.approx(1 / 3)}}


def test_mistakes_have_their_exit_codes(conv2d: Command, tiny_file: Path, checkpoint: Path, tmp_path: Path) -> None:
    assert conv2d()[0] == 2
    assert conv2d("--config", tmp_path / "absent.yaml")[0] == 4
    assert conv2d("--config", tiny_file, "--checkpoint", checkpoint, "--set", "fsq.embedding_dim=8")[0] == 2
    (tmp_path / FILES[0]).write_text('{"schema": 99}')
    code, _, err = conv2d("compare", tmp_path, tmp_path)
    assert (code, "is no codebook analysis" in err) == (3, True)
    (tmp_path / FILES[0]).write_text("no json")
    assert conv2d("compare", tmp_path, tmp_path)[0] == 3
    assert conv2d("--checkpoint", tmp_path)[0] == 3
