"""The part of scikit-learn, SciPy and threadpoolctl used here, with types: none of them ships any."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray


class SparseRows(Protocol):
    """What is used of `scipy.sparse.csr_array`."""

    @property
    def T(self) -> "SparseRows":
        """The transpose."""
        ...

    def __matmul__(self, other: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the product with a dense matrix."""
        ...


if TYPE_CHECKING:
    Float = NDArray[np.float64]
    Any_ = TypeVar("Any_", float, Float)

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

        labels_: NDArray[np.int32]

        def __init__(
            self,
            n_clusters: int,
            *,
            init: str | Float = "k-means++",
            n_init: int = 1,
            max_iter: int = 300,
            tol: float = 1e-4,
            algorithm: str = "lloyd",
            random_state: int,
        ) -> None: ...
        def fit(self, features: Float | SparseRows) -> Self: ...

    class BayesianGaussianMixture:
        """Typed face of `sklearn.mixture.BayesianGaussianMixture`."""

        weights_: Float
        means_: Float
        covariances_: Float
        weight_concentration_: tuple[Float, Float]
        mean_precision_: Float
        degrees_of_freedom_: Float
        n_iter_: int
        converged_: bool

        def __init__(
            self,
            *,
            n_components: int,
            covariance_type: str,
            weight_concentration_prior_type: str,
            weight_concentration_prior: float,
            n_init: int,
            max_iter: int,
            tol: float,
            reg_covar: float,
            random_state: int,
        ) -> None: ...
        def fit(self, features: Float) -> Self: ...

    class ConvergenceWarning(UserWarning):
        """Typed face of `sklearn.exceptions.ConvergenceWarning`."""

    def check_is_fitted(estimator: BaseEstimator) -> None: ...
    def validate_data(
        estimator: BaseEstimator, features: ArrayLike, *, reset: bool, dtype: type, ensure_all_finite: bool
    ) -> Float: ...
    def pairwise_distances(one: Float) -> Float: ...
    def pairwise_distances_argmin(one: Float, two: Float) -> NDArray[np.intp]: ...
    def silhouette_score(features: Float, labels: NDArray[np.intp]) -> float: ...
    def adjusted_rand_score(one: ArrayLike, two: ArrayLike) -> float: ...
    def adjusted_mutual_info_score(one: ArrayLike, two: ArrayLike) -> float: ...
    def linear_sum_assignment(cost: NDArray[np.int64], maximize: bool) -> tuple[NDArray[np.intp], NDArray[np.intp]]: ...
    def clone(estimator: Any) -> Any: ...
    def digamma(x: Any_) -> Any_: ...
    def gammaln(x: Any_) -> Any_: ...
    def xlogy(x: Float, y: Float) -> Float: ...
    def logsumexp(x: Float, axis: int, keepdims: bool = False) -> Float: ...
    def csr_array(parts: tuple[Float, NDArray[Any], NDArray[Any]], shape: Sequence[int]) -> SparseRows: ...
    def threadpool_info() -> list[dict[str, Any]]: ...
else:
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import csr_array
    from scipy.special import digamma, gammaln, logsumexp, xlogy
    from sklearn.base import BaseEstimator, ClusterMixin, clone
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import (
        adjusted_mutual_info_score,
        adjusted_rand_score,
        pairwise_distances,
        pairwise_distances_argmin,
        silhouette_score,
    )
    from sklearn.mixture import BayesianGaussianMixture
    from sklearn.utils.validation import check_is_fitted, validate_data
    from threadpoolctl import threadpool_info

__all__ = [
    "BaseEstimator",
    "BayesianGaussianMixture",
    "ClusterMixin",
    "ConvergenceWarning",
    "KMeans",
    "SparseRows",
    "adjusted_mutual_info_score",
    "adjusted_rand_score",
    "check_is_fitted",
    "clone",
    "csr_array",
    "digamma",
    "gammaln",
    "linear_sum_assignment",
    "logsumexp",
    "pairwise_distances",
    "pairwise_distances_argmin",
    "silhouette_score",
    "threadpool_info",
    "validate_data",
    "xlogy",
]
