"""The same figures on awkward but right input, and on nothing; wrong input told by name."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from conv2d import metrics

rng = np.random.default_rng(0)
Y_TRUE, Y_PROB = rng.integers(0, 3, size=60), rng.dirichlet(np.ones(3), size=60)
Y_PRED = Y_PROB.argmax(axis=1)

FROM_PREDICTIONS = (
    "accuracy",
    "balanced_accuracy",
    "f1_score",
    "matthews_correlation",
    "cohen_kappa",
    "class_coverage",
    "motif_count",
    "segment_f1",
    "edit_score",
    "boundary_f1",
)
FROM_PROBABILITIES = (
    "expected_calibration_error",
    "calibration_error",
    "classwise_ece",
    "smooth_ece",
    "brier_score",
    "nll",
    "auroc",
    "top_k_accuracy",
    "average_precision_score",
)
OF_SEQUENCES = ("segments", "transition_matrix", "dwell_times", "entropy_rate", "time_budget", "bout_statistics")


def frozen(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.setflags(write=False)
    return array


def strided(array: np.ndarray) -> np.ndarray:
    return np.repeat(array, 2, axis=0)[::2]


def small(array: np.ndarray) -> np.ndarray:
    return array.astype(np.int8) if array.dtype.kind == "i" else array


@pytest.mark.parametrize("change", [frozen, strided, small, np.ndarray.tolist, np.asfortranarray])
@pytest.mark.parametrize("name", [*FROM_PREDICTIONS, *FROM_PROBABILITIES, *OF_SEQUENCES])
def test_how_an_array_lies_in_memory_changes_nothing(name, change):
    given = [Y_TRUE] if name in OF_SEQUENCES else [Y_TRUE, Y_PRED if name in FROM_PREDICTIONS else Y_PROB]
    figure: Any = getattr(metrics, name)
    plain, changed = figure(*given), figure(*map(change, given))
    if hasattr(plain, "to_dict"):
        plain, changed = plain.to_dict(), changed.to_dict()
    assert changed == plain


@pytest.mark.parametrize("name", FROM_PROBABILITIES)
def test_float32_is_a_rounding_away(name):
    figure: Any = getattr(metrics, name)
    assert figure(Y_TRUE, Y_PROB.astype(np.float32)) == pytest.approx(figure(Y_TRUE, Y_PROB), abs=1e-6)


@pytest.mark.parametrize("name", [*FROM_PREDICTIONS, "mutual_information", "ward_frames", "segment_timing"])
def test_empty_lists_are_windows_of_which_there_are_none(name):
    figure: Any = getattr(metrics, name)
    found = figure([], [])
    if hasattr(found, "to_dict"):
        json.dumps(found.to_dict(), allow_nan=False)
    else:
        assert found == 0 if name == "motif_count" else np.isnan(found)


def test_an_array_of_floats_is_refused_even_if_it_is_empty():
    with pytest.raises(TypeError, match="y_true: class indices must be integers, got dtype float64"):
        metrics.accuracy(np.empty(0), np.empty(0))


def test_ragged_rows_are_told_by_name():
    with pytest.raises(ValueError, match="codes: must be an array, whose rows are of one length"):
        metrics.codebook_usage([[0, 1, 1], [2, 2]], 3)
    with pytest.raises(ValueError, match="y_prob: must be an array, whose rows are of one length"):
        metrics.nll([0, 1], [[0.5, 0.5], [1.0]])


def test_a_report_of_nothing_is_a_page():
    empty = metrics.evaluate([-1, -1], [0, 1], groups=["ada", "ada"])
    assert "0 labelled windows of 0 subjects" in empty.to_html()


def test_every_frozen_result_goes_to_json_and_back():
    """Each public dataclass writes itself; those below were the ones that others wrote for them."""
    results = [
        getattr(metrics, name)
        for name in metrics.__all__
        if dataclasses.is_dataclass(getattr(metrics, name)) and name != "MetricsCalculator"
    ]
    assert all(hasattr(result, "to_dict") for result in results)
    sets = metrics.SplitConformal(alpha=0.2).fit(Y_TRUE, Y_PROB).predict(Y_PROB)
    evaluation = metrics.evaluate(Y_TRUE, y_prob=Y_PROB, groups=np.arange(60) // 10, n_resamples=10)
    gate = metrics.Gate("ece", "<=", 0.1, at="upper_ci")
    result = metrics.check_gates([gate], {"ece": evaluation.ece}).results[0]
    certain = metrics.SubjectScore("ada", 2, 0.5, 0.5, 0.5, float("inf"))
    for each in (sets, gate, result, evaluation.per_subject[0], evaluation.timelines[0], certain):
        told = each.to_dict()
        assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert metrics.Gate(**gate.to_dict()) == gate
    assert np.array_equal(sets.to_dict()["sets"], sets.sets)
    assert certain.to_dict()["nll"] is None
    assert "infinite" in certain.to_dict()["reason"]
    assert "ece" not in metrics.SubjectScore("bo", 3, 1.0, 1.0).to_dict()
