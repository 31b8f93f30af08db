"""Learning a hidden semi-Markov model: from labelled sequences, or from evidence alone."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.temporal._check import check_at_least, check_labels
from conv2d.temporal._fit import FAMILIES, Family, fit_durations, log_normalised, share_out, without_longest
from conv2d.temporal._hsmm import HSMM
from conv2d.temporal._results import ExpectedCounts
from conv2d.temporal._runs import find_runs
from conv2d.temporal.emissions import Emission

Float = NDArray[np.float64]
Known = NDArray[np.bool_]


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
    emission : Emission or None
        The emission after the last iteration, where one was fitted.
    """

    model: HSMM
    log_likelihood: tuple[float, ...]
    converged: bool
    emission: Emission | None = None

    @property
    def iterations(self) -> int:
        """Times that the parameters were estimated."""
        return len(self.log_likelihood) - 1


def fit_supervised(
    labels: ArrayLike,
    n_states: int,
    family: Family = "negative_binomial",
    max_duration: int | None = None,
    transition_prior: ArrayLike = 0.1,
    duration_prior: ArrayLike = 1.0,
    sticky: int = 0,
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
    transition_prior : float, or shape (K, K)
        Pseudo-count of every possible transition (Dirichlet prior), not negative; first states have its mean.
    duration_prior : float, or shape (K, D)
        Pseudo-segments per state, spread evenly over 1..D, or as given. A state that was never seen has only these.
    sticky : int
        Prior for staying: every state has been seen once for this many steps and more; below D. For geometric durations
        these are pseudo-counts of the self-transition.

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
    _check_family(family)
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
    priors = _read_priors(transition_prior, duration_prior, sticky, n_states, max_duration)
    transitions = np.zeros((n_states, n_states))
    np.add.at(transitions, (runs.label[:-1][follows[1:]], runs.label[1:][follows[1:]]), 1.0)
    initial = np.bincount(runs.label[real & ~follows], minlength=n_states).astype(np.float64)
    complete, unfinished = np.zeros((n_states, max_duration)), np.zeros((n_states, max_duration))
    for counted, which in ((complete, follows & leads), (unfinished, follows & ~leads)):
        np.add.at(counted, (runs.label[which], runs.length[which] - 1), 1.0)
    durations = fit_durations(complete + priors.durations, unfinished + priors.unfinished, family)
    if family == "geometric":
        durations = without_longest(durations)
    log_initial, log_transition = _with_prior(
        initial, transitions, priors.transitions, ~np.eye(n_states, dtype=np.bool_)
    )
    return HSMM(log_initial, log_transition, durations, left="censored")


def fit(
    model: HSMM,
    data: ArrayLike,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    family: Family = "categorical",
    transition_prior: ArrayLike = 0.1,
    duration_prior: ArrayLike = 1.0,
    sticky: int = 0,
    max_iterations: int = 50,
    tolerance: float = 1e-6,
    n_threads: int = 1,
    emission: Emission | None = None,
) -> Fit:
    """Return `model` fitted to sequences by the EM algorithm, with Dirichlet priors.

    First states, transitions and durations are learnt, and the emission where one is given; without one, the data are
    log-likelihoods and stay as they are. Transitions of probability 0 stay impossible. Last segments cut off by right
    censoring are shared out over the longer durations.

    Parameters
    ----------
    model : HSMM
        Where to begin.
    data : float, shape (T, K) or (B, T, K), or observations
        Log-likelihoods, as for `HSMM.posteriors`; or with an emission what that explains, of shape (T, …) or (B, T, …).
    lengths, mask
        As for `HSMM.posteriors`.
    family : {"categorical", "negative_binomial", "poisson", "geometric", "log_normal", "gamma"}
        Family of all durations. "categorical" makes every iteration raise the penalised likelihood; the others are
        fitted by their moments and need not.
    transition_prior, duration_prior, sticky
        As for `fit_supervised`.
    max_iterations : int
        Iterations at most.
    tolerance : float
        The fit has converged when the log-likelihood per step changes by less.
    n_threads : int
        Sequences worked on at once.
    emission : Emission, optional
        Of `conv2d.temporal.emissions`: where to begin, for models learnt from observations without labels.

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
    _check_family(family)
    possible = model.log_transition > -np.inf
    observed = np.asarray(data)
    known = None if emission is None else _known(observed, emission.event_ndim, lengths, mask)
    totals: list[float] = []
    converged = False
    while True:
        evidence = observed if emission is None or known is None else _explained(emission, observed, known)
        if converged or len(totals) == max_iterations:
            totals.append(float(np.sum(model.log_likelihood(evidence, lengths, mask, n_threads))))
            return Fit(model, tuple(totals), converged, emission)
        counted = model.expected_counts(evidence, lengths, mask, n_threads)
        totals.append(float(counted.log_likelihood.sum()))
        if emission is not None and known is not None:
            state = model.posteriors(evidence, lengths, mask, n_threads).state
            emission = emission.estimate(observed[known], state[known])
        model = _estimated(model, counted, family, (transition_prior, duration_prior, sticky), possible)
        steps = int(np.sum(lengths)) if lengths is not None else int(np.prod(evidence.shape[:-1]))
        converged = len(totals) > 1 and abs(totals[-1] - totals[-2]) < tolerance * steps


def _known(observed: NDArray[np.generic], event_ndim: int, lengths: ArrayLike | None, mask: ArrayLike | None) -> Known:
    """Return which steps are in the sequences and were seen."""
    shape = observed.shape[: observed.ndim - event_ndim]
    if len(shape) not in (1, 2):
        raise ValueError(
            f"data must be observations of shape (T, …) or (B, T, …), each with {event_ndim} axes; got {observed.shape}."
        )
    known: Known = np.ones(shape, dtype=np.bool_)
    if mask is not None:
        known[~np.asarray(mask, dtype=np.bool_)] = False
    if lengths is not None:
        steps = np.asarray(lengths, dtype=np.intp)
        known[np.arange(shape[-1]) >= steps[:, None]] = False
    if not known.any():
        raise ValueError("mask leaves no step to learn from.")
    return known


def _explained(emission: Emission, observed: NDArray[np.generic], known: Known) -> Float:
    """Return the log-likelihoods; 0 at steps that are not known."""
    rows = emission.log_likelihood(observed[known])
    evidence = np.zeros((*known.shape, rows.shape[-1]))
    evidence[known] = rows
    return evidence


def _estimated(
    model: HSMM,
    counted: ExpectedCounts,
    family: Family,
    priors: tuple[ArrayLike, ArrayLike, int],
    possible: NDArray[np.bool_],
) -> HSMM:
    states, longest = model.n_states, model.max_duration
    prior = _read_priors(*priors, states, longest)
    complete = counted.durations.reshape(-1, states, longest).sum(axis=0)
    unfinished = counted.unfinished.reshape(-1, states, longest).sum(axis=0) + prior.unfinished
    shared = np.stack([share_out(*rows) for rows in zip(complete, unfinished, model.log_duration, strict=True)])
    log_initial, log_transition = _with_prior(
        counted.initial.reshape(-1, states).sum(axis=0),
        counted.transitions.reshape(-1, states, states).sum(axis=0),
        prior.transitions,
        possible,
    )
    durations = fit_durations(shared + prior.durations, np.zeros_like(shared), family)
    return HSMM(log_initial, log_transition, durations, model.right, model.left)


def _with_prior(initial: Float, transitions: Float, prior: Float, possible: Known) -> tuple[Float, Float]:
    """Return log probabilities of first states and transitions from counts and pseudo-counts (K, K)."""
    first = initial + prior.mean()
    # Without any count or prior, all are as likely.
    first = first if first.sum() > 0 else np.ones_like(initial)
    seen = transitions + prior * possible
    seen = np.where(seen.sum(axis=1, keepdims=True) > 0, seen, possible)
    return log_normalised(first), log_normalised(seen)


class _Priors(NamedTuple):
    """Pseudo-counts: transitions (K, K), complete and unfinished segments (K, D)."""

    transitions: Float
    durations: Float
    unfinished: Float


def _read_priors(
    transition_prior: ArrayLike, duration_prior: ArrayLike, sticky: int, n_states: int, longest: int
) -> _Priors:
    found: list[Float] = []
    for name, value, shape in (
        ("transition_prior", transition_prior, (n_states, n_states)),
        ("duration_prior", duration_prior, (n_states, longest)),
    ):
        array = np.asarray(value, dtype=np.float64)
        if array.shape not in ((), shape) or not (np.isfinite(array).all() and (array >= 0).all()):
            raise ValueError(f"{name} must be a finite count of at least 0, or counts of shape {shape}; got {value!r}.")
        found.append(np.broadcast_to(array, shape))
    transitions, durations = found
    if not durations.sum(axis=1).all():
        raise ValueError("duration_prior must be positive: a state that was never seen to end has no durations else.")
    if np.ndim(duration_prior) == 0:
        durations = durations / longest
    check_at_least("sticky", sticky, 0)
    if sticky >= longest:
        raise ValueError(f"sticky={sticky} must be below the longest duration, {longest}.")
    unfinished = np.zeros((n_states, longest))
    if sticky:
        unfinished[:, sticky] = 1.0
    return _Priors(transitions, durations, unfinished)


def _check_family(family: str) -> None:
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {FAMILIES}, got {family!r}.")
