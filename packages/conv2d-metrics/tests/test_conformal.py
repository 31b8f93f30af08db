from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv2d.metrics import PredictionSets, SplitConformal, coverage_report
from conv2d.metrics._conformal_quantiles import balanced_quantile, conformal_quantile, order_statistic
from conv2d.metrics._inputs import Groups
from conv2d.metrics._nonconformity import Score


@pytest.mark.vectors("conformal_[!m]*.npz")
@pytest.mark.parametrize("method", ["lac", "aps", "raps"])
def test_vectors(vector, method):
    name = method if method == "lac" else f"{method}_det"
    conformal = SplitConformal(method, str(vector["alpha"]), penalty=float(vector["lam"]), free_rank=vector["kreg"])
    conformal.fit(vector["cal_labels"], vector["cal_probs"])
    assert conformal.thresholds[None] == pytest.approx(float(vector[f"expected__{name}_qhat"]), abs=1e-15)
    sets = conformal.predict(vector["test_probs"])
    np.testing.assert_array_equal(sets.sets, vector[f"expected__{name}_sets"])
    np.testing.assert_array_equal(sets.sizes, vector[f"expected__{name}_size"])
    report = coverage_report(vector["test_labels"], sets, n_resamples=10)
    assert report.coverage.value == pytest.approx(float(vector[f"expected__{name}_coverage"]))
    if (vector["test_labels"] != -1).all():
        assert report.mean_size == pytest.approx(float(vector[f"expected__{name}_mean_size"]))
        assert report.size_counts[0] == vector[f"expected__{name}_empty"]


@pytest.mark.vectors("conformal_[!m]*.npz")
@pytest.mark.parametrize("method", ["aps", "raps"])
def test_randomized_vectors(vector, method):
    """The same scores with the file's draws in place of ours."""
    kept = vector["cal_labels"] != -1
    score = Score(method, float(vector["lam"]), int(vector["kreg"]))
    true_scores = score.of_true(vector["cal_probs"][kept], vector["cal_labels"][kept], vector["u_cal"])
    np.testing.assert_allclose(true_scores, vector[f"expected__{method}_rand_cal_scores"], atol=1e-15)
    threshold = conformal_quantile(true_scores, Fraction(str(vector["alpha"])))
    assert threshold == pytest.approx(float(vector[f"expected__{method}_rand_qhat"]), abs=1e-15)
    sets = score.sets(vector["test_probs"], np.array(threshold), vector["u_test"])
    np.testing.assert_array_equal(sets, vector[f"expected__{method}_rand_sets"])


@pytest.mark.vectors("conformal_mondrian.npz")
def test_mondrian_vectors(vector):
    conformal = SplitConformal("lac", str(vector["alpha"]), within="group")
    conformal.fit(vector["cal_labels"], vector["cal_probs"], vector["cal_groups"])
    for group, threshold in zip(vector["expected__groups"], vector["expected__qhat"], strict=True):
        assert conformal.thresholds.get(int(group), math.inf) == threshold
    sets = conformal.predict(vector["test_probs"], vector["test_groups"]).sets
    np.testing.assert_array_equal(sets, vector["expected__sets"])


@given(st.lists(st.integers(0, 20), max_size=40), st.integers(1, 99))
def test_the_quantile_against_its_definition(scores, percent):
    """The smallest threshold that at least (1 − α)(n + 1) of the n scores and one infinity stay below."""
    needed = (1 - Fraction(percent, 100)) * (len(scores) + 1)
    smallest = min((s for s in scores if sum(t <= s for t in scores) >= needed), default=math.inf)
    assert conformal_quantile(np.array(scores, dtype=float), Fraction(percent, 100)) == smallest


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=30), st.integers(1, 99))
def test_the_balanced_quantile_against_its_definition(windows, percent):
    groups, scores = (np.array(column) for column in zip(*windows, strict=True))
    names, codes = np.unique(groups, return_inverse=True)

    def reached(threshold):
        return sum(Fraction(int((scores[groups == g] <= threshold).sum()), int((groups == g).sum())) for g in names)

    needed = (1 - Fraction(percent, 100)) * (len(names) + 1)
    smallest = min((s for s in scores if reached(s) >= needed), default=math.inf)
    assert balanced_quantile(scores.astype(float), Groups(names, codes), Fraction(percent, 100)) == smallest


def test_one_window_a_group_balances_to_the_plain_quantile():
    rng = np.random.default_rng(0)
    y_true, y_prob = rng.integers(0, 3, size=57), rng.dirichlet(np.ones(3), size=57)
    plain = SplitConformal("aps").fit(y_true, y_prob)
    balanced = SplitConformal("aps", within="balanced").fit(y_true, y_prob, np.arange(57))
    assert plain.thresholds == balanced.thresholds


def simulated(rng, n, shift=0.0):
    """Windows of a three-class model; ``shift`` turns a share of its certainty into error."""
    y_true = rng.integers(0, 3, size=n)
    logits = rng.normal(size=(n, 3)) + (1.5 - shift) * np.eye(3)[y_true]
    return y_true, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    "options",
    [
        {"method": "lac"},
        {"method": "aps"},
        {"method": "aps", "randomized": True},
        {"method": "raps", "randomized": True},
        {"method": "lac", "within": "class"},
    ],
)
def test_exchangeable_windows_are_covered_at_the_nominal_rate(options):
    """Mean coverage of 1,000 repeats of 300 + 100 windows lies within a point of the nominal 90 %.

    One repeat varies by √(.9·.1·(1/300 + 1/100)) = .035 (a third of the calibration windows in each class: .043), so
    the mean of 1,000 by .0014. Continuous scores are above the nominal by 1/(n + 1) at most.
    """
    rng = np.random.default_rng(5)
    repeats = []
    for repeat in range(1000):
        conformal = SplitConformal(alpha=0.1, seed=repeat, **options).fit(*simulated(rng, 300))
        y_true, y_prob = simulated(rng, 100)
        repeats.append(np.take_along_axis(conformal.predict(y_prob).sets, y_true[:, None], axis=1).mean())
    assert abs(np.mean(repeats) - 0.9) <= 0.01


def test_new_subjects_are_covered_where_the_plain_split_fails():
    """Subjects differ, and the easy ones have most windows: windows alone promise too much for a new subject."""
    rng = np.random.default_rng(6)
    plain, balanced = [], []
    for _ in range(150):
        shifts = rng.normal(0.5, 1.0, size=20)
        sizes = np.where(shifts < 0.5, 200, 20)
        parts = [simulated(rng, int(n), shift) for n, shift in zip(sizes, shifts, strict=True)]
        y_true, y_prob = (np.concatenate(column) for column in zip(*parts, strict=True))
        groups = np.repeat(np.arange(20), sizes)
        new_true, new_prob = simulated(rng, 100, rng.normal(0.5, 1.0))
        for kept, conformal in (
            (plain, SplitConformal().fit(y_true, y_prob)),
            (balanced, SplitConformal(within="balanced").fit(y_true, y_prob, groups)),
        ):
            kept.append(np.take_along_axis(conformal.predict(new_prob).sets, new_true[:, None], axis=1).mean())
    assert np.mean(balanced) >= 0.88
    assert np.mean(plain) < 0.88


def test_too_few_windows_promise_nothing():
    conformal = SplitConformal(alpha=0.1).fit([0] * 8, [[0.9, 0.1]] * 8)
    assert conformal.thresholds == {None: math.inf}
    assert conformal.predict([[1.0, 0.0]]).sets.all()


def test_alpha_is_the_decimal_it_prints_as():
    """(99 + 1)(1 − .1) is 90 exactly; in floating point 1 − .9 would tip it over."""
    y_prob = np.stack([np.linspace(0.5, 0.99, 99), 1 - np.linspace(0.5, 0.99, 99)], axis=1)
    ordered = np.sort(1 - y_prob[:, 0])
    assert SplitConformal(alpha=0.1).fit([0] * 99, y_prob).thresholds[None] == ordered[89]
    assert SplitConformal(alpha=0.9).fit([0] * 99, y_prob).thresholds[None] == ordered[9]


def test_draws_of_calibration_and_prediction_are_independent_streams():
    conformal = SplitConformal("aps", randomized=True, seed=3)
    calibrating, predicting = (np.asarray(conformal._draws(1000, stream)) for stream in (0, 1))
    assert abs(np.corrcoef(calibrating, predicting)[0, 1]) < 4 / math.sqrt(1000)


def test_sequences_keep_their_shape():
    rng = np.random.default_rng(1)
    prob = rng.dirichlet(np.ones(3), size=(4, 5)).astype(np.float32)
    sets = SplitConformal().fit(rng.integers(0, 3, size=(4, 5)), prob).predict(prob)
    assert sets.sets.shape == (4, 5, 3)
    assert sets.sizes.shape == (4, 5)


def test_a_class_never_calibrated_is_never_ruled_out():
    conformal = SplitConformal(within="class", alpha=0.5).fit([0, 0, 0], [[0.7, 0.2, 0.1]] * 3)
    np.testing.assert_array_equal(conformal.predict([[0.1, 0.8, 0.1]]).sets, [[False, True, True]])


def test_a_report_counts_by_class_size_and_group():
    members = [[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0]]
    sets = PredictionSets(np.array(members, dtype=bool), alpha=0.2)
    report = coverage_report([0, 0, 1, 1, -1], sets, ["a", "a", "a", "b", "b"])
    assert report.coverage.value == 0.75
    assert report.coverage.n_groups == 2
    assert report.mean_size == 1.5
    np.testing.assert_array_equal(report.class_coverage, [1, 0.5, np.nan])
    np.testing.assert_array_equal(report.size_counts, [1, 1, 1, 1])
    np.testing.assert_array_equal(report.size_coverage, [0, 1, 1, 1])
    np.testing.assert_array_equal(report.group_coverage, [2 / 3, 1])
    told = report.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["per_class"][2] == {"class": 2, "n_windows": 0, "coverage": None, "reason": "no window"}
    nothing = coverage_report([-1], PredictionSets(np.array([[True]]), alpha=0.2)).to_dict()
    assert nothing["reason"] == "no labelled window"


PROB = [[0.5, 0.5]]
unchecked: Any = SplitConformal  # to pass what a type checker would refuse


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: SplitConformal(alpha=10), ValueError, "alpha: must lie between 0 and 1, got 10"),
        (lambda: unchecked(method="tps"), ValueError, "method: must be one of 'lac', 'aps', 'raps'"),
        (lambda: unchecked(within="subject"), ValueError, "within: must be one of 'all'"),
        (lambda: SplitConformal(penalty=-1), ValueError, "penalty: must be at least 0"),
        (lambda: SplitConformal().predict(PROB), RuntimeError, "not fitted yet"),
        (lambda: SplitConformal(within="group").fit([0], PROB), ValueError, "groups: needed here with within='group'"),
        (lambda: SplitConformal().fit([0], PROB, [1]), ValueError, "groups: not used here with within='all'"),
        (lambda: SplitConformal().fit([0], PROB).predict([[1.0]]), ValueError, "y_prob: needs the 2 classes"),
        (lambda: coverage_report([0, 1], PredictionSets(np.ones((1, 2), bool), 0.1)), ValueError, "sets: must be of"),
        (lambda: coverage_report([2], PredictionSets(np.ones((1, 2), bool), 0.1)), ValueError, "y_true: label 2"),
    ],
)
def test_bad_input_is_told_apart(call, error, says):
    with pytest.raises(error, match=says):
        call()


@pytest.mark.parametrize("kind", ["even", "tied", "sorted", "one value", "adversarial"])
def test_the_order_statistic_of_many_values_is_that_of_all(kind):
    rng = np.random.default_rng(0)
    values = rng.random(70_000)
    if kind == "tied":
        values = rng.integers(0, 5, size=70_000) / 4
    elif kind == "sorted":
        values.sort()
    elif kind == "one value":
        values[:] = 0.5
    elif kind == "adversarial":  # the sample sees nothing but ones
        values[:: len(values) // 4096] = 1.0
    ordered = np.sort(values)
    for k in (1, 2, 35_000, 63_001, 69_999, 70_000):
        assert order_statistic(values, k) == ordered[k - 1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lac_compares_probabilities_as_it_would_scores(dtype):
    """On limits that are scores themselves, and the floats next to them."""
    rng = np.random.default_rng(1)
    prob = np.concatenate([rng.random(300), rng.random(300) ** 9, [0, 1, 1e-300, 2**-53, 2**-54, 0.5, 0.1]])
    prob = prob.astype(dtype)[:, None]
    scores = 1.0 - prob.astype(np.float64)
    limits = [*scores[::20, 0], 0.0, 1.0, -1e-9, -0.0, 2.0, math.inf]
    for near in limits:
        for limit in (near, np.nextafter(near, -1), np.nextafter(near, 2)):
            found = Score("lac", 0.01, 1).sets(prob, np.array(limit))
            assert (found == (scores <= limit)).all(), limit
