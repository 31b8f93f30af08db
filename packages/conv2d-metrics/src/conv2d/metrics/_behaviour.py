"""What sequences of behaviour look like: how one follows another, and how long each lasts."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._discrete import count_neighbours
from ._inputs import IGNORE, BoolArray, FloatArray, IntArray, duration
from ._results import record
from ._sequences import LabelSequences, Steps, joined, runs, runs_of, times
from ._sums import ratio
from ._untyped import scipy


@dataclass(frozen=True)
class Transitions:
    """How often one class follows another.

    Attributes
    ----------
    counts : ndarray of int64, shape (K, K)
        Row = from, column = to, from one step to the next.

    Examples
    --------
    >>> Transitions(np.array([[2, 1], [0, 3]])).probabilities
    array([[0.66666667, 0.33333333],
           [0.        , 1.        ]])
    """

    counts: IntArray

    @property
    def probabilities(self) -> FloatArray:
        """Rows of `counts` made to sum to 1; NaN in the row of a class that nothing follows."""
        return ratio(self.counts.astype(np.float64), self.counts.sum(axis=1, keepdims=True).astype(np.float64))

    @property
    def rate(self) -> float:
        """Changes of class per pair of steps; 0 when there is no pair."""
        pairs = int(self.counts.sum())
        return (pairs - int(np.trace(self.counts))) / pairs if pairs else 0.0

    def without_self(self) -> Transitions:
        """Keep only changes, as between the bouts of a semi-Markov model."""
        return Transitions(self.counts - np.diag(np.diagonal(self.counts)))

    def __add__(self, other: Transitions) -> Transitions:
        """Pool the counts of two corpora with the same classes."""
        if self.counts.shape != other.counts.shape:
            raise ValueError(
                f"Transitions: only counts of the same classes add, got {len(self.counts)} and {len(other.counts)}; "
                "give n_classes to transition_matrix."
            )
        return Transitions(self.counts + other.counts)

    def to_dict(self) -> dict[str, Any]:
        """Write counts, probabilities and rate, JSON-safe."""
        fields = {"counts": self.counts, "probabilities": self.probabilities, "rate": self.rate}
        return record(fields, "" if self.counts.sum(axis=1).all() else "null where nothing follows a class")


def transition_matrix(labels: LabelSequences, *, n_classes: int | None = None) -> Transitions:
    """Count which class follows which, from one step to the next.

    Parameters
    ----------
    labels : array_like of int, (T,), (B, T) or a list of sequences
        Class of each step. Steps labelled −1 are taken out; nothing is counted across them or from one sequence to the
        next.
    n_classes : int, optional
        K; by default one more than the highest label.

    Returns
    -------
    Transitions

    Raises
    ------
    TypeError, ValueError
        Labels are not integers from −1, or reach `n_classes`.

    Examples
    --------
    >>> transitions = transition_matrix([0, 0, 1, 1, 1, -1, 0])
    >>> transitions.counts, transitions.rate
    (array([[1, 1],
           [0, 2]]), 0.25)
    """
    steps, offset = joined("labels", labels)
    k = class_count(steps, n_classes)
    if k < 256 and np.count_nonzero(steps[1:] != steps[:-1]) > len(steps) // 16:
        if len(offset) > 2:
            steps = np.insert(steps, offset[1:-1], IGNORE)  # nothing is counted across an ignored step
        codes = steps.astype(np.uint8)
        codes += np.uint8(1)  # −1 has become 255, and becomes 0
        return Transitions(count_neighbours(codes, k + 1)[1:, 1:].copy())
    found = runs_of(steps, offset)
    label = found.label
    linked = ~found.opens[1:]
    changes = label[:-1][linked] * k + label[1:][linked]
    counts = np.bincount(changes, minlength=k * k).reshape(k, k)
    # Where bouts are few and steps are many, who stays is known from how long the bouts are.
    stays = np.zeros(k, dtype=np.int64)
    np.add.at(stays, label, found.length - 1)
    counts[np.diag_indices(k)] += stays
    return Transitions(counts)


@dataclass(frozen=True)
class Survival:
    """A Kaplan–Meier curve: the share of bouts that last longer than t.

    Attributes
    ----------
    time : ndarray of float64, shape (E,)
        Lengths at which a bout was seen to end.
    probability : ndarray of float64, shape (E,)
        S(t) = P(length > t).
    low, high : ndarray of float64, shape (E,)
        Ends of the pointwise confidence interval; NaN where the curve is 0 or 1.
    confidence : float
        Its level.

    Examples
    --------
    >>> curve = dwell_times([0, 1, 1, 0, 1, 1, 1, 0, 1, 1]).survival(1)
    >>> curve.time, curve.probability, curve.median
    (array([2., 3.]), array([0.66666667, 0.        ]), 3.0)
    """

    time: FloatArray
    probability: FloatArray
    low: FloatArray
    high: FloatArray
    confidence: float = 0.95

    @property
    def median(self) -> float:
        """The first time at which at most half of the bouts go on; infinity if the curve never falls so far."""
        below = np.flatnonzero(self.probability <= 0.5)
        return float(self.time[below[0]]) if len(below) else math.inf

    def to_dict(self) -> dict[str, Any]:
        """Write the curve and its median, JSON-safe."""
        certain = not math.isinf(self.median) and not np.isnan(self.low).any()
        reason = "" if certain else "null where the curve is 0 or 1, or the median where it stays above a half"
        return record({**vars(self), "median": self.median}, reason)


@dataclass(frozen=True)
class DwellTimes:
    """All bouts of some sequences, with what the edges of the recording cut off.

    Attributes
    ----------
    sequence, label : ndarray of int64, shape (R,)
        The sequence that the bout is in, and its class.
    length : ndarray of float64, shape (R,)
        In units of `step`.
    left_censored, right_censored : ndarray of bool, shape (R,)
        Whether the bout touches the start or end of the sequence, or an ignored step: it may have lasted longer.
    step : float
        Duration of a step.

    Examples
    --------
    >>> bouts = dwell_times([0, 0, 1, 1, 1, 0], step=0.5)
    >>> bouts.length, bouts.left_censored
    (array([1. , 1.5, 0.5]), array([ True, False, False]))
    """

    sequence: IntArray
    label: IntArray
    length: FloatArray
    left_censored: BoolArray
    right_censored: BoolArray
    step: float

    def naive(self, label: int | None = None) -> float:
        """Mean length of the bouts of a class (None: of all) as if none were cut: too short. NaN when there is none."""
        own = self.length[self._of(label)]
        return float(own.mean()) if own.size else math.nan

    def complete(self, label: int | None = None) -> float:
        """Mean length of the uncut bouts, which favours short ones still more; NaN when there is none."""
        own = self.length[self._of(label) & ~self.left_censored & ~self.right_censored]
        return float(own.mean()) if own.size else math.nan

    def censored_mle(self, label: int | None = None) -> float:
        """Estimate the mean length by maximum likelihood from the cut bouts too.

        Bouts are taken as geometric: time observed in bouts whose start was seen, over those of them whose end was
        seen. Infinite when no end was seen.
        """
        own = self._of(label) & ~self.left_censored
        ended = int((~self.right_censored[own]).sum())
        return float(self.length[own].sum() / ended) if ended else math.inf

    def survival(self, label: int | None = None, *, confidence: float = 0.95) -> Survival:
        """Estimate the survival curve of a class (None: of all), assuming no shape, from bouts whose start was seen.

        Its pointwise intervals are log-log transformed, so that they stay in [0, 1].

        References
        ----------
        E. Kaplan, P. Meier, "Nonparametric estimation from incomplete observations", JASA 53, 1958.
        """
        own = self._of(label) & ~self.left_censored
        ended, cut = self.length[own & ~self.right_censored], self.length[own & self.right_censored]
        if not len(ended):
            nothing = np.zeros(0)
            return Survival(nothing, nothing, nothing, nothing, confidence)
        stats = scipy("stats")
        curve = stats.ecdf(stats.CensoredData(uncensored=ended, right=cut)).sf
        with warnings.catch_warnings():  # where the curve is 1 or 0 the interval is undefined, and comes as NaN
            warnings.simplefilter("ignore", RuntimeWarning)
            interval = curve.confidence_interval(confidence_level=confidence, method="log-log")
        falls = np.isin(curve.quantiles, ended)
        parts = (curve.quantiles, curve.probabilities, interval.low.probabilities, interval.high.probabilities)
        time, probability, low, high = (np.asarray(part, dtype=np.float64)[falls] for part in parts)
        return Survival(time, probability, low, high, confidence)

    def _of(self, label: int | None) -> BoolArray:
        return np.ones(len(self.label), dtype=np.bool_) if label is None else self.label == label

    def to_dict(self) -> dict[str, Any]:
        """Write the number of bouts and the three means, of all and of each class that occurs, JSON-safe."""
        per_class = [{"label": int(label), **self._row(int(label))} for label in np.unique(self.label)]
        return {"step": self.step, "all": self._row(None), "per_class": per_class}

    def _row(self, label: int | None) -> dict[str, Any]:
        means = {"naive": self.naive(label), "complete": self.complete(label), "censored_mle": self.censored_mle(label)}
        lacking = [
            reason
            for mean, reason in (
                ("naive", "no bout"),
                ("complete", "no uncut bout"),
                ("censored_mle", "no bout was seen to end"),
            )
            if not math.isfinite(means[mean])
        ]
        return record({"n_bouts": int(self._of(label).sum()), **means}, " and ".join(lacking))


def dwell_times(labels: LabelSequences, *, step: float = 1.0) -> DwellTimes:
    """Find how long each bout of behaviour lasts, and which bouts the recording cuts off.

    Leaving out that bouts are cut makes them look short: in recordings of 40 steps, bouts of 41 steps on average seem
    to last half of that. `DwellTimes.censored_mle` and `DwellTimes.survival` use the cut ones for what they are worth.

    Parameters
    ----------
    labels : array_like of int, (T,), (B, T) or a list of sequences
        Class of each step; a step labelled −1 ends the bout before it as the end of a recording does.
    step : float
        Duration of a step, as the hop of the windows in seconds; lengths come in its unit.

    Returns
    -------
    DwellTimes

    Raises
    ------
    TypeError, ValueError
        Labels are not integers from −1; `step` is not positive.

    Examples
    --------
    >>> bouts = dwell_times([[0, 1, 1, 1, 0], [1, 0, 0, 1, 1]])
    >>> bouts.naive(1), bouts.complete(1), bouts.censored_mle(1)
    (2.0, 3.0, 5.0)
    """
    duration("step", step)
    found = runs("labels", labels)
    begins = found.opens
    ends = np.ones(len(begins), dtype=np.bool_)
    ends[:-1] = begins[1:]
    return DwellTimes(found.sequence, found.label, times(found.length, step), begins, ends, step)


def class_count(labels: Steps, n_classes: int | None) -> int:
    """K: as asked, or one more than the highest label."""
    highest = int(labels.max()) if labels.size else -1
    if n_classes is not None and highest >= n_classes:
        raise ValueError(f"n_classes={n_classes}: labels must be below it, but {highest} occurs.")
    return highest + 1 if n_classes is None else n_classes
