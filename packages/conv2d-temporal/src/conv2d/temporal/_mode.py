"""Mode filter: the median filter's counterpart for labels that have no order."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.temporal._backend import smoothing_kernels
from conv2d.temporal._check import Labels, check_at_least, check_labels, check_probabilities
from conv2d.temporal._runs import Runs, find_runs

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
    `MedianHysteresisPolicy` ensures. A window over three or more labels can, rarely, cut a short piece into
    more runs than it had; such a piece is returned as it came, so transitions never increase.

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
    return _without_new_transitions(flat, filtered, runs).reshape(labels.shape)


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


def _without_new_transitions(before: Labels, after: Labels, runs: Runs) -> Labels:
    """Return `after`, but `before` in each piece where the filter made more transitions than there were."""
    piece_start = runs.start[~runs.follows]
    if not piece_start.size:
        return after

    def transitions(flat: Labels) -> NDArray[np.intp]:
        changed = np.zeros(flat.size, dtype=np.intp)
        changed[1:] = flat[1:] != flat[:-1]
        changed[piece_start] = 0
        return np.add.reduceat(changed, piece_start)

    worse = transitions(after) > transitions(before)
    return np.where(np.repeat(worse, np.diff(piece_start, append=before.size)), before, after)
