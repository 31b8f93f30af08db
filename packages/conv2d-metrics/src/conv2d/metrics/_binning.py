"""The binning core: every binned figure of this wheel comes through here."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np

from ._inputs import FloatArray, IntArray, choice, whole
from ._rows import BLOCK

Scheme = Literal["uniform", "quantile"]
Closed = Literal["right", "left"]

_NEAR = 1e-9
"""In bins: far more than the rounding of a product or an edge, far less than the distance of two edges."""


@cache
def _uniform(n_bins: int) -> FloatArray:
    """Edges of equal width, one array for all that ask, not to be written to."""
    levels = np.linspace(0.0, 1.0, n_bins + 1)
    levels.setflags(write=False)
    return levels


def bin_edges(values: FloatArray, n_bins: int, scheme: Scheme) -> FloatArray:
    """Edges ``(B + 1,)`` of equal width on [0, 1], or of equal mass.

    Equal-mass edges are the distinct type-7 quantiles of the values, so tied values never part: edges that coincide
    merge, and a constant confidence makes a single bin.
    """
    whole("n_bins", n_bins, 1)
    choice("scheme", scheme, ("uniform", "quantile"))
    levels = _uniform(n_bins)
    if scheme == "uniform" or not values.size:
        return levels
    edges = np.unique(np.quantile(values, levels))
    return edges if edges.size > 1 else np.repeat(edges, 2)


def bin_index(values: FloatArray, edges: FloatArray, closed: Closed) -> IntArray:
    """Find the bin of each value, by comparison with the edges themselves (multiplying rounds).

    ``right``: (lo, hi], the first bin closed at both ends. ``left``: [lo, hi), the last bin closed at both ends.
    Of equal-width bins a multiplication tells which, unless the value lies so near an inner edge that rounding could
    matter; only such values are compared.
    """
    choice("closed", closed, ("right", "left"))
    inner, n_bins = edges[1:-1], len(edges) - 1
    side = "left" if closed == "right" else "right"
    if edges is not _uniform(n_bins) and not np.array_equal(edges, _uniform(n_bins)):
        return np.searchsorted(inner, values, side=side).astype(np.int64, copy=False)
    index = np.empty(len(values), dtype=np.int64)
    for start in range(0, len(values), BLOCK):
        rows = slice(start, start + BLOCK)
        place = values[rows] * n_bins
        whole_bins = place.astype(np.int32)
        place -= whole_bins
        place -= 0.5
        np.abs(place, out=place)
        index[rows] = np.minimum(whole_bins, n_bins - 1)
        near = start + np.flatnonzero(place > 0.5 - _NEAR)
        # Values near 0 and 1 are in the first and last bin on either side of the edge.
        near = near[(values[near] > 0.5 / n_bins) & (values[near] < 1 - 0.5 / n_bins)]
        index[near] = np.searchsorted(inner, values[near], side=side)
    return index
