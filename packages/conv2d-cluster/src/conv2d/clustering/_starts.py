"""k-means as the start of every fit: the best of several, found on part of the rows where there are many."""

import warnings

import numpy as np
from numpy.typing import NDArray

from conv2d.clustering._check import Features
from conv2d.clustering._untyped import ConvergenceWarning, KMeans, SparseRows

# With this many rows a start is as good as it gets: those that compete need no more (Bradley and Fayyad, "Refining
# initial points for k-means clustering", ICML 1998).
START_ROWS = 3_000
# Up to here, all rows cost little.
MANY_ROWS = 20_000
# On so few rows, a start need not have converged.
START_ITERATIONS = 30

Floats = NDArray[np.float64]


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
    if len(features) <= MANY_ROWS:
        return features
    return features[np.random.default_rng(seed).choice(len(features), START_ROWS, replace=False)]


def drawn_rows(rows: int, most: int, seed: int) -> NDArray[np.intp] | slice:
    """Return which of the rows to take: all, or so many drawn at random."""
    if rows <= most:
        return slice(None)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def short_starts(rows: Features, k: int, *, n_init: int, n_iter: int, seed: int) -> NDArray[np.intp]:
    """Return the partitions (S, N) of several k-means starts after a few iterations, all worked on at once."""
    squares, n_features = np.einsum("nf,nf->n", rows, rows), rows.shape[1]
    centers = _spread(rows, squares, k, n_init, np.random.default_rng(seed))
    for _ in range(n_iter):
        apart = _apart(rows, squares, centers.reshape(-1, n_features)).reshape(n_init, k, -1)
        member = (apart == apart.min(axis=1, keepdims=True)).astype(np.float64)
        counts = member.sum(axis=2)[..., None]
        means = (member.reshape(n_init * k, -1) @ rows).reshape(n_init, k, -1) / np.maximum(counts, 1.0)
        moved = np.where(counts > 0, means, centers)
        if np.array_equal(moved, centers):
            break
        centers = moved
    return _apart(rows, squares, centers.reshape(-1, n_features)).reshape(n_init, k, -1).argmin(axis=1)


def _spread(rows: Features, squares: Floats, k: int, n_init: int, rng: np.random.Generator) -> Floats:
    """Return seeds (S, k, F) far from each other: the best of a few drawn by squared distance each time.

    This is greedy k-means++ (D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA
    2007).
    """
    trials = 2 + int(np.log(k))
    chosen = [rng.integers(0, len(rows), n_init)]
    nearest = _apart(rows, squares, rows[chosen[0]])
    for _ in range(1, k):
        reach = np.cumsum(nearest, axis=1)
        drawn = rng.random((n_init, trials)) * reach[:, -1:]
        # The last row stands for what rounding puts beyond the end.
        drawn = (reach[:, None, :-1] < drawn[:, :, None]).sum(axis=2)
        apart = _apart(rows, squares, rows[drawn.reshape(-1)]).reshape(n_init, trials, -1)
        apart = np.minimum(apart, nearest[:, None])
        best = apart.sum(axis=2).argmin(axis=1)
        start = np.arange(n_init)
        nearest = apart[start, best]
        chosen.append(drawn[start, best])
    return rows[np.array(chosen).T]


def _apart(rows: Features, squares: Floats, centers: Floats) -> Floats:
    """Return squared distances (C, N)."""
    apart = centers @ rows.T
    apart *= -2.0
    apart += squares
    apart += np.einsum("cf,cf->c", centers, centers)[:, None]
    return np.maximum(apart, 0.0, out=apart)
