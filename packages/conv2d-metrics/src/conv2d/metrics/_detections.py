"""Segments as intervals of time: their overlap, and the average precision of scored detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._inputs import BoolArray, FloatArray, IntArray
from ._results import record


def tiou(one: npt.ArrayLike, other: npt.ArrayLike) -> FloatArray:
    """Compute the temporal intersection over union of segments, pair by pair.

    Parameters
    ----------
    one, other : array_like of float, shape (..., 2)
        Start and end, in any one unit; leading axes broadcast.

    Returns
    -------
    ndarray of float64, shape (...)
        In [0, 1]; 0 for two empty segments.

    Raises
    ------
    ValueError
        The last axis is not 2, a time is not finite, or an end lies before its start.

    Examples
    --------
    >>> tiou([[0, 4], [0, 4]], [2, 6])
    array([0.33333333, 0.33333333])
    """
    (a_start, a_end), (b_start, b_end) = _ends("one", one), _ends("other", other)
    shared = np.maximum(0.0, np.minimum(a_end, b_end) - np.maximum(a_start, b_start))
    union = (a_end - a_start) + (b_end - b_start) - shared
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)


@dataclass(frozen=True)
class AveragePrecision:
    """Average precision of scored detections.

    Attributes
    ----------
    overlaps : ndarray of float64, shape (θ,)
        Overlaps that a detection needs.
    classes : ndarray of int64, shape (K,)
        Classes that occur in the truth.
    by_class : ndarray of float64, shape (K, θ)
        Average precision of each class.
    reason : str
        Why figures are NaN, or empty.

    Examples
    --------
    >>> found = AveragePrecision(np.array([0.5, 0.7]), np.array([0, 1]), np.array([[1.0, 0.5], [0.5, 0.0]]))
    >>> found.by_overlap, found.mean
    (array([0.75, 0.25]), 0.5)
    """

    overlaps: FloatArray
    classes: IntArray
    by_class: FloatArray
    reason: str = ""

    @property
    def by_overlap(self) -> FloatArray:
        """Mean over the classes, mAP@tIoU ``(θ,)``; NaN when nothing is true."""
        return self.by_class.mean(axis=0) if len(self.classes) else np.full(len(self.overlaps), np.nan)

    @property
    def mean(self) -> float:
        """Mean over classes and overlaps, "average mAP"; NaN when nothing is true."""
        return float(self.by_overlap.mean())

    def to_dict(self) -> dict[str, Any]:
        """Write the figures, JSON-safe."""
        return record({**vars(self), "by_overlap": self.by_overlap, "mean": self.mean})


def average_precision(
    true: npt.ArrayLike, detected: npt.ArrayLike, *, overlaps: Sequence[float] = (0.5,)
) -> AveragePrecision:
    """Compute the average precision of scored detections, mAP@tIoU, as the ActivityNet evaluation does.

    From the highest score down, a detection takes the true segment of its recording and class that it overlaps best
    among those not taken yet, and is false when that overlap is too small. Unlike in `segment_matches` there is a
    second choice. The precision at each recall is made the highest at that recall or beyond (VOC 2011), and integrated.

    Parameters
    ----------
    true : array_like of float, shape (G, 4)
        Recording, start, end, class: as `Segments.rows`.
    detected : array_like of float, shape (P, 5)
        Recording, start, end, class, score; equal scores keep their order.
    overlaps : sequence of float
        Overlaps θ in (0, 1].

    Returns
    -------
    AveragePrecision
        Over the classes that occur in the truth; detections of other classes count nowhere.

    Raises
    ------
    ValueError
        Wrong numbers of columns, times that are not finite or run backwards, scores that are NaN, an overlap out of
        range.

    References
    ----------
    F. Caba Heilbron et al., "ActivityNet: a large-scale video benchmark", CVPR 2015.
    M. Everingham et al., "The PASCAL visual object classes challenge", IJCV 2010.

    Examples
    --------
    >>> true = [[0, 0.0, 4.0, 1], [0, 6.0, 8.0, 1]]
    >>> average_precision(true, [[0, 0.0, 3.0, 1, 0.9], [0, 5.0, 9.0, 1, 0.8]], overlaps=[0.5, 0.7]).by_overlap
    array([1. , 0.5])
    """
    wanted, found = _rows("true", true, 4), _rows("detected", detected, 5)
    theta = np.asarray(overlaps, dtype=np.float64)
    if theta.ndim != 1 or not len(theta) or not ((theta > 0) & (theta <= 1)).all():
        raise ValueError(f"overlaps: one or more overlaps in (0, 1] are needed, got {overlaps}.")
    classes = np.unique(wanted[:, 3])
    by_class = [_precision(wanted[wanted[:, 3] == k], found[found[:, 3] == k], theta) for k in classes]
    reason = "" if len(classes) else "nothing is true"
    return AveragePrecision(theta, classes.astype(np.int64), np.array(by_class).reshape(-1, len(theta)), reason)


def _precision(true: FloatArray, found: FloatArray, theta: FloatArray) -> FloatArray:
    """Average precision of one class at each overlap ``(θ,)``."""
    found = found[np.argsort(-found[:, 4], kind="stable")]
    hit = np.zeros((len(theta), len(found)), dtype=np.bool_)
    for recording in np.unique(found[:, 0]):
        here, own = np.flatnonzero(found[:, 0] == recording), true[true[:, 0] == recording]
        if len(own):
            ious = tiou(found[here, None, 1:3], own[None, :, 1:3])
            for t, least in enumerate(theta):
                hit[t, here] = _take(ious, least)
    hits = np.cumsum(hit, axis=1)
    precision = hits / np.arange(1, len(found) + 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    return (best * hit).sum(axis=1) / len(true)  # recall grows by 1/G at each hit


def _take(ious: FloatArray, least: float) -> BoolArray:
    """Let detections, best score first, take what they overlap best among what is left."""
    left = np.where(ious >= least, ious, -1.0)
    hit = np.zeros(len(ious), dtype=np.bool_)
    for d in np.flatnonzero(left.max(axis=1) >= 0):
        best = int(left[d].argmax())
        if left[d, best] >= 0:
            hit[d] = True
            left[:, best] = -1.0
    return hit


def _rows(name: str, segments: npt.ArrayLike, columns: int) -> FloatArray:
    rows = np.asarray(segments, dtype=np.float64)
    if rows.size == 0:
        rows = rows.reshape(0, columns)
    if rows.ndim != 2 or rows.shape[1] != columns:
        what = "recording, start, end, class, score"
        raise ValueError(
            f"{name}: must be ({what[: what.rindex(',')] if columns == 4 else what}) a row, got {rows.shape}."
        )
    if np.isnan(rows).any():
        raise ValueError(f"{name}: NaN in row {int(np.flatnonzero(np.isnan(rows).any(axis=1))[0])}.")
    _ends(name, rows[:, 1:3])
    return rows


def _ends(name: str, segments: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    times = np.asarray(segments, dtype=np.float64)
    if times.ndim == 0 or times.shape[-1] != 2:
        raise ValueError(f"{name}: the last axis holds start and end, got shape {times.shape}.")
    if not np.isfinite(times).all() or (times[..., 1] < times[..., 0]).any():
        raise ValueError(f"{name}: times must be finite and no end before its start.")
    return times[..., 0], times[..., 1]
