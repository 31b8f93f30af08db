"""The plain Markov chain, compiled: geometric durations need no memory of how long a state has lasted."""

from math import log

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal._chain import Markov
from conv2d.temporal._compile import compiled
from conv2d.temporal._max_numba import SLIDE, raise_rows
from conv2d.temporal._row_sums import add_rows
from conv2d.temporal._rows import LANES, exp_into, fill

Float = NDArray[np.float64]

__all__ = ["markov_max", "markov_sum"]

# Weights of a step sum to 1. One below this is not followed in linear numbers: later evidence may need its digits.
_TINY = 1e-100


@compiled()
def _read(markov: Markov, t: int, change: Float, back: Float) -> None:
    """Set `change` to the log probabilities of leaving for another state at t, and `back` to its transpose."""
    for j in range(len(markov.leave)):
        for k in range(len(markov.leave)):
            change[j, k] = markov.leave[j] + markov.transition[t, j, k]
            back[k, j] = change[j, k]


@compiled()
def markov_max(markov: Markov, log_likelihood: Float, best: Float, path: NDArray[np.int32]) -> float:
    """Fill `path` with the most probable states and return their score; `best` (T, K) is room to work in."""
    steps, states = log_likelihood.shape
    width = (states + LANES - 1) // LANES * LANES
    varying = len(markov.transition) > 1
    change, back = np.full((width, width), -np.inf), np.full((width, width), -np.inf)
    _read(markov, 0, change, back)
    for k in range(states):
        change[k, k] = back[k, k] = markov.stay[k]
    score, new = np.full(width, -np.inf), np.empty(width)
    for t in range(steps):
        if t == 0:
            for k in range(states):
                score[k] = markov.initial[k] + log_likelihood[0, k]
        else:
            if varying:
                _read(markov, t, change, back)
                for k in range(states):
                    change[k, k] = markov.stay[k]
            fill(new, -np.inf)
            raise_rows(new, score, change)
            for k in range(states):
                score[k] = new[k] + log_likelihood[t, k]
        for k in range(states):
            best[t, k] = score[k]
    top, state = -np.inf, 0
    for k in range(states):
        value = best[steps - 1, k] + markov.last[k]
        if value > top:
            top, state = value, k
    if top == -np.inf:
        return top
    path[steps - 1] = state
    for t in range(steps - 1, 0, -1):
        if varying:
            for j in range(states):
                back[state, j] = markov.leave[j] + markov.transition[t, j, state]
            back[state, state] = markov.stay[state]
        if (best[t - 1, state] + back[state, state]) + log_likelihood[t, state] == best[t, state]:
            # It stayed, as it does most of the time.
            path[t - 1] = state
            continue
        highest, previous = -np.inf, 0
        for j in range(states):
            value = best[t - 1, j] + back[state, j]
            if value > highest:
                highest, previous = value, j
        state = previous
        path[t - 1] = state
    return top


@compiled(fastmath={"reassoc", "contract", "nnan"})
def _arrive(flow: Float, old: Float, stay: Float, likelihood: Float, new: Float) -> float:
    """Set `new` to (flow + old * stay) * likelihood and return its sum."""
    total = 0.0
    for i in range(len(new)):
        new[i] = (flow[i] + old[i] * stay[i]) * likelihood[i]
        total += new[i]
    return total


@compiled(fastmath={"reassoc", "contract", "nnan"})
def _scale(row: Float, factor: float) -> float:
    """Multiply a row, and return the least of it."""
    least = 1.0
    for i in range(len(row)):
        row[i] *= factor
        least = row[i] if row[i] < least else least
    return least


@compiled()
def _lost(weight: Float, flow: Float, old: Float, change: Float, markov: Markov, evidence: Float) -> bool:
    """Return whether a state is less probable than can be followed, without being impossible."""
    for k in range(len(evidence)):
        if weight[k] >= _TINY or evidence[k] == -np.inf:
            continue
        if weight[k] > 0.0 or flow[k] > 0.0 or (old[k] > 0.0 and markov.stay[k] > -np.inf):
            return True
        for j in range(len(evidence)):
            if old[j] > 0.0 and change[j, k] > -np.inf:
                return True
    return False


@compiled()
def _linear(log_value: Float, value: Float) -> bool:
    """Set value to exp(log_value); return whether one of them is too small to be followed."""
    lossy = False
    for j in range(len(log_value)):
        for k in range(len(log_value)):
            value[j, k] = np.exp(log_value[j, k])
            lossy = lossy or (log_value[j, k] > -np.inf and value[j, k] < _TINY)
    return lossy


@compiled()
def markov_sum(markov: Markov, log_likelihood: Float, state: Float, start: Float, end: Float, smooth: bool) -> float:
    """Fill the probabilities of states, starts and ends, each (T, K); return the log probability of all.

    NaN where a weight becomes so small that the sums must be taken in logarithms. If not `smooth`, only the
    log probability is right.
    """
    steps, states = log_likelihood.shape
    width = (states + LANES - 1) // LANES * LANES
    varying = len(markov.transition) > 1
    log_change, log_back = np.full((width, width), -np.inf), np.full((width, width), -np.inf)
    change, back = np.zeros((width, width)), np.zeros((width, width))
    _read(markov, 0, log_change, log_back)
    if _linear(log_change, change):
        return np.nan
    _linear(log_back, back)
    stay, last = np.zeros(width), np.zeros(width)
    for k in range(states):
        stay[k] = np.exp(markov.stay[k])
        last[k] = np.exp(markov.last[k])
    # Until its row is filled, `end` holds the likelihoods.
    likelihood, evidence, scratch = (
        end.reshape(-1),
        log_likelihood.reshape(-1),
        np.empty(SLIDE * states, dtype=np.int64),
    )
    flow, old, new, here, nothing = np.zeros(width), np.zeros(width), np.zeros(width), np.zeros(width), np.zeros(width)
    norm = np.empty(steps)
    total = 0.0
    for t in range(steps):
        if t % SLIDE == 0:
            block = slice(t * states, min(t + SLIDE, steps) * states)
            exp_into(likelihood[block], evidence[block], scratch)
        for k in range(states):
            here[k] = end[t, k]
        if t == 0:
            for k in range(states):
                flow[k] = np.exp(markov.initial[k])
            seen = _arrive(flow, nothing, stay, here, new)
        else:
            if varying:
                _read(markov, t, log_change, log_back)
                if _linear(log_change, change):
                    return np.nan
            fill(flow, 0.0)
            add_rows(flow, old, change)
            seen = _arrive(flow, old, stay, here, new)
        if seen < _TINY:
            # Impossible, or too improbable for linear numbers.
            return np.nan
        least = _scale(new[:states], 1.0 / seen)
        if least < _TINY and _lost(new, flow, old, log_change, markov, log_likelihood[t]):
            return np.nan
        norm[t] = 1.0 / seen
        total += log(seen)
        for k in range(states):
            state[t, k] = new[k]
            start[t, k] = flow[k]
        old, new = new, old
    seen = 0.0
    for k in range(states):
        seen += old[k] * last[k]
    if seen < _TINY:
        return np.nan
    total += log(seen)
    if not smooth:
        return total
    # Backwards, `old` is the weight of what comes after a step, and `new` the likelihoods of the step.
    for k in range(states):
        new[k] = end[steps - 1, k]
        old[k] = last[k] / seen
        end[steps - 1, k] = state[steps - 1, k] * old[k] if markov.last[k] < 0.0 else 0.0
    for t in range(steps - 1, -1, -1):
        for k in range(states):
            # Of an impossible state, what comes after it may be any number, and does not matter.
            later = old[k] if state[t, k] > 0.0 else 0.0
            here[k] = new[k] * later * norm[t]
            start[t, k] *= here[k]
            state[t, k] *= later
        if t == 0:
            break
        if varying:
            _read(markov, t, log_change, log_back)
            _linear(log_back, back)
        fill(flow, 0.0)
        add_rows(flow, here, back)
        for k in range(states):
            new[k] = end[t - 1, k]
            end[t - 1, k] = state[t - 1, k] * flow[k]
            old[k] = flow[k] + here[k] * stay[k]
    return total
