from __future__ import annotations

import json
import math
from functools import cache
from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv2d.metrics import (
    Matches,
    accuracy,
    average_precision,
    boundary_f1,
    boundary_matches,
    edit_score,
    segment_f1,
    segment_matches,
    segment_timing,
    segmental_f1,
    segments,
    tiou,
    ward_frames,
)

labels = st.lists(st.integers(0, 3), min_size=1, max_size=25)
pairs = st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 3)), min_size=1, max_size=30)


@pytest.mark.vectors("segments_*.npz")
def test_vectors(vector):
    n = int(vector["n_sequences"])
    y_true, y_pred = ([vector[f"{kind}_{i}"] for i in range(n)] for kind in ("true", "pred"))
    background = vector["background"].tolist()
    for percent in (10, 25, 50, 75):
        found = segment_matches(y_true, y_pred, overlap=percent / 100, background=background)
        assert [found.tp, found.fp, found.fn] == vector[f"expected__tp_fp_fn@{percent}"].tolist(), percent
        score = segment_f1(y_true, y_pred, overlap=percent / 100, background=background)
        assert 100 * score == pytest.approx(float(vector[f"expected__f1@{percent}"]), nan_ok=True)
    for tolerance in (0, 2, 5):
        found = boundary_matches(y_true, y_pred, tolerance=tolerance)
        assert [found.tp, found.fp, found.fn] == vector[f"expected__boundary_tp_fp_fn@{tolerance}"].tolist()
        score = boundary_f1(y_true, y_pred, tolerance=tolerance)
        assert score == pytest.approx(float(vector[f"expected__boundary_f1@{tolerance}"]), nan_ok=True)
    edit = edit_score(y_true, y_pred, background=background)
    assert 100 * edit == pytest.approx(float(vector["expected__edit"]), nan_ok=True)
    frames = accuracy(np.concatenate(y_true), np.concatenate(y_pred))
    assert frames == pytest.approx(float(vector["expected__frame_accuracy"]), nan_ok=True)


def brute_matches(true, pred, overlap):
    """The definition, segment by segment."""

    def cut(sequence):
        edges = [0, *(i for i in range(1, len(sequence)) if sequence[i] != sequence[i - 1]), len(sequence)]
        return [(a, b, sequence[a]) for a, b in pairwise(edges)]

    taken, tp, wanted = set(), 0, cut(true)
    for start, end, label in cut(pred):
        shared = [max(0, min(end, b) - max(start, a)) if label == k else 0 for a, b, k in wanted]
        ious = [s / (end - start + b - a - s) for s, (a, b, _) in zip(shared, wanted, strict=True)]
        best = ious.index(max(ious))
        if ious[best] >= overlap and best not in taken:
            taken.add(best)
            tp += 1
    return Matches(tp, len(cut(pred)) - tp, len(wanted) - tp)


@given(pairs, st.sampled_from([0.1, 0.25, 0.5, 1.0]))
def test_matching_against_its_definition(steps, overlap):
    """Ignored steps cut: each piece is matched on its own, and the counts add."""
    true, pred = (np.array(column) for column in zip(*steps, strict=True))
    pieces = np.split(np.arange(len(true)), np.flatnonzero(true == -1))
    pieces = [piece[true[piece] != -1] for piece in pieces]
    expected = sum((brute_matches(true[p], pred[p], overlap) for p in pieces if len(p)), start=Matches(0, 0, 0))
    assert segment_matches(true, pred, overlap=overlap) == expected


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=25))
def test_edit_score_against_the_recursion(steps):
    sequences = [list(column) for column in zip(*steps, strict=True)]
    one, other = ([label for label, _ in groupby(sequence)] for sequence in sequences)

    @cache
    def distance(i, j):
        if min(i, j) == 0:
            return max(i, j)
        substitute = distance(i - 1, j - 1) + (one[i - 1] != other[j - 1])
        return min(substitute, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    expected = 1 - distance(len(one), len(other)) / max(len(one), len(other))
    assert edit_score(*sequences) == pytest.approx(expected)
    beyond_a_byte = ([300 + label for label in sequence] for sequence in sequences)
    assert edit_score(*beyond_a_byte) == pytest.approx(expected)


@given(pairs, st.integers(0, 4))
def test_boundaries_are_matched_as_often_as_possible(steps, tolerance):
    """Against maximum bipartite matching by augmenting paths."""
    true, pred = (np.array(column) for column in zip(*steps, strict=True))
    kept = true != -1
    inside = kept[1:] & kept[:-1]
    chunk = np.cumsum(~kept)
    wanted, found = (np.flatnonzero((seq[1:] != seq[:-1]) & inside) for seq in (true, pred))
    partner: dict[int, int] = {}

    def augment(b, seen):
        for c in found.tolist():
            if abs(c - b) <= tolerance and chunk[c] == chunk[b] and c not in seen:
                seen.add(c)
                if c not in partner or augment(partner[c], seen):
                    partner[c] = b
                    return True
        return False

    tp = sum(augment(b, set()) for b in wanted.tolist())
    assert boundary_matches(true, pred, tolerance=tolerance) == Matches(tp, len(found) - tp, len(wanted) - tp)


@given(labels)
def test_the_truth_scores_one(sequence):
    assert segment_f1(sequence, sequence, overlap=1.0) == 1.0
    assert edit_score(sequence, sequence) == 1.0
    changes = np.any(np.diff(sequence))
    assert boundary_f1(sequence, sequence) == pytest.approx(1.0 if changes else math.nan, nan_ok=True)


@given(st.lists(labels, min_size=1, max_size=4))
def test_sequences_pool_and_never_run_into_each_other(sequences):
    shuffled = [sequence[::-1] for sequence in sequences]
    parts = [segment_matches(a, b) for a, b in zip(sequences, shuffled, strict=True)]
    assert segment_matches(sequences, shuffled) == sum(parts, start=Matches(0, 0, 0))
    edits = [edit_score(a, b) for a, b in zip(sequences, shuffled, strict=True)]
    assert edit_score(sequences, shuffled) == pytest.approx(np.mean(edits))


def test_a_stack_is_a_list_of_sequences():
    stack = np.array([[0, 0, 1, 1], [1, 1, 2, 2]])
    assert segment_matches(stack, stack[:, ::-1]) == segment_matches(list(stack), list(stack[:, ::-1]))


def test_all_background_truth_makes_every_segment_false():
    assert segment_matches([0] * 6, [0, 1, 1, 0, 2, 2], background=[0]) == Matches(0, 2, 0)
    nothing = segment_matches([0, 0], [0, 0], background=[0])
    assert math.isnan(nothing.f1)
    assert math.isnan(edit_score([0, 0], [0, 0], background=[0]))
    told = nothing.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["reason"] == "nothing predicted and nothing true"


def test_an_iou_of_exactly_one_half_is_a_match_at_50():
    assert segment_matches([1, 1, 2, 2], [1, 2, 2, 2], overlap=0.5).tp == 2


@given(st.lists(st.integers(0, 9), min_size=4, max_size=4))
def test_tiou_counts_steps(ends):
    (a, b), (c, d) = sorted(ends[:2]), sorted(ends[2:])
    one, other = set(range(a, b)), set(range(c, d))
    expected = len(one & other) / len(one | other) if one | other else 0.0
    assert tiou([a, b], [c, d]) == pytest.approx(expected)
    assert tiou([a, b], [c, d]) == tiou([c, d], [a, b])


@pytest.mark.vectors("detection_ap.npz")
def test_tiou_vectors(vector):
    np.testing.assert_allclose(tiou(vector["tiou_a"], vector["tiou_b"]), vector["expected__tiou"])


@pytest.mark.vectors("detection_ap.npz")
def test_average_precision_vectors(vector):
    found = average_precision(vector["gt"], vector["pred"], overlaps=vector["thresholds"])
    np.testing.assert_allclose(found.by_class, vector["expected__ap"], atol=1e-12)
    np.testing.assert_allclose(found.by_overlap, vector["expected__map"], atol=1e-12)
    assert found.mean == pytest.approx(float(vector["expected__average_map"]))
    assert (tiou(vector["tiou_a"], vector["tiou_b"]) >= 0.5).mean() == pytest.approx(
        float(vector["expected__tiou_at_50"])
    )


def test_a_detection_has_a_second_choice_and_a_predicted_segment_has_not():
    true = [[0, 0, 10, 1], [0, 10, 22, 1]]
    found = average_precision(true, [[0, 0, 10, 1, 0.9], [0, 0, 20, 1, 0.8]], overlaps=[0.4])
    assert found.by_overlap == [1.0]
    nothing = average_precision([], [[0, 0, 1, 1, 0.5]])
    assert math.isnan(nothing.mean)
    assert nothing.to_dict()["reason"] == "nothing is true"
    missed = average_precision(true, [])
    assert missed.mean == 0.0


def test_segments_are_runs_with_times():
    found = segments([[0, 0, 1], [1, -1, 1]], background=[0], step=2.0)
    np.testing.assert_array_equal(found.rows, [[0, 4, 6, 1], [1, 0, 2, 1], [1, 4, 6, 1]])
    assert len(found) == 3
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()
    assert segmental_f1 is segment_f1


@given(pairs)
def test_timing_against_its_definition(steps):
    true, pred = (np.array(column) for column in zip(*steps, strict=True))
    timing = segment_timing(true, pred, step=0.5)
    cut = segments(true)
    latency = []
    for start, end, label in zip(cut.start.astype(int), cut.end.astype(int), cut.label, strict=True):
        hits = np.flatnonzero(pred[start:end] == label)
        latency.append(hits[0] * 0.5 if len(hits) else math.nan)
    np.testing.assert_array_equal(timing.latency, latency)
    assert len(timing.onset) == segment_matches(true, pred).tp
    told = timing.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_edges_that_the_recording_cuts_are_not_judged():
    timing = segment_timing([1, 1, 1, 2, 2, 2, 1, 1], [1, 1, 1, 1, 2, 2, 2, 1])
    np.testing.assert_array_equal(timing.onset, [math.nan, 1, 1])
    np.testing.assert_array_equal(timing.offset, [1, 1, math.nan])
    assert timing.onset_error == timing.onset_bias == 1.0
    late = segment_timing([0, 1, 1, 1, 0], [0, 0, 0, 0, 0], background=[0])
    assert late.detected == 0.0
    assert math.isnan(late.median_latency)
    assert "onset_error" in late.to_dict()["reason"]


@pytest.mark.vectors("segments_*.npz")
def test_ward_vectors(vector):
    true, pred = vector["true_0"], vector["pred_0"]
    labelled = np.flatnonzero(true != -1)
    ignored = np.flatnonzero(true[labelled[0] :] == -1)
    first = slice(labelled[0], labelled[0] + ignored[0] if len(ignored) else None)
    found = ward_frames(true[first], pred[first])
    for key in (key for key in vector if key.startswith("expected__ward_class")):
        row = found.counts[found.classes == int(key.removeprefix("expected__ward_class"))]
        np.testing.assert_array_equal(row, vector[key][None], err_msg=key)


@given(pairs)
def test_every_step_has_one_category_and_chunks_add(steps):
    true, pred = (np.array(column) for column in zip(*steps, strict=True))
    found = ward_frames(true, pred)
    kept = true != -1
    assert (found.counts.sum(axis=1) == kept.sum()).all()
    for k, label in enumerate(found.classes):
        hit, wrong = (true == label) & (pred == label), kept & (true == label) & (pred != label)
        assert found["true_positive"][k] == hit.sum()
        missing = ("deletion", "fragmentation", "underfill_start", "underfill_end")
        assert sum(found[name][k] for name in missing) == wrong.sum()
    pieces = [piece[true[piece] != -1] for piece in np.split(np.arange(len(true)), np.flatnonzero(~kept))]
    parts = [ward_frames(true[piece], pred[piece]) for piece in pieces if len(piece)]
    for k, label in enumerate(found.classes):
        total = sum((part.counts[part.classes == label].sum(axis=0) for part in parts), np.zeros(10, int))
        absent = sum(len(piece) for piece in pieces) - sum(total)
        total[1] += absent  # pieces in which the class does not occur are true negatives
        np.testing.assert_array_equal(found.counts[k], total)
    told = found.to_dict()
    assert json.loads(json.dumps(told)) == told


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: segment_f1([0], [0], overlap=50), ValueError, r"overlap: must lie in \(0, 1\], got 50"),
        (lambda: segment_f1([0, 1], [0]), ValueError, r"y_pred: must have the sequence lengths of y_true \[2\]"),
        (lambda: segment_f1([[0, 1], [0]], [[0], [0, 1]]), ValueError, "sequence lengths"),
        (lambda: segment_f1([0.5], [0]), TypeError, "y_true: class indices must be integers"),
        (lambda: segment_f1(np.zeros((1, 1, 1), int), [0]), ValueError, "y_true: must be one sequence"),
        (lambda: segment_f1([0], [-1]), ValueError, "y_pred: a prediction is a class index"),
        (lambda: boundary_f1([0], [0], tolerance=-1), ValueError, "tolerance: .* at least 0"),
        (lambda: average_precision([[0, 1, 2]], []), ValueError, r"true: must be \(recording, start, end, class\)"),
        (
            lambda: average_precision([], [[0, 1, 0, 1, 1]]),
            ValueError,
            "detected: times must be finite and no end before",
        ),
        (lambda: average_precision([], [[0, 1, 2, 1, np.nan]]), ValueError, "detected: NaN in row 0"),
        (lambda: average_precision([], [], overlaps=[50]), ValueError, "overlaps: one or more overlaps in"),
        (lambda: segments([0], step=0), ValueError, "step: must be a positive"),
        (lambda: tiou([0, 1, 2], [0, 1]), ValueError, "one: the last axis holds start and end"),
        (lambda: tiou([0, 1], [2, 1]), ValueError, "other: times must be finite and no end before its start"),
    ],
)
def test_bad_input_is_told_apart(call, error, says):
    with pytest.raises(error, match=says):
        call()
