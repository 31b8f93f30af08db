from __future__ import annotations

import builtins
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression

from conv2d.metrics import (
    IsotonicScaling,
    TemperatureScaler,
    TemperatureScaling,
    VectorScaling,
    VennAbers,
    calibration_change,
    expected_calibration_error,
    nll,
    reliability,
    reliability_figure,
    softmax,
)

seeds = st.integers(0, 2**32 - 1)


def two(p: np.ndarray) -> np.ndarray:
    return np.stack([1 - p, p], axis=1)


def drawn(rng: np.random.Generator, prob: np.ndarray) -> np.ndarray:
    """Labels drawn from the probabilities themselves."""
    return (rng.random(len(prob))[:, None] > prob.cumsum(axis=1)).sum(axis=1).clip(0, prob.shape[1] - 1)


def test_the_two_names_are_one():
    assert TemperatureScaling is TemperatureScaler


@settings(max_examples=15)
@given(seeds)
def test_vector_scaling_reaches_the_least_penalised_loss(seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(120, 3)) * 2
    labels = drawn(rng, softmax(logits * [0.5, 1.0, 1.5] + [0.4, 0.0, -0.4]))
    scaler = VectorScaling().fit(logits, labels)

    def loss(at):
        factors, offsets = at[:3], at[3:]
        return 120 * nll(labels, softmax(logits * factors + offsets)) + 0.005 * (
            ((factors - 1) ** 2).sum() + (offsets**2).sum()
        )

    found: Any = minimize(loss, [1.0, 1, 1, 0, 0, 0], method="BFGS", options={"gtol": 1e-8})
    assert loss(np.concatenate([scaler.factors, scaler.offsets])) <= found.fun + 1e-6


def test_vector_scaling_recovers_what_was_done():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(20_000, 4)) * 2
    factors, offsets = np.array([0.5, 1.0, 1.5, 2.0]), np.array([0.3, -0.2, 0.5, -0.6])
    scaler = VectorScaling().fit(logits, drawn(rng, softmax(logits * factors + offsets)))
    np.testing.assert_allclose(scaler.factors, factors, atol=0.1)
    np.testing.assert_allclose(scaler.offsets, offsets, atol=0.1)
    assert scaler.status == "interior"


def test_vector_scaling_stays_finite():
    separable = VectorScaling().fit(np.array([[5.0, 0.0], [0.0, 5.0], [4.0, 0.0]]), [0, 1, 0])
    assert separable.status == "separable"
    assert np.isfinite(separable.factors).all()
    huge = VectorScaling().fit(np.array([[1e8, 0.0], [0.0, 1e8], [1e8, 0.0]]), [0, 1, 1])
    assert np.isfinite(huge.transform(np.array([[1e8, 0.0]]))).all()
    constant = VectorScaling().fit(np.zeros((4, 2)), [0, 1, 1, 1])
    np.testing.assert_allclose(constant.transform(np.zeros((1, 2))), [[0.25, 0.75]], atol=0.01)


def test_the_state_of_vector_scaling_goes_through_json():
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]], dtype=np.float32)
    scaler = VectorScaling().fit(logits, [0, 1, 1])
    again = VectorScaling.from_dict(json.loads(json.dumps(scaler.to_dict())))
    np.testing.assert_array_equal(again.transform(logits), scaler.transform(logits))
    assert again.transform(logits).dtype == np.float32
    for change in ({"extra": 1}, {"factors": [1.0]}, {"offsets": [float("nan"), 0.0]}):
        with pytest.raises(ValueError, match="state"):
            VectorScaling.from_dict(scaler.to_dict() | change)


@pytest.mark.vectors("venn_abers.npz")
def test_venn_abers_vectors(vector):
    predictor = VennAbers().fit(two(vector["cal_scores"]), vector["cal_labels"])
    low, high = predictor.pairs(two(vector["test_scores"]))
    np.testing.assert_allclose(low[:, 1], vector["expected__p0"], atol=1e-12)
    np.testing.assert_allclose(high[:, 1], vector["expected__p1"], atol=1e-12)
    prob = predictor.transform(two(vector["test_scores"]))
    np.testing.assert_allclose(prob[:, 1], vector["expected__p"], atol=1e-12)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1)), min_size=1, max_size=15))
def test_venn_abers_against_isotonic_regression_with_the_window_added(rows):
    score, label = (np.array(column) for column in zip(*rows, strict=True))
    at = np.linspace(-1, 13, 15) / 12  # on the scores and between them
    at = at[(at >= 0) & (at <= 1)]
    low, high = VennAbers().fit(two(score / 6), label).pairs(two(at))
    for one, p0, p1 in zip(at, low[:, 1], high[:, 1], strict=True):
        for added, found in ((0.0, p0), (1.0, p1)):
            peer = IsotonicRegression().fit(np.append(score / 6, one), np.append(label, added))
            assert found == pytest.approx(peer.predict([one])[0], abs=1e-12)
    np.testing.assert_allclose(low[:, 0], 1 - high[:, 1], atol=1e-12)


def test_one_of_the_venn_abers_pair_is_calibrated():
    """Mean of the probability chosen by the label is the rate of the label, over many small calibration sets."""
    rng = np.random.default_rng(0)
    chosen, labels = [], []
    for _ in range(400):
        p = rng.random(41)
        y = (rng.random(41) < p**2).astype(int)  # badly overconfident
        low, high = VennAbers().fit(two(p[:40]), y[:40]).pairs(two(p[40:]))
        chosen.append(high[0, 1] if y[40] else low[0, 1])
        labels.append(y[40])
    assert abs(np.mean(chosen) - np.mean(labels)) < 4 * 0.5 / 20  # four standard errors of 400 labels


@pytest.mark.parametrize("make", [IsotonicScaling, VennAbers])
def test_maps_of_probabilities_repair_what_a_temperature_cannot(make):
    rng = np.random.default_rng(2)
    true_prob = rng.dirichlet([0.6, 0.6, 0.6], size=6000)
    labels = drawn(rng, true_prob)
    bent = true_prob**0.3 * [3.0, 1.0, 1.0]
    bent /= bent.sum(axis=1, keepdims=True)
    fitted = make().fit(bent[:3000], labels[:3000])
    out = fitted.transform(bent[3000:])
    np.testing.assert_allclose(out.sum(axis=1), 1, atol=1e-12)
    before = expected_calibration_error(labels[3000:], bent[3000:])
    assert expected_calibration_error(labels[3000:], out) < before / 3
    assert nll(labels[3000:], out, floor=1e-12) < nll(labels[3000:], bent[3000:])
    assert fitted.transform(bent.astype(np.float32).reshape(60, 100, 3)).shape == (60, 100, 3)


def test_the_state_of_isotonic_scaling_goes_through_json():
    rng = np.random.default_rng(3)
    prob = rng.dirichlet(np.ones(3), size=50)
    fitted = IsotonicScaling().fit(prob, drawn(rng, prob))
    again = IsotonicScaling.from_dict(json.loads(json.dumps(fitted.to_dict())))
    np.testing.assert_array_equal(again.transform(prob), fitted.transform(prob))
    with pytest.raises(ValueError, match="rising knots"):
        IsotonicScaling.from_dict({"knots": [[[0.0, 1.0], [1.0, 0.0]]], "n_windows": 2})
    with pytest.raises(ValueError, match="keys must be knots"):
        IsotonicScaling.from_dict({"knots": []})


def test_a_row_that_maps_to_nothing_keeps_what_it_was():
    fitted = IsotonicScaling().fit(np.tile([0.5, 0.3, 0.2], (3, 1)), [0, 0, 0])
    odd = fitted.transform(np.array([[0.2, 0.3, 0.5]]))
    np.testing.assert_array_equal(odd, [[1.0, 0.0, 0.0]])
    never = IsotonicScaling.from_dict({"knots": [[[0.5], [0.0]]] * 3, "n_windows": 1})
    np.testing.assert_array_equal(never.transform(np.array([[0.2, 0.3, 0.5]])), [[0.2, 0.3, 0.5]])


@pytest.mark.parametrize("make", [VectorScaling, IsotonicScaling, VennAbers])
def test_scalers_say_what_is_wrong(make):
    with pytest.raises(RuntimeError, match="not fitted yet"):
        make().transform(np.array([[0.5, 0.5]]))
    with pytest.raises(ValueError, match="at least one labelled window"):
        make().fit(np.array([[0.5, 0.5]]), [-1])
    with pytest.raises(ValueError, match="needs the 2 classes of the fit"):
        make().fit(np.array([[0.5, 0.5], [0.4, 0.6]]), [0, 1]).transform(np.array([[1.0]]))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: IsotonicScaling().fit([[0.5, 0.5]], [0]), r"conv2d-metrics\[isotonic\]"),
        (lambda: reliability_figure(reliability([0], [[0.5, 0.5]])), r"conv2d-metrics\[plots\]"),
    ],
)
def test_a_missing_extra_is_named(monkeypatch, call, says):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] in ("sklearn", "matplotlib"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=says):
        call()


def test_smoothing_makes_calibrated_probabilities_too_unsure():
    """Bouts of 20 windows, seen through noise: the mean of nine neighbours is right far more often than it says."""
    rng = np.random.default_rng(4)
    state = np.repeat(rng.integers(0, 2, size=200), 20)
    clear = rng.normal(size=4000) + 1.0
    logits = np.stack([np.where(state == 0, clear, 0), np.where(state == 1, clear, 0)], axis=1)
    logits = logits * 1.0
    prob = softmax(logits)
    kernel = np.ones(9) / 9
    smoothed = np.stack([np.convolve(column, kernel, mode="same") for column in prob.T], axis=1)
    smoothed /= smoothed.sum(axis=1, keepdims=True)
    found = calibration_change(state, prob, smoothed, np.arange(4000) // 200)
    assert found.change["accuracy"].low > 0
    assert found.after["accuracy"].value > found.before["accuracy"].value
    gap = found.after_diagram.accuracy - found.after_diagram.confidence
    assert np.nansum(gap * found.after_diagram.counts) > 0  # less sure than right
    assert found.change["ece"].value == pytest.approx(found.after["ece"].value - found.before["ece"].value)
    json.dumps(found.to_dict(), allow_nan=False)
    same = calibration_change(state, prob, prob, np.arange(4000) // 200)
    assert (same.change["nll"].low, same.change["nll"].high) == (0.0, 0.0)
    with pytest.raises(ValueError, match="after: must have the shape of before"):
        calibration_change(state, prob, smoothed[:10], np.arange(4000) // 200)
