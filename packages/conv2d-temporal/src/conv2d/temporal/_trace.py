"""Backtracking without back-pointers; scalar code that numba compiles as it stands."""

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal._chain import Chain

Float = NDArray[np.float64]


def backtrace(
    chain: Chain, log_last: Float, log_only: Float, log_likelihood: Float, begin: Float, end: Float
) -> tuple[NDArray[np.int32], float]:
    """Return the best path and its score.

    `begin[t, k]` is the best score of a segment of k beginning at t, `end[t, k]` of one ending just before t. Of the
    durations, `log_last` are of a segment that ends the sequence, `log_only` of one that begins it, too. Only the argmax
    along the path is found again, so no pointers were stored. Of equal scores the shorter last segment and the lower
    state win.
    """
    steps, states = log_likelihood.shape
    longest = chain.duration.shape[1]
    varying = len(chain.transition) > 1
    path = np.full(steps, -1, dtype=np.int32)
    score = -np.inf
    state = 0
    duration = 0
    for k in range(states):
        total = 0.0
        for d in range(1, min(longest, steps) + 1):
            total += log_likelihood[steps - d, k]
            lasting = log_only[k, d - 1] if d == steps else log_last[k, d - 1]
            candidate = begin[steps - d, k] + total + lasting
            if candidate > score:
                score, state, duration = candidate, k, d
    if score == -np.inf:
        return path, score
    stop = steps
    while True:
        start = stop - duration
        path[start:stop] = state
        if start == 0:
            return path, score
        best = -np.inf
        previous = 0
        for j in range(states):
            candidate = end[start, j] + chain.transition[start if varying else 0, j, state]
            if candidate > best:
                best, previous = candidate, j
        state, stop = previous, start
        best = -np.inf
        total = 0.0
        for d in range(1, min(longest, stop) + 1):
            total += log_likelihood[stop - d, state]
            lasting = chain.first[state, d - 1] if d == stop else chain.duration[state, d - 1]
            candidate = begin[stop - d, state] + total + lasting
            if candidate > best:
                best, duration = candidate, d
