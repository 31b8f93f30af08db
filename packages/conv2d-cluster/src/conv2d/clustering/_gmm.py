"""Gaussian-mixture motifs."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from conv2d.clustering._check import Features, check_choice, check_count, check_positive
from conv2d.clustering._continuing import ContinuingClusterer
from conv2d.clustering._em import MixtureRows
from conv2d.clustering._gaussians import (
    COVARIANCES,
    MERGE_DISTANCES,
    CovarianceType,
    GaussianParameters,
    Gaussians,
    MergeDistance,
)
from conv2d.clustering._matching import Measure
from conv2d.clustering._selection import Criterion
from conv2d.clustering._starts import short_starts, start_rows

# Starts compete after short runs of k-means and of expectation maximisation, and only the best is finished (Biernacki,
# Celeux and Govaert, "Choosing starting values for the EM algorithm", Computational Statistics & Data Analysis 41,
# 2003).
_KMEANS_ITERATIONS = 5
_SHORT_RUN = 2


class GMMClusterer(GaussianParameters, ContinuingClusterer[Gaussians]):
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
    prior_margin : float
        Earlier motifs go on if that gives up at most this share of what a fresh fit gains over one component for all
        points, ``0 <= prior_margin < 1``; see `Continuation`.
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
        prior_margin: float = 0.05,
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
        self.prior_margin = prior_margin
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_fit_points = max_fit_points
        self.random_state = random_state

    def _check_parameters(self) -> None:
        check_count("n_init", self.n_init)
        check_count("max_iter", self.max_iter)
        check_positive("tol", self.tol)
        check_positive("reg_covar", self.reg_covar)  # without it a motif can collapse
        check_choice("covariance_type", self.covariance_type, COVARIANCES)
        check_choice("merge_distance", self.merge_distance, MERGE_DISTANCES)

    def _distances(self, components: Gaussians) -> NDArray[np.float64]:
        return components.distances(self.merge_distance)

    def _fit_components(self, table: Features, k: int) -> Gaussians:
        if len(table) < 2:
            raise ValueError("A Gaussian needs at least 2 points, features has 1 row (n_samples = 1).")
        rows = start_rows(table, self.random_state)
        partitions = short_starts(rows, k, n_init=self.n_init, n_iter=_KMEANS_ITERATIONS, seed=self.random_state)
        all_rows = self._grouping(table)
        start_on = all_rows if rows is table else self._grouping(rows)
        start = start_on.likeliest(partitions, k, steps=_SHORT_RUN)
        return all_rows.maximised(start, max_iter=self.max_iter, tol=self.tol)

    def _grouping(self, table: Features) -> MixtureRows:
        return MixtureRows.of(table, self.covariance_type, self.reg_covar)
