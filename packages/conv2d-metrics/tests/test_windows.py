from __future__ import annotations

import json
import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, false_discovery_control

from conv2d.metrics import adjust_p_values, dynamic_windows, mutual_information, sliding_windows, windowed

UNKNOWN: Any = "unknown"
"""A word that no parameter knows."""

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(p_values)
def test_adjustments_against_their_definitions(p):
    p = np.array(p)
    n = len(p)
    np.testing.assert_allclose(adjust_p_values(p, method="bonferroni"), np.minimum(1, n * p))
    order = np.argsort(p, kind="stable")
    holm = np.empty(n)
    for rank, i in enumerate(order):
        holm[i] = min(1, max((n - r) * p[j] for r, j in enumerate(order[: rank + 1])))
    np.testing.assert_allclose(adjust_p_values(p), holm)
    ordered = p[order].tolist()
    step_up = [min(1.0, *(ordered[r] * n / (r + 1) for r in range(n) if ordered[r] >= each)) for each in p.tolist()]
    np.testing.assert_allclose(adjust_p_values(p, method="benjamini-hochberg"), step_up)
    by = adjust_p_values(p, method="benjamini-yekutieli")
    np.testing.assert_allclose(by, false_discovery_control(p, method="by"))


def test_a_test_not_made_does_not_count():
    np.testing.assert_array_equal(adjust_p_values([0.02, math.nan, 0.5], method="bonferroni"), [0.04, math.nan, 1.0])
    assert adjust_p_values([]).shape == (0,)
    assert adjust_p_values([[0.2], [0.4]]).shape == (2, 1)


def test_many_windows_of_nothing_hardly_ever_hold_a_finding():
    """Any finding in 8 windows: of 50 recordings, no more than a binomial at 5 % exceeds once in a thousand."""
    trials, found, uncorrected = 50, 0, 0
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        x, y = rng.integers(0, 3, (2, 1600))
        measure = partial(mutual_information, surrogates=159, seed=seed)
        result = windowed(measure, x, y, sliding_windows(1600, 200, 200))
        found += bool((result.adjusted <= 0.05).any())
        uncorrected += bool((result.p <= 0.05).any())
    assert found <= binom.ppf(0.999, trials, 0.05)
    assert uncorrected > binom.ppf(0.999, trials, 0.05)


def test_the_windows_in_step_are_found():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, 900)
    y = np.where(np.arange(900) // 300 == 1, x, rng.integers(0, 3, 900))
    found = windowed(partial(mutual_information, surrogates=99), x, y, sliding_windows(900, 300, 300))
    np.testing.assert_array_equal(found.adjusted < 0.05, [False, True, False])
    told = found.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=60), st.integers(1, 4))
def test_dynamic_windows_hold_as_many_changes_as_asked_and_no_step_more(pairs, changes):
    x, y = (np.array([pair[i] for pair in pairs], dtype=int) for i in (0, 1))
    windows = dynamic_windows(x, y, changes=changes)
    assert windows.shape[1] == 2
    at = 0

    def fewest(a, b):
        return min(int((side[a + 1 : b] != side[a : b - 1]).sum()) for side in (x, y))

    for start, end in windows.tolist():
        assert start == at
        assert fewest(start, end) >= changes > fewest(start, end - 1)
        at = end
    assert fewest(at, len(x)) < changes


def test_bad_input_is_told_apart():
    with pytest.raises(ValueError, match=r"p: p-values lie in \[0, 1\], got 0.5 to 2.0"):
        adjust_p_values([0.5, 2.0])
    with pytest.raises(ValueError, match="method: must be one of"):
        adjust_p_values([0.5], method=UNKNOWN)
    with pytest.raises(ValueError, match="window=5: longer than the sequence"):
        sliding_windows(4, 5, 1)
    with pytest.raises(ValueError, match="windows: each must lie within the 3 steps"):
        windowed(mutual_information, [0, 1, 0], [0, 1, 0], [[0, 4]])
    with pytest.raises(ValueError, match=r"windows: must be \(W, 2\)"):
        windowed(mutual_information, [0, 1, 0], [0, 1, 0], [0, 4])
    with pytest.raises(ValueError, match="y: must be as long as x"):
        windowed(mutual_information, [0, 1, 0], [0, 1], [[0, 2]])
    with pytest.raises(ValueError, match=r"y: must be \(T,\) like x"):
        dynamic_windows([0, 1], [0], changes=1)
