from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv2d.metrics import anticipation_accuracy, operation_accuracy, operation_tiou, tiou, transition_matrix

answers = st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3)), min_size=1, max_size=20)


@given(answers)
def test_degenerate_answers_stay_in_the_denominator(clips):
    true, pred = (np.array(column) for column in zip(*clips, strict=True))
    labelled = [(t, p) for t, p in clips if t != -1]
    score = operation_accuracy(true, pred)
    assert score.n_clips == len(labelled)
    assert score.n_degenerate == sum(p == -1 for _, p in labelled)
    expected = sum(t == p for t, p in labelled) / len(labelled) if labelled else math.nan
    assert score.value == pytest.approx(expected, nan_ok=True)
    if labelled:
        best_constant = max(sum(t == k for t, _ in labelled) for k in range(4)) / len(labelled)
        assert score.baseline_value == pytest.approx(best_constant)
    told = score.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert ("reason" in told) == (not labelled)


def test_the_prior_of_training_makes_the_baseline():
    assert operation_accuracy([0, 1, 1], [0, 1, 1], prior=[0.9, 0.1]).baseline_value == pytest.approx(1 / 3)
    assert operation_accuracy([0, 1, 1], [0, 1, -5]).n_degenerate == 1  # whatever is below 0 names no class


def test_segments_that_do_not_end_after_they_start_are_wrong():
    true = np.array([[10, 60.0]] * 5)
    found = [[10, 60], [10, 35], [60, 10], [np.nan, 5], [0, np.inf]]
    score = operation_tiou(true, found, clip=[0, 100])
    assert (score.value, score.n_degenerate, score.n_clips) == (0.4, 3, 5)  # an IoU of exactly one half is enough
    assert score.baseline == "whole clip"
    assert score.baseline_value == 1.0  # 50 of 100: the whole clip hits every time
    per_clip = operation_tiou(true, found, clip=[[0, 100], [0, 200], [0, 101], [10, 60], [0, 60]])
    assert per_clip.baseline_value == pytest.approx(3 / 5)


@pytest.mark.vectors("detection_ap.npz")
def test_tiou_at_one_half_of_the_vectors(vector):
    score = operation_tiou(vector["tiou_b"], vector["tiou_a"], clip=[0.0, 1e3])
    usable = vector["tiou_a"][:, 1] > vector["tiou_a"][:, 0]
    expected = ((tiou(vector["tiou_a"], vector["tiou_b"]) >= 0.5) & usable).mean()
    assert score.value == pytest.approx(expected)
    assert score.value == pytest.approx(float(vector["expected__tiou_at_50"]))


def test_the_grammar_prior_answers_with_the_commonest_successor():
    grammar = transition_matrix([[0, 1, 2, 0, 1, 0], [2, 0]], n_classes=4).without_self()
    score = anticipation_accuracy([1, 0, 2, 0, -1], [1, 0, 2, -1, 0], current=[0, 2, 1, 3, 0], grammar=grammar)
    # After 0 comes 1; after 2, 0; after 1 once 2 and once 0, so the lower; nothing follows 3 in training: 0 it is.
    assert (score.value, score.n_clips, score.n_degenerate) == (0.75, 4, 1)
    assert score.baseline_value == 0.75
    by_probability = anticipation_accuracy(
        [1, 0, 2, 0], [1, 0, 2, -1], current=[0, 2, 1, 3], grammar=grammar.probabilities
    )
    assert by_probability.baseline_value == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: operation_accuracy([0, 1], [0]), r"y_pred: one answer a clip"),
        (lambda: operation_accuracy([0], [0], prior=[-1.0, 2.0]), "prior: must be one finite weight"),
        (lambda: operation_tiou([[0, 1]], [[0, 1]], [0, 1], overlap=0), r"overlap: must lie in \(0, 1\]"),
        (lambda: operation_tiou([[0, 1]], [[0, 1, 2]], [0, 1]), r"predicted: must be \(N, 2\)"),
        (lambda: operation_tiou([[1, 0]], [[0, 1]], [0, 1]), "no end before its start"),
        (lambda: anticipation_accuracy([0], [0], current=[0, 1], grammar=np.eye(2)), "current: must have the shape"),
        (lambda: anticipation_accuracy([0], [0], current=[2], grammar=np.eye(2)), r"current: must lie in 0..1"),
        (lambda: anticipation_accuracy([0], [0], current=[0], grammar=np.eye(2)[:1]), r"grammar: must be \(K, K\)"),
    ],
)
def test_bad_input_is_told_apart(call, says):
    with pytest.raises(ValueError, match=says):
        call()
