"""Smooth and debiased errors, and the parts of the Brier score."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conv2d.metrics import brier_decomposition, brier_score, calibration_error, classwise_ece, reliability, smooth_ece
from conv2d.metrics._binning import bin_index

seeds = st.integers(0, 2**32 - 1)
unchecked: Any = calibration_error


def calibrated(rng: np.random.Generator, n: int, n_classes: int = 4):
    y_prob = rng.dirichlet(np.full(n_classes, 0.5), size=n)
    y_true = (rng.random(n)[:, None] > y_prob.cumsum(axis=1)).sum(axis=1).clip(0, n_classes - 1)
    return y_true, y_prob


@pytest.mark.vectors("calibration_*.npz")
def test_smooth_vectors(vector):
    found = smooth_ece(vector["labels"], vector["probs"])
    assert found == pytest.approx(float(vector["expected__smece"]), abs=2e-3)  # the vectors' own grid


@settings(max_examples=20)
@given(seeds)
def test_smooth_error_against_the_kernel_itself(seed):
    """The reflected Gaussian summed over images, at the width where the error equals it."""
    rng = np.random.default_rng(seed)
    y_true, y_prob = calibrated(rng, 40)
    found = smooth_ece(y_true, y_prob)
    confidence = y_prob.max(axis=1)
    residual = (y_prob.argmax(axis=1) == y_true) - confidence
    grid = np.linspace(0, 1, 2001)
    images = np.concatenate([2 * k + sign * confidence for k in (-2, -1, 0, 1, 2) for sign in (1, -1)])
    kernel = np.exp(-((grid[:, None] - images) ** 2) / (2 * found**2)) / (found * math.sqrt(2 * math.pi))
    smoothed = np.abs(kernel @ np.tile(residual, 10)) / 40
    if found > 0.005:  # a narrower kernel is no wider than the grids
        assert np.trapezoid(smoothed, grid) == pytest.approx(found, abs=2e-3)


def test_debiasing_takes_off_what_chance_adds():
    """300 calibrated windows in 15 bins: the plain error is all chance.

    For a normal gap around 0 the correction is E|N(0, 2)| − E|N(0, 1)| = (√2 − 1) of the plain mean, so 2 − √2 = .586 of
    an ``l1`` error remains; bins of a few windows are not normal, and a fifth more is left to them. ``l2`` loses more.
    """
    rng = np.random.default_rng(0)
    for norm in ("l1", "l2"):
        for kind in ("top", "classwise"):
            plain, debiased = [], []
            for _ in range(60):
                y_true, y_prob = calibrated(rng, 300)
                plain.append(unchecked(y_true, y_prob, norm=norm, kind=kind))
                debiased.append(unchecked(y_true, y_prob, norm=norm, kind=kind, debiased=True))
            assert np.mean(debiased) < 1.2 * (2 - math.sqrt(2)) * np.mean(plain), (norm, kind)


def test_the_debiased_mean_square_is_right_on_average():
    """A known gap of .2 in one bin: the mean of the debiased square is .04, whatever the number of windows."""
    rng = np.random.default_rng(1)
    squares = []
    for _ in range(4000):
        right = (rng.random(12) < 0.6).astype(int)
        diagram = reliability(right, np.tile([0.2, 0.8], (12, 1)), n_bins=5)
        table = np.array([12.0, 12 * 0.8, right.sum()])
        accuracy = table[2] / 12
        squares.append((accuracy - 0.8) ** 2 - accuracy * (1 - accuracy) / 11)
        assert diagram.error("l2", debiased=True) == pytest.approx(math.sqrt(max(0.0, squares[-1])), abs=1e-12)
    assert np.mean(squares) == pytest.approx(0.04, abs=4 * float(np.std(squares)) / math.sqrt(4000))


@given(seeds, st.integers(1, 30), st.sampled_from(["uniform", "quantile"]))
def test_the_parts_of_the_brier_score(seed, n_bins, scheme):
    y_true, y_prob = calibrated(np.random.default_rng(seed), 80, 3)
    parts = brier_decomposition(y_true, y_prob, n_bins=n_bins, scheme=scheme)
    assert parts.brier == brier_score(y_true, y_prob)
    base = np.bincount(y_true, minlength=3) / 80
    assert parts.uncertainty == pytest.approx(1 - (base**2).sum())
    # The part within bins from its definition: spread of the forecasts less twice their covariance with the labels.
    within = 0.0
    for index in range(3):
        diagram = reliability(y_true, y_prob, n_bins=n_bins, scheme=scheme, class_index=index)
        bins = bin_index(y_prob[:, index], diagram.edges, "right")
        p, hit = y_prob[:, index] - diagram.confidence[bins], (y_true == index) - diagram.accuracy[bins]
        within += ((p**2).sum() - 2 * (p * hit).sum()) / 80
    assert parts.within_bins == pytest.approx(within, abs=1e-12)


def test_rounded_forecasts_leave_nothing_within_bins():
    rng = np.random.default_rng(2)
    one = rng.integers(0, 10, size=500) / 10 + 0.05
    parts = brier_decomposition(rng.integers(0, 2, size=500), np.stack([1 - one, one], axis=1), n_bins=10)
    assert parts.within_bins == pytest.approx(0, abs=1e-12)
    nothing = brier_decomposition([-1], [[0.5, 0.5]]).to_dict()
    assert nothing["reason"] == "no labelled window"
    json.dumps(nothing, allow_nan=False)


def test_classwise_is_a_kind():
    y_true, y_prob = calibrated(np.random.default_rng(3), 100)
    assert calibration_error(y_true, y_prob, kind="classwise") == classwise_ece(y_true, y_prob)
    errors = [reliability(y_true, y_prob, class_index=k).error("l2") for k in range(4)]
    assert calibration_error(y_true, y_prob, kind="classwise", norm="l2") == pytest.approx(np.mean(errors))
    with pytest.raises(ValueError, match="kind: must be one of 'top', 'classwise'"):
        unchecked(y_true, y_prob, kind="binary")
    with pytest.raises(ValueError, match="the bias of norm='max' is not known"):
        calibration_error(y_true, y_prob, norm="max", debiased=True)


@given(st.integers(1, 200), st.sampled_from(["right", "left"]), seeds)
def test_bins_are_those_of_the_edges_however_near(n_bins, closed, seed):
    """Every edge, its two neighbours in float64, and ordinary values, against a search among the edges."""
    edges = np.linspace(0, 1, n_bins + 1)
    near = np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges, 1)])
    values = np.concatenate([np.clip(near, 0, 1), np.random.default_rng(seed).random(50), [1 + 1e-5]])
    side = "left" if closed == "right" else "right"
    expected = np.clip(np.searchsorted(edges, values, side=side) - 1, 0, n_bins - 1)
    np.testing.assert_array_equal(bin_index(values, edges, closed), expected)
