"""Estimates of the model's parameters from counts, observed or expected."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal._inference import survival
from conv2d.temporal.durations import (
    Categorical,
    Duration,
    Gamma,
    Geometric,
    LogNormal,
    NegativeBinomial,
    Poisson,
)

Float = NDArray[np.float64]
Family = Literal["categorical", "poisson", "negative_binomial", "geometric", "log_normal", "gamma"]

# A rate, a variance or a probability of a family stays this far from where the family degenerates.
_EDGE = 1e-3
# Above this, the tail of geometric durations is longer than a table of them.
_LONGEST_STAY = 1 - 1 / 3000
# Sweeps that share out durations cut off by the end of a sequence; each moves the estimate less.
_SWEEPS = 50


def fit_durations(complete: Float, unfinished: Float, family: Family) -> list[Duration]:
    """Return one duration of the family per state.

    `complete` and `unfinished` (K, D) count segments by the steps they lasted, or were seen to last at least. The
    unfinished are shared out over the longer durations in proportion to the current estimate, and the estimate is
    taken again, which is the EM algorithm of censored data.
    """
    return [_fit_one(done, cut, family) for done, cut in zip(complete, unfinished, strict=True)]


def without_longest(durations: list[Duration]) -> list[Duration]:
    """Return geometric durations without a longest one, where their tail still fits a table."""
    stays = [duration.stay if isinstance(duration, Geometric) else 1.0 for duration in durations]
    return [Geometric(stay) for stay in stays] if max(stays) < _LONGEST_STAY else durations


def share_out(complete: Float, unfinished: Float, log_pmf: Float) -> Float:
    """Return `complete` with every unfinished segment spread over the durations it may have come to."""
    lasting = np.exp(survival(log_pmf[None])[0])
    per_survivor = np.divide(unfinished, lasting, out=np.zeros_like(lasting), where=lasting > 0)
    shared = complete + np.exp(log_pmf) * np.cumsum(per_survivor)
    # Seen to last where the estimate says impossible: taken as ended there.
    return shared + np.where(lasting > 0, 0.0, unfinished)


def _fit_one(done: Float, unfinished: Float, family: Family) -> Duration:
    longest = done.size
    estimate = _FAMILIES[family]
    duration = estimate(done + unfinished)
    if unfinished.any():
        for _ in range(_SWEEPS):
            duration = estimate(share_out(done, unfinished, _table(duration, longest)))
    return duration


def _table(duration: Duration, longest: int) -> Float:
    log_pmf = np.full(longest, -np.inf)
    own = duration.log_pmf()[:longest]
    log_pmf[: own.size] = own
    return log_pmf


def _moments(weight: Float, value: Float) -> tuple[float, float]:
    mean = float(np.average(value, weights=weight))
    return mean, float(np.average((value - mean) ** 2, weights=weight))


def _steps(weight: Float) -> Float:
    return np.arange(1.0, weight.size + 1)


def _categorical(weight: Float) -> Duration:
    return Categorical(tuple((weight / weight.sum()).tolist()))


def _poisson(weight: Float) -> Duration:
    mean, _ = _moments(weight, _steps(weight) - 1)
    return Poisson(max(mean, _EDGE), weight.size)


def _geometric(weight: Float) -> Duration:
    mean, _ = _moments(weight, _steps(weight))
    return Geometric(float(np.clip(1 - 1 / mean, _EDGE, 1 - 1e-9)), weight.size)


def _negative_binomial(weight: Float) -> Duration:
    mean, variance = _moments(weight, _steps(weight) - 1)
    mean = max(mean, _EDGE)
    # Not wider than Poisson: the family's limit.
    variance = max(variance, mean * (1 + _EDGE))
    return NegativeBinomial(mean**2 / (variance - mean), mean / variance, weight.size)


def _log_normal(weight: Float) -> Duration:
    mean, variance = _moments(weight, np.log(_steps(weight)))
    return LogNormal(mean, max(float(np.sqrt(variance)), 0.05), weight.size)


def _gamma(weight: Float) -> Duration:
    mean, variance = _moments(weight, _steps(weight))
    variance = max(variance, _EDGE * mean)
    return Gamma(mean**2 / variance, variance / mean, weight.size)


_FAMILIES: dict[Family, Callable[[Float], Duration]] = {
    "categorical": _categorical,
    "poisson": _poisson,
    "negative_binomial": _negative_binomial,
    "geometric": _geometric,
    "log_normal": _log_normal,
    "gamma": _gamma,
}
FAMILIES = tuple(_FAMILIES)


def log_normalised(weight: Float) -> Float:
    """Return the logarithms of the rows divided by their sums; a row of zeros becomes -inf."""
    total = weight.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        return np.log(np.divide(weight, total, out=np.zeros_like(weight), where=total > 0))
