"""k-means as the start of every fit: the best of several, found on part of the rows where there are many."""

import warnings

import numpy as np

from conv2d.clustering._check import Features
from conv2d.clustering._untyped import ConvergenceWarning, KMeans, SparseRows

# With this many rows a start is as good as it gets: those that compete need no more (Bradley and Fayyad, "Refining
# initial points for k-means clustering", ICML 1998).
START_ROWS = 3_000
# Up to here, all rows cost little.
_MANY_ROWS = 20_000
# On so few rows, a start need not have converged.
START_ITERATIONS = 30


def best_start(
    features: Features | SparseRows, k: int, *, n_init: int, max_iter: int = 300, tol: float = 1e-4, seed: int
) -> KMeans:
    """Return the k-means with the least inertia of `n_init` starts."""
    with warnings.catch_warnings():
        # The caller tells it, for the k that is taken and not for each one tried.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(k, n_init=n_init, max_iter=max_iter, tol=tol, random_state=seed).fit(features)


def start_rows(features: Features, seed: int) -> Features:
    """Return the rows on which starts compete."""
    if len(features) <= _MANY_ROWS:
        return features
    return features[np.random.default_rng(seed).choice(len(features), START_ROWS, replace=False)]
