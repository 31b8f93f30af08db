"""Duration families of the hidden semi-Markov model: how many steps a state lasts.

Every family is a small frozen description with one method, ``log_pmf()``: the log probability of lasting 1, 2, …, D
steps, normalised over 1..D. Families may be mixed freely between the states of one model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal._check import check_at_least

__all__ = [
    "Categorical",
    "Duration",
    "Gamma",
    "Geometric",
    "HeadTail",
    "LogNormal",
    "MinimumDwell",
    "NegativeBinomial",
    "Poisson",
    "Table",
]

Float = NDArray[np.float64]

# Without max_duration a family is cut where less than this probability is left beyond.
_TAIL = 1e-9
_LONGEST = 1 << 16


@runtime_checkable
class Duration(Protocol):
    """A distribution over durations of 1..D steps.

    Examples
    --------
    >>> isinstance(Poisson(rate=3.0), Duration)
    True
    """

    def log_pmf(self) -> Float:
        """Return log p(d) for d = 1..D, float64 (D,), normalised; -inf where impossible."""
        ...


@dataclass(frozen=True)
class Poisson:
    """Durations d with d - 1 ~ Poisson(rate).

    Parameters
    ----------
    rate : float
        Mean of d - 1, positive.
    max_duration : int, optional
        Longest duration D; the rest of the mass is spread over 1..D in proportion. By default D is the shortest that
        leaves out less than 1e-9.

    Examples
    --------
    >>> np.exp(Poisson(rate=1.0, max_duration=3).log_pmf()).round(3)
    array([0.4, 0.4, 0.2])
    """

    rate: float
    max_duration: int | None = None

    def __post_init__(self) -> None:
        _check_positive("rate", self.rate)

    def log_pmf(self) -> Float:
        """Return log p(d) for d = 1..D, float64 (D,), normalised."""
        return _cut(lambda d: (d - 1) * np.log(self.rate) - _log_factorial(d - 1), self.max_duration)


@dataclass(frozen=True)
class NegativeBinomial:
    """Durations d with d - 1 ~ NB(r, p): failures before the r-th success, r real.

    Parameters
    ----------
    r : float
        Number of successes, positive. Smaller r, wider distribution.
    p : float
        Probability of success, 0 < p < 1; the mean of d - 1 is ``r * (1 - p) / p``.
    max_duration : int, optional
        Longest duration D; by default the shortest that leaves out less than 1e-9.

    Examples
    --------
    >>> np.exp(NegativeBinomial(r=1.0, p=0.5, max_duration=3).log_pmf()).round(3)
    array([0.571, 0.286, 0.143])
    """

    r: float
    p: float
    max_duration: int | None = None

    def __post_init__(self) -> None:
        _check_positive("r", self.r)
        _check_probability("p", self.p)

    def log_pmf(self) -> Float:
        """Return log p(d) for d = 1..D, float64 (D,), normalised."""

        def log_weight(d: Float) -> Float:
            n = d - 1
            grow = np.cumsum(np.log((self.r + n) / d))
            return np.concatenate([[0.0], grow[:-1]]) + n * np.log1p(-self.p)

        return _cut(log_weight, self.max_duration)


@dataclass(frozen=True)
class Geometric:
    """Durations of a plain Markov chain: p(d) = (1 - stay) * stay ** (d - 1).

    Parameters
    ----------
    stay : float
        Probability of one more step, 0 < stay < 1; the mean duration is ``1 / (1 - stay)``.
    max_duration : int, optional
        Longest duration D; by default the shortest that leaves out less than 1e-9.

    Examples
    --------
    >>> np.exp(Geometric(stay=0.5, max_duration=2).log_pmf()).round(3)
    array([0.667, 0.333])
    """

    stay: float
    max_duration: int | None = None

    def __post_init__(self) -> None:
        _check_probability("stay", self.stay)

    def log_pmf(self) -> Float:
        """Return log p(d) for d = 1..D, float64 (D,), normalised."""
        return _cut(lambda d: (d - 1) * np.log(self.stay), self.max_duration)


@dataclass(frozen=True)
class Categorical:
    """Any probabilities of 1..D steps.

    Parameters
    ----------
    pmf : sequence of float
        Probability of 1, 2, …, D steps; not negative, sum 1.

    Examples
    --------
    >>> np.exp(Categorical((0.0, 0.25, 0.75)).log_pmf()).round(3)
    array([0.  , 0.25, 0.75])
    """

    pmf: Sequence[float]

    def __post_init__(self) -> None:
        _check_pmf("pmf", self.pmf, least=1.0)

    def log_pmf(self) -> Float:
        """Return log p(d) for d = 1..D, float64 (D,), normalised; -inf where impossible."""
        return _normalised(_log(np.array(self.pmf, dtype=np.float64)))


@dataclass(frozen=True, eq=False)
class Table:
    """Log probabilities as they are, such as a row of `HSMM.log_duration`.

    Parameters
    ----------
    log_probability : float64, shape (D,)
        Log probability of 1, 2, …, D steps; the sum of the probabilities is 1.

    Examples
    --------
    >>> Table(np.log([0.5, 0.5])).log_pmf().round(2)
    array([-0.69, -0.69])
    """

    log_probability: Float

    def log_pmf(self) -> Float:
        """Return log p(d) for d = 1..D, float64 (D,); -inf where impossible."""
        return self.log_probability


@dataclass(frozen=True)
class LogNormal:
    """Log-normal durations: p(d) in proportion to the density at d.

    Parameters
    ----------
    mu, sigma : float
        Mean and standard deviation of the logarithm of the duration in steps; sigma positive.
    max_duration : int, optional
        Longest duration D; by default the shortest that leaves out less than 1e-9.

    Examples
    --------
    >>> int(np.argmax(LogNormal(mu=np.log(20), sigma=0.1).log_pmf())) + 1
    20
    """

    mu: float
    sigma: float
    max_duration: int | None = None

    def __post_init__(self) -> None:
        _check_positive("sigma", self.sigma)
        if not np.isfinite(self.mu):
            raise ValueError(f"mu must be finite, got {self.mu!r}.")

    def log_pmf(self) -> Float:
        """Return log p(d) for d = 1..D, float64 (D,), normalised."""
        return _cut(lambda d: -np.log(d) - ((np.log(d) - self.mu) / self.sigma) ** 2 / 2, self.max_duration)


@dataclass(frozen=True)
class Gamma:
    """Gamma durations: p(d) in proportion to the density at d.

    Parameters
    ----------
    shape : float
        Shape, positive.
    scale : float
        Scale in steps, positive; the mean of the density is ``shape * scale``.
    max_duration : int, optional
        Longest duration D; by default the shortest that leaves out less than 1e-9.

    Examples
    --------
    >>> int(np.argmax(Gamma(shape=5.0, scale=4.0).log_pmf())) + 1
    16
    """

    shape: float
    scale: float
    max_duration: int | None = None

    def __post_init__(self) -> None:
        _check_positive("shape", self.shape)
        _check_positive("scale", self.scale)

    def log_pmf(self) -> Float:
        """Return log p(d) for d = 1..D, float64 (D,), normalised."""
        return _cut(lambda d: (self.shape - 1) * np.log(d) - d / self.scale, self.max_duration)


@dataclass(frozen=True)
class HeadTail:
    """Free probabilities for short durations, a geometric tail for the long ones.

    Parameters
    ----------
    head : sequence of float
        Probability of 1, 2, …, H steps; not negative, sum at most 1. What is missing to 1 is the tail's.
    stay : float
        Probability of one more step in the tail, 0 < stay < 1.
    max_duration : int, optional
        Longest duration D; by default the shortest that leaves out less than 1e-9.

    Examples
    --------
    >>> np.exp(HeadTail(head=(0.0, 0.4), stay=0.5, max_duration=4).log_pmf()).round(3)
    array([0.   , 0.471, 0.353, 0.176])
    """

    head: Sequence[float]
    stay: float
    max_duration: int | None = None

    def __post_init__(self) -> None:
        _check_pmf("head", self.head, least=0.0)
        _check_probability("stay", self.stay)

    def log_pmf(self) -> Float:
        """Return log p(d) for d = 1..D, float64 (D,), normalised; -inf where impossible."""
        head = np.array(self.head, dtype=np.float64)
        # A head that sums to 1 but for rounding has no tail.
        left = max(0.0, 1.0 - float(head.sum()))
        start = _log(np.array([left if left > _TAIL else 0.0]))[0] + np.log1p(-self.stay)

        def log_weight(d: Float) -> Float:
            weight = start + (d - head.size - 1) * np.log(self.stay)
            known = min(head.size, d.size)
            weight[:known] = _log(head[:known])
            return weight

        return _cut(log_weight, self.max_duration)


@dataclass(frozen=True)
class MinimumDwell:
    """Another family, given that it lasts at least `steps`.

    Parameters
    ----------
    base : Duration
        The family.
    steps : int
        Shortest duration left possible, at least 1. Other durations keep their proportions.

    Examples
    --------
    >>> np.exp(MinimumDwell(Categorical((0.5, 0.25, 0.25)), steps=2).log_pmf()).round(3)
    array([0. , 0.5, 0.5])
    """

    base: Duration
    steps: int

    def __post_init__(self) -> None:
        check_at_least("steps", self.steps, 1)

    def log_pmf(self) -> Float:
        """Return log p(d) for d = 1..D, float64 (D,), normalised; -inf below the minimum."""
        log_pmf = self.base.log_pmf().copy()
        log_pmf[: self.steps - 1] = -np.inf
        return _normalised(log_pmf)


def _cut(log_weight: Callable[[Float], Float], max_duration: int | None) -> Float:
    """Return the normalised log weights of 1..max_duration, or as far as they matter."""
    if max_duration is not None:
        check_at_least("max_duration", max_duration, 1)
        return _normalised(log_weight(np.arange(1.0, max_duration + 1)))
    longest = 64
    while longest <= _LONGEST:
        log_pmf = _normalised(log_weight(np.arange(1.0, longest + 1)))
        beyond = np.cumsum(np.exp(log_pmf[::-1]))[::-1]
        # The second half must be empty before one may believe that nothing comes after it.
        if beyond[longest // 2] < _TAIL:
            return _normalised(log_pmf[: int(np.argmax(beyond < _TAIL))])
        longest *= 2
    raise ValueError(
        f"This duration family has a tail longer than {_LONGEST} steps: give max_duration, or use fewer, longer steps."
    )


def _normalised(log_weight: Float) -> Float:
    top = float(log_weight.max())
    if not np.isfinite(top):
        raise ValueError(f"No duration of 1..{log_weight.size} steps has a positive probability.")
    return log_weight - (top + np.log(np.exp(log_weight - top).sum()))


def _log(weight: Float) -> Float:
    with np.errstate(divide="ignore"):
        return np.log(weight)


def _log_factorial(n: Float) -> Float:
    """Return log n! of the whole numbers n from 0 upwards."""
    return np.cumsum(np.log(np.maximum(n, 1.0)))


def _check_positive(name: str, value: float) -> None:
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be positive and finite, got {value!r}.")


def _check_probability(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} must be a probability strictly between 0 and 1, got {value!r}.")


def _check_pmf(name: str, values: Sequence[float], least: float) -> None:
    array = np.array(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a sequence of at least one probability, got shape {array.shape}.")
    total = float(array.sum())
    if not np.isfinite(array).all() or array.min() < 0 or not least - 1e-6 <= total <= 1 + 1e-6:
        rule = "sum to 1" if least else "sum to at most 1"
        raise ValueError(f"{name} must hold probabilities that {rule}; got minimum {array.min()} and sum {total}.")
