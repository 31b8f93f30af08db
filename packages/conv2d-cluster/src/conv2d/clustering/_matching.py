"""Hungarian matching of motif ids between two labellings of the same points."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.clustering._check import Labels, check_count, check_labels
from conv2d.clustering._untyped import linear_sum_assignment


@dataclass(frozen=True, slots=True)
class MatchedMotif:
    """A motif found in both labellings.

    Attributes
    ----------
    previous : int
        Its id in the earlier labelling, which it keeps.
    current : int
        Its id in the later labelling, before matching.
    overlap : int
        Number of points that carry both ids.
    """

    previous: int
    current: int
    overlap: int


@dataclass(frozen=True, slots=True, eq=False)
class LabelMatch:
    """What `match_labels` found.

    Attributes
    ----------
    labels : int32, shape (N,)
        The current labels under their final ids; -1 stays -1.
    mapping : dict of int to int
        Final id of every current id.
    matched : tuple of MatchedMotif
        Motifs found on both sides, by previous id.
    new : tuple of int
        Final ids of motifs without a predecessor.
    retired : tuple of int
        Previous ids without a successor. They are not given out again.
    next_id : int
        The first id that was never used; pass it to the next matching.
    overlap : int64, shape (P, C)
        Number of points under each previous (row) and current (column) id, both in ascending order, noise left out.
    """

    labels: Labels
    mapping: dict[int, int]
    matched: tuple[MatchedMotif, ...]
    new: tuple[int, ...]
    retired: tuple[int, ...]
    next_id: int
    overlap: NDArray[np.int64]


def match_labels(previous: ArrayLike, current: ArrayLike, next_id: int | None = None) -> LabelMatch:
    """Give the motifs of a new labelling the ids that they had before.

    The assignment of current to previous ids maximises the number of points that keep their id (the Hungarian method
    [1]_ on the table of overlaps). Two motifs without a common point are never matched. The numbers of motifs may
    differ; points that are noise (-1) on either side do not count.

    Parameters
    ----------
    previous : int32, shape (N,)
        Earlier motif ids of the points; -1 for noise and for points that had no label yet.
    current : int32, shape (N,)
        Motif ids of the same points now; -1 for noise.
    next_id : int, optional
        First id to give to new motifs, larger than every previous id. By default one more than the largest. Pass the
        `next_id` of the earlier match so that ids retired before `previous` was made are not used again.

    Returns
    -------
    LabelMatch
        The relabelled points and what became of each motif.

    Raises
    ------
    TypeError
        If labels are not integers.
    ValueError
        If the lengths differ, an id is below -1, or `next_id` would reuse an id.

    Notes
    -----
    Of several assignments that keep equally many points, one that leaves the most current ids as they are is taken;
    where that leaves a choice, it is deterministic but arbitrary. So matching a result again changes nothing.

    References
    ----------
    .. [1] H. W. Kuhn, "The Hungarian method for the assignment problem", Naval Research Logistics Quarterly 2, 1955.

    Examples
    --------
    >>> match = match_labels(previous=[5, 5, 5, 2, 2, -1], current=[0, 0, 0, 1, 1, 2])
    >>> match.labels
    array([5, 5, 5, 2, 2, 6], dtype=int32)
    >>> match.new, match.retired, match.next_id
    ((6,), (), 7)
    """
    before, after = check_labels("previous", previous), check_labels("current", current)
    if before.shape != after.shape:
        raise ValueError(
            f"previous and current must label the same points, got {before.size} and {after.size} labels. Give points "
            "that had no label yet the previous label -1, and leave out those that are gone."
        )
    first_new = int(before.max(initial=-1)) + 1
    if next_id is not None:
        if check_count("next_id", next_id, least=0) < first_new:
            raise ValueError(
                f"next_id must be larger than every previous id, so at least {first_new}; got {next_id}, which would "
                "give a used id to a new motif."
            )
        first_new = next_id
    old_ids, new_ids, overlap = _overlaps(before, after)
    # Of equally good assignments, prefer those that leave ids as they are: matching twice is matching once.
    unchanged = (old_ids[:, None] == new_ids) & (overlap > 0)
    rows, columns = linear_sum_assignment(overlap * (min(overlap.shape) + 1) + unchanged, maximize=True)
    matched = tuple(
        MatchedMotif(int(old_ids[row]), int(new_ids[column]), int(overlap[row, column]))
        for row, column in zip(rows, columns, strict=True)
        if overlap[row, column]
    )
    mapping = {motif.current: motif.previous for motif in matched}
    unmatched = [int(motif) for motif in new_ids if int(motif) not in mapping]
    mapping.update((motif, first_new + i) for i, motif in enumerate(unmatched))
    final = np.array([mapping[int(motif)] for motif in new_ids], dtype=np.int32)
    labels = np.full_like(after, -1)
    known = after >= 0
    labels[known] = final[np.searchsorted(new_ids, after[known])]
    return LabelMatch(
        labels=labels,
        mapping=mapping,
        matched=matched,
        new=tuple(mapping[motif] for motif in unmatched),
        retired=tuple(sorted({int(motif) for motif in old_ids} - {motif.previous for motif in matched})),
        next_id=first_new + len(unmatched),
        overlap=overlap,
    )


def _overlaps(before: Labels, after: Labels) -> tuple[Labels, Labels, NDArray[np.int64]]:
    """Return the ids on both sides, ascending and without noise, and the number of points under each pair."""
    old_ids, new_ids = np.unique(before[before >= 0]), np.unique(after[after >= 0])
    both = (before >= 0) & (after >= 0)
    row = np.searchsorted(old_ids, before[both])
    column = np.searchsorted(new_ids, after[both])
    counts = np.bincount(row * len(new_ids) + column, minlength=len(old_ids) * len(new_ids))
    return old_ids, new_ids, counts.astype(np.int64).reshape(len(old_ids), len(new_ids))
