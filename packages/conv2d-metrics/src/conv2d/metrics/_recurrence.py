"""Recurrence: where one sequence visits the state that the other is in, and whether it then stays in step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._discrete import coded
from ._inputs import IGNORE, BoolArray, FloatArray, IntArray, class_labels, whole
from ._results import record

_CELLS = 2**18
"""Cells of the plot held at a time: memory does not grow with its area."""


@dataclass(frozen=True)
class Lines:
    """Lengths of the lines of a recurrence plot.

    Attributes
    ----------
    counts : ndarray of int64, shape (L + 1,)
        How many lines have each length.
    shortest : int
        The least length that makes a line.

    Examples
    --------
    >>> lines = Lines(np.array([0, 4, 2, 0, 1]), 2)
    >>> lines.share, lines.longest, round(lines.mean, 3)
    (0.6666666666666666, 4, 2.667)
    """

    counts: IntArray
    shortest: int

    @property
    def _kept(self) -> tuple[IntArray, IntArray]:
        length = np.flatnonzero(self.counts)
        length = length[length >= self.shortest]
        return length, self.counts[length]

    @property
    def share(self) -> float:
        """Share of the recurrent points that lie on a line: DET of diagonals, LAM of verticals. NaN without points."""
        length, count = self._kept
        points = float((np.arange(len(self.counts)) * self.counts).sum())
        return float((length * count).sum()) / points if points else np.nan

    @property
    def mean(self) -> float:
        """Mean length of the lines; NaN without any."""
        length, count = self._kept
        return float((length * count).sum() / count.sum()) if len(count) else np.nan

    @property
    def longest(self) -> int:
        """Length of the longest line; 0 without any."""
        length, _ = self._kept
        return int(length.max(initial=0))

    @property
    def entropy(self) -> float:
        """Entropy of the lengths, nats; NaN without lines."""
        _, count = self._kept
        if not len(count):
            return np.nan
        p = count / count.sum()
        return float(-(p * np.log(p)).sum()) + 0.0

    def to_dict(self) -> dict[str, Any]:
        """Write the figures, JSON-safe."""
        names = ("share", "mean", "longest", "entropy")
        return record({name: getattr(self, name) for name in names}, "" if len(self._kept[0]) else "no lines")


@dataclass(frozen=True)
class Recurrence:
    """A recurrence plot of two sequences in figures.

    Attributes
    ----------
    rate : float
        RR, the share of all cells that are recurrent.
    n_recurrent, n_cells : int
    diagonal : Lines
        Runs at a constant lag: `Lines.share` is the determinism DET.
    vertical : Lines
        Runs of y at one step of x: `Lines.share` is the laminarity LAM, `Lines.mean` the trapping time.
    lag : ndarray of int64, shape (2 M + 1,)
        Lags of `profile`; above 0, x leads.
    profile : ndarray of float64, shape (2 M + 1,)
        Share of recurrent cells at each lag; NaN where no cell is.

    Examples
    --------
    >>> found = cross_recurrence([0, 1, 2, 3, 1], [5, 0, 1, 2, 3], max_lag=2)
    >>> found.peak_lag, found.rate, found.determinism
    (1, 0.2, 0.8)
    """

    rate: float
    n_recurrent: int
    n_cells: int
    diagonal: Lines
    vertical: Lines
    lag: IntArray
    profile: FloatArray

    @property
    def determinism(self) -> float:
        """DET: share of recurrent points on diagonal lines; NaN without points."""
        return self.diagonal.share

    @property
    def laminarity(self) -> float:
        """LAM: share of recurrent points on vertical lines; NaN without points."""
        return self.vertical.share

    @property
    def peak_lag(self) -> int:
        """The lag of the highest `profile` (ties: the first)."""
        return int(self.lag[np.where(np.isnan(self.profile), -1.0, self.profile).argmax()])

    def to_dict(self) -> dict[str, Any]:
        """Write the figures, JSON-safe."""
        fields = {"rate": self.rate, "n_recurrent": self.n_recurrent, "n_cells": self.n_cells}
        lines = {"diagonal": self.diagonal.to_dict(), "vertical": self.vertical.to_dict()}
        undefined = not self.n_cells or bool(np.isnan(self.profile).any())
        profile = {"lag": self.lag, "profile": self.profile, "peak_lag": self.peak_lag}
        return record({**fields, **lines, **profile}, "no cell to look at" if undefined else "")


def cross_recurrence(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    radius: float | None = None,
    dimension: int = 1,
    delay: int = 1,
    theiler: int = 0,
    shortest: int = 2,
    max_lag: int = 50,
) -> Recurrence:
    """Quantify the (cross-)recurrence plot of two sequences, without ever holding it.

    A cell (i, j) is recurrent when x(i) and y(j) are the same class, or continuous states no further apart than the
    radius. Time grows as T², memory as T.

    Parameters
    ----------
    x, y : array_like, shape (T,)
        Classes as integers, where −1 is like nothing; or continuous values as floats. They may differ in length. The
        same sequence twice gives the auto-recurrence plot.
    radius : float, optional
        For continuous values, needed: a distance of exactly that is recurrent. Bring both to one scale first.
    dimension, delay : int
        For continuous values: the state at t is ``x(t), x(t + delay), …``, ``dimension`` values, with the Euclidean
        distance between states.
    theiler : int
        Cells with ``|i − j| < theiler`` make no diagonal lines, as their trivial agreement in the auto-recurrence plot
        should not (1 leaves out the main diagonal). They do count in `rate` and in vertical lines.
    shortest : int
        The least length of a line.
    max_lag : int
        Lags of the profile.

    Returns
    -------
    Recurrence

    Raises
    ------
    TypeError, ValueError
        One sequence is of classes and the other continuous, values are not finite, `radius` is missing or given for
        classes, or sequences are shorter than an embedded state.

    References
    ----------
    N. Marwan et al., "Recurrence plots for the analysis of complex systems", Physics Reports 438, 2007.
    M. Coco, R. Dale, "Cross-recurrence quantification analysis of categorical and continuous time series", Frontiers in
    Psychology 5, 2014.

    Examples
    --------
    >>> x = np.sin(np.arange(300) ** 1.2 / 20)
    >>> found = cross_recurrence(x, np.roll(x, 5), radius=0.1, dimension=2, delay=3, max_lag=20)
    >>> found.peak_lag, found.determinism > 0.8
    (5, True)
    """
    for name, value, least in (("dimension", dimension, 1), ("delay", delay, 1), ("theiler", theiler, 0)):
        whole(name, value, least)
    whole("shortest", shortest, 1)
    whole("max_lag", max_lag, 0)
    one, other = np.asarray(x), np.asarray(y)
    if one.ndim != 1 or other.ndim != 1:
        raise ValueError(f"x, y: must be (T,), got shapes {one.shape} and {other.shape}.")
    if (one.dtype.kind == "f") != (other.dtype.kind == "f"):
        raise TypeError("x, y: must both be classes (integers) or both continuous (floats).")
    if one.dtype.kind != "f":
        if radius is not None or dimension != 1:
            raise ValueError("radius, dimension: are for continuous values; classes are recurrent when they are equal.")
        same, n, m = _classes(class_labels("x", one), class_labels("y", other))
    else:
        if radius is None or not radius >= 0:
            raise ValueError(f"radius: continuous values need one of at least 0, got {radius}.")
        same, n, m = _states(_embedded("x", one, dimension, delay), _embedded("y", other, dimension, delay), radius)
    diagonal = np.zeros(min(n, m) + 1, dtype=np.int64)
    lag = np.arange(-max_lag, max_lag + 1)
    profile = np.full(len(lag), np.nan)
    recurrent = 0
    for chunk in _batches(_diagonals(same, n, m), n + m):
        recurrent += sum(int(cells.sum()) for _, cells in chunk)
        for by, cells in chunk:
            if abs(by) <= max_lag:
                profile[by + max_lag] = cells.mean()
        diagonal += _lengths([cells for by, cells in chunk if abs(by) >= theiler], len(diagonal))
    vertical = np.zeros(m + 1, dtype=np.int64)
    if one.dtype.kind == "f":
        for chunk in _batches(((i, same(i, slice(0, m))) for i in range(n)), m):
            vertical += _lengths([cells for _, cells in chunk], m + 1)
    else:  # all steps of x in one class see the same of y
        for i, times in zip(*np.unique(one, return_index=True, return_counts=True)[1:], strict=True):
            vertical += times * _lengths([same(i, slice(0, m))], m + 1)
    rate = recurrent / (n * m) if n * m else np.nan
    return Recurrence(rate, recurrent, n * m, Lines(diagonal, shortest), Lines(vertical, shortest), lag, profile)


_Same = Callable[[Any, slice], BoolArray]
"""Whether x at one step, or at a slice of steps, is recurrent with y at a slice of steps."""


def _classes(x: IntArray, y: IntArray) -> tuple[_Same, int, int]:
    both = coded(np.concatenate([x, y]))
    small = both.code.astype(np.uint8 if both.size < 255 else np.int64)
    one, other = small[: len(x)], small[len(x) :].copy()
    other[y == IGNORE] = both.size + 1  # an ignored step is like nothing, not even another ignored step
    return lambda i, j: one[i] == other[j], len(x), len(y)


def _states(x: FloatArray, y: FloatArray, radius: float) -> tuple[_Same, int, int]:
    def near(i: Any, j: slice) -> BoolArray:
        square = np.zeros(j.stop - j.start)
        for one, other in zip(x, y, strict=True):
            step = one[i] - other[j]
            square += step * step
        return np.sqrt(square) <= radius

    return near, x.shape[1], y.shape[1]


def _embedded(name: str, values: npt.NDArray[Any], dimension: int, delay: int) -> FloatArray:
    """States ``(dimension, T − (dimension − 1) delay)``."""
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: {(~np.isfinite(values)).sum()} values are not finite.")
    n = len(values) - (dimension - 1) * delay
    if n < 1:
        raise ValueError(f"{name}: {len(values)} steps hold no state of dimension {dimension} at delay {delay}.")
    return np.stack([values[k * delay : k * delay + n] for k in range(dimension)]).astype(np.float64)


def _diagonals(same: _Same, n: int, m: int) -> Iterator[tuple[int, BoolArray]]:
    """Every diagonal with its lag j − i."""
    for lag in range(1 - n, m):
        i, j = max(0, -lag), max(0, lag)
        length = min(n - i, m - j)
        yield lag, same(slice(i, i + length), slice(j, j + length))


def _batches(lines: Iterator[tuple[int, BoolArray]], longest: int) -> Iterator[list[tuple[int, BoolArray]]]:
    """Take several lines at a time, for numpy's sake, but no more cells than are held anyway."""
    batch: list[tuple[int, BoolArray]] = []
    cells, limit = 0, max(_CELLS, longest)
    for line in lines:
        batch.append(line)
        cells += len(line[1])
        if cells >= limit:
            yield batch
            batch, cells = [], 0
    if batch:
        yield batch


def _lengths(lines: list[BoolArray], size: int) -> IntArray:
    """How many runs of True have each length, ``(size,)``."""
    gap = np.zeros(1, dtype=np.bool_)
    joined = np.concatenate([gap, *(part for line in lines for part in (line, gap))])
    edges = np.flatnonzero(joined[1:] != joined[:-1])
    return np.bincount(edges[1::2] - edges[::2], minlength=size)
