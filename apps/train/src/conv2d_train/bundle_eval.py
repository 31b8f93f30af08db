"""Scoring a bundle on recordings it never saw, through the same engine that serves it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
    engine = Engine(opened)
    engine.check_channels(windows.channel_mask)
    result = scored(windows, engine.predict(windows.x).probabilities, config.smoothing)
    if predictions is not None:
        save_predictions(result, predictions)
    return figures(result, config.evaluation, config.seed) | {"bundle": opened.id}
