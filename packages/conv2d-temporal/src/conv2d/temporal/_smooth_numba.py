"""The mode filter and the minimum dwell over long batches, compiled; `_mode` and `_dwell` define their results."""

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal._compile import compiled

Labels = NDArray[np.int32]

__all__ = ["dwell", "mode"]


@compiled()
def _mode_at(piece: Labels, t: int, half: int, count: NDArray[np.int32]) -> int:
    """Return the most frequent label of the window around t; of the tied, the one nearest, the earlier first."""
    last = len(piece) - 1
    best = piece[t]
    most = count[best]
    for distance in range(1, half + 1):
        label = piece[max(t - distance, 0)]
        if count[label] > most:
            best, most = label, count[label]
        label = piece[min(t + distance, last)]
        if count[label] > most:
            best, most = label, count[label]
    return best


@compiled()
def _mode_of_piece(piece: Labels, window: int, count: NDArray[np.int32], target: Labels) -> None:
    half = window // 2
    steps = len(piece)
    last = steps - 1
    for offset in range(-half, half + 1):
        count[piece[min(max(offset, 0), last)]] += 1
    # Changes of label up to the end of the window, and made.
    seen, made = 0, 0
    for t in range(1, min(half, last) + 1):
        seen += piece[t] != piece[t - 1]
    for t in range(steps):
        # A label that fills half of the window is the mode, and the centre wins a tie.
        target[t] = piece[t] if 2 * count[piece[t]] >= window else _mode_at(piece, t, half, count)
        if t > 0 and target[t] != target[t - 1]:
            if made < seen:
                made += 1
            else:
                target[t] = target[t - 1]
        leaving, coming = piece[max(t - half, 0)], piece[min(t + half + 1, last)]
        seen += t + half + 1 <= last and coming != piece[t + half]
        count[leaving] -= 1
        count[coming] += 1
    for offset in range(-half, half + 1):
        count[piece[min(max(steps + offset, 0), last)]] = 0


@compiled()
def mode(flat: Labels, row_length: int, window: int, top: int, target: Labels) -> None:
    """Fill `target` with the mode filter of the rows; `top` is the largest label."""
    count = np.zeros(top + 1, dtype=np.int32)
    for row in range(0, len(flat), row_length):
        start = row
        for t in range(row, row + row_length + 1):
            if t == row + row_length or flat[t] < 0:
                if t > start:
                    _mode_of_piece(flat[start:t], window, count, target[start:t])
                if t < row + row_length:
                    target[t] = -1
                start = t + 1


@compiled()
def _dissolve(start: NDArray[np.int64], label: Labels, runs: int, length: int) -> int:
    """Dissolve the inner runs of this length, which is the shortest; return how many runs are left."""
    kept = 1
    end = start[1]
    for r in range(1, runs):
        begin, stop = start[r], start[r + 1]
        if r < runs - 1 and stop - begin == length:
            continue
        # Each step of what was dissolved goes to the nearest run that stays, the earlier one if both are as near.
        if label[r] != label[kept - 1]:
            label[kept] = label[r]
            start[kept] = begin - (begin - end) // 2
            kept += 1
        end = stop
    start[kept] = end
    return kept


@compiled()
def _dwell_of_piece(piece: Labels, shortest: int, start: NDArray[np.int64], label: Labels, target: Labels) -> None:
    steps = len(piece)
    start[0], label[0] = 0, piece[0]
    runs = 1
    for t in range(1, steps):
        # Written always, counted if it is a new run: a branch that is hard to predict costs more than a store.
        start[runs], label[runs] = t, piece[t]
        runs += piece[t] != piece[t - 1]
    start[runs] = steps
    while True:
        length = shortest
        for r in range(1, runs - 1):
            length = min(length, start[r + 1] - start[r])
        if length >= shortest:
            break
        runs = _dissolve(start, label, runs, length)
    for r in range(runs):
        for t in range(start[r], start[r + 1]):
            target[t] = label[r]


@compiled()
def dwell(flat: Labels, row_length: int, shortest: int, target: Labels) -> None:
    """Fill `target` with the rows without inner runs shorter than `shortest`."""
    starts, labels = np.empty(row_length + 2, dtype=np.int64), np.empty(row_length + 2, dtype=np.int32)
    for row in range(0, len(flat), row_length):
        start = row
        for t in range(row, row + row_length + 1):
            if t == row + row_length or flat[t] < 0:
                if t > start:
                    _dwell_of_piece(flat[start:t], shortest, starts, labels, target[start:t])
                if t < row + row_length:
                    target[t] = -1
                start = t + 1
