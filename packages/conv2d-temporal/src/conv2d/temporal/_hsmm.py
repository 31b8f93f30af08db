"""Explicit-duration hidden semi-Markov model: exact decoding, smoothing and likelihood."""

from collections.abc import Sequence
from typing import Literal, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.temporal._backend import kernels
from conv2d.temporal._results import ExpectedCounts, ImpossibleSequenceError, Posteriors, Viterbi
from conv2d.temporal.durations import Duration

Float = NDArray[np.float64]
Scalar = TypeVar("Scalar", bound=np.generic)

# Probabilities may miss a sum of 1 by this: rounding in files, not a forgotten normalisation.
_SUM_TOLERANCE = 1e-6
# Steps of a sequence whose K x K transition terms are held in memory at once.
_CHUNK = 4096


class HSMM:
    """Hidden semi-Markov model with explicit durations of 1..D steps.

    The first segment begins at the first step. A segment of state k lasts d steps with probability p(d | k), then
    changes to another state; a state does not follow itself. The model takes log-likelihoods of the data, from any
    classifier or density, so it fits any emission.

    Parameters
    ----------
    log_initial : float64, shape (K,)
        Log probability of the first state.
    log_transition : float64, shape (K, K)
        Log probability of the next state (column) after a segment of the row's state; -inf on the diagonal. A row of
        -inf only is a state that nothing follows.
    log_duration : float64, shape (K, D), or a sequence of K durations
        Column d - 1 holds the log probability of lasting d steps; or one family of `conv2d.temporal.durations` per
        state, in any mixture. Shorter families are padded with -inf.
    right : {"censored", "exact"}
        How a sequence ends. "censored": the last segment is cut off, so it counts with the probability of lasting at
        least as long as was seen [2]_. "exact": it ends with the sequence.

    Attributes
    ----------
    log_initial, log_transition, log_duration : float64
        The parameters, as arrays that cannot be written.
    right : {"censored", "exact"}
        As given.
    n_states : int
        K.
    max_duration : int
        D.

    Raises
    ------
    TypeError
        If a parameter is not a float array.
    ValueError
        If shapes disagree, probabilities do not sum to 1, or a state may follow itself.

    Notes
    -----
    Time is O(T·K·(D + K)), memory O(T·K). Classifier probabilities become log-likelihoods, up to a constant, as
    ``log(probabilities) - log(prior)`` with the class frequencies of the training data. A missing step is a row of
    zeros.

    References
    ----------
    .. [1] S.-Z. Yu, "Hidden semi-Markov models", Artificial Intelligence 174(2), 2010.
    .. [2] Y. Guédon, "Estimating hidden semi-Markov chains from discrete sequences", J. Computational and Graphical
       Statistics 12(3), 2003.

    Examples
    --------
    >>> import numpy as np
    >>> from conv2d.temporal import HSMM, durations
    >>> with np.errstate(divide="ignore"):
    ...     transition = np.log([[0.0, 1.0], [1.0, 0.0]])
    >>> model = HSMM(np.log([0.5, 0.5]), transition, [durations.Poisson(4.0), durations.Poisson(2.0)])
    >>> evidence = np.log([[0.8, 0.2], [0.7, 0.3], [0.4, 0.6], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]])
    >>> model.viterbi(evidence).path
    array([0, 0, 0, 0, 1, 1], dtype=int32)
    >>> model.posteriors(evidence).state[2].round(2)
    array([0.93, 0.07])
    """

    def __init__(
        self,
        log_initial: ArrayLike,
        log_transition: ArrayLike,
        log_duration: ArrayLike | Sequence[Duration],
        right: Literal["censored", "exact"] = "censored",
    ) -> None:
        initial = _parameter("log_initial", log_initial, 1)
        states = initial.size
        transition = _parameter("log_transition", log_transition, 2)
        duration = _duration_table(log_duration)
        if states == 0 or transition.shape != (states, states) or len(duration) != states or duration.shape[1] == 0:
            raise ValueError(
                "log_initial (K,), log_transition (K, K) and log_duration (K, D) must agree in K >= 1, and D >= 1; got "
                f"shapes {initial.shape}, {transition.shape} and {duration.shape}."
            )
        if not np.isneginf(np.diagonal(transition)).all():
            raise ValueError(
                "log_transition must be -inf on its diagonal: how long a state lasts is the matter of log_duration, so "
                "it does not follow itself. Set the diagonal to -inf and normalise each row."
            )
        _check_sums("log_initial", initial[None])
        _check_sums("log_transition", transition[~np.isneginf(transition).all(axis=1)])
        _check_sums("log_duration", duration)
        if right not in ("censored", "exact"):
            raise ValueError(f'right must be "censored" or "exact", got {right!r}.')
        self.log_initial: Float = _frozen(initial)
        self.log_transition: Float = _frozen(transition)
        self.log_duration: Float = _frozen(duration)
        self.right: Literal["censored", "exact"] = right
        # Of the last segment: p(d), or where it is cut off the probability of lasting at least d.
        survival = np.logaddexp.accumulate(duration[:, ::-1], axis=1)[:, ::-1]
        self._log_last = _frozen(np.ascontiguousarray(survival) if right == "censored" else duration)
        self._log_one = _frozen(np.zeros(states))
        self._log_transition_back = _frozen(np.ascontiguousarray(transition.T))

    def __repr__(self) -> str:
        return f"HSMM(n_states={self.n_states}, max_duration={self.max_duration}, right={self.right!r})"

    @property
    def n_states(self) -> int:
        """Number of states K."""
        return self.log_initial.size

    @property
    def max_duration(self) -> int:
        """Longest duration D in steps."""
        return self.log_duration.shape[1]

    def viterbi(self, log_likelihood: ArrayLike, lengths: ArrayLike | None = None) -> Viterbi:
        """Return the most probable segmentation of each sequence.

        Parameters
        ----------
        log_likelihood : float64 or float32, shape (T, K) or (B, T, K)
            Log-likelihood of each step under each state; -inf where impossible.
        lengths : int, shape (B,), optional
            Steps of each sequence of a batch; by default T. What lies beyond is not read.

        Returns
        -------
        Viterbi
            ``path`` int32 (T,) or (B, T), ``score`` float64 () or (B,). Between equal scores the choice is
            deterministic.

        Raises
        ------
        ImpossibleSequenceError
            If no segmentation of a sequence has a positive probability.
        TypeError, ValueError
            If the input is not as described, or holds NaN or +inf.
        """
        batch, counted = self._sequences(log_likelihood, lengths)
        path = np.full(batch.shape[:2], -1, dtype=np.int32)
        score = np.empty(len(batch))
        run = kernels()
        for b, steps in enumerate(counted):
            evidence, offset = _levelled(batch[b, :steps])
            begin, end = run.forward_max(
                self.log_initial, self.log_transition, self.log_duration, self.log_duration, evidence
            )
            path[b, :steps], best = run.backtrace(
                begin, end, self.log_transition, self.log_duration, self._log_last, evidence
            )
            self._check_possible(best, b, steps)
            score[b] = best + offset
        return Viterbi(_like_input(log_likelihood, path), _like_input(log_likelihood, score))

    def posteriors(self, log_likelihood: ArrayLike, lengths: ArrayLike | None = None) -> Posteriors:
        """Return the probabilities of states, segment starts and segment ends at each step, given all steps.

        Parameters
        ----------
        log_likelihood : float64 or float32, shape (T, K) or (B, T, K)
            Log-likelihood of each step under each state; -inf where impossible.
        lengths : int, shape (B,), optional
            Steps of each sequence of a batch; by default T.

        Returns
        -------
        Posteriors
            ``state``, ``start``, ``end`` float64 (T, K) or (B, T, K), ``log_likelihood`` float64 () or (B,).

        Raises
        ------
        ImpossibleSequenceError
            If no segmentation of a sequence has a positive probability.
        TypeError, ValueError
            If the input is not as described, or holds NaN or +inf.
        """
        batch, counted = self._sequences(log_likelihood, lengths)
        state, start, end = (np.zeros(batch.shape) for _ in range(3))
        total = np.empty(len(batch))
        for b, steps in enumerate(counted):
            evidence, offset = _levelled(batch[b, :steps])
            begin_log, end_log, begin_back, end_back, log_total = self._forward_backward(evidence, b)
            start[b, :steps] = np.exp(begin_log + begin_back - log_total)
            end[b, :steps] = np.exp(end_log[1:] + end_back[1:] - log_total)
            # In a state is who came to it and has not left.
            state[b, :steps] = start[b, :steps]
            state[b, 1:steps] -= end[b, : steps - 1]
            np.cumsum(state[b, :steps], axis=0, out=state[b, :steps])
            total[b] = log_total + offset
        np.clip(state, 0.0, 1.0, out=state)
        return Posteriors(*(_like_input(log_likelihood, result) for result in (state, start, end, total)))

    def log_likelihood(self, log_likelihood: ArrayLike, lengths: ArrayLike | None = None) -> Float:
        """Return the log probability of each sequence, summed over all segmentations.

        Parameters
        ----------
        log_likelihood : float64 or float32, shape (T, K) or (B, T, K)
            Log-likelihood of each step under each state; -inf where impossible.
        lengths : int, shape (B,), optional
            Steps of each sequence of a batch; by default T.

        Returns
        -------
        float64, shape () or (B,)
            Log probabilities.

        Raises
        ------
        ImpossibleSequenceError
            If no segmentation of a sequence has a positive probability.
        TypeError, ValueError
            If the input is not as described, or holds NaN or +inf.
        """
        batch, counted = self._sequences(log_likelihood, lengths)
        total = np.empty(len(batch))
        for b, steps in enumerate(counted):
            evidence, offset = _levelled(batch[b, :steps])
            total[b] = self._backward(evidence, b)[2] + offset
        return _like_input(log_likelihood, total)

    def expected_counts(self, log_likelihood: ArrayLike, lengths: ArrayLike | None = None) -> ExpectedCounts:
        """Return the expected numbers of first states, transitions and completed durations of each sequence.

        Parameters
        ----------
        log_likelihood : float64 or float32, shape (T, K) or (B, T, K)
            Log-likelihood of each step under each state; -inf where impossible.
        lengths : int, shape (B,), optional
            Steps of each sequence of a batch; by default T.

        Returns
        -------
        ExpectedCounts
            ``initial`` (K,), ``transitions`` (K, K), ``durations`` (K, D), each after (B,) for a batch.

        Raises
        ------
        ImpossibleSequenceError
            If no segmentation of a sequence has a positive probability.
        TypeError, ValueError
            If the input is not as described, or holds NaN or +inf.
        """
        batch, counted = self._sequences(log_likelihood, lengths)
        shape = (len(batch), self.n_states)
        initial, transitions = np.zeros(shape), np.zeros((*shape, self.n_states))
        durations, total = np.zeros((*shape, self.max_duration)), np.empty(len(batch))
        for b, steps in enumerate(counted):
            evidence, offset = _levelled(batch[b, :steps])
            begin_log, end_log, begin_back, end_back, log_total = self._forward_backward(evidence, b)
            initial[b] = np.exp(begin_log[0] + begin_back[0] - log_total)
            for at in range(1, steps, _CHUNK):
                rows = slice(at, min(at + _CHUNK, steps))
                change = end_log[rows, :, None] + self.log_transition + begin_back[rows, None, :]
                transitions[b] += np.exp(change - log_total).sum(axis=0)
            durations[b] = kernels().counts(begin_log, end_back, self.log_duration, evidence, log_total)
            total[b] = log_total + offset
        results = (initial, transitions, durations, total)
        return ExpectedCounts(*(_like_input(log_likelihood, result) for result in results))

    def _backward(self, evidence: Float, b: int) -> tuple[Float, Float, float]:
        """Return the log weight of what follows a begin (T, K) and an end (T + 1, K), and the log-likelihood.

        Backwards in time an end is a begin: the forward recursion, with the transitions transposed, does it.
        """
        end_back, begin_back = kernels().forward_sum(
            self._log_one,
            self._log_transition_back,
            self._log_last,
            self.log_duration,
            np.ascontiguousarray(evidence[::-1]),
        )
        begin_back = begin_back[:0:-1]
        log_total = float(np.logaddexp.reduce(self.log_initial + begin_back[0]))
        self._check_possible(log_total, b, len(evidence))
        # A segment cut off at the end of the sequence has no end in it.
        last = 0.0 if self.right == "exact" else -np.inf
        end_back = np.concatenate([np.zeros((1, self.n_states)), end_back[::-1]])
        end_back[-1] = last
        return begin_back, end_back, log_total

    def _forward_backward(self, evidence: Float, b: int) -> tuple[Float, Float, Float, Float, float]:
        begin_back, end_back, log_total = self._backward(evidence, b)
        begin, end = kernels().forward_sum(
            self.log_initial, self.log_transition, self.log_duration, self.log_duration, evidence
        )
        return begin, end, begin_back, end_back, log_total

    def _sequences(self, log_likelihood: ArrayLike, lengths: ArrayLike | None) -> tuple[Float, list[int]]:
        """Return the input as a batch (B, T, K), and the steps of each sequence."""
        array = np.asarray(log_likelihood)
        if array.dtype.name not in ("float32", "float64"):
            raise TypeError(f"log_likelihood must be float64 or float32, got dtype {array.dtype}.")
        if array.ndim not in (2, 3) or array.shape[-1] != self.n_states or array.shape[-2] == 0:
            raise ValueError(
                f"log_likelihood must have shape (T, K) or (B, T, K) with K={self.n_states} states and T >= 1, got "
                f"{array.shape}."
            )
        batch = np.ascontiguousarray(array.reshape(-1, *array.shape[-2:]), dtype=np.float64)
        counted = [batch.shape[1]] * len(batch)
        if lengths is not None:
            counted = _checked_lengths(lengths, array.shape)
        for b, steps in enumerate(counted):
            if not (batch[b, :steps] < np.inf).all():
                raise ValueError(
                    f"log_likelihood holds NaN or +inf in sequence {b}. A missing step is a row of zeros, an impossible "
                    "state -inf."
                )
        return batch, counted

    def _check_possible(self, log_total: float, b: int, steps: int) -> None:
        if log_total == -np.inf:
            raise ImpossibleSequenceError(
                f"Sequence {b} of {steps} steps is impossible under the model: every segmentation holds a step, "
                "transition or duration of probability 0. Look for rows of log_likelihood that are -inf throughout, "
                'durations too short or too long for the sequence, and right="exact" where the end was cut off.'
            )


def _parameter(name: str, value: ArrayLike, ndim: int) -> Float:
    array = np.asarray(value)
    if array.dtype.name not in ("float32", "float64"):
        raise TypeError(f"{name} must be a float64 array of log probabilities, got dtype {array.dtype}.")
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension{'s' * (ndim > 1)}, got shape {array.shape}.")
    if not (array < np.inf).all():
        raise ValueError(f"{name} holds NaN or +inf; log probabilities are at most 0, and -inf where impossible.")
    return np.array(array, dtype=np.float64, order="C")


def _duration_table(log_duration: ArrayLike | Sequence[Duration]) -> Float:
    entries = cast("Sequence[object]", log_duration) if isinstance(log_duration, (list, tuple)) else ()
    families = [entry for entry in entries if isinstance(entry, Duration)]
    if families:
        if len(families) < len(entries):
            raise TypeError(
                f"log_duration must be a (K, D) array or one duration family per state, got {len(families)} families "
                f"among {len(entries)} entries."
            )
        rows = [_parameter("log_pmf() of a duration", family.log_pmf(), 1) for family in families]
        table = np.full((len(rows), max(row.size for row in rows)), -np.inf)
        for k, row in enumerate(rows):
            table[k, : row.size] = row
        return table
    return _parameter("log_duration", cast("ArrayLike", log_duration), 2)


def _check_sums(name: str, rows: Float) -> None:
    sums = np.exp(rows).sum(axis=1)
    if rows.size and np.abs(sums - 1).max() > _SUM_TOLERANCE:
        raise ValueError(
            f"{name} must hold the logarithms of probabilities that sum to 1 (in each row), got sums from "
            f"{sums.min():.6g} to {sums.max():.6g}. Subtract the row's logsumexp to normalise."
        )


def _frozen(array: Float) -> Float:
    array.setflags(write=False)
    return array


def _checked_lengths(lengths: ArrayLike, shape: tuple[int, ...]) -> list[int]:
    array = np.asarray(lengths)
    if len(shape) != 3:
        raise ValueError("lengths belong to a batch of shape (B, T, K); cut a single sequence instead.")
    if not np.issubdtype(array.dtype, np.integer) or array.shape != shape[:1]:
        raise ValueError(f"lengths must be integers of shape ({shape[0]},), got {array.dtype} of shape {array.shape}.")
    if array.size and (array.min() < 1 or array.max() > shape[1]):
        raise ValueError(f"lengths must lie in 1..{shape[1]}, got {array.min()} to {array.max()}.")
    return [int(steps) for steps in array]


def _levelled(evidence: Float) -> tuple[Float, float]:
    """Subtract each step's maximum, so that scores stay small and precise over long sequences; return the total."""
    top = evidence.max(axis=1)
    top[np.isneginf(top)] = 0.0
    return evidence - top[:, None], float(top.sum())


def _like_input(log_likelihood: ArrayLike, result: NDArray[Scalar]) -> NDArray[Scalar]:
    """Drop the batch axis of a result where the input had none."""
    return result if np.ndim(log_likelihood) == 3 else np.asarray(result[0])
