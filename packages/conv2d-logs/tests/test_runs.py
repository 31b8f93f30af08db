"""Series, plots, and runs side by side."""

import csv
import io
import json
import re
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv2d.logging import (
    _series,
    log_config,
    log_epoch,
    log_exception,
    log_metrics,
    log_seeds,
    setup_logging,
    shutdown_logging,
)
from conv2d.logging._compare import Directions, Threshold, parse_threshold
from conv2d.logging._errors import UserError
from conv2d.logging._plot import draw
from conv2d.logging._series import Curve, Statistics

Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs in two files: the second is slower to learn, and worse in the end."""
    for name, rate, losses, accuracy in (
        ("a", 0.001, [0.5, 0.25, 0.3], 0.9),
        ("b|=1", 0.01, [0.6, 0.5, float("nan")], 0.85),
    ):
        setup_logging("train", tmp_path / f"{name[0]}.log", console="off", run_id=name)
        log_config(
            {"model": {"levels": [8, 6, 5], "width": 64}, "rate": rate, "only_a": None}
            if name == "a"
            else {"model": {"levels": [8, 6, 5], "width": 64}, "rate": rate}
        )
        log_seeds(numpy=7)
        for epoch, loss in enumerate(losses):
            log_epoch(epoch, 3, val_loss=loss)
        log_metrics("test", {"accuracy": accuracy, "interval": {"low": 0.8}})
        if name != "a":
            log_exception(ValueError("no"))
        shutdown_logging()
    return tmp_path


def table(text: str) -> dict[tuple[str, str], list[str]]:
    rows = list(csv.reader(io.StringIO(text)))
    return {(row[0], row[1]): row[2:] for row in rows}


def test_compare(runs: Path, shell: Shell) -> None:
    output = runs / "comparison.csv"
    status, out, err = shell("compare", str(runs), "--output", str(output))
    assert (status, out, err) == (0, "", "")
    found = table(output.read_text())
    assert found["section", "name"] == ["a", "b|=1"]
    assert found["config", "rate"] == ["0.001", "0.01"]
    assert ("config", "model.width") not in found, "equal in all runs"
    assert ("config", "model.levels") not in found
    assert found["final", "val_loss"] == ["0.3", "float:nan"]
    assert found["best (min)", "val_loss"] == ["0.25", "0.5"]
    assert found["final", "test.accuracy"] == ["0.9", "0.85"]
    assert found["final", "test.interval.low"] == ["0.8", "0.8"]
    assert found["run", "errors"] == ["0", "1"]
    assert found["run", "records"] == ["6", "7"]
    assert all(0 <= float(cell) < 60 for cell in found["run", "seconds"])
    assert list(runs.glob(".*")) == [], "nothing left aside"


def test_compare_formats(runs: Path, shell: Shell) -> None:
    rows = json.loads(shell("compare", str(runs), "--format", "json")[1])
    assert {"section": "final", "name": "test.accuracy", "a": 0.9, "b|=1": 0.85} in rows
    markdown = shell("compare", str(runs), "--format", "markdown")[1].splitlines()
    assert markdown[0] == "| section | name | a | b\\|=1 |"
    assert "| final | test.accuracy | 0.9 | 0.85 |" in markdown
    html = runs / "c.html"
    shell("compare", str(runs), "-o", str(html))
    assert "<tr><td>final</td><td>test.accuracy</td><td>0.9</td><td>0.85</td></tr>" in html.read_text()
    assert re.search(r"^final +test.accuracy +0.9 +0.85$", shell("compare", str(runs))[1], re.MULTILINE)


def test_what_was_logged_cannot_command_a_page_or_a_sheet(tmp_path: Path, shell: Shell) -> None:
    for name in ("<script>x</script>", "=1+1"):
        setup_logging("t", tmp_path / "a.log", console="off", run_id=name)
        log_config({"model": "<b>\x1b[2J|" + name})
        shutdown_logging()
    for style in ("html", "markdown"):
        text = shell("compare", str(tmp_path), "--format", style)[1]
        assert "<b>" not in text and "<script>" not in text and "\x1b" not in text
    rows = list(csv.reader(io.StringIO(shell("compare", str(tmp_path), "--format", "csv")[1])))
    assert "'=1+1" in rows[0]


@pytest.mark.parametrize(
    ("thresholds", "status", "told"),
    [
        ([], 0, []),
        (["test.accuracy=0.1"], 0, []),
        (["test.accuracy=0.01"], 1, ["b|=1: test.accuracy is 0.85, worse than 0.9 of a by more than 0.01"]),
        (["test.accuracy=10%"], 0, []),
        (["test.accuracy=5%"], 1, ["b|=1: test.accuracy is 0.85, worse than 0.9 of a by more than 5.0000%"]),
        (["errors=0"], 1, ["b|=1: errors is 1, worse than 0 of a by more than 0"]),
        (["100%"], 1, ["b|=1: val_loss is nan, worse than 0.3 of a by more than 100.0000%"]),
        (["100%", "val_loss=1e9"], 1, ["b|=1: val_loss is nan, worse than 0.3 of a by more than 1e+09"]),
    ],
)
def test_a_regression_beyond_its_threshold_is_exit_code_1(
    runs: Path, shell: Shell, thresholds: list[str], status: int, told: list[str]
) -> None:
    options = [part for one in thresholds for part in ("--threshold", one)]
    found, _, err = shell("compare", str(runs), *options)
    assert (found, err.splitlines()) == (status, [f"regression: {one}" for one in told])


def test_the_baseline_is_chosen(runs: Path, shell: Shell) -> None:
    assert shell("compare", str(runs), "--baseline", "b|=1", "--threshold", "test.accuracy=0")[0] == 0
    for options, message in (
        (["--baseline", "c"], "no such run; there are a, b|=1"),
        (["--threshold", "f1=1%"], "the baseline a has no such metric"),
        (["--threshold", "soon"], "--threshold must be NAME=AMOUNT"),
        (["--output", "x.doc"], "--output must end in .csv"),
    ):
        status, out, err = shell("compare", str(runs), *options)
        assert (status, out) == (2, "")
        assert message in err


def test_a_metric_that_is_gone_is_a_regression(tmp_path: Path, shell: Shell) -> None:
    for name, metrics in (("a", {"accuracy": 0.9}), ("b", {"f1": 0.9})):
        setup_logging("t", tmp_path / f"{name}.log", console="off", run_id=name)
        log_metrics("test", metrics)
        shutdown_logging()
    status, _, err = shell("compare", str(tmp_path), "--threshold", "1%")
    assert (status, err) == (1, "regression: b: test.accuracy is missing; the baseline a has 0.9\n")


def test_other_producers_files_are_runs(tmp_path: Path, shell: Shell) -> None:
    for name, loss in (("a", 0.5), ("b", 0.25)):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"time": 1.5, "msg": "done", "epoch": 1, "loss": {loss}}}\n')
    found = table(shell("compare", str(tmp_path), "--format", "csv")[1])
    assert found["section", "name"] == [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]
    assert found["final", "loss"] == ["0.5", "0.25"]


@given(st.floats(0, 10), st.floats(0, 10), st.floats(0, 2), st.booleans())
def test_thresholds(before: float, after: float, amount: float, relative: bool) -> None:
    threshold = Threshold(None, amount, relative)
    limit = amount * before if relative else amount
    assert threshold.allows(before, after, lower_is_better=True) == (after - before <= limit)
    assert threshold.allows(before, after, lower_is_better=False) == (before - after <= limit)


def test_a_user_tells_which_way_a_metric_gets_better(runs: Path, shell: Shell) -> None:
    threshold = ["--threshold", "test.accuracy=0.01"]
    assert shell("compare", str(runs), *threshold)[0] == 1
    for name in ("accuracy", "test.accuracy"):
        assert shell("compare", str(runs), *threshold, "--lower-is-better", name)[0] == 0
    found = table(shell("compare", str(runs), "--format", "csv", "--higher-is-better", "val_loss")[1])
    assert found["best (max)", "val_loss"] == ["0.5", "0.6"]
    for options, message in (
        (["--lower-is-better", "f1"], "no run has a metric f1; there are accuracy, "),
        (["--lower-is-better", "val_loss", "--higher-is-better", "val_loss"], "says the opposite"),
    ):
        status, out, err = shell("compare", str(runs), *options)
        assert (status, out) == (2, "") and message in err


def test_names_of_metrics() -> None:
    lower_is_better = Directions().lower_is_better
    assert all(lower_is_better(name) for name in ("loss", "val_loss", "test.ece", "latency_ms", "errors", "seconds"))
    assert not any(lower_is_better(name) for name in ("accuracy", "macro_f1", "windows_per_second", "closeness"))
    assert parse_threshold("a.b=2%") == Threshold("a.b", 0.02, True)
    assert parse_threshold("1e-3") == Threshold(None, 0.001, False)
    for wrong in ("", "a=", "=1", "-1", "a=b", "1%%"):
        with pytest.raises(UserError):
            parse_threshold(wrong)


def test_metrics_lists_numeric_fields(runs: Path, shell: Shell) -> None:
    status, out, _ = shell("metrics", str(runs), "--format", "json")
    assert status == 0
    found = {row["field"]: row for row in json.loads(out)}
    assert found["val_loss"] == {
        "field": "val_loss", "count": 6, "not_finite": 1, "first": 0.5, "last": "float:nan",
        "min": 0.25, "max": 0.6, "mean": pytest.approx(0.43),
    }  # fmt: skip
    assert found["metrics.accuracy"]["mean"] == pytest.approx(0.875)
    assert not {"pid", "seq"} & set(found)
    assert shell("metrics", str(runs), "--where", "level == debug") == (1, "", "")


def test_a_series(runs: Path, shell: Shell) -> None:
    status, out, _ = shell("metrics", str(runs), "-F", "val_loss", "--where", "run_id == a", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert status == 0
    assert [(row["run_id"], row["at"], row["val_loss"]) for row in rows] == [
        ("a", "0", "0.5"),
        ("a", "1", "0.25"),
        ("a", "2", "0.3"),
    ]
    lines = shell("metrics", str(runs), "-F", "metrics.accuracy", "-F", "absent", "--format", "json")[1].splitlines()
    assert [json.loads(line)["metrics.accuracy"] for line in lines] == [0.9, 0.85]
    assert shell("metrics", str(runs), "-F", "absent") == (1, "", "")


def test_series_longer_than_a_batch(tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conv2d.logging._cli_runs._ROWS", 3)
    file = tmp_path / "a.log"
    file.write_text("".join(f'{{"step": {n}, "x": {n * n}}}\n' for n in range(10)))
    rows = list(csv.DictReader(io.StringIO(shell("metrics", str(file), "-F", "x", "--format", "csv")[1])))
    assert [(int(row["at"]), int(row["x"])) for row in rows] == [(n, n * n) for n in range(10)]


def test_plots(runs: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, _ = shell("metrics", str(runs), "-F", "val_loss", "--plot")
    assert status == 0
    assert "● val_loss a\n" in out and "○ val_loss b|=1\n" in out and "(epoch)" in out
    picture = runs / "loss.png"
    assert shell("metrics", str(runs), "-F", "val_loss", "--plot", "--output", str(picture))[0] == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert shell("metrics", str(runs), "-F", "val_loss", "--plot", "--output", str(runs / "x.doc"))[0] == 2
    assert shell("metrics", str(runs), "-F", "val_loss", "--output", str(picture))[0] == 2
    assert shell("metrics", str(runs), "--plot")[0] == 2
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    status, _, err = shell("metrics", str(runs), "-F", "val_loss", "--plot", "--output", str(picture))
    assert status == 5
    assert "pip install 'conv2d-logs[plots]'" in err


@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=False, allow_infinity=False, width=32),
            st.floats(allow_nan=False, allow_infinity=False, width=32),
        ),
        min_size=1,
    )
)
def test_every_point_is_drawn_where_it_belongs(points: list[tuple[float, float]]) -> None:
    text = draw({"x": Curve(points)}, "step", width=40, height=7).splitlines()
    rows = [line[12:].ljust(29) for line in text[:7]]
    high, left = max(y for _, y in points), min(x for x, _ in points)
    assert "●" in rows[0] or len({y for _, y in points}) > 1
    assert any(row[0] == "●" for row in rows)
    assert sum(row.count("●") for row in rows) <= len(points)
    assert high in {y for _, y in points} and left in {x for x, _ in points}


def test_a_curve_of_any_length_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_series, "MOST_POINTS", 100)
    curve = Curve()
    for n in range(10_000):
        curve.add(n, -n)
    assert 50 <= len(curve.points) <= 100
    steps = {after[0] - before[0] for before, after in zip(curve.points, curve.points[1:], strict=False)}
    assert len(steps) == 1, "evenly thinned"


NUMBERS = st.floats() | st.integers() | st.just(10**400)


@given(st.lists(st.lists(NUMBERS, min_size=1)))
def test_statistics(parts: list[list[Any]]) -> None:
    found = Statistics()
    for part in parts:
        found.add(part)
    values = [value for part in parts for value in part]
    finite = [value for value in values if abs(value) <= sys.float_info.max]
    assert (found.count, found.count - found.not_finite) == (len(values), len(finite))
    if values:
        assert found.first is values[0] and found.last is values[-1]
    if finite:
        assert (found.least, found.most) == (min(finite), max(finite))
        mean = sum(map(Fraction, finite)) / len(finite)
        scale = float(max(map(abs, finite)))
        assert found.mean == pytest.approx(float(mean), rel=1e-9, abs=1e-12 * scale)
