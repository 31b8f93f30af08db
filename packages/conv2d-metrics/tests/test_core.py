from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest

import conv2d.metrics as metrics
from conv2d.metrics.core import MetricsCalculator

Y_TRUE = [0, 1, 2, -1, 1]
Y_PRED = [0, 1, 1, 0, 1]
Y_PROB = [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.3, 0.4, 0.3], [1.0, 0.0, 0.0], [0.6, 0.3, 0.1]]


def test_all_inputs_give_all_figures():
    found = MetricsCalculator().compute_all(Y_TRUE, Y_PRED, Y_PROB)
    assert found.to_dict() == {
        "n_windows": 4,
        "accuracy": metrics.accuracy(Y_TRUE, Y_PRED),
        "balanced_accuracy": metrics.balanced_accuracy(Y_TRUE, Y_PRED),
        "macro_f1": metrics.f1_score(Y_TRUE, Y_PRED),
        "micro_f1": metrics.f1_score(Y_TRUE, Y_PRED, average="micro"),
        "weighted_f1": metrics.f1_score(Y_TRUE, Y_PRED, average="weighted"),
        "mcc": metrics.matthews_correlation(Y_TRUE, Y_PRED),
        "kappa": metrics.cohen_kappa(Y_TRUE, Y_PRED),
        "coverage": metrics.class_coverage(Y_TRUE, Y_PRED),
        "motif_count": metrics.motif_count(Y_TRUE, Y_PRED),
        "nll": metrics.nll(Y_TRUE, Y_PROB),
        "brier": metrics.brier_score(Y_TRUE, Y_PROB),
        "ece": metrics.expected_calibration_error(Y_TRUE, Y_PROB),
        "mce": metrics.calibration_error(Y_TRUE, Y_PROB, norm="max"),
        "rmsce": metrics.calibration_error(Y_TRUE, Y_PROB, norm="l2"),
        "classwise_ece": metrics.classwise_ece(Y_TRUE, Y_PROB),
        "smooth_ece": metrics.smooth_ece(Y_TRUE, Y_PROB),
        "top_k_accuracy": metrics.top_k_accuracy(Y_TRUE, Y_PROB, k=3),
        "auroc": metrics.auroc(Y_TRUE, Y_PROB),
        "average_precision": metrics.average_precision_score(Y_TRUE, Y_PROB),
    }
    assert list(found) == list(found.to_dict())


def test_predictions_alone_leave_calibration_absent():
    found = MetricsCalculator().compute_all(Y_TRUE, Y_PRED)
    assert found.accuracy == 0.75
    assert not hasattr(found, "ece")
    assert "ece" not in found.to_dict()
    with pytest.raises(AttributeError, match="ece: absent, because compute_all was called without y_prob"):
        _ = found.ece


def test_probabilities_alone_predict_their_top_class():
    found = MetricsCalculator().compute_all(Y_TRUE, y_prob=Y_PROB)
    assert found.accuracy == metrics.accuracy(Y_TRUE, np.argmax(Y_PROB, axis=1))


def test_labels_alone_give_their_number():
    found = MetricsCalculator().compute_all(Y_TRUE)
    assert found.to_dict() == {"n_windows": 4}
    with pytest.raises(AttributeError, match=r"accuracy: absent, .* without y_pred or y_prob"):
        _ = found.accuracy


def test_conventions_are_passed_on():
    found = MetricsCalculator(n_bins=5, closed="left", classes="true").compute_all(Y_TRUE, Y_PRED, Y_PROB)
    assert found.ece == metrics.expected_calibration_error(Y_TRUE, Y_PROB, n_bins=5, closed="left")
    assert found.classwise_ece == metrics.classwise_ece(Y_TRUE, Y_PROB, n_bins=5, closed="left")
    assert found.macro_f1 == metrics.f1_score(Y_TRUE, Y_PRED, classes="true")


def test_metrics_are_frozen_values():
    one, same = (MetricsCalculator().compute_all(Y_TRUE, Y_PRED) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    assert one != MetricsCalculator().compute_all(Y_TRUE, [*Y_TRUE[:3], 0, 1])
    assert repr(one).startswith("Metrics(n_windows=4, accuracy=0.75,")
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(AttributeError, match="frozen"):
        one.accuracy = 1.0
    with pytest.raises(AttributeError, match="frozen"):
        del one.accuracy
    misspelt = "acuracy"
    with pytest.raises(AttributeError, match="acuracy: no such figure; there are n_windows, accuracy"):
        getattr(one, misspelt)


def test_no_labelled_window_is_undefined_and_says_so():
    found = MetricsCalculator().compute_all([-1], y_prob=[[0.5, 0.5]])
    assert math.isnan(found.accuracy)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["accuracy"] is None
    assert told["reason"] == "no labelled window"


def test_a_prediction_outside_the_classes_of_y_prob_is_refused():
    with pytest.raises(ValueError, match=r"n_classes=2: .* 3 occurs"):
        MetricsCalculator().compute_all([0], [3], [[0.5, 0.5]])


def test_import_needs_numpy_alone():
    """Nothing else of what a machine may have installed is touched."""
    code = (
        "import sys; import numpy; before = set(sys.modules); import conv2d.metrics;"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"conv2d", "numpy"}


def test_every_public_name_is_documented_with_an_example():
    for name in metrics.__all__:
        doc = getattr(metrics, name).__doc__ or ""
        assert "Examples\n" in doc, name
