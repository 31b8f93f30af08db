"""The recursions of `_kernels_numpy`, compiled. Imported on first use only: numba takes a second to load."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal import _trace

if TYPE_CHECKING:

    def njit(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Typed face of `numba.njit`."""
        ...
else:
    from numba import njit

__all__ = ["backtrace", "counts", "forward_max", "forward_sum"]

Float = NDArray[np.float64]

P = ParamSpec("P")
R = TypeVar("R")

# Steps per block. Inside a block, scores are relative to its first step, and weights are linear and share one scale.
_BLOCK = 64
# A weight may exceed the scale of its block by exp(this) before the block is scaled anew.
_HEADROOM = 100.0
# Below exp(this) a float64 is zero.
_UNDERFLOW = -745.0
# A linear sum above this is exact: all terms lost to underflow are below exp(_HEADROOM + _UNDERFLOW), which is 1e-280.
_TRUSTED = 1e-250
# Segments less probable than exp(this) are left out of expected counts; all together stay below rounding errors.
_NEGLIGIBLE = -60.0


def _compiled(**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function without the GIL, and keep the machine code where a folder for it can be written."""

    def compiled(function: Callable[P, R]) -> Callable[P, R]:
        try:
            return njit(cache=True, nogil=True, error_model="numpy", **options)(function)
        except RuntimeError:  # numba found no folder to write to
            return njit(nogil=True, error_model="numpy", **options)(function)

    return compiled


backtrace = _compiled()(_trace.backtrace)


@_compiled()
def forward_max(
    log_initial: Float, log_transition: Float, log_first: Float, log_duration: Float, log_likelihood: Float
) -> tuple[Float, Float]:
    """Return `begin` (T, K) and `end` (T + 1, K) with the best segmentation in place of all."""
    steps, states = log_likelihood.shape
    longest = log_duration.shape[1]
    begin = np.empty((steps, states))
    end = np.full((steps + 1, states), -np.inf)
    # pending[k, i]: best segment of k that ends i steps after the block began, without the likelihoods since then.
    pending = np.full((states, _BLOCK + longest + 1), -np.inf)
    since = np.zeros(states)
    i = 0
    for t in range(steps + 1):
        if i == _BLOCK:
            for k in range(states):
                pending[k, : longest + 1] = pending[k, _BLOCK:] + since[k]
                pending[k, longest + 1 :] = -np.inf
                since[k] = 0.0
            i = 0
        for k in range(states):
            end[t, k] = pending[k, i] + since[k]
        if t == steps:
            break
        best = begin[t]
        if t == 0:
            best[:] = log_initial
        else:
            best[:] = -np.inf
            for j in range(states):
                before = end[t, j]
                row = log_transition[j]
                for k in range(states):
                    best[k] = max(best[k], before + row[k])
        for k in range(states):
            if log_likelihood[t, k] == -np.inf:
                # Every pending segment of k holds this step.
                pending[k, i + 1 :] = -np.inf
                continue
            score = best[k] - since[k]
            since[k] += log_likelihood[t, k]
            if score > -np.inf:
                duration = log_duration[k] if t else log_first[k]
                target = pending[k, i + 1 : i + 1 + longest]
                for d in range(longest):
                    target[d] = max(target[d], score + duration[d])
        i += 1
    return begin, end


@_compiled(fastmath={"reassoc", "contract"})
def _dot(one: Float, two: Float) -> float:
    total = 0.0
    for i in range(len(one)):
        total += one[i] * two[i]
    return total


@_compiled()
def _add(one: float, two: float) -> float:
    """Return log(exp(one) + exp(two))."""
    top = max(one, two)
    if top == -np.inf:
        return top
    return top + np.log1p(np.exp(min(one, two) - top))


@_compiled()
def _end_exactly(begin: Float, log_duration: Float, log_likelihood: Float, t: int, k: int) -> float:
    """Return `end[t, k]` term by term in logarithms, for segments that begin after step 0."""
    total = -np.inf
    segment = 0.0
    for d in range(1, min(log_duration.shape[1], t - 1) + 1):
        segment += log_likelihood[t - d, k]
        if segment == -np.inf:
            break
        term = begin[t - d, k] + segment + log_duration[k, d - 1]
        if term > -np.inf:
            total = _add(total, term)
    return total


@_compiled()
def _transit(end: Float, log_transition: Float, transition: Float, begin: Float) -> None:
    """Fill a row of `begin` from the row of `end` at the same time."""
    states = len(end)
    top = end.max()
    begin[:] = -np.inf
    if top == -np.inf:
        return
    linear = np.zeros(states)
    for j in range(states):
        weight = np.exp(end[j] - top)
        row = transition[j]
        for k in range(states):
            linear[k] += weight * row[k]
    for k in range(states):
        if linear[k] > _TRUSTED:
            begin[k] = top + np.log(linear[k])
        else:
            for j in range(states):
                begin[k] = _add(begin[k], end[j] + log_transition[j, k])


@_compiled()
def forward_sum(
    log_initial: Float, log_transition: Float, log_first: Float, log_duration: Float, log_likelihood: Float
) -> tuple[Float, Float]:
    """Return `begin` (T, K) and `end` (T + 1, K), summed over all segmentations.

    `end` is a convolution of the segments begun with their durations. It is taken as dot products of linear weights,
    block by block of begin times; only the scales of the blocks are logarithms. A sum too small to be trusted, because
    larger terms may have underflowed, is taken again term by term.
    """
    steps, states = log_likelihood.shape
    longest = log_duration.shape[1]
    transition = np.exp(log_transition)
    # Durations from long to short, with a block of zeros on both sides: [reach - d] is p(d).
    reach = longest + _BLOCK - 1
    backwards = np.zeros((states, reach + _BLOCK))
    for k in range(states):
        for d in range(1, longest + 1):
            backwards[k, reach - d] = np.exp(log_duration[k, d - 1])
    slots = reach // _BLOCK + 2
    weight = np.zeros((states, slots, _BLOCK))
    scale = np.full((states, slots), -np.inf)
    # Log-likelihood of each state since the block began; -inf once a step ruled out all that began before.
    since = np.full((states, slots), -np.inf)
    opened = np.zeros(slots, dtype=np.int64)
    first = log_initial.copy()

    begin = np.empty((steps, states))
    end = np.full((steps + 1, states), -np.inf)
    for t in range(steps + 1):
        if t == 0:
            begin[0] = log_initial
        else:
            for k in range(states):
                top = -np.inf
                for slot in range(slots):
                    if t - opened[slot] <= reach:
                        top = max(top, scale[k, slot] + since[k, slot])
                total = 0.0
                if top > -np.inf:
                    for slot in range(slots):
                        age = t - opened[slot]
                        relative = scale[k, slot] + since[k, slot] - top
                        if age <= reach and relative > _UNDERFLOW:
                            at = reach - age
                            total += np.exp(relative) * _dot(weight[k, slot], backwards[k, at : at + _BLOCK])
                if total > _TRUSTED:
                    end[t, k] = top + np.log(total)
                else:
                    end[t, k] = _end_exactly(begin, log_duration, log_likelihood, t, k)
                if t <= longest:
                    end[t, k] = _add(end[t, k], first[k] + log_first[k, t - 1])
            if t == steps:
                break
            _transit(end[t], log_transition, transition, begin[t])
        now = (t // _BLOCK) % slots
        i = t % _BLOCK
        if i == 0:
            opened[now] = t
            weight[:, now] = 0.0
            scale[:, now] = -np.inf
            since[:, now] = 0.0
        for k in range(states):
            step = log_likelihood[t, k]
            first[k] += step
            if step == -np.inf:
                since[k] = -np.inf
                since[k, now] = 0.0
                weight[k, now] = 0.0
                scale[k, now] = -np.inf
                continue
            score = begin[t, k] - since[k, now] if t else -np.inf
            if score > -np.inf:
                if score > scale[k, now] + _HEADROOM:
                    weight[k, now] *= np.exp(scale[k, now] - score)
                    scale[k, now] = score
                weight[k, now, i] = np.exp(score - scale[k, now])
            for slot in range(slots):
                since[k, slot] += step
    return begin, end


@_compiled()
def counts(begin: Float, log_after: Float, log_duration: Float, log_likelihood: Float, log_total: float) -> Float:
    """Return the expected number of segments of each state and duration, (K, D)."""
    steps, states = begin.shape
    longest = log_duration.shape[1]
    expected = np.zeros((states, longest))
    for t in range(steps):
        for k in range(states):
            segment = begin[t, k] - log_total
            for d in range(1, min(longest, steps - t) + 1):
                segment += log_likelihood[t + d - 1, k]
                if segment == -np.inf:
                    break
                term = segment + log_duration[k, d - 1] + log_after[t + d, k]
                if term > _NEGLIGIBLE:
                    expected[k, d - 1] += np.exp(term)
    return expected
