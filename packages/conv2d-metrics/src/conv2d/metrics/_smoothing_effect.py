"""Calibration before and after something was done to the probabilities: temporal smoothing, above all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._binning import Closed
from ._calibration import Reliability, reliability
from ._inputs import FloatArray, grouped, scored
from ._intervals import Interval, Resampling
from ._statistics import Statistic, named

_FIGURES = ("accuracy", "ece", "nll", "brier")


@dataclass(frozen=True)
class CalibrationChange:
    """Figures of the same windows before and after.

    Attributes
    ----------
    before, after : dict of str to Interval
        ``accuracy``, ``ece``, ``nll`` and ``brier``.
    change : dict of str to Interval
        After less before, each resample drawing the same subjects for both: an interval that leaves out 0 is a change.
    before_diagram, after_diagram : Reliability

    Examples
    --------
    >>> y_prob = np.array([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2], [0.1, 0.9]])
    >>> smoothed = np.array([[0.65, 0.35], [0.7, 0.3], [0.6, 0.4], [0.45, 0.55]])
    >>> change = calibration_change([0, 0, 0, 1], y_prob, smoothed, groups=["ada", "ada", "bo", "bo"])
    >>> change.change["accuracy"].value
    0.25
    """

    before: dict[str, Interval]
    after: dict[str, Interval]
    change: dict[str, Interval]
    before_diagram: Reliability
    after_diagram: Reliability

    def to_dict(self) -> dict[str, Any]:
        """All figures and both diagrams, JSON-safe."""
        return {
            **{
                name: {figure: interval.to_dict() for figure, interval in intervals.items()}
                for name, intervals in (("before", self.before), ("after", self.after), ("change", self.change))
            },
            "before_diagram": self.before_diagram.to_dict(),
            "after_diagram": self.after_diagram.to_dict(),
        }


def calibration_change(
    y_true: npt.ArrayLike,
    before: npt.ArrayLike,
    after: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    n_bins: int = 15,
    closed: Closed = "right",
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> CalibrationChange:
    """Compare calibration before and after temporal smoothing, or any other treatment of the probabilities.

    Smoothing over neighbouring windows usually makes the top class right more often, but its probability is no longer
    the share of times it is: averages of calibrated probabilities are less sure than they may be. A temperature fitted
    before smoothing is therefore not the one needed after it.

    Parameters
    ----------
    y_true : array_like of int, shape (...)
        Class indices; windows labelled −1 are ignored.
    before, after : array_like of float32 or float64, shape (..., K)
        Rows sum to 1 within 1e-4.
    groups : array_like of int or str, shape (...)
        The subject of each window.
    n_bins, closed
        Bins of the calibration errors, as `reliability` (equal width).
    n_resamples, confidence, seed
        As `bootstrap_ci`.

    Returns
    -------
    CalibrationChange

    Raises
    ------
    TypeError, ValueError
        As `nll` and `bootstrap_ci`; `before` and `after` differ in shape.

    Examples
    --------
    >>> y_prob = np.array([[0.9, 0.1], [0.4, 0.6]])
    >>> calibration_change([0, 1], y_prob, y_prob, groups=["ada", "bo"]).change["ece"].value
    0.0
    """
    if np.shape(before) != np.shape(after):
        raise ValueError(f"after: must have the shape of before {np.shape(before)}, got {np.shape(after)}.")
    how = Resampling(n_resamples, confidence, seed)
    samples = [scored(y_true, prob) for prob in (before, after)]
    subjects = grouped(groups, samples[0].kept)
    sides: list[dict[str, Interval]] = [{}, {}]
    change: dict[str, Interval] = {}
    for name in _FIGURES:
        pair = [named(name, sample, n_bins=n_bins, closed=closed) for sample in samples]
        for side, figure in zip(sides, pair, strict=True):
            side[name] = figure.interval(subjects, how)
        change[name] = _difference(pair[0], pair[1]).interval(subjects, how)
    diagrams = [reliability(y_true, prob, n_bins=n_bins, closed=closed) for prob in (before, after)]
    return CalibrationChange(sides[0], sides[1], change, diagrams[0], diagrams[1])


def _difference(one: Statistic, other: Statistic) -> Statistic:
    """Make the statistic ``other − one`` on the same resamples: both tables side by side."""
    shapes = [statistic.table().shape[1:] for statistic in (one, other)]
    cut = int(np.prod(shapes[0]))

    def table(by: Any = None, weight: FloatArray | None = None) -> FloatArray:
        sums = [statistic.table(by, weight) for statistic in (one, other)]
        return np.concatenate([part.reshape(len(part), -1) for part in sums], axis=1)

    def figure(sums: FloatArray) -> FloatArray:
        left, right = (
            part.reshape(*sums.shape[:-1], *shape)
            for part, shape in zip((sums[..., :cut], sums[..., cut:]), shapes, strict=True)
        )
        return other.figure(right) - one.figure(left)

    return Statistic(table, figure, one.width + other.width, scale=None)
