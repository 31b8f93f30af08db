"""Motifs: groups of windows with like codes, found without labels and numbered so that numbers stay."""

# threadpoolctl ships no types.
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from conv2d.clustering import GMMClusterer, KMeansClusterer
from conv2d.data import Windows
from conv2d.features import encode_fsq
from conv2d_train._errors import RunError
from conv2d_train.config import Experiment
from conv2d_train.runs import FittedModel

MAX_FIT_WINDOWS = 5000


def embed(config: Experiment, fitted: FittedModel, windows: Windows) -> NDArray[np.float64]:
    """Return the embeddings (N, embedding_dim) of windows under a trained encoder."""
    result = encode_fsq(
        fitted.normaliser.transform(windows.x), config.fsq.levels, config.fsq.embedding_dim, encoder=fitted.tokens
    )
    return result.embeddings.astype(np.float64)


def find_motifs(config: Experiment, fitted: FittedModel, windows: Windows) -> dict[str, Any]:
    """Cluster the embeddings of the training windows.

    Parameters
    ----------
    config : Experiment
        Its ``clustering`` section chooses the method and the range of k.
    fitted : FittedModel
        The packed model.
    windows : Windows
        Training windows; of more than 5,000 an even sample is fitted, all are counted.

    Returns
    -------
    dict
        JSON-safe: the fitted clusterer, why this k, and how many windows of each behaviour fall into each motif.
    """
    clustering = config.clustering
    kind = GMMClusterer if clustering.method == "gmm" else KMeansClusterer
    clusterer = kind(
        min_clusters=clustering.min_clusters, max_clusters=clustering.max_clusters, random_state=config.seed
    )
    embeddings = embed(config, fitted, windows)
    sample = np.linspace(0, len(windows) - 1, min(len(windows), MAX_FIT_WINDOWS)).round().astype(np.int64)
    with threadpool_limits(config.training.threads):  # like the weights, sums in BLAS depend on the number of threads
        try:
            clusterer.fit(embeddings[sample])
        except ValueError as error:
            raise RunError(
                f"motifs cannot be found: {error} The range of k is clustering.min_clusters and max_clusters."
            ) from None
        motif = clusterer.predict(embeddings)
    ids = np.unique(motif)
    table = np.array(
        [[int(((motif == m) & (windows.y == k)).sum()) for k in range(len(windows.label_names))] for m in ids]
    )
    return {
        "clusterer": clusterer.to_dict(),
        "motifs": ids.tolist(),
        "label_names": list(windows.label_names),
        "counts": table.tolist(),
        "fitted_windows": len(sample),
    }
