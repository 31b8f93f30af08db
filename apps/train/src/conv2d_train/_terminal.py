"""What every command shares: errors become one paragraph and an exit code; results go to stdout, all else to stderr."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from conv2d.data import DataError
from conv2d.packaging import BundleError, BundleNotFoundError, GateError, MissingToolError
from conv2d_train._errors import ConfigError, RunError

EXIT_CODES: Mapping[type[Exception], int] = {
    DataError: 3,
    GateError: 1,  # it and the next before their base, BundleError
    BundleNotFoundError: 2,
    BundleError: 3,
    RunError: 3,
    ConfigError: 4,
    MissingToolError: 5,
    OSError: 3,  # a folder that cannot be written, a full disk
}

_WHOSE = {
    "test": "unseen subjects",
    "calibration": "subjects whose scores set the temperature",
    "train": "subjects that the model was trained on",
}

console = Console(stderr=True)
"""Progress and everything that is not a result."""


def show(table: Table) -> None:
    """Print a result for people on stdout; a pipe or file has no width, so nothing is folded for it."""
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def run_app(app: Callable[[], object]) -> NoReturn:
    """Run a typer app; a user's mistake ends in one paragraph on stderr and the documented exit code."""
    try:
        app()  # typer itself ends usage errors with 2 and Ctrl-C with 130
    except BrokenPipeError:
        sys.exit(0)  # the reader of a pipe has seen enough
    except tuple(EXIT_CODES) as error:
        typer.echo(f"error: {_told(error) if isinstance(error, OSError) else error}", err=True)
        sys.exit(next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind)))
    except Exception:
        console.print_exception()
        typer.echo(
            "internal error: a defect of conv2d, not of your input; please report it with these lines.", err=True
        )
        sys.exit(70)
    sys.exit(0)


def _told(error: OSError) -> str:
    where = error.filename2 or error.filename or "a file"
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return f"{where}: {error.strerror or error}. {'Free space there' if full else 'Check the path'}, or choose another."


def emit(content: Mapping[str, Any]) -> None:
    """Print a result as JSON on stdout."""
    typer.echo(json.dumps(content, indent=2, sort_keys=True, allow_nan=False))


def tell(text: str) -> None:
    """Print a line of a result on stdout."""
    typer.echo(text)


def say(text: str) -> None:
    """Tell the reader something on the way, on stderr."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def figures_table(metrics: Mapping[str, Any]) -> Table:
    """Return accuracy, macro-F1, ECE and NLL with intervals, beside the baselines."""
    confidence = metrics["interval"]["confidence"] * 100
    whose = _WHOSE[metrics.get("split", {}).get("part", "test")]
    table = Table(
        title=f"{metrics['n_windows']} windows of {metrics['n_subjects']} {whose}; {confidence:g} % intervals over subjects"
    )
    table.add_column("")
    for name in ("accuracy", "macro-F1", "ECE", "NLL"):
        table.add_column(name, justify="right")
    rows = {"this model": metrics, "smoothed": metrics.get("smoothed", {})} | dict(metrics.get("baselines", {}))
    for title, row in rows.items():
        table.add_row(
            title.replace("_", " "), *(_cell(row.get(name)) for name in ("accuracy", "macro_f1", "ece", "nll"))
        )
    return table


def _cell(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return ""
    if figure["value"] is None:
        return "–"
    ends = "" if figure["low"] is None else f" [{figure['low']:.3f}, {figure['high']:.3f}]"
    return f"{figure['value']:.3f}{ends}"
