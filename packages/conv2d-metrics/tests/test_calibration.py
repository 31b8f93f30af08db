from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as peer
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.calibration import calibration_curve

from conv2d.metrics import (
    brier_score,
    calibration_error,
    classwise_ece,
    expected_calibration_error,
    nll,
    reliability,
)

seeds = st.integers(0, 2**32 - 1)


def windows(seed: int, n: int = 200, n_classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y_prob = rng.dirichlet(np.full(n_classes, 0.5), size=n)
    return rng.integers(-1, n_classes, size=n), y_prob


@pytest.mark.vectors("calibration_*.npz")
@pytest.mark.parametrize("closed", ["right", "left"])
def test_binned_vectors(vector, closed):
    y_true, y_prob, n_bins = vector["labels"], vector["probs"], int(vector["n_bins"])
    diagram = reliability(y_true, y_prob, n_bins=n_bins, closed=closed)
    np.testing.assert_array_equal(diagram.counts, vector[f"expected__bin_count_{closed}"])
    np.testing.assert_allclose(diagram.confidence_sum, vector[f"expected__bin_conf_sum_{closed}"], rtol=1e-12)
    np.testing.assert_array_equal(diagram.correct_sum, vector[f"expected__bin_correct_sum_{closed}"])
    ece = expected_calibration_error(y_true, y_prob, n_bins=n_bins, closed=closed)
    assert ece == pytest.approx(vector[f"expected__ece_{closed}"], abs=1e-12)
    norms: Any = {"rmsce": "l2", "mce": "max", "avgce": "mean"}
    for name, norm in norms.items():
        error = calibration_error(y_true, y_prob, norm=norm, n_bins=n_bins, closed=closed)
        assert error == pytest.approx(vector[f"expected__{name}_{closed}"], abs=1e-12), name
    error = classwise_ece(y_true, y_prob, n_bins=n_bins, closed=closed)
    assert error == pytest.approx(vector[f"expected__classwise_ece_{closed}"], abs=1e-12)
    per_class = [
        reliability(y_true, y_prob, n_bins=n_bins, closed=closed, class_index=index).error()
        for index in range(y_prob.shape[1])
    ]
    np.testing.assert_allclose(per_class, vector[f"expected__classwise_ece_per_class_{closed}"], atol=1e-12)


@pytest.mark.vectors("calibration_*.npz")
def test_equal_mass_and_loss_vectors(vector):
    y_true, y_prob, n_bins = vector["labels"], vector["probs"], int(vector["n_bins"])
    diagram = reliability(y_true, y_prob, n_bins=n_bins, scheme="quantile")
    np.testing.assert_array_equal(diagram.counts, vector["expected__adaptive_count"])
    assert diagram.error() == pytest.approx(vector["expected__adaptive_ece"], abs=1e-12)
    assert diagram.error("max") == pytest.approx(vector["expected__adaptive_mce"], abs=1e-12)
    assert brier_score(y_true, y_prob) == pytest.approx(vector["expected__brier_sum"], abs=1e-12)
    assert nll(y_true, y_prob) == pytest.approx(vector["expected__nll"], rel=1e-12)
    assert nll(y_true, y_prob, floor=2**-52) == pytest.approx(vector["expected__nll_clip_eps"], rel=1e-12)


@given(seeds)
def test_agrees_with_scikit_learn(seed):
    y_true, y_prob = windows(seed)
    kept = y_true != -1
    true, prob = y_true[kept], y_prob[kept]
    assert nll(y_true, y_prob) == pytest.approx(peer.log_loss(true, prob, labels=range(4)))
    one_hot = np.eye(4)[true]
    assert brier_score(y_true, y_prob) == pytest.approx(((prob - one_hot) ** 2).sum(axis=1).mean())
    accuracy, confidence = calibration_curve(prob.argmax(axis=1) == true, prob.max(axis=1), n_bins=15)
    diagram = reliability(y_true, y_prob)
    filled = diagram.counts > 0
    np.testing.assert_allclose(diagram.accuracy[filled], accuracy)
    np.testing.assert_allclose(diagram.confidence[filled], confidence)


@given(seeds, st.integers(1, 40), st.sampled_from(["uniform", "quantile"]), st.sampled_from(["right", "left"]))
def test_order_bounds_and_norms(seed, n_bins, scheme, closed):
    y_true, y_prob = windows(seed, n=60)
    y_true[0] = 0
    how = {"n_bins": n_bins, "scheme": scheme, "closed": closed}
    order = np.random.default_rng(seed).permutation(60)
    norms: Any = ("l1", "l2", "max", "mean")
    errors = {norm: calibration_error(y_true, y_prob, norm=norm, **how) for norm in norms}
    for norm, error in errors.items():
        assert calibration_error(y_true[order], y_prob[order], norm=norm, **how) == pytest.approx(error, abs=1e-14)
    assert 0 <= errors["l1"] <= errors["l2"] + 1e-15 <= errors["max"] + 2e-15 <= 1
    assert errors["mean"] <= errors["max"] + 1e-15
    # More bins never hide a gap: one bin gives |accuracy − mean confidence|, the least of all.
    assert calibration_error(y_true, y_prob, n_bins=1) <= errors["l1"] + 1e-14


@given(seeds, st.integers(1, 59))
def test_shards_add_to_the_whole(seed, cut):
    y_true, y_prob = windows(seed, n=60)
    parts = reliability(y_true[:cut], y_prob[:cut]) + reliability(y_true[cut:], y_prob[cut:])
    whole = reliability(y_true, y_prob)
    np.testing.assert_array_equal(parts.counts, whole.counts)
    assert parts.error() == pytest.approx(whole.error(), abs=1e-14, nan_ok=True)


def test_diagrams_on_other_edges_do_not_add():
    y_true, y_prob = windows(0)
    with pytest.raises(ValueError, match="same edges"):
        _ = reliability(y_true, y_prob, n_bins=10) + reliability(y_true, y_prob, n_bins=15)


@given(hnp.arrays(np.int64, 30, elements=st.integers(0, 8)), st.integers(1, 8))
def test_confidences_on_edges_go_where_the_closure_says(eighths, n_bins):
    """Eighths lie on many edges exactly: each bin is counted by comparing fractions."""
    confidence = np.maximum(eighths, 8 - eighths) / 8
    y_prob = np.stack([confidence, 1 - confidence], axis=1)
    edges = np.linspace(0, 1, n_bins + 1)
    right = [sum((lo < c or lo == 0) and c <= hi for c in confidence) for lo, hi in pairwise(edges)]
    left = [sum(lo <= c and (c < hi or hi == 1) for c in confidence) for lo, hi in pairwise(edges)]
    labels = np.zeros(30, dtype=np.int64)
    np.testing.assert_array_equal(reliability(labels, y_prob, n_bins=n_bins).counts, right)
    np.testing.assert_array_equal(reliability(labels, y_prob, n_bins=n_bins, closed="left").counts, left)


def test_equal_confidences_never_part():
    y_prob = np.tile([0.7, 0.3], (10, 1))
    diagram = reliability(np.arange(10) % 2, y_prob, n_bins=5, scheme="quantile")
    np.testing.assert_array_equal(diagram.counts, [10])
    assert diagram.error() == pytest.approx(0.2)


def test_one_impossible_window_makes_the_nll_infinite():
    assert nll([0, 1], [[1.0, 0.0], [1.0, 0.0]]) == math.inf


def test_nothing_labelled_is_undefined():
    y_true, y_prob = [-1, -1], [[0.5, 0.5], [math.nan, 7.0]]  # what stands at an ignored window is not looked at
    assert math.isnan(nll(y_true, y_prob))
    assert math.isnan(brier_score(y_true, y_prob))
    assert math.isnan(classwise_ece(y_true, y_prob))
    for norm in ("l1", "l2", "max", "mean"):
        assert math.isnan(calibration_error(y_true, y_prob, norm=norm))
    assert math.isnan(expected_calibration_error(y_true, y_prob, scheme="quantile"))


def test_float32_is_taken_as_it_is_and_summed_in_float64():
    y_true, y_prob = windows(1, n=1000)
    y_prob = y_prob.astype(np.float32)
    exact = y_prob.astype(np.float64)
    assert expected_calibration_error(y_true, y_prob) == expected_calibration_error(y_true, exact)
    assert nll(y_true, y_prob) == nll(y_true, exact)


@pytest.mark.parametrize(
    ("y_true", "y_prob", "error", "says"),
    [
        ([0, 1], [[1, 0], [0, 1]], TypeError, "y_prob: must be float32 or float64, got dtype int64"),
        ([0, 1], [0.3, 0.4], ValueError, r"y_prob: .* \(2, 'K'\), got \(2,\)"),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], ValueError, "y_true: label 2 has no column in y_prob, which has 2"),
        ([0, 1], [[0.5, 0.5], [2.0, -1.0]], ValueError, "y_prob: probabilities must be ≥ 0 and finite; row 1"),
        ([0, 1], [[0.5, 0.5], [math.nan, 0.5]], ValueError, "row 1"),
        ([0, 1], [[math.inf, 0.5], [0.5, 0.5]], ValueError, "row 0"),
        ([0, 1], [[0.5, 0.5], [0.6, 0.5]], ValueError, r"sum to 1 within 0.0001; 1 of 2 do not, first row 1 with 1.1"),
    ],
)
def test_bad_probabilities_are_told_apart(y_true, y_prob, error, says):
    with pytest.raises(error, match=says):
        nll(y_true, y_prob)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n_bins": 0}, "n_bins: must be a whole number of at least 1, got 0"),
        ({"scheme": "equal"}, "scheme: must be one of 'uniform', 'quantile', got 'equal'"),
        ({"closed": "both"}, "closed: must be one of 'right', 'left', got 'both'"),
        ({"class_index": 4}, r"class_index: must be in 0\.\.3, got 4"),
    ],
)
def test_bad_options_are_told_apart(options, says):
    y_true, y_prob = windows(0)
    with pytest.raises(ValueError, match=says):
        reliability(y_true, y_prob, **options)
