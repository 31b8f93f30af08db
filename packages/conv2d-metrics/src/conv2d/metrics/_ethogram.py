"""How time is spent: shares of behaviours, their diversity, and the statistics of bouts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._behaviour import DwellTimes, class_count, dwell_times
from ._inputs import FloatArray, duration
from ._results import record
from ._sequences import LabelSequences, runs, times
from ._sums import ratio, tally


@dataclass(frozen=True)
class TimeBudget:
    """Time spent in each class. Budgets of several recordings add.

    Attributes
    ----------
    time : ndarray of float64, shape (K,)
        In units of `step`.
    step : float
        Duration of a step.

    Examples
    --------
    >>> budget = time_budget([0, 0, 1, 1, 2, 2, 2, 2])
    >>> budget.share, round(budget.diversity, 3)
    (array([0.25, 0.25, 0.5 ]), 2.828)
    """

    time: FloatArray
    step: float = 1.0

    @property
    def share(self) -> FloatArray:
        """Share of the labelled time ``(K,)``; NaN when there is none."""
        return ratio(self.time, self.time.sum())

    @property
    def entropy(self) -> float:
        """Entropy of the shares in bits; NaN without labelled time."""
        if not self.time.sum() > 0:
            return np.nan
        p = self.share[self.time > 0]
        return float(-(p * np.log2(p)).sum()) + 0.0

    @property
    def diversity(self) -> float:
        """Effective number of behaviours, exp(H): as many done equally long are as diverse (Hill, 1973)."""
        return float(2.0**self.entropy)

    def __add__(self, other: TimeBudget) -> TimeBudget:
        """Pool the time of two recordings with the same classes and step."""
        if len(self.time) != len(other.time) or self.step != other.step:
            raise ValueError(
                f"TimeBudget: only budgets of the same classes and step add, got {len(self.time)} and {len(other.time)} "
                f"classes, steps of {self.step} and {other.step}; give n_classes to time_budget."
            )
        return TimeBudget(self.time + other.time, self.step)

    def to_dict(self) -> dict[str, Any]:
        """Write times, shares, entropy in bits and diversity, JSON-safe."""
        fields = {**vars(self), "share": self.share, "entropy": self.entropy, "diversity": self.diversity}
        return record(fields, "" if self.time.sum() > 0 else "no labelled time")


@dataclass(frozen=True)
class BoutStatistics:
    """Bouts of one class.

    Attributes
    ----------
    label : int
    n : int
        Bouts, cut ones included.
    n_complete : int
        Those whose start and end were both seen.
    rate : float
        Starts seen per unit of labelled time.
    naive_mean, censored_mean, median : float
        Mean length as if none were cut; by maximum likelihood with the cut ones; median by Kaplan–Meier.
    spread : float
        Standard deviation of the complete bouts over their mean: 1 when ends come by chance (geometric, for long
        bouts), less when bouts have a typical length. NaN for fewer than two.
    interval : float
        Mean time from the end of one bout to the start of the next in the same chunk of a recording; NaN without.
    reason : str
        Which figures are undefined, and why.

    Examples
    --------
    >>> rest, walk = bout_statistics([0, 1, 1, 0, 0, 0, 1, 1, 0], step=0.5)
    >>> walk.n, walk.naive_mean, walk.interval
    (2, 1.0, 1.5)
    """

    label: int
    n: int
    n_complete: int
    rate: float
    naive_mean: float
    censored_mean: float
    median: float
    spread: float
    interval: float
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Write the fields, JSON-safe."""
        return record(vars(self))


def time_budget(labels: LabelSequences, *, n_classes: int | None = None, step: float = 1.0) -> TimeBudget:
    """Add up the time spent in each class.

    Parameters
    ----------
    labels : array_like of int, (T,), (B, T) or a list of sequences
        Steps labelled −1 are left out.
    n_classes : int, optional
        K; by default one more than the highest label.
    step : float
        Duration of a step; times come in its unit.

    Returns
    -------
    TimeBudget

    Raises
    ------
    TypeError, ValueError
        Labels are not integers from −1, or reach `n_classes`; `step` is not positive.

    Examples
    --------
    >>> time_budget([0, 1, 1, -1], step=2.0).time
    array([2., 4.])
    """
    duration("step", step)
    found = runs("labels", labels)
    k = class_count(found.label, n_classes)
    return TimeBudget(tally(found.label, k, None, times(found.length, step), None)[0], step)


def bout_statistics(labels: LabelSequences, *, step: float = 1.0) -> tuple[BoutStatistics, ...]:
    """Describe the bouts of each class that occurs.

    Parameters
    ----------
    labels, step
        As in `dwell_times`.

    Returns
    -------
    tuple of BoutStatistics
        In order of the classes.

    Raises
    ------
    TypeError, ValueError
        As `dwell_times`.

    Examples
    --------
    >>> [bouts.n for bouts in bout_statistics([0, 1, 0, 0, 1])]
    [2, 2]
    """
    bouts = dwell_times(labels, step=step)
    found = runs("labels", labels)
    total = float(bouts.length.sum())
    out: list[BoutStatistics] = []
    for label in np.unique(bouts.label).tolist():
        own = bouts.label == label
        gaps = (found.start[own][1:] - found.end[own][:-1])[found.chunk[own][1:] == found.chunk[own][:-1]]
        out.append(_describe(bouts, label, total, times(gaps, step)))
    return tuple(out)


def _describe(bouts: DwellTimes, label: int, total: float, gaps: FloatArray) -> BoutStatistics:
    own = bouts.label == label
    seen_start = int((own & ~bouts.left_censored).sum())
    complete = bouts.length[own & ~bouts.left_censored & ~bouts.right_censored]
    spread = float(complete.std(ddof=1) / complete.mean()) if len(complete) > 1 else np.nan
    interval = float(gaps.mean()) if len(gaps) else np.nan
    censored, median = bouts.censored_mle(label), bouts.survival(label).median
    undefined = [
        f"{name}: {why}"
        for name, value, why in (
            ("censored_mean", censored, "no bout was seen to end"),
            ("median", median, "too few bouts were seen to end"),
            ("spread", spread, "fewer than two complete bouts"),
            ("interval", interval, "no second bout"),
        )
        if not np.isfinite(value)
    ]
    return BoutStatistics(
        label,
        int(own.sum()),
        len(complete),
        seen_start / total,
        bouts.naive(label),
        censored,
        median,
        spread,
        interval,
        "; ".join(undefined),
    )
