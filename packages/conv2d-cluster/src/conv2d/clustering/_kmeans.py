"""k-means motifs."""

import warnings
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from conv2d.clustering._base import Components, MotifClusterer
from conv2d.clustering._check import Features, check_count
from conv2d.clustering._untyped import (
    ConvergenceWarning,
    KMeans,
    pairwise_distances,
    pairwise_distances_argmin,
    silhouette_score,
)

# The silhouette costs time and memory in the square of the points; this many, drawn at random, estimate its mean.
_SILHOUETTE_POINTS = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Centroids:
    """Components of k-means: a row belongs to the nearest centroid."""

    centers: NDArray[np.float64]
    n_iter: int
    converged: bool

    def assign(self, features: Features) -> NDArray[np.intp]:
        """Return the nearest centroid of each row."""
        return pairwise_distances_argmin(features, self.centers)

    def distances(self) -> NDArray[np.float64]:
        """Return the Euclidean distances of the centroids, (C, C)."""
        return pairwise_distances(self.centers)

    def permuted(self, order: NDArray[np.intp]) -> "Centroids":
        """Return the centroids in another order."""
        return replace(self, centers=self.centers[order])

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as JSON values."""
        return {"centers": self.centers.tolist(), "n_iter": self.n_iter, "converged": self.converged}


class KMeansClusterer(MotifClusterer):
    """k-means whose motif ids do not change from one fit to the next.

    Parameters
    ----------
    min_clusters, max_clusters : int
        Range in which k is chosen when `fit` is not given one: by the highest mean silhouette [1]_, over at most 2,000
        points drawn with `random_state`. At least 2 clusters are tried.
    min_support : float
        Fraction of the points that a motif must hold, ``0 <= min_support < 1``. A smaller one is merged into the motif
        with the nearest centroid (Euclidean), the smallest first, until none is left.
    n_init : int
        Number of starts; the one with the least inertia is kept.
    max_iter : int
        Iterations of one start.
    tol : float
        Relative movement of the centroids at which a start has converged.
    random_state : int
        Seed; the same seed gives the same result.

    Attributes
    ----------
    labels_ : int32, shape (N,)
        Motif ids of the fitted points, equal to `predict` of them.
    motif_ids_ : int32, shape (M,)
        Ids of the motifs, ascending.
    cluster_centers_ : float64, shape (C, F)
        Centroids, by motif id.
    component_motifs_ : int32, shape (C,)
        Motif of each centroid: after merges a motif has several.
    selection_ : Selection
        Which k was taken, and why.
    merges_ : tuple of Merge
        Merges for minimum support, in order.
    match_ : LabelMatch or None
        How motifs were matched to `prior_labels`.
    next_id_ : int
        First id never used, for the next refit.
    n_iter_ : int
        Iterations of the start that was kept.
    converged_ : bool
        Whether the fit reached `tol`.
    n_features_in_ : int
        Number of columns fitted.

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

    _criterion: Literal["bic", "silhouette"] = "silhouette"

    def __init__(
        self,
        *,
        min_clusters: int = 3,
        max_clusters: int = 10,
        min_support: float = 0.0,
        n_init: int = 4,
        max_iter: int = 300,
        tol: float = 1e-4,
        random_state: int = 0,
    ) -> None:
        self.min_clusters = min_clusters
        self.max_clusters = max_clusters
        self.min_support = min_support
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    @property
    def cluster_centers_(self) -> NDArray[np.float64]:
        """Centroids, float64 (C, F), by motif id."""
        return cast("Centroids", self._components).centers

    def _check_parameters(self) -> None:
        check_count("n_init", self.n_init)
        check_count("max_iter", self.max_iter)

    def _fit_components(self, features: Features, k: int) -> Centroids:
        model = KMeans(
            n_clusters=k, n_init=self.n_init, max_iter=self.max_iter, tol=self.tol, random_state=self.random_state
        )
        with warnings.catch_warnings():
            # `converged` tells it, for the k that is taken and not for each one tried.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features)
        return Centroids(model.cluster_centers_, model.n_iter_, converged=model.n_iter_ < self.max_iter)

    def _score(self, features: Features, components: Components) -> float:
        labels = components.assign(features)
        size = min(len(features), _SILHOUETTE_POINTS)
        rows = np.random.default_rng(self.random_state).choice(len(features), size, replace=False)
        if len(np.unique(labels[rows])) < 2:
            return -1.0
        return float(silhouette_score(features[rows], labels[rows]))

    @staticmethod
    def _components_from_dict(stored: dict[str, Any]) -> Centroids:
        return Centroids(
            np.array(stored["centers"], dtype=np.float64), int(stored["n_iter"]), bool(stored["converged"])
        )
