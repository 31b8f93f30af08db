"""From a finished, evaluated run to a bundle."""

# torch's own signatures are partly untyped.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from conv2d.data import CHANNELS, Windows
from conv2d.packaging import Bundle, Gates, OnnxModel, Samples, create_bundle, export_onnx
from conv2d.packaging.targets import Target
from conv2d_train._errors import RunError
from conv2d_train.config import GatesConfig
from conv2d_train.runs import FittedModel, Run, read_json

N_SAMPLES = 32
N_CALIBRATION = 1024
N_JUDGED = 2500
N_PARITY = 2048
STEADY = 1e-4
DEFAULT_GATES = GatesConfig()
NO_WAIVERS: Mapping[str, str] = {}


def pack_run(
    run: Run,
    windows: Windows,
    root: Path,
    *,
    gates: GatesConfig = DEFAULT_GATES,
    waivers: Mapping[str, str] = NO_WAIVERS,
    targets: Sequence[str | Target] = ("onnx",),
    name: str | None = None,
    sign_key: Path | None = None,
) -> Bundle:
    """Export a run's weights and write its bundle.

    Parameters
    ----------
    run : Run
        A finished run whose ``eval/metrics.json`` was computed with these weights.
    windows : Windows
        The run's windows; 32 of the tested subjects' become the bundle's samples.
    root : Path
        The folder of bundles.
    gates : GatesConfig
        The limits to keep.
    waivers : mapping of str to str
        Gates that need not be kept, each with the reason.
    targets : sequence of str or Target
        What to build beside the float ONNX model.
    name : str, optional
        The bundle's name; by default the experiment's.
    sign_key : Path, optional
        PEM file of the private key to sign with.

    Returns
    -------
    Bundle
        Opened, hence verified.

    Raises
    ------
    RunError
        The run was not evaluated, or its figures belong to other weights.
    GateError
        A gate fails without a waiver.
    """
    metrics = _metrics(run)
    fitted_on = read_json(run.path / "calibration.json", "temperature", "subjects")
    fitted = run.model()
    tested = windows.of_subjects(sorted({subject for fold in run.folds for subject in fold["test"]}))
    trained = windows.of_subjects(sorted({subject for fold in run.folds for subject in fold["train"]}))
    picked = _picks(len(tested), N_JUDGED)
    test_windows, calibration_windows = (
        fitted.normaliser.transform(x) for x in (tested.x[picked], trained.x[_picks(len(trained), N_CALIBRATION)])
    )
    firm = test_windows[_steady(fitted, test_windows)]
    model = export_onnx(
        fitted.model.eval(), torch.zeros(1, len(CHANNELS), 2, windows.x.shape[-1]), windows=_for_parity(fitted, firm)
    )
    inputs = firm[_picks(len(firm), N_SAMPLES)]
    config = run.config.model_dump(mode="json") | {"gates": gates.model_dump(mode="json")}
    config["data"]["path"] = None  # a place on one machine; the same model from another folder is the same bundle
    sha256 = hashlib.sha256(model).hexdigest()
    refitted = run.config.split.kind == "cross_validation"
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
            "temperature": fitted_on["temperature"],
            "subjects": fitted_on["subjects"],
            "smoothing": run.config.smoothing.model_dump(mode="json"),
        },
        metrics=metrics | {"refitted_model_sha256" if refitted else "model_sha256": sha256},
        samples=Samples(inputs, OnnxModel(model).run(inputs)),
        version=version("conv2d-train"),
        commit_sha=_commit(),
        name=name or run.config.name,
        gates=Gates(**gates.model_dump()),
        waivers=waivers,
        targets=targets,
        calibration_windows=calibration_windows,
        test_windows=test_windows,
        test_labels=tested.y[picked].astype(np.int32),
        sign_key=sign_key,
    )


def _metrics(run: Run) -> dict[str, Any]:
    """Return the run's figures when they are of these very weights, and of these folds."""
    file = run.path / "eval" / "metrics.json"
    if not file.is_file():
        raise RunError(f"{file}: is missing, and a bundle says how good it is. First: conv2d eval --config FILE.")
    metrics = read_json(file)
    scored = run.fold_weights_sha256()
    if run.config.split.kind == "holdout" and scored != [run.weights_sha256()]:
        raise RunError(f"{run.path}: the packed weights are not those that were scored; train and eval again.")
    if metrics.get("weights_sha256") != run.weights_sha256() or metrics.get("fold_weights_sha256") != scored:
        raise RunError(
            f"{file}: was computed with other weights than {run.path / 'model.safetensors'}; run eval again."
        )
    return metrics


def _picks(count: int, most: int) -> NDArray[np.int64]:
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def _steady(fitted: FittedModel, inputs: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell which windows' codes stand firm.

    Another processor sums a convolution in another order; a scalar that lies on the edge of a level could then change its
    code there, and a sound bundle would fail its own samples.
    """
    tokens = torch.from_numpy(fitted.tokens(inputs))
    with torch.no_grad():
        below, above = (fitted.model.quantizer(tokens + shift)[1] for shift in (-STEADY, STEADY))
    return (below == above).all(1).numpy()


def _for_parity(fitted: FittedModel, firm: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return at least ``N_PARITY`` windows whose codes stand firm: recorded ones, then noise where these are too few."""
    rng = np.random.default_rng(0)
    while len(firm) < N_PARITY:
        noise = rng.standard_normal((N_PARITY, *firm.shape[1:]), np.float32)
        kept = noise[_steady(fitted, noise)]
        if len(kept) == 0:
            raise RunError("the model's codes change under the smallest disturbance on every window; train it again.")
        firm = np.concatenate([firm, kept])
    return np.ascontiguousarray(firm)


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
