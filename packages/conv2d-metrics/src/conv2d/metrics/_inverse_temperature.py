"""The best inverse temperature β = 1/T: the mean NLL is convex in β, so Newton steps in a bracket always reach it."""

from __future__ import annotations

import math

import numpy as np

from ._inputs import FloatArray
from ._rows import BLOCK

_SAMPLE = 20_000
"""Windows of the first search; its optimum is so near to that of all windows that two or three passes remain."""


def newton_beta(columns: FloatArray, z_true: FloatArray) -> float:
    """Find the β ≥ 0 at which the slope of the NLL is 0, for logits ``(K, N)`` of maximum 0 in each window.

    Some window's true class must not be on top, or there is no optimum.
    """
    stride = len(z_true) // _SAMPLE
    start = 1.0
    if stride > 1:
        some, some_true = np.ascontiguousarray(columns[:, ::stride]), z_true[::stride]
        if some_true.any() and _slope_and_curvature(0.0, some, some_true)[0] < 0:
            start = _newton(some, some_true, start)
    return _newton(columns, z_true, start)


def laplace_beta(columns: FloatArray, scale: float) -> float:
    """1/T ≥ 1 at which the mean confidence of all-right answers is (n + 1)/(n + 2); logits are ``scale × columns``."""
    n = columns.shape[1]
    ties = (columns == 0).sum(axis=0)  # the true class cannot win more than its share of a tie
    target = (n + 1) / (n + 2) * float((1 / ties).mean())

    def confidence(beta: float) -> float:
        with np.errstate(over="ignore"):
            return float((1 / np.exp(beta * scale * columns).sum(axis=0)).mean())

    low, high = 1.0, 1.0
    while confidence(high) < target:
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if confidence(middle) < target else (low, middle)
    return high


def _newton(columns: FloatArray, z_true: FloatArray, start: float) -> float:
    """Newton steps from ``start`` that fall back to bisection, or doubling, when they leave the bracket."""
    low, high, beta = 0.0, math.inf, start
    for _ in range(200):
        slope, curvature = _slope_and_curvature(beta, columns, z_true)
        low, high = (beta, high) if slope < 0 else (low, beta)
        step = slope / curvature if curvature > 0 else math.inf
        following = beta - step
        if not low < following < min(high, 4 * beta):
            following = 2 * beta if math.isinf(high) else (low + high) / 2
        elif abs(step) <= 1e-7 * beta:  # the next step would be of the order of its square
            return following
        if following == beta:
            return beta
        beta = following
    return beta


def _slope_and_curvature(beta: float, columns: FloatArray, z_true: FloatArray) -> tuple[float, float]:
    """First and second derivative of the mean NLL in β: E[z] − z_true and Var[z] under softmax(βz)."""
    mean, variance = 0.0, 0.0
    for start in range(0, len(z_true), BLOCK):
        z = columns[:, start : start + BLOCK]
        power = beta * z
        np.exp(power, out=power)
        total = power.sum(axis=0)
        power *= z
        first = power.sum(axis=0) / total
        power *= z
        mean += float(first.sum())
        variance += float((power.sum(axis=0) / total - first**2).sum())
    return (mean - float(z_true.sum())) / len(z_true), variance / len(z_true)
