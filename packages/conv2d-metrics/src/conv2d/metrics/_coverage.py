"""How often prediction sets hold the true class, over all and where it matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._bootstrap import bootstrap_ci
from ._conformal import PredictionSets
from ._inputs import IGNORE, FloatArray, IntArray, class_labels, grouped
from ._intervals import Interval
from ._results import record
from ._sums import ratio


@dataclass(frozen=True)
class CoverageReport:
    """Coverage of prediction sets.

    Attributes
    ----------
    coverage : Interval
        Share of windows whose set holds the true class, with its interval over groups.
    mean_size : float
        Classes per set.
    n_windows : int
    class_counts, class_coverage : ndarray, shape (K,)
        Windows of each true class, and their coverage (NaN where there are none).
    size_counts, size_coverage : ndarray, shape (K + 1,)
        Windows by size of their set, 0 (empty) to K (full), and their coverage: far below 1 − α for some size means
        that the sets do not adapt to difficulty.
    groups : tuple of int or str, length G
    group_counts, group_coverage : ndarray, shape (G,)

    Examples
    --------
    >>> sets = PredictionSets(np.array([[True, False], [True, True], [True, False]]), alpha=0.1)
    >>> report = coverage_report([0, 1, 1], sets, groups=["ada", "ada", "bo"])
    >>> report.group_coverage, report.size_counts
    (array([1., 0.]), array([0, 2, 1]))
    """

    coverage: Interval
    mean_size: float
    n_windows: int
    class_counts: IntArray
    class_coverage: FloatArray
    size_counts: IntArray
    size_coverage: FloatArray
    groups: tuple[int | str, ...]
    group_counts: IntArray
    group_coverage: FloatArray

    def to_dict(self) -> dict[str, Any]:
        """All figures, JSON-safe: null beside a ``reason`` where undefined."""
        return {
            "coverage": self.coverage.to_dict(),
            **record({"mean_size": self.mean_size}, "" if self.n_windows else "no labelled window"),
            "n_windows": self.n_windows,
            "per_class": _rows("class", range(len(self.class_counts)), self.class_counts, self.class_coverage),
            "per_size": _rows("size", range(len(self.size_counts)), self.size_counts, self.size_coverage),
            "per_group": _rows("group", self.groups, self.group_counts, self.group_coverage),
        }


def coverage_report(
    y_true: npt.ArrayLike,
    sets: PredictionSets,
    groups: npt.ArrayLike | None = None,
    *,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> CoverageReport:
    """Judge prediction sets on labelled windows that calibration has not seen.

    Parameters
    ----------
    y_true : array_like of int, shape (...)
        Class indices; windows labelled −1 are ignored.
    sets : PredictionSets
        Of shape (..., K).
    groups : array_like of int or str, shape (...), optional
        The subject of each window; without it every window is its own group in the interval, and there is no table
        by group.
    n_resamples, confidence, seed
        As `bootstrap_ci`.

    Returns
    -------
    CoverageReport

    Raises
    ------
    TypeError, ValueError
        Labels are not indices into the classes of `sets`, or shapes differ.

    Examples
    --------
    >>> sets = PredictionSets(np.array([[True, False], [True, True], [True, False]]), alpha=0.1)
    >>> round(coverage_report([0, 1, 1], sets).coverage.value, 3)
    0.667
    """
    true = class_labels("y_true", y_true)
    n_classes = sets.sets.shape[-1]
    if sets.sets.shape[:-1] != true.shape:
        raise ValueError(f"sets: must be of y_true's shape {true.shape} plus a class axis, got {sets.sets.shape}.")
    if true.size and true.max() >= n_classes:
        raise ValueError(f"y_true: label {true.max()} has no column in sets, which have {n_classes} classes.")
    kept = (true != IGNORE).ravel()
    labels, members = true.ravel()[kept], sets.sets.reshape(-1, n_classes)[kept]
    covered = np.take_along_axis(members, labels[:, None], axis=1)[:, 0].astype(np.int64)
    sizes = members.sum(axis=1)
    subjects = None if groups is None else grouped(groups, kept)

    def share(cell: IntArray, width: int) -> tuple[IntArray, FloatArray]:
        counts = np.bincount(cell, minlength=width)
        hits = np.bincount(cell[covered == 1], minlength=width)
        return counts, ratio(hits.astype(np.float64), counts.astype(np.float64))

    class_counts, class_coverage = share(labels, n_classes)
    size_counts, size_coverage = share(sizes, n_classes + 1)
    nobody = np.zeros(0, dtype=np.int64)
    group_counts, group_coverage = (nobody, np.zeros(0)) if subjects is None else share(subjects.codes, subjects.n)
    return CoverageReport(
        # Coverage is the accuracy of the claim "the set holds the true class", made of every window.
        coverage=bootstrap_ci(
            "accuracy",
            np.ones_like(covered),
            y_pred=covered,
            groups=None if subjects is None else subjects.codes,
            n_resamples=n_resamples,
            confidence=confidence,
            seed=seed,
        ),
        mean_size=float(sizes.mean()) if sizes.size else np.nan,
        n_windows=len(labels),
        class_counts=class_counts,
        class_coverage=class_coverage,
        size_counts=size_counts,
        size_coverage=size_coverage,
        groups=() if subjects is None else subjects.keys,
        group_counts=group_counts,
        group_coverage=group_coverage,
    )


def _rows(what: str, names: Any, counts: IntArray, coverage: FloatArray) -> list[dict[str, Any]]:
    return [
        record({what: name, "n_windows": count, "coverage": share}, "" if count else "no window")
        for name, count, share in zip(names, counts, coverage, strict=True)
    ]
