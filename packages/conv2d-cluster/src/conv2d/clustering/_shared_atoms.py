"""Components of a hierarchical process: atoms that groups share."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from conv2d.clustering._check import Features, Table
from conv2d.clustering._components import Components
from conv2d.clustering._gaussians import Gaussians, MergeDistance
from conv2d.clustering._hdp_posterior import Atoms
from conv2d.clustering._untyped import digamma, logsumexp

# Within the table of a fit the first column is the number of the row's group: this one for a group never seen.
UNKNOWN = -1.0
# Keeps the logarithm of a weight of nought finite.
_TINY = 1e-300


@dataclass(frozen=True, slots=True, eq=False)
class SharedAtoms(Components):
    """Atoms that all groups share, and how much each group uses of each."""

    alpha: float
    groups: tuple[str, ...]
    varying: NDArray[np.float64]  # columns that are not constant: the others tell nothing
    constant: NDArray[np.float64]  # mean of every column, (F,)
    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    mean: NDArray[np.float64]
    kappa: NDArray[np.float64]
    a: NDArray[np.float64]
    b: NDArray[np.float64]
    beta: NDArray[np.float64]
    used: NDArray[np.float64]  # expected points of each component in each group, (C, J)

    per_component: ClassVar[tuple[str, ...]] = ("mean", "kappa", "a", "b", "beta", "used")

    def assign(self, table: Table) -> NDArray[np.intp]:
        """Return the atom most responsible for each row, by the weights of the row's group."""
        group = table[:, 0].astype(np.intp)
        # Last, so that an unknown group (−1) finds it: the weights of all.
        log_weight = np.vstack([digamma(self._concentration()), np.log(np.maximum(self.beta, _TINY))])
        return (self._atoms().expected_log_density(self._scaled(table)) + log_weight[group]).argmax(axis=1)

    def log_predictive(self, table: Table) -> NDArray[np.float64]:
        """Return the log density of each row, parameters integrated out."""
        group = table[:, 0].astype(np.intp)
        weight = np.maximum(np.vstack([self.weights(), self.beta]), _TINY)
        joint = self._atoms().log_predictive(self._scaled(table)) + np.log(weight)[group]
        return logsumexp(joint, axis=1) - np.log(self.scale).sum()

    def weights(self) -> NDArray[np.float64]:
        """Return the expected weights of the atoms in each group, (J, C)."""
        concentration = self._concentration()
        return concentration / concentration.sum(axis=1, keepdims=True)

    def distances(self, kind: MergeDistance = "bhattacharyya") -> NDArray[np.float64]:
        """Return the distances of the atoms at their expected parameters, (C, C)."""
        variances = self.b / self.a[:, None]
        gaussians = Gaussians(
            n_iter=self.n_iter,
            converged=self.converged,
            covariance_type="diag",
            weights=self.beta,
            means=self.mean,
            covariances=variances,
            factors=self.beta,
        )
        return gaussians.distances(kind)

    def in_all_columns(self, values: NDArray[np.float64], otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values of the columns that vary, (C, V), among those of the columns that do not, (F,)."""
        table = np.tile(otherwise, (len(values), 1))
        table[:, self.varying.astype(np.intp)] = values
        return table

    def _concentration(self) -> NDArray[np.float64]:
        return np.maximum(self.alpha * self.beta + self.used.T, _TINY)

    def _atoms(self) -> Atoms:
        return Atoms(self.mean, self.kappa, self.a, self.b)

    def _scaled(self, table: Table) -> Features:
        return (table[:, 1 + self.varying.astype(np.intp)] - self.shift) / self.scale
