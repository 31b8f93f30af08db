from __future__ import annotations

import json
import math
import tracemalloc
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv2d.metrics import _recurrence as module
from conv2d.metrics import cross_recurrence

classes = st.lists(st.integers(-1, 2), min_size=1, max_size=15)


@pytest.mark.vectors("rqa_*.npz")
def test_vectors(vector):
    x, y = vector["x"], vector.get("y", vector["x"])
    settings = {}
    if x.dtype.kind == "f":
        settings = {
            "radius": float(vector["radius"]),
            "dimension": int(vector["embedding_dimension"]),
            "delay": int(vector["time_delay"]),
        }
    lags = vector.get("lags", np.array([0]))
    found = cross_recurrence(x, y, theiler=int(vector.get("theiler", 0)), max_lag=int(lags.max()), **settings)
    expected = {name.removeprefix("expected__"): value for name, value in vector.items()}
    assert found.rate == pytest.approx(float(expected["RR"]), abs=1e-12)
    assert found.n_recurrent == expected["n_recurrent"]
    lines = {"DET": "share", "L": "mean", "L_max": "longest", "L_entr": "entropy"}
    for name, figure in lines.items():
        assert getattr(found.diagonal, figure) == pytest.approx(float(expected[name]), abs=1e-12), name
    lines = {"LAM": "share", "TT": "mean", "V_max": "longest", "V_entr": "entropy"}
    for name, figure in lines.items():
        assert getattr(found.vertical, figure) == pytest.approx(float(expected[name]), abs=1e-12), name
    assert 1 / found.diagonal.longest == pytest.approx(float(expected["DIV"]))
    if "diagonal_profile" in expected:
        np.testing.assert_array_equal(found.lag, lags)
        np.testing.assert_allclose(found.profile, expected["diagonal_profile"], atol=1e-12)
        assert found.peak_lag == expected["profile_peak_lag"]
    told = found.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def line_counts(lines, size):
    runs = [len(list(run)) for line in lines for marked, run in groupby(line) if marked]
    return np.bincount(runs, minlength=size)


@given(classes, classes, st.integers(0, 3))
def test_classes_against_the_whole_plot(x, y, theiler):
    plot = np.array([[a == b and a != -1 for b in y] for a in x])
    found = cross_recurrence(x, y, theiler=theiler, max_lag=3)
    assert found.n_recurrent == plot.sum()
    lags = [lag for lag in range(1 - len(x), len(y)) if abs(lag) >= theiler]
    diagonal = line_counts([np.diagonal(plot, lag) for lag in lags], min(plot.shape) + 1)
    np.testing.assert_array_equal(found.diagonal.counts, diagonal)
    np.testing.assert_array_equal(found.vertical.counts, line_counts(plot, len(y) + 1))
    for lag, share in zip(found.lag, found.profile, strict=True):
        on = np.diagonal(plot, lag)
        assert share == pytest.approx(on.mean() if on.size else math.nan, nan_ok=True)


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 3))
def test_continuous_states_against_the_whole_plot(seed, dimension, delay):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=20), rng.normal(size=25)
    states = [
        np.array([s[i : i + (dimension - 1) * delay + 1 : delay] for i in range(len(s) - (dimension - 1) * delay)])
        for s in (x, y)
    ]
    plot = np.linalg.norm(states[0][:, None] - states[1][None], axis=-1) <= 0.8
    found = cross_recurrence(x, y, radius=0.8, dimension=dimension, delay=delay)
    assert found.n_recurrent == plot.sum()
    lags = range(1 - plot.shape[0], plot.shape[1])
    diagonal = line_counts([np.diagonal(plot, lag) for lag in lags], min(plot.shape) + 1)
    np.testing.assert_array_equal(found.diagonal.counts, diagonal)
    np.testing.assert_array_equal(found.vertical.counts, line_counts(plot, plot.shape[1] + 1))


def test_memory_grows_with_the_length_and_not_with_the_plot(monkeypatch):
    """Four times the steps are 16 times the cells; the memory may grow by 4 and a constant."""
    monkeypatch.setattr(module, "_CELLS", 2**10)

    def peak(n):
        x = np.random.default_rng(0).normal(size=n)
        tracemalloc.start()
        cross_recurrence(x, x, radius=0.1)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(100)  # what is imported and cached on the way
    assert peak(2000) < 5 * peak(500)


def test_a_known_lag_is_recovered():
    rng = np.random.default_rng(0)
    x = np.repeat(rng.integers(0, 4, 200), rng.integers(1, 9, 200))
    for lag in (-7, 0, 13):
        assert cross_recurrence(x, np.roll(x, lag), max_lag=20).peak_lag == lag


def test_nothing_recurrent():
    found = cross_recurrence([0, 0], [1, 1, 1])
    assert found.rate == 0.0
    assert math.isnan(found.determinism)
    assert math.isnan(found.diagonal.mean)
    assert found.diagonal.longest == 0
    told = found.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["diagonal"]["reason"] == "no lines"


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: cross_recurrence([0], [0.0]), TypeError, "must both be classes"),
        (lambda: cross_recurrence([[0]], [0]), ValueError, r"x, y: must be \(T,\)"),
        (lambda: cross_recurrence([0.0], [0.0]), ValueError, "radius: continuous values need one"),
        (lambda: cross_recurrence([0], [0], radius=1), ValueError, "are for continuous values"),
        (lambda: cross_recurrence([np.nan], [0.0], radius=1), ValueError, "x: 1 values are not finite"),
        (lambda: cross_recurrence([0.0], [0.0], radius=1, dimension=2), ValueError, "x: 1 steps hold no state"),
        (lambda: cross_recurrence([0], [0], theiler=-1), ValueError, "theiler: .* at least 0"),
    ],
)
def test_bad_input_is_told_apart(call, error, says):
    with pytest.raises(error, match=says):
        call()
