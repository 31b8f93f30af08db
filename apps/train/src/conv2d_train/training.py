"""Training: Lightning for one model, and the loop over the plan's models that can be stopped and resumed."""

# torch's own signatures are partly untyped.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import hashlib
import logging
import math
import multiprocessing
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from conv2d.data import Normaliser, Windows
from conv2d.metrics import TemperatureScaler
from conv2d_train._errors import RunError
from conv2d_train.augment import augment
from conv2d_train.config import Experiment
from conv2d_train.folds import plan_folds
from conv2d_train.motifs import find_motifs
from conv2d_train.runs import (
    FittedModel,
    Run,
    load_model,
    new_model,
    partial_path,
    read_json,
    renamed,
    replace_folder,
    save_model,
    write_json,
    write_text,
)


class _Batches:
    """Shuffled batches of tensors in memory; the order depends on seed and epoch alone, so a resumed run sees the same."""

    def __init__(self, x: Tensor, y: Tensor, batch_size: int, seed: int) -> None:
        self.x, self.y, self.batch_size, self.seed, self.epoch = x, y, batch_size, seed, 0

    def __len__(self) -> int:
        return max(1, len(self.x) // self.batch_size)  # the ragged rest waits for another epoch's order

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        torch.manual_seed(_derived_seed(self.seed, self.epoch))  # of shuffling, augmentation and dropout
        for index in torch.randperm(len(self.x))[: len(self) * self.batch_size].split(self.batch_size):
            yield self.x[index], self.y[index]


def _derived_seed(*parts: int) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:6], "big")


class _Training(lightning.LightningModule):
    def __init__(self, config: Experiment, n_classes: int, n_batches: int) -> None:
        super().__init__()
        self.config, self.n_batches = config, n_batches
        self.model = new_model(config, n_classes)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        logits, _ = self.model(augment(x, self.config.training.augment))
        loss = nn.functional.cross_entropy(logits, y)
        self.log("loss", loss, prog_bar=True, on_step=False, on_epoch=True, batch_size=len(x))
        return loss

    def configure_optimizers(self) -> Any:
        training = self.config.training
        optimizer = torch.optim.AdamW(self.parameters(), training.learning_rate, weight_decay=training.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, training.learning_rate, total_steps=training.epochs * self.n_batches
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Epochs(Callback):
    """Tells the batches which epoch it is and the caller what each epoch gave; keeps a checkpoint of the last one.

    Lightning's own checkpoint is copied over the last one when its temporary folder lies on another disk, so a full disk or a
    kill would leave half of it; this one is renamed.
    """

    def __init__(self, batches: _Batches, last: Path, report: Callable[[int, float], None]) -> None:
        self.batches, self.last, self.report = batches, last, report

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.batches.epoch = trainer.current_epoch

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        loss = float(trainer.callback_metrics["loss"])
        if not math.isfinite(loss):
            raise RunError(
                f"training diverged: the loss of epoch {trainer.current_epoch + 1} is {loss}. Lower training.learning_rate, or "
                "look for values out of range: conv2d data describe DIR."
            )
        self.report(trainer.current_epoch + 1, loss)
        with renamed(self.last) as aside:
            trainer.save_checkpoint(aside)


def fit_model(
    config: Experiment,
    windows: Windows,
    folder: Path,
    *,
    progress: bool = False,
    report: Callable[[int, float], None] = lambda epoch, loss: None,
) -> FittedModel:
    """Train one model on all the given windows, or finish the one that was begun in ``folder``.

    Parameters
    ----------
    config : Experiment
        Model, training and seed.
    windows : Windows
        Training windows only: the normaliser is fitted on them too.
    folder : Path
        Where the checkpoint of every epoch and, at the end, the model is written.
    progress : bool
        Show Lightning's progress bar.
    report : callable
        Called with (epoch, mean loss) after each epoch.

    Returns
    -------
    FittedModel
        The same weights whether or not training was interrupted on the way.
    """
    if (folder / "model.safetensors").is_file():
        return load_model(folder, config, len(windows.label_names))
    torch.set_num_threads(config.training.threads)
    torch.use_deterministic_algorithms(True)
    normaliser = Normaliser.fit(windows, kind=config.data.normaliser)
    x, y = torch.from_numpy(normaliser.transform(windows.x)), torch.from_numpy(windows.y.astype(np.int64))
    batches = _Batches(x, y, min(config.training.batch_size, len(x)), config.seed)
    module = _Training(config, len(windows.label_names), len(batches))
    last = folder / "last.ckpt"
    with warnings.catch_warnings():
        # Advice on worker processes and log intervals, for data that lies in memory already.
        warnings.filterwarnings("ignore", module="lightning")
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        trainer = lightning.Trainer(
            max_epochs=config.training.epochs,
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_progress_bar=progress,
            enable_model_summary=False,
            enable_checkpointing=False,
            use_distributed_sampler=False,
            callbacks=[_Epochs(batches, last, report)],
        )
        interrupt = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(module, batches, ckpt_path=str(last) if last.is_file() else None, weights_only=True)
        except SystemExit:  # Lightning turns Ctrl-C into exit(1) and leaves the signal ignored
            signal.signal(signal.SIGINT, interrupt)
            raise KeyboardInterrupt from None
    fitted = FittedModel(module.model.eval(), normaliser)
    save_model(folder, fitted)
    last.unlink(missing_ok=True)
    return fitted


@dataclass(frozen=True)
class _Job:
    name: str
    folder: Path
    subjects: tuple[str, ...]
    held_out: tuple[str, ...]


def train(
    config: Experiment,
    windows: Windows,
    path: Path,
    *,
    resume: bool = False,
    jobs: int = 1,
    progress: bool = False,
    report: Callable[[str, int, float], None] = lambda name, epoch, loss: None,
) -> Run:
    """Train every model of the experiment's plan, fit temperature and motifs; leave a run folder.

    Parameters
    ----------
    config : Experiment
        The experiment.
    windows : Windows
        All windows, of all subjects.
    path : Path
        The run folder to make; an existing one is replaced once the new one is whole.
    resume : bool
        Go on with an interrupted run of the same experiment.
    jobs : int
        Models trained at once, in processes of their own. The weights do not depend on it.
    progress : bool
        Show a progress bar (with ``jobs=1``).
    report : callable
        Called with (model name, epoch, loss).

    Returns
    -------
    Run
        The finished run.

    Raises
    ------
    RunError
        ``resume`` with nothing to resume, or with another configuration or other data.
    KeyboardInterrupt
        Passed on; the partial run can be resumed.
    """
    plan = plan_folds(config, windows)
    split = {
        "kind": config.split.kind,
        "label_names": list(windows.label_names),
        "folds": [{"train": f.train, "calibration": f.calibration, "test": f.test} for f in plan.folds],
        "refit": list(plan.refit),
        "n_windows": len(windows),
        "data_sha256": data_digest(windows),
    }
    partial = partial_path(path)
    _prepare(partial, config, split, resume)
    work = [
        _Job(f"fold {k + 1}/{len(plan.folds)}", partial / "folds" / str(k), f.train, (*f.calibration, *f.test))
        for k, f in enumerate(plan.folds)
    ]
    if plan.refit:
        work.append(_Job("final", partial, plan.refit, ()))
    _train_all(work, config, windows, jobs, progress, report)
    if not plan.refit:
        save_model(partial, load_model(work[0].folder, config, len(windows.label_names)))
    write_json(partial / "calibration.json", _calibration(config, windows, plan.folds, partial))
    trained = windows.of_subjects(sorted({subject for fold in plan.folds for subject in fold.train}))
    write_json(
        partial / "motifs.json", find_motifs(config, load_model(partial, config, len(windows.label_names)), trained)
    )
    write_json(partial / "split.json", split)
    (partial / "begun.json").unlink()
    replace_folder(partial, path)
    return Run.open(path)


def _prepare(partial: Path, config: Experiment, split: dict[str, Any], resume: bool) -> None:
    begun = {"config": config.digest(), "data": split["data_sha256"]}
    if resume:
        if not (partial / "begun.json").is_file():
            raise RunError(f"{partial}: there is no interrupted run to resume. Train without --resume.")
        if read_json(partial / "begun.json") != begun:
            raise RunError(
                f"{partial}: was begun with another configuration or other data, so going on would mix two experiments. "
                "Use the same --config, --set and --data, or train without --resume to start afresh."
            )
        return
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write_text(partial / "config.json", config.model_dump_json(indent=2) + "\n")
    write_json(partial / "begun.json", begun)


def data_digest(windows: Windows) -> str:
    """Return a SHA-256 of the windows, their labels and their places."""
    digest = hashlib.sha256(
        repr((windows.label_names, windows.recording_subjects, windows.hop, windows.rate_hz)).encode()
    )
    for array in (windows.x, windows.y, windows.recording, windows.start):
        digest.update(array.tobytes())
    return digest.hexdigest()


def _train_all(
    work: list[_Job],
    config: Experiment,
    windows: Windows,
    jobs: int,
    progress: bool,
    report: Callable[[str, int, float], None],
) -> None:
    if jobs == 1 or len(work) == 1:
        for job in work:
            fit_model(
                config,
                windows.of_subjects(job.subjects),
                job.folder,
                progress=progress,
                report=lambda epoch, loss, job=job: report(job.name, epoch, loss),
            )
        return
    # spawn: a forked child would inherit torch's thread pool in an unknown state
    with ProcessPoolExecutor(min(jobs, len(work)), mp_context=multiprocessing.get_context("spawn")) as pool:
        running = {
            pool.submit(_fit_in_child, config, windows.of_subjects(job.subjects), job.folder): job for job in work
        }
        for done in as_completed(running):
            report(running[done].name, config.training.epochs, done.result())


def _fit_in_child(config: Experiment, windows: Windows, folder: Path) -> float:
    losses = [float("nan")]
    fit_model(config, windows, folder, report=lambda epoch, loss: losses.append(loss))
    return losses[-1]


def _calibration(config: Experiment, windows: Windows, folds: tuple[Any, ...], partial: Path) -> dict[str, Any]:
    """Fit temperatures on subjects that the scaled model is not tested on.

    Holdout: on the calibration subjects. Cross-validation: the packed model's on all held-out scores, and for scoring a
    fold on the held-out scores of the other folds, so that no temperature has seen the subjects it is judged by.
    """
    n_classes = len(windows.label_names)
    models = [load_model(partial / "folds" / str(k), config, n_classes) for k in range(len(folds))]
    if config.split.kind == "holdout":
        held = windows.of_subjects(folds[0].calibration)
        scaler = TemperatureScaler().fit(models[0].logits(held.x), held.y)
        return {
            "temperature": scaler.to_dict(),
            "fold_temperatures": [scaler.to_dict()],
            "subjects": list(folds[0].calibration),
        }
    parts = [windows.of_subjects(fold.test) for fold in folds]
    logits = [model.logits(part.x) for model, part in zip(models, parts, strict=True)]
    labels = [part.y for part in parts]

    def fitted(skip: int | None) -> dict[str, Any]:
        kept = [k for k in range(len(folds)) if k != skip]
        scaler = TemperatureScaler().fit(
            np.concatenate([logits[k] for k in kept]), np.concatenate([labels[k] for k in kept])
        )
        return scaler.to_dict()

    return {
        "temperature": fitted(None),
        "fold_temperatures": [fitted(k) for k in range(len(folds))],
        "subjects": list(windows.subjects),
    }
