"""The recursions of the hidden semi-Markov model in numpy: the definition, and the path without numba.

Conventions of both kernel modules, for one sequence of T steps:

- ``begin[t, k]``: all segmentations of steps 0..t-1 after which a segment of k begins at t; ``begin[0] = log_initial``.
- ``end[t, k]``: all segmentations of steps 0..t-1 whose last segment is of k; ``end[0] = -inf``.
- The segment that begins at 0 has the durations `log_first`, all others `log_duration`.

Run on the reversed sequence with the transposed transitions, the same recursion gives the backward quantities.
"""

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal._trace import backtrace

__all__ = ["backtrace", "counts", "forward_max", "forward_sum"]

Float = NDArray[np.float64]


def forward_max(
    log_initial: Float, log_transition: Float, log_first: Float, log_duration: Float, log_likelihood: Float
) -> tuple[Float, Float]:
    """Return `begin` (T, K) and `end` (T + 1, K) with the best segmentation in place of all."""
    return _forward(log_initial, log_transition, log_first, log_duration, log_likelihood, np.maximum)


def forward_sum(
    log_initial: Float, log_transition: Float, log_first: Float, log_duration: Float, log_likelihood: Float
) -> tuple[Float, Float]:
    """Return `begin` (T, K) and `end` (T + 1, K), summed over all segmentations."""
    return _forward(log_initial, log_transition, log_first, log_duration, log_likelihood, np.logaddexp)


def counts(
    begin: Float,
    log_after: Float,
    log_duration: Float,
    log_likelihood: Float,
    log_total: float,
) -> Float:
    """Return the expected number of segments of each state and duration, (K, D).

    `log_after[t, k]` (T + 1, K) is the log weight of what follows a segment of k that ends just before t.
    """
    steps, longest = len(begin), log_duration.shape[1]
    expected = np.zeros(log_duration.shape)
    for t in range(steps):
        span = min(longest, steps - t)
        segment = begin[t] + np.cumsum(log_likelihood[t : t + span], axis=0) + log_duration.T[:span]
        expected[:, :span] += np.exp(segment + log_after[t + 1 : t + 1 + span] - log_total).T
    return expected


def _forward(
    log_initial: Float,
    log_transition: Float,
    log_first: Float,
    log_duration: Float,
    log_likelihood: Float,
    add: np.ufunc,
) -> tuple[Float, Float]:
    steps, states = log_likelihood.shape
    longest = log_duration.shape[1]
    begin = np.empty((steps, states))
    end = np.full((steps + 1, states), -np.inf)
    begin[0] = log_initial
    for t in range(steps):
        if t:
            begin[t] = add.reduce(end[t][:, None] + log_transition, axis=0)
        span = min(longest, steps - t)
        duration = log_duration if t else log_first
        segment = begin[t] + np.cumsum(log_likelihood[t : t + span], axis=0) + duration.T[:span]
        end[t + 1 : t + 1 + span] = add(end[t + 1 : t + 1 + span], segment)
    return begin, end
