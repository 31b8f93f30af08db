"""Curves in the terminal, or in a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conv2d.logging._errors import MissingToolError, UserError
from conv2d.logging._pretty import harmless
from conv2d.logging._series import Curve
from conv2d.logging._write import aside

_MARKS = "●○▲△■□◆◇"
_KINDS = (".png", ".svg", ".pdf")


def draw(curves: Mapping[str, Curve], across: str, width: int = 80, height: int = 18) -> str:
    """Return curves as text, of `width` by `height` signs and a legend.

    Example
    -------
    >>> print(draw({"loss": Curve([(0, 2.0), (1, 1.0), (2, 0.0)])}, "epoch", width=24, height=3))
             2 ┤●
               │      ●
             0 ┤            ●
               └─────────────
                0 … 2 (epoch)
    ● loss
    """
    points = [point for curve in curves.values() for point in curve.points]
    if not points:
        return "nothing to draw: no finite number\n"
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    columns = max(10, width - 11)
    grid = [[" "] * columns for _ in range(height)]
    for mark, curve in zip(_MARKS * (len(curves) // len(_MARKS) + 1), curves.values(), strict=False):
        for x, y in curve.points:
            column = round((x - left) / (right - left) * (columns - 1)) if right > left else 0
            row = round((high - y) / (high - low) * (height - 1)) if high > low else 0
            grid[row][column] = mark
    labels = {0: f"{high:.4g}", height - 1: f"{low:.4g}"}
    lines = [
        f"{labels.get(i, ''):>10} {'┤' if i in labels else '│'}{''.join(row)}".rstrip() for i, row in enumerate(grid)
    ]
    lines += [" " * 11 + "└" + "─" * columns, " " * 12 + f"{left:.6g} … {right:.6g} ({across})"]
    marks = _MARKS * (len(curves) // len(_MARKS) + 1)
    lines += [f"{mark} {harmless(name)}" for mark, name in zip(marks, curves, strict=False)]
    return "\n".join(lines) + "\n"


def picture(curves: Mapping[str, Curve], across: str, path: Path) -> None:
    """Draw curves to a file.

    Raises
    ------
    UserError
        If the file's name has no known ending, or it cannot be written.
    MissingToolError
        If matplotlib is not installed.
    """
    if path.suffix.lower() not in _KINDS:
        raise UserError(f"--output must end in {', '.join(_KINDS)}; got {path}")
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingToolError(
            "matplotlib is not installed; pip install 'conv2d-logs[plots]', or leave out --output to draw in the terminal"
        ) from None
    figure: Any = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, curve in curves.items():
        axes.plot(*zip(*curve.points, strict=True), label=harmless(name).replace("$", r"\$"), linewidth=1.2)
    axes.set_xlabel(across)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    with aside(path) as place:
        figure.savefig(place, format=path.suffix[1:].lower(), dpi=150)
