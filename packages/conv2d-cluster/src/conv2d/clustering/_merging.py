"""Minimum support: components that explain too few points join their nearest neighbour."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Merge:
    """One merge of a small group of components into its nearest neighbour.

    Attributes
    ----------
    component, into : int
        First component of the group that was merged and of the one that took it in: positions in
        `component_motifs_`.
    support : int
        Points in the group that was merged.
    into_support : int
        Points in the group that took it in, before.
    distance : float
        Distance between the two, by the clusterer's measure.
    """

    component: int
    into: int
    support: int
    into_support: int
    distance: float


def merge_small(
    support: NDArray[np.intp], least: int, distances: Callable[[], NDArray[np.float64]]
) -> tuple[NDArray[np.intp], tuple[Merge, ...]]:
    """Merge groups of components until each holds at least `least` points, or one group is left.

    The smallest group goes first (of equals, the one with the lowest component number), into the group that has the
    component nearest to one of its own. Parameters of components are left as they are: a motif made of several
    components is their union, so that prediction agrees with the labels to the last point.

    Returns
    -------
    group : (C,) intp
        For each component, the lowest component number of its group.
    merges : tuple of Merge
        In the order in which they were made.
    """
    group = np.arange(support.size)
    merges: list[Merge] = []
    distance: NDArray[np.float64] | None = None
    while group.size:
        heads = np.unique(group)
        sizes = np.bincount(group, weights=support, minlength=support.size)[heads].astype(np.intp)
        smallest = int(sizes.argmin())
        if heads.size == 1 or sizes[smallest] >= least:
            break
        if distance is None:
            distance = distances()
        inside = group == heads[smallest]
        apart = np.where(inside, np.inf, distance[inside].min(axis=0))
        nearest = group[int(apart.argmin())]
        merges.append(
            Merge(
                component=int(heads[smallest]),
                into=int(nearest),
                support=int(sizes[smallest]),
                into_support=int(sizes[np.searchsorted(heads, nearest)]),
                distance=float(apart.min()),
            )
        )
        group[inside | (group == nearest)] = min(int(nearest), int(heads[smallest]))
    return group, tuple(merges)
