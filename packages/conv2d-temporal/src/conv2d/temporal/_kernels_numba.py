"""The recursions of `_kernels_numpy`, compiled. Imported on first use only: numba takes a second to load."""

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal import _trace
from conv2d.temporal._compile import compiled
from conv2d.temporal._markov_numba import markov_max, markov_sum
from conv2d.temporal._max_numba import SLIDE, forward_max
from conv2d.temporal._rows import exp_into
from conv2d.temporal._sum_numba import forward_sum

__all__ = ["backtrace", "combine", "counts", "forward_max", "forward_sum", "level", "markov_max", "markov_sum"]

Float = NDArray[np.float64]

# Starts less probable than exp(this) add less than rounding errors to expected counts.
_NEGLIGIBLE = -44.0

backtrace = compiled()(_trace.backtrace)


@compiled()
def level(log_likelihood: NDArray[np.floating], known: NDArray[np.bool_], target: Float) -> float:
    """Fill `target` with the rows less their maximum; return the sum of the maxima, NaN where a value is not allowed."""
    offset = 0.0
    states = log_likelihood.shape[1]
    for t in range(len(target)):
        if not known[t]:
            target[t] = 0.0
            continue
        top = -np.inf
        for k in range(states):
            value = log_likelihood[t, k]
            if not value < np.inf:
                return np.nan
            top = max(top, value)
        if top == -np.inf:
            top = 0.0
        for k in range(states):
            target[t, k] = log_likelihood[t, k] - top
        offset += top
    return offset


@compiled()
def combine(
    begin: Float, later_begin: Float, begin_shift: Float, end: Float, later_end: Float, end_shift: Float, state: Float
) -> None:
    """Turn `begin` and `end` into probabilities in place, and fill `state` from them."""
    steps, states = begin.shape
    power, scratch = np.empty(SLIDE * states), np.empty(SLIDE * states, dtype=np.int64)
    begins, ends = begin.reshape(-1), end.reshape(-1)
    for first in range(0, steps, SLIDE):
        stop = min(first + SLIDE, steps)
        span = (stop - first) * states
        for t in range(first, stop):
            for k in range(states):
                power[(t - first) * states + k] = begin[t, k] + later_begin[t, k] + begin_shift[t]
        exp_into(begins[first * states : stop * states], power[:span], scratch)
        for t in range(first, stop):
            for k in range(states):
                power[(t - first) * states + k] = end[t, k] + later_end[t, k] + end_shift[t]
        exp_into(ends[first * states : stop * states], power[:span], scratch)
        # In a state is who came to it and has not left.
        for t in range(first, stop):
            for k in range(states):
                staying = state[t - 1, k] - end[t - 1, k] if t else 0.0
                state[t, k] = min(max(staying + begin[t, k], 0.0), 1.0)


@compiled()
def counts(begin: Float, log_after: Float, probable: Float, log_duration: Float, log_likelihood: Float) -> Float:
    """Return the expected number of segments of each state and duration, (K, D)."""
    steps, states = log_likelihood.shape
    longest = log_duration.shape[1]
    expected = np.zeros((states, longest))
    # From the first step of a block on: the log-likelihood since then, and with the weight of what follows an end.
    since = np.zeros((states, SLIDE))
    follows = np.empty((states, SLIDE + longest))
    # The first step after t that a segment of k cannot hold.
    barrier = np.full(states, steps)
    power, term = np.empty(longest), np.empty(longest)
    scratch = np.empty(longest, dtype=np.int64)
    for first in range((steps - 1) // SLIDE * SLIDE, -1, -SLIDE):
        for k in range(states):
            total = 0.0
            for i in range(min(SLIDE + longest, steps - first)):
                if i < SLIDE:
                    since[k, i] = total
                if log_likelihood[first + i, k] > -np.inf:
                    total += log_likelihood[first + i, k]
                follows[k, i] = total + log_after[first + i, k]
        for t in range(min(first + SLIDE, steps) - 1, first - 1, -1):
            i = t - first
            for k in range(states):
                if log_likelihood[t, k] == -np.inf:
                    barrier[k] = t
                if probable[t, k] > _NEGLIGIBLE:
                    span = min(longest, barrier[k] - t)
                    offset = begin[t, k] - since[k, i]
                    for d in range(span):
                        power[d] = follows[k, i + d] + log_duration[k, d] + offset
                    exp_into(term[:span], power[:span], scratch)
                    for d in range(span):
                        expected[k, d] += term[d]
    return expected
