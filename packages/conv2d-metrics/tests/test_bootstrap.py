from __future__ import annotations

import json
import math
from itertools import product
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv2d.metrics import (
    Interval,
    accuracy,
    balanced_accuracy,
    bootstrap_ci,
    brier_score,
    calibration_error,
    class_coverage,
    classwise_ece,
    cohen_kappa,
    evaluate_probabilities,
    expected_calibration_error,
    f1_score,
    matthews_correlation,
    motif_count,
    nll,
    smooth_ece,
)
from conv2d.metrics._inputs import grouped, scored
from conv2d.metrics._intervals import Resampling, student_quantile
from conv2d.metrics._milder import milder_bins, milder_residuals
from conv2d.metrics._scales import Scale
from conv2d.metrics._statistics import FROM_PREDICTIONS, FROM_PROBABILITIES, multiplicities, named, recombined


def subjects(seed: int = 0, n_subjects: int = 6, n_windows: int = 40, n_classes: int = 3):
    """Windows of subjects who differ, a few ignored, in shuffled order."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n_subjects), n_windows)
    y_true = rng.integers(-1, n_classes, size=len(groups))
    logits = rng.normal(size=(len(groups), n_classes))
    skill = rng.normal(1.5, 1.0, size=n_subjects)[groups]
    logits[np.arange(len(groups)), y_true] += skill
    y_prob = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    order = rng.permutation(len(groups))
    return y_true[order], y_prob[order], groups[order]


ON_WINDOWS = {
    "accuracy": lambda y, p: accuracy(y, p.argmax(axis=1)),
    "balanced_accuracy": lambda y, p: balanced_accuracy(y, p.argmax(axis=1)),
    "macro_f1": lambda y, p: f1_score(y, p.argmax(axis=1)),
    "micro_f1": lambda y, p: f1_score(y, p.argmax(axis=1), average="micro"),
    "weighted_f1": lambda y, p: f1_score(y, p.argmax(axis=1), average="weighted"),
    "mcc": lambda y, p: matthews_correlation(y, p.argmax(axis=1)),
    "kappa": lambda y, p: cohen_kappa(y, p.argmax(axis=1)),
    "coverage": lambda y, p: class_coverage(y, p.argmax(axis=1)),
    "motif_count": lambda y, p: motif_count(y, p.argmax(axis=1)),
    "nll": nll,
    "brier": brier_score,
    "ece": expected_calibration_error,
    "mce": lambda y, p: calibration_error(y, p, norm="max"),
    "rmsce": lambda y, p: calibration_error(y, p, norm="l2"),
    "classwise_ece": classwise_ece,
    "smooth_ece": smooth_ece,
}


ERRORS = ("ece", "mce", "rmsce", "classwise_ece", "smooth_ece")


def test_every_named_figure_has_an_oracle():
    assert set(ON_WINDOWS) == {*FROM_PREDICTIONS, *FROM_PROBABILITIES}


def range_of(name: str) -> tuple[float, float]:
    low = -1.0 if name in ("mcc", "kappa") else 0.0
    return low, {"nll": math.inf, "brier": 2.0, "motif_count": 3.0}.get(name, 1.0)


@pytest.mark.parametrize("name", ON_WINDOWS)
def test_sums_agree_with_resampling_the_windows(name):
    y_true, y_prob, groups = subjects()
    fast = bootstrap_ci(name, y_true, y_prob=y_prob, groups=groups, n_resamples=200)
    slow = bootstrap_ci(ON_WINDOWS[name], y_true, y_prob=y_prob, groups=groups, n_resamples=200, bounds=range_of(name))
    assert fast.value == ON_WINDOWS[name](y_true, y_prob)
    assert fast.high == pytest.approx(slow.high, abs=1e-12)
    if name in ERRORS:  # a callable has no gaps that could be made milder
        assert (fast.method, slow.method) == ("inversion", "student-t")
        assert 0 <= fast.low < fast.value
    else:
        assert fast.low == pytest.approx(slow.low, abs=1e-12)
        assert fast.method == slow.method
    assert fast.low < fast.value < fast.high or name in ("coverage", "motif_count")  # all classes, on every resample


def test_each_replicate_is_the_figure_of_the_drawn_subjects():
    y_true, y_prob, groups = subjects(1, n_subjects=3)
    sample = scored(y_true, y_prob)
    by, ece = grouped(groups, sample.kept), named("ece", sample)
    replicates = ece.figure(recombined(ece.table(by), Resampling(50, 0.95, seed=4)))
    for times, value in zip(multiplicities(3, 50, seed=4), replicates, strict=True):
        assert times.sum() == 3
        rows = np.concatenate([np.tile(np.flatnonzero(groups == g), int(times[g])) for g in range(3)])
        assert value == pytest.approx(expected_calibration_error(y_true[rows], y_prob[rows]), abs=1e-12)


@pytest.mark.parametrize("name", ["ece", "rmsce", "classwise_ece", "smooth_ece"])
def test_the_lower_end_of_a_calibration_error_is_where_its_test_turns(name):
    """At the lower end the resamples of a milder population reach the value seen just as often as the tail says."""
    y_true, y_prob, groups = subjects(8, n_subjects=12, n_windows=60)
    y_prob = y_prob**4 / (y_prob**4).sum(axis=1, keepdims=True)  # far too sure
    sample = scored(y_true, y_prob)
    by, how, figure = grouped(groups, sample.kept), Resampling(300, 0.8, seed=0), named(name, sample)
    found = figure.interval(by, how)
    milder = milder_residuals if name == "smooth_ece" else milder_bins
    seen, totals = figure.table()[0], recombined(figure.table(by), how)
    tail = NormalDist().cdf(-math.sqrt(12 / 11) * student_quantile(0.9, 11))

    def reaching(share: float) -> float:
        return float((figure.figure(milder(totals, seen, share)) >= found.value).mean())

    shares = np.arange(257) / 256
    ends = np.array([float(figure.figure(milder(seen, seen, share))) for share in shares])
    assert ends[-1] == pytest.approx(found.value, abs=1e-9)
    share = shares[np.argmin(np.abs(ends - found.low))]
    assert 0.1 < share < 0.9
    # The smooth error's value is itself found to one part in a million; a resample may lie within that.
    assert reaching(share) <= tail + 1 / 300
    assert reaching(share + 1 / 256) > tail - 1 / 300


def test_a_calibrated_model_is_not_called_miscalibrated():
    """Percentiles of resamples of this class-wise ECE begin at three times its population value, 0.0056."""
    rng = np.random.default_rng(0)
    y_prob = rng.dirichlet(np.ones(4), size=900)
    y_true = (rng.random(900)[:, None] > y_prob.cumsum(axis=1)).sum(axis=1).clip(0, 3)
    groups = np.repeat(np.arange(15), 60)
    for name in ERRORS:
        assert bootstrap_ci(name, y_true, y_prob=y_prob, groups=groups).low == 0, name


def test_two_subjects_against_full_enumeration():
    """Of the four equally likely resamples of two groups, a quarter each lies at either end."""
    y_true, y_pred, groups = [0, 0, 0, 0], [0, 1, 0, 0], ["a", "a", "b", "b"]
    ends = sorted({np.mean([(0.5, 1.0)[g] for g in drawn]) for drawn in product(range(2), repeat=2)})
    assert ends == [0.5, 0.75, 1.0]
    result = bootstrap_ci(accuracy, y_true, y_pred=y_pred, groups=groups)
    assert (result.low, result.value, result.high, result.n_groups) == (0.5, 0.75, 1.0, 2)
    assert result.method == "percentile-t"


def test_students_interval_on_log_odds_by_hand():
    """Three subjects with 6, 8 and 9 of 10 right: replicates, log-odds, two standard errors, t of 2 degrees."""
    right = np.repeat([[6], [8], [9]], 1, axis=1)[:, 0]
    y_pred = np.concatenate([np.arange(10) >= n for n in right]).astype(int)
    found = bootstrap_ci("accuracy", np.zeros(30, dtype=int), y_pred=y_pred, groups=np.repeat([0, 1, 2], 10))
    share = np.array([times @ right / 30 for times in multiplicities(3, 1000, seed=0)])
    p = 23 / 30
    on_scale, mapped = np.log(share / (1 - share)).std(), share.std() / (p * (1 - p))
    reach = math.sqrt(3 / 2) * 4.302652729911275 * max(on_scale, mapped)
    ends = [1 / (1 + math.exp(-(math.log(p / (1 - p)) + sign * reach))) for sign in (-1, 1)]
    assert (found.low, found.high) == pytest.approx(ends, abs=1e-9)
    assert found.method == "student-t"


@given(st.floats(0.001, 0.999))
def test_without_a_spread_both_ends_are_the_value(value):
    for scale in (Scale(0.0, 1.0), Scale(-1.0, 1.0), Scale(0.0, math.inf)):
        low, high = scale.interval(value, np.full(10, value), reach=2.0)
        assert low <= value <= high
        assert high - low < 1e-14


def test_a_figure_on_the_end_of_its_range_takes_percentiles():
    found = bootstrap_ci("accuracy", [0, 1, 1, 0], y_pred=[0, 1, 1, 0], groups=[0, 1, 2, 3])
    assert (found.low, found.value, found.high, found.method) == (1.0, 1.0, 1.0, "percentile-t")


@pytest.mark.parametrize("name", ["macro_f1", "nll", *ERRORS])
def test_many_groups_are_summed_anew_with_the_same_result(name, monkeypatch):
    y_true, y_prob, groups = subjects(2)
    held = bootstrap_ci(name, y_true, y_prob=y_prob, groups=groups, n_resamples=50)
    monkeypatch.setattr("conv2d.metrics._statistics._TABLE_LIMIT", 0)
    anew = bootstrap_ci(name, y_true, y_prob=y_prob, groups=groups, n_resamples=50)
    assert (held.low, held.high) == pytest.approx((anew.low, anew.high), abs=1e-12)


def test_without_groups_each_window_is_one():
    y_true, y_prob, _ = subjects(3)
    assert bootstrap_ci("accuracy", y_true, y_prob=y_prob, n_resamples=20).n_groups == (y_true != -1).sum()
    everyone = bootstrap_ci(ON_WINDOWS["accuracy"], y_true, y_prob=y_prob, n_resamples=20)
    assert everyone.n_groups == len(y_true)  # a callable gets all windows, and ignores on its own


def test_the_seed_decides():
    y_true, y_prob, groups = subjects(4)
    one, same, other = (
        bootstrap_ci("nll", y_true, y_prob=y_prob, groups=groups, n_resamples=100, seed=seed) for seed in (1, 1, 2)
    )
    assert one == same != other


def test_a_wider_confidence_is_a_wider_interval():
    y_true, y_prob, groups = subjects(5)
    narrow, wide = (
        bootstrap_ci("accuracy", y_true, y_prob=y_prob, groups=groups, confidence=level) for level in (0.5, 0.99)
    )
    assert wide.low < narrow.low < narrow.high < wide.high


def test_names_of_groups_are_text_of_any_kind():
    y_true, y_prob, groups = subjects(6)
    names = np.array([f"dog-{g}" for g in groups])
    numbered = bootstrap_ci("ece", y_true, y_prob=y_prob, groups=groups, n_resamples=50)
    assert bootstrap_ci("ece", y_true, y_prob=y_prob, groups=names, n_resamples=50) == numbered
    assert bootstrap_ci("ece", y_true, y_prob=y_prob, groups=names.astype(object), n_resamples=50) == numbered


def test_one_group_has_no_interval():
    result = bootstrap_ci("accuracy", [0, 1], y_pred=[0, 0], groups=[7, 7])
    assert (result.value, result.n_groups, result.reason) == (0.5, 1, "one group only: nothing to resample")
    assert math.isnan(result.low)
    assert math.isnan(result.high)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["low"] is None


def test_no_labelled_window_has_no_value():
    result = bootstrap_ci("ece", [-1], y_prob=[[0.5, 0.5]], groups=[0])
    assert math.isnan(result.value)
    assert result.reason == "no labelled window"


def test_a_replicate_without_a_value_is_not_passed_over():
    def share_of_class_one(y_true, y_pred):
        ones = y_true == 1
        return float(np.mean(y_pred[ones])) if ones.any() else math.nan

    result = bootstrap_ci(share_of_class_one, [0, 1, 0], y_pred=[0, 1, 0], groups=[0, 1, 2], n_resamples=100)
    assert result.value == 1.0
    assert math.isnan(result.low)
    assert result.reason.startswith("undefined on ")


def test_an_infinite_loss_stays_infinite_and_makes_no_nan():
    y_prob = np.array([[1.0, 0.0], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]])
    result = bootstrap_ci("nll", [1, 0, 0, 1], y_prob=y_prob, groups=[0, 1, 2, 3])
    assert result.value == math.inf == result.high
    assert result.low == pytest.approx(math.log(2))  # resamples without the first group are finite
    assert result.to_dict()["value"] is None
    assert "infinite" in str(result.to_dict()["reason"])


def test_interval_prints_as_people_write_it():
    assert f"{Interval(0.81234, 0.7, 0.9, 0.95, 5, 1000):.2f}" == "0.81 [0.70, 0.90]"


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: bootstrap_ci("auc", [0], y_pred=[0]), ValueError, "statistic: must be one of 'accuracy'"),
        (lambda: bootstrap_ci("ece", [0], y_pred=[0]), ValueError, r"statistic 'ece': needs y_prob\.$"),
        (lambda: bootstrap_ci("accuracy", [0]), ValueError, "statistic 'accuracy': needs y_prob or y_pred"),
        (lambda: bootstrap_ci(accuracy, [0]), ValueError, "neither was given"),
        (lambda: bootstrap_ci(accuracy, [0], y_pred=[0, 1]), ValueError, "y_pred: must start with the shape"),
        (lambda: bootstrap_ci("accuracy", [0], y_pred=[0], groups=[1, 2]), ValueError, "groups: one per window, 1,"),
        (lambda: bootstrap_ci("accuracy", [0], y_pred=[0], groups=[1.5]), TypeError, "groups: must be integers or"),
        (lambda: bootstrap_ci("accuracy", [0], y_pred=[0], confidence=95), ValueError, "between 0 and 1, got 95"),
        (lambda: bootstrap_ci("accuracy", [0], y_pred=[0], bounds=(0, 1)), ValueError, "bounds: are for callables"),
        (lambda: bootstrap_ci(accuracy, [0], y_pred=[0], bounds=(1, 0)), ValueError, "bounds: a finite lower end"),
        (lambda: bootstrap_ci("accuracy", [0], y_pred=[0], n_resamples=0), ValueError, "n_resamples: .* at least 1"),
    ],
)
def test_bad_input_is_told_apart(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_an_evaluation_gathers_the_figures():
    y_true, y_prob, groups = subjects(7)
    names = ["rest", "walk", "trot"]
    result = evaluate_probabilities(y_true, y_prob, groups, label_names=names, n_resamples=100)
    for name in ("accuracy", "macro_f1", "ece", "nll"):
        assert getattr(result, name) == bootstrap_ci(name, y_true, y_prob=y_prob, groups=groups, n_resamples=100)
    assert (result.n_windows, result.n_ignored) == ((y_true != -1).sum(), (y_true == -1).sum())
    for score in result.per_subject:
        own = groups == score.subject
        assert score.n_windows == (y_true[own] != -1).sum()
        for name in ("accuracy", "macro_f1", "ece", "nll"):
            assert getattr(score, name) == pytest.approx(ON_WINDOWS[name](y_true[own], y_prob[own]), abs=1e-12)
    told = result.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert set(told["accuracy"]) == {"value", "low", "high"}
    assert told["label_names"] == names
    assert told["n_subjects"] == 6 == len(told["per_subject"])
    assert np.sum(told["confusion"]) == result.n_windows


def test_an_evaluation_of_one_subject_writes_null_and_why():
    told = evaluate_probabilities([0, 1], [[1.0, 0.0], [1.0, 0.0]], ["ada", "ada"]).to_dict()
    assert told["accuracy"] == {
        "value": 0.5,
        "low": None,
        "high": None,
        "reason": "one group only: nothing to resample",
    }
    assert told["per_subject"][0]["nll"] is None
    assert "infinite" in told["per_subject"][0]["reason"]
    assert told["nll"]["value"] is None
    assert told["nll"]["reason"].startswith("one group only: nothing to resample; infinite")
    assert told["per_class"][1]["reason"] == "never predicted"
    json.dumps(told, allow_nan=False)


def test_a_subject_without_labels_is_not_a_subject():
    told = evaluate_probabilities([0, -1], [[1.0, 0.0], [1.0, 0.0]], ["ada", "bo"])
    assert (told.n_subjects, told.n_windows, told.n_ignored) == (1, 1, 1)


def test_an_evaluation_of_nothing_is_undefined():
    told = evaluate_probabilities([-1], [[1.0, 0.0]], ["ada"]).to_dict()
    assert told["nll"] == {"value": None, "low": None, "high": None, "reason": "no labelled window"}
    json.dumps(told, allow_nan=False)
