"""Counting information in sequences of classes: plug-in estimates from tables, and how biased they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ._inputs import IGNORE, BoolArray, FloatArray, IntArray

Correction: TypeAlias = Literal["miller-madow", "panzeri-treves"]

Cells: TypeAlias = npt.NDArray[np.integer[Any]]

_DENSE = 2**22
"""Cells of a table that is held whole; a larger one is held as its filled cells."""


@dataclass(frozen=True)
class Coded:
    """Classes as 0..size−1, those that occur only; ``size`` itself marks an ignored step."""

    code: IntArray
    size: int

    @property
    def valid(self) -> BoolArray:
        """Steps not ignored."""
        return self.code < self.size


def coded(*columns: IntArray) -> Coded:
    """Make one symbol a step of one or several columns; a step ignored (−1) in any of them is ignored."""
    kept = np.ones(len(columns[0]), dtype=np.bool_)
    joint = np.zeros(len(columns[0]), dtype=np.int64)
    size = 1
    for column in columns:
        kept &= column != IGNORE
        top = int(column.max(initial=0)) + 1
        if size * top > _DENSE:  # keep the symbols few, so that they never overflow
            joint, size = _dense(joint)
            column, top = _dense(column + 1)
            top = int(column.max(initial=0)) + 1
        joint, size = joint * top + np.maximum(column, 0), size * top
    joint, size = _dense(joint, kept)
    return Coded(joint, size)


def _dense(symbols: IntArray, kept: BoolArray | None = None) -> tuple[IntArray, int]:
    """Renumber the symbols that occur from 0; what is not kept gets the number after the last."""
    if kept is None:
        kept = np.ones(len(symbols), dtype=np.bool_)
    own = symbols[kept]
    top = int(own.max(initial=-1)) + 1
    if top <= _DENSE:
        used = np.bincount(own, minlength=top) > 0
        number = np.cumsum(used) - 1
        size = int(used.sum())
        out = np.full(len(symbols), size, dtype=np.int64)
        out[kept] = number[own]
        return out, size
    names, inverse = np.unique(own, return_inverse=True)
    out = np.full(len(symbols), len(names), dtype=np.int64)
    out[kept] = inverse
    return out, len(names)


class Table:
    """Counts of a source b against a target a within contexts c, for one source after another.

    The target and its contexts stay; `with_source` puts in the source itself, or a surrogate of it.
    """

    def __init__(self, target: Coded, context: Coded, source: Coded) -> None:
        self._shape = (context.size, target.size, source.size)
        self._width = source.size + 1
        both = np.where(
            context.valid & target.valid, context.code * target.size + target.code, context.size * target.size
        )
        cells = (context.size * target.size + 1) * self._width
        dtype = next(kind for kind in (np.uint8, np.uint16, np.int64) if cells <= np.iinfo(kind).max + 1)
        self._base = (both * self._width).astype(dtype)
        self._cells = cells
        self.source = source.code.astype(dtype)

    def with_source(self, source: Cells) -> Counts:
        """Count with this source, a rearrangement of `source`."""
        cell, count = _count(self._base + source, self._cells)
        pair, b = np.divmod(cell, self._width)
        contexts, targets, sources = self._shape
        seen = (b < sources) & (pair < contexts * targets)
        pair, b, count = pair[seen], b[seen], count[seen]
        c, a = np.divmod(pair, max(targets, 1))
        return Counts(c, a, b, count, self._shape)


@dataclass(frozen=True)
class Counts:
    """Filled cells of a table (context, target, source), and how often each came."""

    c: IntArray
    a: IntArray
    b: IntArray
    count: IntArray
    shape: tuple[int, int, int]

    @property
    def n(self) -> int:
        """Steps counted."""
        return int(self.count.sum())

    def information(self) -> float:
        """I(a; b | c) in bits, plug-in; at least 0."""
        joint, by_source, by_target, by_context = self._margins()
        parts = [float((m * np.log2(np.maximum(m, 1))).sum()) for m in (joint, by_source, by_target, by_context)]
        return max(0.0, (parts[0] - parts[1] - parts[2] + parts[3]) / self.n)

    def conditional_entropy(self) -> float:
        """H(a | b, c) in bits, plug-in."""
        joint, by_source, *_ = self._margins()
        parts = [float((m * np.log2(np.maximum(m, 1))).sum()) for m in (joint, by_source)]
        return max(0.0, (parts[1] - parts[0]) / self.n)

    def bias(self, correction: Correction) -> float:
        """How much too high the plug-in information is on average, bits, to first order in 1/n.

        Each conditional distribution of a with R outcomes makes its entropy (R − 1) / (2 n ln 2) too low.
        Miller–Madow takes for R the outcomes seen, Panzeri–Treves those that there must be to have seen so many.
        """
        return self.entropy_deficit(correction) - self._deficit(self.c, correction)

    def entropy_deficit(self, correction: Correction) -> float:
        """How much too low the plug-in H(a | b, c) is on average, bits, to first order in 1/n."""
        return self._deficit(self.c * self.shape[2] + self.b, correction)

    def _margins(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        contexts, targets, sources = self.shape
        weights = self.count.astype(np.float64)
        keys = ((self.c * sources + self.b), (self.c * targets + self.a), self.c)
        sizes = (contexts * sources, contexts * targets, contexts)
        by = [_summed(key, weights, size) for key, size in zip(keys, sizes, strict=True)]
        return weights, by[0], by[1], by[2]

    def _deficit(self, condition: IntArray, correction: Correction) -> float:
        """Σ (R − 1) / (2 n ln 2) over the conditions that occur, R the number of outcomes of a in each."""
        targets = self.shape[1]
        key, inverse = np.unique(condition * targets + self.a, return_inverse=True)
        count = np.bincount(inverse, weights=self.count).astype(np.float64, copy=False)
        rows, row = np.unique(key // targets, return_inverse=True)
        seen = np.bincount(row)
        if correction == "miller-madow":
            outcomes = float(seen.sum())
        else:
            outcomes = sum(likely_outcomes(one, targets) for one in np.split(count, np.cumsum(seen)[:-1]))
        return (outcomes - len(rows)) / (2 * self.n * float(np.log(2)))


def likely_outcomes(count: FloatArray, most: int) -> float:
    """Estimate how many of ``most`` outcomes are possible when these came up so often (Panzeri–Treves).

    With R̃ seen outcomes in n draws, x further ones are supposed to share the mass γ = x (1 − (n / (n + R̃))^(1/n)); x
    is raised while the number of outcomes one then expects to see comes nearer to R̃.
    """
    n, seen = float(count.sum()), len(count)
    expected = seen - float(((1 - count / n) ** n).sum())
    best, extra = abs(seen - expected), 0
    while seen + extra < most:
        x = extra + 1
        gamma = x * (1 - (n / (n + seen)) ** (1 / n))
        known = (1 - gamma) / (n + seen) * (count + 1)
        expected = float((1 - (1 - known) ** n).sum()) + x * (1 - (1 - gamma / x) ** n)
        if abs(seen - expected) >= best:
            break
        best, extra = abs(seen - expected), x
    return float(seen + extra)


def count_pairs(one: Cells, other: Cells, size: int) -> IntArray:
    """Count pairs of codes below ``size``, ``(size, size)``; the code ``size`` marks an ignored step."""
    width = size + 1
    dtype = np.uint8 if width**2 <= 256 else np.int64
    cell, count = _count(one.astype(dtype) * dtype(width) + other.astype(dtype), width**2)
    table = np.zeros(width**2, dtype=np.int64)
    table[cell] = count
    return table.reshape(width, width)[:size, :size]


def _count(cells: Cells, size: int) -> tuple[IntArray, IntArray]:
    """Count each cell; those that are filled, and how often."""
    if size > max(_DENSE, len(cells)):
        return np.unique(cells.astype(np.int64, copy=False), return_counts=True)
    if cells.dtype == np.uint8 and len(cells) > 2**16:
        pairs = _couples(cells)
        counts = pairs.sum(axis=0) + pairs.sum(axis=1)
        counts[cells[len(cells) // 2 * 2 :]] += 1
    else:
        counts = np.bincount(cells, minlength=size)
    filled = np.flatnonzero(counts)
    return filled, counts[filled]


def count_neighbours(codes: Cells, size: int) -> IntArray:
    """Count which of ``size`` bytes follows which, ``(size, size)`` from what to what."""
    counts = _neighbours_of_nibbles(codes) if size <= 16 else _couples(codes) + _couples(codes[1:])
    return counts[:size, :size]


def _neighbours_of_nibbles(codes: Cells) -> IntArray:
    """Count which of 16 follows which: four steps make a number of 16 bits, so half as many are counted as steps."""
    even = len(codes) // 2 * 2
    couples = codes[:even].view("<u2")  # the later step is the higher byte
    bytes_of_two = (couples | couples >> np.uint16(4)).astype(np.uint8)
    # Steps 0 to 3, 4 to 7, … hold three changes each; the one to the next four is the middle one from step 2 on.
    n_first, n_second = len(bytes_of_two) // 2, (len(bytes_of_two) - 1) // 2
    first, second = (
        np.bincount(part.view("<u2"), minlength=2**16).reshape(16, 16, 16, 16)  # the latest step first
        for part in (bytes_of_two[: 2 * n_first], bytes_of_two[1 : 1 + 2 * max(n_second, 0)])
    )
    counts = first.sum(axis=(0, 1)) + first.sum(axis=(0, 3)) + first.sum(axis=(2, 3)) + second.sum(axis=(0, 3))
    counts = counts.T.copy()
    rest = codes[max(0, 4 * n_first - (n_second < n_first)) :]
    np.add.at(counts, (rest[:-1], rest[1:]), 1)
    return counts


def _couples(codes: Cells) -> IntArray:
    """Count steps 0 and 1, 2 and 3, … of bytes as pairs ``(256, 256)``: half as many to count as there are steps."""
    even = len(codes) // 2 * 2
    pairs = codes[:even].view("<u2")  # the later step is the higher byte
    return np.bincount(pairs, minlength=2**16).reshape(256, 256).T


def _summed(key: IntArray, weights: FloatArray, size: int) -> FloatArray:
    """Sum weights by key; without empty sums where the keys are many."""
    if size > max(_DENSE, len(key)):
        _, key = np.unique(key, return_inverse=True)
        size = 0
    return np.bincount(key, weights=weights, minlength=size).astype(np.float64, copy=False)
