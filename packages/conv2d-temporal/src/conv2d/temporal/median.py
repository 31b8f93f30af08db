"""Median smoothing of labels with hysteresis and a minimum dwell: the default way to clean a classifier's output."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from conv2d.temporal._check import Labels, check_labels, check_probabilities
from conv2d.temporal._dwell import MinDwellPolicy, enforce_dwell
from conv2d.temporal._hysteresis import HysteresisPolicy, HysteresisStream, hysteresis
from conv2d.temporal._mode import ModeFilterPolicy, mode_filter
from conv2d.temporal._stream import ChainedStream

__all__ = ["MedianHysteresisPolicy"]


@dataclass(frozen=True)
class MedianHysteresisPolicy:
    """Median (mode) filter, then hysteresis where probabilities are given, then minimum dwell.

    What *median* means: labels are names, not numbers, so the filter takes the most frequent label of the window (see
    `ModeFilterPolicy` for ties and borders). For two labels that *is* the median. For three or more, also for labels
    that happen to have an order, the median of the ids is never taken: it would name a behaviour in between.

    A median filter repeated until nothing changes (its *root*) leaves no inner run shorter than
    ``(window_size + 1) / 2`` [1]_. The minimum dwell enforced is therefore
    ``max(min_dwell, (window_size + 1) // 2)``. Hysteresis and dwell are repeated until neither changes anything, which
    happens because each repetition removes at least one transition.

    Parameters
    ----------
    min_dwell : int
        Steps that a run between two others must last; `dwell_steps` converts seconds.
    window_size : int
        Steps in the filter's window, odd.
    enter : float
        Probability at which a new label is taken.
    exit : float
        Probability below which the current label is given up.

    Notes
    -----
    Beside the promises of `SmoothingPolicy`: no run between two others is shorter than the enforced dwell, and the
    policy is idempotent (with the same probabilities). The filter and the dwell look ahead: the policy is for recorded
    sequences. Without probabilities there is no hysteresis.

    References
    ----------
    .. [1] N. C. Gallagher, G. L. Wise, "A theoretical analysis of the properties of median filters",
       IEEE Trans. Acoustics, Speech and Signal Processing 29(6), 1981.

    Examples
    --------
    >>> labels = np.array([0, 0, 0, 0, 1, 0, 0, 2, 2, 2, 2, 2, 0, 2, 2, -1, 1], dtype=np.int32)
    >>> MedianHysteresisPolicy(min_dwell=5, window_size=7).smooth(labels)
    array([ 0,  0,  0,  0,  0,  0,  0,  2,  2,  2,  2,  2,  2,  2,  2, -1,  1], dtype=int32)
    """

    min_dwell: int = 5
    window_size: int = 7
    enter: float = 0.7
    exit: float = 0.3

    def __post_init__(self) -> None:
        # The parts own the rules of their parameters.
        MinDwellPolicy(self.min_dwell)
        ModeFilterPolicy(self.window_size)
        HysteresisPolicy(self.enter, self.exit)

    def smooth(self, labels: ArrayLike, probabilities: ArrayLike | None = None) -> Labels:
        """Return the smoothed labels.

        Parameters
        ----------
        labels : int32, shape (T,) or (B, T)
            One label per step; -1 marks a step to ignore.
        probabilities : float32 or float64, shape (T, K) or (B, T, K), optional
            Class probabilities of each step, for the hysteresis; column = label. Rows at -1 steps are not read.

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
        dwell = max(self.min_dwell, (self.window_size + 1) // 2)
        if probabilities is None:
            return enforce_dwell(mode_filter(checked, self.window_size), dwell)
        weighed = check_probabilities(probabilities, checked)
        smoothed = mode_filter(checked, self.window_size)
        while True:
            clear = hysteresis(smoothed, weighed, self.enter, self.exit)
            smoothed = enforce_dwell(clear, dwell)
            if np.array_equal(smoothed, clear):
                return smoothed

    def stream(self, max_delay: int | None = None) -> ChainedStream:
        """Return the policy for one step at a time: filter, hysteresis where probabilities are given, and dwell.

        Each of them runs once: with probabilities, `smooth` repeats the last two until they agree, which no stream can.
        Without probabilities the labels are those of `smooth` as far as `MinDwellPolicy.stream` says.

        Parameters
        ----------
        max_delay : int, optional
            Steps that the minimum dwell waits at most; by default four times the enforced dwell.

        Returns
        -------
        PolicyStream
            At the beginning of a sequence.
        """
        dwell = MinDwellPolicy(max(self.min_dwell, (self.window_size + 1) // 2))
        mode = ModeFilterPolicy(self.window_size)
        return ChainedStream(
            mode.stream(), HysteresisStream(self.enter, self.exit, optional=True), dwell.stream(max_delay)
        )
