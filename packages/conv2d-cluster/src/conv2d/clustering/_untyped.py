"""The part of scikit-learn and SciPy used here, with types: neither ships any."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    Float = NDArray[np.float64]

    class ClusterMixin:
        """Typed face of `sklearn.base.ClusterMixin`."""

    class BaseEstimator:
        """Typed face of `sklearn.base.BaseEstimator`."""

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            """Return the constructor's parameters."""
            ...

        def set_params(self, **params: Any) -> Self:
            """Set parameters of the constructor."""
            ...

    class KMeans:
        """Typed face of `sklearn.cluster.KMeans`."""

        cluster_centers_: Float
        n_iter_: int

        def __init__(self, n_clusters: int, *, n_init: int, max_iter: int, tol: float, random_state: int) -> None: ...
        def fit(self, features: Float) -> Self: ...

    class GaussianMixture:
        """Typed face of `sklearn.mixture.GaussianMixture`."""

        weights_: Float
        means_: Float
        covariances_: Float
        precisions_cholesky_: Float
        n_iter_: int
        converged_: bool

        def __init__(
            self,
            n_components: int,
            *,
            covariance_type: str,
            n_init: int = 1,
            max_iter: int = 100,
            tol: float = 1e-3,
            reg_covar: float = 1e-6,
            random_state: int | None = None,
        ) -> None: ...
        def fit(self, features: Float) -> Self: ...
        def predict(self, features: Float) -> NDArray[np.intp]: ...
        def bic(self, features: Float) -> float: ...

    class ConvergenceWarning(UserWarning):
        """Typed face of `sklearn.exceptions.ConvergenceWarning`."""

    def check_is_fitted(estimator: BaseEstimator) -> None: ...
    def validate_data(
        estimator: BaseEstimator, features: ArrayLike, *, reset: bool, dtype: type, ensure_all_finite: bool
    ) -> Float: ...
    def pairwise_distances(one: Float) -> Float: ...
    def pairwise_distances_argmin(one: Float, two: Float) -> NDArray[np.intp]: ...
    def silhouette_score(features: Float, labels: NDArray[np.intp]) -> float: ...
    def linear_sum_assignment(cost: NDArray[np.int64], maximize: bool) -> tuple[NDArray[np.intp], NDArray[np.intp]]: ...
else:
    from scipy.optimize import linear_sum_assignment
    from sklearn.base import BaseEstimator, ClusterMixin
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import pairwise_distances, pairwise_distances_argmin, silhouette_score
    from sklearn.mixture import GaussianMixture
    from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = [
    "BaseEstimator",
    "ClusterMixin",
    "ConvergenceWarning",
    "GaussianMixture",
    "KMeans",
    "check_is_fitted",
    "linear_sum_assignment",
    "pairwise_distances",
    "pairwise_distances_argmin",
    "silhouette_score",
    "validate_data",
]
