"""Expectation maximisation of Gaussian mixtures."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from conv2d.clustering._check import Features
from conv2d.clustering._components import blocks
from conv2d.clustering._gaussians import CovarianceType, Floats, Gaussians, log_sum_exp

# Keeps what is divided by a weight of nought finite.
_EMPTY = 10 * np.finfo(np.float64).eps
# A covariance matrix is inverted, so its axes may differ in length only so much.
_CONDITION = 1e-10


class _Sums(NamedTuple):
    """Sums over rows by responsibility, about a fixed point: of one (C,), of x (C, F) and of x² or x xᵀ."""

    counts: Floats
    first: Floats
    second: Floats


@dataclass(frozen=True, slots=True, eq=False)
class MixtureRows:
    """Rows that a mixture is fitted to, less their mean."""

    apart: Features
    shift: Floats
    covariance_type: CovarianceType
    reg_covar: float  # added to every variance

    @classmethod
    def of(cls, table: Features, covariance_type: CovarianceType, reg_covar: float) -> Self:
        """Return the rows of a table."""
        shift = table.mean(axis=0)
        return cls(table - shift, shift, covariance_type, reg_covar)

    def estimated(self, labels: NDArray[np.intp], k: int) -> Gaussians:
        """Return the Gaussians of the groups 0 … k - 1 of rows; rows in group −1 are left out."""
        group = np.arange(k)[:, None]
        return self._estimated(lambda at, _rows, _squares: (labels[at] == group).astype(np.float64))

    def reassigned(self, components: Gaussians) -> tuple[NDArray[np.intp], Gaussians]:
        """Return the component of each row, and the Gaussians of the groups that this makes."""
        labels, group = np.empty(len(self.apart), dtype=np.intp), np.arange(len(components.weights))[:, None]
        log_joint = components.log_joint(components.factors, self.shift)

        def members(at: slice, rows: Floats, squares: Floats) -> Floats:
            labels[at] = log_joint(rows, squares).argmax(axis=0)
            return (labels[at] == group).astype(np.float64)

        return labels, self._estimated(members)

    def likeliest(self, partitions: NDArray[np.intp], k: int, *, steps: int) -> Gaussians:
        """Return the Gaussians of that partition (S, N) from which a few steps lead to the highest likelihood."""
        runs: list[tuple[float, Gaussians]] = []
        for labels in partitions:
            found, likelihood = self.estimated(labels, k), 0.0
            for _ in range(steps if len(partitions) > 1 else 0):
                found, likelihood = self._step(found)
            runs.append((likelihood, found))
        return max(runs, key=lambda run: run[0])[1]

    def maximised(self, start: Gaussians, *, max_iter: int, tol: float) -> Gaussians:
        """Return what expectation maximisation reaches from a start, until a step gains less than `tol` a row."""
        found, before = start, -np.inf
        for n_iter in range(1, max_iter + 1):
            found, likelihood = self._step(found)
            if abs(likelihood - before) < tol:
                return replace(found, n_iter=n_iter, converged=True)
            before = likelihood
        return replace(found, n_iter=max_iter, converged=False)

    def _step(self, before: Gaussians) -> tuple[Gaussians, float]:
        """Return the next parameters, and the mean log-likelihood of those before."""
        likelihood: list[float] = []
        log_joint = before.log_joint(before.weights, self.shift)

        def responsibilities(_at: slice, rows: Floats, squares: Floats) -> Floats:
            log_density, resp = log_sum_exp(log_joint(rows, squares))
            likelihood.append(float(log_density.sum()))
            return resp

        return self._estimated(responsibilities), sum(likelihood) / len(self.apart)

    def _estimated(self, responsibilities: Callable[[slice, Floats, Floats], Floats]) -> Gaussians:
        """Return the Gaussians that make the rows likeliest, given responsibilities (C, N)."""
        sums = self._summed(responsibilities)
        counts = sums.counts + _EMPTY
        means = sums.first / counts[:, None]
        if self.covariance_type == "diag":
            covariances = np.maximum(sums.second / counts[:, None] - means**2, 0.0) + self.reg_covar
        elif self.covariance_type == "tied":
            covariances = _invertible((sums.second - (means.T * counts) @ means) / counts.sum(), self.reg_covar)
        else:
            outer = means[:, :, None] * means[:, None, :]
            covariances = _invertible(sums.second / counts[:, None, None] - outer, self.reg_covar)
        weights = counts / counts.sum()
        return Gaussians(0, True, self.covariance_type, weights, means + self.shift, covariances, weights)

    def _summed(self, responsibilities: Callable[[slice, Floats, Floats], Floats]) -> _Sums:
        total: _Sums | None = None
        for at in blocks(len(self.apart)):
            rows = self.apart[at]
            squares = rows**2
            resp = responsibilities(at, rows, squares)
            if self.covariance_type == "diag":
                second = resp @ squares
            elif self.covariance_type == "tied":
                second = (rows * resp.sum(axis=0)[:, None]).T @ rows
            else:
                second = np.array([(rows * part[:, None]).T @ rows for part in resp])
            here = _Sums(resp.sum(axis=1), resp @ rows, second)
            total = here if total is None else _Sums(*(one + two for one, two in zip(total, here, strict=True)))
        assert total is not None  # a checked table has rows
        return total


def _invertible(covariances: Floats, reg_covar: float) -> Floats:
    n_features = covariances.shape[-1]
    # The mean variance stands for the longest axis, which is at most n_features times as long.
    scale = np.trace(covariances, axis1=-2, axis2=-1) * _CONDITION
    added = np.maximum(reg_covar, scale)[..., None, None] * np.eye(n_features)
    return (covariances + np.swapaxes(covariances, -1, -2)) / 2 + added
