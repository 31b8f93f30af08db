from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from conv2d.metrics import accuracy, bootstrap_ci, softmax
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


def subjects(rng: np.random.Generator, n_subjects: int):
    """Subjects who differ in skill, calibration, mix of classes and number of windows."""
    sizes = rng.integers(30, 120, size=n_subjects)
    groups = np.repeat(np.arange(n_subjects), sizes)
    mix = rng.dirichlet(np.full(4, 2.0), size=n_subjects)[groups]
    y_true = (rng.random(len(groups))[:, None] > mix.cumsum(axis=1)).sum(axis=1).clip(0, 3)
    skill, heat = rng.normal(1.6, 0.6, size=n_subjects)[groups], rng.normal(0.25, 0.3, size=n_subjects)[groups]
    logits = rng.normal(size=(len(groups), 4))
    logits[np.arange(len(groups)), y_true] += skill
    return y_true, softmax(logits * np.exp(heat)[:, None]), groups


@pytest.fixture(scope="module")
def truth():
    """The figures of 5,000 subjects, as near to the population's as is needed beside intervals of 12 to 40."""
    y_true, y_prob, _ = subjects(np.random.default_rng(99), 5000)
    return {name: bootstrap_ci(name, y_true, y_prob=y_prob, groups=np.zeros_like(y_true)).value for name in FIGURES}


FIGURES = ("accuracy", "macro_f1", "nll", "ece")


@pytest.mark.parametrize("n_subjects", [12, 40])
def test_intervals_hold_the_truth_as_often_as_they_say(truth, n_subjects):
    """Nominal 95 %, wanted 92 to 97: 250 repeats scatter by √(.95·.05/250) = 1.4 points, so three of these are added.

    `benchmarks/coverage.py` does the same with 1,000 repeats.
    """
    rng = np.random.default_rng(n_subjects)
    held = dict.fromkeys(FIGURES, 0)
    for repeat in range(250):
        y_true, y_prob, groups = subjects(rng, n_subjects)
        for name in FIGURES:
            found = bootstrap_ci(name, y_true, y_prob=y_prob, groups=groups, n_resamples=400, seed=repeat)
            held[name] += found.low <= truth[name] <= found.high
    for name, count in held.items():
        assert 0.92 - 0.042 <= count / 250 <= 0.97 + 0.033, name


def test_a_biased_figure_gets_the_jackknife_and_a_plain_one_percentiles():
    y_true, y_prob, groups = subjects(np.random.default_rng(0), 15)
    assert bootstrap_ci("accuracy", y_true, y_prob=y_prob, groups=groups).method == "percentile-t"
    ece = bootstrap_ci("ece", y_true, y_prob=y_prob, groups=groups)
    assert ece.method == "jackknife-t"
    assert 0 <= ece.low < ece.value < ece.high


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
    assert (slow.low, slow.high) == pytest.approx((block.low, block.high))
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
