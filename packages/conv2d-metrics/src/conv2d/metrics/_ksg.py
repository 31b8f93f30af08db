"""Information between continuous sequences from the distances of nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from ._inputs import FloatArray, IntArray
from ._untyped import scipy


def ksg(x: FloatArray, y: FloatArray, given: FloatArray | None, neighbors: int) -> float:
    """Estimate I(x; y) or I(x; y | given) in nats from samples ``(N, d)`` each; NaN where distances are all 0.

    Kraskov's first algorithm, in Frenzel and Pompe's form when something is given: with the largest of the coordinate
    distances to the k-th neighbour in the joint space, count those strictly nearer in each smaller space.
    """
    parts = [x, y] if given is None else [x, y, given]
    joint = np.concatenate(parts, axis=1)
    distance = cast(FloatArray, scipy("spatial").cKDTree(joint).query(joint, k=[neighbors + 1], p=np.inf)[0])[:, 0]
    if not distance.min() > 0:
        return np.nan
    digamma = cast("Callable[[IntArray | int], FloatArray]", scipy("special").digamma)
    if given is None:
        near = [digamma(_nearer(part, distance) + 1) for part in parts]
        return float(digamma(neighbors) + digamma(len(x)) - np.mean(near[0] + near[1]))
    with_x, with_y = (_nearer(np.concatenate([part, given], axis=1), distance) for part in (x, y))
    near_given = digamma(_nearer(given, distance) + 1)
    return float(digamma(neighbors) + np.mean(near_given - digamma(with_x + 1) - digamma(with_y + 1)))


def _nearer(points: FloatArray, distance: FloatArray) -> IntArray:
    """Count the other points strictly nearer than a distance, for each point ``(N,)``."""
    # A neighbour at exactly that distance must not come in by the rounding of a sum.
    reach = distance - 4 * float(np.spacing(np.abs(points).max()))
    if points.shape[1] == 1:
        value = points[:, 0]
        ordered = value[np.argsort(value)]
        below = np.searchsorted(ordered, value - reach, side="left")
        return np.maximum(0, np.searchsorted(ordered, value + reach, side="right") - below - 1)
    tree = scipy("spatial").cKDTree(points)
    return cast(IntArray, tree.query_ball_point(points, np.maximum(reach, 0), p=np.inf, return_length=True)) - 1


def standardised(values: FloatArray) -> FloatArray:
    """Bring each column to mean 0 and standard deviation 1; a constant one to 0."""
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
