"""Inference on one sequence: what the model's batches are made of."""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal import _kernels_numpy
from conv2d.temporal._backend import Kernels
from conv2d.temporal._chain import Chain, Markov
from conv2d.temporal._results import ImpossibleSequenceError

Float = NDArray[np.float64]

_LN2 = float(np.log(2.0))
# Steps whose K x K transition terms are held in memory at once.
_CHUNK = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """The model as inference reads it, in log probabilities.

    Attributes
    ----------
    forward, backward : Chain
        For the recursions in time, and against it.
    last, only : float64, shape (K, D)
        Of the steps seen of a segment that ends the sequence, or begins and ends it.
    begins, ends : bool
        Whether a segment begins, or ends, with the sequence.
    markov : Markov, optional
        Where the model is a plain Markov chain.
    """

    forward: Chain
    backward: Chain
    last: Float
    only: Float
    begins: bool
    ends: bool
    markov: Markov | None

    def with_transitions(self, log_transitions: Float) -> "Tables":
        """Return the model with transitions of their own at every step, (T, K, K)."""
        # Against time, what begins at t ends at T - t.
        back = np.concatenate([log_transitions[:1], log_transitions[:0:-1]]).transpose(0, 2, 1)
        given = frozen(log_transitions)
        return replace(
            self,
            forward=self.forward._replace(transition=given),
            backward=self.backward._replace(transition=frozen(np.ascontiguousarray(back))),
            markov=None if self.markov is None else self.markov._replace(transition=given),
        )


def tables(
    initial: Float,
    transition: Float,
    duration: Float,
    left: Literal["censored", "exact"],
    right: Literal["censored", "exact"],
    stay: Float | None,
) -> Tables:
    """Derive the durations at the borders of a sequence; `stay` (K,) are the probabilities of a plain Markov chain."""
    for array in (initial, transition, duration):
        frozen(array)
    first = duration
    if left == "censored":
        # Met at a random moment, a duration is found in proportion to its length, and any step of it is as likely.
        lasting = survival(duration)
        first = frozen(lasting - np.logaddexp.reduce(lasting, axis=1, keepdims=True))
    last = frozen(survival(duration) if right == "censored" else duration)
    # Against time the first state is free, and what begins the sequence ends it.
    free, transposed = frozen(np.zeros_like(initial)), frozen(np.ascontiguousarray(transition.T))
    markov = None
    if stay is not None:
        log_leave = frozen(np.log1p(-stay))
        markov = Markov(
            initial, transition[None], frozen(np.log(stay)), log_leave, log_leave if right == "exact" else free
        )
    return Tables(
        forward=Chain(initial, transition[None], first, duration),
        backward=Chain(free, transposed[None], last, duration),
        last=last,
        only=frozen(survival(first) if right == "censored" else first),
        begins=left == "exact",
        ends=right == "exact",
        markov=markov,
    )


def survival(log_duration: Float) -> Float:
    """Return the log probability of lasting at least 1, 2, …, D steps."""
    from_longest: Float = np.logaddexp.accumulate(log_duration[:, ::-1], axis=1)
    return np.ascontiguousarray(from_longest[:, ::-1])


def frozen(array: Float) -> Float:
    """Forbid writing to an array."""
    array.setflags(write=False)
    return array


class Sequence(NamedTuple):
    """One sequence of a batch, and what works on it.

    Attributes
    ----------
    run : Kernels
        The recursions.
    model : Tables
        The model, with the transitions of this sequence.
    evidence : float64, shape (T, K)
        Log-likelihoods.
    number : int
        Number of the sequence, for errors.
    """

    run: Kernels
    model: Tables
    evidence: Float
    number: int

    def possible(self, log_total: float) -> float:
        """Return the log probability or score, or raise that no segmentation can have produced the sequence."""
        if log_total == -np.inf:
            raise ImpossibleSequenceError(
                f"Sequence {self.number} of {len(self.evidence)} steps is impossible under the model: every "
                "segmentation holds a step, transition or duration of probability 0. Look for rows of log_likelihood "
                'that are -inf throughout, durations too short or too long for the sequence, and right="exact" where '
                "the end was cut off."
            )
        return log_total


def decode(sequence: Sequence) -> tuple[NDArray[np.int32], float]:
    """Return the best path and its score."""
    run, model, evidence, _ = sequence
    begin, end = _room(evidence)
    if model.markov is not None:
        path = np.full(len(evidence), -1, dtype=np.int32)
        score = run.markov_max(model.markov, evidence, begin, path)
    else:
        run.forward_max(model.forward, evidence, begin, end)
        path, score = run.backtrace(model.forward, model.last, model.only, evidence, begin, end)
    return path, sequence.possible(score)


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


def backward(sequence: Sequence) -> Backward:
    """Sum over all that comes later.

    Backwards in time an end is a beginning: the forward recursion, with the transitions transposed, does it.
    """
    run, model, evidence, _ = sequence
    steps = len(evidence)
    end, begin = _room(evidence)
    exponent = np.empty(steps + 1, dtype=np.int64)
    later = np.ascontiguousarray(evidence[::-1])
    run.forward_sum(model.backward, later, end, begin, exponent)
    begin, end = begin[:0:-1], end[::-1]
    begin_exponent, end_exponent = exponent[:0:-1], exponent[-2::-1]
    if not model.begins:
        begin[0] = _first(model, evidence, end, end_exponent - begin_exponent[0])
    if not model.ends:
        # A segment cut off at the end of the sequence has no end in it.
        end[-1] = -np.inf
    total = sequence.possible(float(np.logaddexp.reduce(model.forward.initial + begin[0])))
    return Backward(begin, end, begin_exponent, end_exponent, total, int(begin_exponent[0]))


def _first(model: Tables, evidence: Float, end: Float, exponent: NDArray[np.int64]) -> Float:
    """Return `begin[0]` of `backward` with the durations of a segment that begins the sequence."""
    steps = len(evidence)
    span = min(steps, model.only.shape[1])
    lasting = model.forward.first.T[:span].copy()
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


def smooth(sequence: Sequence) -> Smoothed:
    """Return the probabilities of states, starts and ends."""
    run, model, evidence, _ = sequence
    if model.markov is not None:
        return _markov_sum(sequence, model.markov, everything=True)
    later = backward(sequence)
    begin, end, exponent = _forward(run, model, evidence)
    begin_shift = _nats(exponent[:-1] + later.begin_exponent - later.exponent) - later.total
    end_shift = _nats(exponent[1:] + later.end_exponent - later.exponent) - later.total
    state = np.empty_like(begin)
    run.combine(begin, later.begin, begin_shift, end[1:], later.end, end_shift, state)
    return Smoothed(state, begin, end[1:], later.log_total)


def log_total(sequence: Sequence) -> float:
    """Return the log probability of the evidence."""
    if sequence.model.markov is not None:
        return _markov_sum(sequence, sequence.model.markov, everything=False).log_total
    return backward(sequence).log_total


def _markov_sum(sequence: Sequence, markov: Markov, everything: bool) -> Smoothed:
    state, start, end = (np.empty_like(sequence.evidence) for _ in range(3))
    total = sequence.run.markov_sum(markov, sequence.evidence, state, start, end, everything)
    if np.isnan(total):
        # In linear numbers a weight became too small; logarithms hold any.
        total = _kernels_numpy.markov_sum(markov, sequence.evidence, state, start, end, everything)
    return Smoothed(state, start, end, sequence.possible(total))


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Expected counts of one sequence; see `ExpectedCounts`. `unfinished` are the last segments cut off, (K, D)."""

    initial: Float
    transitions: Float
    durations: Float
    unfinished: Float
    log_total: float


def count(sequence: Sequence) -> Counted:
    """Return the expected numbers of first states, transitions and durations."""
    run, model, evidence, _ = sequence
    later = backward(sequence)
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
        log_transition = model.forward.transition[rows if len(model.forward.transition) > 1 else slice(None)]
        change = (end[rows] + scale[:, None])[:, :, None] + log_transition + later.begin[rows, None, :]
        transitions += np.exp(change).sum(axis=0)
    unfinished = np.zeros_like(model.only)
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
    durations = run.counts(begin + shift, follows, probable, model.forward.duration, evidence)
    initial = np.exp(model.forward.initial + later.begin[0] - later.total)
    return Counted(initial, transitions, durations, unfinished, later.log_total)


def _forward(run: Kernels, model: Tables, evidence: Float) -> tuple[Float, Float, NDArray[np.int64]]:
    begin, end = _room(evidence)
    exponent = np.empty(len(evidence) + 1, dtype=np.int64)
    run.forward_sum(model.forward, evidence, begin, end, exponent)
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
