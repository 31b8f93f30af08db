"""Gaussian components, which the mixture and the Dirichlet process share."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
from numpy.typing import NDArray

from conv2d.clustering._check import Features
from conv2d.clustering._components import Components
from conv2d.clustering._untyped import GaussianMixture

CovarianceType = Literal["full", "diag", "tied"]
COVARIANCES = ("full", "diag", "tied")

MergeDistance = Literal["bhattacharyya", "mahalanobis"]
MERGE_DISTANCES = ("bhattacharyya", "mahalanobis")


@dataclass(frozen=True, slots=True, eq=False)
class Gaussians(Components):
    """Components of a Gaussian mixture: a row belongs to the component most responsible for it."""

    covariance_type: CovarianceType
    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]
    precisions_cholesky: NDArray[np.float64]
    # The factor of the density by which rows are assigned, up to a constant. That of a mixture is the weight; in a
    # Dirichlet process it also tells how sure the parameters are.
    factors: NDArray[np.float64]

    per_component: ClassVar[tuple[str, ...]] = ("weights", "means", "covariances", "precisions_cholesky", "factors")

    def assign(self, table: Features) -> NDArray[np.intp]:
        """Return the component with the highest posterior probability for each row."""
        return self.mixture(self.factors).predict(table)

    def mixture(self, weights: NDArray[np.float64]) -> GaussianMixture:
        """Return the scikit-learn model with these parameters."""
        model = GaussianMixture(len(self.weights), covariance_type=self.covariance_type)
        model.weights_ = weights
        model.means_ = self.means
        model.covariances_ = self.covariances
        model.precisions_cholesky_ = self.precisions_cholesky
        return model

    def permuted(self, order: NDArray[np.intp]) -> Self:
        """Return the components in another order; a tied covariance is of all."""
        if self.covariance_type != "tied":
            return cast("Self", Components.permuted(self, order))
        return replace(self, weights=self.weights[order], means=self.means[order], factors=self.factors[order])

    def distances(self, kind: MergeDistance = "bhattacharyya") -> NDArray[np.float64]:
        """Return the distances of the components, (C, C)."""
        size = len(self.weights)
        distance = np.zeros((size, size))
        for i in range(size):
            for j in range(i):
                squared, spread = self._apart(i, j)
                apart = np.sqrt(squared) if kind == "mahalanobis" else squared / 8 + spread / 2
                distance[i, j] = distance[j, i] = apart
        return distance

    def _apart(self, i: int, j: int) -> tuple[float, float]:
        """Return, under the mean covariance of two components, the squared distance and the log excess of volume."""
        apart = self.means[i] - self.means[j]
        if self.covariance_type == "diag":
            one, two = self.covariances[i], self.covariances[j]
            mean = (one + two) / 2
            spread = np.log(mean).sum() - (np.log(one).sum() + np.log(two).sum()) / 2
            return float(apart @ (apart / mean)), float(spread)
        shared = self.covariance_type == "tied"
        one, two = (self.covariances if shared else self.covariances[c] for c in (i, j))
        mean = (one + two) / 2
        spread = _log_det(mean) - (_log_det(one) + _log_det(two)) / 2
        squared: Any = apart @ cast("NDArray[np.float64]", np.linalg.solve(mean, apart))
        return float(squared), spread


def _log_det(matrix: NDArray[np.float64]) -> float:
    # Of a positive definite matrix, through the Cholesky factor.
    return 2 * float(np.log(np.diagonal(np.linalg.cholesky(matrix))).sum())
