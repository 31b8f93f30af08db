"""Smoothing by the hidden semi-Markov model, as a policy."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.temporal._check import Labels, check_labels, check_probabilities
from conv2d.temporal._hsmm import HSMM
from conv2d.temporal._online import OnlineHSMM
from conv2d.temporal._results import ImpossibleSequenceError
from conv2d.temporal._runs import find_runs
from conv2d.temporal._stream import PieceStream, Row

# A classifier's 0 is a rounded small number: one such step must not rule a state out.
_FLOOR = 1e-6


@dataclass(frozen=True, eq=False)
class HSMMPolicy:
    """Label each piece by a hidden semi-Markov model.

    A classifier's probability p(label | data) becomes evidence for the model as ``weight * log(p / prior)``: by Bayes'
    rule p(data | label) is in proportion to it, where `prior` are the class frequencies of the classifier's training
    data [1]_.

    Parameters
    ----------
    model : HSMM
        One state per label.
    prior : sequence of float, length K
        Class frequencies that the classifier was trained on; positive, sum 1. Equal ones if it was trained on
        balanced classes.
    weight : float
        How much one step counts, positive. Overlapping windows and neighbouring steps repeat each other's errors;
        below 1, evidence of many steps is not taken for more than it is.
    decide : {"path", "state"}
        "path": the most probable segmentation. "state": the most probable state of each step, which is right for more
        steps, but may jump in ways that no segmentation does.

    Notes
    -----
    The promises of `SmoothingPolicy` hold: -1 steps stay and cut the sequence; only labels of the piece are used; a
    piece that the model would cut into more runs than it had, or cannot explain with the labels it has, is returned as
    it came. The policy looks ahead.

    References
    ----------
    .. [1] H. Bourlard, N. Morgan, "Connectionist speech recognition: a hybrid approach", Kluwer, 1994.

    Examples
    --------
    >>> from conv2d.temporal import HSMM, HSMMPolicy, durations
    >>> with np.errstate(divide="ignore"):
    ...     transition = np.log([[0.0, 1.0], [1.0, 0.0]])
    >>> model = HSMM(np.log([0.5, 0.5]), transition, [durations.Poisson(4.0), durations.Poisson(4.0)])
    >>> p = np.array([0.9, 0.8, 0.4, 0.9, 0.8, 0.2, 0.1, 0.2, 0.1])
    >>> HSMMPolicy(model, prior=(0.5, 0.5)).smooth((p < 0.5).astype(np.int32), np.stack([p, 1 - p], axis=1))
    array([0, 0, 0, 0, 0, 1, 1, 1, 1], dtype=int32)
    """

    model: HSMM
    prior: tuple[float, ...]
    weight: float = 1.0
    decide: Literal["path", "state"] = "path"

    def __post_init__(self) -> None:
        prior = np.asarray(self.prior, dtype=np.float64)
        if prior.shape != (self.model.n_states,) or not (prior > 0).all() or abs(prior.sum() - 1) > _FLOOR:
            raise ValueError(
                f"prior must hold {self.model.n_states} positive class frequencies that sum to 1, one per state of the "
                f"model; got {self.prior!r}."
            )
        if not (np.isfinite(self.weight) and self.weight > 0):
            raise ValueError(f"weight must be positive and finite, got {self.weight!r}.")
        if self.decide not in ("path", "state"):
            raise ValueError(f'decide must be "path" or "state", got {self.decide!r}.')

    def smooth(self, labels: ArrayLike, probabilities: ArrayLike | None = None) -> Labels:
        """Return the labels of every piece under the model.

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
            raise ValueError("HSMMPolicy weighs probabilities: pass smooth(labels, probabilities).")
        table = check_probabilities(probabilities, checked)
        states = self.model.n_states
        if table.shape[-1] != states:
            raise ValueError(f"probabilities have K={table.shape[-1]} columns, but the model has {states} states.")
        runs = find_runs(checked)
        flat, rows = checked.reshape(-1).copy(), table.reshape(-1, states)
        opens = np.flatnonzero((runs.label >= 0) & ~runs.follows)
        for first, stop in zip(opens, np.append(opens[1:], runs.label.size), strict=True):
            known = int(np.count_nonzero(runs.label[first:stop] >= 0))
            begin, last = int(runs.start[first]), first + known - 1
            piece = slice(begin, int(runs.start[last] + runs.length[last]))
            flat[piece] = self._decode(flat[piece], rows[piece])
        return flat.reshape(checked.shape)

    def stream(self, lag: int = 0) -> "HSMMStream":
        """Return the model step by step: the most probable state of each step, given the `lag` steps after it.

        Unlike `smooth`, which finds the most probable segmentation of a whole piece, the stream cannot know which
        labels the piece will hold: it may give any state of the model.

        Parameters
        ----------
        lag : int
            Steps to wait.

        Returns
        -------
        PolicyStream
            At the beginning of a sequence; every step needs probabilities.
        """
        return HSMMStream(self, lag)

    def _decode(self, labels: Labels, probabilities: NDArray[np.floating]) -> Labels:
        evidence = self.evidence(probabilities)
        absent = np.ones(self.model.n_states, dtype=np.bool_)
        absent[labels] = False
        evidence[:, absent] = -np.inf
        try:
            if self.decide == "path":
                path = self.model.viterbi(evidence).path
            else:
                path = self.model.posteriors(evidence).state.argmax(axis=1).astype(np.int32)
        except ImpossibleSequenceError:
            return labels
        before, after = (np.count_nonzero(row[1:] != row[:-1]) for row in (labels, path))
        return path if after <= before else labels

    def evidence(self, probabilities: ArrayLike) -> NDArray[np.float64]:
        """Return the evidence that the model weighs.

        Parameters
        ----------
        probabilities : float32 or float64, shape (…, K)
            Class probabilities.

        Returns
        -------
        float64, same shape
            ``weight * log(p / prior)``, for `HSMM.posteriors` or `OnlineHSMM.step`.
        """
        table = np.asarray(probabilities, dtype=np.float64)
        return self.weight * (np.log(np.maximum(table, _FLOOR)) - np.log(np.asarray(self.prior)))


class HSMMStream(PieceStream):
    """The fixed-lag smoother of the model as a stream of labels."""

    def __init__(self, policy: HSMMPolicy, lag: int) -> None:
        self._policy = policy
        super().__init__(lag)

    def _begin(self) -> None:
        self._online = OnlineHSMM(self._policy.model, self._delay)
        self._taken = 0

    def _take(self, label: int, row: Row | None) -> list[int]:
        if row is None:
            raise ValueError("HSMMPolicy weighs probabilities: pass step(label, probabilities).")
        self._taken += 1
        return self._advance(self._policy.evidence(row))

    def _end(self) -> list[int]:
        # Steps that nobody saw change nothing, and push the last ones through the lag.
        held = min(self._taken, self._delay)
        unseen = [self._advance(None) for _ in range(self._delay if held else 0)]
        return [label for labels in unseen for label in labels][-held:] if held else []

    def _advance(self, evidence: NDArray[np.float64] | None) -> list[int]:
        lagged = self._online.step(evidence).lagged
        return [] if lagged is None else [int(lagged.argmax())]

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain numbers and lists."""
        return {"taken": self._taken, "online": self._online.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._begin()
        self._taken = int(state["taken"])
        self._online.load_state_dict(state["online"])
