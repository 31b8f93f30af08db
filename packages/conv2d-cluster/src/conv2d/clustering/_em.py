"""Expectation maximisation of Gaussian mixtures."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conv2d.clustering._check import Features
from conv2d.clustering._components import blocks
from conv2d.clustering._gaussians import CovarianceType, Floats, Gaussians, log_sum_exp

# Keeps what is divided by a weight of nought finite.
_EMPTY = 10 * np.finfo(np.float64).eps
# A covariance matrix is inverted, so its axes may differ in length only so much.
_CONDITION = 1e-10


class Model(NamedTuple):
    """What is fitted: the kind of covariance, and what is added to every variance."""

    covariance_type: CovarianceType
    reg_covar: float


class _Sums(NamedTuple):
    """Sums over rows by responsibility, about a fixed point: of one (C,), of x (C, F) and of x² or x xᵀ."""

    counts: Floats
    first: Floats
    second: Floats


def from_partition(table: Features, labels: NDArray[np.intp], k: int, model: Model) -> Gaussians:
    """Return the Gaussians of the groups 0 … k - 1 of rows; rows in group −1 are left out."""
    group, shift = np.arange(k)[:, None], table.mean(axis=0)
    sums = _summed(table, shift, lambda at, _: (labels[at] == group).astype(np.float64), model.covariance_type)
    return _estimated(sums, shift, model)


def maximised(table: Features, start: Gaussians, model: Model, *, max_iter: int, tol: float) -> Gaussians:
    """Return what expectation maximisation reaches from a start, until a step gains less than `tol` a row."""
    shift, found, before = table.mean(axis=0), start, -np.inf
    for n_iter in range(1, max_iter + 1):
        found, likelihood = _step(table, shift, found, model)
        if abs(likelihood - before) < tol:
            return replace(found, n_iter=n_iter, converged=True)
        before = likelihood
    return replace(found, n_iter=max_iter, converged=False)


def reassigned(table: Features, before: Gaussians, model: Model) -> tuple[NDArray[np.intp], Gaussians]:
    """Return the component of each row, and the Gaussians of the rows of each."""
    labels = np.empty(len(table), dtype=np.intp)
    joint, group, shift = before.log_joint(before.factors), np.arange(len(before.weights))[:, None], table.mean(axis=0)

    def members(at: slice, rows: Features) -> Floats:
        labels[at] = joint(rows).argmax(axis=0)
        return (labels[at] == group).astype(np.float64)

    sums = _summed(table, shift, members, model.covariance_type)
    return labels, _estimated(sums, shift, model)


def _step(table: Features, shift: Floats, before: Gaussians, model: Model) -> tuple[Gaussians, float]:
    """Return the next parameters, and the mean log-likelihood of those before."""
    likelihood: list[float] = []
    joint = before.log_joint(before.weights)

    def responsibilities(_: slice, rows: Features) -> Floats:
        log_density, resp = log_sum_exp(joint(rows))
        likelihood.append(float(log_density.sum()))
        return resp

    sums = _summed(table, shift, responsibilities, model.covariance_type)
    return _estimated(sums, shift, model), sum(likelihood) / len(table)


def _summed(
    table: Features, shift: Floats, responsibilities: Callable[[slice, Features], Floats], kind: CovarianceType
) -> _Sums:
    """Return the sums of responsibilities (C, N) over all rows, block by block."""
    total: _Sums | None = None
    for at in blocks(len(table)):
        rows = table[at]
        resp, apart = responsibilities(at, rows), rows - shift
        if kind == "diag":
            second = resp @ apart**2
        elif kind == "tied":
            second = (apart * resp.sum(axis=0)[:, None]).T @ apart
        else:
            second = np.array([(apart * part[:, None]).T @ apart for part in resp])
        here = _Sums(resp.sum(axis=1), resp @ apart, second)
        total = here if total is None else _Sums(*(one + two for one, two in zip(total, here, strict=True)))
    assert total is not None  # a checked table has rows
    return total


def _estimated(sums: _Sums, shift: Floats, model: Model) -> Gaussians:
    """Return the parameters that make the rows likeliest."""
    counts = sums.counts + _EMPTY
    means = sums.first / counts[:, None]
    if model.covariance_type == "diag":
        covariances = np.maximum(sums.second / counts[:, None] - means**2, 0.0) + model.reg_covar
    elif model.covariance_type == "tied":
        covariances = _invertible((sums.second - (means.T * counts) @ means) / counts.sum(), model.reg_covar)
    else:
        outer = means[:, :, None] * means[:, None, :]
        covariances = _invertible(sums.second / counts[:, None, None] - outer, model.reg_covar)
    weights = counts / counts.sum()
    return Gaussians(0, True, model.covariance_type, weights, means + shift, covariances, weights)


def _invertible(covariances: Floats, reg_covar: float) -> Floats:
    n_features = covariances.shape[-1]
    # The mean variance stands for the longest axis, which is at most n_features times as long.
    scale = np.trace(covariances, axis1=-2, axis2=-1) * _CONDITION
    added = np.maximum(reg_covar, scale)[..., None, None] * np.eye(n_features)
    return (covariances + np.swapaxes(covariances, -1, -2)) / 2 + added
