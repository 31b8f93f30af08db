"""Minimum dwell: no run between two others is shorter than a threshold."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.temporal._backend import smoothing_kernels
from conv2d.temporal._check import Labels, check_at_least, check_labels, check_probabilities
from conv2d.temporal._runs import Runs, find_runs
from conv2d.temporal._stream import PieceStream, Row


@dataclass(frozen=True)
class MinDwellPolicy:
    """Dissolve every inner run shorter than `min_dwell`, to a fixed point.

    The shortest runs go first: runs of 1 step, then of 2, … up to ``min_dwell - 1``. At each length, all inner runs
    of that length are dissolved together, and each of their steps takes the label of the nearest run that stays, the
    earlier one if both are as near. Neighbours of the same label then are one run, so a long bout interrupted by
    flicker grows together before it is measured. Afterwards no inner run is shorter than `min_dwell`.

    A run at the border of a piece (next to a -1 step or at an end of the sequence) is kept at any length: only part
    of it may have been seen, so its true length is unknown.

    Parameters
    ----------
    min_dwell : int
        Steps that an inner run must last; `dwell_steps` converts seconds.

    Examples
    --------
    >>> MinDwellPolicy(min_dwell=3).smooth([0, 0, 0, 1, 0, 0, 2, 2, 1, 1, 1])
    array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1], dtype=int32)
    """

    min_dwell: int = 5

    def __post_init__(self) -> None:
        check_at_least("min_dwell", self.min_dwell, 1)

    def smooth(self, labels: ArrayLike, probabilities: ArrayLike | None = None) -> Labels:
        """Return the labels without short inner runs.

        Parameters
        ----------
        labels : int32, shape (T,) or (B, T)
            One label per step; -1 marks a step to ignore.
        probabilities : float32 or float64, shape (T, K) or (B, T, K), optional
            Checked, but not used: only lengths decide.

        Returns
        -------
        int32, same shape as `labels`
            The smoothed labels.

        Raises
        ------
        TypeError
            If `labels` are not integers or `probabilities` not floats.
        ValueError
            If a shape or a value breaks the rules above.
        """
        checked = check_labels(labels)
        if probabilities is not None:
            check_probabilities(probabilities, checked)
        return enforce_dwell(checked, self.min_dwell)

    def stream(self, max_delay: int | None = None) -> "DwellStream":
        """Return the policy for one step at a time.

        Labels are given as soon as they are certain: while a bout lasts at once, after a change when the next label has
        lasted `min_dwell` steps. If flicker goes on for more than `max_delay` steps, its oldest step keeps the label
        before it. So runs between two others are never shorter than `min_dwell`; and wherever flicker ends within
        ``max_delay - min_dwell`` steps, the labels are those of `smooth`.

        Parameters
        ----------
        max_delay : int, optional
            Steps to wait at most, at least ``min_dwell - 1``; by default ``4 * min_dwell``.

        Returns
        -------
        PolicyStream
            At the beginning of a sequence.
        """
        longest = 4 * self.min_dwell if max_delay is None else max_delay
        check_at_least("max_delay", longest, self.min_dwell - 1)
        return DwellStream(self.min_dwell, longest)


class DwellStream(PieceStream):
    """The minimum dwell step by step."""

    def __init__(self, min_dwell: int, delay: int) -> None:
        self._min_dwell = min_dwell
        super().__init__(delay)

    def _begin(self) -> None:
        # The run decided last stays, whatever comes; what was seen since is not certain yet.
        self._anchor = -1
        self._pending: list[int] = []
        # Steps that the last label has lasted.
        self._lasted = 0

    def _take(self, label: int, row: Row | None) -> list[int]:
        if self._anchor < 0 or (label == self._anchor and not self._pending):
            # A first run is kept at any length.
            self._anchor = label
            return [label]
        self._lasted = self._lasted + 1 if self._pending and self._pending[-1] == label else 1
        self._pending.append(label)
        if self._lasted >= self._min_dwell:
            decided = self._end()
            self._anchor, self._pending = label, []
            return decided
        if len(self._pending) > self._delay:
            del self._pending[0]
            return [self._anchor]
        return []

    def _end(self) -> list[int]:
        piece = np.array([self._anchor, *self._pending], dtype=np.int32)
        return enforce_dwell(piece, self._min_dwell)[1:].tolist()

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain numbers and lists."""
        return {"anchor": self._anchor, "pending": list(self._pending), "lasted": self._lasted}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._anchor, self._lasted = int(state["anchor"]), int(state["lasted"])
        self._pending = [int(label) for label in state["pending"]]


def enforce_dwell(labels: Labels, min_dwell: int) -> Labels:
    """Smooth checked labels; see `MinDwellPolicy`."""
    if compiled := smoothing_kernels(labels.size):
        target = np.empty(labels.shape, dtype=np.int32)
        compiled.dwell(labels.reshape(-1), labels.shape[-1], min_dwell, target.reshape(-1))
        return target
    runs = find_runs(labels)
    while True:
        inner = runs.inner
        shortest = runs.length[inner].min(initial=min_dwell)
        if shortest >= min_dwell:
            return runs.labels(labels.shape)
        runs = _dissolve(runs, keep=~(inner & (runs.length == shortest)))


def _dissolve(runs: Runs, keep: NDArray[np.bool_]) -> Runs:
    """Give the steps of the runs not kept to the nearest kept run, then join equal neighbours."""
    start, label, first = runs.start[keep], runs.label[keep], runs.first_in_row[keep]
    end = start + runs.length[keep]
    vacant = start.copy()
    vacant[1:] -= end[:-1]
    vacant[:1] = 0
    start = start - vacant // 2
    size = int(runs.length.sum())
    # A chain of dissolved runs never touches a border, so two neighbours of equal label are in one piece
    # unless the second begins a row.
    distinct = np.ones(start.size, dtype=np.bool_)
    distinct[1:] = (label[1:] != label[:-1]) | first[1:]
    start = start[distinct]
    return Runs(start, np.diff(start, append=size), label[distinct], first[distinct])
