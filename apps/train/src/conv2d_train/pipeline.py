"""The steps of the main job, each leaving its files in the run folder."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from conv2d.data import Windows
from conv2d.logging import structured as logs
from conv2d_train._errors import RunError
from conv2d_train._terminal import console, say
from conv2d_train.config import Experiment
from conv2d_train.evaluation import Part, evaluate_run, save_predictions
from conv2d_train.folds import plan_folds
from conv2d_train.runs import Run, partial_path, read_json, write_json
from conv2d_train.sources import load_windows
from conv2d_train.training import data_digest, train


@contextmanager
def _logged(path: Path) -> Generator[None]:
    """Append JSON lines to ``<run>.jsonl``, beside the run folder, as that is replaced as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    logs.setup_logging(name="conv2d.train", output_file=path.with_name(f"{path.name}.jsonl"), console="off")
    try:
        yield
    except OSError:
        raise  # told on the terminal; the disk that failed may be the log's own
    except Exception as error:
        logs.log_exception(error)
        raise
    finally:
        logs.shutdown_logging()


def train_run(config: Experiment, path: Path, *, resume: bool = False, jobs: int = 1) -> Run:
    """Load the data and train the run; progress on stderr, JSON lines beside the run folder.

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
    plan_folds(config, windows)  # what cannot be split is told before anything is written
    with _logged(path):
        logs.log_config(config.model_dump(mode="json"))
        logs.log_seeds(seed=config.seed)
        logs.log_fsq_config(config.fsq.levels, config.fsq.embedding_dim, math.prod(config.fsq.levels))
        dropped = dataclasses.asdict(windows.dropped)
        logs.log_data_processing("windows", len(windows) + sum(dropped.values()), len(windows), **dropped)
        run = _train_with_progress(config, windows, path, resume, jobs)
        motifs = read_json(path / "motifs.json")
        logs.log_clustering(config.clustering.method, len(motifs["motifs"]), motifs["fitted_windows"])
    return run


def _train_with_progress(config: Experiment, windows: Windows, path: Path, resume: bool, jobs: int) -> Run:
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
            logs.log_epoch(epoch, config.training.epochs, model=name, loss=loss)

        try:
            return train(config, windows, path, resume=resume, jobs=jobs, report=report)
        except KeyboardInterrupt:
            say(
                f"interrupted; finished epochs are kept in {partial_path(path)}. "
                "Go on with the same command and --resume."
            )
            raise


def evaluate_and_store(run: Run, part: Part, save: bool) -> dict[str, Any]:
    """Score a run and write ``eval/metrics.json`` (for the test part) and, if asked, ``eval/predictions.parquet``."""
    windows = load_windows(run.config.data, label_names=run.label_names)
    if data_digest(windows) != read_json(run.path / "split.json")["data_sha256"]:
        raise RunError(
            f"{run.path}: the recordings are not those it was trained on, so its split says nothing about them. "
            "To score new recordings: conv2d eval --bundle ID --data DIR."
        )
    with _logged(run.path):
        metrics, result = evaluate_run(run, windows, part)
        logs.log_metrics(part, {name: metrics[name]["value"] for name in ("accuracy", "macro_f1", "ece", "nll")})
    if part == "test":
        write_json(run.path / "eval" / "metrics.json", metrics)
    if save:
        name = "predictions.parquet" if part == "test" else f"predictions-{part}.parquet"
        save_predictions(result, run.path / "eval" / name)
    return metrics
