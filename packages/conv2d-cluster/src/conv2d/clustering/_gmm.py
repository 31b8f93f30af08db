"""Gaussian-mixture motifs."""

import warnings
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from conv2d.clustering._base import Components, MotifClusterer
from conv2d.clustering._check import Features, check_count
from conv2d.clustering._untyped import ConvergenceWarning, GaussianMixture

CovarianceType = Literal["full", "diag", "tied"]


@dataclass(frozen=True, slots=True, eq=False)
class Gaussians:
    """Components of a Gaussian mixture: a row belongs to the component most responsible for it."""

    covariance_type: CovarianceType
    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]
    precisions_cholesky: NDArray[np.float64]
    n_iter: int
    converged: bool

    def assign(self, features: Features) -> NDArray[np.intp]:
        """Return the component with the highest posterior probability for each row."""
        return self.mixture().predict(features)

    def mixture(self) -> GaussianMixture:
        """Return the scikit-learn model with these parameters."""
        model = GaussianMixture(len(self.weights), covariance_type=self.covariance_type)
        model.weights_ = self.weights
        model.means_ = self.means
        model.covariances_ = self.covariances
        model.precisions_cholesky_ = self.precisions_cholesky
        return model

    def distances(self) -> NDArray[np.float64]:
        """Return the Bhattacharyya distances of the components, (C, C)."""
        size = len(self.weights)
        distance = np.zeros((size, size))
        for i in range(size):
            for j in range(i):
                distance[i, j] = distance[j, i] = self._bhattacharyya(i, j)
        return distance

    def _bhattacharyya(self, i: int, j: int) -> float:
        apart = self.means[i] - self.means[j]
        if self.covariance_type == "diag":
            one, two = self.covariances[i], self.covariances[j]
            mean = (one + two) / 2
            spread = np.log(mean).sum() - (np.log(one).sum() + np.log(two).sum()) / 2
            return float(apart @ (apart / mean) / 8 + spread / 2)
        shared = self.covariance_type == "tied"
        one, two = (self.covariances if shared else self.covariances[c] for c in (i, j))
        mean = (one + two) / 2
        spread = _log_det(mean) - (_log_det(one) + _log_det(two)) / 2
        squared = cast("NDArray[np.float64]", apart @ np.linalg.solve(mean, apart))
        return float(squared) / 8 + spread / 2

    def permuted(self, order: NDArray[np.intp]) -> "Gaussians":
        """Return the components in another order."""
        shared = self.covariance_type == "tied"
        return replace(
            self,
            weights=self.weights[order],
            means=self.means[order],
            covariances=self.covariances if shared else self.covariances[order],
            precisions_cholesky=self.precisions_cholesky if shared else self.precisions_cholesky[order],
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as JSON values."""
        return {
            "covariance_type": self.covariance_type,
            "weights": self.weights.tolist(),
            "means": self.means.tolist(),
            "covariances": self.covariances.tolist(),
            "precisions_cholesky": self.precisions_cholesky.tolist(),
            "n_iter": self.n_iter,
            "converged": self.converged,
        }


def _log_det(matrix: NDArray[np.float64]) -> float:
    # Of a positive definite matrix, through the Cholesky factor.
    return 2 * float(np.log(np.diagonal(np.linalg.cholesky(matrix))).sum())


class GMMClusterer(MotifClusterer):
    """Gaussian mixture whose motif ids do not change from one fit to the next.

    Parameters
    ----------
    min_clusters, max_clusters : int
        Range in which k is chosen when `fit` is not given one: by the lowest Bayesian information criterion [1]_.
    covariance_type : {"diag", "full", "tied"}
        One variance per component and feature; one covariance matrix per component; one matrix for all. The default
        "diag" needs few points per component, also in 64 dimensions; "full" needs many times F points in each.
    min_support : float
        Fraction of the points that a motif must hold, ``0 <= min_support < 1``. A smaller one is merged into the
        nearest motif by Bhattacharyya distance [2]_, the smallest first, until none is left.
    n_init : int
        Number of starts; the one with the highest likelihood bound is kept.
    max_iter : int
        Iterations of one start.
    tol : float
        Gain of the mean log-likelihood bound at which a start has converged.
    reg_covar : float
        Added to every variance, in squared units of the features. A constant feature gets this variance in every
        component, so it does not influence the labels.
    random_state : int
        Seed; the same seed gives the same result.

    Attributes
    ----------
    labels_ : int32, shape (N,)
        Motif ids of the fitted points, equal to `predict` of them.
    motif_ids_ : int32, shape (M,)
        Ids of the motifs, ascending.
    weights_, means_, covariances_ : float64
        Parameters of the components, shapes (C,), (C, F) and that of scikit-learn's GaussianMixture, by motif id.
    component_motifs_ : int32, shape (C,)
        Motif of each component: after merges a motif has several.
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

    _criterion: Literal["bic", "silhouette"] = "bic"

    def __init__(
        self,
        *,
        min_clusters: int = 3,
        max_clusters: int = 10,
        covariance_type: CovarianceType = "diag",
        min_support: float = 0.0,
        n_init: int = 4,
        max_iter: int = 200,
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        random_state: int = 0,
    ) -> None:
        self.min_clusters = min_clusters
        self.max_clusters = max_clusters
        self.covariance_type: CovarianceType = covariance_type
        self.min_support = min_support
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.reg_covar = reg_covar
        self.random_state = random_state

    @property
    def weights_(self) -> NDArray[np.float64]:
        """Mixture weights, float64 (C,), by motif id."""
        return cast("Gaussians", self._components).weights

    @property
    def means_(self) -> NDArray[np.float64]:
        """Means, float64 (C, F), by motif id."""
        return cast("Gaussians", self._components).means

    @property
    def covariances_(self) -> NDArray[np.float64]:
        """Covariances, float64: (C, F) for "diag", (C, F, F) for "full", (F, F) for "tied"."""
        return cast("Gaussians", self._components).covariances

    def _check_parameters(self) -> None:
        check_count("n_init", self.n_init)
        check_count("max_iter", self.max_iter)
        if self.covariance_type not in ("full", "diag", "tied"):
            raise ValueError(f'covariance_type must be "full", "diag" or "tied", got {self.covariance_type!r}.')
        if not self.reg_covar > 0:
            raise ValueError(f"reg_covar must be positive, got {self.reg_covar!r}: without it a motif can collapse.")

    def _fit_components(self, features: Features, k: int) -> Gaussians:
        if len(features) < 2:
            raise ValueError("A Gaussian needs at least 2 points, features has 1 row (n_samples = 1).")
        model = GaussianMixture(
            k,
            covariance_type=self.covariance_type,
            n_init=self.n_init,
            max_iter=self.max_iter,
            tol=self.tol,
            reg_covar=self.reg_covar,
            random_state=self.random_state,
        )
        with warnings.catch_warnings():
            # `converged` tells it, for the k that is taken and not for each one tried.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features)
        return Gaussians(
            covariance_type=self.covariance_type,
            weights=model.weights_,
            means=model.means_,
            covariances=model.covariances_,
            precisions_cholesky=model.precisions_cholesky_,
            n_iter=int(model.n_iter_),
            converged=bool(model.converged_),
        )

    def _score(self, features: Features, components: Components) -> float:
        return float(cast("Gaussians", components).mixture().bic(features))

    @staticmethod
    def _components_from_dict(stored: dict[str, Any]) -> Gaussians:
        arrays = ("weights", "means", "covariances", "precisions_cholesky")
        return Gaussians(
            covariance_type=stored["covariance_type"],
            n_iter=int(stored["n_iter"]),
            converged=bool(stored["converged"]),
            **{name: np.array(stored[name], dtype=np.float64) for name in arrays},
        )
