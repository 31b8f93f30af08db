"""Gaussian-mixture motifs."""

import warnings
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conv2d.clustering._check import Features, Table, check_choice, check_count, check_positive
from conv2d.clustering._gaussians import COVARIANCES, MERGE_DISTANCES, CovarianceType, Gaussians, MergeDistance
from conv2d.clustering._matching import Measure
from conv2d.clustering._search import SearchingClusterer
from conv2d.clustering._selection import Criterion
from conv2d.clustering._starts import best_start, start_rows
from conv2d.clustering._untyped import ConvergenceWarning, GaussianMixture

# A start need not have converged, for expectation maximisation goes on from it.
_KMEANS_ITERATIONS = 10
# Variances of a start differ at most by this factor within a component, so that their inverse can be taken.
_CONDITION = 1e10


class _Start(NamedTuple):
    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    precisions: NDArray[np.float64]


class GMMClusterer(SearchingClusterer[Gaussians]):
    """Gaussian mixture whose motif ids do not change from one fit to the next.

    Parameters
    ----------
    min_clusters, max_clusters : int
        Range in which k is chosen when `fit` is not given one.
    criterion : {"bic", "silhouette", "stability"}
        How k is chosen: by the lowest Bayesian information criterion [1]_, by the highest mean silhouette over at most
        2,000 points, or by the highest mean adjusted Rand index of 6 bootstrap refits with the fit to all points.
    covariance_type : {"diag", "full", "tied"}
        One variance per component and feature; one covariance matrix per component; one matrix for all. The default
        "diag" needs few points per component, also in 64 dimensions; "full" needs many times F points in each.
    min_support : float
        Fraction of the points that a motif must hold, ``0 <= min_support < 1``. A smaller one is merged into the
        nearest motif, the smallest first, until none is left.
    merge_distance : {"bhattacharyya", "mahalanobis"}
        What "nearest" means: the Bhattacharyya distance [2]_, which looks at place and shape, or the Mahalanobis
        distance of the means under the mean of the two covariances.
    matching : {"overlap", "iou", "centroid"}
        How motifs are matched to earlier labels; see `match_labels`.
    n_init : int
        Number of starts: short k-means fits, of which the likeliest as a mixture is taken. Above 20,000 rows the starts
        compete on 3,000, drawn at random.
    max_iter : int
        Iterations of expectation maximisation.
    tol : float
        Gain of the mean log-likelihood bound at which the fit has converged.
    reg_covar : float
        Added to every variance, in squared units of the features. A constant feature gets this variance in every
        component, so it does not influence the labels.
    max_fit_points : int
        With more rows than this, so many are drawn at random and fitted; all are labelled.
    random_state : int
        Seed; the same seed gives the same result.

    Attributes
    ----------
    weights_, means_, covariances_ : float64
        Parameters of the components, shapes (C,), (C, F) and that of scikit-learn's GaussianMixture, by motif id.

    The others are those of `MotifClusterer`.

    References
    ----------
    .. [1] G. Schwarz, "Estimating the dimension of a model", Annals of Statistics 6, 1978.
    .. [2] A. Bhattacharyya, "On a measure of divergence between two statistical populations defined by their
       probability distributions", Bulletin of the Calcutta Mathematical Society 35, 1943.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> features = np.concatenate([rng.normal(m, 0.1, (n, 2)) for m, n in ((0, 30), (1, 20), (2, 10))])
    >>> previous = np.repeat([7, 0, 4], [30, 20, 10])
    >>> model = GMMClusterer(random_state=42)
    >>> labels = model.fit_predict(features, k=3, prior_labels=previous)
    >>> bool((labels == previous).all()), model.motif_ids_.tolist()
    (True, [0, 4, 7])
    """

    _component_type = Gaussians
    _criteria: ClassVar[tuple[Criterion, ...]] = ("bic", "silhouette", "stability")

    def __init__(
        self,
        *,
        min_clusters: int = 3,
        max_clusters: int = 10,
        criterion: Criterion = "bic",
        covariance_type: CovarianceType = "diag",
        min_support: float = 0.0,
        merge_distance: MergeDistance = "bhattacharyya",
        matching: Measure = "overlap",
        n_init: int = 4,
        max_iter: int = 200,
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_fit_points: int = 200_000,
        random_state: int = 0,
    ) -> None:
        self.min_clusters = min_clusters
        self.max_clusters = max_clusters
        self.criterion: Criterion = criterion
        self.covariance_type: CovarianceType = covariance_type
        self.min_support = min_support
        self.merge_distance: MergeDistance = merge_distance
        self.matching: Measure = matching
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_fit_points = max_fit_points
        self.random_state = random_state

    @property
    def weights_(self) -> NDArray[np.float64]:
        """Mixture weights, float64 (C,), by motif id."""
        return self._components.weights

    @property
    def means_(self) -> NDArray[np.float64]:
        """Means, float64 (C, F), by motif id."""
        return self._components.means

    @property
    def covariances_(self) -> NDArray[np.float64]:
        """Covariances, float64: (C, F) for "diag", (C, F, F) for "full", (F, F) for "tied"."""
        return self._components.covariances

    def _check_parameters(self) -> None:
        check_count("n_init", self.n_init)
        check_count("max_iter", self.max_iter)
        check_positive("tol", self.tol)
        check_positive("reg_covar", self.reg_covar)  # without it a motif can collapse
        check_choice("covariance_type", self.covariance_type, COVARIANCES)
        check_choice("merge_distance", self.merge_distance, MERGE_DISTANCES)

    def _distances(self, components: Gaussians) -> NDArray[np.float64]:
        return components.distances(self.merge_distance)

    def _bic(self, table: Table, components: Gaussians) -> float:
        return components.mixture(components.weights).bic(table)

    def _fit_components(self, table: Features, k: int) -> Gaussians:
        if len(table) < 2:
            raise ValueError("A Gaussian needs at least 2 points, features has 1 row (n_samples = 1).")
        start = self._best_start(table, k)
        model = GaussianMixture(
            k,
            covariance_type=self.covariance_type,
            max_iter=self.max_iter,
            tol=self.tol,
            reg_covar=self.reg_covar,
            weights_init=start.weights,
            means_init=start.means,
            precisions_init=start.precisions,
            random_state=self.random_state,
        )
        with warnings.catch_warnings():
            # `converged` tells it, for the k that is taken and not for each one tried.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(table)
        return Gaussians(
            n_iter=int(model.n_iter_),
            converged=bool(model.converged_),
            covariance_type=self.covariance_type,
            weights=model.weights_,
            means=model.means_,
            covariances=model.covariances_,
            precisions_cholesky=model.precisions_cholesky_,
            factors=model.weights_,
        )

    def _best_start(self, table: Features, k: int) -> "_Start":
        """Return the likeliest start."""
        rows = start_rows(table, self.random_state)
        seeds = np.random.default_rng(self.random_state).integers(0, 2**31, self.n_init)
        starts = [self._start(rows, k, int(seed)) for seed in seeds]
        return starts[0] if len(starts) == 1 else max(starts, key=lambda start: self._likelihood(rows, start))

    def _likelihood(self, rows: Features, start: "_Start") -> float:
        model = GaussianMixture(len(start.weights), covariance_type=self.covariance_type)
        model.weights_, model.means_ = start.weights, start.means
        diagonal = self.covariance_type == "diag"
        factor = np.sqrt(start.precisions) if diagonal else np.linalg.cholesky(start.precisions)
        model.precisions_cholesky_ = factor.astype(np.float64)
        return model.score(rows)

    def _start(self, rows: Features, k: int, seed: int) -> "_Start":
        """Return weights, means and inverse covariances of the clusters of a k-means fit."""
        start = best_start(rows, k, n_init=1, max_iter=_KMEANS_ITERATIONS, seed=seed)
        # Every cluster gets one point more than it has: none has the weight nought.
        weights = np.bincount(start.labels_, minlength=k) + 1.0
        weights /= weights.sum()
        means = start.cluster_centers_
        if self.covariance_type == "tied":
            within = rows - means[start.labels_]
            return _Start(weights, means, self._inverse(within.T @ within / len(rows)))
        members = [rows[start.labels_ == c] - means[c] for c in range(k)]
        if self.covariance_type == "diag":
            variances = [(part**2).sum(axis=0) / max(len(part), 1) + self.reg_covar for part in members]
            return _Start(weights, means, 1 / np.array(variances))
        return _Start(weights, means, np.array([self._inverse(part.T @ part / max(len(part), 1)) for part in members]))

    def _inverse(self, covariance: NDArray[np.float64]) -> NDArray[np.float64]:
        variances, axes = np.linalg.eigh(covariance)
        variances = np.maximum(variances + self.reg_covar, (variances[-1] + self.reg_covar) / _CONDITION)
        inverse = (axes / variances) @ axes.T
        return (inverse + inverse.T) / 2
