"""k-means motifs."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.clustering._check import Features, Labels, Table, check_count, check_positive
from conv2d.clustering._components import Scored, blocks
from conv2d.clustering._continuing import ContinuingClusterer
from conv2d.clustering._fitted import named
from conv2d.clustering._matching import Measure
from conv2d.clustering._selection import Criterion
from conv2d.clustering._starts import START_ITERATIONS, best_start, drawn_rows, start_rows
from conv2d.clustering._untyped import (
    ConvergenceWarning,
    KMeans,
    pairwise_distances,
)

_MINI_BATCH = 8192


@dataclass(frozen=True, slots=True, eq=False)
class Centroids(Scored):
    """Components of k-means: a row belongs to the nearest centroid."""

    centers: NDArray[np.float64]
    counts: NDArray[np.float64]  # points that each centroid is the mean of

    per_component: ClassVar[tuple[str, ...]] = ("centers", "counts")

    def assign(self, table: Table) -> NDArray[np.intp]:
        """Return the nearest centroid of each row."""
        nearness = self.nearness()
        return np.concatenate([nearness(table[at]).argmax(axis=0) for at in blocks(len(table))])

    def nearness(self) -> Callable[[Features], NDArray[np.float64]]:
        """Return the function from rows (N, F) to the squared norm less the squared distance to centroids, (C, N)."""
        # Far from nought the norm would swallow the distance, so the rows are shifted to where the centroids are.
        shift = self.centers.mean(axis=0)
        centers = self.centers - shift
        norms = (centers**2).sum(axis=1)[:, None]
        return lambda rows: (2 * centers) @ (rows - shift).T - norms

    def distances(self) -> NDArray[np.float64]:
        """Return the Euclidean distances of the centroids, (C, C)."""
        return pairwise_distances(self.centers)

    def loss(self, table: Table) -> float:
        """Return the mean squared distance to the centroid."""
        nearness, shift, total = self.nearness(), self.centers.mean(axis=0), 0.0
        for at in blocks(len(table)):
            total += float(((table[at] - shift) ** 2).sum() - nearness(table[at]).max(axis=0).sum())
        return total / len(table)

    def updated(self, table: Features, assigned: NDArray[np.intp]) -> "Centroids":
        """Return the centroids as means of the rows before and of these too."""
        here = np.bincount(assigned, minlength=len(self.counts))
        counts = self.counts + here
        moved = (assigned == np.arange(len(here))[:, None]) @ (table - self.centers[assigned])
        return replace(self, centers=self.centers + moved / np.maximum(counts, 1)[:, None], counts=counts)


class KMeansClusterer(ContinuingClusterer[Centroids]):
    """k-means whose motif ids do not change from one fit to the next.

    Parameters
    ----------
    min_clusters, max_clusters : int
        Range in which k is chosen when `fit` is not given one. At least 2 clusters are tried.
    criterion : {"silhouette", "stability"}
        How k is chosen: by the highest mean silhouette [1]_, over at most 2,000 points drawn with `random_state`; or
        by the highest mean adjusted Rand index of 6 bootstrap refits with the fit to all points.
    min_support : float
        Fraction of the points that a motif must hold, ``0 <= min_support < 1``. A smaller one is merged into the motif
        with the nearest centroid (Euclidean), the smallest first, until none is left.
    matching : {"overlap", "iou", "centroid"}
        How motifs are matched to earlier labels; see `match_labels`.
    prior_margin : float
        Earlier motifs go on if that gives up at most this share of what a fresh fit gains over one component for all
        points, ``0 <= prior_margin < 1``; see `Continuation`.
    n_init : int
        Number of starts; the one with the least inertia is kept. Above 20,000 rows the starts compete on 3,000,
        drawn at random, and the best goes on with all rows.
    max_iter : int
        Iterations of the best start.
    tol : float
        Relative movement of the centroids at which the fit has converged; 0: when no point changes its centroid.
    max_fit_points : int
        With more rows than this, so many are drawn at random and fitted; the others move the centroids in mini-batches
        of 8,192 rows, as with `partial_fit`.
    random_state : int
        Seed; the same seed gives the same result.

    Attributes
    ----------
    cluster_centers_ : float64, shape (C, F)
        Centroids, by motif id.

    The others are those of `MotifClusterer`.

    References
    ----------
    .. [1] P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster analysis",
       J. Computational and Applied Mathematics 20, 1987.

    Examples
    --------
    >>> features = [[0.0], [0.1], [0.2], [5.0], [5.1]]
    >>> KMeansClusterer().fit_predict(features, k=2)
    array([0, 0, 0, 1, 1], dtype=int32)
    >>> KMeansClusterer().fit_predict(features, k=2, prior_labels=[3, 3, 3, 1, 1])
    array([3, 3, 3, 1, 1], dtype=int32)
    """

    labels_: Labels

    _component_type = Centroids
    _criteria: ClassVar[tuple[Criterion, ...]] = ("silhouette", "stability")

    def __init__(
        self,
        *,
        min_clusters: int = 3,
        max_clusters: int = 10,
        criterion: Criterion = "silhouette",
        min_support: float = 0.0,
        matching: Measure = "overlap",
        prior_margin: float = 0.05,
        n_init: int = 4,
        max_iter: int = 1000,
        tol: float = 0.0,
        max_fit_points: int = 200_000,
        random_state: int = 0,
    ) -> None:
        self.min_clusters = min_clusters
        self.max_clusters = max_clusters
        self.criterion: Criterion = criterion
        self.min_support = min_support
        self.matching: Measure = matching
        self.prior_margin = prior_margin
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.max_fit_points = max_fit_points
        self.random_state = random_state

    @property
    def cluster_centers_(self) -> NDArray[np.float64]:
        """Centroids, float64 (C, F), by motif id."""
        return self._components.centers

    def partial_fit(self, features: ArrayLike, y: object = None, *, k: int | None = None) -> Self:
        """Learn from one batch after another, so that the data need not be in memory at once.

        The first batch is fitted as a whole (on a clusterer that was fitted before, `fit` was the first batch). Each
        later one moves every centroid to the mean of all points it was given so far [1]_. Ids never change.

        Parameters
        ----------
        features : float32 or float64, shape (N, F)
            The rows of this batch, finite.
        y : object
            Ignored; here so that scikit-learn pipelines can call it.
        k : int, optional
            Number of components, taken from the first batch and ignored with the later ones; chosen when absent.

        Returns
        -------
        self
            The clusterer; `labels_` are those of this batch.

        Raises
        ------
        ValueError
            As for `fit`. The first batch must hold enough distinct points.

        References
        ----------
        .. [1] D. Sculley, "Web-scale k-means clustering", WWW 2010.

        Examples
        --------
        >>> model = KMeansClusterer().partial_fit([[0.0], [1.0], [10.0]], k=2)
        >>> model.partial_fit([[2.0], [12.0]]).cluster_centers_.tolist()
        [[1.0], [11.0]]
        """
        if not hasattr(self, "_components"):
            return self.fit(features, k=k)
        table = self._checked(features, reset=False)
        self._components = self._components.updated(table, self._components.assign(table))
        self.labels_ = named(self.component_motifs_, self._components.assign(table))
        if self._call is not None:
            self._call["rows"].append(len(table))
        return self

    def _check_parameters(self) -> None:
        check_count("n_init", self.n_init)
        check_count("max_iter", self.max_iter)
        if self.tol != 0:
            check_positive("tol", self.tol)

    def _learnt_rows(self, rows: int) -> slice:
        return slice(None)

    def _grouping(self, table: Features) -> "_MeansRows":
        return _MeansRows(table)

    def _fit_components(self, table: Features, k: int) -> Centroids:
        rows, seed = start_rows(table, self.random_state), self.random_state
        start = best_start(rows, k, n_init=self.n_init, max_iter=START_ITERATIONS, seed=seed).cluster_centers_
        drawn = drawn_rows(len(table), self.max_fit_points, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # `converged` tells it
            model = KMeans(
                k,
                init=start,
                max_iter=self.max_iter,
                tol=self.tol,
                # It finds what Lloyd's does, and its last iterations, which change little, cost little.
                algorithm="elkan" if k > 1 else "lloyd",
                random_state=seed,
            ).fit(table[drawn])
        counts = np.bincount(model.labels_, minlength=k).astype(np.float64)
        found = Centroids(model.n_iter_, model.n_iter_ < self.max_iter, model.cluster_centers_, counts)
        rest = np.delete(np.arange(len(table)), drawn)
        for at in range(0, len(rest), _MINI_BATCH):
            batch = table[rest[at : at + _MINI_BATCH]]
            found = found.updated(batch, found.assign(batch))
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _MeansRows:
    """Rows grouped about their means."""

    table: Features

    def estimated(self, labels: NDArray[np.intp], k: int) -> Centroids:
        """Return the means of the groups 0 … k - 1 of rows; rows in group −1 are left out."""
        return self._means(lambda at: labels[at], k)

    def reassigned(self, components: Centroids) -> tuple[NDArray[np.intp], Centroids]:
        """Return the nearest centroid of each row, and the means of the groups that this makes."""
        nearness, labels = components.nearness(), np.empty(len(self.table), dtype=np.intp)

        def nearest(at: slice) -> NDArray[np.intp]:
            labels[at] = nearness(self.table[at]).argmax(axis=0)
            return labels[at]

        return labels, self._means(nearest, len(components.counts))

    def _means(self, labels: Callable[[slice], NDArray[np.intp]], k: int) -> Centroids:
        group, counts, sums = np.arange(k)[:, None], np.zeros(k), np.zeros((k, self.table.shape[1]))
        shift = self.table[0]
        for at in blocks(len(self.table)):
            member = (labels(at) == group).astype(np.float64)
            counts += member.sum(axis=1)
            sums += member @ (self.table[at] - shift)
        return Centroids(0, True, shift + sums / np.maximum(counts, 1.0)[:, None], counts)
