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
:root { color-scheme: light dark; --ink: #1a202c; --soft: #4a5568; --bad: #c53030; --line: #a0aec0 }
@media (prefers-color-scheme: dark) { :root { --ink: #e2e8f0; --soft: #a0aec0; --bad: #fc8181; --line: #4a5568 }
  body { background: #171923 } }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; color: var(--ink) }
h1, h3 { overflow-wrap: anywhere } .note { color: var(--soft) } .bad { color: var(--bad) }
.wide { overflow-x: auto; margin: .6em 0 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .2em .7em; text-align: right; white-space: nowrap } th { border-bottom: 1px solid var(--line) }
td:first-child, th:first-child, td.text { text-align: left } td.text { white-space: normal; min-width: 12em }
.confusion th { vertical-align: bottom } .confusion.many { font-size: 13px } .confusion.many :is(th, td) { padding: .2em .35em }
.confusion th span { writing-mode: vertical-rl; transform: rotate(180deg) }
svg { max-width: 100%; height: auto } svg text { font: 12px system-ui, sans-serif; fill: var(--ink) }
.timeline svg { min-width: 600px } .key { white-space: nowrap; margin-right: 1em }
.swatch { display: inline-block; width: .8em; height: .8em; margin-right: .3em }
@media print { h2, h3 { break-after: avoid } tr, svg { break-inside: avoid }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact } }
"""

_MANY = 12
"""Classes beyond which the confusion is set small, to fit the page."""

_LONG = 8
"""Longest name, in letters, that heads a column of the confusion upright; if any is longer, all stand on end."""


def render(evaluation: Evaluation, title: str, verdict: GateVerdict | None) -> str:
    """Write the whole page."""
    sections = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{_count(evaluation.n_windows, 'labelled window')} of {_count(evaluation.n_subjects, 'subject')}; "
        f"{_count(evaluation.n_ignored, 'window')} without a label left out.</p>",
        _gates(verdict),
        _figures(evaluation),
        _classes(evaluation),
        _confusion(evaluation),
        _reliability(evaluation),
        _subjects(evaluation),
        _timelines(evaluation),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
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
    upright = max((len(name) for name in report.label_names), default=0) <= _LONG
    names = [escape(_svg.short(name)) for name in report.label_names]
    many = " many" if len(names) > _MANY else ""
    head = "".join(f"<th>{name}</th>" if upright else f"<th><span>{name}</span></th>" for name in names)
    body = ""
    for name, row, total in zip(names, report.confusion, report.support, strict=True):
        cells = "".join(_shaded(count, count / max(total, 1)) for count in row.tolist())
        body += f"<tr><td>{name}</td>{cells}</tr>"
    return (
        '<h2>Confusion</h2><p class="note">Rows are the labels, columns the predictions; shade is the share of the row.'
        f'</p><div class="wide"><table class="confusion{many}"><tr><th></th>{head}</tr>{body}</table></div>'
    )


def _shaded(count: float, share: float) -> str:
    ink = "; color: #fff" if share > 0.5 else ""
    return f'<td style="background: rgb(43 108 176 / {share:.2f}){ink}">{count:g}</td>'


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
    shown = [*enumerate(names), (-1, "no label")]
    legend = "\n".join(
        f'<span class="key"><span class="swatch" style="background: {_svg.colour(index, len(names))}"></span>'
        f"{escape(name)}</span>"
        for index, name in shown
    )
    drawings = "".join(
        f'<h3>Recording {escape(str(line.recording))}</h3><div class="wide timeline">'
        + _svg.timeline([("label", line.y_true), ("predicted", line.y_pred)], len(names), line.hop_s)
        + "</div>"
        for line in evaluation.timelines
    )
    return f"<h2>Timelines</h2><p>{legend}</p>{drawings}"


def wilson(share: FloatArray, size: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Wilson's 95 % interval of a share of ``size`` windows."""
    z2 = 1.959963984540054**2
    centre = (share + z2 / (2 * size)) / (1 + z2 / size)
    reach = np.sqrt(z2 * (share * (1 - share) / size + z2 / (4 * size**2))) / (1 + z2 / size)
    return centre - reach, centre + reach


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _number(value: float) -> str:
    if math.isfinite(value):
        return f"{value:g}" if value >= 2 and value == int(value) else f"{value:.4f}"
    return "–" if math.isnan(value) else "∞"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Make a table; a last column without a name holds remarks, and is left out if there are none."""
    if not head[-1] and not any(row[-1] for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td>{escape(cell)}</td>" if name else f'<td class="text">{escape(cell)}</td>' for name, cell in pairs
        )
        + "</tr>"
        for pairs in (zip(head, row, strict=True) for row in rows)
    )
    return f'<div class="wide"><table><tr>{cells}</tr>{body}</table></div>'
