from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from conv2d.metrics import (
    _confusion,
    accuracy,
    balanced_accuracy,
    classification_report,
    confusion_matrix,
    f1_score,
)
from conv2d.metrics._inputs import predicted
from conv2d.metrics._sums import confusion_sums

peer: Any = sklearn.metrics
unchecked_f1: Any = f1_score  # to pass what a type checker would refuse
pairs = st.lists(st.tuples(st.integers(-1, 5), st.integers(0, 5)), min_size=1, max_size=60)


@pytest.mark.vectors("calibration_*.npz")
def test_vectors(vector):
    y_true, y_pred, n_classes = vector["labels"], vector["expected__pred"], vector["probs"].shape[1]
    if len(y_pred) != len(y_true):  # the file keeps predictions of the labelled windows only
        y_true = y_true[y_true != -1]
    for rule in ("present", "true", "all"):
        score = f1_score(y_true, y_pred, classes=rule, n_classes=n_classes)
        assert score == pytest.approx(vector[f"expected__macro_f1_{rule}"], abs=1e-15)
    assert accuracy(y_true, y_pred) == pytest.approx(vector["expected__accuracy"], abs=1e-15)
    np.testing.assert_array_equal(confusion_matrix(y_true, y_pred, n_classes=n_classes), vector["expected__confusion"])


@given(pairs)
def test_agrees_with_scikit_learn(windows):
    kept = [(true, pred) for true, pred in windows if true != -1]
    y_true, y_pred = map(list, zip(*windows, strict=True))
    if not kept:
        assert np.isnan([accuracy(y_true, y_pred), balanced_accuracy(y_true, y_pred), f1_score(y_true, y_pred)]).all()
        return
    true, pred = zip(*kept, strict=True)
    assert accuracy(y_true, y_pred) == pytest.approx(peer.accuracy_score(true, pred))
    recalls = peer.recall_score(true, pred, labels=sorted(set(true)), average=None, zero_division=0.0)
    assert balanced_accuracy(y_true, y_pred) == pytest.approx(np.mean(recalls))
    for average in ("macro", "weighted", "micro"):
        expected = peer.f1_score(true, pred, average=average, zero_division=0.0)
        assert f1_score(y_true, y_pred, average=average) == pytest.approx(expected)
    everyone = peer.f1_score(true, pred, labels=range(7), average="macro", zero_division=0.0)
    assert f1_score(y_true, y_pred, classes="all", n_classes=7) == pytest.approx(everyone)
    labelled = peer.f1_score(true, pred, labels=sorted(set(true)), average="macro", zero_division=0.0)
    assert f1_score(y_true, y_pred, classes="true") == pytest.approx(labelled)
    np.testing.assert_array_equal(
        confusion_matrix(y_true, y_pred, n_classes=6), peer.confusion_matrix(true, pred, labels=range(6))
    )


@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_windows_does_not_matter(windows, random):
    shuffled = random.sample(windows, len(windows))
    there, here = (tuple(map(list, zip(*order, strict=True))) for order in (windows, shuffled))
    assert f1_score(*there) == pytest.approx(f1_score(*here), nan_ok=True, abs=0)


@given(pairs, pairs)
def test_shards_add_to_the_whole(one, two):
    tables = [confusion_matrix(*map(list, zip(*part, strict=True)), n_classes=6) for part in (one, two, one + two)]
    np.testing.assert_array_equal(tables[0] + tables[1], tables[2])


def test_sequences_of_any_shape_are_one_pile_of_windows():
    y_true, y_pred = np.array([[0, 1, -1], [2, 2, 0]]), np.array([[0, 1, 1], [2, 0, 0]])
    assert accuracy(y_true, y_pred) == 0.8
    np.testing.assert_array_equal(confusion_matrix(y_true, y_pred), confusion_matrix(y_true.ravel(), y_pred.ravel()))


def test_a_report_leaves_the_undefined_undefined():
    report = classification_report([0, 0, 1], [0, 2, 2], n_classes=4)
    np.testing.assert_array_equal(report.precision, [1, np.nan, 0, np.nan])
    np.testing.assert_array_equal(report.recall, [0.5, 0, np.nan, np.nan])
    np.testing.assert_array_equal(report.f1, [2 / 3, 0, 0, np.nan])
    assert [row.get("reason") for row in report.rows()] == [
        None,
        "never predicted",
        "never labelled",
        "never labelled and never predicted",
    ]
    assert report.rows()[1]["precision"] is None


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: accuracy([0.0, 1.0], [0, 1]), TypeError, "y_true: class indices must be integers, got dtype float64"),
        (lambda: accuracy([0, -2], [0, 1]), ValueError, "y_true: a label is −1"),
        (lambda: accuracy([0, 1], [0, -1]), ValueError, "y_pred: a prediction is a class index from 0; -1 came"),
        (lambda: accuracy([0, 1], [0]), ValueError, r"y_pred: must have the shape of y_true \(2,\), got \(1,\)"),
        (lambda: confusion_matrix([0, 3], [0, 1], n_classes=3), ValueError, "n_classes=3: .* 3 occurs"),
        (
            lambda: unchecked_f1([0], [0], classes="some"),
            ValueError,
            "classes: must be one of 'present', .* got 'some'",
        ),
        (lambda: unchecked_f1([0], [0], average="mean"), ValueError, "average: must be one of 'macro'"),
        (lambda: classification_report([0], [0], n_classes=2, label_names=["a"]), ValueError, "label_names: one name"),
    ],
)
def test_bad_input_is_told_apart(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_a_prediction_for_an_ignored_window_may_be_anything():
    assert accuracy([0, -1], [0, -7]) == 1.0


@pytest.mark.parametrize("block", [1, 3, 65536])
def test_counting_in_blocks_agrees_with_counting_at_once(block, monkeypatch):
    """Whatever the integer type, with ignored windows, classes that first come late, and input to be refused."""
    monkeypatch.setattr(_confusion, "_BLOCK", block)
    rng = np.random.default_rng(block)
    outcomes = set()
    for _ in range(400):
        n, types = rng.integers(1, 12), rng.choice(["i1", "i2", "i4", "i8", "u1", "u8"], size=2)
        least = [0 if kind[0] == "u" else rng.integers(low, 1) for kind, low in zip(types, (-2, -1), strict=True)]
        y_true, y_pred = (
            rng.integers(low, rng.integers(1, 8), size=n).astype(kind) for low, kind in zip(least, types, strict=True)
        )
        n_classes = None if rng.random() < 0.5 else int(rng.integers(0, 9))
        try:
            sample = predicted(y_true, y_pred, n_classes)
            table = confusion_sums(sample.y_true, sample.y_pred, sample.n_classes)[0]
        except ValueError:
            table = None
        found = _confusion.counted(y_true, y_pred, n_classes)
        outcomes.add((table is None, found is None))
        if found is not None:
            assert table is not None
            assert found.tolist() == table.tolist()
    assert outcomes == {(False, False), (True, True)}  # the fast way refuses what is to be refused, and nothing else


def test_more_classes_than_a_byte_names_are_counted_too():
    y_true, y_pred = np.arange(300), np.arange(300)[::-1]
    assert confusion_matrix(y_true, y_pred).shape == (300, 300)
    assert accuracy(y_true, y_true) == 1.0
