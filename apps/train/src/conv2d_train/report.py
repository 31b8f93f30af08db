"""The HTML report: one self-contained file."""

# matplotlib's own signatures are partly untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import base64
import io
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from conv2d.metrics import reliability
from conv2d_train._errors import RunError
from conv2d_train.runs import Run, read_json, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_TIMELINES = 3


def write_report(run: Run, path: Path) -> Path:
    """Write the report of an evaluated run.

    Parameters
    ----------
    run : Run
        With ``eval/metrics.json`` and ``eval/predictions.parquet``.
    path : Path
        The HTML file to write.

    Returns
    -------
    Path
        The same path.
    """
    metrics = read_json(run.path / "eval" / "metrics.json", "confusion", "interval", "split", "smoothed", "baselines")
    file = run.path / "eval" / "predictions.parquet"
    try:
        predictions = pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RunError(
            f"{file}: cannot be read ({error}). Score again: conv2d eval --config FILE --save-predictions."
        ) from None
    motifs = read_json(run.path / "motifs.json", "label_names", "motifs", "counts")
    names = list(run.label_names)
    index = {name: k for k, name in enumerate(names)}
    y = predictions["label"].replace_strict(index, return_dtype=pl.Int32).to_numpy()
    probabilities = predictions.select([f"p_{name}" for name in names]).to_numpy()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(files("conv2d_train").joinpath("report.html.j2").read_text(encoding="utf-8"))
    html = template.render(
        config=run.config,
        metrics=metrics,
        names=names,
        motifs=motifs,
        confusion=_confusion(np.array(metrics["confusion"]), names),
        reliability=_reliability(y, probabilities),
        timelines=_timelines(predictions, names, run.config.data.hop / run.config.data.sampling_rate),
    )
    write_text(path, html)
    return path


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure  # only a report needs it

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _image(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _confusion(counts: NDArray[np.int64], names: list[str]) -> str:
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = max(4.0, 0.45 * len(names) + 2)
    figure, axes = _figure(size + 0.8, size)
    axes.imshow(share, vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for i, j in zip(*np.nonzero(share >= 0.005), strict=True):
        axes.text(
            j,
            i,
            f"{share[i, j]:.2f}",
            ha="center",
            va="center",
            fontsize=7,
            color="white" if share[i, j] > 0.5 else "black",
        )
    return _image(figure)


def _reliability(y: NDArray[np.int32], probabilities: NDArray[np.float64]) -> str:
    curve = reliability(y, probabilities)
    filled = np.asarray(curve.counts) > 0
    figure, axes = _figure(4.6, 4.2)
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    confidence, accuracy = np.asarray(curve.confidence)[filled], np.asarray(curve.accuracy)[filled]
    size = 8 + 120 * np.asarray(curve.counts)[filled] / np.asarray(curve.counts).max()
    axes.plot(confidence, accuracy, color="tab:blue", linewidth=1)
    axes.scatter(confidence, accuracy, s=size, color="tab:blue")
    axes.set_xlabel("confidence")
    axes.set_ylabel("accuracy")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    return _image(figure)


def _timelines(predictions: pl.DataFrame, names: list[str], hop_s: float) -> list[tuple[str, str]]:
    """Draw true, predicted and smoothed labels of a few recordings of different subjects."""
    from matplotlib.patches import Patch

    colours = {name: f"C{k}" if len(names) <= 10 else _colour(k / len(names)) for k, name in enumerate(names)}
    drawn: list[tuple[str, str]] = []
    longest = (
        predictions.group_by("subject", "recording")
        .len()
        .sort("len", "subject", "recording", descending=[True, False, False])
    )
    for _, recording in (
        longest.unique("subject", keep="first", maintain_order=True)
        .select("subject", "recording")
        .head(N_TIMELINES)
        .iter_rows()
    ):
        rows = predictions.filter(pl.col("recording") == recording).sort("start_s")
        figure, axes = _figure(11, 1.9)
        starts = rows["start_s"].to_numpy()
        for lane, column in enumerate(("smoothed", "predicted", "label")):
            axes.broken_barh(
                [(start, hop_s) for start in starts], (lane, 0.8), facecolors=[colours[name] for name in rows[column]]
            )
        axes.set_yticks([0.4, 1.4, 2.4], ["smoothed", "predicted", "true"])
        axes.set_xlabel("s")
        seen = [name for name in names if name in set(rows["label"]) | set(rows["predicted"])]
        axes.legend(
            handles=[Patch(color=colours[n], label=n) for n in seen],
            ncols=min(len(seen), 7),
            fontsize=7,
            loc="lower left",
            bbox_to_anchor=(0, 1),
        )
        drawn.append((str(recording), _image(figure)))
    return drawn


def _colour(position: float) -> Any:
    from matplotlib import colormaps

    return colormaps["gist_ncar"](position)
