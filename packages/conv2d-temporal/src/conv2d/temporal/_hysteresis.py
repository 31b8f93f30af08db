"""Hysteresis on class probabilities: entering a label takes more evidence than staying in it."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from conv2d.temporal._check import Labels, Probabilities, check_labels, check_probabilities
from conv2d.temporal._runs import find_runs
from conv2d.temporal._stream import PieceStream, Row


@dataclass(frozen=True)
class HysteresisPolicy:
    """Follow a change of label only when the probabilities are clear about it.

    The current label is kept until the step's own label is another one and either that one's probability is at least
    `enter`, or the current label's is below `exit`. A piece (a stretch between -1 steps) starts with its first label.
    With two labels this is the Schmitt trigger with thresholds `enter` and ``1 - enter`` (and `exit`, if that is
    higher). The policy looks only backwards, so it delays changes and never anticipates them.

    Parameters
    ----------
    enter : float
        Probability at which a new label is taken, ``exit <= enter <= 1``.
    exit : float
        Probability below which the current label is given up, ``0 <= exit``.

    Examples
    --------
    >>> probabilities = [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.6, 0.4]]
    >>> HysteresisPolicy(enter=0.7, exit=0.3).smooth([0, 1, 1, 0], probabilities)
    array([0, 0, 1, 1], dtype=int32)
    """

    enter: float = 0.7
    exit: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.exit <= self.enter <= 1:
            raise ValueError(f"0 <= exit <= enter <= 1 must hold, got exit={self.exit!r} and enter={self.enter!r}.")

    def smooth(self, labels: ArrayLike, probabilities: ArrayLike | None = None) -> Labels:
        """Return the labels with uncertain changes left out.

        Parameters
        ----------
        labels : int32, shape (T,) or (B, T)
            One label per step; -1 marks a step to ignore.
        probabilities : float32 or float64, shape (T, K) or (B, T, K)
            Class probabilities of each step; column = label. Rows at -1 steps are not read.

        Returns
        -------
        int32, same shape as `labels`
            The smoothed labels.

        Raises
        ------
        TypeError
            If `labels` are not integers or `probabilities` not floats.
        ValueError
            If `probabilities` are missing, or a shape or a value breaks the rules above.
        """
        checked = check_labels(labels)
        if probabilities is None:
            raise ValueError("HysteresisPolicy weighs probabilities: pass smooth(labels, probabilities).")
        return hysteresis(checked, check_probabilities(probabilities, checked), self.enter, self.exit)

    def stream(self) -> "HysteresisStream":
        """Return the policy for one step at a time: the labels of `smooth`, without delay.

        Returns
        -------
        PolicyStream
            At the beginning of a sequence; every step needs probabilities.
        """
        return HysteresisStream(self.enter, self.exit, optional=False)


class HysteresisStream(PieceStream):
    """Hysteresis step by step. If `optional`, steps without probabilities are followed as they are."""

    def __init__(self, enter: float, leave: float, optional: bool) -> None:
        self._enter, self._leave, self._optional = enter, leave, optional
        super().__init__(delay=0)

    def _begin(self) -> None:
        self._label = -1

    def _take(self, label: int, row: Row | None) -> list[int]:
        if row is None:
            if not self._optional:
                raise ValueError("HysteresisPolicy weighs probabilities: pass step(label, probabilities).")
            self._label = label
        elif self._label < 0 or row[label] >= self._enter or row[self._label] < self._leave:
            self._label = label
        return [self._label]

    def _end(self) -> list[int]:
        return []

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain numbers and lists."""
        return {"label": self._label}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._label = int(state["label"])


def hysteresis(labels: Labels, probabilities: Probabilities, enter: float, leave: float) -> Labels:
    """Smooth checked labels; see `HysteresisPolicy`."""
    runs = find_runs(labels)
    flat = labels.reshape(-1).copy()
    table = probabilities.reshape(flat.size, probabilities.shape[-1])
    state = -1
    for (start, stop, label), follows in zip(runs.spans(), runs.follows, strict=True):
        if not follows or label == state:
            state = label
            continue
        rows = table[start:stop]
        clear = (rows[:, label] >= enter) | (rows[:, state] < leave)
        # Once followed, the label stands to the end of its run.
        change = start + int(clear.argmax()) if clear.any() else stop
        flat[start:change] = state
        if change < stop:
            state = label
    return flat.reshape(labels.shape)
