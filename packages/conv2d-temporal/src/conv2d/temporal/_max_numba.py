"""The max-plus recursion of `_kernels_numpy.forward_max`, compiled."""

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal._chain import Chain
from conv2d.temporal._compile import compiled
from conv2d.temporal._rows import LANES, eight, fill

Float = NDArray[np.float64]

# Steps whose segments are pushed to later ends at once: eight float64 are one cache line.
GROUP = 8
# Steps between two moves of the pending ends to the front of their buffer; a multiple of GROUP.
SLIDE = 64


# Without NaN a maximum is one instruction. There is none: no term is +inf.
@compiled(fastmath={"nnan", "nsz"})
def _raise_to(target: Float, score: float, row: Float) -> None:
    """Set target to max(target, score + row)."""
    for i in range(len(target)):
        value = score + row[i]
        target[i] = value if value > target[i] else target[i]


@compiled(fastmath={"nnan", "nsz"})
def raise_rows(target: Float, score: Float, rows: Float) -> None:
    """Raise target to the maximum of score[j] + rows[j] over all j; whole vectors, eight rows at once."""
    for j in range(0, len(target), LANES):
        s0, s1, s2, s3, s4, s5, s6, s7 = eight(score[j : j + LANES])
        for i in range(len(target)):
            a, b = s0 + rows[j, i], s1 + rows[j + 1, i]
            a = a if a > b else b
            b, c = s2 + rows[j + 2, i], s3 + rows[j + 3, i]
            b = b if b > c else c
            a = a if a > b else b
            b, c = s4 + rows[j + 4, i], s5 + rows[j + 5, i]
            b = b if b > c else c
            a = a if a > b else b
            b, c = s6 + rows[j + 6, i], s7 + rows[j + 7, i]
            b = b if b > c else c
            a = a if a > b else b
            target[i] = a if a > target[i] else target[i]


@compiled(fastmath={"nnan", "nsz"})
def _raise_sum(target: Float, one: Float, two: Float) -> None:
    """Set target to max(target, one + two); whole vectors."""
    for at in range(0, len(target), LANES):
        for i in range(LANES):
            value = one[at + i] + two[at + i]
            target[at + i] = value if value > target[at + i] else target[at + i]


# For log-concave durations a queue of the segments that will be ahead one after another needs a search, not D
# operations. Measured at 20 states it takes 148 ns a step and state at D = 500 and 189 at D = 2000, this 45 and 155.
@compiled(fastmath={"nnan", "nsz"})
def _push(target: Float, score: Float, duration: Float) -> None:
    """Raise the pending ends to those of the eight segments begun last; `duration` is padded with -inf."""
    s0, s1, s2, s3, s4, s5, s6, s7 = eight(score)
    for i in range(len(target)):
        a, b = s0 + duration[i + 7], s1 + duration[i + 6]
        a = a if a > b else b
        b, c = s2 + duration[i + 5], s3 + duration[i + 4]
        b = b if b > c else c
        a = a if a > b else b
        b, c = s4 + duration[i + 3], s5 + duration[i + 2]
        b = b if b > c else c
        a = a if a > b else b
        b, c = s6 + duration[i + 1], s7 + duration[i]
        b = b if b > c else c
        a = a if a > b else b
        target[i] = a if a > target[i] else target[i]


@compiled()
def forward_max(chain: Chain, log_likelihood: Float, begin: Float, end: Float) -> None:
    """Fill `begin` (T, K) and `end` (T + 1, K) with the best segmentation in place of all.

    The best segment that ends at each later step is kept, not found again: segments push their scores to all their
    possible ends, GROUP beginnings at a time. Ends within the group are taken from the group itself.
    """
    steps, states = log_likelihood.shape
    longest = chain.duration.shape[1]
    varying = len(chain.transition) > 1
    width = (states + LANES - 1) // LANES * LANES
    transition = np.full((width, width), -np.inf)
    duration = np.full((states, longest + 2 * GROUP - 2), -np.inf)
    near = np.full((GROUP, width), -np.inf)
    for k in range(states):
        for j in range(states):
            transition[j, k] = chain.transition[0, j, k]
        for d in range(longest):
            duration[k, d] = chain.duration[k, d]
            if d < GROUP:
                near[d, k] = chain.duration[k, d]
    reach = longest + GROUP - 1
    # pending[k, i]: best segment of k that ends i steps after the last slide, without the likelihoods since then.
    pending = np.full((states, SLIDE + reach + 1), -np.inf)
    since = np.zeros(width)
    group = np.full((GROUP, width), -np.inf)
    best, ended = np.full(width, -np.inf), np.full(width, -np.inf)
    lane = np.empty(GROUP)
    i = 0
    for t in range(steps + 1):
        o = t % GROUP
        for k in range(states):
            ended[k] = pending[k, i + o]
        for p in range(o):
            _raise_sum(ended, group[p], near[o - p - 1])
        for k in range(states):
            ended[k] += since[k]
            end[t, k] = ended[k]
        if t == steps:
            break
        if t == 0:
            for k in range(states):
                best[k] = chain.initial[k]
        else:
            if varying:
                for j in range(states):
                    for k in range(states):
                        transition[j, k] = chain.transition[t, j, k]
            fill(best, -np.inf)
            raise_rows(best, ended, transition)
        for k in range(states):
            begin[t, k] = best[k]
            group[o, k] = best[k] - since[k]
            step = log_likelihood[t, k]
            if step == -np.inf:
                # Every segment of k that is under way holds this step.
                fill(pending[k, i + o + 1 :], -np.inf)
                for p in range(o + 1):
                    group[p, k] = -np.inf
            else:
                since[k] += step
        if t == 0:
            # The first segment has its own durations; it is pushed alone.
            for k in range(states):
                if group[0, k] > -np.inf:
                    _raise_to(pending[k, 1 : longest + 1], group[0, k], chain.first[k])
                group[0, k] = -np.inf
        if o == GROUP - 1:
            i += GROUP
            for k in range(states):
                for p in range(GROUP):
                    lane[p] = group[p, k]
                _push(pending[k, i : i + reach], lane, duration[k])
            if i == SLIDE:
                for k in range(states):
                    for x in range(reach + 1):
                        pending[k, x] = pending[k, SLIDE + x] + since[k]
                    fill(pending[k, reach + 1 :], -np.inf)
                    since[k] = 0.0
                i = 0
