"""Sample weights are repetitions, and shards merge to the whole, to the last bit."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conv2d import metrics
from conv2d.metrics import MetricAccumulator
from conv2d.metrics._exact import ExactSums
from conv2d.metrics.core import MetricsCalculator

seeds = st.integers(0, 2**32 - 1)
FROM_PROB: dict[str, Any] = {
    "nll": metrics.nll,
    "brier": metrics.brier_score,
    "ece": metrics.expected_calibration_error,
    "rmsce": lambda *a, **k: metrics.calibration_error(*a, norm="l2", **k),
    "debiased l1": lambda *a, **k: metrics.calibration_error(*a, debiased=True, **k),
    "debiased l2": lambda *a, **k: metrics.calibration_error(*a, debiased=True, norm="l2", **k),
    "classwise": metrics.classwise_ece,
    "smooth": metrics.smooth_ece,
    "resolution": lambda *a, **k: metrics.brier_decomposition(*a, **k).resolution,
    "auroc": metrics.auroc,
    "average precision": metrics.average_precision_score,
    "top 2": lambda *a, **k: metrics.top_k_accuracy(*a, k=2, **k),
}
FROM_PRED: dict[str, Any] = {
    "accuracy": metrics.accuracy,
    "balanced": metrics.balanced_accuracy,
    "macro_f1": metrics.f1_score,
    "mcc": metrics.matthews_correlation,
    "kappa": metrics.cohen_kappa,
}


def windows(seed: int, n: int = 60, n_classes: int = 3):
    rng = np.random.default_rng(seed)
    y_prob = rng.dirichlet(np.full(n_classes, 0.5), size=n)
    return rng.integers(-1, n_classes, size=n), y_prob, rng.integers(0, 4, size=n)


@given(seeds)
def test_a_weight_is_a_repetition(seed):
    y_true, y_prob, weight = windows(seed)
    again = np.repeat(np.arange(len(y_true)), weight)
    for name, figure in FROM_PROB.items():
        repeated = figure(y_true[again], y_prob[again])
        assert figure(y_true, y_prob, sample_weight=weight) == pytest.approx(repeated, abs=1e-9, nan_ok=True), name
    y_pred = y_prob.argmax(axis=1)
    for name, figure in FROM_PRED.items():
        repeated = figure(y_true[again], y_pred[again])
        assert figure(y_true, y_pred, sample_weight=weight) == pytest.approx(repeated, abs=1e-12, nan_ok=True), name
    weighted = MetricsCalculator().compute_all(y_true, y_pred, y_prob, sample_weight=weight)
    repeated = MetricsCalculator().compute_all(y_true[again], y_pred[again], y_prob[again])
    assert vars(weighted) | {"n_windows": 0} == pytest.approx(vars(repeated) | {"n_windows": 0}, nan_ok=True, abs=1e-9)


def test_weights_reach_tables_and_intervals():
    y_true, y_prob, weight = windows(1)
    report = metrics.classification_report(y_true, y_prob.argmax(axis=1), sample_weight=weight / 2)
    assert report.support.sum() == weight[y_true != -1].sum() / 2
    assert metrics.reliability(y_true, y_prob, sample_weight=weight).counts.sum() == weight[y_true != -1].sum()
    groups = np.arange(60) % 6
    interval = metrics.bootstrap_ci("ece", y_true, y_prob=y_prob, groups=groups, sample_weight=weight)
    assert interval.value == metrics.expected_calibration_error(y_true, y_prob, sample_weight=weight)
    one = metrics.bootstrap_ci("ece", y_true, y_prob=y_prob, groups=groups)
    assert metrics.bootstrap_ci("ece", y_true, y_prob=y_prob, groups=groups, sample_weight=np.full(60, 3.0)).low == (
        pytest.approx(one.low)
    )


@pytest.mark.parametrize(
    ("weight", "error", "says"),
    [
        ([1.0, -1.0], ValueError, "at least 0 and finite"),
        ([1.0, math.nan], ValueError, "at least 0 and finite"),
        ([1.0], ValueError, r"sample_weight: must have the shape of y_true \(2,\), got \(1,\)"),
        (["a", "b"], TypeError, "sample_weight: must be numbers"),
    ],
)
def test_bad_weights_are_told_apart(weight, error, says):
    with pytest.raises(error, match=says):
        metrics.accuracy([0, 1], [0, 1], sample_weight=weight)


def test_the_weight_of_an_ignored_window_is_not_looked_at():
    assert metrics.accuracy([0, -1], [0, 0], sample_weight=[1.0, math.nan]) == 1.0


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(-1e300, 1e300, allow_subnormal=True)), max_size=40), st.data())
def test_exact_sums_against_fractions(rows, data):
    expected = [sum((Fraction(value) for cell, value in rows if cell == at), Fraction(0)) for at in range(3)]
    cut = data.draw(st.integers(0, len(rows)))
    parts = [ExactSums(3), ExactSums(3)]
    for part, chunk in zip(parts, (rows[:cut], rows[cut:]), strict=True):
        part.add(np.array([cell for cell, _ in chunk], dtype=np.int64), np.array([value for _, value in chunk]))
    assert (parts[0] + parts[1]).values().tolist() == [float(total) for total in expected]


@settings(max_examples=25)
@given(seeds, st.lists(st.integers(0, 60), max_size=5), st.booleans())
def test_shards_merge_to_the_whole_to_the_last_bit(seed, cuts, weighted):
    y_true, y_prob, weight = windows(seed)
    weight = weight * 0.1 if weighted else None
    groups = np.arange(60) % 4
    whole = MetricAccumulator(3).update(y_true, y_prob=y_prob, groups=groups, sample_weight=weight)
    merged = MetricAccumulator(3)
    for rows in np.split(np.random.default_rng(seed).permutation(60), sorted(cuts)):
        part = None if weight is None else weight[rows]
        shard = MetricAccumulator(3).update(y_true[rows], y_prob=y_prob[rows], groups=groups[rows], sample_weight=part)
        merged = shard + merged
    assert merged == whole
    assert merged.compute() == whole.compute() or math.isnan(whole.compute().mcc)
    at_once = vars(MetricsCalculator().compute_all(y_true, y_prob=y_prob, sample_weight=weight))
    for name, value in vars(merged.compute()).items():
        assert value == pytest.approx(at_once[name], abs=1e-12, nan_ok=True), name
    diagram = metrics.reliability(y_true, y_prob, sample_weight=weight)
    np.testing.assert_allclose(merged.reliability().confidence_sum, diagram.confidence_sum, atol=1e-12)
    np.testing.assert_array_equal(merged.reliability().counts > 0, diagram.counts > 0)


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "ece", "nll", "classwise_ece"])
def test_intervals_come_from_the_sums(name):
    y_true, y_prob, _ = windows(2, n=300)
    groups = np.array([f"dog-{i % 7}" for i in range(300)])
    shards = [
        MetricAccumulator(3).update(y_true[rows], y_prob=y_prob[rows], groups=groups[rows])
        for rows in np.array_split(np.arange(300), 5)
    ]
    found = sum(shards[1:], start=shards[0]).interval(name)
    expected = metrics.bootstrap_ci(name, y_true, y_prob=y_prob, groups=groups)
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))
    assert (found.method, found.n_groups) == (expected.method, 7)


def test_predictions_alone_accumulate():
    found = MetricAccumulator(3).update([0, 1, -1], [0, 2, 1]).update([2], [2])
    assert found.n_windows == 3
    assert found.compute().accuracy == pytest.approx(2 / 3)
    assert not hasattr(found.compute(), "ece")
    assert found.report(["a", "b", "c"]).support.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="needs batches with y_prob"):
        found.reliability()


def test_accumulators_refuse_what_does_not_add():
    one = MetricAccumulator(2).update([0], [0])
    with pytest.raises(ValueError, match="one of them is needed"):
        one.update([0])
    with pytest.raises(ValueError, match="given in some batches and not in others"):
        one.update([0], y_prob=[[0.5, 0.5]])
    with pytest.raises(ValueError, match="for 2 classes, got 3"):
        MetricAccumulator(2).update([0], y_prob=[[0.5, 0.5, 0.0]])
    with pytest.raises(ValueError, match="settings differ"):
        _ = one + MetricAccumulator(3)
    with pytest.raises(ValueError, match="has counted probabilities"):
        _ = one + MetricAccumulator(2).update([0], y_prob=[[0.5, 0.5]])
    with pytest.raises(ValueError, match="an interval needs the subject"):
        one.interval("accuracy")
    with pytest.raises(ValueError, match="statistic: must be one of 'accuracy'"):
        one.interval("ece")
