"""Where learning without labels begins: centres spread over the data, drawn from a seed."""

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal._check import check_at_least

Float = NDArray[np.float64]

# A histogram of this many neighbouring steps tells states of codes apart better than one code.
_BLOCK = 20


def shares_of_blocks(counts: Float, n_states: int, seed: int) -> Float:
    """Return probabilities (K, V) from the sums of neighbouring rows of counts (N, V)."""
    edges = np.arange(0, len(counts), min(_BLOCK, max(1, len(counts) // n_states)))
    sums = np.add.reduceat(counts, edges, axis=0) + 1e-3
    share = sums / sums.sum(axis=1, keepdims=True)
    centres = spread_centres(share, n_states, seed) + 0.1 * share.mean(axis=0)
    return centres / centres.sum(axis=1, keepdims=True)


def spread_centres(rows: Float, n_states: int, seed: int) -> Float:
    """Return K centres: drawn far apart (k-means++), then moved by ten rounds of k-means."""
    check_at_least("n_states", n_states, 1)
    if len(rows) < n_states:
        raise ValueError(f"n_states={n_states} is more than the {len(rows)} observations to begin with.")
    rng = np.random.default_rng(seed)
    scale = rows.std(axis=0) + 1e-12
    scaled = rows / scale
    centres = scaled[rng.integers(len(rows), size=1)]
    while len(centres) < n_states:
        apart = ((scaled[:, None, :] - centres) ** 2).sum(axis=2).min(axis=1)
        share = apart / apart.sum() if apart.sum() > 0 else None
        centres = np.concatenate([centres, scaled[rng.choice(len(rows), size=1, p=share)]])
    for _ in range(10):
        nearest = ((scaled[:, None, :] - centres) ** 2).sum(axis=2).argmin(axis=1)
        for k in np.unique(nearest):
            centres[k] = scaled[nearest == k].mean(axis=0)
    return centres * scale
