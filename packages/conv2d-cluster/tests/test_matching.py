"""Hungarian matching against the reference vectors, all permutations, and its promises."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from conv2d.clustering import match_labels

Shared = Callable[..., Path]


@st.composite
def labellings(draw: st.DrawFn) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Two labellings of the same points."""
    pairs = draw(st.lists(st.tuples(st.integers(-1, 5), st.integers(-1, 5)), max_size=40))
    table = np.array(pairs, dtype=np.int32).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def as_labels(table: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Labels with the given contingency table."""
    rows, columns = np.indices(table.shape)
    counts = table.reshape(-1)
    return np.repeat(rows.reshape(-1), counts).astype(np.int32), np.repeat(columns.reshape(-1), counts).astype(np.int32)


@pytest.mark.parametrize("case", ["sq4", "sq6", "more_pred", "more_true", "ties", "zeros"])
def test_reference_tables(shared: Shared, case: str) -> None:
    vectors = np.load(shared("vectors", "hungarian.npz"))
    table = vectors[f"{case}.C"]
    match = match_labels(*as_labels(table))
    assert sum(motif.overlap for motif in match.matched) == vectors[f"{case}.total"]
    assert all(table[motif.previous, motif.current] == motif.overlap for motif in match.matched)
    if vectors[f"{case}.n_optimal"] == 1:
        expected = [
            (row, column)
            for row, column in zip(vectors[f"{case}.rows"], vectors[f"{case}.cols"], strict=True)
            if table[row, column]
        ]
        assert [(motif.previous, motif.current) for motif in match.matched] == expected


def test_reference_labels_with_a_planted_permutation(shared: Shared) -> None:
    vectors = np.load(shared("vectors", "hungarian.npz"))
    previous, current = vectors["sq8_labels.y_true"], vectors["sq8_labels.y_pred"]
    match = match_labels(previous, current)
    assert np.array_equal(match.overlap, vectors["sq8_labels.C"])
    assert match.mapping == {int(c): p for p, c in enumerate(vectors["sq8_labels.perm_true_to_pred"])}
    assert np.mean(match.labels == previous) == vectors["sq8_labels.total"] / previous.size


@given(labellings())
def test_no_other_assignment_keeps_more_points(pair: tuple[NDArray[np.int32], NDArray[np.int32]]) -> None:
    previous, current = pair
    match = match_labels(previous, current)
    table = np.array([[np.sum((previous == p) & (current == c)) for c in range(6)] for p in range(6)])
    permutations = np.array(list(itertools.permutations(range(6))))
    best = table[permutations, np.arange(6)].sum(axis=1).max()
    assert np.sum((match.labels == previous) & (previous >= 0)) == best


@given(labellings())
def test_promises(pair: tuple[NDArray[np.int32], NDArray[np.int32]]) -> None:
    previous, current = pair
    match = match_labels(previous, current)
    assert match.labels.dtype == np.int32
    assert np.array_equal(match.labels == -1, current == -1)
    # The same partition under other names.
    assert len(set(match.mapping.values())) == len(match.mapping) == len(set(current[current >= 0]))
    assert all(match.mapping.get(int(c), -1) == label for c, label in zip(current, match.labels, strict=True))
    old, kept = set(previous[previous >= 0]), {motif.previous for motif in match.matched}
    assert set(match.retired) == old - kept
    assert not set(match.new) & old
    assert all(motif.overlap > 0 for motif in match.matched)
    assert match.next_id == max([*old, *match.new], default=-1) + 1
    assert match.overlap.sum() == np.sum((previous >= 0) & (current >= 0))
    # Matching again changes nothing.
    assert np.array_equal(match_labels(previous, match.labels).labels, match.labels)
    assert np.array_equal(match_labels(current, current).labels, current)


@given(st.lists(labellings(), min_size=1, max_size=5))
def test_retired_ids_are_never_used_again(refits: list[tuple[NDArray[np.int32], NDArray[np.int32]]]) -> None:
    size = min(len(pair[1]) for pair in refits)
    labels = refits[0][0][:size]
    next_id, alive, retired = 6, set(labels[labels >= 0].tolist()), set()
    for _, current in refits:
        match = match_labels(labels, current[:size], next_id)
        assert not set(match.new) & (alive | retired)
        retired |= set(match.retired)
        alive = {int(label) for label in match.labels if label >= 0}
        assert not alive & retired
        labels, next_id = match.labels, match.next_id


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0, 1], [0]), ValueError, "same points"),
        (([0.0], [0]), TypeError, "previous.*float64"),
        (([0], [True]), TypeError, "current.*bool"),
        (([[0]], [0]), ValueError, r"\(1, 1\)"),
        (([-2], [0]), ValueError, "-2"),
        (([3], [0], 3), ValueError, "at least 4"),
        (([3], [0], 4.5), TypeError, "next_id"),
        (([2**31 - 1, 2**31 - 1], [0, 1]), ValueError, "largest int32"),
    ],
)
def test_bad_input_is_named(arguments: tuple, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        match_labels(*arguments)


@example((np.array([1, 1, 1, 0], dtype=np.int32), np.array([0, 0, 0, 1], dtype=np.int32)), "centroid", 2)
@given(labellings(), st.sampled_from(["overlap", "iou", "centroid"]), st.integers(0, 3))
def test_no_assignment_has_a_larger_sum_by_any_measure(
    pair: tuple[NDArray[np.int32], NDArray[np.int32]], by: Literal["overlap", "iou", "centroid"], seed: int
) -> None:
    previous, current = pair
    points = np.random.default_rng(seed).normal(size=(previous.size, 2))
    extra: dict[str, Any] = {"features": points} if by == "centroid" else {}
    match = match_labels(previous, current, by=by, **extra)
    table = np.zeros((6, 6))
    for p, c in itertools.product(range(6), range(6)):
        one, two = previous == p, current == c
        if not (one.any() and two.any()):
            continue
        if by == "overlap":
            table[p, c] = np.sum(one & two)
        elif by == "iou":
            table[p, c] = np.sum(one & two) / np.sum(one | two)
        else:
            apart = np.linalg.norm(points[one].mean(axis=0) - points[two].mean(axis=0))
            reach = points[one].var(axis=0).sum() ** 0.5 + points[two].var(axis=0).sum() ** 0.5
            table[p, c] = max(0.0, 1 - apart / reach) if reach > 0 else float(apart == 0)
    permutations = np.array(list(itertools.permutations(range(6))))
    best = table[permutations, np.arange(6)].sum(axis=1).max()
    assert sum(motif.similarity for motif in match.matched) == pytest.approx(best, abs=1e-7)
    for motif in match.matched:
        assert motif.similarity == pytest.approx(table[motif.previous, motif.current])
        rivals = [*np.delete(table[motif.previous], motif.current), *np.delete(table[:, motif.current], motif.previous)]
        assert motif.confidence == pytest.approx(max(0.0, 1 - max(rivals) / motif.similarity), abs=1e-7)
        assert (motif.previous in match.ambiguous) == (motif.confidence < 0.5)
    assert np.array_equal(match_labels(previous, match.labels, by=by, **extra).labels, match.labels)


def test_iou_lets_small_motifs_keep_their_ids() -> None:
    # A motif of 10 points is found again within one of 14, and four of its points lie in what was a large one.
    previous = np.repeat([0, 1], [100, 10])
    current = np.concatenate([np.full(88, 5), np.full(12, 6), np.full(10, 6)])
    by_overlap, by_iou = match_labels(previous, current), match_labels(previous, current, by="iou")
    assert by_overlap.mapping == by_iou.mapping == {5: 0, 6: 1}
    assert by_overlap.ambiguous == (1,)  # 12 of the points of motif 6 came from motif 0, only 10 from motif 1
    assert by_iou.ambiguous == ()


def test_centroids_match_where_points_do_not() -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(0, 1, (40, 3)), rng.normal(8, 1, (40, 3))])
    half = np.arange(80) % 2 == 0
    previous = np.where(half, np.repeat([3, 9], 40), -1)
    current = np.where(half, -1, np.repeat([1, 0], 40))
    assert match_labels(previous, current).matched == ()  # no point has both labels
    match = match_labels(previous, current, by="centroid", features=points)
    assert match.mapping == {1: 3, 0: 9}
    assert all(motif.overlap == 0 and motif.confidence == 1 for motif in match.matched)
    assert json.loads(json.dumps(match.to_dict()))["by"] == "centroid"


def test_a_measure_and_its_features_belong_together() -> None:
    with pytest.raises(ValueError, match="needs them"):
        match_labels([0], [0], by="centroid")
    with pytest.raises(ValueError, match="needs them"):
        match_labels([0], [0], features=[[1.0]])
    with pytest.raises(ValueError, match=r"\(1, F\)"):
        match_labels([0], [0], by="centroid", features=[[1.0], [2.0]])
    with pytest.raises(ValueError, match="NaN"):
        match_labels([0], [0], by="centroid", features=[[np.nan]])
    with pytest.raises(ValueError, match="'iou'"):
        match_labels([0], [0], by="dice")  # pyright: ignore[reportArgumentType]
