"""From a finished, evaluated run to a bundle."""

# torch's own signatures are partly untyped.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import hashlib
import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from conv2d.data import CHANNELS, Windows
from conv2d.packaging import Bundle, OnnxModel, Samples, create_bundle, export_onnx
from conv2d_train._errors import RunError
from conv2d_train.runs import FittedModel, Run, read_json

N_SAMPLES = 32
STEADY = 1e-4


def pack_run(run: Run, windows: Windows, root: Path) -> Bundle:
    """Export a run's weights and write its bundle.

    Parameters
    ----------
    run : Run
        A finished run whose ``eval/metrics.json`` was computed with these weights.
    windows : Windows
        The run's windows; 32 of the tested subjects' become the bundle's samples.
    root : Path
        The folder of bundles.

    Returns
    -------
    Bundle
        Opened, hence verified.

    Raises
    ------
    RunError
        The run was not evaluated, or its figures belong to other weights.
    """
    metrics_file = run.path / "eval" / "metrics.json"
    if not metrics_file.is_file():
        raise RunError(
            f"{metrics_file}: is missing, and a bundle says how good it is. First: conv2d eval --config FILE."
        )
    metrics = read_json(metrics_file)
    if metrics["weights_sha256"] != run.weights_sha256():
        raise RunError(
            f"{metrics_file}: was computed with other weights than {run.path / 'model.safetensors'}; run eval again."
        )
    fitted = run.model()
    model = export_onnx(fitted.model.eval(), torch.zeros(1, len(CHANNELS), 2, windows.x.shape[-1]))
    tested = windows.of_subjects(sorted({subject for fold in run.folds for subject in fold["test"]}))
    inputs = _samples(fitted, fitted.normaliser.transform(tested.x))
    config = run.config.model_dump(mode="json")
    config["data"]["path"] = None  # a place on one machine; the same model from another folder is the same bundle
    return create_bundle(
        root,
        model=model,
        config=config,
        labels=run.label_names,
        preprocessing={
            "normaliser": fitted.normaliser.to_dict(),
            "sampling_rate": run.config.data.sampling_rate,
            "window": run.config.data.window,
            "hop": run.config.data.hop,
            "channels": list(CHANNELS),
            "devices": list(windows.devices),
            "mag_unit": "earth_field" if run.config.data.source == "dsads" else "uT",
        },
        calibration={
            "temperature": read_json(run.path / "calibration.json")["temperature"],
            "subjects": read_json(run.path / "calibration.json")["subjects"],
            "smoothing": run.config.smoothing.model_dump(mode="json"),
        },
        metrics=metrics | {"model_sha256": hashlib.sha256(model).hexdigest()},
        samples=Samples(inputs, OnnxModel(model).run(inputs)),
        version=version("conv2d-train"),
        commit_sha=_commit(),
    )


def _samples(fitted: FittedModel, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Choose evenly among the windows whose codes stand firm.

    Another processor sums a convolution in another order; a scalar that lies on the edge of a level could then change its
    code there, and a sound bundle would fail its own samples.
    """
    tokens = torch.from_numpy(fitted.tokens(inputs))
    with torch.no_grad():
        below, above = (fitted.model.quantizer(tokens + shift)[1] for shift in (-STEADY, STEADY))
    steady = np.flatnonzero((below == above).all(1).numpy())
    return inputs[steady[np.linspace(0, len(steady) - 1, min(N_SAMPLES, len(steady))).round().astype(np.int64)]]


def _commit() -> str | None:
    """Return the commit of the working tree, with ``-dirty`` where it has changes; None outside of git."""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{head}-dirty" if changed else head
