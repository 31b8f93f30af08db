"""The command line: the whole job, and every documented exit code."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from conv2d_train.cli import main


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Done]


@pytest.fixture
def conv2d(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["conv2d", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        code = stop.value.code
        assert isinstance(code, int)
        return Done(code, captured.out, captured.err)

    return call


@dataclass(frozen=True)
class Place:
    """A folder in which the whole job was done once."""

    root: Path
    config: Path
    bundle: Path

    @property
    def options(self) -> tuple[object, ...]:
        return "--config", self.config, "--runs", self.root / "runs"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_file: Path) -> Place:
    from conv2d_train import cli

    root = tmp_path_factory.mktemp("place")
    cli.run(tiny_file, None, None, root / "runs", root / "artifacts", 1, False)
    return Place(root, tiny_file, next((root / "artifacts").iterdir()))


def test_run_leaves_everything(place: Place) -> None:
    run = place.root / "runs" / "tiny"
    for name in (
        "config.json",
        "split.json",
        "calibration.json",
        "normaliser.json",
        "model.safetensors",
        "motifs.json",
        "report.html",
        "eval/metrics.json",
        "eval/predictions.parquet",
    ):
        assert (run / name).stat().st_size > 0, name
    html = (run / "report.html").read_text()
    for words in ("Confusion", "Reliability", "Timelines", "simulated", "majority"):
        assert words in html
    assert "http" not in html.replace("http-equiv", ""), "self-contained: nothing is loaded from elsewhere"


def test_the_same_command_twice_gives_the_same_bundle(place: Place, conv2d: Command, tmp_path: Path) -> None:
    again = conv2d(
        "run", "--config", place.config, "--runs", tmp_path / "runs", "--root", tmp_path / "artifacts", "--json"
    )
    assert again.code == 0
    assert Path(again.json["bundle"]).name == place.bundle.name
    assert again.json["metrics"] == json.loads((place.root / "runs" / "tiny" / "eval" / "metrics.json").read_text())


def test_a_new_recording_is_scored_by_the_bundle(place: Place, conv2d: Command, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert conv2d("data", "simulate", "--subjects", 2, "--minutes", 0.7, "--seed", 99, "--out", folder).code == 0
    done = conv2d("eval", "--bundle", place.bundle, "--data", folder, "--json")
    assert done.code == 0, done.err
    for name in ("accuracy", "macro_f1", "ece", "nll"):
        assert done.json[name]["low"] <= done.json[name]["value"] <= done.json[name]["high"]
    assert done.json["n_subjects"] == 2
    assert len(done.json["per_subject"]) == 2
    assert {row["label"] for row in done.json["per_class"]} == set(done.json["label_names"])


def test_bundle_and_torch_agree_on_the_test_subjects(
    place: Place, conv2d: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "same"
    conv2d("data", "simulate", "--subjects", 6, "--minutes", 1.2, "--seed", 5, "--out", folder)
    monkeypatch.chdir(tmp_path)
    assert conv2d("eval", "--bundle", place.bundle, "--data", folder, "--save-predictions").code == 0
    ours = pl.read_parquet(tmp_path / "predictions.parquet")
    theirs = pl.read_parquet(place.root / "runs" / "tiny" / "eval" / "predictions.parquet")
    ours = ours.filter(pl.col("subject").is_in(theirs["subject"].unique().to_list()))
    columns = [name for name in ours.columns if name.startswith("p_")]
    assert len(ours) == len(theirs)
    difference = np.abs(ours.select(columns).to_numpy() - theirs.select(columns).to_numpy()).max()
    assert difference <= 1e-5


def test_eval_analyze_and_pack_one_by_one(place: Place, conv2d: Command) -> None:
    done = conv2d("eval", *place.options, "--json", "--save-predictions")
    assert done.code == 0, done.err
    assert done.json["baselines"]["majority"]["accuracy"]["value"] <= done.json["accuracy"]["value"]
    assert conv2d("eval", *place.options, "--split", "calibration", "--json").code == 0
    assert conv2d("analyze", *place.options).code == 0
    made = conv2d("pack", "create", *place.options, "--root", place.root / "artifacts", "--json")
    assert made.json["id"] == place.bundle.name
    assert conv2d("pack", "verify", place.bundle).code == 0
    assert conv2d("pack", "list", "--root", place.root / "artifacts").code == 0


def test_a_flipped_byte_fails_verify_with_1_and_eval_with_3(place: Place, conv2d: Command, tmp_path: Path) -> None:
    broken = tmp_path / place.bundle.name
    shutil.copytree(place.bundle, broken)
    data = bytearray((broken / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (broken / "model.onnx").write_bytes(data)
    assert conv2d("pack", "verify", broken).code == 1
    done = conv2d("eval", "--bundle", broken, "--data", place.root)
    assert done.code == 3
    assert "model.onnx" in done.err
    assert "Traceback" not in done.err


def test_figures_of_other_weights_are_not_packed(place: Place, conv2d: Command, tmp_path: Path) -> None:
    shutil.copytree(place.root / "runs", tmp_path / "runs")
    metrics = tmp_path / "runs" / "tiny" / "eval" / "metrics.json"
    content = json.loads(metrics.read_text())
    metrics.write_text(json.dumps(content | {"weights_sha256": "0" * 64}))
    done = conv2d(
        "pack", "create", "--config", place.config, "--runs", tmp_path / "runs", "--root", tmp_path / "artifacts"
    )
    assert done.code == 3
    assert "other weights" in done.err
    metrics.unlink()
    done = conv2d(
        "pack", "create", "--config", place.config, "--runs", tmp_path / "runs", "--root", tmp_path / "artifacts"
    )
    assert done.code == 3
    assert "conv2d eval" in done.err
    assert not (tmp_path / "artifacts").exists()


def test_a_gate_refuses_with_1_until_it_is_waived(place: Place, conv2d: Command, tmp_path: Path) -> None:
    strict = ("--set", "gates.accuracy=0.999")
    root = ("--root", tmp_path / "artifacts")
    done = conv2d("pack", "create", *place.options, *strict, *root)
    assert done.code == 1
    assert "accuracy is 0." in done.err
    assert "--waive accuracy --reason TEXT" in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "artifacts").exists()
    waived = ("--waive", "accuracy", "--reason", "pilot with two subjects")
    done = conv2d("pack", "create", *place.options, *strict, *root, *waived, "--name", "pilot", "--json")
    assert done.code == 0, done.err
    assert "pilot with two subjects" in done.json["remarks"][0]
    for command in ("verify", "show"):
        told = conv2d("pack", command, done.json["path"])
        assert told.code == 0, told.err
        assert "pilot with two subjects" in told.out
    assert conv2d("pack", "create", *place.options, *strict, *root, "--waive", "accuracy").code == 2


def test_run_tells_a_refused_bundle(place: Place, conv2d: Command, tmp_path: Path) -> None:
    done = conv2d(
        *("run", "--config", place.config, "--runs", tmp_path / "runs", "--root", tmp_path / "artifacts"),
        *("--set", "gates.accuracy=0.999", "--set", "training.epochs=1", "--json"),
    )
    assert done.code == 1
    assert done.json["bundle"] is None
    assert done.json["verified"] is False
    assert Path(done.json["report"]).is_file()
    assert "--waive accuracy --reason TEXT" in done.err
    assert not (tmp_path / "artifacts").exists()


def test_cross_validation_says_whose_figures_they_are(place: Place, conv2d: Command, tmp_path: Path) -> None:
    options = ("--config", place.config, "--runs", tmp_path / "runs", "--set", "split.kind=cross_validation")
    options += ("--set", "split.folds=2", "--set", "training.epochs=1")
    done = conv2d("run", *options, "--root", tmp_path / "artifacts", "--json")
    assert done.code == 0, done.err
    listed = conv2d("pack", "list", "--root", tmp_path / "artifacts")
    assert "refitted on all subjects and were not scored themselves" in listed.out
    fold = tmp_path / "runs" / "tiny" / "folds" / "0" / "model.safetensors"
    shutil.copy(tmp_path / "runs" / "tiny" / "folds" / "1" / "model.safetensors", fold)
    done = conv2d("pack", "create", *options, "--root", tmp_path / "artifacts")
    assert done.code == 3
    assert "other weights" in done.err


def test_targets_and_signature_from_the_command_line(place: Place, conv2d: Command, tmp_path: Path) -> None:
    root = ("--root", tmp_path / "artifacts")
    done = conv2d("pack", "create", *place.options, *root, "--targets", "onnx,hailo")
    assert done.code == 0, done.err
    assert "hailo: not built, compiler absent" in done.out
    assert "hailo parser onnx" in done.out
    (tmp_path / "junk.hef").write_bytes(b"junk")
    hef = ("--hef", tmp_path / "junk.hef")
    assert conv2d("pack", "create", *place.options, *root, "--targets", "onnx,hailo", *hef).code == 3
    assert conv2d("pack", "create", *place.options, *root, *hef).code == 2
    (tmp_path / "junk.pem").write_bytes(b"junk")
    assert conv2d("pack", "create", *place.options, *root, "--sign", tmp_path / "junk.pem").code in (3, 5)
    assert conv2d("pack", "create", *place.options, *root, "--targets", "onnx,no-such").code == 3


@pytest.fixture
def table(conv2d: Command, tmp_path: Path) -> Path:
    folder = tmp_path / "dogs"
    conv2d("data", "simulate", "--subjects", 3, "--minutes", 0.3, "--seed", 2, "--out", folder, "--format", "csv")
    return folder


def spoil(folder: Path, change: Callable[[list[list[str]]], None]) -> None:
    file = sorted(folder.glob("*.csv"))[0]
    rows = [line.split(",") for line in file.read_text().splitlines()]
    change(rows)
    file.write_text("\n".join(",".join(row) for row in rows) + "\n")


def _set(row: int, column: int, value: str) -> Callable[[list[list[str]]], None]:
    def change(rows: list[list[str]]) -> None:
        rows[row][column] = value

    return change


def _rename(rows: list[list[str]]) -> None:
    rows[0][0] = "time"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_rename, "column t"),
        (_set(7, 3, "nan"), "row"),
        (_set(7, 3, ""), "row"),
        (_set(7, 3, "inf"), "row"),
        (_set(7, 3, "x"), "row"),
        (_set(7, 0, "-5"), "t"),
    ],
)
def test_bad_recordings_end_with_3(
    conv2d: Command, table: Path, place: Place, tmp_path: Path, change: Callable[[list[list[str]]], None], says: str
) -> None:
    spoil(table, change)
    file = sorted(table.glob("*.csv"))[0].name
    for command in (
        ("data", "ls", table),
        ("train", "--config", place.config, "--data", table, "--runs", tmp_path / "runs"),
    ):
        done = conv2d(*command)
        assert done.code == 3, done.err
        assert file in done.err
        assert says in done.err
        assert "Traceback" not in done.err
    assert not (tmp_path / "runs").exists()


def test_an_unknown_label_ends_with_3(conv2d: Command, table: Path, place: Place) -> None:
    def change(rows: list[list[str]]) -> None:
        for row in rows[1:]:
            row[-1] = "flying"

    spoil(table, change)
    done = conv2d("eval", "--bundle", place.bundle, "--data", table)
    assert done.code == 3
    assert "flying" in done.err


def test_too_few_subjects_end_with_3(conv2d: Command, tmp_path: Path, place: Place) -> None:
    conv2d("data", "simulate", "--subjects", 1, "--minutes", 0.3, "--out", tmp_path / "one")
    done = conv2d("train", "--config", place.config, "--data", tmp_path / "one", "--runs", tmp_path / "runs")
    assert done.code == 3, done.err
    assert not (tmp_path / "runs").exists()


def test_bad_configuration_ends_with_4(conv2d: Command, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("name: bad\ntraining: {learning_rate: 1e-3}\n")
    done = conv2d("train", "--config", file)
    assert done.code == 4
    assert "bad.yaml:2" in done.err
    assert "Traceback" not in done.err
    assert conv2d("train", "--config", tmp_path / "absent.yaml").code == 4


@pytest.mark.parametrize(
    "arguments",
    [
        ("train",),
        ("fly",),
        ("eval",),
        ("eval", "--bundle", "abc"),
        ("data", "ls", "/nowhere"),
        ("train", "--config", "x.yaml", "--jobs", "0"),
    ],
)
def test_usage_ends_with_2(conv2d: Command, arguments: tuple[str, ...]) -> None:
    assert conv2d(*arguments).code == 2


def test_ctrl_c_leaves_a_resumable_run(place: Place, tmp_path: Path) -> None:
    command = [
        str(Path(sys.executable).with_name("conv2d")),
        "train",
        "--config",
        str(place.config),
        "--runs",
        str(tmp_path),
    ]
    command += ["--set", "training.epochs=400"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    waited = time.monotonic()
    while not list(tmp_path.glob("*.partial/folds/0/last.ckpt")):
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() - waited < 120
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "--resume" in err
    assert "Traceback" not in err
    assert not (tmp_path / "tiny").exists()
    checkpoint = next(tmp_path.glob("*.partial/folds/0/last.ckpt"))
    assert torch.load(checkpoint, weights_only=True)["epoch"] >= 0


def test_missing_steps_say_the_next_command(conv2d: Command, place: Place, tmp_path: Path) -> None:
    done = conv2d("eval", "--config", place.config, "--runs", tmp_path / "none")
    assert done.code == 3
    assert "conv2d train" in done.err
    done = conv2d("eval", *place.options, "--set", "seed=9")
    assert done.code == 3
    assert "another configuration" in done.err


@pytest.mark.parametrize("spoilt", ["{", "{}", None], ids=["cut", "empty", "absent"])
@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("split.json", ("eval",)),
        ("config.json", ("eval",)),
        ("calibration.json", ("eval",)),
        ("folds/0/model.safetensors", ("eval",)),
        ("normaliser.json", ("pack", "create")),
        ("model.safetensors", ("pack", "create")),
        ("eval/metrics.json", ("analyze",)),
        ("eval/predictions.parquet", ("analyze",)),
        ("motifs.json", ("analyze",)),
    ],
)
def test_a_damaged_run_is_told(
    conv2d: Command, place: Place, tmp_path: Path, file: str, command: tuple[str, ...], spoilt: str | None
) -> None:
    shutil.copytree(place.root / "runs", tmp_path / "runs")
    damaged = tmp_path / "runs" / "tiny" / file
    if spoilt is None:
        damaged.unlink()
    else:
        damaged.write_text(spoilt)
    done = conv2d(*command, "--config", place.config, "--runs", tmp_path / "runs")
    assert done.code == 3, done.err
    assert "tiny" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_full_disk_is_told_and_leaves_nothing(conv2d: Command, place: Place, tmp_path: Path, kind: str) -> None:
    shutil.copytree(place.root / "runs", tmp_path / "runs")
    run = tmp_path / "runs" / "tiny"
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))  # a file cannot grow further, as on a full disk
    try:
        options = ("--config", place.config, "--runs", tmp_path / "runs")
        made = conv2d(
            "data", "simulate", "--out", tmp_path / "new", "--subjects", 1, "--minutes", 0.2, "--format", kind
        )
        scored = conv2d("eval", *options, "--save-predictions")
        trained = conv2d("train", "--config", place.config, "--runs", tmp_path / "other", "--set", "training.epochs=1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    for done, words in [(made, f"dog001_s1.{kind}"), (scored, "eval"), (trained, "last.ckpt")]:
        assert done.code == 3, done.err
        assert words in done.err
        assert "Free space there" in done.err
        assert "Traceback" not in done.err
    assert not list((tmp_path / "new").iterdir())
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before
    assert not (tmp_path / "other" / "tiny").exists()
    assert not list((tmp_path / "other").rglob("*.ckpt*"))


def test_ctrl_c_while_the_command_loads_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import entry_points

    def interrupted() -> None:
        raise KeyboardInterrupt

    (script,) = (point for point in entry_points(group="console_scripts") if point.name == "conv2d")
    monkeypatch.setattr("conv2d_train.cli.main", interrupted)
    with pytest.raises(SystemExit) as stop:
        script.load()()
    assert stop.value.code == 130


def test_more_motifs_than_windows_are_told(conv2d: Command, place: Place, tmp_path: Path) -> None:
    done = conv2d(
        *("train", "--config", place.config, "--runs", tmp_path / "runs", "--set", "training.epochs=1"),
        *("--set", "clustering.min_clusters=5000", "--set", "clustering.max_clusters=6000"),
    )
    assert done.code == 3, done.err
    assert "clustering.min_clusters" in done.err
    assert not (tmp_path / "runs" / "tiny").exists()


def test_a_folder_that_is_no_run_is_told(
    conv2d: Command, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("no weights")
    done = conv2d("pack", "create", *place.options, "--model", "notes.txt")
    assert done.code == 3, done.err
    assert "holds no finished run" in done.err


def test_a_bundle_that_is_not_there_ends_with_2(conv2d: Command, place: Place) -> None:
    done = conv2d("eval", "--bundle", "0123", "--data", place.root)
    assert done.code == 2
    assert "no bundle '0123'" in done.err


def test_figures_say_whose_they_are(conv2d: Command, place: Place) -> None:
    for part, whose in [("train", "was trained on"), ("calibration", "set the temperature"), ("test", "unseen")]:
        done = conv2d("eval", *place.options, "--split", part)
        assert done.code == 0, done.err
        assert whose in " ".join(done.out.split())


def test_a_training_that_diverges_says_so(conv2d: Command, place: Place, tmp_path: Path) -> None:
    done = conv2d(
        *("train", "--config", place.config, "--runs", tmp_path / "runs"),
        *("--set", "training.learning_rate=1.0e+30", "--set", "training.epochs=2"),
    )
    assert done.code == 3, done.err
    assert "training diverged: the loss of epoch" in done.err
    assert "learning_rate" in done.err
    assert not (tmp_path / "runs" / "tiny").exists()


def test_the_simulator_has_its_own_sensors(conv2d: Command, place: Place, tmp_path: Path) -> None:
    options = ("--config", place.config, "--runs", tmp_path / "runs", "--set", "data.sensors=[wrist, ankle]")
    done = conv2d("train", *options)
    assert done.code == 3, done.err
    assert "the simulator makes collar, harness" in done.err
    assert not (tmp_path / "runs").exists()


def test_devices_are_chosen_by_name(conv2d: Command, tmp_path: Path) -> None:
    conv2d("data", "simulate", "--subjects", 1, "--minutes", 0.2, "--out", tmp_path / "two")
    done = conv2d("data", "ls", tmp_path / "two", "--devices", "harness", "--json")
    assert done.json["recordings"][0]["devices"] == ["harness", "absent"]
    done = conv2d("data", "describe", tmp_path / "two", "--devices", "harness,tail")
    assert done.code == 3
    assert "no columns of device tail" in done.err
    assert (
        conv2d("data", "convert", tmp_path / "two", "--devices", "harness, collar", "--out", tmp_path / "turned").code
        == 0
    )
    done = conv2d("data", "ls", tmp_path / "turned", "--json")
    assert done.json["recordings"][0]["devices"] == ["harness", "collar"]


def test_recordings_are_never_mixed(conv2d: Command, table: Path) -> None:
    assert conv2d("data", "simulate", "--subjects", 1, "--minutes", 0.2, "--out", table).code == 2
    assert conv2d("data", "convert", table, "--out", table.parent / "parquet").code == 0
    listed = conv2d("data", "ls", table.parent / "parquet", "--json").json
    assert [row["subject"] for row in listed["recordings"]] == [
        row["subject"] for row in conv2d("data", "ls", table, "--json").json["recordings"]
    ]
    assert conv2d("data", "describe", table).code == 0
    assert conv2d("data", "describe", table, "--json").json
