"""The top class of each row of probabilities, found and checked in one pass over blocks that stay in the cache."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.floating[Any]]

ROW_SUM_TOLERANCE = 1e-4
"""How far from 1 a row of probabilities may sum: room for a float32 softmax over many classes, none for logits."""

BLOCK = 16384
"""Rows a block: with ten classes in float32 a few hundred kB, the size of a second-level cache."""

_FEW_CLASSES = 64
"""Up to here whole columns at a time are faster than numpy's row-wise reductions."""


def top_class(name: str, prob: Probabilities) -> tuple[IntArray, FloatArray]:
    """Find the top class (ties: lowest index) and its probability for each row of ``(N, K)``, checking the rows."""
    n_rows, n_classes = prob.shape
    if n_classes > _FEW_CLASSES:
        check_rows(name, prob)
        top = prob.argmax(axis=1)
        return top, np.take_along_axis(prob, top[:, None], axis=1)[:, 0].astype(np.float64)
    top, confidence = np.empty(n_rows, dtype=np.int64), np.empty(n_rows)
    for start in range(0, n_rows, BLOCK):
        rows = slice(start, start + BLOCK)
        columns = np.ascontiguousarray(prob[rows].T)
        off = columns.sum(axis=0) - 1
        if not (columns.min() >= 0 and max(off.max(), -off.min()) <= ROW_SUM_TOLERANCE):
            check_rows(name, prob)  # says which row; a sum on the brink may also pass its other order of addition
        best = columns.max(axis=0)
        found = columns[0] == best
        index = (~found).astype(np.uint8)  # counts the classes before the first that is best
        for column in columns[1:-1]:
            found |= column == best
            index += ~found
        top[rows], confidence[rows] = index, best
    return top, confidence


def at_label(prob: Probabilities, y_true: IntArray) -> FloatArray:
    """Probability of the true class of each row ``(N,)``, in float64."""
    n_rows, n_classes = prob.shape
    place: IntArray = np.arange(n_rows, dtype=np.int64) * int(n_classes) + y_true
    return np.take(prob, place).astype(np.float64, copy=False)


def check_rows(name: str, prob: Probabilities) -> None:
    """Refuse ``(N, K)`` that is not one probability distribution a row."""
    ones, suspicious = np.ones(prob.shape[1], dtype=prob.dtype), False
    for start in range(0, len(prob), BLOCK):
        block = prob[start : start + BLOCK]
        if not block.min() >= 0:  # also true for NaN, which min() hands on
            row = int(np.flatnonzero(~(block >= 0).all(axis=1))[0])
            raise ValueError(f"{name}: probabilities must be ≥ 0 and finite; row {start + row} is {block[row]}.")
        off = block @ ones - 1
        suspicious |= bool(max(off.max(), -off.min()) > ROW_SUM_TOLERANCE)
    if not suspicious:
        return
    sums = prob @ ones
    off = np.abs(sums - 1) > ROW_SUM_TOLERANCE
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise ValueError(
            f"{name}: every row must sum to 1 within {ROW_SUM_TOLERANCE:g}; {off.sum()} of {len(off)} do not, "
            f"first row {row} with {sums[row]:.6g}. Logits go through `softmax` or `TemperatureScaler.transform` first."
        )
