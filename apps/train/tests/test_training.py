"""Training is deterministic, resumable and honest about its subjects."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from conv2d.data import Windows
from conv2d_train._errors import RunError
from conv2d_train.config import Experiment, load_config
from conv2d_train.evaluation import evaluate_run, score_run
from conv2d_train.folds import plan_folds
from conv2d_train.runs import Run, partial_path
from conv2d_train.training import fit_model, train


@pytest.fixture(scope="module")
def run(tiny: Experiment, windows: Windows, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tiny, windows, tmp_path_factory.mktemp("runs") / "tiny")


def crossed(tiny: Experiment, **split: object) -> Experiment:
    return tiny.model_copy(update={"split": tiny.split.model_copy(update={"kind": "cross_validation", **split})})


def time_spans(windows: Windows) -> set[tuple[str, int]]:
    """Every (recording, step) that the windows cover."""
    return {
        (windows.recording_names[r], int(step))
        for r, start in zip(windows.recording, windows.start, strict=True)
        for step in range(start, start + windows.x.shape[-1])
    }


@pytest.mark.parametrize("kind", ["holdout", "cross_validation"])
def test_no_subject_and_no_overlapping_window_crosses_a_split(tiny: Experiment, windows: Windows, kind: str) -> None:
    config = tiny if kind == "holdout" else crossed(tiny)
    plan = plan_folds(config, windows)
    for fold in plan.folds:
        parts = [windows.of_subjects(part) for part in (fold.train, fold.calibration, fold.test) if part]
        for i, a in enumerate(parts):
            for b in parts[:i]:
                assert not set(a.subjects) & set(b.subjects)
                assert not time_spans(a) & time_spans(b)
    if kind == "cross_validation":
        tested = [subject for fold in plan.folds for subject in fold.test]
        assert sorted(tested) == list(windows.subjects)


def test_same_weights_twice(tiny: Experiment, windows: Windows, run: Run, tmp_path: Path) -> None:
    again = train(tiny, windows, tmp_path / "tiny")
    assert again.weights_sha256() == run.weights_sha256()
    for name in ("calibration.json", "split.json", "normaliser.json"):
        assert (again.path / name).read_bytes() == (run.path / name).read_bytes()
    first, second = evaluate_run(run, windows)[0], evaluate_run(again, windows)[0]
    assert first == second


def test_another_seed_gives_other_weights(tiny: Experiment, windows: Windows, run: Run, tmp_path: Path) -> None:
    other = train(tiny.model_copy(update={"seed": 4}), windows, tmp_path / "tiny")
    assert other.weights_sha256() != run.weights_sha256()


def test_interrupted_and_resumed_is_as_if_never_interrupted(
    tiny: Experiment, windows: Windows, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "tiny"

    def interrupt(name: str, epoch: int, loss: float) -> None:
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(tiny, windows, path, report=interrupt)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not path.exists()
    assert list(partial_path(path).rglob("last.ckpt"))
    resumed = train(tiny, windows, path, resume=True)
    assert resumed.weights_sha256() == run.weights_sha256()
    assert not partial_path(path).exists()


def test_resume_refuses_another_experiment(tiny: Experiment, windows: Windows, tmp_path: Path) -> None:
    path = tmp_path / "tiny"
    with pytest.raises(RunError, match="no interrupted run"):
        train(tiny, windows, path, resume=True)

    def stop(name: str, epoch: int, loss: float) -> None:
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        train(tiny, windows, path, report=stop)
    with pytest.raises(RunError, match="another configuration"):
        train(tiny.model_copy(update={"seed": 9}), windows, path, resume=True)
    with pytest.raises(RunError, match="other data"):
        train(tiny, windows.select(np.arange(len(windows) - 1)), path, resume=True)


def test_checkpoints_hold_no_pickled_code(tiny: Experiment, windows: Windows, tmp_path: Path) -> None:
    def stop(epoch: int, loss: float) -> None:
        if epoch == 2:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fit_model(tiny, windows, tmp_path, report=stop)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"] == 0


def test_an_older_run_stays_until_the_new_one_is_whole(tiny: Experiment, windows: Windows, run: Run) -> None:
    before = run.weights_sha256()

    def stop(name: str, epoch: int, loss: float) -> None:
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        train(tiny.model_copy(update={"seed": 8}), windows, run.path, report=stop)
    assert Run.open(run.path).weights_sha256() == before


def test_it_learns_and_shuffled_labels_give_chance(
    tiny: Experiment, windows: Windows, run: Run, tmp_path: Path
) -> None:
    """With shuffled labels nothing is left to learn: accuracy on unseen subjects is at most the share of the commonest class."""
    accuracy = evaluate_run(run, windows)[0]["accuracy"]["value"]
    shuffled = dataclasses.replace(windows, y=np.random.default_rng(0).permutation(windows.y))
    blind = train(tiny, shuffled, tmp_path / "tiny")
    metrics = evaluate_run(blind, shuffled)[0]
    share = np.bincount(shuffled.y).max() / len(shuffled)
    four_sigma = 4 * np.sqrt(share * (1 - share) / metrics["n_windows"])
    assert metrics["accuracy"]["value"] <= share + four_sigma
    assert accuracy > share + four_sigma


def test_cross_validation_scores_every_subject_by_a_model_that_never_saw_it(
    tiny: Experiment, windows: Windows, tmp_path: Path
) -> None:
    config = crossed(tiny, folds=3)
    serial = train(config, windows, tmp_path / "serial")
    parallel = train(config, windows, tmp_path / "parallel", jobs=2)
    assert serial.weights_sha256() == parallel.weights_sha256()
    result = score_run(serial, windows)
    np.testing.assert_array_equal(result.windows.x, windows.x)
    np.testing.assert_array_equal(result.probabilities, score_run(parallel, windows).probabilities)
    for k, fold in enumerate(serial.folds):
        assert not set(fold["train"]) & set(fold["test"])
        rows = np.isin(windows.subject, fold["test"])
        logits = serial.model(k).logits(windows.x[rows])
        np.testing.assert_array_equal(logits.argmax(1), result.probabilities[rows].argmax(1))
    with pytest.raises(RunError, match="score with --split test"):
        score_run(serial, windows, "calibration")


def test_config_from_file_and_stored_config_are_one(tiny_file: Path, run: Run) -> None:
    assert load_config(tiny_file) == run.config
