"""The report of an evaluation: one HTML file that needs nothing else, neither script nor network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from . import _svg
from ._gates import GateVerdict
from ._inputs import FloatArray

if TYPE_CHECKING:
    from ._evaluation import Evaluation

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; color: #1a202c }
table { border-collapse: collapse; margin: .6em 0 } th, td { padding: .2em .7em; text-align: right }
th { border-bottom: 1px solid #a0aec0 } td:first-child, th:first-child { text-align: left }
svg text { font: 12px system-ui, sans-serif; fill: #2d3748 } .note { color: #4a5568 } .bad { color: #c53030 }
.swatch { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .8em }
"""


def render(evaluation: Evaluation, title: str, verdict: GateVerdict | None) -> str:
    """Write the whole page."""
    sections = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{evaluation.n_windows} labelled windows of {evaluation.n_subjects} subjects; {evaluation.n_ignored} "
        "windows without a label were left out.</p>",
        _gates(verdict),
        _figures(evaluation),
        _classes(evaluation),
        _confusion(evaluation),
        _reliability(evaluation),
        _subjects(evaluation),
        _timelines(evaluation),
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(part for part in sections if part)
        + "\n</body></html>\n"
    )


def _gates(verdict: GateVerdict | None) -> str:
    if verdict is None:
        return ""
    rows = [
        [str(result.gate), _number(result.figure), "passed" if result.passed else "failed", result.reason]
        for result in verdict.results
    ]
    heading = "<h2>Gates: all passed</h2>" if verdict.passed else '<h2 class="bad">Gates: failed</h2>'
    return heading + _table(["gate", "figure", "verdict", ""], rows)


def _figures(evaluation: Evaluation) -> str:
    rows = [
        [name, _number(found.value), _number(found.low), _number(found.high), found.reason]
        for name, found in evaluation.figures.items()
    ]
    first = next(iter(evaluation.figures.values()))
    note = (
        f"{100 * first.confidence:g} % confidence intervals by bootstrap, {first.n_resamples} resamples of whole "
        f"{first.unit}s."
    )
    return f'<h2>Figures</h2><p class="note">{note}</p>' + _table(["figure", "value", "low", "high", ""], rows)


def _classes(evaluation: Evaluation) -> str:
    report = evaluation.per_class
    columns = zip(
        report.label_names, report.support, report.predicted, report.precision, report.recall, report.f1, strict=True
    )
    rows = [[name, f"{n:g}", f"{m:g}", *(_number(float(share)) for share in shares)] for name, n, m, *shares in columns]
    return "<h2>Classes</h2>" + _table(["class", "labelled", "predicted", "precision", "recall", "F1"], rows)


def _confusion(evaluation: Evaluation) -> str:
    report = evaluation.per_class
    head = "".join(f"<th>{escape(name)}</th>" for name in report.label_names)
    body = ""
    for name, row, total in zip(report.label_names, report.confusion, report.support, strict=True):
        cells = "".join(
            f'<td style="background: rgb(43 108 176 / {0.85 * count / max(total, 1):.2f})">{count:g}</td>'
            for count in row.tolist()
        )
        body += f"<tr><td>{escape(name)}</td>{cells}</tr>"
    return (
        '<h2>Confusion</h2><p class="note">Rows are the labels, columns the predictions; shade is the share of the row.'
        f"</p><table><tr><th></th>{head}</tr>{body}</table>"
    )


def _reliability(evaluation: Evaluation) -> str:
    if evaluation.reliability is None:
        return ""
    return "<h2>Reliability</h2>" + _svg.reliability_diagram(evaluation.reliability)


def _subjects(evaluation: Evaluation) -> str:
    scores = evaluation.per_subject
    value, size = (
        np.array([score.accuracy for score in scores]),
        np.array([score.n_windows for score in scores], dtype=np.float64),
    )
    low, high = wilson(value, size)
    overall = evaluation.figures["accuracy"]
    names = [str(score.subject) for score in scores]
    drawing = _svg.forest(names, value, low, high, (overall.value, overall.low, overall.high))
    shown = ("accuracy", "macro_f1") if evaluation.reliability is None else ("accuracy", "macro_f1", "ece", "nll")
    rows = [[str(s.subject), str(s.n_windows), *(_number(getattr(s, name)) for name in shown)] for s in scores]
    note = (
        "Accuracy; the bar of a subject is Wilson's 95 % interval, which takes its windows for independent; the band "
        "is the interval over subjects."
    )
    return f'<h2>Subjects</h2><p class="note">{note}</p>{drawing}' + _table(["subject", "windows", *shown], rows)


def _timelines(evaluation: Evaluation) -> str:
    if not evaluation.timelines:
        return ""
    names = evaluation.per_class.label_names
    legend = "".join(
        f'<span class="swatch" style="background: {_svg.colour(index, len(names))}"></span>{escape(name)}'
        for index, name in enumerate(names)
    )
    drawings = "".join(
        f"<h3>{escape(str(line.recording))}</h3>"
        + _svg.timeline([("label", line.y_true), ("predicted", line.y_pred)], len(names), line.hop_s)
        for line in evaluation.timelines
    )
    return f"<h2>Timelines</h2><p>{legend}</p>{drawings}"


def wilson(share: FloatArray, size: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Wilson's 95 % interval of a share of ``size`` windows."""
    z2 = 1.959963984540054**2
    centre = (share + z2 / (2 * size)) / (1 + z2 / size)
    reach = np.sqrt(z2 * (share * (1 - share) / size + z2 / (4 * size**2))) / (1 + z2 / size)
    return centre - reach, centre + reach


def _number(value: float) -> str:
    if math.isfinite(value):
        return f"{value:.4g}"
    return "–" if math.isnan(value) else "∞"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{body}</table>"
