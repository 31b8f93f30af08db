from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from conv2d.metrics import (
    Gate,
    accuracy,
    bootstrap_ci,
    check_gates,
    evaluate,
    evaluate_probabilities,
    reliability,
    reliability_figure,
)
from conv2d.metrics._html import wilson
from conv2d.metrics._svg import forest

NAMES = ["rest", "walk & trot", "<b>shake</b>"]


def windows(n: int = 240):
    rng = np.random.default_rng(0)
    y_prob = rng.dirichlet(np.ones(3), size=n)
    y_true = np.where(rng.random(n) < 0.6, y_prob.argmax(axis=1), rng.integers(-1, 3, size=n))
    return y_true, y_prob, np.array([f"dog {i}" for i in np.arange(n) // 40])


class Balanced(HTMLParser):
    """Checks that every element is closed, and gathers the text and what is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text, self.loaded = "", list[str]()
        self.seen: dict[str, int] = {}

    def handle_starttag(self, tag, attrs):
        self.seen[tag] = self.seen.get(tag, 0) + 1
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen[tag] = self.seen.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + "\n"


def read(html: str) -> Balanced:
    page = Balanced()
    page.feed(html)
    assert not page.open
    return page


def test_the_report_is_whole_and_needs_nothing_else():
    y_true, y_prob, dogs = windows()
    result = evaluate(y_true, y_prob=y_prob, groups=dogs, label_names=NAMES, hop_s=0.5, n_resamples=200)
    verdict = check_gates([Gate("ece", "<=", 0.01, at="upper_ci"), Gate("speed", ">=", 1.0)], result.figures)
    html = result.to_html(title="A <model>", verdict=verdict)
    page = read(html)
    assert page.loaded == []
    assert "script" not in page.seen
    assert "http" not in html
    assert page.seen["svg"] == 2 + 3  # reliability, subjects, three timelines
    for text in ("A <model>", "walk & trot", "<b>shake</b>", "dog 5", "Gates: failed", "speed is missing", "20 s"):
        assert text in page.text, text
    for name, found in result.figures.items():
        assert name in page.text
        assert (f"{found.value:g}" if name == "motif_count" else f"{found.value:.4f}") in page.text
    counts = result.per_class.confusion
    assert all(f">{count}</td>" in html for count in counts.ravel())


def test_the_report_without_probabilities_has_no_calibration():
    y_true, y_prob, dogs = windows()
    result = evaluate(y_true, y_prob.argmax(axis=1), groups=dogs, n_resamples=50, n_timelines=0)
    assert "ece" not in result.figures
    with pytest.raises(AttributeError, match="ece: absent, because the evaluation was made without y_prob"):
        _ = result.ece
    told = result.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert "ece" not in told["per_subject"][0]
    page = read(result.to_html())
    assert "Reliability" not in page.text
    assert "Timelines" not in page.text


def test_a_report_of_one_subject_says_why_there_is_no_interval():
    page = read(evaluate([0, 1, -1], y_prob=[[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]], groups=["ada"] * 3).to_html())
    assert "one group only: nothing to resample" in page.text
    assert "∞" in page.text  # the NLL of a certain miss


def test_smoothed_predictions_decide_accuracy_and_probabilities_the_calibration():
    y_true, y_prob, dogs = windows()
    smoothed = np.zeros_like(y_true)
    result = evaluate(y_true, smoothed, y_prob, groups=dogs, n_resamples=100)
    assert result.accuracy.value == accuracy(y_true, smoothed)
    assert result.ece == bootstrap_ci("ece", y_true, y_prob=y_prob, groups=dogs, n_resamples=100)
    headline = evaluate_probabilities(y_true, y_prob, dogs, n_resamples=100)
    assert list(headline.figures) == ["accuracy", "macro_f1", "ece", "nll"]
    assert headline.ece == result.ece


def test_timelines_keep_the_order_of_time_within_a_recording():
    result = evaluate([0, 1, 1, -1], [0, 0, 1, 1], groups=["a"] * 4, recordings=[2, 1, 2, 2], n_resamples=10)
    first, second = result.timelines
    assert (first.recording, first.y_true.tolist()) == (1, [1])
    assert (second.y_true.tolist(), second.y_pred.tolist()) == ([0, 1, -1], [0, 1, -1])


def test_an_evaluation_needs_something_to_judge():
    with pytest.raises(ValueError, match="one of them is needed"):
        evaluate([0, 1], groups=[0, 1])


def test_wilson_against_its_equation():
    """Both ends p solve (share − p)² = z² p(1 − p)/n."""
    low, high = wilson(np.array([0.0, 0.3, 1.0]), np.array([5.0, 40.0, 5.0]))
    for ends in (low, high):
        left = (np.array([0.0, 0.3, 1.0]) - ends) ** 2
        np.testing.assert_allclose(left, 1.959963984540054**2 * ends * (1 - ends) / [5, 40, 5], atol=1e-12)


def test_the_figure_shows_what_was_counted():
    y_true, y_prob, _ = windows()
    diagram = reliability(y_true, y_prob, n_bins=10)
    axes: Any = reliability_figure(diagram, title="dogs").axes
    upper, lower = axes
    filled = diagram.counts > 0
    points = upper.lines[1].get_xydata()
    np.testing.assert_allclose(points, np.stack([diagram.confidence, diagram.accuracy], axis=1)[filled])
    assert [bar.get_height() for bar in lower.patches] == diagram.counts.tolist()
    assert upper.get_title() == "dogs"
    assert re.match(r"ECE 0\.\d{3}", reliability_figure(diagram).axes[0].get_title())


def test_long_names_are_cut_and_stand_on_end_and_a_small_report_counts_in_the_singular():
    names = ["lying down", "trotting uphill while the handler walks beside the dog"]
    html = evaluate([0, 1, 1], [0, 1, 0], groups=["a dog"] * 3, label_names=names).to_html()
    assert "<th><span>lying down</span></th><th><span>trotting uphill … beside the dog</span></th>" in html
    assert "3 labelled windows of 1 subject; 0 windows without a label left out." in html
    upright = evaluate([0, 1, 1], [0, 1, 0], groups=["a dog"] * 3, label_names=["lie", "trot"]).to_html()
    assert "<th>lie</th><th>trot</th>" in upright


def test_the_axis_of_the_forest_begins_below_all_that_is_shown():
    high, low = np.array([0.99]), np.array([0.96])
    drawing = forest(["ada"], np.array([0.98]), low, high, (0.97, 0.83, 0.99))
    assert ">0.8<" in drawing
    assert ">0.7<" not in drawing
    wide = forest(["ada"], np.array([0.2]), np.array([0.1]), np.array([0.4]), (0.97, 0.83, 0.99))
    assert ">0.2<" in wide
    assert ">1<" in wide
