"""Hungarian matching against the reference vectors, all permutations, and its promises."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
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
    ],
)
def test_bad_input_is_named(arguments: tuple, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        match_labels(*arguments)
