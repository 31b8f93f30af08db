"""Stable motif ids for any scikit-learn clusterer."""

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conv2d.clustering._check import Features, Table
from conv2d.clustering._components import Components
from conv2d.clustering._matching import Measure
from conv2d.clustering._search import SearchingClusterer
from conv2d.clustering._selection import Criterion, Selection
from conv2d.clustering._untyped import ConvergenceWarning, clone, pairwise_distances, pairwise_distances_argmin

# What clusterers and mixtures call the number of components.
_COUNTS = ("n_clusters", "n_components")


@dataclass(frozen=True, slots=True, eq=False)
class Foreign(Components):
    """Clusters of another estimator: its own prediction where it has one, else that of the nearest fitted point."""

    estimator: Any
    own_labels: NDArray[np.int64]  # the estimator's label of each component
    centers: NDArray[np.float64]
    points: Features
    point_labels: NDArray[np.int64]

    per_component: ClassVar[tuple[str, ...]] = ("own_labels", "centers")

    def assign(self, table: Table) -> NDArray[np.intp]:
        """Return the component of each row, −1 for noise."""
        if table is self.points:
            labels = self.point_labels
        elif hasattr(self.estimator, "predict"):
            labels = np.asarray(self.estimator.predict(table))
        else:
            labels = self.point_labels[pairwise_distances_argmin(table, self.points)]
        order = np.argsort(self.own_labels)
        place = np.searchsorted(self.own_labels, labels, sorter=order)
        place = order[np.minimum(place, order.size - 1)] if order.size else np.zeros(len(labels), dtype=np.intp)
        known = np.isin(labels, self.own_labels)
        return np.where(known, place, -1)

    def distances(self) -> NDArray[np.float64]:
        """Return the Euclidean distances of the centroids, (C, C)."""
        return pairwise_distances(self.centers)


class ScikitLearnClusterer(SearchingClusterer[Foreign]):
    """Any scikit-learn clusterer or mixture, with motif ids that do not change from one fit to the next.

    Negative labels of the estimator are noise, and stay -1. New points are given to motifs by the estimator's own
    `predict`; where it has none (DBSCAN, agglomerative clustering) each takes the motif of the nearest fitted point.

    Parameters
    ----------
    estimator : scikit-learn estimator
        It has `fit_predict`. It is cloned, never changed. If it has a parameter ``n_clusters`` or ``n_components``,
        that is set to k; if it has ``random_state``, that is set too.
    min_clusters, max_clusters : int
        Range in which k is chosen when `fit` is not given one. An estimator without such a parameter finds the number
        itself; to give it k is an error.
    criterion : {"silhouette", "stability"}
        How k is chosen; see `KMeansClusterer`.
    min_support : float
        Fraction of the points that a motif must hold, ``0 <= min_support < 1``. A smaller one is merged into the motif
        with the nearest centroid (Euclidean), the smallest first, until none is left.
    matching : {"overlap", "iou", "centroid"}
        How motifs are matched to earlier labels; see `match_labels`.
    random_state : int
        Seed; the same seed gives the same result.

    Attributes
    ----------
    estimator_ : scikit-learn estimator
        The fitted clone.

    The others are those of `MotifClusterer`.

    Notes
    -----
    A foreign estimator cannot be written without pickle, so `save` refuses; `audit` and `replay` work for estimators
    of scikit-learn itself.

    Examples
    --------
    >>> from sklearn.cluster import DBSCAN
    >>> model = ScikitLearnClusterer(DBSCAN(eps=0.5, min_samples=2))
    >>> features = [[0.0], [0.1], [0.2], [5.0], [5.1], [9.0]]
    >>> model.fit_predict(features, prior_labels=[4, 4, 4, 2, 2, 2])
    array([ 4,  4,  4,  2,  2, -1], dtype=int32)
    >>> model.selection_.reason
    'DBSCAN finds the number of clusters itself: 2.'
    """

    _component_type = Foreign
    _criteria: ClassVar[tuple[Criterion, ...]] = ("silhouette", "stability")

    # Whatever the estimator makes of many points: none are left out.
    max_fit_points: int = np.iinfo(np.int64).max

    def __init__(
        self,
        estimator: Any,
        *,
        min_clusters: int = 3,
        max_clusters: int = 10,
        criterion: Criterion = "silhouette",
        min_support: float = 0.0,
        matching: Measure = "overlap",
        random_state: int = 0,
    ) -> None:
        self.estimator = estimator
        self.min_clusters = min_clusters
        self.max_clusters = max_clusters
        self.criterion: Criterion = criterion
        self.min_support = min_support
        self.matching: Measure = matching
        self.random_state = random_state

    @property
    def estimator_(self) -> Any:
        """The fitted clone of the estimator."""
        return self._components.estimator

    def to_dict(self) -> dict[str, Any]:
        """Refuse: a foreign estimator has no form in JSON; `audit` has."""
        raise TypeError(
            f"A fitted {type(self.estimator).__name__} cannot be written as JSON, and nothing here is pickled. Keep "
            "audit(features) instead: replay fits the same model again."
        )

    def _check_parameters(self) -> None:
        if not (hasattr(self.estimator, "fit_predict") and hasattr(self.estimator, "get_params")):
            raise TypeError(f"estimator must be a scikit-learn clusterer with fit_predict, got {self.estimator!r}.")

    def _count_name(self) -> str | None:
        has: dict[str, Any] = self.estimator.get_params(deep=False)
        return next((name for name in _COUNTS if name in has), None)

    def _choose(self, table: Table, k: int | None) -> tuple[Foreign, Selection]:
        if self._count_name() is not None:
            return super()._choose(table, k)
        name = type(self.estimator).__name__
        if k is not None:
            raise ValueError(
                f"{name} has neither n_clusters nor n_components: it finds the number itself. Leave out k={k}, or set "
                "the estimator's own parameters."
            )
        fitted = self._fit_components(table, 0)
        found = len(fitted.own_labels)
        return fitted, Selection(found, "estimator", (), f"{name} finds the number of clusters itself: {found}.")

    def _fit_components(self, table: Features, k: int) -> Foreign:
        model = clone(self.estimator)
        has: dict[str, Any] = model.get_params(deep=False)
        if count := self._count_name():
            model.set_params(**{count: k})
        if "random_state" in has:
            model.set_params(random_state=self.random_state)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            labels = np.asarray(model.fit_predict(table)).astype(np.int64)
        for warning in caught:
            if not issubclass(warning.category, ConvergenceWarning):
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        converged = not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
        own = np.unique(labels[labels >= 0])
        centers = np.array([table[labels == label].mean(axis=0) for label in own]).reshape(len(own), table.shape[1])
        # Not every estimator counts its steps, and some count them otherwise than by a number.
        steps = np.asarray(getattr(model, "n_iter_", 1))
        return Foreign(int(steps) if steps.shape == () else 1, converged, model, own, centers, table, labels)
