"""The choice of a smoothing policy by cross-validation over groups: never worse than no smoothing, as far as one sees."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.temporal._check import Labels, check_at_least, check_labels, check_probabilities
from conv2d.temporal._fit import Family
from conv2d.temporal._hsmm import HSMM
from conv2d.temporal._hsmm_policy import HSMMPolicy
from conv2d.temporal._learn import fit_supervised
from conv2d.temporal._policy import Pipeline, SmoothingPolicy

Float = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings of a policy, and how it did on groups that it was not fitted to.

    Attributes
    ----------
    family : str
        Family of all durations.
    prior_power : float
        Power of the class frequencies that probabilities are divided by: 1 is Bayes' rule, 0 leaves them alone.
    weight : float
        How much one step of evidence counts.
    decide : {"path", "state"}
        As of `HSMMPolicy`.
    score : float
        Share of labelled steps that were right.
    """

    family: Family
    prior_power: float
    weight: float
    decide: Literal["path", "state"]
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """The policy chosen, and what it was chosen from.

    Attributes
    ----------
    policy : SmoothingPolicy
        Fitted to all groups; an empty `Pipeline` where smoothing did not pay.
    chosen : Candidate or None
        Its settings; None where smoothing did not pay.
    raw_score : float
        Share of labelled steps that were right without smoothing.
    gain, gain_error : float
        Mean over groups of what the best candidate adds to that share, and its standard error.
    candidates : tuple of Candidate
        All, the best first.
    """

    policy: SmoothingPolicy
    chosen: Candidate | None
    raw_score: float
    gain: float
    gain_error: float
    candidates: tuple[Candidate, ...]


def tune_policy(
    labels: ArrayLike,
    probabilities: ArrayLike,
    groups: ArrayLike,
    lengths: ArrayLike | None = None,
    families: Sequence[Family] = ("geometric", "negative_binomial", "log_normal", "gamma"),
    weights: Sequence[float] = (0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5),
    prior_powers: Sequence[float] = (0.0, 0.5, 1.0),
    n_folds: int = 5,
) -> Tuning:
    """Return the hidden semi-Markov policy that does best on groups it was not fitted to, or none.

    What is right for a classifier's probabilities depends on it: overlapping windows and neighbouring steps repeat each
    other's errors, so evidence counts for less than it says; and probabilities that were smoothed towards the class
    frequencies are over-corrected when divided by them. So both, and the family of durations, are chosen by
    cross-validation over groups. The best is taken only if its mean gain over groups exceeds the standard error of that.

    Parameters
    ----------
    labels : int32, shape (B, T)
        True labels of each step; -1 where there is none. Such steps are decoded but not scored; durations and
        transitions are learnt as if they had the nearest label.
    probabilities : float32 or float64, shape (B, T, K)
        The classifier's, for sequences it was not trained on.
    groups : shape (B,)
        Group of each sequence, such as its subject. At least two.
    lengths : int, shape (B,), optional
        Steps of each sequence; by default T.
    families, weights, prior_powers : sequences
        What to try.
    n_folds : int
        Parts that the groups are divided into, at most as many as there are groups.

    Returns
    -------
    Tuning
        The policy, fitted to all groups, and the scores.

    Raises
    ------
    ValueError
        If shapes disagree, or there are fewer than two groups.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.repeat(rng.integers(0, 2, (6, 10)), 15, axis=1).astype(np.int32)
    >>> noisy = np.where(rng.random(labels.shape) < 0.2, 1 - labels, labels)
    >>> tuned = tune_policy(labels, np.where(np.eye(2)[noisy] > 0, 0.7, 0.3), groups=np.arange(6), weights=(0.4, 1.0))
    >>> tuned.gain > 0.1
    True
    """
    truth = check_labels(labels)
    if truth.ndim != 2 or not truth.size:
        raise ValueError(f"labels must have shape (B, T), got {truth.shape}.")
    table = check_probabilities(probabilities, np.zeros_like(truth))
    states = table.shape[-1]
    if truth.max(initial=-1) >= states:
        raise ValueError(f"labels must be below the number of classes, {states}; got {truth.max()}.")
    steps = np.full(len(truth), truth.shape[1]) if lengths is None else np.asarray(lengths)
    member = np.unique(np.asarray(groups), return_inverse=True)[1]
    if member.shape != (len(truth),) or steps.shape != (len(truth),):
        raise ValueError(f"groups and lengths must have shape ({len(truth)},), got {member.shape} and {steps.shape}.")
    n_groups = int(member.max()) + 1
    if n_groups < 2:
        raise ValueError("groups must hold at least two different ones: one is fitted to, the other is scored.")
    check_at_least("n_folds", n_folds, 2)
    rows = [_Row(truth[b, : steps[b]], table[b, : steps[b]], int(member[b])) for b in range(len(truth))]
    settings = list(product(families, prior_powers, weights, _DECIDE))
    # Right steps of each group, without smoothing and by each candidate.
    raw, hits = np.zeros(n_groups), np.zeros((len(settings), n_groups))
    scored = np.bincount(member, weights=[np.count_nonzero(row.truth >= 0) for row in rows])
    for fold in range(min(n_folds, n_groups)):
        train = [row for row in rows if row.group % n_folds != fold]
        for row in (row for row in rows if row.group % n_folds == fold):
            raw[row.group] += row.hits(row.guess)
        models = {family: _fitted(train, states, family) for family in families}
        for i, (family, power, weight, decide) in enumerate(settings):
            policy = HSMMPolicy(models[family], _prior(train, states, power), weight, decide)
            for row in (row for row in rows if row.group % n_folds == fold):
                hits[i, row.group] += row.hits(policy.smooth(row.guess, row.probabilities))
    candidates = [
        Candidate(*setting, score=float(right.sum() / scored.sum()))
        for setting, right in zip(settings, hits, strict=True)
    ]
    best = max(range(len(candidates)), key=lambda i: candidates[i].score)
    known = scored > 0
    gains = (hits[best] - raw)[known] / scored[known]
    gain, error = float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(gains.size)) if gains.size > 1 else np.inf
    ranked = tuple(sorted(candidates, key=lambda candidate: -candidate.score))
    chosen = candidates[best] if gain > error else None
    policy: SmoothingPolicy = Pipeline()
    if chosen is not None:
        model = _fitted(rows, states, chosen.family)
        policy = HSMMPolicy(model, _prior(rows, states, chosen.prior_power), chosen.weight, chosen.decide)
    return Tuning(policy, chosen, float(raw.sum() / scored.sum()), gain, error, ranked)


_DECIDE: tuple[Literal["path", "state"], ...] = ("path", "state")


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """One sequence and its group."""

    truth: Labels
    probabilities: NDArray[np.floating]
    group: int

    @property
    def guess(self) -> Labels:
        """The label of each step without smoothing."""
        return self.probabilities.argmax(axis=1).astype(np.int32)

    def hits(self, labels: Labels) -> int:
        """Labelled steps that are right."""
        return int(np.count_nonzero((labels == self.truth) & (self.truth >= 0)))

    @property
    def filled(self) -> Labels:
        """The labels, each missing one taken from the nearest step that has one, the earlier of two."""
        known = np.flatnonzero(self.truth >= 0)
        if not known.size:
            return self.truth
        steps = np.arange(self.truth.size)
        right = np.searchsorted(known, steps).clip(0, known.size - 1)
        left = (right - 1).clip(0)
        nearer = np.where(abs(known[left] - steps) <= abs(known[right] - steps), left, right)
        return self.truth[known[nearer]]


def _fitted(rows: Sequence[_Row], states: int, family: Family) -> HSMM:
    # Laid end to end with a gap between them, rows of any length are one sequence of pieces.
    laid: Iterator[Labels] = (part for row in rows for part in (row.filled, np.array([-1], dtype=np.int32)))
    return fit_supervised(np.concatenate(list(laid)), states, family)


def _prior(rows: Sequence[_Row], states: int, power: float) -> tuple[float, ...]:
    labels = np.concatenate([row.truth[row.truth >= 0] for row in rows])
    weight = ((np.bincount(labels, minlength=states) + 1.0) / (labels.size + states)) ** power
    return tuple((weight / weight.sum()).tolist())
