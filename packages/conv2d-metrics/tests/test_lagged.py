from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import cohen_kappa_score

from conv2d.metrics import cross_correlation, lagged_kappa, windowed_cross_correlation

UNKNOWN: Any = "unknown"
"""A word that no parameter knows."""


def overlap(x, y, lag):
    """x(t) and y(t + lag) where both exist."""
    pairs = [(x[t], y[t + lag]) for t in range(len(x)) if 0 <= t + lag < len(y)]
    return (np.array(side) for side in zip(*pairs, strict=True))


def slow(rng, n, memory=20) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.convolve(rng.normal(size=n + memory - 1), np.ones(memory) / memory, "valid").astype(np.float64)


@pytest.mark.vectors("info_lagged_xcorr.npz")
def test_cross_correlation_vectors(vector):
    most = int(vector["lags"].max())
    whole = cross_correlation(vector["x"], vector["y"], max_lag=most, normalise="global")
    for found, name in ((whole, "biased"), (cross_correlation(vector["x"], vector["y"], max_lag=most), "overlap")):
        np.testing.assert_array_equal(found.lag, vector["lags"])
        np.testing.assert_allclose(found.value, vector[f"expected__r_{name}"], atol=1e-12)
        assert found.peak_lag == vector[f"expected__peak_lag_{name}"] == vector["true_delay"]


@given(st.integers(0, 2**32 - 1), st.integers(5, 80))
def test_cross_correlation_against_pearson(seed, n):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=n) + 1e3, rng.normal(size=n)
    found = cross_correlation(x, y, max_lag=n - 3)
    for lag, value in zip(found.lag, found.value, strict=True):
        one, other = overlap(x, y, lag)
        assert value == pytest.approx(np.corrcoef(one, other)[0, 1], abs=1e-7)


def test_many_lags_go_by_a_transform_and_few_by_products():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 500))
    few, many = cross_correlation(x, y, max_lag=32), cross_correlation(x, y, max_lag=33)
    np.testing.assert_allclose(many.value[1:-1], few.value, atol=1e-12)


@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3)), min_size=3, max_size=40), st.integers(0, 3))
def test_kappa_against_scikit_learn(pairs, most):
    x, y = (np.array(column) for column in zip(*pairs, strict=True))
    if most > len(x) - 2:
        return
    found = lagged_kappa(x, y, max_lag=most)
    for lag, value, n in zip(found.lag, found.value, found.n, strict=True):
        one, other = overlap(x, y, lag)
        kept = (one >= 0) & (other >= 0)
        assert n == kept.sum()
        if len(np.union1d(one[kept], other[kept])) < 2:  # scikit-learn warns there and makes of it what it likes
            assert math.isnan(value)
        else:
            assert value == pytest.approx(cohen_kappa_score(one[kept], other[kept]))


@pytest.mark.vectors("info_[bcim]*.npz")
def test_kappa_vectors(vector):
    found = lagged_kappa(vector["x"], vector["y"], max_lag=0)
    assert found.value[0] == pytest.approx(float(vector["expected__kappa_lag0"]), abs=1e-12)


def test_many_classes_are_counted_too():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 40, 2000)
    y = np.where(rng.random(2000) < 0.5, x, rng.integers(0, 40, 2000))
    assert lagged_kappa(x, y, max_lag=0).value[0] == pytest.approx(cohen_kappa_score(x, y))


@pytest.mark.parametrize("lag", [-9, 0, 4])
def test_a_lag_above_zero_means_that_x_leads(lag):
    rng = np.random.default_rng(0)
    x = slow(rng, 1000)
    y = np.roll(x, lag) + 0.05 * rng.normal(size=1000)
    found = cross_correlation(x, y, max_lag=20, surrogates=199)
    assert found.peak_lag == lag
    # A signal that remembers 20 of 1,000 steps cannot be much more significant than that: 20 lags' neighbours are high.
    assert found.p <= 0.06
    levels = np.digitize(x, np.quantile(x, [0.25, 0.5, 0.75]))
    assert lagged_kappa(levels, np.roll(levels, lag), max_lag=20).peak_lag == lag
    windows = windowed_cross_correlation(x, y, window=200, hop=100, max_lag=20)
    inside = slice(1, -1)
    assert (windows.peak_lag[inside] == lag).all()


@pytest.mark.parametrize("kind", ["circular", "block"])
def test_independent_signals_are_significant_no_more_often_than_the_level(kind):
    """Over all 21 lags together: the highest of each surrogate is what the highest is compared with."""
    trials, found, agree = 100, 0, 0
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        x, y = slow(rng, 1200), slow(rng, 1200)
        found += cross_correlation(x, y, max_lag=10, surrogates=19, kind=kind, seed=seed).p <= 0.05
        one, other = (np.digitize(signal, [-0.1, 0.1]) for signal in (x, y))
        agree += lagged_kappa(one, other, max_lag=10, surrogates=19, kind=kind, seed=seed).p <= 0.05
    assert found <= binom.ppf(0.999, trials, 0.05)
    assert agree <= binom.ppf(0.999, trials, 0.05)


def test_windows_against_pearson_and_beyond_the_edge():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 60))
    x[20:30] = 1.0
    found = windowed_cross_correlation(x, y, window=10, hop=5, max_lag=7)
    for w, start in enumerate(found.start):
        for j, lag in enumerate(found.lag):
            moved = start + lag
            if not 0 <= moved <= 50 or start == 20:
                assert math.isnan(found.value[w, j])
            else:
                expected = np.corrcoef(x[start : start + 10], y[moved : moved + 10])[0, 1]
                assert found.value[w, j] == pytest.approx(expected, abs=1e-9)
    constant = int(np.flatnonzero(found.start == 20)[0])
    assert math.isnan(found.peak[constant])
    told = found.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_windows_have_their_own_p():
    rng = np.random.default_rng(0)
    x = rng.normal(size=800)
    y = np.where(np.arange(800) < 400, np.roll(x, 2), rng.normal(size=800))
    found = windowed_cross_correlation(x, y, window=200, hop=200, max_lag=5, surrogates=99)
    assert (found.p[:2] <= 0.05).all()  # the turns by −7 … 3 steps hold the true lag as well
    assert (found.p[2:] > 0.05).all()
    np.testing.assert_array_equal(found.peak_lag[:2], 2)


def test_constant_signals_have_no_correlation():
    found = cross_correlation(np.ones(9), np.arange(9.0), max_lag=1, surrogates=9)
    assert found.peak_lag is None
    assert math.isnan(found.peak)
    assert math.isnan(found.p)
    told = found.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["reason"] == "one of the sequences is constant"
    assert math.isnan(cross_correlation(np.ones(9), np.ones(9), max_lag=1, normalise="global").peak)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (
            lambda: cross_correlation([0, 1, 2], [0, 1, 2], max_lag=1),
            TypeError,
            "x: must be continuous .* lagged_kappa",
        ),
        (lambda: cross_correlation([0.0, np.inf], [0.0, 1.0], max_lag=0), ValueError, "x: must be finite values"),
        (lambda: cross_correlation([0.0, 1.0], [0.0], max_lag=0), ValueError, "y: must be as long as x"),
        (lambda: cross_correlation([0.0, 1.0], [0.0, 1.0], max_lag=1), ValueError, "max_lag=1: leaves fewer than 2"),
        (
            lambda: cross_correlation([0.0] * 9, [0.0] * 9, max_lag=1, normalise=UNKNOWN),
            ValueError,
            "normalise: must be",
        ),
        (lambda: lagged_kappa([0, 1, 2], [0, 1], max_lag=0), ValueError, r"y: must be \(T,\) like x"),
        (lambda: lagged_kappa([0.0, 1.0], [0, 1], max_lag=0), TypeError, "x: class indices must be integers"),
        (
            lambda: windowed_cross_correlation([0.0] * 9, [0.0] * 9, window=10, hop=1, max_lag=1),
            ValueError,
            "window=10: longer than the sequences",
        ),
    ],
)
def test_bad_input_is_told_apart(call, error, says):
    with pytest.raises(error, match=says):
        call()
