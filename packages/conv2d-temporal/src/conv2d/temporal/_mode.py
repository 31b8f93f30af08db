"""Mode filter: the median filter's counterpart for labels that have no order."""

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.temporal._backend import smoothing_kernels
from conv2d.temporal._check import Labels, check_at_least, check_labels, check_probabilities
from conv2d.temporal._runs import Runs, find_runs
from conv2d.temporal._stream import PieceStream, Row

# Windows are compared label by label; this bounds the comparisons held in memory at once (bytes).
_CHUNK_BYTES = 1 << 24


@dataclass(frozen=True)
class ModeFilterPolicy:
    """Replace each label by the most frequent label of the window centred on it.

    Ties: the centre keeps its label if that is among the most frequent; otherwise the tied label that occurs
    nearest to the centre wins, the earlier of two at the same distance. So the result does not depend on how the
    labels are numbered. At the borders of a piece (a stretch between -1 steps) its first or last label is repeated
    outwards, as usual for median filters; nothing beyond a gap is seen.

    Parameters
    ----------
    window_size : int
        Steps in the window, odd.

    Notes
    -----
    With two labels this is the median filter. With more, the median of label *ids* would depend on their numbering
    and is never taken. One pass is made, so the filter is in general not idempotent (a median filter is not): the
    result is left unchanged by another pass once every inner run has at least (window_size + 1) / 2 steps [1]_, which
    `MedianHysteresisPolicy` ensures. A window over three or more labels can, rarely, cut a piece into more runs than
    it had. So a change is only followed if the labels up to the end of the window have changed as often: transitions
    never increase. With two labels this never matters.

    References
    ----------
    .. [1] N. C. Gallagher, G. L. Wise, "A theoretical analysis of the properties of median filters",
       IEEE Trans. Acoustics, Speech and Signal Processing 29(6), 1981.

    Examples
    --------
    >>> ModeFilterPolicy(window_size=3).smooth([4, 4, 9, 4, 4, -1, 9, 9])
    array([ 4,  4,  4,  4,  4, -1,  9,  9], dtype=int32)
    """

    window_size: int = 7

    def __post_init__(self) -> None:
        check_at_least("window_size", self.window_size, 1)
        if self.window_size % 2 == 0:
            raise ValueError(f"window_size must be odd, so that the window has a centre; got {self.window_size}.")

    def smooth(self, labels: ArrayLike, probabilities: ArrayLike | None = None) -> Labels:
        """Return the mode-filtered labels.

        Parameters
        ----------
        labels : int32, shape (T,) or (B, T)
            One label per step; -1 marks a step to ignore.
        probabilities : float32 or float64, shape (T, K) or (B, T, K), optional
            Checked, but not used: the filter counts labels.

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
        return mode_filter(checked, self.window_size)

    def stream(self) -> "ModeStream":
        """Return the policy for one step at a time: the labels of `smooth`, half a window late.

        Returns
        -------
        PolicyStream
            At the beginning of a sequence.
        """
        return ModeStream(self.window_size)


class ModeStream(PieceStream):
    """The mode filter step by step."""

    def __init__(self, window_size: int) -> None:
        self._half = window_size // 2
        super().__init__(delay=self._half)

    def _begin(self) -> None:
        self._window: deque[int] = deque(maxlen=2 * self._half + 1)
        # Changes of label seen, and made; the label given last.
        self._seen, self._made, self._label = 0, 0, -1

    def _take(self, label: int, row: Row | None) -> list[int]:
        if not self._window:
            self._window.extend([label] * self._half)
        elif label != self._window[-1]:
            self._seen += 1
        return self._slide(label)

    def _end(self) -> list[int]:
        return [label for _ in range(self._half if self._window else 0) for label in self._slide(self._window[-1])]

    def _slide(self, label: int) -> list[int]:
        self._window.append(label)
        if len(self._window) <= 2 * self._half:
            return []
        mode = _mode_of(list(self._window))
        if self._label < 0:
            self._label = mode
        elif mode != self._label and self._made < self._seen:
            self._made += 1
            self._label = mode
        return [self._label]

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain numbers and lists."""
        return {"window": list(self._window), "seen": self._seen, "made": self._made, "label": self._label}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._begin()
        self._window.extend(int(label) for label in state["window"])
        self._seen, self._made, self._label = int(state["seen"]), int(state["made"]), int(state["label"])


def _mode_of(window: list[int]) -> int:
    """Return the mode; of the tied, the label nearest to the centre, the earlier first."""
    count, half = Counter(window), len(window) // 2
    return window[min(range(len(window)), key=lambda i: (-count[window[i]], abs(i - half), i))]


def mode_filter(labels: Labels, window_size: int) -> Labels:
    """Filter checked labels; see `ModeFilterPolicy`."""
    # Counts are kept per label, so labels must not be far more than steps.
    if (top := int(labels.max(initial=0))) <= labels.size and (compiled := smoothing_kernels(labels.size)):
        target = np.empty(labels.shape, dtype=np.int32)
        compiled.mode(labels.reshape(-1), labels.shape[-1], window_size, top, target.reshape(-1))
        return target
    half = window_size // 2
    runs = find_runs(labels)
    flat = labels.reshape(-1)
    # Only steps within `half` of a transition see more than one label.
    contested, first, last = _contested(runs, flat.size, half)
    # The centre first, then outwards, the earlier side before the later: argmax takes the first of the tied.
    order = np.array([0, *(side * distance for distance in range(1, half + 1) for side in (-1, 1))], dtype=np.intp)
    filtered = flat.copy()
    chunk = max(1, _CHUNK_BYTES // window_size**2)
    for at in range(0, contested.size, chunk):
        rows = slice(at, at + chunk)
        window = flat[np.clip(contested[rows, None] + order, first[rows, None], last[rows, None])]
        count = np.count_nonzero(window[:, :, None] == window[:, None, :], axis=2)
        filtered[contested[rows]] = window[np.arange(len(window)), count.argmax(axis=1)]
    _hold_new_transitions(flat, filtered, runs, half)
    return filtered.reshape(labels.shape)


def _contested(runs: Runs, size: int, half: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the steps whose window holds a transition, with the first and last step of the piece of each."""
    follows = runs.follows
    change = runs.start[follows]
    opens = np.bincount(np.maximum(change - half, 0), minlength=size + 1)
    closes = np.bincount(np.minimum(change + half, size), minlength=size + 1)
    piece_start = runs.start[~follows]
    piece_end = np.append(piece_start[1:], size)
    steps = np.flatnonzero(np.cumsum(opens - closes)[:-1] > 0)
    piece = np.searchsorted(piece_start, steps, side="right") - 1
    return steps, piece_start[piece], piece_end[piece] - 1


def _hold_new_transitions(before: Labels, after: Labels, runs: Runs, half: int) -> None:
    """Hold changes in `after` that come before `before`, up to the end of the window, has changed as often."""
    if not before.size:
        return
    piece_start = runs.start[~runs.follows]
    piece_end = np.append(piece_start[1:], before.size)
    piece = np.repeat(np.arange(piece_start.size), piece_end - piece_start)
    window_end = np.minimum(np.arange(before.size) + half, piece_end[piece] - 1)
    seen, made = (np.append(0, np.cumsum(flat[1:] != flat[:-1])) for flat in (before, after))
    allowed = seen[window_end] - seen[piece_start[piece]]
    for which in np.unique(piece[made - made[piece_start[piece]] > allowed]).tolist():
        followed = 0
        for t in range(int(piece_start[which]) + 1, int(piece_end[which])):
            if after[t] == after[t - 1]:
                continue
            if followed < allowed[t]:
                followed += 1
            else:
                after[t] = after[t - 1]
