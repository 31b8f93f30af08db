"""The steps of the main job, each leaving its files in the run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from conv2d_train._errors import RunError
from conv2d_train._terminal import console, say
from conv2d_train.config import Experiment
from conv2d_train.evaluation import Part, evaluate_run, save_predictions
from conv2d_train.motifs import find_motifs
from conv2d_train.runs import Run, partial_path, read_json, write_json
from conv2d_train.sources import load_windows
from conv2d_train.training import data_digest, train


def train_run(config: Experiment, path: Path, *, resume: bool = False, jobs: int = 1) -> Run:
    """Load the data, train every model, find the motifs; progress on stderr.

    Parameters
    ----------
    config : Experiment
        The experiment.
    path : Path
        The run folder to make.
    resume : bool
        Go on with an interrupted run.
    jobs : int
        Models trained at once.

    Returns
    -------
    Run
        The finished run.
    """
    windows = load_windows(config.data)
    say(
        f"{config.name}: {len(windows)} windows of {len(windows.subjects)} subjects, {len(windows.label_names)} classes; "
        f"dropped: {windows.dropped}"
    )
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, Any] = {}

        def report(name: str, epoch: int, loss: float) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(f"training {name}", total=config.training.epochs, loss="")
            progress.update(tasks[name], completed=epoch, loss=f"{loss:.3f}")

        try:
            run = train(config, windows, path, resume=resume, jobs=jobs, report=report)
        except KeyboardInterrupt:
            say(
                f"interrupted; finished epochs are kept in {partial_path(path)}. Go on with the same command and --resume."
            )
            raise
    subjects = sorted({subject for fold in run.folds for subject in fold["train"]})
    write_json(path / "motifs.json", find_motifs(config, run.model(), windows.of_subjects(subjects)))
    return run


def evaluate_and_store(run: Run, part: Part, save: bool) -> dict[str, Any]:
    """Score a run and write ``eval/metrics.json`` (for the test part) and, if asked, ``eval/predictions.parquet``."""
    windows = load_windows(run.config.data, label_names=run.label_names)
    if data_digest(windows) != read_json(run.path / "split.json")["data_sha256"]:
        raise RunError(
            f"{run.path}: the recordings are not those it was trained on, so its split says nothing about them. "
            "To score new recordings: conv2d eval --bundle ID --data DIR."
        )
    metrics, result = evaluate_run(run, windows, part)
    if part == "test":
        write_json(run.path / "eval" / "metrics.json", metrics)
    if save:
        name = "predictions.parquet" if part == "test" else f"predictions-{part}.parquet"
        save_predictions(result, run.path / "eval" / name)
    return metrics
