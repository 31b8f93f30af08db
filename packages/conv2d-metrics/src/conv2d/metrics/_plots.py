"""Figures of the diagrams, for those who have matplotlib."""

# matplotlib's own signatures are partly untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._calibration import Reliability

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def reliability_figure(diagram: Reliability, *, title: str = "") -> Figure:
    """Draw a reliability diagram above its confidence histogram.

    The accuracy of each bin stands at the bin's mean confidence, where it belongs; the shaded gap to the diagonal is
    what the ECE sums. Install ``conv2d-metrics[plots]``.

    Parameters
    ----------
    diagram : Reliability
    title : str

    Returns
    -------
    matplotlib.figure.Figure
        With two axes; ``figure.savefig("reliability.svg")`` writes it. No global state of pyplot is touched.

    Raises
    ------
    ModuleNotFoundError
        matplotlib is not installed.

    Examples
    --------
    >>> from conv2d.metrics import reliability
    >>> figure = reliability_figure(reliability([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], n_bins=5))
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['accuracy', 'windows']
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("reliability_figure needs matplotlib: install conv2d-metrics[plots].") from error
    figure = Figure(figsize=(4.6, 5.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    filled = diagram.counts > 0
    confidence, accuracy, width = diagram.confidence[filled], diagram.accuracy[filled], np.diff(diagram.edges)
    upper.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    upper.vlines(confidence, np.minimum(confidence, accuracy), np.maximum(confidence, accuracy), "tab:red", alpha=0.35)
    upper.plot(confidence, accuracy, "o-", color="tab:blue", markersize=4, linewidth=1)
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy", title=title or f"ECE {diagram.error():.3f}")
    lower.bar(diagram.edges[:-1], diagram.counts, width, align="edge", color="tab:blue", edgecolor="white")
    lower.set(xlabel="confidence", ylabel="windows")
    return figure
