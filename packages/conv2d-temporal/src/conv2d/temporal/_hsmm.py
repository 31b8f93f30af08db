"""Explicit-duration hidden semi-Markov model: exact decoding, smoothing and likelihood."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.temporal._chain import Markov
from conv2d.temporal._check import check_at_least
from conv2d.temporal._inference import Tables, count, decode, log_total, smooth, tables
from conv2d.temporal._k_best import k_best
from conv2d.temporal._parameters import check_sums, duration_table, parameter, stay_of
from conv2d.temporal._results import ExpectedCounts, KBest, Posteriors, Viterbi
from conv2d.temporal._sequences import read_batch
from conv2d.temporal.durations import Duration, Geometric, Table

Float = NDArray[np.float64]


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
    left : {"exact", "censored"}
        How a sequence begins. "exact": the first segment begins with it. "censored": the sequence sets in at a random
        moment of a segment under way, so `log_initial` is of the state met, and d more steps of a state are seen with
        probability S(d) / (S(1) + … + S(D)), where S(d) is that of lasting at least d steps.

    Attributes
    ----------
    log_initial, log_transition, log_duration : float64
        The parameters, as arrays that cannot be written.
    right, left : {"censored", "exact"}
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
    Time is O(T·K·(D + K)), memory O(T·K). Where every duration is `durations.Geometric` without `max_duration`, the
    model is a plain Markov chain: its durations have no longest one, and time is O(T·K²); only `expected_counts` and
    `remaining` of the online filter go by `log_duration`, cut where less than 1e-9 is left. Classifier probabilities
    become log-likelihoods, up to a constant, as ``log(probabilities) - log(prior)`` with the class frequencies of the
    training data. A missing step is a row of zeros, or is marked in `mask`.

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
        left: Literal["censored", "exact"] = "exact",
    ) -> None:
        initial = parameter("log_initial", log_initial, 1)
        states = initial.size
        transition = parameter("log_transition", log_transition, 2)
        duration = duration_table(log_duration)
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
        check_sums("log_initial", initial[None])
        check_sums("log_transition", transition[~np.isneginf(transition).all(axis=1)])
        check_sums("log_duration", duration)
        for name, value in (("right", right), ("left", left)):
            if value not in ("censored", "exact"):
                raise ValueError(f'{name} must be "censored" or "exact", got {value!r}.')
        self.right: Literal["censored", "exact"] = right
        self.left: Literal["censored", "exact"] = left
        stay = stay_of(log_duration)
        self._tables: Tables = tables(initial, transition, duration, left, right, stay)
        self.log_initial: Float = initial
        self.log_transition: Float = transition
        self.log_duration: Float = duration

    def __repr__(self) -> str:
        return f"HSMM(n_states={self.n_states}, max_duration={self.max_duration}, right={self.right!r}, left={self.left!r})"

    @property
    def n_states(self) -> int:
        """Number of states K."""
        return self.log_initial.size

    @property
    def max_duration(self) -> int:
        """Longest duration D in steps."""
        return self.log_duration.shape[1]

    def border_durations(self) -> tuple[Float, Float]:
        """Return the log probabilities of the steps seen of a segment at the border of a sequence.

        Returns
        -------
        first, last : float64, shape (K, D)
            Column d - 1: that a first segment is seen for d steps, and that a last one is. Of a last one cut off, the
            probability of lasting at least d.
        """
        return self._tables.forward.first, self._tables.last

    @property
    def durations(self) -> tuple[Duration, ...]:
        """The duration of each state."""
        if self.markov is not None:
            return tuple(Geometric(float(stay)) for stay in np.exp(self.markov.stay))
        return tuple(Table(row) for row in self.log_duration)

    @property
    def markov(self) -> Markov | None:
        """The plain Markov chain that the model is where all durations are geometric without a longest one, or None."""
        return self._tables.markov

    def viterbi(
        self,
        log_likelihood: ArrayLike,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        n_threads: int = 1,
        log_transitions: ArrayLike | None = None,
    ) -> Viterbi:
        """Return the most probable segmentation of each sequence.

        Parameters
        ----------
        log_likelihood : float64 or float32, shape (T, K) or (B, T, K)
            Log-likelihood of each step under each state; -inf where impossible.
        lengths : int, shape (B,), optional
            Steps of each sequence of a batch; by default T. What lies beyond is not read.
        mask : bool, shape (T,) or (B, T), optional
            False where a step is missing: it is taken as a row of zeros, whatever it holds.
        n_threads : int
            Sequences of a batch worked on at once. The kernels release the GIL.
        log_transitions : float64 or float32, shape (T, K, K) or (B, T, K, K), optional
            Transitions that depend on the input, in place of `log_transition`: row t is of a segment that begins at
            step t. The first row does not matter.

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
        batch = read_batch(self._tables, log_likelihood, lengths, mask, log_transitions)
        path = np.full(batch.shape[:2], -1, dtype=np.int32)
        score = np.empty(len(batch))

        def work(b: int) -> None:
            sequence, offset = batch.sequence(b)
            path[b, : batch.steps(b)], best = decode(sequence)
            score[b] = best + offset

        batch.each(work, n_threads)
        return Viterbi(batch.unwrap(path), batch.unwrap(score))

    def k_best(
        self,
        log_likelihood: ArrayLike,
        k: int,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        n_threads: int = 1,
        log_transitions: ArrayLike | None = None,
    ) -> KBest:
        """Return the k most probable segmentations of each sequence, the best first.

        Parameters
        ----------
        log_likelihood : float64 or float32, shape (T, K) or (B, T, K)
            Log-likelihood of each step under each state; -inf where impossible.
        k : int
            How many, at least 1.
        lengths : int, shape (B,), optional
            Steps of each sequence of a batch; by default T. What lies beyond is not read.
        mask : bool, shape (T,) or (B, T), optional
            False where a step is missing: it is taken as a row of zeros, whatever it holds.
        n_threads : int
            Sequences of a batch worked on at once. The kernels release the GIL.
        log_transitions : float64 or float32, shape (T, K, K) or (B, T, K, K), optional
            Transitions that depend on the input, in place of `log_transition`: row t is of a segment that begins at
            step t. The first row does not matter.

        Returns
        -------
        KBest
            ``paths`` int32 (k, T) or (B, k, T), ``scores`` float64 (k,) or (B, k).

        Raises
        ------
        ImpossibleSequenceError
            If no segmentation of a sequence has a positive probability.
        TypeError, ValueError
            If the input is not as described, or holds NaN or +inf.

        Notes
        -----
        Beyond `viterbi`, the time is O(k·S·(D + K)) for paths of S segments.

        Examples
        --------
        >>> model = HSMM(np.log([0.6, 0.4]), np.array([[-np.inf, 0.0], [0.0, -np.inf]]), np.log(np.full((2, 3), 1 / 3)))
        >>> best = model.k_best(np.zeros((3, 2)), k=2)
        >>> best.paths.tolist(), np.exp(best.scores).round(2).tolist()
        ([[0, 0, 0], [0, 0, 1]], [0.2, 0.2])
        """
        check_at_least("k", k, 1)
        batch = read_batch(self._tables, log_likelihood, lengths, mask, log_transitions)
        paths = np.full((len(batch), k, batch.shape[1]), -1, dtype=np.int32)
        scores = np.full((len(batch), k), -np.inf)

        def work(b: int) -> None:
            sequence, offset = batch.sequence(b)
            found, score = k_best(sequence, k)
            paths[b, : len(found), : batch.steps(b)], scores[b, : len(found)] = found, score + offset

        batch.each(work, n_threads)
        return KBest(batch.unwrap(paths), batch.unwrap(scores))

    def posteriors(
        self,
        log_likelihood: ArrayLike,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        n_threads: int = 1,
        log_transitions: ArrayLike | None = None,
    ) -> Posteriors:
        """Return the probabilities of states, segment starts and segment ends at each step, given all steps.

        Parameters
        ----------
        log_likelihood : float64 or float32, shape (T, K) or (B, T, K)
            Log-likelihood of each step under each state; -inf where impossible.
        lengths : int, shape (B,), optional
            Steps of each sequence of a batch; by default T. What lies beyond is not read.
        mask : bool, shape (T,) or (B, T), optional
            False where a step is missing: it is taken as a row of zeros, whatever it holds.
        n_threads : int
            Sequences of a batch worked on at once. The kernels release the GIL.
        log_transitions : float64 or float32, shape (T, K, K) or (B, T, K, K), optional
            Transitions that depend on the input, in place of `log_transition`: row t is of a segment that begins at
            step t. The first row does not matter.

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
        batch = read_batch(self._tables, log_likelihood, lengths, mask, log_transitions)
        total = np.empty(len(batch))
        if len(batch) == 1 and batch.steps(0) == batch.shape[1]:
            # One whole sequence needs no room for a batch.
            sequence, offset = batch.sequence(0)
            found = smooth(sequence)
            total[0] = found.log_total + offset
            state, start, end = found.state[None], found.start[None], found.end[None]
        else:
            state, start, end = (np.zeros(batch.shape) for _ in range(3))

            def work(b: int) -> None:
                sequence, offset = batch.sequence(b)
                found, steps = smooth(sequence), batch.steps(b)
                state[b, :steps], start[b, :steps], end[b, :steps] = found.state, found.start, found.end
                total[b] = found.log_total + offset

            batch.each(work, n_threads)
        return Posteriors(*(batch.unwrap(result) for result in (state, start, end, total)))

    def log_likelihood(
        self,
        log_likelihood: ArrayLike,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        n_threads: int = 1,
        log_transitions: ArrayLike | None = None,
    ) -> Float:
        """Return the log probability of each sequence, summed over all segmentations.

        Parameters
        ----------
        log_likelihood : float64 or float32, shape (T, K) or (B, T, K)
            Log-likelihood of each step under each state; -inf where impossible.
        lengths : int, shape (B,), optional
            Steps of each sequence of a batch; by default T. What lies beyond is not read.
        mask : bool, shape (T,) or (B, T), optional
            False where a step is missing: it is taken as a row of zeros, whatever it holds.
        n_threads : int
            Sequences of a batch worked on at once. The kernels release the GIL.
        log_transitions : float64 or float32, shape (T, K, K) or (B, T, K, K), optional
            Transitions that depend on the input, in place of `log_transition`: row t is of a segment that begins at
            step t. The first row does not matter.

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
        batch = read_batch(self._tables, log_likelihood, lengths, mask, log_transitions)
        total = np.empty(len(batch))

        def work(b: int) -> None:
            sequence, offset = batch.sequence(b)
            total[b] = log_total(sequence) + offset

        batch.each(work, n_threads)
        return batch.unwrap(total)

    def expected_counts(
        self,
        log_likelihood: ArrayLike,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        n_threads: int = 1,
        log_transitions: ArrayLike | None = None,
    ) -> ExpectedCounts:
        """Return the expected numbers of first states, transitions and durations of each sequence.

        Parameters
        ----------
        log_likelihood : float64 or float32, shape (T, K) or (B, T, K)
            Log-likelihood of each step under each state; -inf where impossible.
        lengths : int, shape (B,), optional
            Steps of each sequence of a batch; by default T. What lies beyond is not read.
        mask : bool, shape (T,) or (B, T), optional
            False where a step is missing: it is taken as a row of zeros, whatever it holds.
        n_threads : int
            Sequences of a batch worked on at once. The kernels release the GIL.
        log_transitions : float64 or float32, shape (T, K, K) or (B, T, K, K), optional
            Transitions that depend on the input, in place of `log_transition`: row t is of a segment that begins at
            step t. The first row does not matter.

        Returns
        -------
        ExpectedCounts
            ``initial`` (K,), ``transitions`` (K, K), ``durations`` and ``unfinished`` (K, D), each after (B,) for a
            batch.

        Raises
        ------
        ImpossibleSequenceError
            If no segmentation of a sequence has a positive probability.
        TypeError, ValueError
            If the input is not as described, or holds NaN or +inf.
        """
        batch = read_batch(self._tables, log_likelihood, lengths, mask, log_transitions)
        shape = (len(batch), self.n_states)
        initial, transitions = np.zeros(shape), np.zeros((*shape, self.n_states))
        durations, unfinished = (np.zeros((*shape, self.max_duration)) for _ in range(2))
        total = np.empty(len(batch))

        def work(b: int) -> None:
            sequence, offset = batch.sequence(b)
            found = count(sequence)
            initial[b], transitions[b] = found.initial, found.transitions
            durations[b], unfinished[b] = found.durations, found.unfinished
            total[b] = found.log_total + offset

        batch.each(work, n_threads)
        results = (initial, transitions, durations, unfinished, total)
        return ExpectedCounts(*(batch.unwrap(result) for result in results))
