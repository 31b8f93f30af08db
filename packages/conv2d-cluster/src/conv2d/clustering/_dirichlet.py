"""Motifs of a Dirichlet-process mixture: their number is part of the fit."""

import warnings
from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from conv2d.clustering._base import MotifClusterer
from conv2d.clustering._check import Features, Table, check_choice, check_count, check_positive, count_distinct
from conv2d.clustering._fitted import C
from conv2d.clustering._gaussians import (
    COVARIANCES,
    MERGE_DISTANCES,
    CovarianceType,
    GaussianParameters,
    Gaussians,
    MergeDistance,
)
from conv2d.clustering._matching import Measure
from conv2d.clustering._selection import Selection
from conv2d.clustering._untyped import BayesianGaussianMixture, ConvergenceWarning, digamma


class TruncatedClusterer(MotifClusterer[C]):
    """Base of the clusterers that find the number of components below a truncation."""

    max_clusters: int

    @abstractmethod
    def _fit_components(self, table: Table, truncation: int) -> C:
        """Fit at most `truncation` components."""

    def _choose(self, table: Table, k: int | None) -> tuple[C, Selection]:
        most = check_count("max_clusters", self.max_clusters) if k is None else k
        truncation = count_distinct(table, enough=most)
        if k is not None and truncation < k:
            raise ValueError(
                f"A truncation at k={k} components needs at least {k} distinct points; features has {len(table)} rows "
                f"(n_samples = {len(table)}), of which {truncation} are distinct. Lower k or give more data."
            )
        fitted = self._fit_components(table, truncation)
        # Components that explain no point are what the process did not need.
        held = np.unique(fitted.assign(table))
        reason = f"{held.size} of the {truncation} components of the truncation hold points."
        if held.size == truncation > 1:
            reason += " All do, so that the truncation may be too low."
        return fitted.permuted(held), Selection(held.size, "posterior", (), reason)


class DirichletProcessClusterer(GaussianParameters, TruncatedClusterer[Gaussians]):
    """Dirichlet-process mixture of Gaussians whose motif ids do not change from one fit to the next.

    The posterior is the variational one of the stick-breaking construction, truncated [1]_, as scikit-learn's
    BayesianGaussianMixture computes it. `k` is the truncation: at most so many motifs are found.

    Parameters
    ----------
    max_clusters : int
        Truncation when `fit` is not given k. Components that end without a point are dropped.
    concentration : float
        Concentration of the process: lower values expect fewer motifs.
    covariance_type : {"diag", "full", "tied"}
        One variance per component and feature; one covariance matrix per component; one matrix for all.
    min_support, merge_distance, matching
        As for `GMMClusterer`.
    n_init : int
        Number of starts; the one with the highest bound is kept.
    max_iter : int
        Iterations of one start.
    tol : float
        Gain of the bound at which a start has converged.
    reg_covar : float
        Added to every variance, in squared units of the features.
    max_fit_points : int
        With more rows than this, so many are drawn at random and fitted; all are labelled.
    random_state : int
        Seed; the same seed gives the same result.

    Attributes
    ----------
    weights_, means_, covariances_ : float64
        Posterior means of the parameters, as for `GMMClusterer`; the weights of dropped components are missing from
        the sum.

    The others are those of `MotifClusterer`.

    References
    ----------
    .. [1] D. M. Blei and M. I. Jordan, "Variational inference for Dirichlet process mixtures", Bayesian Analysis 1,
       2006.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> features = np.concatenate([rng.normal(m, 0.1, (n, 2)) for m, n in ((0, 60), (2, 40), (4, 20))])
    >>> model = DirichletProcessClusterer(max_clusters=8).fit(features)
    >>> model.selection_.k, np.bincount(model.labels_).tolist()
    (3, [60, 40, 20])
    """

    _component_type = Gaussians

    def __init__(
        self,
        *,
        max_clusters: int = 15,
        concentration: float = 1.0,
        covariance_type: CovarianceType = "diag",
        min_support: float = 0.0,
        merge_distance: MergeDistance = "bhattacharyya",
        matching: Measure = "overlap",
        n_init: int = 1,
        max_iter: int = 500,
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_fit_points: int = 200_000,
        random_state: int = 0,
    ) -> None:
        self.max_clusters = max_clusters
        self.concentration = concentration
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

    def _check_parameters(self) -> None:
        for name in ("n_init", "max_iter"):
            check_count(name, getattr(self, name))
        for name in ("concentration", "tol", "reg_covar"):
            check_positive(name, getattr(self, name))
        check_choice("covariance_type", self.covariance_type, COVARIANCES)
        check_choice("merge_distance", self.merge_distance, MERGE_DISTANCES)

    def _distances(self, components: Gaussians) -> NDArray[np.float64]:
        return components.distances(self.merge_distance)

    def _fit_components(self, table: Features, truncation: int) -> Gaussians:
        if len(table) < 2:
            raise ValueError("A Gaussian needs at least 2 points, features has 1 row (n_samples = 1).")
        model = BayesianGaussianMixture(
            n_components=truncation,
            covariance_type=self.covariance_type,
            weight_concentration_prior_type="dirichlet_process",
            weight_concentration_prior=self.concentration,
            n_init=self.n_init,
            max_iter=self.max_iter,
            tol=self.tol,
            reg_covar=self.reg_covar,
            random_state=self.random_state,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # `converged` tells it
            # Far from nought, scikit-learn's sums of squares would lose the digits that matter.
            shift = table.mean(axis=0)
            model.fit(table - shift)
        return Gaussians(
            n_iter=int(model.n_iter_),
            converged=bool(model.converged_),
            covariance_type=self.covariance_type,
            weights=model.weights_,
            means=model.means_ + shift,
            covariances=model.covariances_,
            factors=_factors(model, table.shape[1]),
        )


def _factors(model: BayesianGaussianMixture, n_features: int) -> NDArray[np.float64]:
    """Return exp(E[log weight] + E[log density] - log density at the expected parameters), the largest 1."""
    stick, rest = model.weight_concentration_
    left = np.append(0.0, np.cumsum(digamma(rest) - digamma(stick + rest))[:-1])
    log_weight = digamma(stick) - digamma(stick + rest) + left
    freedom = np.broadcast_to(model.degrees_of_freedom_, log_weight.shape)
    log_det = n_features * np.log(2) + digamma((freedom[:, None] - np.arange(n_features)) / 2).sum(axis=1)
    factor = log_weight + (log_det - n_features / model.mean_precision_ - n_features * np.log(freedom)) / 2
    # The floor keeps the logarithm finite; nothing that far below the largest is ever assigned.
    return np.exp(np.maximum(factor - factor.max(), -600.0))
