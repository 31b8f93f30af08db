"""Variational posterior of a hierarchical Dirichlet-process mixture of diagonal Gaussians.

The model, with j a group, n a point of it and d a feature (Teh et al. 2006, finite direct-assignment truncation)::

    beta ~ GEM(1),  pi_j ~ Dirichlet(alpha * beta),  z_jn ~ pi_j
    precision_kd ~ Gamma(a0, b0),  mean_kd ~ Normal(0, 1 / (kappa0 * precision_kd))
    x_jnd ~ Normal(mean_kd, 1 / precision_kd) for k = z_jn

Factors of the posterior: q(z), q(pi_j) and q(mean, precision); beta is a point estimate (Liang et al. 2007). Given the
responsibilities, the best q(pi) and q(mean, precision) are known, so the bound is a function of the responsibilities
and beta alone, and every step here raises it or leaves it. Features are scaled to mean 0 and variance 1 before.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conv2d.clustering._check import Features
from conv2d.clustering._untyped import digamma, gammaln, logsumexp, xlogy

Floats = NDArray[np.float64]

# Priors on scaled features: a motif's variance is guessed at a tenth of the variance of all points, on the strength of
# two points (a0 = 1), and its mean lies about where the points do (variance b0 / (a0 * kappa0) = 1).
_WITHIN = 0.1
A0, B0, KAPPA0 = 1.0, _WITHIN, _WITHIN
# No point is known better than to a thirtieth of the standard deviation of all: its square is this much uncertain.
# Without it, a feature that repeats one value would outweigh all others, the more the larger the component.
BLUR = 1e-3
# Components are merged once sweeps gain less than this per point: before, it would be too early to tell.
_SETTLED = 1e-3
# A merge must gain more than rounding can.
_LEAST_GAIN = 1e-6
# Keeps logarithms and their kin finite where a weight is nought.
_TINY = 1e-300
_LOG_2PI = float(np.log(2 * np.pi))


class Statistics(NamedTuple):
    """Sums over points, weighted by responsibility: of each component in each group (J, K), of x and x² (K, D)."""

    counts: Floats
    first: Floats
    second: Floats


def statistics(points: Features, group: NDArray[np.intp], n_groups: int, resp: Floats) -> Statistics:
    """Return the sufficient statistics of the responsibilities (N, K)."""
    member = np.arange(n_groups)[:, None] == group
    return Statistics(member @ resp, resp.T @ points, resp.T @ (points**2 + BLUR))


class Atoms(NamedTuple):
    """Normal-gamma posterior of each component: mean (K, D), strength (K,), shape (K,), rate (K, D)."""

    mean: Floats
    kappa: Floats
    a: Floats
    b: Floats

    @classmethod
    def given(cls, counts: Floats, first: Floats, second: Floats) -> "Atoms":
        """Return the posterior given the sums; the leading axes may be any."""
        kappa, a = KAPPA0 + counts, A0 + counts / 2
        mean = first / kappa[..., None]
        # Rounding may leave the sum of squares a little below that of its mean.
        spread = np.maximum(second - kappa[..., None] * mean**2, 0.0)
        return cls(mean, kappa, a, B0 + spread / 2)

    def log_evidence(self) -> Floats:
        """Return the log marginal likelihood of the points of each component."""
        n_features = self.b.shape[-1]
        of_all = gammaln(self.a) - gammaln(A0) + A0 * np.log(B0)
        of_all += (np.log(KAPPA0) - np.log(self.kappa)) / 2 - (self.a - A0) * _LOG_2PI
        return n_features * of_all - self.a * np.log(self.b).sum(axis=-1)

    def expected_log_density(self, points: Features) -> Floats:
        """Return E[log density] of each point under each component, (N, K)."""
        precision = self.a[:, None] / self.b
        squares = (
            (points**2 + BLUR) @ precision.T
            - 2 * points @ (precision * self.mean).T
            + (precision * self.mean**2).sum(axis=1)
        )
        n_features = points.shape[1]
        rest = n_features * (digamma(self.a) - _LOG_2PI - 1 / self.kappa) - np.log(self.b).sum(axis=1)
        return (rest - squares) / 2

    def log_predictive(self, points: Features) -> Floats:
        """Return the log density of each point under each component, parameters integrated out: Student's t, (N, K)."""
        found = np.empty((len(points), len(self.a)))
        for k, (mean, kappa, a, b) in enumerate(zip(*self, strict=True)):
            scale = 2 * b * (1 + 1 / kappa)  # degrees of freedom times the squared scale
            constant = points.shape[1] * (gammaln(a + 0.5) - gammaln(a)) - (np.log(np.pi * scale)).sum() / 2
            found[:, k] = constant - (a + 0.5) * np.log1p((points - mean) ** 2 / scale).sum(axis=1)
        return found


@dataclass(frozen=True, slots=True)
class Posterior:
    """What the fit found, with the bound after each sweep."""

    atoms: Atoms
    beta: Floats
    counts: Floats
    resp: Floats
    bounds: tuple[float, ...]
    converged: bool


def infer(
    points: Features, group: NDArray[np.intp], resp: Floats, *, alpha: float, max_iter: int, tol: float
) -> Posterior:
    """Raise the bound from the responsibilities given, until a sweep gains less than `tol` a point."""
    n_groups = int(group.max()) + 1
    sums = statistics(points, group, n_groups, resp)
    beta = _raised_beta(np.ones_like(sums.first[:, 0]) / len(sums.first), sums.counts, alpha)
    bounds: list[float] = []
    for _ in range(max_iter):
        log_weight = digamma(np.maximum(alpha * beta + sums.counts, _TINY))
        score = Atoms.given(sums.counts.sum(axis=0), sums.first, sums.second).expected_log_density(points)
        score += log_weight[group]
        resp = np.exp(score - logsumexp(score, axis=1, keepdims=True))
        sums = statistics(points, group, n_groups, resp)
        beta = _raised_beta(beta, sums.counts, alpha)
        reached = bound(resp, sums, beta, alpha)
        gain, before = (reached - bounds[-1]) / len(points) if bounds else np.inf, len(beta)
        if gain < _SETTLED:
            resp, sums, beta = _merged(resp, sums, beta, alpha)
            reached = bound(resp, sums, beta, alpha)
        bounds.append(reached)
        if gain < tol and len(beta) == before:
            break
    atoms = Atoms.given(sums.counts.sum(axis=0), sums.first, sums.second)
    return Posterior(atoms, beta, sums.counts, resp, tuple(bounds), converged=len(bounds) < max_iter)


def bound(resp: Floats, sums: Statistics, beta: Floats, alpha: float) -> float:
    """Return the evidence lower bound, up to the prior of beta, which is flat."""
    atoms = Atoms.given(sums.counts.sum(axis=0), sums.first, sums.second)
    groups = sums.counts.sum(axis=1)
    weights = (gammaln(alpha) - gammaln(alpha + groups)).sum() + _log_weights(sums.counts, beta, alpha).sum()
    return float(atoms.log_evidence().sum() + weights - xlogy(resp, resp).sum())


def _log_weights(counts: Floats, beta: Floats, alpha: float) -> Floats:
    """Return what each component adds to the log evidence of the weights of all groups."""
    # An empty component adds nothing, also where its weight has reached nought.
    prior = np.maximum(alpha * beta, _TINY)
    return (gammaln(prior + counts) - gammaln(prior)).sum(axis=0)


def _raised_beta(beta: Floats, counts: Floats, alpha: float) -> Floats:
    """Return better global weights: in proportion to the expected numbers of tables (Teh et al. 2006; Minka 2000)."""
    best = _log_weights(counts, beta, alpha).sum()
    for _ in range(20):
        prior = np.maximum(alpha * beta, _TINY)
        tables = (prior * (digamma(prior + counts) - digamma(prior))).sum(axis=0)
        raised = tables / tables.sum()
        now = _log_weights(counts, raised, alpha).sum()
        # Minka's bound needs whole points; with parts of points a step may fail, and is not made.
        if not now > best:
            break
        beta, best = raised, now
    return beta


def _merged(resp: Floats, sums: Statistics, beta: Floats, alpha: float) -> tuple[Floats, Statistics, Floats]:
    """Merge pairs of components for as long as that raises the bound, the best pair first (Bryant and Sudderth 2012)."""
    while len(beta) > 1:
        one, two = np.triu_indices(len(beta), 1)
        gain = _gain_but_entropy(sums, beta, alpha, one, two)
        # Merging never adds entropy, so only these can be worth it.
        for pair in np.flatnonzero(gain > _LEAST_GAIN):
            gain[pair] -= _entropy_lost(resp[:, one[pair]], resp[:, two[pair]])
        best = int(gain.argmax())
        if gain[best] <= _LEAST_GAIN:
            break
        kept, gone = int(one[best]), int(two[best])
        resp, beta = _joined(resp, kept, gone), _joined(beta, kept, gone)
        sums = Statistics(
            _joined(sums.counts, kept, gone), _joined(sums.first.T, kept, gone).T, _joined(sums.second.T, kept, gone).T
        )
    return resp, sums, beta


def _joined(part: Floats, kept: int, gone: int) -> Floats:
    """Add one entry of the last axis to another, and drop it."""
    joined = part.copy()
    joined[..., kept] += joined[..., gone]
    return np.delete(joined, gone, axis=-1)


def _gain_but_entropy(
    sums: Statistics, beta: Floats, alpha: float, one: NDArray[np.intp], two: NDArray[np.intp]
) -> Floats:
    total = sums.counts.sum(axis=0)
    apart = Atoms.given(total, sums.first, sums.second).log_evidence() + _log_weights(sums.counts, beta, alpha)
    joint = Atoms.given(
        total[one] + total[two], sums.first[one] + sums.first[two], sums.second[one] + sums.second[two]
    ).log_evidence()
    joint += _log_weights(sums.counts[:, one] + sums.counts[:, two], beta[one] + beta[two], alpha)
    return joint - apart[one] - apart[two]


def _entropy_lost(one: Floats, two: Floats) -> float:
    joint = one + two
    return float((xlogy(joint, joint) - xlogy(one, one) - xlogy(two, two)).sum())
