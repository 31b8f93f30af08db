from __future__ import annotations

import json
import math
from typing import Any

import pytest

from conv2d.metrics import Gate, Interval, MetricsCalculator, check_gates

unchecked: Any = Gate  # to pass what a type checker would refuse
ECE = Interval(0.02, 0.01, 0.04, confidence=0.95, n_groups=9, n_resamples=1000)


@pytest.mark.parametrize(
    ("comparison", "limit", "at", "passes"),
    [
        ("<=", 0.02, "value", True),
        ("<", 0.02, "value", False),
        (">=", 0.02, "value", True),
        (">", 0.02, "value", False),
        ("<=", 0.03, "upper_ci", False),
        ("<=", 0.04, "upper_ci", True),
        (">=", 0.01, "lower_ci", True),
        (">=", 0.02, "lower_ci", False),
    ],
)
def test_a_figure_is_held_against_its_limit(comparison, limit, at, passes):
    assert check_gates([Gate("ece", comparison, limit, at=at)], {"ece": ECE}).passed is passes


def test_what_cannot_be_compared_fails():
    alone = Interval(0.9, math.nan, math.nan, 0.95, 1, 1000, reason="one group only: nothing to resample")
    gates = [
        Gate("mce", "<=", 1.0),
        Gate("accuracy", ">=", 0.0, at="lower_ci"),
        Gate("macro_f1", ">=", 0.0, at="lower_ci"),
        Gate("nll", "<=", 9.0),
        Gate("brier", "<=", 2.0),
    ]
    figures = {"accuracy": alone, "macro_f1": 0.9, "nll": math.inf, "brier": math.nan}
    verdict = check_gates(gates, figures)
    assert [result.passed for result in verdict.results] == [False] * 5
    assert [result.reason for result in verdict.results] == [
        "mce is missing",
        "accuracy: one group only: nothing to resample",
        "macro_f1 has no confidence interval",
        "nll is infinite",
        "brier: undefined",
    ]
    told = verdict.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["gates"][0] == {
        "name": "mce",
        "comparison": "<=",
        "limit": 1.0,
        "at": "value",
        "figure": None,
        "passed": False,
        "reason": "mce is missing",
    }


def test_one_failure_fails_all():
    gates = [Gate("ece", "<=", 0.03), Gate("ece", "<=", 0.03, at="upper_ci")]
    verdict = check_gates(gates, {"ece": ECE})
    assert [result.passed for result in verdict.results] == [True, False]
    assert not verdict.passed


def test_metrics_feed_gates():
    metrics = MetricsCalculator().compute_all([0, 1], [0, 1])
    verdict = check_gates([Gate("accuracy", ">=", 1.0), Gate("ece", "<=", 1.0)], vars(metrics))
    assert [result.passed for result in verdict.results] == [True, False]


def test_bad_gates_are_told_apart():
    with pytest.raises(ValueError, match=r"comparison: must be one of '<=', .* got '=='"):
        unchecked("ece", "==", 0.03)
    with pytest.raises(ValueError, match=r"at: must be one of 'value', .* got 'upper'"):
        unchecked("ece", "<=", 0.03, at="upper")
    with pytest.raises(ValueError, match="limit: must be finite, got nan for 'ece'"):
        Gate("ece", "<=", math.nan)
    with pytest.raises(ValueError, match="at least one is needed"):
        check_gates([], {})
