from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.special import softmax as peer_softmax

from conv2d.metrics import TemperatureScaler, nll, softmax


def mean_nll(logits, labels, temperature):
    kept = labels != -1
    logp = log_softmax(logits[kept].astype(np.float64) / temperature, axis=1)
    return -np.take_along_axis(logp, labels[kept][:, None], axis=1).mean()


@pytest.mark.vectors("temperature_*.npz")
def test_vectors(vector):
    logits, labels = vector["logits"], vector["labels"]
    scaler = TemperatureScaler().fit(logits, labels)
    before, after = vector["expected__nll_before"], mean_nll(logits, labels, scaler.temperature)
    assert np.isfinite(scaler.temperature)
    assert scaler.temperature > 0
    if np.isinf(vector["expected__T"]):
        assert scaler.status == "anticorrelated"
        uniform = np.full(logits.shape, 1 / logits.shape[1])
        np.testing.assert_allclose(scaler.transform(logits), uniform, rtol=3e-3)  # exp(±2/1000)
    elif vector["expected__T"] == 0:
        assert scaler.status == "separable"
        n = len(labels)
        true = np.take_along_axis(scaler.transform(logits), labels[:, None], axis=1)
        assert true.mean() == pytest.approx((n + 1) / (n + 2), rel=1e-9)
        assert after <= before
    else:
        assert scaler.status == "interior"
        assert scaler.temperature == pytest.approx(vector["expected__T"], rel=1e-9)
        assert after == pytest.approx(vector["expected__nll_after"], rel=1e-12)


@given(st.integers(0, 2**32 - 1), st.floats(-12, 12), st.integers(2, 6))
def test_no_other_temperature_is_better(seed, log_size, n_classes):
    """The optimum against scipy's search, for logits from 1e-12 to 1e12."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, size=40)
    logits = rng.normal(size=(40, n_classes))
    logits[np.arange(40), labels] += 0.5
    size = 10.0**log_size
    scaler = TemperatureScaler().fit(logits * size, labels)
    found: Any = minimize_scalar(lambda beta: mean_nll(logits * beta, labels, 1.0), bounds=(0, 50), method="bounded")
    # Where the best T is infinite, ours leaves logits of at most 1/1000, so at most 2/1000 of NLL.
    room = 2e-3 if scaler.status == "anticorrelated" else 1e-9
    assert mean_nll(logits * size, labels, scaler.temperature) <= found.fun + room
    if scaler.status == "interior":
        assert size / scaler.temperature == pytest.approx(found.x, abs=1e-4)


def test_one_wrong_window_by_a_hair_still_converges():
    logits = np.array([[1.0, 0.0]] * 99 + [[1e-9, 0.0]])
    labels = np.array([0] * 99 + [1])
    scaler = TemperatureScaler().fit(logits, labels)
    assert scaler.status == "interior"
    assert mean_nll(logits, labels, scaler.temperature) <= min(
        mean_nll(logits, labels, scaler.temperature * factor) for factor in (0.9, 0.999, 1.001, 1.1)
    )


def test_separable_data_never_soften_and_never_saturate():
    sure = np.array([[50.0, 0.0], [0.0, 50.0]])
    assert TemperatureScaler().fit(sure, [0, 1]).temperature == 1.0
    timid = np.array([[0.01, 0.0], [0.0, 0.01]])
    scaler = TemperatureScaler().fit(timid, [0, 1])
    assert scaler.status == "separable"
    assert scaler.transform(timid)[0, 0] == pytest.approx(3 / 4)
    tied = np.array([[3.0, 3.0, 0.0], [3.0, 3.0, 0.0]])
    assert TemperatureScaler().fit(tied, [0, 1]).status == "separable"


def test_constant_logits_say_nothing_about_the_temperature():
    scaler = TemperatureScaler().fit(np.zeros((3, 2)), [0, 1, 1])
    np.testing.assert_array_equal(scaler.transform(np.zeros((1, 2))), [[0.5, 0.5]])


@pytest.mark.parametrize("largest", [1e-320, 1.7e308])
def test_logits_at_the_ends_of_float64(largest):
    logits = largest * np.array([[1.0, 0.5], [-1.0, 1.0], [1.0, 0.0]])
    scaler = TemperatureScaler().fit(logits, [0, 1, 1])
    assert np.isfinite(scaler.transform(logits)).all()


def test_ignored_windows_do_not_count():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(50, 3)) * 3, rng.integers(0, 3, size=50)
    logits[np.arange(50), labels] += 1
    padded = np.concatenate([logits, np.full((5, 3), np.nan)])
    whole = TemperatureScaler().fit(padded, np.concatenate([labels, np.full(5, -1)]))
    assert whole.temperature == TemperatureScaler().fit(logits, labels).temperature
    assert whole.n_windows == 50
    sequences = TemperatureScaler().fit(logits.reshape(5, 10, 3), labels.reshape(5, 10))
    assert sequences.temperature == whole.temperature


@given(st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]), st.floats(0.05, 50))
def test_softmax_agrees_with_scipy(seed, dtype, temperature):
    logits = (np.random.default_rng(seed).normal(size=(20, 5)) * 30).astype(dtype)
    prob = softmax(logits, temperature)
    assert prob.dtype == dtype
    exact = peer_softmax(logits.astype(np.float64) / temperature, axis=1)
    # scipy divides before it subtracts the maximum, which rounds by |z/T|·eps; then a last place of the dtype.
    rounding = float(np.abs(logits / temperature).max()) * 2 * float(np.finfo(np.float64).eps)
    np.testing.assert_allclose(prob, exact, rtol=0, atol=rounding + 2 * float(np.finfo(dtype).eps))
    assert nll(prob.argmax(axis=1), prob) >= 0  # the rows pass as probabilities


def test_one_window_alone_equals_the_same_window_in_a_batch():
    logits = (np.random.default_rng(3).normal(size=(1000, 7)) * 20).astype(np.float32)
    alone = np.concatenate([softmax(row[None]) for row in logits])
    np.testing.assert_allclose(alone, softmax(logits), rtol=float(np.finfo(np.float32).eps))


def test_softmax_of_huge_logits():
    np.testing.assert_array_equal(softmax(np.array([[1.7e308, -1.7e308]]), 1e-3), [[1.0, 0.0]])


def test_the_state_goes_through_json():
    scaler = TemperatureScaler().fit(np.array([[4.0, 0.0], [0.0, 4.0], [4.0, 0.0]]), [0, 1, 1])
    again = TemperatureScaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    assert again.to_dict() == scaler.to_dict()
    logits = np.array([[1.0, -2.0]], dtype=np.float32)
    np.testing.assert_array_equal(again.transform(logits), scaler.transform(logits))
    assert "interior" in repr(again)


def test_errors():
    scaler = TemperatureScaler()
    assert repr(scaler) == "TemperatureScaler()"
    with pytest.raises(RuntimeError, match="not fitted yet"):
        scaler.transform(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="logits: must be finite, got 1 NaN"):
        scaler.fit(np.array([[np.nan, 0.0]]), [0])
    with pytest.raises(TypeError, match="logits: must be float32 or float64, got dtype float16"):
        scaler.fit(np.zeros((1, 2), dtype=np.float16), [0])
    with pytest.raises(ValueError, match="at least one labelled window"):
        scaler.fit(np.zeros((1, 2)), [-1])
    with pytest.raises(ValueError, match=r"shape plus a class axis, \(2, 'K'\), got \(1, 2\)"):
        scaler.fit(np.zeros((1, 2)), [0, 1])
    with pytest.raises(ValueError, match="label 2 has no column in logits, which has 2"):
        scaler.fit(np.zeros((1, 2)), [2])
    with pytest.raises(ValueError, match="temperature: must be a positive finite number, got 0"):
        softmax(np.zeros((1, 2)), 0)
    with pytest.raises(ValueError, match="last axis holds the classes"):
        softmax(np.float64(1.0))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": "1e-3"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"status": "good"}, "status"),
        ({"n_windows": 0}, "n_windows"),
        ({"extra": 1}, "keys must be"),
    ],
)
def test_a_bad_state_is_refused(change, says):
    good = {"temperature": 2.0, "status": "interior", "n_windows": 3}
    assert TemperatureScaler.from_dict(good).temperature == 2.0
    with pytest.raises(ValueError, match=says):
        TemperatureScaler.from_dict(good | change)
