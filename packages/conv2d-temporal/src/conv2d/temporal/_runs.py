"""Run-length form of a batch of label sequences: the smoothing policies work on runs, not on steps."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal._check import Labels


@dataclass(frozen=True, slots=True)
class Runs:
    """Maximal runs of one label, in order, over the rows of a (B, T) batch laid end to end.

    A *piece* is a stretch of a row between ignored steps (-1); runs never cross its borders.

    Attributes
    ----------
    start : (R,) intp
        First step of the run in the flattened batch.
    length : (R,) intp
        Steps in the run.
    label : (R,) int32
        Label of the run; -1 for a gap.
    first_in_row : (R,) bool
        Whether the run begins a row of the batch.
    """

    start: NDArray[np.intp]
    length: NDArray[np.intp]
    label: Labels
    first_in_row: NDArray[np.bool_]

    @property
    def follows(self) -> NDArray[np.bool_]:
        """(R,) bool: whether the run directly follows another run of the same piece."""
        follows = (self.label >= 0) & ~self.first_in_row
        follows[1:] &= self.label[:-1] >= 0
        return follows

    @property
    def inner(self) -> NDArray[np.bool_]:
        """(R,) bool: whether the run has a neighbour on both sides, so that its whole length was seen."""
        follows = self.follows
        inner = follows.copy()
        inner[:-1] &= follows[1:]
        inner[-1:] = False
        return inner

    def spans(self) -> Iterator[tuple[int, int, int]]:
        """Yield (first step, step after the last, label) of each run."""
        columns = (self.start.tolist(), (self.start + self.length).tolist(), self.label.tolist())
        return zip(*cast("tuple[list[int], list[int], list[int]]", columns), strict=True)

    def labels(self, shape: tuple[int, ...]) -> Labels:
        """Write the runs out again as an array of `shape`."""
        return np.repeat(self.label, self.length).reshape(shape)


def find_runs(labels: Labels) -> Runs:
    """Return the runs of `labels`, an int32 array of shape (T,) or (B, T)."""
    flat = labels.reshape(-1)
    first = np.zeros(flat.size, dtype=np.bool_)
    if flat.size:
        first[:: labels.shape[-1]] = True
    begins = first.copy()
    begins[1:] |= flat[1:] != flat[:-1]
    start = np.flatnonzero(begins)
    return Runs(start, np.diff(start, append=flat.size), flat[start], first[start])
