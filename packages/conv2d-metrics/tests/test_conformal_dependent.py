"""Sets where calibration and new windows are not exchangeable: shifted, dependent, drifting."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv2d.metrics import AdaptiveConformal, SplitConformal, softmax
from conv2d.metrics._blocks import block_codes

METHODS: Any = ("lac", "aps", "raps")
unchecked: Any = SplitConformal


def simulated(rng, n, level):
    """Windows that are harder the larger ``x``, of Beta(level, 2)."""
    x = rng.beta(level, 2.0, size=n)
    y_true = rng.integers(0, 4, size=n)
    logits = rng.normal(size=(n, 4)) + (4 * (1 - x))[:, None] * np.eye(4)[y_true]
    return x, y_true, softmax(logits * 2)


def test_weights_hold_the_promise_under_covariate_shift():
    """Harder windows come oftener than in calibration; their density ratio is known up to a factor: x³."""
    rng = np.random.default_rng(0)
    plain, weighted = [], []
    for _ in range(300):
        x, y_true, y_prob = simulated(rng, 400, 2.0)
        new_x, new_true, new_prob = simulated(rng, 200, 5.0)
        for kept, fitted, options in (
            (plain, SplitConformal().fit(y_true, y_prob), {}),
            (weighted, SplitConformal().fit(y_true, y_prob, sample_weight=x**3), {"sample_weight": new_x**3}),
        ):
            sets = fitted.predict(new_prob, **options).sets
            kept.append(sets[np.arange(200), new_true].mean())
    assert np.mean(plain) < 0.88
    assert abs(np.mean(weighted) - 0.9) < 0.015


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100), st.sampled_from(METHODS))
def test_equal_weights_are_no_weights(seed, weight, method):
    rng = np.random.default_rng(seed)
    _, y_true, y_prob = simulated(rng, 37, 2.0)
    plain = SplitConformal(method).fit(y_true, y_prob)
    weighted = SplitConformal(method).fit(y_true, y_prob, sample_weight=np.full(37, weight))
    sets = weighted.predict(y_prob, sample_weight=np.full(37, weight)).sets
    np.testing.assert_array_equal(sets, plain.predict(y_prob).sets)
    assert weighted.n_effective == pytest.approx(37)


def test_a_window_unlike_all_of_calibration_gets_a_full_set():
    rng = np.random.default_rng(1)
    _, y_true, y_prob = simulated(rng, 50, 2.0)
    fitted = SplitConformal().fit(y_true, y_prob, sample_weight=np.ones(50))
    assert fitted.predict(y_prob[:1], sample_weight=[1e6]).sets.all()


@given(st.integers(0, 2**32 - 1), st.sampled_from(METHODS), st.booleans(), st.sampled_from(["all", "class"]))
def test_sets_are_the_classes_within_the_threshold(seed, method, randomized, within):
    """The prefix of the sorted probabilities against scoring every class, with many ties."""
    rng = np.random.default_rng(seed)
    y_prob = rng.multinomial(8, [0.25] * 4, size=60) / 8
    y_true = rng.integers(0, 4, size=60)
    fitted = SplitConformal(method, 0.3, within=within, randomized=randomized).fit(y_true, y_prob)
    scores = fitted._score.of_all(y_prob, fitted._draws(60, stream=1))
    limit = [fitted.thresholds.get(k, fitted.thresholds.get(None)) for k in range(4)]
    expected = scores <= np.array(limit, dtype=float)
    sets = fitted.predict(y_prob).sets
    if randomized:  # a class as probable as the last one added scores the same but for rounding
        assert (sets != expected).mean() < 0.02
    else:
        np.testing.assert_array_equal(sets, expected)
    own = fitted._score.of_true(y_prob, y_true, fitted._draws(60, stream=0))
    every = fitted._score.of_all(y_prob, fitted._draws(60, stream=0))
    np.testing.assert_array_equal(own, every[np.arange(60), y_true])


def test_blocks_do_not_span_recordings():
    codes = block_codes((7,), ["a", "a", "a", "b", "a", "b", "b"], 2)
    np.testing.assert_array_equal(codes, [0, 0, 1, 2, 1, 2, 3])
    np.testing.assert_array_equal(block_codes((2, 3), None, 2), [0, 0, 1, 2, 2, 3])


def test_blocks_of_dependent_windows_make_the_careful_threshold():
    """One recording whose difficulty drifts slowly: neighbours say the same thing again."""
    rng = np.random.default_rng(2)
    plain, blocked = [], []
    for _ in range(300):
        ease = np.repeat(rng.normal(1.5, 1.2, size=14), 50)
        y_true = rng.integers(0, 4, size=len(ease))
        y_prob = softmax(rng.normal(size=(len(ease), 4)) + ease[:, None] * np.eye(4)[y_true])
        fit, new = slice(0, 650), slice(650, 700)  # the next stretch
        for kept, conformal in (
            (plain, SplitConformal()),
            (blocked, SplitConformal(within="block", block_length=50)),
        ):
            sets = conformal.fit(y_true[fit], y_prob[fit]).predict(y_prob[new]).sets
            kept.append(sets[np.arange(50), y_true[new]].mean())
    assert np.mean(blocked) >= 0.9 - 4 * np.std(blocked) / math.sqrt(300)
    assert np.mean(blocked) > np.mean(plain)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.1, 0.5]), st.sampled_from([None, 20]))
def test_adaptive_sets_keep_their_promise_on_any_stream(seed, step, window):
    """Gibbs and Candès, proposition 4.1, for labels chosen to hurt: always the least probable class, then the most."""
    rng = np.random.default_rng(seed)
    y_prob = rng.dirichlet(np.ones(3), size=600)
    turn = rng.integers(0, 2, size=12).repeat(50)
    y_true = np.where(turn == 1, y_prob.argmin(axis=1), y_prob.argmax(axis=1))
    adaptive = AdaptiveConformal(alpha=0.1, step=step, window=window)
    run = adaptive.fit(rng.integers(0, 3, size=30), rng.dirichlet(np.ones(3), size=30)).run(y_true, y_prob)
    assert abs(run.miss_rate - 0.1) <= (0.9 + step) / (step * 600) + 1e-9
    covered = run.sets.sets[np.arange(600), y_true]
    np.testing.assert_array_equal(covered, run.misses == 0)


def test_a_stream_may_come_in_pieces_and_without_labels():
    rng = np.random.default_rng(3)
    y_prob, y_true = rng.dirichlet(np.ones(3), size=90), rng.integers(-1, 3, size=90)
    whole = AdaptiveConformal(step=0.1, window=15).fit(y_true[:30], y_prob[:30]).run(y_true[30:], y_prob[30:])
    pieces = AdaptiveConformal(step=0.1, window=15).fit(y_true[:30], y_prob[:30])
    runs = [pieces.run(y_true[a : a + 20], y_prob[a : a + 20]) for a in (30, 50, 70)]
    np.testing.assert_array_equal(np.concatenate([run.sets.sets for run in runs]), whole.sets.sets)
    assert ((whole.misses == -1) == (y_true[30:] == -1)).all()
    assert json.loads(json.dumps(whole.to_dict(), allow_nan=False))["miss_rate"] == whole.miss_rate
    silent = AdaptiveConformal().fit([0], [[1.0, 0.0]]).run([-1], [[0.5, 0.5]])
    assert math.isnan(silent.miss_rate)
    assert silent.to_dict()["reason"] == "no labelled step"


def test_score_is_another_name_for_method():
    assert SplitConformal(score="aps").method == "aps"
    assert SplitConformal("raps", score="raps").method == "raps"
    with pytest.raises(ValueError, match="score='aps': is another name for method, which is 'raps'"):
        SplitConformal("raps", score="aps")


PROB = [[0.5, 0.5]]


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: SplitConformal(within="block"), ValueError, "block_length: needed with within='block'"),
        (lambda: SplitConformal(block_length=3), ValueError, "block_length: not used with within='all'"),
        (
            lambda: SplitConformal(within="class").fit([0], PROB, sample_weight=[1]),
            ValueError,
            "weights go with within='all'",
        ),
        (lambda: SplitConformal().fit([0], PROB).predict(PROB, sample_weight=[1]), ValueError, "fit was without"),
        (lambda: SplitConformal().fit([0], PROB, sample_weight=[1]).predict(PROB), ValueError, "fit was with"),
        (lambda: AdaptiveConformal(step=0), ValueError, "step: must be above 0"),
        (lambda: AdaptiveConformal(window=0), ValueError, "window: must be at least 1"),
        (lambda: AdaptiveConformal(alpha=2), ValueError, "alpha: must lie between 0 and 1"),
        (lambda: AdaptiveConformal().run([0], PROB), RuntimeError, "not fitted yet"),
        (lambda: AdaptiveConformal().fit([0], PROB).run([0, 1], PROB), ValueError, "a stream is y_true"),
        (lambda: AdaptiveConformal().fit([0], PROB).run([2], PROB), ValueError, "label 2 has no column"),
    ],
)
def test_bad_input_is_told_apart(call, error, says):
    with pytest.raises(error, match=says):
        call()
