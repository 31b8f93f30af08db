"""The recursions of the hidden semi-Markov model in numpy: the definition, and the path without numba.

Conventions of both kernel modules, for one sequence of T steps:

- ``begin[t, k]`` (T, K): all segmentations of steps 0..t-1 after which a segment of k begins at t; ``begin[0] =
  log_initial``.
- ``end[t, k]`` (T + 1, K): all segmentations of steps 0..t-1 whose last segment is of k; ``end[0] = -inf``.
- `chain` is the model; a segment that begins at 0 has the durations ``chain.first``, all others ``chain.duration``.
- Sums are logarithms relative to ``2 ** exponent[t]``, so that they stay small, and precise, over long sequences.

The kernels fill the arrays they are given, so that the caller decides on memory. Run on the reversed sequence with the
transposed transitions, the same recursion gives the backward quantities.
"""

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal._chain import Chain, Markov
from conv2d.temporal._trace import backtrace

__all__ = ["backtrace", "combine", "counts", "forward_max", "forward_sum", "level", "markov_max", "markov_sum"]

Float = NDArray[np.float64]


def level(log_likelihood: NDArray[np.floating], known: NDArray[np.bool_], target: Float) -> float:
    """Fill `target` with the rows less their maximum; return the sum of the maxima, NaN where a value is not allowed.

    Rows that are not `known` become 0, whatever they hold.
    """
    target[:] = log_likelihood
    target[~known] = 0.0
    top = target.max(axis=1)
    if not (top < np.inf).all():
        return np.nan
    top[np.isneginf(top)] = 0.0
    target -= top[:, None]
    return float(top.sum())


def forward_max(chain: Chain, log_likelihood: Float, begin: Float, end: Float) -> None:
    """Fill `begin` (T, K) and `end` (T + 1, K) with the best segmentation in place of all."""
    _forward(chain, log_likelihood, begin, end, np.maximum)


def forward_sum(chain: Chain, log_likelihood: Float, begin: Float, end: Float, exponent: NDArray[np.int64]) -> int:
    """Fill `begin`, `end` and `exponent` for all segmentations; return how many sums were taken again: none."""
    exponent[:] = 0
    _forward(chain, log_likelihood, begin, end, np.logaddexp)
    return 0


def combine(
    begin: Float, later_begin: Float, begin_shift: Float, end: Float, later_end: Float, end_shift: Float, state: Float
) -> None:
    """Turn `begin` and `end` into probabilities in place, and fill `state` from them; all (T, K), shifts (T,).

    Each is the product of what came before and what comes `later`; the shifts take account of their exponents and of
    the total.
    """
    for weight, later, shift in ((begin, later_begin, begin_shift), (end, later_end, end_shift)):
        weight += later
        weight += shift[:, None]
        np.exp(weight, out=weight)
    # In a state is who came to it and has not left.
    np.cumsum(begin, axis=0, out=state)
    state[1:] -= np.cumsum(end[:-1], axis=0)
    np.clip(state, 0.0, 1.0, out=state)


def counts(begin: Float, log_after: Float, probable: Float, log_duration: Float, log_likelihood: Float) -> Float:
    """Return the expected number of segments of each state and duration, (K, D).

    `log_after[t, k]` (T, K) is the log weight of what follows a segment of k whose last step is t, less the logarithm
    of the total; `probable[t, k]` is the log probability that a segment of k begins at t.
    """
    steps, longest = len(begin), log_duration.shape[1]
    expected = np.zeros(log_duration.shape)
    for t in range(steps):
        span = min(longest, steps - t)
        segment = begin[t] + np.cumsum(log_likelihood[t : t + span], axis=0) + log_duration.T[:span]
        expected[:, :span] += np.exp(segment + log_after[t : t + span]).T
    return expected


def markov_max(markov: Markov, log_likelihood: Float, best: Float, path: NDArray[np.int32]) -> float:
    """Fill `path` with the most probable states of a plain Markov chain and return their score.

    `best` (T, K) is room to work in.
    """
    best[0] = markov.initial + log_likelihood[0]
    for t in range(1, len(best)):
        best[t] = (best[t - 1][:, None] + _one_step(markov, t)).max(axis=0) + log_likelihood[t]
    state = int(np.argmax(best[-1] + markov.last))
    score = float(best[-1, state] + markov.last[state])
    if score > -np.inf:
        path[-1] = state
        for t in range(len(best) - 1, 0, -1):
            path[t - 1] = state = int(np.argmax(best[t - 1] + _one_step(markov, t)[:, state]))
    return score


def markov_sum(markov: Markov, log_likelihood: Float, state: Float, start: Float, end: Float, smooth: bool) -> float:
    """Fill the probabilities of states, starts and ends of a plain Markov chain; return the log probability of all.

    If not `smooth`, only the log probability is right.
    """
    steps = len(state)
    start[0] = markov.initial
    state[0] = markov.initial + log_likelihood[0]
    for t in range(1, steps):
        start[t] = np.logaddexp.reduce(state[t - 1][:, None] + _changes(markov, t), axis=0)
        state[t] = np.logaddexp(start[t], state[t - 1] + markov.stay) + log_likelihood[t]
    total = float(np.logaddexp.reduce(state[-1] + markov.last))
    if not smooth or total == -np.inf:
        return total
    later = markov.last - total
    end[-1] = np.where(markov.last < 0.0, np.exp(state[-1] + later), 0.0)
    for t in range(steps - 1, -1, -1):
        here = log_likelihood[t] + later
        start[t] = np.exp(start[t] + here)
        state[t] += later
        if t:
            leaving = np.logaddexp.reduce(_changes(markov, t) + here, axis=1)
            end[t - 1] = np.exp(state[t - 1] + leaving)
            later = np.logaddexp(leaving, markov.stay + here)
    np.exp(state, out=state)
    return total


def _changes(markov: Markov, t: int) -> Float:
    """Return the log probabilities of leaving for each other state at t."""
    return markov.leave[:, None] + markov.transition[t if len(markov.transition) > 1 else 0]


def _one_step(markov: Markov, t: int) -> Float:
    """Return the log probabilities of the state at t given the one before."""
    change = _changes(markov, t)
    np.fill_diagonal(change, markov.stay)
    return change


def _forward(chain: Chain, log_likelihood: Float, begin: Float, end: Float, add: np.ufunc) -> None:
    steps = len(log_likelihood)
    longest = chain.duration.shape[1]
    varying = len(chain.transition) > 1
    end[:] = -np.inf
    begin[0] = chain.initial
    for t in range(steps):
        if t:
            begin[t] = add.reduce(end[t][:, None] + chain.transition[t if varying else 0], axis=0)
        span = min(longest, steps - t)
        duration = chain.duration if t else chain.first
        segment = begin[t] + np.cumsum(log_likelihood[t : t + span], axis=0) + duration.T[:span]
        end[t + 1 : t + 1 + span] = add(end[t + 1 : t + 1 + span], segment)
