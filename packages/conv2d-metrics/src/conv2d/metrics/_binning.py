"""The binning core: every binned figure of this wheel comes through here."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ._inputs import FloatArray, IntArray, choice, whole
from ._rows import BLOCK

Scheme = Literal["uniform", "quantile"]
Closed = Literal["right", "left"]

_FEW_EDGES = 100


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

    A bin is the number of inner edges below the value; with few bins counting them beats a binary search.

    ``right``: (lo, hi], the first bin closed at both ends. ``left``: [lo, hi), the last bin closed at both ends.
    """
    choice("closed", closed, ("right", "left"))
    inner = edges[1:-1]
    if len(inner) > _FEW_EDGES:
        return np.searchsorted(inner, values, side="left" if closed == "right" else "right").astype(
            np.int64, copy=False
        )
    index = np.empty(len(values), dtype=np.int64)
    above = np.greater if closed == "right" else np.greater_equal
    for start in range(0, len(values), BLOCK):
        rows = slice(start, start + BLOCK)
        count = np.zeros(len(values[rows]), dtype=np.uint8)
        for edge in inner:
            count += above(values[rows], edge)
        index[rows] = count
    return index
