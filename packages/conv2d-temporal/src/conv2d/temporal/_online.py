"""The hidden semi-Markov model step by step, as the evidence comes in."""

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.temporal._check import check_at_least
from conv2d.temporal._hsmm import HSMM
from conv2d.temporal._inference import survival
from conv2d.temporal._results import ImpossibleSequenceError
from conv2d.temporal._sequences import check_transitions

Float = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class OnlineState:
    """What is known after a step.

    Attributes
    ----------
    filtered : float64, shape (K,)
        Probability of each state at this step, given all steps so far.
    lagged : float64, shape (K,), or None
        Probability of each state `lag` steps ago, given all steps so far; None until that many steps have come.
    log_likelihood : float
        Log probability of all steps so far.
    """

    filtered: Float
    lagged: Float | None
    log_likelihood: float


@dataclass(frozen=True, slots=True, eq=False)
class Anticipation:
    """What comes after the current segment.

    Attributes
    ----------
    probability : float64, shape (K,)
        That the next segment is of the state; sums to 1, less the probability that nothing follows.
    expected_steps : float64, shape (K,)
        Steps until it begins, on average, if it is of the state; 1 is the next step. NaN where it cannot be next.
    """

    probability: Float
    expected_steps: Float


class OnlineHSMM:
    """Filter and fixed-lag smoother of a hidden semi-Markov model.

    Keeps the probability of each state and of how long it has lasted. The current segment is always censored: it
    counts with the probability of lasting at least as long as was seen. So ``filtered`` equals the last row of
    ``HSMM(…, right="censored").posteriors`` on the steps so far, and ``lagged`` the row `lag` steps before.

    Parameters
    ----------
    model : HSMM
        The model; its `left` applies to the first step, its `right` does not matter.
    lag : int
        Steps to wait for more evidence before a smoothed probability is given.

    Notes
    -----
    Memory is O(K·D + lag·K), time per step O(K·(D + K)), and O(lag·K·(D + K)) with a lag.

    References
    ----------
    S.-Z. Yu, "Hidden semi-Markov models", Artificial Intelligence 174(2), 2010.

    Examples
    --------
    >>> from conv2d.temporal import HSMM, OnlineHSMM, durations
    >>> with np.errstate(divide="ignore"):
    ...     transition = np.log([[0.0, 1.0], [1.0, 0.0]])
    >>> model = HSMM(np.log([0.5, 0.5]), transition, [durations.Poisson(4.0), durations.Poisson(2.0)])
    >>> online = OnlineHSMM(model)
    >>> evidence = np.log([[0.8, 0.2], [0.7, 0.3], [0.4, 0.6]])
    >>> [online.step(row).filtered.round(2).tolist() for row in evidence]
    [[0.8, 0.2], [0.91, 0.09], [0.82, 0.18]]
    >>> online.remaining().sum(axis=1).round(2)
    array([0.82, 0.18])
    """

    def __init__(self, model: HSMM, lag: int = 0) -> None:
        check_at_least("lag", lag, 0)
        self.model = model
        self.lag = lag
        # A plain Markov chain does not remember how long a state has lasted: it has one age, and stays at that.
        ages = model.log_duration if model.markov is None else np.zeros((model.n_states, 1))
        lasting = survival(ages)
        with np.errstate(invalid="ignore", divide="ignore"):
            # Of ending after a step, and of going on, given that the segment has lasted so long.
            self._log_end = np.where(np.isneginf(lasting), -np.inf, ages - lasting)
            self._log_go_on = np.where(np.isneginf(lasting[:, 1:]), -np.inf, lasting[:, 1:] - lasting[:, :-1])
        self._log_stay = np.full(model.n_states, -np.inf)
        if model.markov is not None:
            self._log_stay, self._log_end = model.markov.stay, model.markov.leave[:, None]
        self._log_survival = lasting
        self._log_age: Float | None = None
        self._late_log_age: Float | None = None
        self._recent: deque[tuple[Float, Float]] = deque(maxlen=lag + 1)
        self._log_likelihood = 0.0
        self._steps = 0

    def step(self, log_likelihood: ArrayLike | None, log_transition: ArrayLike | None = None) -> OnlineState:
        """Take one step of evidence.

        Parameters
        ----------
        log_likelihood : float64 or float32, shape (K,), or None
            Log-likelihood of the step under each state; None where the step is missing.
        log_transition : float64 or float32, shape (K, K), optional
            Transitions into a segment that begins at this step, in place of the model's.

        Returns
        -------
        OnlineState
            The filtered and, with a lag, the smoothed probabilities.

        Raises
        ------
        ImpossibleSequenceError
            If the steps so far are impossible under the model. The step is not taken.
        TypeError, ValueError
            If the row is not as described, or holds NaN or +inf.
        """
        states = self.model.n_states
        transition = self.model.log_transition
        if log_transition is not None:
            transition = check_transitions(log_transition, (states, states)).astype(np.float64)
        row = self._row(log_likelihood)
        log_age, log_total = self._advance(self._log_age, row, transition)
        if log_total == -np.inf:
            raise ImpossibleSequenceError(
                f"Step {self._steps} is impossible under the model after the steps before it: every segmentation holds "
                "a step, transition or duration of probability 0."
            )
        self._log_age = log_age
        self._log_likelihood += log_total
        self._steps += 1
        self._recent.append((row, transition))
        filtered = np.exp(np.logaddexp.reduce(log_age, axis=1))
        lagged = filtered if self.lag == 0 else self._lagged()
        return OnlineState(filtered, lagged, self._log_likelihood)

    def remaining(self) -> Float:
        """Return the joint probability of the state and of how many more steps it lasts.

        Returns
        -------
        float64, shape (K, D)
            Column r: that the current state is the row's and lasts r more steps after this one; sums to 1 over all.

        Raises
        ------
        RuntimeError
            If no step was taken yet.
        """
        if self._log_age is None:
            raise RuntimeError("remaining() tells of the step taken last: call step() first.")
        pmf = np.exp(self.model.log_duration)
        if self.model.markov is not None:
            return np.exp(self._log_age) * pmf
        lasting = self._log_survival
        possible = ~np.isneginf(lasting)
        weight = np.exp(np.where(possible, self._log_age - np.where(possible, lasting, 0.0), -np.inf))
        longest = pmf.shape[1]
        return np.stack([(weight[:, : longest - r] * pmf[:, r:]).sum(axis=1) for r in range(longest)], axis=1)

    def anticipate(self) -> Anticipation:
        """Return what comes after the current segment, and when.

        Returns
        -------
        Anticipation
            Probability of each next state, and the steps until it begins.

        Raises
        ------
        RuntimeError
            If no step was taken yet.

        Examples
        --------
        >>> swap = np.array([[-np.inf, 0.0], [0.0, -np.inf]])
        >>> online = OnlineHSMM(HSMM(np.array([0.0, -np.inf]), swap, np.log([[0.5, 0.5]] * 2)))
        >>> _ = online.step(np.zeros(2))
        >>> online.anticipate().probability, online.anticipate().expected_steps
        (array([0., 1.]), array([nan, 1.5]))
        """
        remaining = self.remaining()
        joint = remaining.sum(axis=1)[:, None] * np.exp(self.model.log_transition)
        waits = remaining @ np.arange(1.0, remaining.shape[1] + 1)
        expected = waits @ np.exp(self.model.log_transition)
        probability = joint.sum(axis=0)
        steps = np.divide(expected, probability, out=np.full_like(expected, np.nan), where=probability > 0)
        return Anticipation(probability, steps)

    def state_dict(self) -> dict[str, Any]:
        """Return what was learnt from the steps so far, as plain numbers and lists that JSON can hold.

        Returns
        -------
        dict
            For `load_state_dict` of another `OnlineHSMM` with the same model and lag.
        """
        return {
            "steps": self._steps,
            "log_likelihood": self._log_likelihood,
            "log_age": _to_lists(self._log_age),
            "late_log_age": _to_lists(self._late_log_age),
            "recent": [[_to_lists(row), _to_lists(transition)] for row, transition in self._recent],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the state of another `OnlineHSMM` with the same model and lag.

        Parameters
        ----------
        state : dict
            From `state_dict`.

        Raises
        ------
        ValueError
            If the state belongs to a model of another size.
        """
        log_age = _from_lists(state["log_age"])
        if log_age is not None and log_age.shape != self._log_end.shape:
            raise ValueError(
                f"The state is of a model with (K, D) = {log_age.shape}, but this one has {self._log_end.shape}."
            )
        self._steps, self._log_likelihood = int(state["steps"]), float(state["log_likelihood"])
        self._log_age, self._late_log_age = log_age, _from_lists(state["late_log_age"])
        recent = [(_from_lists(row), _from_lists(transition)) for row, transition in state["recent"]]
        self._recent = deque(
            ((row, transition) for row, transition in recent if row is not None and transition is not None),
            maxlen=self.lag + 1,
        )

    def _row(self, log_likelihood: ArrayLike | None) -> Float:
        if log_likelihood is None:
            return np.zeros(self.model.n_states)
        row = np.asarray(log_likelihood)
        if row.dtype.name not in ("float32", "float64"):
            raise TypeError(f"log_likelihood must be float64 or float32, got dtype {row.dtype}.")
        if row.shape != (self.model.n_states,):
            raise ValueError(f"log_likelihood must have shape ({self.model.n_states},), got {row.shape}.")
        if not (row < np.inf).all():
            raise ValueError("log_likelihood holds NaN or +inf. A missing step is None, an impossible state -inf.")
        return row.astype(np.float64)

    def _advance(self, log_age: Float | None, row: Float, log_transition: Float) -> tuple[Float, float]:
        """Return the log probabilities (K, D) of state and steps lasted, and of the row given those before it."""
        model = self.model
        ahead = np.full(self._log_end.shape, -np.inf)
        if log_age is None:
            if model.left == "exact" or model.markov is not None:
                ahead[:, 0] = model.log_initial
            else:
                # Met at a random moment, a segment has lasted a steps in proportion to the probability of lasting a.
                mean = np.logaddexp.reduce(self._log_survival, axis=1, keepdims=True)
                ahead = model.log_initial[:, None] + self._log_survival - mean
        else:
            ended = np.logaddexp.reduce(log_age + self._log_end, axis=1)
            ahead[:, 1:] = log_age[:, :-1] + self._log_go_on
            ahead[:, -1] = np.logaddexp(ahead[:, -1], log_age[:, -1] + self._log_stay)
            begun = np.logaddexp.reduce(ended[:, None] + log_transition, axis=0)
            ahead[:, 0] = np.logaddexp(ahead[:, 0], begun)
        ahead = ahead + row[:, None]
        total = float(np.logaddexp.reduce(ahead, axis=None))
        return (ahead - total if total > -np.inf else ahead), total

    def _lagged(self) -> Float | None:
        """Return the probabilities of the states `lag` steps ago, or None."""
        if len(self._recent) <= self.lag:
            return None
        recent = list(self._recent)
        self._late_log_age, _ = self._advance(self._late_log_age, *recent[0])
        # Weight of the later rows, for each state and number of steps lasted.
        later = np.zeros(self._log_end.shape)
        for row, log_transition in recent[:0:-1]:
            begun = row + later[:, 0]
            after_end = np.logaddexp.reduce(log_transition + begun, axis=1)
            before = self._log_end + after_end[:, None]
            before[:, :-1] = np.logaddexp(before[:, :-1], self._log_go_on + row[:, None] + later[:, 1:])
            before[:, -1] = np.logaddexp(before[:, -1], self._log_stay + row + later[:, -1])
            later = before
        joint = np.logaddexp.reduce(self._late_log_age + later, axis=1)
        return np.exp(joint - np.logaddexp.reduce(joint))


def _to_lists(array: Float | None) -> list[Any] | None:
    # JSON has no infinity: None stands for it.
    if array is None:
        return None
    return [_to_lists(row) if row.ndim else (None if np.isneginf(row) else float(row)) for row in array]


def _from_lists(lists: list[Any] | None) -> Float | None:
    if lists is None:
        return None
    array = np.array(lists, dtype=np.float64)  # None becomes NaN
    return np.where(np.isnan(array), -np.inf, array)
