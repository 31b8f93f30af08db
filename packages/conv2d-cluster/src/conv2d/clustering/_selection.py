"""The choice of the number of components, on record."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from conv2d.clustering._check import Table
from conv2d.clustering._components import Components
from conv2d.clustering._untyped import adjusted_rand_score, silhouette_score

Criterion = Literal["bic", "silhouette", "stability"]

# The silhouette costs time and memory in the square of the points; this many, drawn at random, estimate its mean.
_SILHOUETTE_POINTS = 2000
_STABILITY_REFITS = 6


@dataclass(frozen=True, slots=True)
class Candidate:
    """One number of components that was tried.

    Attributes
    ----------
    k : int
        Number of components.
    score : float
        Its value under the criterion.
    """

    k: int
    score: float


@dataclass(frozen=True, slots=True)
class Selection:
    """Which number of components was taken, and why.

    Attributes
    ----------
    k : int
        The number taken.
    criterion : {"given", "bic", "silhouette", "stability", "posterior", "estimator"}
        "given" where the caller fixed k; "bic": lowest Bayesian information criterion; "silhouette": highest mean
        silhouette; "stability": highest mean adjusted Rand index of 6 bootstrap refits with the fit to all points;
        "posterior": the components of a Dirichlet process that hold points; "estimator": a scikit-learn clusterer
        that finds the number itself. Of equal scores the smaller k is taken.
    candidates : tuple of Candidate
        Every number tried, ascending; empty where none were compared.
    reason : str
        One sentence for people.
    """

    k: int
    criterion: Literal["given", "bic", "silhouette", "stability", "posterior", "estimator"]
    candidates: tuple[Candidate, ...]
    reason: str


def mean_silhouette(table: Table, components: Components, seed: int) -> float:
    """Return the mean silhouette of the components, over at most 2,000 points; −1 where all points are in one."""
    size = min(len(table), _SILHOUETTE_POINTS)
    rows = table[np.random.default_rng(seed).choice(len(table), size, replace=False)]
    labels = components.assign(rows)
    found = np.unique(labels).size
    return float(silhouette_score(rows, labels)) if 1 < found < size else -1.0


def bootstrap_stability(table: Table, components: Components, fit: Callable[[Table], Components], seed: int) -> float:
    """Return the mean adjusted Rand index of bootstrap refits with `components`, over all points."""
    rng = np.random.default_rng(seed)
    reference = components.assign(table)
    scores: list[float] = []
    for _ in range(_STABILITY_REFITS):
        refit = fit(table[_drawn(rng, len(table))])
        scores.append(adjusted_rand_score(reference, refit.assign(table)))
    return float(np.mean(scores))


def _drawn(rng: np.random.Generator, rows: int) -> NDArray[np.int64]:
    return rng.integers(0, rows, rows)
