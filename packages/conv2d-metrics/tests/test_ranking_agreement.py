from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from conv2d.metrics import (
    auroc,
    average_precision_score,
    class_coverage,
    cohen_kappa,
    matthews_correlation,
    motif_count,
    top_k_accuracy,
)

peer: Any = sklearn.metrics
seeds = st.integers(0, 2**32 - 1)
unchecked: Any = auroc  # to pass what a type checker would refuse


def windows(seed: int, n: int = 80, n_classes: int = 4, steps: int = 0):
    """Labels and probabilities; with ``steps``, multiples of 1/steps, so that many tie."""
    rng = np.random.default_rng(seed)
    y_prob = rng.dirichlet(np.full(n_classes, 0.7), size=n)
    if steps:
        y_prob = rng.multinomial(steps, np.full(n_classes, 1 / n_classes), size=n) / steps
    return rng.integers(-1, n_classes, size=n), y_prob, rng.integers(0, 4, size=n).astype(float)


@settings(max_examples=30)
@given(seeds, st.sampled_from([0, 4]))
def test_rankings_agree_with_scikit_learn(seed, steps):
    y_true, y_prob, weight = windows(seed, steps=steps)
    kept = (y_true != -1) & (weight > 0)
    for index in range(4):
        hit = y_true[kept] == index
        for how in (None, weight):
            expected = {}
            if 0 < hit.sum() < hit.size:
                expected = {
                    auroc: peer.roc_auc_score(
                        hit, y_prob[kept, index], sample_weight=None if how is None else how[kept]
                    ),
                    average_precision_score: peer.average_precision_score(
                        hit, y_prob[kept, index], sample_weight=None if how is None else how[kept]
                    ),
                }
            for figure, value in expected.items():
                given_weight = (weight > 0).astype(float) if how is None else how
                found = figure(y_true, y_prob, class_index=index, sample_weight=given_weight)
                assert found == pytest.approx(value, abs=1e-12)


@given(seeds, st.sampled_from([0, 6]), st.integers(1, 5))
def test_top_k_against_a_stable_sort(seed, steps, k):
    y_true, y_prob, _ = windows(seed, steps=steps)
    order = np.argsort(-y_prob, axis=1, kind="stable")[:, :k]
    hit = [y in row for y, row in zip(y_true, order, strict=True) if y != -1]
    assert top_k_accuracy(y_true, y_prob, k=k) == pytest.approx(np.mean(hit))


def test_the_macro_auroc_is_scikit_learns_when_every_class_occurs():
    y_true, y_prob, _ = windows(3, n=300)
    kept = y_true != -1
    expected = peer.roc_auc_score(y_true[kept], y_prob[kept], multi_class="ovr", average="macro")
    assert auroc(y_true, y_prob) == pytest.approx(expected)


def test_two_labels_of_three_classes_are_not_taken_for_binary():
    """The trap: peers look at the labels present; the columns say how many classes there are."""
    y_prob = np.array([[0.6, 0.1, 0.3], [0.5, 0.4, 0.1], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4]])
    y_true = [0, 0, 1, 1]
    both = [auroc(y_true, y_prob, class_index=index) for index in (0, 1)]
    assert auroc(y_true, y_prob) == pytest.approx(np.mean(both))
    assert math.isnan(auroc(y_true, y_prob, class_index=2))


def test_one_class_has_no_curve():
    assert math.isnan(auroc([1, 1], [[0.5, 0.5], [0.2, 0.8]]))
    assert average_precision_score([1, 1], [[0.5, 0.5], [0.2, 0.8]]) == 1.0
    assert math.isnan(average_precision_score([0, 0], [[0.5, 0.5], [0.2, 0.8]]))
    assert math.isnan(auroc([-1], [[0.5, 0.5]]))
    assert math.isnan(top_k_accuracy([-1], [[0.5, 0.5]]))


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=50))
def test_agreement_with_scikit_learn(rows):
    y_true, y_pred, weight = (np.array(column) for column in zip(*rows, strict=True))
    kept = (y_true != -1) & (weight > 0)
    true, pred = y_true[kept], y_pred[kept]
    one_sided = len(set(true.tolist())) < 2 or len(set(pred.tolist())) < 2
    found = matthews_correlation(y_true, y_pred, sample_weight=weight)
    if one_sided:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(peer.matthews_corrcoef(true, pred, sample_weight=weight[kept]))
    kappa = cohen_kappa(y_true, y_pred, sample_weight=weight)
    if len(set(true.tolist()) | set(pred.tolist())) < 2:
        assert math.isnan(kappa)
    else:
        assert kappa == pytest.approx(peer.cohen_kappa_score(true, pred, sample_weight=weight[kept]))


def test_the_repertoire():
    assert motif_count([0, 1, 2, -1], [3, 3, 0, 4]) == 2
    assert class_coverage([0, 1, 2, -1], [3, 3, 0, 4]) == pytest.approx(1 / 3)
    assert math.isnan(class_coverage([-1], [0]))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: top_k_accuracy([0], [[1.0]], k=0), "k: must be a whole number of at least 1, got 0"),
        (lambda: auroc([0], [[0.5, 0.5]], class_index=2), r"class_index: must be in 0\.\.1, got 2"),
        (lambda: unchecked([0], [[0.5, 0.5]], average="micro"), "average: must be one of 'macro', 'weighted'"),
    ],
)
def test_bad_options_are_told_apart(call, says):
    with pytest.raises(ValueError, match=says):
        call()
