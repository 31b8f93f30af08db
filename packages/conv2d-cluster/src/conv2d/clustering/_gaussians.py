"""Gaussian components, which the mixture and the Dirichlet process share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
from numpy.typing import NDArray

from conv2d.clustering._check import Features
from conv2d.clustering._components import Components, Density, blocks

CovarianceType = Literal["full", "diag", "tied"]
COVARIANCES = ("full", "diag", "tied")

MergeDistance = Literal["bhattacharyya", "mahalanobis"]
MERGE_DISTANCES = ("bhattacharyya", "mahalanobis")

Floats = NDArray[np.float64]
_LOG_2PI = float(np.log(2 * np.pi))


def log_sum_exp(joint: Floats, axis: int = 0) -> tuple[Floats, Floats]:
    """Return log(sum(exp(joint))) along an axis, and exp(joint) over that sum."""
    top = joint.max(axis=axis, keepdims=True)
    part = np.exp(joint - top)
    total = part.sum(axis=axis, keepdims=True)
    part /= total
    return (top + np.log(total)).squeeze(axis), part


@dataclass(frozen=True, slots=True, eq=False)
class Gaussians(Density):
    """Components of a Gaussian mixture: a row belongs to the component most responsible for it."""

    covariance_type: CovarianceType
    weights: Floats
    means: Floats
    covariances: Floats
    # The factor of the density by which rows are assigned, up to a constant. That of a mixture is the weight; in a
    # Dirichlet process it also tells how sure the parameters are.
    factors: Floats

    per_component: ClassVar[tuple[str, ...]] = ("weights", "means", "covariances", "factors")

    def assign(self, table: Features) -> NDArray[np.intp]:
        """Return the component with the highest posterior probability for each row."""
        return np.concatenate([joint.argmax(axis=0) for joint in self._joints(table, self.factors)])

    def log_density(self, table: Features) -> Floats:
        """Return the log density of each row under the mixture."""
        return np.concatenate([log_sum_exp(joint)[0] for joint in self._joints(table, self.weights)])

    def free_parameters(self, table: Features) -> int:
        """Return the number of weights, means and (co)variances that can be chosen freely."""
        size, n_features = self.means.shape
        shapes = {
            "diag": size * n_features,
            "full": size * n_features * (n_features + 1) // 2,
            "tied": n_features * (n_features + 1) // 2,
        }
        return size - 1 + size * n_features + shapes[self.covariance_type]

    def log_joint(self, factors: Floats, shift: Floats) -> Callable[[Floats, Floats], Floats]:
        """Return the function from rows less a shift, and their squares, to log factor plus log density, (C, N).

        Sums of products lose digits far from nought, which is why rows are shifted to about where the components are.
        """
        means, n_features = self.means - shift, self.means.shape[1]
        constant = np.log(factors) - n_features * _LOG_2PI / 2
        if self.covariance_type == "diag":
            precisions = 1 / self.covariances
            constant -= (np.log(self.covariances) + means**2 * precisions).sum(axis=1) / 2
            linear, quadratic = means * precisions, precisions / -2

            def diagonal(apart: Floats, squares: Floats) -> Floats:
                joint = linear @ apart.T
                joint += quadratic @ squares.T
                joint += constant[:, None]
                return joint

            return diagonal
        whitening = self._whitening()
        if self.covariance_type == "tied":
            white_means = means @ whitening
            constant += np.log(np.diagonal(whitening)).sum() - (white_means**2).sum(axis=1) / 2

            def tied(apart: Floats, squares: Floats) -> Floats:
                white = apart @ whitening
                return white_means @ white.T - (white**2).sum(axis=1) / 2 + constant[:, None]

            return tied
        constant += np.log(np.diagonal(whitening, axis1=1, axis2=2)).sum(axis=1)

        def full(apart: Floats, squares: Floats) -> Floats:
            distances = [
                (((apart - mean) @ white) ** 2).sum(axis=1) for mean, white in zip(means, whitening, strict=True)
            ]
            return constant[:, None] - np.array(distances) / 2

        return full

    def permuted(self, order: NDArray[np.intp]) -> Self:
        """Return the components in another order; a tied covariance is of all."""
        if self.covariance_type != "tied":
            return cast("Self", Components.permuted(self, order))
        return replace(self, weights=self.weights[order], means=self.means[order], factors=self.factors[order])

    def distances(self, kind: MergeDistance = "bhattacharyya") -> Floats:
        """Return the distances of the components, (C, C)."""
        size = len(self.weights)
        distance = np.zeros((size, size))
        for i in range(size):
            for j in range(i):
                squared, spread = self._apart(i, j)
                apart = np.sqrt(squared) if kind == "mahalanobis" else squared / 8 + spread / 2
                distance[i, j] = distance[j, i] = apart
        return distance

    def _joints(self, table: Features, factors: Floats) -> Iterator[Floats]:
        """Return log factor plus log density under each component, (C, N), of one block of rows after another."""
        shift = self.means.mean(axis=0)
        log_joint = self.log_joint(factors, shift)
        for at in blocks(len(table)):
            apart = table[at] - shift
            yield log_joint(apart, apart**2)

    def _whitening(self) -> Floats:
        """Return the matrices W with W Wᵀ the inverse covariance, upper triangular."""
        lower = np.linalg.cholesky(self.covariances)
        inverse = cast("Floats", np.linalg.inv(lower))
        return np.swapaxes(inverse, -1, -2)

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
        squared: Any = apart @ cast("Floats", np.linalg.solve(mean, apart))
        return float(squared), spread


class GaussianParameters:
    """The parameters of a clusterer with Gaussian components."""

    _components: Gaussians

    @property
    def weights_(self) -> Floats:
        """Weights, float64 (C,), by motif id."""
        return self._components.weights

    @property
    def means_(self) -> Floats:
        """Means, float64 (C, F), by motif id."""
        return self._components.means

    @property
    def covariances_(self) -> Floats:
        """Covariances, float64: (C, F) for "diag", (C, F, F) for "full", (F, F) for "tied"."""
        return self._components.covariances


def _log_det(matrix: Floats) -> float:
    # Of a positive definite matrix, through the Cholesky factor.
    return 2 * float(np.log(np.diagonal(np.linalg.cholesky(matrix))).sum())
