from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

from conv2d.metrics import (
    confidence_levels,
    crps_ensemble,
    energy_score,
    max_softmax_score,
    ood_auroc,
    risk_coverage,
    softmax,
)

answers = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=7)


@given(answers)
def test_risk_and_coverage_against_their_definition(windows):
    correct, confidence = np.array([w[0] for w in windows]), np.array([w[1] / 5 for w in windows])
    curve = risk_coverage(correct, confidence)
    for coverage, risk, threshold in zip(curve.coverage, curve.risk, curve.threshold, strict=True):
        answered = confidence >= threshold
        assert coverage == pytest.approx(answered.mean())
        assert risk == pytest.approx((~correct[answered]).mean())
    told = curve.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told


@given(answers)
def test_the_area_is_the_mean_over_orders_of_the_ties(windows):
    """Against many random orders of equal confidences."""
    correct, confidence = np.array([w[0] for w in windows]), np.array([float(w[1]) for w in windows])
    curve = risk_coverage(correct, confidence)
    rng, i = np.random.default_rng(0), np.arange(1, len(windows) + 1)
    areas = []
    for _ in range(400):
        order = np.lexsort((rng.random(len(windows)), -confidence))
        areas.append(np.mean(np.cumsum(~correct[order]) / i))
    assert curve.aurc == pytest.approx(np.mean(areas), abs=float(np.std(areas)) / 4 + 1e-9)
    worst_last = np.mean(np.cumsum(np.sort(~correct)) / i)
    assert curve.excess_aurc == pytest.approx(curve.aurc - worst_last)


def test_an_operating_point_for_a_risk():
    curve = risk_coverage([True, True, False, True], [0.9, 0.8, 0.7, 0.6])
    assert curve.coverage_at(0.25) == 1.0  # of 4 answers one is wrong: the risk falls again
    assert curve.threshold_at(0.25) == 0.6
    assert risk_coverage([False], [0.9]).coverage_at(0.1) == 0.0
    assert risk_coverage([False], [0.9]).threshold_at(0.1) == math.inf
    nothing = risk_coverage(np.zeros(0, dtype=bool), np.zeros(0))
    assert math.isnan(nothing.aurc)
    assert nothing.to_dict()["reason"] == "no labelled window"


@given(st.lists(st.integers(0, 4), min_size=1), st.lists(st.integers(0, 4), min_size=1))
def test_auroc_against_all_pairs_and_scikit_learn(known, strange):
    wins = [(s > k) + (s == k) / 2 for s in strange for k in known]
    found = ood_auroc(known, strange)
    assert found == pytest.approx(np.mean(wins))
    truth = [0] * len(known) + [1] * len(strange)
    assert found == pytest.approx(roc_auc_score(truth, known + strange))


def test_scores_of_the_strange_are_higher():
    rng = np.random.default_rng(0)
    known = rng.normal(size=(500, 5)) + 6 * np.eye(5)[rng.integers(0, 5, 500)]
    strange = rng.normal(size=(500, 5))
    assert ood_auroc(energy_score(known), energy_score(strange)) > 0.95
    assert ood_auroc(max_softmax_score(softmax(known)), max_softmax_score(softmax(strange))) > 0.9
    np.testing.assert_allclose(energy_score(known, temperature=2.0), -2 * logsumexp(known / 2, axis=1))
    assert energy_score(np.array([1e4, 0.0])) == -1e4  # nothing overflows
    assert math.isnan(ood_auroc([], [1.0]))


def test_a_confidence_on_a_threshold_has_that_level():
    levels = confidence_levels([[0.9, 0.6], [0.59, 1.0]], medium=0.6, high=0.9)
    np.testing.assert_array_equal(levels.level, [[2, 1], [0, 2]])
    assert levels.to_dict() == {"medium": 0.6, "high": 0.9, "counts": {"low": 1, "medium": 1, "high": 2}}


@pytest.mark.vectors("crps_ensemble.npz")
def test_crps_vectors(vector):
    found = crps_ensemble(vector["observations"], vector["forecasts"])
    np.testing.assert_allclose(found, vector["expected__crps"], atol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: confidence_levels([0.5], medium=0.9, high=0.6), ValueError, "medium, high: must be 0 < medium < high"),
        (lambda: confidence_levels([np.nan], medium=0.5, high=0.6), ValueError, r"confidence: must lie in \[0, 1\]"),
        (lambda: risk_coverage([1, 0], [0.5, 0.5]), TypeError, "correct: must be boolean"),
        (lambda: risk_coverage([True], [0.5, 0.5]), ValueError, r"confidence: must be \(N,\) like correct"),
        (lambda: risk_coverage([True], [np.nan]), ValueError, "confidence: 1 values are NaN"),
        (lambda: energy_score([[np.inf]]), ValueError, "logits: must be finite"),
        (lambda: energy_score([[0.0]], temperature=0), ValueError, "temperature: must be positive"),
        (lambda: max_softmax_score([[2.0, 3.0]]), ValueError, "y_prob: every row must sum to 1"),
        (lambda: ood_auroc([np.nan], [0.0]), ValueError, "scores must not be NaN"),
        (lambda: crps_ensemble([0.0], [0.0]), ValueError, "members: must be y_true's shape plus a member axis"),
        (lambda: crps_ensemble([0.0], [[np.nan]]), ValueError, "must be finite"),
    ],
)
def test_bad_input_is_told_apart(call, error, says):
    with pytest.raises(error, match=says):
        call()
