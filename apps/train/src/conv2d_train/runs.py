"""The folder of one run: what training leaves and every later command reads.

``runs/<name>/`` is whole or absent: training works in ``runs/<name>.partial/`` and renames it at the end.
"""

# torch's and safetensors' own signatures are partly untyped.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from conv2d.data import DataError, Normaliser
from conv2d.features import WindowClassifier
from conv2d_train._errors import ConfigError, RunError
from conv2d_train.config import Experiment, load_resolved

TRAIN_AGAIN = "Train again: conv2d train --config FILE."


def write_text(path: Path, text: str) -> None:
    """Write a file aside, then rename it, so that no reader sees half of it."""
    with renamed(path) as aside:
        aside.write_text(text, encoding="utf-8")


@contextmanager
def renamed(path: Path) -> Generator[Path]:
    """Give a file to write beside ``path``, and rename it once it is whole; what fails leaves nothing behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield aside
        aside.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        aside.unlink(missing_ok=True)


def write_json(path: Path, content: object) -> None:
    """Write JSON with sorted keys, aside and renamed; NaN is refused."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path, *keys: str) -> dict[str, Any]:
    """Read a JSON object of a run that has these keys."""
    again = "Score again: conv2d eval --config FILE." if path.parent.name == "eval" else TRAIN_AGAIN
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise RunError(f"{path}: cannot be read ({why}). {again}") from None
    lacking = [key for key in keys if not isinstance(content, dict) or key not in content]
    if lacking or not isinstance(content, dict):
        raise RunError(f"{path}: is no JSON object with {', '.join(lacking) or 'keys'}. {again}")
    return cast("dict[str, Any]", content)


@dataclass(frozen=True)
class FittedModel:
    """Weights and the normaliser they were trained with."""

    model: WindowClassifier
    normaliser: Normaliser

    def logits(self, x: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return class scores float32 (N, K) of raw windows float32 (N, 9, 2, 100)."""
        return self.outputs(x)[0]

    def outputs(
        self, x: np.ndarray[Any, np.dtype[np.float32]]
    ) -> tuple[np.ndarray[Any, np.dtype[np.float32]], np.ndarray[Any, np.dtype[np.int32]]]:
        """Return class scores float32 (N, K) and codes int32 (N, embedding_dim) of raw windows."""
        self.model.eval()
        with torch.no_grad():
            parts = [
                self.model(torch.from_numpy(self.normaliser.transform(x[i : i + 512]))) for i in range(0, len(x), 512)
            ]
        return torch.cat([p[0] for p in parts]).numpy(), torch.cat([p[1] for p in parts]).numpy()

    def tokens(self, x: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the encoder's scalars float32 (N, embedding_dim, n) of normalised windows."""
        self.model.eval()
        with torch.no_grad():
            return torch.cat(
                [self.model.encoder(torch.from_numpy(x[i : i + 512])) for i in range(0, len(x), 512)]
            ).numpy()


def new_model(config: Experiment, n_classes: int) -> WindowClassifier:
    """Build the untrained model of an experiment."""
    return WindowClassifier(
        n_classes,
        levels=config.fsq.levels,
        embedding_dim=config.fsq.embedding_dim,
        width=config.model.width,
        dropout=config.model.dropout,
        seed=config.seed,
    )


def save_model(folder: Path, fitted: FittedModel) -> None:
    """Write ``model.safetensors`` and ``normaliser.json``; the weights last, as they mark the model as finished."""
    write_json(folder / "normaliser.json", fitted.normaliser.to_dict())
    weights = save({name: value.contiguous() for name, value in fitted.model.state_dict().items()})
    with renamed(folder / "model.safetensors") as aside:
        aside.write_bytes(weights)


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    path : Path
        Its folder.
    config : Experiment
        The resolved experiment.
    label_names : tuple of str
        Class names, in the order of the logits.
    """

    path: Path
    config: Experiment
    label_names: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open a run folder, or a file in it such as ``model.safetensors``."""
        folder = path.parent if path.is_file() else path
        folder = folder if folder.name else folder.resolve()  # "." has no name of its own
        if not (folder / "split.json").is_file():
            hint = (
                f" An interrupted one is in {partial_path(folder)}; finish it with --resume."
                if partial_path(folder).is_dir()
                else ""
            )
            raise RunError(f"{folder}: holds no finished run. Train first: conv2d train --config FILE.{hint}")
        stored = folder / "config.json"
        try:
            config = load_resolved(json.dumps(read_json(stored)), stored)
        except ConfigError as error:
            raise RunError(f"{error} {TRAIN_AGAIN}") from None
        split = read_json(folder / "split.json", "label_names", "folds", "data_sha256")
        return cls(folder, config, tuple(split["label_names"]))

    @property
    def folds(self) -> list[dict[str, Any]]:
        """The folds' subjects: ``train``, ``calibration``, ``test``."""
        return cast("list[dict[str, Any]]", read_json(self.path / "split.json")["folds"])

    def model(self, fold: int | None = None) -> FittedModel:
        """Load the packed model, or that of a fold."""
        folder = self.path if fold is None else self.path / "folds" / str(fold)
        return load_model(folder, self.config, len(self.label_names))

    def weights_sha256(self) -> str:
        """Return the SHA-256 of the packed weights' file."""
        return _sha256(self.path / "model.safetensors")

    def fold_weights_sha256(self) -> list[str]:
        """Return the SHA-256 of each fold's weights, those that are scored."""
        files = [self.path / "folds" / str(k) / "model.safetensors" for k in range(len(self.folds))]
        return [_sha256(file) for file in files]


def _sha256(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise RunError(f"{file}: cannot be read ({error.strerror}). {TRAIN_AGAIN}") from None


def load_model(folder: Path, config: Experiment, n_classes: int) -> FittedModel:
    """Load what :func:`save_model` wrote."""
    file = folder / "normaliser.json"
    try:
        normaliser = Normaliser.from_dict(read_json(file))
    except DataError as error:
        raise RunError(f"{file}: {error} {TRAIN_AGAIN}") from None
    model = new_model(config, n_classes)
    try:
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise RunError(
            f"{folder / 'model.safetensors'}: does not hold this experiment's weights ({error}). Train again."
        ) from None
    return FittedModel(model.eval(), normaliser)


def partial_path(path: Path) -> Path:
    """Return the folder in which a run is being trained."""
    return path.with_name(f"{path.name}.partial")


def replace_folder(source: Path, target: Path) -> None:
    """Move ``source`` to ``target``; an older ``target`` goes only once the new one stands ready."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    source.rename(target)
    shutil.rmtree(old, ignore_errors=True)
