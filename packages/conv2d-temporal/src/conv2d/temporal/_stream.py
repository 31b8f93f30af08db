"""Smoothing step by step: what every policy's stream has in common."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.temporal._check import Labels, check_labels, check_probabilities

Row = NDArray[np.floating]


class PolicyStream(Protocol):
    """A policy that takes one step at a time, and never looks ahead of it.

    A label is given once it is certain, so a step may decide none, one or several; none waits longer than `delay`
    steps. Put together, the labels are those of `smooth` as far as the policy's `stream` says.

    Examples
    --------
    >>> from conv2d.temporal import MinDwellPolicy
    >>> stream = MinDwellPolicy(min_dwell=3).stream()
    >>> [stream.step(label).tolist() for label in [0, 0, 1, 0, 0, 0]], stream.finish().tolist()
    ([[0], [0], [], [], [], [0, 0, 0, 0]], [])
    """

    @property
    def delay(self) -> int:
        """Most steps from one step to the one that decides its label."""
        ...

    def step(self, label: int, probabilities: ArrayLike | None = None) -> Labels:
        """Take one step and return the labels that it decides.

        Parameters
        ----------
        label : int
            Label of the step; -1 for a step to ignore, which ends the piece before it.
        probabilities : float32 or float64, shape (K,), optional
            Class probabilities of the step.

        Returns
        -------
        int32, shape (N,)
            Labels of the oldest steps without one.
        """
        ...

    def finish(self) -> Labels:
        """Return the labels of all steps that have none yet: the sequence ends here.

        Returns
        -------
        int32, shape (N,)
            The last labels. The next step begins a new sequence.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return all that is kept of the steps so far, as plain numbers and lists that JSON can hold."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the state of another stream of an equal policy.

        Parameters
        ----------
        state : dict
            From `state_dict`.
        """
        ...


class PieceStream(ABC):
    """A stream that works on pieces, the stretches between steps to ignore; its fields are its state."""

    def __init__(self, delay: int) -> None:
        self._delay = delay
        self._begin()

    @property
    def delay(self) -> int:
        """Most steps from one step to the one that decides its label."""
        return self._delay

    def step(self, label: int, probabilities: ArrayLike | None = None) -> Labels:
        """Take one step and return the labels that it decides."""
        row = check_labels([label])
        if row[0] < 0:
            return np.append(self.finish(), row)
        given = None if probabilities is None else check_probabilities(np.asarray(probabilities)[None], row)[0]
        return _labels(self._take(int(row[0]), given))

    def finish(self) -> Labels:
        """Return the labels of all steps that have none yet."""
        rest = _labels(self._end())
        self._begin()
        return rest

    @abstractmethod
    def _begin(self) -> None:
        """Forget the piece before."""

    @abstractmethod
    def _take(self, label: int, row: Row | None) -> Sequence[int]:
        """Return the labels decided by a step."""

    @abstractmethod
    def _end(self) -> Sequence[int]:
        """Return the labels not decided yet."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain numbers and lists."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""


class ChainedStream:
    """Streams one after another; each is given what the one before has decided."""

    def __init__(self, *streams: PolicyStream) -> None:
        self._streams = streams
        # Probabilities of the steps that a stream has not been given yet.
        self._waiting: list[deque[ArrayLike | None]] = [deque() for _ in streams]

    @property
    def delay(self) -> int:
        """Most steps from one step to the one that decides its label."""
        return sum(stream.delay for stream in self._streams)

    def step(self, label: int, probabilities: ArrayLike | None = None) -> Labels:
        """Take one step and return the labels that it decides."""
        for waiting in self._waiting:
            waiting.append(probabilities)
        return self._pass_on(check_labels([label]), 0)

    def finish(self) -> Labels:
        """Return the labels of all steps that have none yet."""
        return np.concatenate(
            [_labels(()), *(self._pass_on(stream.finish(), i + 1) for i, stream in enumerate(self._streams))]
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain numbers and lists."""
        rows = [[None if row is None else np.asarray(row).tolist() for row in waiting] for waiting in self._waiting]
        return {"streams": [stream.state_dict() for stream in self._streams], "waiting": rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        for stream, kept in zip(self._streams, state["streams"], strict=True):
            stream.load_state_dict(kept)
        self._waiting = [
            deque(None if row is None else np.array(row, dtype=np.float64) for row in rows) for rows in state["waiting"]
        ]

    def _pass_on(self, labels: Labels, first: int) -> Labels:
        for stream, waiting in zip(self._streams[first:], self._waiting[first:], strict=True):
            decided = [stream.step(label, waiting.popleft()) for label in labels.tolist()]
            labels = np.concatenate([_labels(()), *decided])
        return labels


def _labels(labels: Sequence[int]) -> Labels:
    return np.array(labels, dtype=np.int32)
