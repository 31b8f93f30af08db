"""Inference on one sequence: what the model's batches are made of."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal._backend import Kernels

Float = NDArray[np.float64]

_LN2 = float(np.log(2.0))
# Steps whose K x K transition terms are held in memory at once.
_CHUNK = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """The model as the recursions read it: log probabilities, all (K,), (K, K) or (K, D).

    Attributes
    ----------
    initial, transition, transition_back : float64
        Of the first state; of the next state; and the transpose of that.
    duration : float64
        Of a segment whose beginning and end are in the sequence.
    first, last, only : float64
        Of the steps seen of a segment that begins the sequence, ends it, or does both.
    ends : bool
        Whether a segment ends with the sequence.
    begins : bool
        Whether a segment begins with the sequence.
    """

    initial: Float
    transition: Float
    transition_back: Float
    duration: Float
    first: Float
    last: Float
    only: Float
    begins: bool
    ends: bool


def tables(
    initial: Float,
    transition: Float,
    duration: Float,
    left: Literal["censored", "exact"],
    right: Literal["censored", "exact"],
) -> Tables:
    """Derive the durations at the borders of a sequence."""
    first = duration
    if left == "censored":
        # Met at a random moment, a duration is found in proportion to its length, and any step of it is as likely.
        lasting = survival(duration)
        first = lasting - np.logaddexp.reduce(lasting, axis=1, keepdims=True)
    return Tables(
        initial=frozen(initial),
        transition=frozen(transition),
        transition_back=frozen(np.ascontiguousarray(transition.T)),
        duration=frozen(duration),
        first=frozen(first),
        last=frozen(survival(duration) if right == "censored" else duration),
        only=frozen(survival(first) if right == "censored" else first),
        begins=left == "exact",
        ends=right == "exact",
    )


def survival(log_duration: Float) -> Float:
    """Return the log probability of lasting at least 1, 2, …, D steps."""
    from_longest: Float = np.logaddexp.accumulate(log_duration[:, ::-1], axis=1)
    return np.ascontiguousarray(from_longest[:, ::-1])


def frozen(array: Float) -> Float:
    """Forbid writing to an array."""
    array.setflags(write=False)
    return array


def decode(run: Kernels, model: Tables, evidence: Float) -> tuple[NDArray[np.int32], float]:
    """Return the best path and its score."""
    begin, end = _room(evidence)
    run.forward_max(model.initial, model.transition, model.first, model.duration, evidence, begin, end)
    return run.backtrace(begin, end, model.transition, model.first, model.duration, model.last, model.only, evidence)


@dataclass(frozen=True, slots=True, eq=False)
class Backward:
    """Weights of what comes later, as logarithms relative to 2 ** exponent.

    Attributes
    ----------
    begin : float64, shape (T, K)
        Of all that follows, and includes, a segment of k that begins at t.
    end : float64, shape (T, K)
        Of all that follows a segment of k whose last step is t.
    begin_exponent, end_exponent : int64, shape (T,)
        Their exponents.
    total, exponent : float, int
        Of the whole sequence; relative to 2 ** exponent.
    """

    begin: Float
    end: Float
    begin_exponent: NDArray[np.int64]
    end_exponent: NDArray[np.int64]
    total: float
    exponent: int

    @property
    def log_total(self) -> float:
        """Log probability of the evidence."""
        return self.total + self.exponent * _LN2


def backward(run: Kernels, model: Tables, evidence: Float) -> Backward:
    """Sum over all that comes later.

    Backwards in time an end is a beginning: the forward recursion, with the transitions transposed, does it.
    """
    steps = len(evidence)
    end, begin = _room(evidence)
    exponent = np.empty(steps + 1, dtype=np.int64)
    later = np.ascontiguousarray(evidence[::-1])
    # Written to by nobody, as the other parameters: another type would be compiled for again.
    nothing = frozen(np.zeros_like(model.initial))
    run.forward_sum(nothing, model.transition_back, model.last, model.duration, later, end, begin, exponent)
    begin, end = begin[:0:-1], end[::-1]
    begin_exponent, end_exponent = exponent[:0:-1], exponent[-2::-1]
    if not model.begins:
        begin[0] = _first(model, evidence, end, end_exponent - begin_exponent[0])
    if not model.ends:
        # A segment cut off at the end of the sequence has no end in it.
        end[-1] = -np.inf
    total = float(np.logaddexp.reduce(model.initial + begin[0]))
    return Backward(begin, end, begin_exponent, end_exponent, total, int(begin_exponent[0]))


def _first(model: Tables, evidence: Float, end: Float, exponent: NDArray[np.int64]) -> Float:
    """Return `begin[0]` of `backward` with the durations of a segment that begins the sequence."""
    steps = len(evidence)
    span = min(steps, model.duration.shape[1])
    lasting = model.first.T[:span].copy()
    if span == steps:
        lasting[-1] = model.only[:, span - 1]
    weight = lasting + np.cumsum(evidence[:span], axis=0) + end[:span] + _nats(exponent[:span])[:, None]
    return np.logaddexp.reduce(weight, axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class Smoothed:
    """Posterior probabilities of one sequence, each (T, K)."""

    state: Float
    start: Float
    end: Float
    log_total: float


def smooth(run: Kernels, model: Tables, evidence: Float, later: Backward) -> Smoothed:
    """Return the probabilities of states, starts and ends."""
    begin, end, exponent = _forward(run, model, evidence)
    begin_shift = _nats(exponent[:-1] + later.begin_exponent - later.exponent) - later.total
    end_shift = _nats(exponent[1:] + later.end_exponent - later.exponent) - later.total
    state = np.empty_like(begin)
    run.combine(begin, later.begin, begin_shift, end[1:], later.end, end_shift, state)
    return Smoothed(state, begin, end[1:], later.log_total)


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Expected counts of one sequence; see `ExpectedCounts`. `unfinished` are the last segments cut off, (K, D)."""

    initial: Float
    transitions: Float
    durations: Float
    unfinished: Float


def count(run: Kernels, model: Tables, evidence: Float, later: Backward) -> Counted:
    """Return the expected numbers of first states, transitions and durations."""
    begin, end, exponent = _forward(run, model, evidence)
    steps, states = evidence.shape
    probable = begin.copy()
    _add_exponent(probable, later.begin, exponent[:-1] + later.begin_exponent - later.exponent, later.total)
    follows = np.zeros((steps, states))
    _add_exponent(follows, later.end, later.end_exponent - later.exponent, later.total)
    shift = _nats(exponent[:-1])[:, None]
    transitions = np.zeros((states, states))
    for at in range(1, steps, _CHUNK):
        rows = slice(at, min(at + _CHUNK, steps))
        scale = _nats(exponent[rows] + later.begin_exponent[rows] - later.exponent) - later.total
        change = (end[rows] + scale[:, None])[:, :, None] + model.transition + later.begin[rows, None, :]
        transitions += np.exp(change).sum(axis=0)
    unfinished = np.zeros_like(model.duration)
    span = min(steps, unfinished.shape[1])
    if not model.ends:
        # The last segment seen for d steps began d steps before the end.
        seen = np.cumsum(evidence[: -span - 1 : -1], axis=0) + (begin + shift)[: -span - 1 : -1]
        lasting = model.last.T[:span].copy()
        if span == steps:
            lasting[-1] = model.only[:, span - 1]
        unfinished[:, :span] = np.exp(seen + lasting - later.log_total).T
    if not model.begins:
        # Only a part of the first segment was seen.
        probable[0] = -np.inf
        begin[0] = -np.inf
        unfinished[:, steps - 1 : span] = 0.0
    durations = run.counts(begin + shift, follows, probable, model.duration, evidence)
    initial = np.exp(model.initial + later.begin[0] - later.total)
    return Counted(initial, transitions, durations, unfinished)


def _forward(run: Kernels, model: Tables, evidence: Float) -> tuple[Float, Float, NDArray[np.int64]]:
    begin, end = _room(evidence)
    exponent = np.empty(len(evidence) + 1, dtype=np.int64)
    run.forward_sum(model.initial, model.transition, model.first, model.duration, evidence, begin, end, exponent)
    return begin, end, exponent


def _nats(exponent: NDArray[np.int64]) -> Float:
    """Return the logarithm of 2 ** exponent."""
    return np.multiply(exponent, _LN2, dtype=np.float64)


def _room(evidence: Float) -> tuple[Float, Float]:
    steps, states = evidence.shape
    return np.empty((steps, states)), np.empty((steps + 1, states))


def _add_exponent(target: Float, other: Float, exponent: NDArray[np.int64], total: float) -> None:
    """Add `other` and 2 ** exponent, less the total, in logarithms and in place."""
    target += other
    target += (_nats(exponent) - total)[:, None]
