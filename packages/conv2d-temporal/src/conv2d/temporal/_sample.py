"""Sequences drawn from a hidden semi-Markov model, and the probability of a given one."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.temporal._check import Labels, check_at_least
from conv2d.temporal._hsmm import HSMM


def sample(model: HSMM, n_steps: int, seed: int) -> Labels:
    """Draw a state sequence; its last segment is cut off where the sequence ends.

    Parameters
    ----------
    model : HSMM
        The model. Its `left` says how the sequence begins.
    n_steps : int
        Steps to draw.
    seed : int
        Seed of the random numbers; the same seed gives the same sequence.

    Returns
    -------
    int32, shape (T,)
        State of each step.

    Raises
    ------
    ValueError
        If a state is left that nothing can follow, before the sequence is full.

    Examples
    --------
    >>> from conv2d.temporal import HSMM, durations, sample
    >>> with np.errstate(divide="ignore"):
    ...     transition = np.log([[0.0, 1.0], [1.0, 0.0]])
    >>> model = HSMM(np.log([0.5, 0.5]), transition, [durations.Categorical((0.0, 0.0, 1.0))] * 2)
    >>> sample(model, n_steps=7, seed=0)
    array([1, 1, 1, 0, 0, 0, 1], dtype=int32)
    """
    check_at_least("n_steps", n_steps, 1)
    rng = np.random.default_rng(seed)
    labels = np.empty(n_steps, dtype=np.int32)
    first, lasting = model.border_durations()[0], model.log_duration
    state = _draw(rng, model.log_initial)
    at = 0
    while True:
        stop = min(n_steps, at + 1 + _draw(rng, (lasting if at else first)[state]))
        labels[at:stop] = state
        at = stop
        if at == n_steps:
            return labels
        if not np.any(model.log_transition[state] > -np.inf):
            raise ValueError(f"State {state} ended at step {at} of {n_steps}, and no state can follow it.")
        state = _draw(rng, model.log_transition[state])


def score(
    model: HSMM, log_likelihood: ArrayLike, lengths: ArrayLike | None = None, mask: ArrayLike | None = None
) -> float:
    """Return the log probability of all sequences together, per step: comparable between models and data sets.

    Parameters
    ----------
    model : HSMM
        The model.
    log_likelihood, lengths, mask
        As for `HSMM.posteriors`.

    Returns
    -------
    float
        The sum of the log probabilities divided by the number of steps.

    Raises
    ------
    ImpossibleSequenceError
        If a sequence is impossible under the model.
    TypeError, ValueError
        If the input is not as described.

    Examples
    --------
    >>> from conv2d.temporal import HSMM, score
    >>> model = HSMM(np.log([1.0]), np.array([[-np.inf]]), np.log([[0.5, 0.5]]))
    >>> score(model, np.array([[-1.0], [-1.0]]))  # ln 0.5 for lasting two steps, and the evidence
    -1.3465735902799727
    """
    total = np.sum(model.log_likelihood(log_likelihood, lengths, mask))
    steps = np.sum(lengths) if lengths is not None else np.prod(np.shape(log_likelihood)[:-1])
    return float(total / steps)


def _draw(rng: np.random.Generator, log_probability: NDArray[np.float64]) -> int:
    return int(rng.choice(log_probability.size, p=_exact(np.exp(log_probability))))


def _exact(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make rounding of the sum no matter."""
    return probability / probability.sum()
