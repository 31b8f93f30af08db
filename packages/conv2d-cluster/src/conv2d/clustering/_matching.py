"""Hungarian matching of motif ids between two labellings of the same points."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.clustering._check import Features, Labels, check_choice, check_count, check_finite, check_labels
from conv2d.clustering._untyped import linear_sum_assignment

Measure = Literal["overlap", "iou", "centroid"]
MEASURES = ("overlap", "iou", "centroid")

# Similarities that are fractions are compared to nine digits, so that rounding cannot decide between equals.
_DIGITS = 1e9
# A match is ambiguous if another pair, which shares one of its motifs, is more than half as similar.
_AMBIGUOUS = 0.5


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
    similarity : float
        By the measure of the matching: points, intersection over union, or closeness of the centroids.
    confidence : float
        One minus the similarity of the strongest rival over the own similarity, at least 0. A rival is a pair that
        shares one of the two motifs: 1 says that there is none, 0 that one is as similar or more.
    """

    previous: int
    current: int
    overlap: int
    similarity: float
    confidence: float


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
    ambiguous : tuple of int
        Matched ids whose confidence is below 0.5: a motif that was split or joined, say. Look at them before you
        trust the name.
    next_id : int
        The first id that was never used; pass it to the next matching.
    by : {"overlap", "iou", "centroid"}
        What was compared.
    overlap : int64, shape (P, C)
        Number of points under each previous (row) and current (column) id, both in ascending order, noise left out.
    """

    labels: Labels
    mapping: dict[int, int]
    matched: tuple[MatchedMotif, ...]
    new: tuple[int, ...]
    retired: tuple[int, ...]
    ambiguous: tuple[int, ...]
    next_id: int
    by: Measure
    overlap: NDArray[np.int64]

    def to_dict(self) -> dict[str, Any]:
        """Return all but `labels` as JSON values."""
        return {
            "by": self.by,
            "matched": [asdict(motif) for motif in self.matched],
            "mapping": [[current, final] for current, final in self.mapping.items()],
            "new": list(self.new),
            "retired": list(self.retired),
            "ambiguous": list(self.ambiguous),
            "next_id": self.next_id,
            "overlap": self.overlap.tolist(),
        }


def match_labels(
    previous: ArrayLike,
    current: ArrayLike,
    next_id: int | None = None,
    *,
    by: Measure = "overlap",
    features: ArrayLike | None = None,
) -> LabelMatch:
    """Give the motifs of a new labelling the ids that they had before.

    The assignment of current to previous ids maximises the summed similarity of the matched motifs (the Hungarian
    method [1]_). Motifs that are not similar at all are never matched. The numbers of motifs may differ; points that
    are noise (-1) on either side do not count.

    Parameters
    ----------
    previous : int32, shape (N,)
        Earlier motif ids of the points; -1 for noise and for points that had no label yet.
    current : int32, shape (N,)
        Motif ids of the same points now; -1 for noise.
    next_id : int, optional
        First id to give to new motifs, larger than every previous id. By default one more than the largest. Pass the
        `next_id` of the earlier match so that ids retired before `previous` was made are not used again.
    by : {"overlap", "iou", "centroid"}
        What makes two motifs similar. "overlap": the number of common points; the matching then keeps the ids of as
        many points as possible. "iou": common points over points in either, so that small motifs count as much as
        large ones. "centroid": ``1 - d / (r + s)``, with d the Euclidean distance of the centroids and r, s the
        root-mean-square distances of the points to them, nought if negative: motifs in the same place match, even if
        different points were labelled before and now.
    features : float, shape (N, F), optional
        The points themselves; needed by "centroid" and by nothing else.

    Returns
    -------
    LabelMatch
        The relabelled points and what became of each motif.

    Raises
    ------
    TypeError
        If labels are not integers.
    ValueError
        If the lengths differ, an id is below -1, `next_id` would reuse an id, new ids would not fit into int32, or `by`
        and `features` do not fit.

    Notes
    -----
    Of several assignments with the same summed similarity, one that leaves the most current ids as they are is taken;
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
    >>> split = match_labels(previous=[0, 0, 0, 0, 0, 1], current=[0, 0, 0, 2, 2, 1])
    >>> [motif.confidence for motif in split.matched], split.ambiguous
    ([0.33333333333333337, 1.0], (0,))
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
    check_choice("by", by, MEASURES)
    if (by == "centroid") != (features is not None):
        raise ValueError('features belong to by="centroid", which needs them; the other measures only compare labels.')
    old_ids, new_ids, overlap = _overlaps(before, after)
    similarity = _similarity(before, after, overlap, by, features)
    # Of equally good assignments, prefer those that leave ids as they are: matching twice is matching once.
    unchanged = (old_ids[:, None] == new_ids) & (similarity > 0)
    gain = overlap if by == "overlap" else np.rint(similarity * _DIGITS).astype(np.int64)
    rows, columns = linear_sum_assignment(gain * (min(overlap.shape) + 1) + unchanged, maximize=True)
    matched = tuple(
        MatchedMotif(
            previous=int(old_ids[row]),
            current=int(new_ids[column]),
            overlap=int(overlap[row, column]),
            similarity=float(similarity[row, column]),
            confidence=_confidence(similarity, row, column),
        )
        for row, column in zip(rows, columns, strict=True)
        if gain[row, column]
    )
    mapping = {motif.current: motif.previous for motif in matched}
    unmatched = [int(motif) for motif in new_ids if int(motif) not in mapping]
    if first_new + len(unmatched) > np.iinfo(np.int32).max:
        raise ValueError(
            f"{len(unmatched)} new motifs need ids from {first_new} on, beyond the largest int32. Number the earlier "
            "motifs anew, from 0."
        )
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
        ambiguous=tuple(motif.previous for motif in matched if motif.confidence < _AMBIGUOUS),
        next_id=first_new + len(unmatched),
        by=by,
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


def _similarity(
    before: Labels, after: Labels, overlap: NDArray[np.int64], by: Measure, features: ArrayLike | None
) -> NDArray[np.float64]:
    """Return the similarity of every previous motif with every current one, 0 where they must not match."""
    if by == "overlap":
        return overlap.astype(np.float64)
    if features is None:
        sizes = [np.unique(labels[labels >= 0], return_counts=True)[1] for labels in (before, after)]
        return overlap / (sizes[0][:, None] + sizes[1] - overlap)
    points = _checked_points(features, before.size)
    (old_centers, old_radii), (new_centers, new_radii) = _centroids(points, before), _centroids(points, after)
    if not (len(old_centers) and len(new_centers)):
        return np.zeros(overlap.shape)
    # By differences: a product of matrices would put equal centroids a little apart.
    apart: NDArray[np.float64] = np.sqrt(((old_centers[:, None] - new_centers) ** 2).sum(axis=2))
    reach: NDArray[np.float64] = old_radii[:, None] + new_radii
    # Motifs of one repeated point have no radius: they are the same place or they are not.
    return np.where(apart < reach, 1 - apart / np.where(reach > 0, reach, 1), (apart == 0).astype(np.float64))


def _checked_points(features: ArrayLike, rows: int) -> Features:
    points = np.asarray(features, dtype=np.float64)
    if points.ndim != 2 or len(points) != rows:
        raise ValueError(f"features must have shape ({rows}, F), one row per label; got {points.shape}.")
    check_finite(points)
    return points


def _centroids(points: Features, labels: Labels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the centroid of each motif, (M, F), and the root-mean-square distance of its points to it, (M,)."""
    ids = np.unique(labels[labels >= 0])
    members = [points[labels == motif] for motif in ids]
    centers = np.array([rows.mean(axis=0) for rows in members]).reshape(len(ids), points.shape[1])
    radii = [np.sqrt(((rows - center) ** 2).sum(axis=1).mean()) for rows, center in zip(members, centers, strict=True)]
    return centers, np.array(radii)


def _confidence(similarity: NDArray[np.float64], row: int, column: int) -> float:
    own = similarity[row, column]
    rivals = np.concatenate([np.delete(similarity[row], column), np.delete(similarity[:, column], row)])
    return float(1 - min(rivals.max(initial=0.0) / own, 1.0))
