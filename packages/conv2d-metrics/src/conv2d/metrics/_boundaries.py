"""When changes happen: whether each boundary is found in time, how far edges are off, how late a bout is noticed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._inputs import FloatArray, IntArray, duration, whole
from ._results import record
from ._segments import Matches, matched, overlaps
from ._sequences import LabelSequences, Runs, runs_pair


def boundary_matches(y_true: LabelSequences, y_pred: LabelSequences, *, tolerance: int = 0) -> Matches:
    """Match predicted changes of label with true ones, one to one, as many as possible.

    Parameters
    ----------
    y_true, y_pred
        As `segment_matches`. Ends of a sequence are not boundaries; changes to and from background are.
    tolerance : int
        Steps that a boundary may be off, either way.

    Returns
    -------
    Matches

    Raises
    ------
    TypeError, ValueError
        As `segment_matches`; a negative tolerance.

    Examples
    --------
    >>> boundary_matches([1, 1, 1, 2, 2], [1, 1, 2, 2, 2], tolerance=1)
    Matches(tp=1, fp=0, fn=0)
    """
    whole("tolerance", tolerance, 0)
    true, pred = (_boundaries(of, tolerance).tolist() for of in runs_pair(y_true, y_pred))
    # On a line, taking the earliest pair that fits loses no match: the earlier of the two fits nothing later better.
    i = j = tp = 0
    while i < len(true) and j < len(pred):
        if abs(true[i] - pred[j]) <= tolerance:
            tp, i, j = tp + 1, i + 1, j + 1
        elif true[i] < pred[j]:
            i += 1
        else:
            j += 1
    return Matches(tp, len(pred) - tp, len(true) - tp)


def boundary_f1(y_true: LabelSequences, y_pred: LabelSequences, *, tolerance: int = 0) -> float:
    """Compute the F1 score of changes of label, within a tolerance.

    Parameters
    ----------
    y_true, y_pred, tolerance
        As `boundary_matches`.

    Returns
    -------
    float
        In [0, 1]; NaN when neither changes.

    Raises
    ------
    TypeError, ValueError
        As `boundary_matches`.

    Examples
    --------
    >>> boundary_f1([1, 1, 1, 2, 2], [1, 1, 2, 2, 2]), boundary_f1([1, 1, 1, 2, 2], [1, 1, 2, 2, 2], tolerance=1)
    (0.0, 1.0)
    """
    return boundary_matches(y_true, y_pred, tolerance=tolerance).f1


@dataclass(frozen=True)
class SegmentTiming:
    """How far found segments are off in time, and how late they are noticed.

    Attributes
    ----------
    onset, offset : ndarray of float64, shape (M,)
        Predicted less true start and end of each matched segment: positive is late. NaN where the recording, or an
        ignored step, cuts the true segment at that edge.
    latency : ndarray of float64, shape (R,)
        From the start of each true segment to the first step in it that is predicted to be of its class; NaN when none
        is.

    Examples
    --------
    >>> timing = SegmentTiming(np.array([1.0, -2.0]), np.array([0.0, np.nan]), np.array([0.0, 4.0, np.nan]))
    >>> timing.onset_error, timing.onset_bias, timing.median_latency
    (1.5, -0.5, 2.0)
    """

    onset: FloatArray
    offset: FloatArray
    latency: FloatArray

    @property
    def onset_error(self) -> float:
        """Mean distance of the starts; NaN when none could be judged."""
        return _mean(np.abs(self.onset))

    @property
    def onset_bias(self) -> float:
        """Mean signed error of the starts; NaN when none could be judged."""
        return _mean(self.onset)

    @property
    def offset_error(self) -> float:
        """Mean distance of the ends; NaN when none could be judged."""
        return _mean(np.abs(self.offset))

    @property
    def offset_bias(self) -> float:
        """Mean signed error of the ends; NaN when none could be judged."""
        return _mean(self.offset)

    @property
    def detected(self) -> float:
        """Share of the true segments that were noticed at all; NaN when nothing is true."""
        return float(np.mean(~np.isnan(self.latency))) if len(self.latency) else np.nan

    @property
    def median_latency(self) -> float:
        """Median over the segments that were noticed; read it beside `detected`. NaN when none was."""
        noticed = self.latency[~np.isnan(self.latency)]
        return float(np.median(noticed)) if len(noticed) else np.nan

    def to_dict(self) -> dict[str, Any]:
        """Write the summaries and their numbers of segments, JSON-safe."""
        names = ("onset_error", "onset_bias", "offset_error", "offset_bias", "detected", "median_latency")
        figures = {name: getattr(self, name) for name in names}
        undefined = [name for name, value in figures.items() if np.isnan(value)]
        counts = {"n_matched": len(self.onset), "n_true": len(self.latency)}
        return record({**counts, **figures}, f"nothing to judge {', '.join(undefined)} by" if undefined else "")


def segment_timing(
    y_true: LabelSequences,
    y_pred: LabelSequences,
    *,
    overlap: float = 0.5,
    background: Sequence[int] = (),
    step: float = 1.0,
) -> SegmentTiming:
    """Measure onset and offset errors of matched segments, and the latency to detect each true one.

    Parameters
    ----------
    y_true, y_pred, overlap, background
        As `segment_matches`; its matches are the segments whose edges are compared. Latency asks for no match: a step
        of the right class is enough.
    step : float
        Duration of a step; errors come in its unit.

    Returns
    -------
    SegmentTiming

    Raises
    ------
    TypeError, ValueError
        As `segment_matches`; `step` is not positive.

    Examples
    --------
    >>> timing = segment_timing([0, 0, 1, 1, 1, 1, 0], [0, 0, 0, 1, 1, 1, 1], background=[0])
    >>> timing.onset, timing.offset, timing.latency
    (array([1.]), array([1.]), array([1.]))
    """
    duration("step", step)
    true, pred = runs_pair(y_true, y_pred)
    opens = true.opens
    closes = np.append(opens[1:], True)[: len(opens)]
    kept = ~np.isin(true.label, background)
    true, pred, opens, closes = true.where(kept), pred.without(background), opens[kept], closes[kept]
    i, j = matched(true, pred, overlap)
    onset = np.where(opens[i], np.nan, (pred.start[j] - true.start[i]) * step)
    offset = np.where(closes[i], np.nan, (pred.end[j] - true.end[i]) * step)
    pred_of, true_of, _ = overlaps(true, pred)
    noticed, first = np.unique(true_of, return_index=True)  # overlaps come in order of time
    latency = np.full(len(true.label), np.nan)
    latency[noticed] = np.maximum(0, pred.start[pred_of[first]] - true.start[noticed]) * step
    return SegmentTiming(onset, offset, latency)


def _mean(values: FloatArray) -> float:
    judged = values[~np.isnan(values)]
    return float(judged.mean()) if len(judged) else np.nan


def _boundaries(of: Runs, tolerance: int) -> IntArray:
    """Find the steps where the label changes, chunks drawn apart so that none is within tolerance of another's."""
    inner = ~of.opens
    return of.start[inner] + of.chunk[inner] * (tolerance + 1)
