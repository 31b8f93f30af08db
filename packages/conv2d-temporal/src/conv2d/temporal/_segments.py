"""Segments: the half-open bouts of a label sequence, in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.temporal._check import Labels, check_at_least, check_labels, check_probabilities, check_seconds
from conv2d.temporal._runs import find_runs

# An edge may miss the grid of steps by this fraction of a step: rounding in files, not a different grid.
_GRID_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Segment:
    """One bout of a label, ``start_s <= t < end_s``.

    Attributes
    ----------
    start_s, end_s : float
        Seconds; the end is not part of the segment.
    label : int or str
        Label id, or its name where names were given.
    confidence : float or None
        Mean probability of the label over the segment's steps; None where no probabilities were given.

    Examples
    --------
    >>> Segment(1.0, 3.5, "trot", 0.93).duration_s
    2.5
    """

    start_s: float
    end_s: float
    label: int | str
    confidence: float | None = None

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


def to_segments(
    labels: ArrayLike,
    hop_s: float,
    start_s: float = 0.0,
    probabilities: ArrayLike | None = None,
    label_names: Sequence[str] | None = None,
) -> tuple[Segment, ...]:
    """Return the segments of one label sequence, in order.

    Step i covers the time from ``start_s + i * hop_s`` to ``start_s + (i + 1) * hop_s``. Steps labelled -1 belong to no
    segment and end the one before.

    Parameters
    ----------
    labels : int32, shape (T,)
        One label per step; -1 marks a step to ignore.
    hop_s : float
        Seconds from one step to the next.
    start_s : float
        Time of the first step in seconds.
    probabilities : float32 or float64, shape (T, K), optional
        Class probabilities of each step, for the confidence.
    label_names : sequence of str, optional
        Name of each label id; segments then carry names.

    Returns
    -------
    tuple of Segment
        In order of time, without overlap.

    Raises
    ------
    TypeError
        If `labels` are not integers or `probabilities` not floats.
    ValueError
        If a shape or a value breaks the rules above, or a label has no name.

    Examples
    --------
    >>> for segment in to_segments([0, 0, -1, 1], hop_s=0.5, label_names=["walk", "trot"]):
    ...     print(segment)
    Segment(start_s=0.0, end_s=1.0, label='walk', confidence=None)
    Segment(start_s=1.5, end_s=2.0, label='trot', confidence=None)
    """
    steps = _one_sequence(check_labels(labels))
    check_seconds("hop_s", hop_s)
    names = None if label_names is None else _names(label_names)
    if names is not None and steps.max(initial=-1) >= len(names):
        raise ValueError(
            f"label_names has {len(names)} names, but labels reach {steps.max()}; each label needs a name."
        )
    chosen: NDArray[np.floating] | None = None
    if probabilities is not None:
        table = check_probabilities(probabilities, steps)
        chosen = np.take_along_axis(table, np.maximum(steps, 0)[:, None].astype(np.intp), axis=1)[:, 0]
    return tuple(
        Segment(
            start_s=start_s + first * hop_s,
            end_s=start_s + stop * hop_s,
            label=label if names is None else names[label],
            confidence=None if chosen is None else float(chosen[first:stop].mean(dtype=np.float64)),
        )
        for first, stop, label in find_runs(steps).spans()
        if label >= 0
    )


def from_segments(
    segments: Sequence[Segment],
    hop_s: float,
    start_s: float = 0.0,
    n_steps: int | None = None,
    label_names: Sequence[str] | None = None,
) -> Labels:
    """Return the label sequence of `segments`: the inverse of `to_segments`.

    Parameters
    ----------
    segments : sequence of Segment
        In any order, without overlap, with edges on the grid ``start_s + i * hop_s``.
    hop_s : float
        Seconds from one step to the next.
    start_s : float
        Time of the first step in seconds.
    n_steps : int, optional
        Length of the result; by default it ends with the last segment. Needed to get back steps labelled -1 at the end.
    label_names : sequence of str, optional
        Name of each label id, where segments carry names.

    Returns
    -------
    int32, shape (T,)
        One label per step; -1 where no segment lies.

    Raises
    ------
    ValueError
        If a segment is empty, lies off the grid or outside the sequence, overlaps another, or its label is unknown.

    Examples
    --------
    >>> from_segments([Segment(0.0, 1.0, 4), Segment(1.5, 2.0, 7)], hop_s=0.5, n_steps=5)
    array([ 4,  4, -1,  7, -1], dtype=int32)
    """
    check_seconds("hop_s", hop_s)
    ids = None if label_names is None else {name: i for i, name in enumerate(_names(label_names))}
    spans = sorted((_steps(segment, hop_s, start_s), _label_id(segment, ids)) for segment in segments)
    last = max((span[1] for span, _ in spans), default=0)
    if n_steps is None:
        n_steps = last
    check_at_least("n_steps", n_steps, 0)
    if last > n_steps:
        raise ValueError(f"A segment ends at step {last}, but n_steps={n_steps}: n_steps must reach its end.")
    labels = np.full(n_steps, -1, dtype=np.int32)
    end = 0
    for (first, stop), label in spans:
        if first < end:
            raise ValueError(
                f"Segments must not overlap: one starts at step {first} ({start_s + first * hop_s:g} s) before the one "
                f"ahead of it ends at step {end} ({start_s + end * hop_s:g} s)."
            )
        labels[first:stop] = label
        end = stop
    return labels


def _one_sequence(labels: Labels) -> Labels:
    if labels.ndim != 1:
        raise ValueError(
            f"to_segments takes one sequence of shape (T,), got {labels.shape}: call it once for each row of a batch."
        )
    return labels


def _names(label_names: Sequence[str]) -> tuple[str, ...]:
    names = tuple(label_names)
    if len(set(names)) < len(names):
        raise ValueError(f"label_names must be distinct, got {names!r}.")
    return names


def _steps(segment: Segment, hop_s: float, start_s: float) -> tuple[int, int]:
    """Return the first step of a segment and the one after its last."""
    edges = ((segment.start_s - start_s) / hop_s, (segment.end_s - start_s) / hop_s)
    if not all(np.isfinite(edge) and abs(edge - round(edge)) <= _GRID_TOLERANCE for edge in edges):
        raise ValueError(
            f"{segment} does not lie on the grid of steps: its edges must be start_s + i * hop_s with "
            f"start_s={start_s:g}, hop_s={hop_s:g}, but fall at steps {edges[0]:.6g} and {edges[1]:.6g}."
        )
    first, stop = round(edges[0]), round(edges[1])
    if not 0 <= first < stop:
        raise ValueError(
            f"{segment} must start at or after start_s={start_s:g} and end after its start, by at least one step."
        )
    return first, stop


def _label_id(segment: Segment, ids: dict[str, int] | None) -> int:
    label = segment.label
    if isinstance(label, str):
        if ids is None or label not in ids:
            known = "no label_names were given" if ids is None else f"label_names has {sorted(ids)}"
            raise ValueError(f"{segment} has a label name that cannot be turned into an id: {known}.")
        return ids[label]
    if ids is not None and label >= len(ids):
        raise ValueError(f"{segment} has label {label}, but label_names has {len(ids)} names.")
    if label < 0:
        raise ValueError(f"{segment} has a negative label: leave steps to ignore out of the segments.")
    return int(label)
