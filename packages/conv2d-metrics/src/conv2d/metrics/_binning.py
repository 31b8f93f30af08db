"""The binning core: every binned figure of this wheel comes through here."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ._inputs import FloatArray, IntArray, choice, whole

Scheme = Literal["uniform", "quantile"]
Closed = Literal["right", "left"]


def bin_edges(values: FloatArray, n_bins: int, scheme: Scheme) -> FloatArray:
    """Edges ``(B + 1,)`` of equal width on [0, 1], or of equal mass.

    Equal-mass edges are the distinct type-7 quantiles of the values, so tied values never part: edges that coincide
    merge, and a constant confidence makes a single bin.
    """
    whole("n_bins", n_bins, 1)
    choice("scheme", scheme, ("uniform", "quantile"))
    levels = np.linspace(0.0, 1.0, n_bins + 1)
    if scheme == "uniform" or not values.size:
        return levels
    edges = np.unique(np.quantile(values, levels))
    return edges if edges.size > 1 else np.repeat(edges, 2)


def bin_index(values: FloatArray, edges: FloatArray, closed: Closed) -> IntArray:
    """Find the bin of each value, by comparison with the edges themselves (never by multiplying, which rounds).

    ``right``: (lo, hi], the first bin closed at both ends. ``left``: [lo, hi), the last bin closed at both ends.
    """
    choice("closed", closed, ("right", "left"))
    side = "left" if closed == "right" else "right"
    index = np.searchsorted(edges, values, side=side) - 1
    return np.clip(index, 0, len(edges) - 2).astype(np.int64, copy=False)
