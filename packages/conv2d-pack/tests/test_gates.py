"""Quality gates: refused without a waiver, on record with one, told by every command."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from conv2d.packaging import BundleError, GateError, Gates, archive_bundle, create_bundle, verify_bundle
from conv2d.packaging.cli import app
from conv2d.packaging.testing import small_arguments, small_bundle


def figures(**changes: Any) -> dict[str, Any]:
    metrics = small_arguments()["metrics"] | changes
    return {key: value for key, value in metrics.items() if value is not None}


def test_the_defaults_are_those_of_the_design() -> None:
    assert Gates() == Gates(ece=0.05, accuracy=0.80, size_mb=10.0, p99_ms=10.0)


@pytest.mark.parametrize(
    ("metrics", "text"),
    [
        (figures(ece=0.05), r"ece is 0\.05, it must be < 0\.05.*--waive ece --reason TEXT"),
        (figures(accuracy=0.80), r"accuracy is 0\.8, it must be > 0\.8"),
        (figures(accuracy=None), "accuracy is not measured"),
        (figures(ece=None), "ece is not measured"),
        (figures(ece={"value": None, "low": None, "high": None}), "ece is not measured"),
        (figures(accuracy="0.9"), "accuracy is not measured"),
        (figures(accuracy=True), "accuracy is not measured"),
        (figures(accuracy={"value": 0.7}, ece={"value": 0.2}), r"ece is 0\.2, .*; accuracy is 0\.7"),
    ],
)
def test_metrics_that_miss_a_gate(tmp_path: Path, metrics: dict[str, Any], text: str) -> None:
    with pytest.raises(GateError, match=text) as caught:
        create_bundle(tmp_path / "root", **small_arguments(metrics=metrics))
    assert caught.value.exit_code == 1
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("metrics", "text"),
    [
        (figures(model_sha256=None), "does not say which weights"),
        (figures(model_sha256="0" * 64), "evaluate this model"),
        (figures(refitted_model_sha256=figures()["model_sha256"]), "one of the two"),
        (figures(model_sha256=None, refitted_model_sha256="0" * 64), "evaluate this model"),
        (figures(model_sha256=None, refitted_model_sha256=figures()["model_sha256"]), "'fold_weights_sha256' is None"),
        (
            figures(model_sha256=None, refitted_model_sha256=figures()["model_sha256"], fold_weights_sha256=["x", "y"]),
            "fold_weights_sha256",
        ),
    ],
)
def test_metrics_of_other_weights_cannot_be_waived(tmp_path: Path, metrics: dict[str, Any], text: str) -> None:
    waivers = dict.fromkeys(("ece", "accuracy", "size_mb", "p99_ms"), "because")
    with pytest.raises(BundleError, match=text):
        create_bundle(tmp_path / "root", **small_arguments(metrics=metrics, waivers=waivers))
    assert not (tmp_path / "root").exists()


def test_size_and_time_are_gates_too(tmp_path: Path) -> None:
    with pytest.raises(GateError, match=r"size_mb is 0\.0\d+, it must be < 0\.001; p99_ms is .*, it must be < 0"):
        create_bundle(tmp_path / "root", **small_arguments(gates=Gates(size_mb=0.001, p99_ms=0)))
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("limits", [{"ece": -0.1}, {"accuracy": float("nan")}, {"size_mb": True}, {"p99_ms": "10"}])
def test_limits_are_numbers(limits: Any) -> None:
    with pytest.raises(BundleError, match="a limit is a finite number"):
        Gates(**limits)


@pytest.mark.parametrize(
    ("waivers", "text"), [({"speed": "x"}, "no gate 'speed'"), ({"ece": " "}, "waiver of ece has no reason")]
)
def test_waivers_name_a_gate_and_a_reason(tmp_path: Path, waivers: dict[str, str], text: str) -> None:
    with pytest.raises(BundleError, match=text):
        create_bundle(tmp_path / "root", **small_arguments(waivers=waivers))


def test_a_waiver_is_on_record_and_told_by_every_command(tmp_path: Path) -> None:
    root = tmp_path / "root"
    bundle = small_bundle(root, metrics=figures(ece=0.08), waivers={"ece": "pilot study, no decisions"})
    other = small_bundle(root, name="other", metrics=figures(ece=0.08), waivers={"ece": "pilot study, no decisions"})
    assert bundle.manifest["gates"]["ece"] == {"limit": 0.05, "value": 0.08, "waived": "pilot study, no decisions"}
    assert "pilot study" in (bundle.path / "README.md").read_text()
    verdict = verify_bundle(bundle.path)
    assert verdict.ok
    assert verdict.remarks == bundle.remarks == ("gate ece is waived (0.08, limit 0.05): pilot study, no decisions",)
    file = archive_bundle(bundle, tmp_path / "b.zip")
    for command in (
        ("verify", bundle.path),
        ("verify", bundle.path, "--json"),
        ("list", "--root", root),
        ("list", "--root", root, "--json"),
        ("show", bundle.path),
        ("show", bundle.path, "--json"),
        ("diff", bundle.path, other.path),
        ("archive", bundle.path, "--output", tmp_path / "c.zip"),
        ("unpack", file, "--root", tmp_path / "unpacked"),
        ("clean", "--keep", 1, "--root", root, "--dry-run"),
    ):
        done = CliRunner().invoke(app, [str(part) for part in command])
        assert done.exit_code == 0, command
        assert "pilot study, no decisions" in done.output, command


def test_figures_of_folds_are_told_openly(tmp_path: Path) -> None:
    folds = [f"{fold:064x}" for fold in range(5)]
    metrics = figures(model_sha256=None, refitted_model_sha256=figures()["model_sha256"], fold_weights_sha256=folds)
    bundle = small_bundle(tmp_path, metrics=metrics)
    assert bundle.manifest["scored_weights"] == "folds"
    (remark,) = verify_bundle(bundle.path).remarks
    assert "refitted on all subjects and were not scored themselves" in remark
    assert remark in (bundle.path / "README.md").read_text()
    told = CliRunner().invoke(app, ["list", "--root", str(tmp_path), "--json"])
    assert json.loads(told.stdout)[0]["remarks"] == [remark]
    assert small_bundle(tmp_path / "other").manifest["scored_weights"] == "packed"


def test_the_card_tells_data_split_figures_and_limits(tmp_path: Path) -> None:
    metrics = figures(
        accuracy={"value": 0.91, "low": 0.88, "high": 0.94},
        split={"kind": "holdout", "part": "test", "folds": 1, "train_subjects": [["s1"]], "test_subjects": [["s2"]]},
        baselines={"majority": {"accuracy": {"value": 0.4, "low": 0.3, "high": 0.5}}},
        interval={"confidence": 0.95, "method": "bootstrap"},
        n_subjects=3,
        n_windows=100,
    )
    config = {"name": "demo", "data": {"source": "simulator", "hop": 50}}
    bundle = small_bundle(tmp_path, metrics=metrics, config=config, name="demo")
    card = (bundle.path / "README.md").read_text("utf-8")
    for words in (
        "# demo 0.1.0",
        "rest, walk, trot",
        "- source: simulator",
        "- kind: holdout",
        "test subjects, fold 0: s2",
        "| this model | 0.910 [0.880, 0.940]",
        "| majority | 0.400 [0.300, 0.500]",
        "- ece, limit 0.05: kept",
        "- onnx: built",
        "- hailo: not built, not asked for",
        "Judged on 3 subjects",
    ):
        assert words in card, words
