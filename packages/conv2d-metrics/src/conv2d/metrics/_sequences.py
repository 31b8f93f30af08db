"""Label sequences and their runs: the ground under segment scores and dwell times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from ._inputs import IGNORE, BoolArray, IntArray, class_labels, integers, predicted

LabelSequences: TypeAlias = npt.ArrayLike | Sequence[npt.ArrayLike]
"""One sequence ``(T,)``, several of one length ``(B, T)``, or a list of sequences of any lengths."""


@dataclass(frozen=True)
class Track:
    """Sequences laid end to end, ignored steps taken out.

    ``fresh`` marks the first step of each chunk: of a sequence, or after an ignored step. Nothing reaches across.
    """

    labels: IntArray
    fresh: BoolArray
    sequence: IntArray


@dataclass(frozen=True)
class Runs:
    """Maximal runs of one label within a chunk, half-open ``[start, end)`` in steps of the track."""

    start: IntArray
    end: IntArray
    label: IntArray

    @property
    def length(self) -> IntArray:
        """Steps of each run."""
        return self.end - self.start

    def without(self, labels: Sequence[int]) -> Runs:
        """Drop the runs of these labels."""
        kept = ~np.isin(self.label, labels)
        return Runs(self.start[kept], self.end[kept], self.label[kept])


def track(name: str, labels: LabelSequences) -> Track:
    """Lay label sequences end to end."""
    parts = [class_labels(name, part) for part in _split(name, labels)]
    return _track(parts, np.concatenate(parts))


def track_pair(y_true: LabelSequences, y_pred: LabelSequences) -> tuple[Track, Track]:
    """Lay true and predicted sequences end to end, cut where the truth is ignored."""
    true, pred = _split("y_true", y_true), _split("y_pred", y_pred)
    lengths = [[len(part) for part in parts] for parts in (true, pred)]
    if lengths[0] != lengths[1]:
        raise ValueError(f"y_pred: must have the sequence lengths of y_true {lengths[0]}, got {lengths[1]}.")
    sample = predicted(np.concatenate(true), np.concatenate(pred))
    reference = _track(true, np.concatenate(true))
    return reference, Track(sample.y_pred, reference.fresh, reference.sequence)


def runs(of: Track) -> Runs:
    """Find the maximal runs of one label."""
    labels = of.labels
    starts = of.fresh.copy()
    starts[1:] |= labels[1:] != labels[:-1]
    start = np.flatnonzero(starts)
    return Runs(start, np.append(start[1:], len(labels)) if len(start) else start, labels[start])


def _split(name: str, labels: LabelSequences) -> list[IntArray]:
    """Take one sequence, a stack or a list of them as a list."""
    if isinstance(labels, list | tuple) and any(np.ndim(part) for part in cast(Sequence[Any], labels)):
        parts = [integers(f"{name}[{i}]", part) for i, part in enumerate(cast(Sequence[npt.ArrayLike], labels))]
    else:
        parts = list(np.atleast_2d(integers(name, cast(npt.ArrayLike, labels))))
    for part in parts:
        if part.ndim != 1:
            raise ValueError(f"{name}: must be one sequence (T,), several (B, T) or a list of (T,), got more axes.")
    return parts


def _track(parts: Sequence[IntArray], labels: IntArray) -> Track:
    sequence = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    kept = labels != IGNORE
    fresh = np.ones(len(labels), dtype=np.bool_)
    fresh[1:] = (sequence[1:] != sequence[:-1]) | ~kept[:-1]
    return Track(labels[kept], fresh[kept], sequence[kept])
