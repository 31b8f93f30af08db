"""A table as text for people, CSV, JSON, Markdown or HTML; nothing in it commands a terminal, sheet or browser."""

import csv
import html
import io
import json
import math
from collections.abc import Sequence
from typing import Literal

from conv2d.logging._encode import encode, plain
from conv2d.logging._pretty import harmless
from conv2d.logging._show import cell

TableFormat = Literal["table", "csv", "json", "markdown", "html"]
FORMATS: dict[str, TableFormat] = {
    ".csv": "csv",
    ".json": "json",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".txt": "table",
}


def render(head: Sequence[str], body: Sequence[Sequence[object]], style: TableFormat, title: str = "") -> str:
    """Return a table in a format; numbers are not rounded, except in "table", where six digits are shown."""
    if style == "json":
        rows = [dict(zip(head, row, strict=True)) for row in body]
        return json.dumps(plain(rows), ensure_ascii=False, indent=2) + "\n"
    if style == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([cell(name) for name in head])
        writer.writerows([[cell(plain(value)) for value in row] for row in body])
        return text.getvalue()
    if style == "markdown":
        lines = [
            _markdown(head),
            "|" + " --- |" * len(head),
            *(_markdown([_text(value) for value in row]) for row in body),
        ]
        return "\n".join(lines) + "\n"
    if style == "html":
        return _html(head, [[_text(value) for value in row] for row in body], title)
    shown = [[harmless(name) for name in head], *([_short(value) for value in row] for row in body)]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return "".join(
        "  ".join(f"{text:{w}}" for text, w in zip(row, widths, strict=True)).rstrip() + "\n" for row in shown
    )


def _text(value: object) -> str:
    if value is None:
        return ""
    return harmless(value if isinstance(value, str) else encode(plain(value)).decode())


def _short(value: object) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6g}"
    text = "-" if value is None else _text(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _markdown(cells: Sequence[str]) -> str:
    escaped = [html.escape(harmless(text), quote=False).replace("\\", "\\\\").replace("|", "\\|") for text in cells]
    return "| " + " | ".join(escaped) + " |"


def _html(head: Sequence[str], body: Sequence[Sequence[str]], title: str) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(harmless(text))}</{tag}>" for text in cells) + "</tr>\n"

    return (
        f'<!doctype html>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        "<style>table{border-collapse:collapse;font-family:sans-serif}td,th{border:1px solid #bbb;padding:.3em .6em;"
        "text-align:left}th{background:#eee}</style>\n<table>\n<thead>\n"
        + row(head, "th")
        + "</thead>\n<tbody>\n"
        + "".join(row(cells, "td") for cells in body)
        + "</tbody>\n</table>\n"
    )
