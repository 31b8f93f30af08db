"""Label sequences and their runs: the ground under segment scores, transitions and dwell times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from ._inputs import IGNORE, BoolArray, FloatArray, IntArray, check_labels, signed

LabelSequences: TypeAlias = npt.ArrayLike | Sequence[npt.ArrayLike]
"""One sequence ``(T,)``, several of one length ``(B, T)``, or a list of sequences of any lengths."""

Steps: TypeAlias = npt.NDArray[np.signedinteger[Any]]
"""Labels of the caller's own width: a copy of a million as int64 takes longer than finding their runs."""


@dataclass(frozen=True)
class Runs:
    """Maximal runs of one label, half-open ``[start, end)`` in steps of the sequences laid end to end.

    Ignored steps are no run. A chunk is what lies between the ends of a sequence and its ignored steps; no run, and
    nothing that is counted between runs, reaches from one chunk into the next. ``offset (B + 1,)`` says where each
    sequence begins.
    """

    start: IntArray
    end: IntArray
    label: IntArray
    chunk: IntArray
    offset: IntArray

    @property
    def length(self) -> IntArray:
        """Steps of each run."""
        return self.end - self.start

    @property
    def sequence(self) -> IntArray:
        """The sequence that each run is in."""
        return np.searchsorted(self.offset, self.start, side="right") - 1

    @property
    def opens(self) -> BoolArray:
        """Whether each run is the first of its chunk; ask before any run is dropped."""
        first = np.ones(len(self.chunk), dtype=np.bool_)
        first[1:] = self.chunk[1:] != self.chunk[:-1]
        return first

    def without(self, labels: Sequence[int]) -> Runs:
        """Drop the runs of these labels."""
        return self.where(~np.isin(self.label, labels)) if len(labels) else self

    def where(self, kept: BoolArray) -> Runs:
        """Keep the runs marked."""
        return Runs(self.start[kept], self.end[kept], self.label[kept], self.chunk[kept], self.offset)


def runs(name: str, labels: LabelSequences) -> Runs:
    """Find the maximal runs of one label in each sequence."""
    return runs_of(*joined(name, labels))


def joined(name: str, labels: LabelSequences) -> tuple[Steps, IntArray]:
    """Lay sequences end to end ``(T,)``, and say where each begins ``(B + 1,)``."""
    parts = _split(name, labels)
    steps = _joined(parts)
    check_labels(name, steps)
    return steps, _offsets(parts)


def runs_pair(y_true: LabelSequences, y_pred: LabelSequences) -> tuple[Runs, Runs]:
    """Find the runs of true and predicted sequences, both cut where the truth is ignored."""
    true, pred, offset = joined_pair(y_true, y_pred)
    return runs_of(true, offset), runs_of(pred, offset)


def joined_pair(y_true: LabelSequences, y_pred: LabelSequences) -> tuple[Steps, Steps, IntArray]:
    """Lay true and predicted sequences end to end, −1 in both where the truth is; and where each begins."""
    true_parts, pred_parts = _split("y_true", y_true), _split("y_pred", y_pred)
    offset = _offsets(true_parts)
    if not np.array_equal(offset, _offsets(pred_parts)):
        lengths = [[len(part) for part in parts] for parts in (true_parts, pred_parts)]
        raise ValueError(f"y_pred: must have the sequence lengths of y_true {lengths[0]}, got {lengths[1]}.")
    true, pred = _joined(true_parts), _joined(pred_parts)
    check_labels("y_true", true)
    if true.size and true.min() == IGNORE:
        pred = np.where(true == IGNORE, IGNORE, pred)
    if pred.size and pred.min() < 0:
        unlabelled = (pred < 0) & (true != IGNORE)
        if unlabelled.any():
            raise ValueError(
                f"y_pred: a prediction is a class index from 0; {pred[unlabelled].min()} came for a labelled step. "
                "To leave a step out of the score, set its y_true to −1."
            )
    return true, pred, offset


def times(steps: IntArray, step: float) -> FloatArray:
    """Bring numbers of steps to the unit of a step's duration."""
    return steps.astype(np.float64) * step


def _split(name: str, labels: LabelSequences) -> list[Steps]:
    """Take one sequence, a stack or a list of them as a list."""
    if isinstance(labels, list | tuple) and any(np.ndim(part) for part in cast(Sequence[Any], labels)):
        parts = [signed(f"{name}[{i}]", part) for i, part in enumerate(cast(Sequence[npt.ArrayLike], labels))]
    else:
        parts = list(np.atleast_2d(signed(name, cast(npt.ArrayLike, labels))))
    for part in parts:
        if part.ndim != 1:
            raise ValueError(f"{name}: must be one sequence (T,), several (B, T) or a list of (T,), got more axes.")
    return parts


def _joined(parts: Sequence[Steps]) -> Steps:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _offsets(parts: Sequence[Steps]) -> IntArray:
    return np.cumsum([0, *(len(part) for part in parts)])


def runs_of(labels: Steps, offset: IntArray) -> Runs:
    """Find the maximal runs of one label in sequences laid end to end."""
    begins = np.empty(len(labels), dtype=np.bool_)
    np.not_equal(labels[1:], labels[:-1], out=begins[1:])
    begins[offset[:-1][offset[:-1] < len(labels)]] = True
    start = np.flatnonzero(begins)
    end = np.append(start[1:], len(labels)) if len(start) else start
    label = labels[start].astype(np.int64)
    opens = np.isin(start, offset)
    opens[1:] |= label[:-1] == IGNORE
    return Runs(start, end, label, np.cumsum(opens) - 1, offset).where(label != IGNORE)
