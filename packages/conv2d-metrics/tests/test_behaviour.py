from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv2d.metrics import (
    Survival,
    bout_statistics,
    dwell_times,
    entropy_rate,
    time_budget,
    transition_matrix,
)
from conv2d.metrics._discrete import count_neighbours

sequences = st.lists(st.lists(st.integers(-1, 3), min_size=1, max_size=20), min_size=1, max_size=4)


def labels_of(vector):
    return [vector[f"labels_{i}"] for i in range(int(vector["n_sequences"]))]


@pytest.mark.vectors("dwell_*.npz")
def test_transition_vectors(vector):
    k = len(vector["expected__transition_counts"])
    with_self = transition_matrix(labels_of(vector), n_classes=k)
    np.testing.assert_array_equal(with_self.counts, vector["expected__transition_counts_self"])
    np.testing.assert_allclose(with_self.probabilities, vector["expected__transition_matrix_self"])
    changes = with_self.without_self()
    np.testing.assert_array_equal(changes.counts, vector["expected__transition_counts"])
    np.testing.assert_allclose(changes.probabilities, vector["expected__transition_matrix"])
    assert changes.counts.sum() == vector["expected__n_transitions"]
    assert with_self.rate == pytest.approx(float(vector["expected__transition_rate_per_frame"]))


@pytest.mark.vectors("dwell_*.npz")
def test_dwell_vectors(vector):
    bouts = dwell_times(labels_of(vector))
    columns = (bouts.sequence, bouts.label, bouts.length, bouts.left_censored, bouts.right_censored)
    np.testing.assert_array_equal(np.stack(columns, axis=1), vector["expected__records"])
    for label in np.unique(bouts.label).tolist():
        assert bouts.naive(label) == pytest.approx(float(vector[f"expected__mean_all_{label}"]))
        assert bouts.complete(label) == pytest.approx(float(vector[f"expected__mean_complete_{label}"]), nan_ok=True)
        assert bouts.censored_mle(label) == pytest.approx(float(vector[f"expected__geometric_mle_mean_{label}"]))
        if f"expected__km_t_{label}" in vector:
            curve = bouts.survival(label)
            np.testing.assert_array_equal(curve.time, vector[f"expected__km_t_{label}"])
            np.testing.assert_allclose(curve.probability, vector[f"expected__km_S_{label}"], atol=1e-12)


@given(sequences)
def test_transitions_against_counting(parts):
    expected = np.zeros((4, 4), dtype=np.int64)
    for part in parts:
        for here, there in pairwise(part):
            if -1 not in (here, there):
                expected[here, there] += 1
    found = transition_matrix(parts, n_classes=4)
    np.testing.assert_array_equal(found.counts, expected)
    halves = [transition_matrix(half, n_classes=4) for half in (parts[:1], parts[1:] or [[-1]])]
    np.testing.assert_array_equal((halves[0] + halves[1]).counts, expected)


@pytest.mark.parametrize("shape", [(1, 4000), (3, 1001)])
@pytest.mark.parametrize("dwell", [1, 100])
@pytest.mark.parametrize("classes", [4, 255, 256])
def test_transitions_of_many_changes_and_of_few(shape, dwell, classes):
    """Both ways of counting, on long sequences with ignored steps."""
    rng = np.random.default_rng(0)
    labels = np.repeat(rng.integers(-1, classes, (shape[0], shape[1] // dwell + 1)), dwell, axis=1)[:, : shape[1]]
    labels[0, 0] = classes - 1
    here, there = labels[:, :-1], labels[:, 1:]
    kept = (here >= 0) & (there >= 0)
    expected = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(expected, (here[kept], there[kept]), 1)
    np.testing.assert_array_equal(transition_matrix(labels).counts, expected)


@given(sequences)
def test_bouts_tile_the_labelled_steps(parts):
    bouts = dwell_times(parts)
    for label in range(4):
        assert bouts.length[bouts.label == label].sum() == sum(part.count(label) for part in parts)
    assert (bouts.length >= 1).all()


@given(sequences)
def test_survival_against_the_product_of_its_definition(parts):
    bouts = dwell_times(parts)
    for label in np.unique(bouts.label).tolist():
        own = (bouts.label == label) & ~bouts.left_censored
        length, ended = bouts.length[own], ~bouts.right_censored[own]
        curve = bouts.survival(label)
        np.testing.assert_array_equal(curve.time, np.unique(length[ended]))
        expected, probability = [], 1.0
        for t in curve.time:
            probability *= 1 - (ended & (length == t)).sum() / (length >= t).sum()
            expected.append(probability)
        np.testing.assert_allclose(curve.probability, expected, atol=1e-12)
        judged = ~np.isnan(curve.low)
        assert (curve.low[judged] <= curve.probability[judged]).all()
        assert (curve.probability[judged] <= curve.high[judged]).all()
        told = curve.to_dict()
        assert json.loads(json.dumps(told, allow_nan=False)) == told


@pytest.mark.vectors("dwell_short_windows_bias.npz")
def test_the_trap_of_cut_dwell_times(vector):
    """The true mean is 41 steps; the recordings are 40 long."""
    bouts = dwell_times(labels_of(vector))
    assert bouts.naive() == pytest.approx(20.5, abs=0.05)
    assert bouts.censored_mle() == pytest.approx(38, abs=0.5)


@pytest.mark.vectors("dwell_*.npz")
def test_budget_and_entropy_rate_vectors(vector):
    labels = labels_of(vector)
    budget = time_budget(labels, n_classes=len(vector["expected__occupancy"]))
    np.testing.assert_allclose(budget.share, vector["expected__occupancy"])
    assert budget.time.sum() == vector["expected__frames"]
    assert budget.entropy == pytest.approx(float(vector["expected__occupancy_entropy_bits"]))
    rate = entropy_rate(labels)
    assert rate.value == pytest.approx(float(vector["expected__entropy_rate_bits"]), abs=1e-12, nan_ok=True)
    assert bool(rate.reason) == math.isnan(rate.value)
    told = [rate.to_dict(), budget.to_dict(), *(bouts.to_dict() for bouts in bout_statistics(labels))]
    assert json.loads(json.dumps(told, allow_nan=False)) == told


@given(sequences)
def test_the_entropy_rate_is_that_of_the_transitions(parts):
    transitions = transition_matrix(parts, n_classes=4)
    row = transitions.counts.sum(axis=1)
    p = np.nan_to_num(transitions.probabilities)
    logs = np.log2(p, where=p > 0, out=np.zeros_like(p))
    expected = -(row / max(row.sum(), 1) * (p * logs).sum(axis=1)).sum() if row.sum() else math.nan
    rate = entropy_rate(parts)
    assert rate.n == row.sum()
    assert rate.value == pytest.approx(expected, abs=1e-12, nan_ok=True)
    seen = (transitions.counts > 0).sum() - (row > 0).sum()
    if rate.n:
        corrected = entropy_rate(parts, correction="miller-madow")
        assert corrected.bias == pytest.approx(-seen / (2 * rate.n * math.log(2)))
        assert corrected.plugin == pytest.approx(rate.value)


def test_diversity_is_exp_of_the_entropy_in_nats():
    budget = time_budget([0, 0, 1, 2, 2, 2], step=0.5)
    p = np.array([2, 1, 3]) / 6
    assert budget.diversity == pytest.approx(math.exp(-(p * np.log(p)).sum()))
    pooled = budget + time_budget([0, 1], n_classes=3, step=0.5)
    np.testing.assert_array_equal(pooled.time, [1.5, 1.0, 1.5])
    with pytest.raises(ValueError, match="only budgets of the same classes and step add"):
        _ = budget + time_budget([0, 1, 2])


def test_bout_statistics_by_hand():
    rest, walk = bout_statistics([[0, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0], [1, 0, 1]])
    assert (walk.n, walk.n_complete, walk.naive_mean) == (4, 2, 2.0)
    assert walk.rate == pytest.approx(3 / 14)  # the bout that opens the second recording was not seen to start
    assert walk.interval == pytest.approx((3 + 1) / 2)  # not from one recording to the next
    assert walk.spread == pytest.approx(np.std([2, 4], ddof=1) / 3)
    assert walk.censored_mean == pytest.approx((2 + 4 + 1) / 2)
    assert rest.reason == ""
    assert bout_statistics([1, 1])[0].reason.startswith("censored_mean: no bout was seen to end")


def test_cut_bouts_are_worth_what_they_show():
    """Geometric bouts of mean 41 in windows of 40 steps: the naive mean is cut to half, the likelihood is not.

    The estimate of a mean from d ends has the relative error 1/√d.
    """
    rng = np.random.default_rng(0)
    steps = np.cumsum(rng.random(400_000) < 1 / 41) % 2
    bouts = dwell_times(steps.reshape(-1, 40))
    ends = int((~bouts.right_censored[(bouts.label == 0) & ~bouts.left_censored]).sum())
    assert bouts.censored_mle(0) == pytest.approx(41, rel=4 / math.sqrt(ends))
    assert bouts.naive(0) < 41 / 1.5
    assert bouts.complete(0) < bouts.naive(0)


def test_lengths_come_in_the_unit_of_the_step():
    assert dwell_times([0, 0, 1], step=0.5).naive(0) == 1.0


def test_a_curve_that_never_falls_to_half_has_no_median():
    assert Survival(np.array([3.0]), np.array([0.8]), np.array([0.5]), np.array([0.9])).median == math.inf


def test_results_are_json():
    told = [transition_matrix([0, 0, 1]).to_dict(), dwell_times([0, 0, 1, 2]).to_dict()]
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told[0]["reason"] == "null where nothing follows a class"
    assert told[1]["per_class"][0]["reason"] == "no uncut bout and no bout was seen to end"
    assert "reason" not in told[1]["per_class"][1]


def test_nothing_labelled():
    assert transition_matrix([-1, -1]).counts.shape == (0, 0)
    assert transition_matrix([-1], n_classes=2).rate == 0.0
    bouts = dwell_times([-1])
    assert math.isnan(bouts.naive(0))
    assert bouts.to_dict()["per_class"] == []
    assert bouts.to_dict()["all"]["reason"] == "no bout and no uncut bout and no bout was seen to end"


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: transition_matrix([0, 3], n_classes=3), ValueError, "n_classes=3: labels must be below it, but 3"),
        (lambda: transition_matrix([0.5]), TypeError, "labels: class indices must be integers"),
        (lambda: dwell_times([[0, -2], [0]]), ValueError, "labels: a label is −1"),
        (lambda: dwell_times([0], step=0), ValueError, "step: must be a positive finite duration, got 0"),
        (lambda: transition_matrix([0]) + transition_matrix([0, 1]), ValueError, "same classes add, got 1 and 2"),
    ],
)
def test_bad_input_is_told_apart(call, error, says):
    with pytest.raises(error, match=says):
        call()


@pytest.mark.parametrize("size", [2, 16, 17, 256])
def test_neighbours_are_counted_whatever_the_length(size):
    rng = np.random.default_rng(size)
    for length in (*range(14), 1001, 1002, 1003, 1004):
        codes = rng.integers(0, size, size=length).astype(np.uint8)
        expected = np.zeros((size, size), dtype=np.int64)
        for before, after in pairwise(codes.tolist()):
            expected[before, after] += 1
        assert (count_neighbours(codes, size) == expected).all(), length
