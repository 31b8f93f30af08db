"""The one protocol of all smoothing policies, and their composition."""

from dataclasses import dataclass
from math import ceil
from typing import Protocol, runtime_checkable

from numpy.typing import ArrayLike

from conv2d.temporal._check import Labels, check_labels, check_seconds
from conv2d.temporal._stream import ChainedStream, PolicyStream


@runtime_checkable
class SmoothingPolicy(Protocol):
    """Anything that smooths a label sequence.

    Every policy of this package keeps these promises: -1 steps come back as -1 and are never bridged; no label
    appears in a piece (a stretch between -1 steps) that was not in it; a piece never has more transitions than
    before; the rows of a batch do not see each other; the input is left as it was.

    Examples
    --------
    >>> from conv2d.temporal import MinDwellPolicy, SmoothingPolicy
    >>> isinstance(MinDwellPolicy(min_dwell=3), SmoothingPolicy)
    True
    """

    def smooth(self, labels: ArrayLike, probabilities: ArrayLike | None = None) -> Labels:
        """Return the smoothed labels.

        Parameters
        ----------
        labels : int32, shape (T,) or (B, T)
            One label per step; -1 marks a step to ignore.
        probabilities : float32 or float64, shape (T, K) or (B, T, K), optional
            Class probabilities of each step, for the policies that weigh them.

        Returns
        -------
        int32, same shape as `labels`
            The smoothed labels.
        """
        ...

    def stream(self) -> PolicyStream:
        """Return the policy for one step at a time, looking ahead of none.

        Returns
        -------
        PolicyStream
            At the beginning of a sequence; it reports its delay.
        """
        ...


@dataclass(frozen=True, init=False)
class Pipeline:
    """Policies applied one after another, each to the result of the one before.

    Parameters
    ----------
    *policies : SmoothingPolicy
        In the order in which they are applied. Without any, labels pass unchanged.

    Notes
    -----
    A pipeline keeps the promises that all of its policies keep. A single policy's own guarantee (say, a minimum
    dwell) holds at the end only if that policy comes last.

    Examples
    --------
    >>> from conv2d.temporal import MinDwellPolicy, ModeFilterPolicy
    >>> Pipeline(ModeFilterPolicy(window_size=3), MinDwellPolicy(min_dwell=2)).smooth([0, 1, 0, 0, 1, 1, 1])
    array([0, 0, 0, 0, 1, 1, 1], dtype=int32)
    """

    policies: tuple[SmoothingPolicy, ...]

    def __init__(self, *policies: SmoothingPolicy) -> None:
        for policy in policies:
            if not callable(getattr(policy, "smooth", None)):
                raise TypeError(f"Pipeline takes policies, objects with a `smooth` method; got {policy!r}.")
        object.__setattr__(self, "policies", policies)

    def smooth(self, labels: ArrayLike, probabilities: ArrayLike | None = None) -> Labels:
        """Return `labels` after every policy in turn; all of them are given `probabilities`.

        Parameters
        ----------
        labels : int32, shape (T,) or (B, T)
            One label per step; -1 marks a step to ignore.
        probabilities : float32 or float64, shape (T, K) or (B, T, K), optional
            Class probabilities of each step.

        Returns
        -------
        int32, same shape as `labels`
            The smoothed labels.
        """
        smoothed = check_labels(labels)
        if not self.policies:
            return smoothed.copy()
        for policy in self.policies:
            smoothed = policy.smooth(smoothed, probabilities)
        return smoothed

    def stream(self) -> ChainedStream:
        """Return the streams of all policies, one after another.

        Returns
        -------
        PolicyStream
            Its delay is the sum of theirs.
        """
        return ChainedStream(*(policy.stream() for policy in self.policies))


def dwell_steps(dwell_s: float, hop_s: float) -> int:
    """Return how many steps cover a dwell time, to set `min_dwell` in seconds.

    Parameters
    ----------
    dwell_s : float
        The dwell time in seconds.
    hop_s : float
        Seconds from one step to the next.

    Returns
    -------
    int
        The smallest number of steps, at least 1, that lasts `dwell_s` or longer.

    Raises
    ------
    ValueError
        If either time is not finite and positive.

    Examples
    --------
    >>> dwell_steps(2.5, hop_s=0.5)
    5
    """
    check_seconds("dwell_s", dwell_s)
    check_seconds("hop_s", hop_s)
    steps = dwell_s / hop_s
    # 1.1 / 0.1 is 11.000000000000002: a rounding error of the division must not cost a step.
    nearest = round(steps)
    return max(1, nearest if abs(steps - nearest) <= 1e-9 * steps else ceil(steps))
