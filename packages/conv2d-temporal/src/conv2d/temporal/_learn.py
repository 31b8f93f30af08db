"""Learning a hidden semi-Markov model: from labelled sequences, or from evidence alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.temporal._check import check_at_least, check_labels
from conv2d.temporal._fit import FAMILIES, Family, fit_durations, log_normalised, share_out
from conv2d.temporal._hsmm import HSMM
from conv2d.temporal._runs import find_runs

Float = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A fitted model and how the fit went.

    Attributes
    ----------
    model : HSMM
        The model after the last iteration.
    log_likelihood : tuple of float
        Log probability of all sequences together, before each iteration and after the last.
    converged : bool
        Whether the last iteration gained less than the tolerance.
    """

    model: HSMM
    log_likelihood: tuple[float, ...]
    converged: bool


def fit_supervised(
    labels: ArrayLike,
    n_states: int,
    family: Family = "negative_binomial",
    max_duration: int | None = None,
    transition_prior: float = 0.1,
    duration_prior: float = 1.0,
) -> HSMM:
    """Return the model of labelled sequences; its sequences are censored on both sides.

    The first and the last run of a piece (a stretch between -1 steps) were cut off by its border. The last counts as
    lasting at least as long as was seen. The first counts for the transition out of it and for the state met first,
    not for durations: how long it had lasted is unknown.

    Parameters
    ----------
    labels : int32, shape (T,) or (B, T)
        State of each step, 0..K-1; -1 for a step to ignore.
    n_states : int
        K.
    family : {"negative_binomial", "categorical", "poisson", "geometric", "log_normal", "gamma"}
        Family of all durations, fitted by its moments.
    max_duration : int, optional
        D; by default twice the longest run.
    transition_prior : float
        Pseudo-count of every possible transition and first state (Dirichlet prior), not negative.
    duration_prior : float
        Pseudo-segments per state, spread evenly over 1..D. A state that was never seen has only these.

    Returns
    -------
    HSMM
        With ``left="censored"`` and ``right="censored"``.

    Raises
    ------
    ValueError
        If a label is not below `n_states`, a run is longer than `max_duration`, or another argument is out of range.

    References
    ----------
    Y. Guédon, "Estimating hidden semi-Markov chains from discrete sequences", J. Computational and Graphical
    Statistics 12(3), 2003.

    Examples
    --------
    >>> labels = np.repeat([0, 1, 0, 1, 0], [9, 4, 10, 5, 7])
    >>> model = fit_supervised(labels, n_states=2, family="categorical", duration_prior=0.2)
    >>> np.exp(model.log_duration[1, 2:6]).round(2)
    array([0.  , 0.46, 0.46, 0.  ])
    """
    checked = check_labels(labels)
    check_at_least("n_states", n_states, 1)
    _check_priors(transition_prior, duration_prior)
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {FAMILIES}, got {family!r}.")
    if checked.max(initial=-1) >= n_states:
        raise ValueError(f"labels must be below n_states={n_states}, got {checked.max()}.")
    runs = find_runs(checked)
    if not (runs.label >= 0).any():
        raise ValueError("labels hold no step other than -1: there is nothing to fit.")
    real = runs.label >= 0
    longest = int(runs.length[real].max())
    if max_duration is None:
        max_duration = 2 * longest
    check_at_least("max_duration", max_duration, 1)
    if longest > max_duration:
        raise ValueError(f"max_duration={max_duration} is shorter than the longest run of {longest} steps.")
    follows = runs.follows
    leads = np.append(follows[1:], False)
    transitions = np.zeros((n_states, n_states))
    np.add.at(transitions, (runs.label[:-1][follows[1:]], runs.label[1:][follows[1:]]), 1.0)
    initial = np.bincount(runs.label[real & ~follows], minlength=n_states).astype(np.float64)
    complete, unfinished = np.zeros((n_states, max_duration)), np.zeros((n_states, max_duration))
    for counted, which in ((complete, follows & leads), (unfinished, follows & ~leads)):
        np.add.at(counted, (runs.label[which], runs.length[which] - 1), 1.0)
    durations = fit_durations(complete, unfinished, family, duration_prior)
    log_initial, log_transition = _with_prior(initial, transitions, transition_prior, ~np.eye(n_states, dtype=np.bool_))
    return HSMM(log_initial, log_transition, durations, left="censored")


def fit(
    model: HSMM,
    log_likelihood: ArrayLike,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    family: Family = "categorical",
    transition_prior: float = 0.1,
    duration_prior: float = 1.0,
    max_iterations: int = 50,
    tolerance: float = 1e-6,
    n_threads: int = 1,
) -> Fit:
    """Return `model` fitted to sequences of evidence by the EM algorithm, with Dirichlet priors.

    First states, transitions and durations are learnt; the evidence stays as it is. Transitions of probability 0 stay
    impossible. Last segments cut off by right censoring are shared out over the longer durations.

    Parameters
    ----------
    model : HSMM
        Where to begin.
    log_likelihood, lengths, mask, n_threads
        As for `HSMM.posteriors`.
    family : {"categorical", "negative_binomial", "poisson", "geometric", "log_normal", "gamma"}
        Family of all durations. "categorical" makes every iteration raise the penalised likelihood; the others are
        fitted by their moments and need not.
    transition_prior, duration_prior : float
        As for `fit_supervised`.
    max_iterations : int
        Iterations at most.
    tolerance : float
        The fit has converged when the log-likelihood per step changes by less.
    n_threads : int
        Sequences worked on at once.

    Returns
    -------
    Fit
        The fitted model, the log-likelihoods on the way, and whether they converged.

    Raises
    ------
    ImpossibleSequenceError
        If a sequence is impossible under the model.
    TypeError, ValueError
        If an argument is not as described.

    Examples
    --------
    >>> from conv2d.temporal import HSMM, durations
    >>> truth = np.repeat([0, 1, 0, 1, 0, 1], [6, 3, 6, 3, 6, 3])
    >>> evidence = np.log(np.where(np.eye(2)[truth] > 0, 0.9, 0.1))
    >>> with np.errstate(divide="ignore"):
    ...     start = HSMM(np.log([0.5, 0.5]), np.log([[0.0, 1.0], [1.0, 0.0]]), np.log(np.full((2, 10), 0.1)))
    >>> fitted = fit(start, evidence)
    >>> (np.argmax(fitted.model.log_duration, axis=1) + 1).tolist()
    [6, 3]
    """
    check_at_least("max_iterations", max_iterations, 1)
    _check_priors(transition_prior, duration_prior)
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {FAMILIES}, got {family!r}.")
    possible = model.log_transition > -np.inf
    totals: list[float] = []
    shape = np.asarray(log_likelihood).shape
    steps = int(np.sum(lengths)) if lengths is not None else int(np.prod(shape[:-1]))
    for _ in range(max_iterations):
        counted = model.expected_counts(log_likelihood, lengths, mask, n_threads)
        totals.append(float(counted.log_likelihood.sum()))
        if len(totals) > 1 and abs(totals[-1] - totals[-2]) < tolerance * steps:
            return Fit(model, tuple(totals), converged=True)
        states, longest = model.n_states, model.max_duration
        complete = counted.durations.reshape(-1, states, longest).sum(axis=0)
        unfinished = counted.unfinished.reshape(-1, states, longest).sum(axis=0)
        shared = np.stack([share_out(*rows) for rows in zip(complete, unfinished, model.log_duration, strict=True)])
        log_initial, log_transition = _with_prior(
            counted.initial.reshape(-1, states).sum(axis=0),
            counted.transitions.reshape(-1, states, states).sum(axis=0),
            transition_prior,
            possible,
        )
        durations = fit_durations(shared, np.zeros_like(shared), family, duration_prior)
        model = HSMM(log_initial, log_transition, durations, model.right, model.left)
    totals.append(float(np.sum(model.log_likelihood(log_likelihood, lengths, mask, n_threads))))
    return Fit(model, tuple(totals), converged=abs(totals[-1] - totals[-2]) < tolerance * steps)


def _with_prior(initial: Float, transitions: Float, prior: float, possible: NDArray[np.bool_]) -> tuple[Float, Float]:
    """Return log probabilities of first states and transitions from counts and pseudo-counts."""
    if initial.sum() + prior * initial.size == 0:
        initial = np.ones_like(initial)
    # Without any count or prior, all possible transitions are as likely.
    seen = transitions + prior * possible
    seen = np.where(seen.sum(axis=1, keepdims=True) > 0, seen, possible)
    return log_normalised(initial + prior), log_normalised(seen)


def _check_priors(transition_prior: float, duration_prior: float) -> None:
    for name, value in (("transition_prior", transition_prior), ("duration_prior", duration_prior)):
        if not (np.isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be a finite count of at least 0, got {value!r}.")
    if duration_prior == 0:
        raise ValueError("duration_prior must be positive: a state that was never seen to end has no durations else.")
