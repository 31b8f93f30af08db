"""Results on standard output: lines for people, JSON, or CSV that no spreadsheet will run."""

import csv
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Literal, cast

from conv2d.logging._filter import MISSING, look_up
from conv2d.logging._numbering import Numbering
from conv2d.logging._pretty import harmless, pretty, value_text
from conv2d.logging._record import Record
from conv2d.logging._sources import Damages
from conv2d.logging._summary import Summary, most_common

Format = Literal["table", "json", "csv"]
_HEAD = ("ts", "level", "logger", "event")


class RecordWriter:
    """Write records one by one as they are found.

    Parameters
    ----------
    style
        "table" for people, "json" for the lines as they were read, "csv" for columns.
    fields
        Dotted names of the columns, for "csv" and "json"; empty for all: the head columns, and the rest as JSON.
    verbose
        With tracebacks, in "table".
    """

    def __init__(self, style: Format, fields: Sequence[str] = (), verbose: bool = False) -> None:
        self._style = style
        self._fields = tuple(fields)
        self._verbose = verbose
        self._colour = style == "table" and sys.stdout.isatty()
        self._csv = csv.writer(sys.stdout, lineterminator="\n")
        if style == "csv":
            self._csv.writerow(self._fields or (*_HEAD, "fields"))

    def write(self, text: bytes, record: Record) -> None:
        """Write one record, read from the line `text`."""
        if self._style == "table":
            sys.stdout.write(pretty(record, self._colour, self._verbose) + "\n")
        elif self._style == "csv":
            self._csv.writerow(self._cells(record))
        elif self._fields:
            chosen = {name: value for name in self._fields if (value := look_up(record, name)) is not MISSING}
            sys.stdout.write(json.dumps(chosen, ensure_ascii=False) + "\n")
        else:
            sys.stdout.write(text.decode("utf-8").strip() + "\n")

    def _cells(self, record: Record) -> list[object]:
        if self._fields:
            return [cell(look_up(record, name)) for name in self._fields]
        rest = {name: value for name, value in record.items() if name not in _HEAD}
        return [*(cell(record.get(name)) for name in _HEAD), cell(rest)]


def cell(value: object) -> object:
    """Return what stands in a CSV cell; text that a spreadsheet would run as a formula begins with an apostrophe.

    Example
    -------
    >>> cell("=cmd()"), cell(-1.5), cell([1, 2])
    ("'=cmd()", -1.5, '[1, 2]')
    """
    if value is None or value is MISSING:
        return ""
    if isinstance(value, bool | Mapping | list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str):
        return f"'{value}" if value.lstrip()[:1] in ("=", "+", "-", "@") or value[:1] in ("\t", "\r", "\n") else value
    return value


def write_summary(summary: Summary, style: Format, most: int) -> None:
    """Write a summary; a table shows the `most` frequent names, JSON and CSV all."""
    data = summary.as_dict()
    if style == "json":
        sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")
    elif style == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("what", "name", "value"))
        for what, value in data.items():
            if what == "runs":
                for name, run in summary.runs.items():
                    writer.writerow((what, cell(name), run.records))
            elif what == "gaps":
                continue
            elif isinstance(value, Mapping):
                for name, count in cast(Mapping[str, object], value).items():
                    writer.writerow((what, cell(name), count))
            else:
                writer.writerow((what, "", value))
    else:
        sys.stdout.write(_summary_text(summary, most))


def tell_damages(damages: Damages, most: int = 3) -> None:
    """Say on standard error how many lines were damaged, and where the first are."""
    if not damages.count:
        return
    sys.stderr.write(f"{damages.count} damaged line{'s' * (damages.count > 1)} skipped\n")
    for damage in damages.first[:most]:
        sys.stderr.write(f"  {harmless(str(damage))}\n")
    if damages.count > most:
        sys.stderr.write(f"  … and {damages.count - most} more\n")


def tell_gaps(numbering: Numbering, most: int = 3) -> None:
    """Say on standard error where records are missing from their process's numbering."""
    gaps = list(itertools.islice(numbering.gaps(), most + 1))
    for gap in gaps[:most]:
        sys.stderr.write(f"  {harmless(str(gap))}\n")
    if len(gaps) > most:
        sys.stderr.write("  … and more; `summary --format json` lists the first 100\n")
    if not numbering.complete:
        sys.stderr.write("  too many gaps to follow: there are more than told\n")


def _summary_text(summary: Summary, most: int) -> str:
    counts = ", ".join(f"{count:,} {level}" for level, count in most_common(summary.levels).items())
    lines = [f"{summary.records:,} records in {summary.files} file{'s' * (summary.files != 1)}: {counts or 'none'}"]
    lines.append(f"{summary.damages.count:,} damaged lines, {summary.missing:,} records missing from their numbering")
    for title, names in (("event", summary.events), ("logger", summary.loggers)):
        lines += ["", f"{title:40} records"]
        lines += [
            f"{harmless(name)[:40]:40} {count:7,}" for name, count in itertools.islice(most_common(names).items(), most)
        ]
        if len(names) > most:
            lines.append(f"… and {len(names) - most} more")
    lines += ["", f"{'run':28} {'records':>9} {'errors':>7} {'seconds':>10}  first record"]
    for name, run in list(summary.runs.items())[:most]:
        seconds = "-" if run.seconds is None else f"{run.seconds:.1f}"
        first = value_text(run.first) if run.first else "-"
        lines.append(f"{harmless(name)[:28]:28} {run.records:9,} {run.errors:7,} {seconds:>10}  {first}")
    if len(summary.runs) > most:
        lines.append(f"… and {len(summary.runs) - most} more")
    return "\n".join(lines) + "\n"
