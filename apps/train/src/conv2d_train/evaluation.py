"""Scoring: a run on its held-out subjects, or a bundle on recordings it never saw. Both come out in one form."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conv2d.data import Windows
from conv2d.metrics import TemperatureScaler, evaluate_probabilities
from conv2d.temporal.median import MedianHysteresisPolicy
from conv2d_train._errors import RunError
from conv2d_train.baselines import forest_probabilities, majority_probabilities
from conv2d_train.config import EvaluationConfig, SmoothingConfig
from conv2d_train.runs import Run, read_json, renamed

Part = Literal["train", "calibration", "test"]


@dataclass(frozen=True, eq=False)
class Scored:
    """Windows with what was predicted for them.

    Attributes
    ----------
    windows : Windows
        The scored windows.
    probabilities : ndarray of float32, shape (N, K)
        Calibrated class probabilities.
    smoothed : ndarray of int32, shape (N,)
        Arg-max labels after smoothing along each recording.
    """

    windows: Windows
    probabilities: NDArray[np.float32]
    smoothed: NDArray[np.int32]


def score_run(run: Run, windows: Windows, part: Part = "test") -> Scored:
    """Predict one part of a run's subjects, each by a model and a temperature that never saw its subject.

    Parameters
    ----------
    run : Run
        A finished run.
    windows : Windows
        All windows of the run's data.
    part : {"test", "calibration", "train"}
        ``train`` and ``calibration`` are told apart for holdout runs only.

    Returns
    -------
    Scored
        In the order of the windows.

    Raises
    ------
    RunError
        The part has no subjects.
    """
    temperatures = cast(
        "list[dict[str, Any]]", read_json(run.path / "calibration.json", "fold_temperatures")["fold_temperatures"]
    )
    pieces: list[Windows] = []
    probabilities: list[NDArray[np.float32]] = []
    if part != "test" and run.config.split.kind == "cross_validation":
        raise RunError(f"--split {part}: under cross-validation every subject is tested once; score with --split test.")
    for k, fold in enumerate(run.folds):
        subjects = cast("list[str]", fold[part])
        if not subjects:
            raise RunError(f"--split {part}: the run in {run.path} has no subjects in that part.")
        piece = windows.of_subjects(subjects)
        scaler = TemperatureScaler.from_dict(temperatures[k])
        pieces.append(piece)
        probabilities.append(cast("NDArray[np.float32]", scaler.transform(run.model(k).logits(piece.x))))
    together = windows.of_subjects([subject for piece in pieces for subject in piece.subjects])
    pooled = np.empty((len(together), len(run.label_names)), np.float32)
    for piece, values in zip(pieces, probabilities, strict=True):
        pooled[np.isin(together.subject, piece.subjects)] = values
    return scored(together, pooled, run.config.smoothing)


def scored(windows: Windows, probabilities: NDArray[np.float32], smoothing: SmoothingConfig) -> Scored:
    """Add smoothed labels to predictions."""
    return Scored(windows, probabilities, _smooth(windows, probabilities, smoothing))


def _smooth(windows: Windows, probabilities: NDArray[np.float32], smoothing: SmoothingConfig) -> NDArray[np.int32]:
    labels = probabilities.argmax(1).astype(np.int32)
    if smoothing.method == "none":
        return labels
    policy = MedianHysteresisPolicy(min_dwell=smoothing.min_dwell, window_size=smoothing.window_size)
    smoothed = labels.copy()
    for recording in np.unique(windows.recording):
        rows = np.flatnonzero(windows.recording == recording)
        step = windows.start[rows] // windows.hop  # a dropped window is a hole in the sequence, told as -1
        sequence = np.full(int(step.max()) + 1, -1, np.int32)
        sequence[step] = labels[rows]
        smoothed[rows] = policy.smooth(sequence)[step]
    return smoothed


def figures(result: Scored, config: EvaluationConfig, seed: int) -> dict[str, Any]:
    """Return every figure of scored windows, JSON-safe.

    ``accuracy``, ``macro_f1``, ``ece``, ``nll`` are ``{"value", "low", "high"}`` with intervals by bootstrap over subjects;
    ``smoothed`` repeats accuracy and macro-F1 for the smoothed labels.
    """
    windows = result.windows

    def evaluated(probabilities: NDArray[Any]) -> dict[str, Any]:
        return evaluate_probabilities(
            windows.y,
            probabilities,
            windows.subject,
            label_names=windows.label_names,
            n_resamples=config.resamples,
            confidence=config.confidence,
            seed=seed,
        ).to_dict()

    raw = evaluated(result.probabilities)
    smoothed = evaluated(np.eye(len(windows.label_names))[result.smoothed])  # labels only: no ECE or NLL to tell
    return {**raw, "smoothed": {name: smoothed[name] for name in ("accuracy", "macro_f1")}}


def evaluate_run(run: Run, windows: Windows, part: Part = "test") -> tuple[dict[str, Any], Scored]:
    """Score a run beside its baselines.

    Returns
    -------
    figures : dict
        As :func:`figures`, with ``baselines``, ``split`` and the SHA-256 of the packed weights.
    scored : Scored
        The predictions behind them.
    """
    result = score_run(run, windows, part)
    content = figures(result, run.config.evaluation, run.config.seed)
    content["baselines"] = _baselines(run, windows, part)
    content["split"] = {
        "kind": run.config.split.kind,
        "part": part,
        "folds": len(run.folds),
        "train_subjects": [fold["train"] for fold in run.folds],
        "test_subjects": [fold[part] for fold in run.folds],
        "scored_weights": "one model per fold; the packed weights were refitted on all subjects"
        if run.config.split.kind == "cross_validation"
        else "the packed weights",
    }
    content["weights_sha256"] = run.weights_sha256()
    content["fold_weights_sha256"] = run.fold_weights_sha256()
    return content, result


def _baselines(run: Run, windows: Windows, part: Part) -> dict[str, Any]:
    if part == "train":
        return {}
    majority: list[NDArray[np.float64]] = []
    forest: list[NDArray[np.float64]] = []
    tested: list[Windows] = []
    for fold in run.folds:
        train, test = windows.of_subjects(fold["train"]), windows.of_subjects(fold[part])
        tested.append(test)
        majority.append(majority_probabilities(train, test))
        if run.config.evaluation.strong_baseline == "random_forest":
            forest.append(forest_probabilities(train, test, run.config.seed))
    y = np.concatenate([test.y for test in tested])
    subjects = np.concatenate([test.subject for test in tested])

    def told(parts: list[NDArray[np.float64]]) -> Mapping[str, Any]:
        config = run.config.evaluation
        result = evaluate_probabilities(
            y,
            np.concatenate(parts),
            subjects,
            n_resamples=config.resamples,
            confidence=config.confidence,
            seed=run.config.seed,
        ).to_dict()
        return {name: result[name] for name in ("accuracy", "macro_f1", "ece", "nll")}

    return {"majority": told(majority)} | ({"random_forest": told(forest)} if forest else {})


def predictions_table(result: Scored) -> pl.DataFrame:
    """Return one row per window: subject, recording, start_s, label, predicted, confidence, smoothed and ``p_<label>``."""
    windows, names = result.windows, np.array(result.windows.label_names)
    best = result.probabilities.argmax(1)
    return pl.DataFrame(
        {
            "subject": windows.subject,
            "recording": np.array(windows.recording_names)[windows.recording],
            "start_s": windows.start / windows.rate_hz,
            "label": names[windows.y],
            "predicted": names[best],
            "confidence": result.probabilities.max(1),
            "smoothed": names[result.smoothed],
        }
        | {f"p_{name}": result.probabilities[:, k] for k, name in enumerate(names.tolist())}
    )


def save_predictions(result: Scored, path: Path) -> None:
    """Write :func:`predictions_table` as Parquet, aside and renamed."""
    buffer = io.BytesIO()  # polars tells a full disk as an error of the format
    predictions_table(result).write_parquet(buffer)
    with renamed(path) as aside:
        aside.write_bytes(buffer.getvalue())
