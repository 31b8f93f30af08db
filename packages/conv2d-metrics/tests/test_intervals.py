from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from conv2d.metrics import accuracy, bootstrap_ci, expected_calibration_error, softmax
from conv2d.metrics._intervals import student_quantile

student: Any = stats.t
unchecked: Any = bootstrap_ci


@settings(max_examples=50)
@given(st.integers(1, 30_000), st.floats(0.51, 0.9995))
def test_students_quantile_agrees_with_scipy(freedom, level):
    # Beyond 10,000 degrees of freedom the normal stands in, which is 1/(4ν) of a cubic in z away.
    assert student_quantile(level, freedom) == pytest.approx(student.ppf(level, freedom), rel=2e-4)
    if freedom <= 10_000:
        assert student_quantile(level, freedom) == pytest.approx(student.ppf(level, freedom), rel=1e-6)


def subjects(rng: np.random.Generator, n_subjects: int, skill: float = 1.6, spread: float = 0.3):
    """Subjects who differ in skill, calibration, mix of classes and number of windows."""
    sizes = rng.integers(30, 120, size=n_subjects)
    groups = np.repeat(np.arange(n_subjects), sizes)
    mix = rng.dirichlet(np.full(4, 2.0), size=n_subjects)[groups]
    y_true = (rng.random(len(groups))[:, None] > mix.cumsum(axis=1)).sum(axis=1).clip(0, 3)
    skills, heat = rng.normal(skill, 2 * spread, size=n_subjects)[groups], rng.normal(0.25, spread, size=n_subjects)
    logits = rng.normal(size=(len(groups), 4))
    logits[np.arange(len(groups)), y_true] += skills
    return y_true, softmax(logits * np.exp(heat)[groups, None]), groups


FIGURES = ("accuracy", "macro_f1", "nll", "ece", "classwise_ece")
POPULATIONS = {"mixed": (1.6, 0.3), "accuracy of .96": (3.4, 0.4)}


@pytest.mark.parametrize(("population", "n_subjects"), [("mixed", 12), ("mixed", 40), ("accuracy of .96", 12)])
def test_intervals_hold_the_truth_as_often_as_they_say(population, n_subjects):
    """Nominal 95 %, wanted 92 to 97: 200 repeats scatter by √(.95·.05/200) = 1.5 points, so three of these are added.

    The truth is the figure of 4,000 subjects. `benchmarks/coverage.py` does the same with more repeats.
    """
    y_true, y_prob, _ = subjects(np.random.default_rng(99), 4000, *POPULATIONS[population])
    one = np.zeros_like(y_true)
    truth = {name: bootstrap_ci(name, y_true, y_prob=y_prob, groups=one).value for name in FIGURES}
    rng = np.random.default_rng(n_subjects)
    held = dict.fromkeys(FIGURES, 0)
    for repeat in range(200):
        y_true, y_prob, groups = subjects(rng, n_subjects, *POPULATIONS[population])
        for name in FIGURES:
            found = bootstrap_ci(name, y_true, y_prob=y_prob, groups=groups, n_resamples=200, seed=repeat)
            held[name] += found.low <= truth[name] <= found.high
    for name, count in held.items():
        assert 0.92 - 0.046 <= count / 200 <= 0.97 + 0.036, name


def test_a_biased_callable_gets_the_jackknife_and_a_plain_one_percentiles():
    y_true, y_prob, groups = subjects(np.random.default_rng(0), 15)
    y_pred = y_prob.argmax(axis=1)
    assert bootstrap_ci(accuracy, y_true, y_pred=y_pred, groups=groups).method == "percentile-t"
    ece = bootstrap_ci(expected_calibration_error, y_true, y_prob=y_prob, groups=groups, n_resamples=200)
    assert ece.method == "jackknife-t"
    assert ece.low < ece.value < ece.high


def test_blocks_widen_the_interval_of_dependent_windows():
    """Right answers in runs of 50: windows alone see 50 times the evidence."""
    rng = np.random.default_rng(1)
    right = np.repeat(rng.random(60) < 0.7, 50).astype(int)
    truth = np.ones_like(right)
    frame = bootstrap_ci("accuracy", truth, y_pred=right, unit="frame")
    block = bootstrap_ci("accuracy", truth, y_pred=right, unit="block", block_length=100)
    assert (frame.unit, block.unit, block.n_groups) == ("frame", "block", 30)
    assert 4 < (block.high - block.low) / (frame.high - frame.low) < 10  # √50 = 7.1
    slow = bootstrap_ci(accuracy, truth, y_pred=right, unit="block", block_length=100)
    assert (slow.low, slow.high) == pytest.approx((block.low, block.high), abs=0.03)  # percentiles, not log-odds
    rows = bootstrap_ci(
        "accuracy", truth.reshape(10, 300), y_pred=right.reshape(10, 300), unit="block", block_length=200
    )
    assert rows.n_groups == 20


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"unit": "subject"}, 'groups: needed for unit="subject"'),
        ({"unit": "block"}, "block_length: needed with unit='block'"),
        ({"block_length": 5}, "block_length: not used with unit='frame'"),
        ({"unit": "dog"}, "unit: must be one of 'subject', 'block', 'frame', got 'dog'"),
        ({"unit": "block", "block_length": 0}, "block_length: must be a whole number of at least 1"),
    ],
)
def test_bad_units_are_told_apart(options, says):
    with pytest.raises(ValueError, match=says):
        unchecked("accuracy", [0, 1], y_pred=[0, 1], **options)


def test_a_callable_weighs_its_own_windows():
    with pytest.raises(ValueError, match="a callable weighs its windows itself"):
        bootstrap_ci(accuracy, [0, 1], y_pred=[0, 1], sample_weight=[1.0, 2.0])
