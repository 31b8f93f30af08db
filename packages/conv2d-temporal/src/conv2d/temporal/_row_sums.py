"""Weighted sums of whole rows, compiled: what the sum-product recursions do at each step."""

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal._compile import compiled
from conv2d.temporal._rows import LANES, eight

Float = NDArray[np.float64]


@compiled(fastmath={"reassoc", "contract"})
def push(target: Float, weight: Float, duration: Float) -> None:
    """Add the eight segments begun last to the pending ends; `duration` is padded with zeros."""
    w0, w1, w2, w3, w4, w5, w6, w7 = eight(weight)
    for i in range(len(target)):
        near = w4 * duration[i + 3] + w5 * duration[i + 2] + w6 * duration[i + 1] + w7 * duration[i]
        far = w0 * duration[i + 7] + w1 * duration[i + 6] + w2 * duration[i + 5] + w3 * duration[i + 4]
        target[i] += near + far


@compiled(fastmath={"reassoc", "contract"})
def add_rows(target: Float, weight: Float, rows: Float) -> None:
    """Add weight[j] * rows[j] for all j to target; whole vectors, eight rows at once."""
    for j in range(0, len(target), LANES):
        w0, w1, w2, w3, w4, w5, w6, w7 = eight(weight[j : j + LANES])
        for i in range(len(target)):
            near = w0 * rows[j, i] + w1 * rows[j + 1, i] + w2 * rows[j + 2, i] + w3 * rows[j + 3, i]
            far = w4 * rows[j + 4, i] + w5 * rows[j + 5, i] + w6 * rows[j + 6, i] + w7 * rows[j + 7, i]
            target[i] += near + far


@compiled(fastmath={"contract"})
def add_product(target: Float, one: Float, two: Float) -> None:
    """Add one * two to target; whole vectors."""
    for at in range(0, len(target), LANES):
        for i in range(at, at + LANES):
            target[i] += one[i] * two[i]
