"""The drawings of the HTML report as inline SVG: plain text, no library, no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from ._calibration import Reliability
from ._inputs import FloatArray, IntArray

# Of middle lightness, so that they show on a white page and on a dark one.
_BLUE, _RED, _GREY = "#3182ce", "#e53e3e", "#8a97a8"
_BAND, _UNLABELLED = "rgb(49 130 206 / 0.15)", "rgb(138 151 168 / 0.2)"

_LONGEST = 32
"""Letters of a name that a drawing shows."""


def reliability_diagram(diagram: Reliability) -> str:
    """Draw accuracy over confidence, and under it how many windows each bin holds."""
    left, top, side, bars = 44, 8, 300, 80
    filled = np.flatnonzero(diagram.counts > 0)
    points = [(left + side * diagram.confidence[b], top + side * (1 - diagram.accuracy[b])) for b in filled]
    parts = [
        _rect(left, top, side, side, "none", _GREY),
        _line(left, top + side, left + side, top, _GREY),
        *(_line(x, y, x, top + side - (x - left), _RED, 0.4, 3) for x, y in points),
        f'<polyline fill="none" stroke="{_BLUE}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_BLUE}"/>' for x, y in points),
    ]
    base, most = top + side + 12 + bars, float(np.max(diagram.counts, initial=1.0))
    for count, low, high in zip(diagram.counts.tolist(), diagram.edges[:-1], diagram.edges[1:], strict=True):
        height = bars * count / most
        parts.append(_rect(left + side * low, base - height, side * (high - low) - 1, height, _BLUE))
    for tick in (0.0, 0.5, 1.0):
        parts += [
            _text(left - 6, top + side * (1 - tick) + 4, f"{tick:g}", "end"),
            _text(left + side * tick, base + 16, f"{tick:g}", "middle"),
        ]
    parts += [
        _text(left + side / 2, base + 32, "confidence", "middle"),
        _text(left + 8, top + 16, "accuracy"),
        _text(left + 8, base - bars + 12, "windows"),
    ]
    return _drawing(left + side + 12, base + 40, parts, "reliability diagram and confidence histogram")


def forest(
    names: Sequence[str], values: FloatArray, low: FloatArray, high: FloatArray, overall: tuple[float, float, float]
) -> str:
    """Draw one figure of each subject with its interval, under that of all of them."""
    shown = [short(name) for name in names]
    left, width, row = 16 + 7 * max((3, *(len(name) for name in shown))), 420, 18
    height = row * (len(names) + 1) + 8
    ends_known = [end for end in (*low, *values, overall[0], overall[1]) if np.isfinite(end)]
    start = min(0.8, max(0, int(10 * min(ends_known, default=0.0))) / 10)  # of the axis: a tenth below all there is

    step = 0.1 if start >= 0.5 else 0.2
    ticks = [1 - step * i for i in range(int((1 - start) / step + 1e-9) + 1)]

    def at(value: float) -> float:
        return left + width * (min(max(value, start), 1.0) - start) / (1 - start)

    parts: list[str] = []
    if np.isfinite(overall).all():
        parts.append(_rect(at(overall[1]), 4, at(overall[2]) - at(overall[1]), height, _BAND))
    parts.append(_line(at(overall[0]), 4, at(overall[0]), 4 + height, _BLUE))
    for index, name in enumerate(("all", *shown)):
        y = 4 + row * index + row / 2
        value, ends = (
            (overall[0], overall[1:]) if index == 0 else (values[index - 1], (low[index - 1], high[index - 1]))
        )
        parts.append(_text(left - 8, y + 4, name, "end"))
        if np.isfinite(ends).all():
            parts.append(_line(at(ends[0]), y, at(ends[1]), y, _GREY, width=2))
        if np.isfinite(value):
            parts.append(f'<circle cx="{at(value):.1f}" cy="{y:.1f}" r="3.5" fill="{_BLUE}"/>')
            parts.append(_text(left + width + 10, y + 4, f"{value:.3f}"))
    parts += [_text(at(tick), height + 22, f"{tick:g}", "middle") for tick in ticks]
    return _drawing(left + width + 64, height + 30, parts, "accuracy of each subject")


def timeline(rows: Sequence[tuple[str, IntArray]], n_classes: int, hop_s: float) -> str:
    """Draw label sequences of one length above each other, a rectangle a run."""
    left, width, height, gap = 70, 860, 20, 6
    n_steps = max(1, len(rows[0][1]))
    parts: list[str] = []
    for index, (name, labels) in enumerate(rows):
        y = 4 + index * (height + gap)
        parts.append(_text(left - 8, y + 14, name, "end"))
        starts = np.flatnonzero(np.append([True] * bool(len(labels)), labels[1:] != labels[:-1]))
        for start, end in zip(starts.tolist(), np.append(starts[1:], len(labels)).tolist(), strict=True):
            x, wide = left + width * start / n_steps, width * (end - start) / n_steps
            parts.append(_rect(x, y, wide, height, colour(int(labels[start]), n_classes)))
    base = 4 + len(rows) * (height + gap)
    parts += [
        _text(left, base + 12, "0 s"),
        _text(left + width, base + 12, f"{n_steps * hop_s:g} s", "end"),
    ]
    return _drawing(left + width + 12, base + 18, parts, "labels over time")


def colour(label: int, n_classes: int) -> str:
    """Colour of a class; what is ignored is pale."""
    return _UNLABELLED if label < 0 else f"hsl({360 * label / max(1, n_classes):.0f} 60% {45 + 15 * (label % 2)}%)"


def _rect(x: float, y: float, width: float, height: float, fill: str, stroke: str = "none") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.1):.1f}" height="{height:.1f}"'
    return f'<rect {place} fill="{fill}" stroke="{stroke}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, stroke: str, opacity: float = 1.0, width: float = 1.0) -> str:
    place = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {place} stroke="{stroke}" stroke-opacity="{opacity:g}" stroke-width="{width:g}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def short(name: str) -> str:
    """Cut a long name in the middle: names that share a beginning differ at the end."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST // 2]}…{name[1 - _LONGEST // 2 :]}"


def _drawing(width: float, height: float, parts: Sequence[str], title: str) -> str:
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    return f'<svg role="img" aria-label="{title}" {size}>{"".join(parts)}</svg>'
