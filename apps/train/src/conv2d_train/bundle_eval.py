"""Scoring a bundle on recordings it never saw, through the same engine that serves it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from conv2d.data import CHANNELS, DataError, Normaliser, Windows
from conv2d.packaging import Bundle, find_bundle
from conv2d_edge import Engine
from conv2d_train.config import Experiment, load_resolved
from conv2d_train.evaluation import figures, save_predictions, scored
from conv2d_train.sources import load_windows


def evaluate_bundle(
    bundle: str, root: Path, data: Path, reader: str | None = None, predictions: Path | None = None
) -> dict[str, Any]:
    """Score a bundle.

    Parameters
    ----------
    bundle : str
        Its id, a unique beginning of it, or its path.
    root : Path
        The folder of bundles, for ids.
    data : Path
        Recordings with labels.
    reader : {"table", "spsw", "dsads", "hapt"}, optional
        Layout of ``data``; by default that of the training data.
    predictions : Path, optional
        Where to write one row per window.

    Returns
    -------
    dict
        As :func:`conv2d_train.evaluation.figures`, with the bundle's id.

    Raises
    ------
    BundleError
        Corrupt or unknown bundle.
    DataError
        Recordings that break the contract, lack a channel that the model uses, or hold a label it does not know.
    """
    opened = Bundle.open(find_bundle(root, bundle))
    config: Experiment = load_resolved(json.dumps(opened.config), opened.path / "config.yaml")
    source = config.data.model_copy(
        update={"source": reader or ("table" if config.data.source == "simulator" else config.data.source)}
    )
    windows = load_windows(source, data, opened.labels)
    _check_channels(opened, windows)
    result = scored(windows, Engine(opened).predict(windows.x).probabilities, config.smoothing)
    if predictions is not None:
        save_predictions(result, predictions)
    return figures(result, config.evaluation, config.seed) | {"bundle": opened.id}


def _check_channels(bundle: Bundle, windows: Windows) -> None:
    """Refuse data that lack a channel the model looks at; further channels are masked by the normaliser."""
    lacking = Normaliser.from_dict(bundle.preprocessing["normaliser"]).channel_mask & ~windows.channel_mask
    if lacking.any():
        names = [f"{windows.devices[d]} {CHANNELS[c]}" for c, d in np.argwhere(lacking).tolist()]
        raise DataError(
            f"the recordings lack {', '.join(names)}, which the bundle {bundle.id[:12]} was trained on; "
            "zeros in their place would be scored as motion. Use recordings with these sensors, or train without them."
        )
