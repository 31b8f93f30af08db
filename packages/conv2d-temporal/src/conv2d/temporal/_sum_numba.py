"""The sum-product recursion of `_kernels_numpy.forward_sum`, compiled: linear weights on floating scales.

Sums of segments are kept as linear weights, so a step costs multiplications, not logarithms. Each state has a scale of
its own (`level`), moved by powers of two when a weight would overflow, and an upper bound of what underflowed by that
(`lost`). A sum that is not far above what may be missing from it is taken again term by term in logarithms. So every
`begin` is exact to rounding, however sharp the evidence; an `end` may only lack what no `begin` can notice.
"""

from math import exp, log, log1p

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal._chain import Chain
from conv2d.temporal._compile import compiled
from conv2d.temporal._max_numba import GROUP, SLIDE
from conv2d.temporal._row_sums import add_product, add_rows, push
from conv2d.temporal._rows import LANES, exp_into, fill, log_in_place

Float = NDArray[np.float64]
Int = NDArray[np.int64]

_LN2 = 0.6931471805599453
# A new weight may exceed the scale of its state by exp(this) before the scale is moved up to it.
_HEADROOM = 300.0
# ... or fall short of it by exp(this) before the scale is moved down to what is left.
_FOOTROOM = -400.0
# Levels are kept within this of the common scale.
_DRIFT = 100.0
_MOST, _LEAST = exp(_HEADROOM), exp(_FOOTROOM)
# Weights below this may have lost digits; far above the smallest normal float64 times any number of terms.
_TINY = 1e-280
_LOG_TINY = log(_TINY)
# Stands for any larger bound of what is lost: nothing is trusted beside it.
_UNKNOWN = 1e250
_LOG_UNKNOWN = log(_UNKNOWN)
# In the place of what may be missing, once the sum was taken again.
_RESOLVED = -1.0
# A sum this many times above what may be missing from it is exact to rounding.
_TRUST = 1e16
# exp(x) of a log probability below this is no float64 any more, at most _VANISHED.
_VANISHED = 1e-300
_LOG_VANISHED = log(_VANISHED)
# exp(x) of a log probability below this is too small to be multiplied by a weight within the foot room.
_RARE = -240.0


@compiled(fastmath={"reassoc", "nnan", "nsz"})
def _end_now(weight: Float, scale: Float, lost: Float, ended: Float) -> bool:
    """Set ended to weight * scale; return whether none of them is too small or may lack anything."""
    least, most_lost = 1.0, 0.0
    for at in range(0, len(weight), LANES):
        for i in range(at, at + LANES):
            product = weight[i] * scale[i]
            ended[i] = product
            small = product if product < scale[i] else scale[i]
            small = small if weight[i] > 0.0 else 1.0
            least = small if small < least else least
            most_lost = lost[i] if lost[i] > most_lost else most_lost
    return least >= _TINY and most_lost == 0.0


@compiled(fastmath={"reassoc", "nnan", "nsz"})
def _least(row: Float, count: int) -> float:
    least = 1.0
    for i in range(count):
        least = row[i] if row[i] < least else least
    return least


@compiled(fastmath={"arcp"})
def _weigh(arriving: Float, scale: Float, new: Float) -> None:
    """Set new to arriving / scale, and to -1 where it must be taken from logarithms."""
    for at in range(0, len(new), LANES):
        for i in range(at, at + LANES):
            ratio = arriving[i] / max(scale[i], _TINY)
            fits = (scale[i] > _TINY) & (ratio > _LEAST) & (ratio < _MOST)
            new[i] = ratio if fits else -1.0


@compiled()
def _log_add(one: float, two: float) -> float:
    """Return log(exp(one) + exp(two))."""
    top = max(one, two)
    if top == -np.inf:
        return top
    return top + log1p(exp(min(one, two) - top))


@compiled()
def _log_end(begin: Float, exponent: Int, chain: Chain, log_likelihood: Float, t: int, k: int) -> float:
    """Return `end[t, k]` relative to `exponent[t]`, term by term in logarithms."""
    total = -np.inf
    segment = 0.0
    for d in range(1, min(chain.duration.shape[1], t) + 1):
        s = t - d
        segment += log_likelihood[s, k]
        if segment == -np.inf:
            break
        lasting = chain.duration[k, d - 1] if s else chain.first[k, d - 1]
        total = _log_add(total, begin[s, k] + (exponent[s] - exponent[t]) * _LN2 + segment + lasting)
    return total


@compiled()
def _rescale(pending: Float, group: Float, shift: int) -> bool:
    """Multiply the weights of a state by 2 ** -shift; return whether one of them became too small."""
    # In two halves: the whole may be no float64, and all weights are far below 2 ** 1000.
    half = max(-1000, min(shift // 2, 1000))
    rest = max(-1000, min(shift - shift // 2, 1000))
    factor, other = 2.0**-half, 2.0**-rest
    underflow = False
    for i in range(len(pending)):
        if pending[i] > 0.0:
            pending[i] = pending[i] * factor * other
            underflow = underflow or pending[i] < _TINY
    for i in range(len(group)):
        if group[i] > 0.0:
            group[i] = group[i] * factor * other
            underflow = underflow or group[i] < _LEAST
    return underflow


@compiled()
def _bound(gap: float) -> float:
    """Return exp(gap), kept positive and finite; 0 where nothing was lost."""
    return max(exp(min(gap, _LOG_UNKNOWN)), _TINY) if gap > -np.inf else 0.0


@compiled()
def _reached(ended: Float, missing: Float, log_transition: Float) -> bool:
    """Return whether any state that may have ended can be followed by the one of these transitions."""
    reached = False
    for j in range(len(log_transition)):
        reached = reached or (log_transition[j] > -np.inf and (ended[j] > 0.0 or missing[j] != 0.0))
    return reached


@compiled()
def _largest(pending: Float, group: Float) -> float:
    top = 0.0
    for i in range(len(pending)):
        top = max(top, pending[i])
    for i in range(len(group)):
        top = max(top, group[i])
    return top


@compiled()
def _read_transitions(log_transition: Float, transition: Float, rare: Float) -> bool:
    """Set transition to exp(log_transition), rare to a bound of what that lost; return whether it lost any."""
    any_rare = False
    for j in range(len(log_transition)):
        for k in range(len(log_transition)):
            transition[j, k] = exp(log_transition[j, k])
            lossy = -np.inf < log_transition[j, k] < _RARE
            rare[j, k] = _VANISHED / _TINY if lossy else 0.0
            any_rare = any_rare or lossy
    return any_rare


@compiled()
def forward_sum(chain: Chain, log_likelihood: Float, begin: Float, end: Float, exponent: Int) -> int:
    """Fill `begin`, `end` and `exponent` for all segmentations; return how many sums were taken again.

    The order of the work is that of `_max_numba.forward_max`. Weights of state k stand for themselves times
    exp(level[k]), and everything at step t for itself times 2 ** exponent[t].
    """
    steps, states = log_likelihood.shape
    longest = chain.duration.shape[1]
    varying = len(chain.transition) > 1
    width = (states + LANES - 1) // LANES * LANES
    transition, rare = np.zeros((width, width)), np.zeros((width, width))
    log_transition = chain.transition[0]
    any_rare = _read_transitions(log_transition, transition, rare)
    duration = np.zeros((states, longest + 2 * GROUP - 2))
    near = np.zeros((GROUP, width))
    floor = np.full(states, -np.inf)
    for k in range(states):
        for d in range(longest):
            duration[k, d] = exp(chain.duration[k, d])
            lasting = min(
                chain.duration[k, d] if chain.duration[k, d] > -np.inf else 0.0,
                chain.first[k, d] if chain.first[k, d] > -np.inf else 0.0,
            )
            if lasting < _RARE:
                floor[k] = max(floor[k], _LOG_TINY if lasting > _LOG_VANISHED else _HEADROOM + _LOG_VANISHED)
            if d < GROUP:
                near[d, k] = duration[k, d]
    reach = longest + GROUP - 1
    pending = np.zeros((states, SLIDE + reach + 1))
    group = np.zeros((GROUP, width))
    level, scale = np.full(width, -np.inf), np.zeros(width)
    # What underflowed, at most, as a weight and as its logarithm; and when it did last.
    gap = np.full(states, -np.inf)
    lost, lost_at = np.zeros(width), np.zeros(states, dtype=np.int64)
    # `missing` and `doubt` are in units of _TINY, so that they do not vanish themselves.
    weight, ended, missing = np.zeros(width), np.zeros(width), np.zeros(width)
    new, doubtful, top = np.zeros(width), False, -np.inf
    flow, doubt, precise = np.zeros(width), np.zeros(width), np.zeros(width)
    lane = np.empty(GROUP)
    likelihood, scratch = np.empty(SLIDE * states), np.empty(SLIDE * states + width, dtype=np.int64)
    evidence, begin_flat, end_flat = log_likelihood.reshape(-1), begin.reshape(-1), end.reshape(-1)
    # Rows of begin and end before these are logarithms already.
    begin_done, end_done = 0, 0
    # Whether a scale was cut off and must be computed anew.
    stale = False
    unit = 0
    again = 0
    i = 0
    for t in range(steps + 1):
        o = t % GROUP
        if t % SLIDE == 0:
            stop = min(t + SLIDE, steps) * states
            exp_into(likelihood[: stop - t * states], evidence[t * states : stop], scratch)
            log_in_place(begin_flat[begin_done * states : t * states], scratch)
            log_in_place(end_flat[end_done * states : t * states], scratch)
            begin_done = end_done = t
            exp_into(scale, level, scratch)
        if o == 0 or doubtful or stale:
            top = -np.inf
            for k in range(states):
                top = level[k] if level[k] > top else top
            stale = stale or (abs(top) > _DRIFT and top > -np.inf)
        if stale:
            stale = False
            shift = round(top / _LN2) if top > -np.inf else 0
            unit += shift
            for k in range(states):
                level[k] -= shift * _LN2
            exp_into(scale, level, scratch)
        exponent[t] = unit
        for k in range(states):
            weight[k] = pending[k, i + o]
        for p in range(o):
            add_product(weight, group[p], near[o - p - 1])
        unknown = False
        if doubtful:
            fill(missing, 0.0)
        doubtful = not _end_now(weight, scale, lost, ended)
        for k in range(states if doubtful else 0):
            if lost[k] > 0.0:
                bound = lost[k] * scale[k]
                if scale[k] < _TINY or gap[k] > _LOG_UNKNOWN:
                    bound = exp(min(gap[k] + level[k], _LOG_UNKNOWN))
                missing[k] = min(max(bound / _TINY, 1.0), _UNKNOWN)
                unknown = unknown or missing[k] == _UNKNOWN
            if weight[k] > 0.0 and (ended[k] < _TINY or scale[k] < _TINY):
                ended[k] = 0.0
                missing[k] = max(missing[k], weight[k], 1.0)
        for k in range(states):
            end[t, k] = ended[k]
        if t == steps:
            log_in_place(begin_flat[begin_done * states :], scratch)
            log_in_place(end_flat[end_done * states :], scratch)
            for k in range(states):
                if missing[k] > 0.0 and missing[k] * (_TINY * _TRUST) > ended[k]:
                    end[t, k] = _log_end(begin, exponent, chain, log_likelihood, t, k)
            break
        fill(flow, 0.0)
        if t == 0:
            for k in range(states):
                flow[k] = exp(chain.initial[k])
        else:
            if varying:
                log_transition = chain.transition[t]
                any_rare = _read_transitions(log_transition, transition, rare)
            add_rows(flow, ended, transition)
        if doubtful or any_rare:
            fill(doubt, 0.0)
            add_rows(doubt, missing, transition)
            add_rows(doubt, missing, rare)
            add_rows(doubt, ended, rare)
            doubtful = True
        for k in range(states):
            begin[t, k] = flow[k]
        _weigh(flow, scale, new)
        # Where the sum cannot be trusted it is taken again, and `precise` holds its logarithm.
        trusted = not doubtful and _least(flow, states) >= _TINY
        for k in range(0 if trusted else states):
            arriving = flow[k]
            precise[k] = np.nan
            if arriving >= _TINY and not unknown and not (doubtful and arriving <= doubt[k] * (_TINY * _TRUST)):
                continue
            if t == 0:
                precise[k] = chain.initial[k]
            elif not _reached(ended, missing, log_transition[:, k]):
                precise[k] = -np.inf
            else:
                again += 1
                log_in_place(begin_flat[begin_done * states : (t + 1) * states], scratch)
                log_in_place(end_flat[end_done * states : (t + 1) * states], scratch)
                begin_done = end_done = t + 1
                total = -np.inf
                for j in range(states):
                    if log_transition[j, k] == -np.inf:
                        continue
                    if missing[j] > 0.0:
                        if weight[j] > lost[j] * _TRUST:
                            end[t, j] = log(weight[j]) + level[j]
                        else:
                            end[t, j] = _log_end(begin, exponent, chain, log_likelihood, t, j)
                        missing[j] = _RESOLVED
                    total = _log_add(total, end[t, j] + log_transition[j, k])
                precise[k] = total
                begin[t, k] = total
            new[k] = -1.0
        base = t % SLIDE * states
        for k in range(states):
            if log_likelihood[t, k] == -np.inf:
                fill(pending[k, i + o + 1 :], 0.0)
                for p in range(o):
                    group[p, k] = 0.0
                new[k] = 0.0
                level[k] = -np.inf
                scale[k] = 0.0
                gap[k] = -np.inf
                lost[k] = 0.0
                continue
            if new[k] < 0.0:
                exact = trusted or precise[k] != precise[k]
                here = log(flow[k]) if exact else precise[k]
                if here == -np.inf:
                    new[k] = 0.0
                    continue
                if level[k] == -np.inf:
                    level[k] = here
                    gap[k] = floor[k]
                above = here - level[k]
                shift = 0
                if above > _HEADROOM:
                    shift = round(above / _LN2)
                elif above < _FOOTROOM:
                    # What is past its longest duration would only keep the scale up.
                    for p in range(max(0, o - longest + 1)):
                        group[p, k] = 0.0
                    largest = _largest(pending[k, i + o + 1 :], group[:o, k])
                    shift = round((max(log(largest), above) if largest > 0.0 else above) / _LN2)
                if shift:
                    underflow = _rescale(pending[k, i + o + 1 :], group[:o, k], shift)
                    level[k] += shift * _LN2
                    above = here - level[k]
                    gap[k] = max(gap[k] - shift * _LN2, floor[k])
                    if underflow:
                        gap[k] = max(gap[k], _LOG_TINY)
                        lost_at[k] = t
                new[k] = exp(above)
                if above < _FOOTROOM:
                    # Too small to be multiplied by a duration: it counts as lost.
                    gap[k] = max(gap[k], above)
                    lost_at[k] = t
                    new[k] = 0.0
                lost[k] = _bound(gap[k])
                stale = stale or level[k] > _DRIFT
                scale[k] = exp(min(level[k], _DRIFT))
        for k in range(states):
            group[o, k] = new[k]
            level[k] += log_likelihood[t, k]
            scale[k] *= likelihood[base + k]
        if t == 0:
            # The first segment has its own durations; it is pushed alone.
            for k in range(states):
                for d in range(longest):
                    pending[k, d + 1] = group[0, k] * exp(chain.first[k, d])
                group[0, k] = 0.0
        if o == GROUP - 1:
            i += GROUP
            for k in range(states):
                for p in range(GROUP):
                    lane[p] = group[p, k]
                    group[p, k] = 0.0
                push(pending[k, i : i + reach], lane, duration[k])
            if i == SLIDE:
                for k in range(states):
                    for x in range(reach + 1):
                        pending[k, x] = pending[k, SLIDE + x]
                    fill(pending[k, reach + 1 :], 0.0)
                    if t - lost_at[k] > longest:
                        gap[k] = floor[k]
                        lost[k] = _bound(gap[k])
                    if lost[k] == 0.0 and _largest(pending[k], group[:0, k]) == 0.0:
                        level[k] = -np.inf
                i = 0
    return again
