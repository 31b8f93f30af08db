"""What a codebook does on an experiment's windows: figures, a picture, and the comparison of two analyses."""

# matplotlib's own signatures are partly untyped, and threadpoolctl ships no types.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from conv2d.clustering import GMMClusterer, KMeansClusterer
from conv2d.data import Windows
from conv2d.features import encode_fsq
from conv2d.features.codebook import (
    class_signatures,
    code_usage,
    dead_levels,
    dwells,
    rate_distortion,
    transition_counts,
)
from conv2d_train._errors import RunError
from conv2d_train.config import Experiment
from conv2d_train.motifs import MAX_FIT_WINDOWS
from conv2d_train.runs import Run, write_text

SCHEMA = 1
_SHOWN_CODES = 40
_LISTED_DEAD_LEVELS = 50


@dataclasses.dataclass(frozen=True, eq=False)
class Analysis:
    """An analysis and what its picture needs beside it.

    Attributes
    ----------
    content : dict
        The JSON of ``codebook_analysis.json``.
    embeddings : ndarray of float32, shape (N, embedding_dim)
        Of all windows.
    labels : ndarray of int32, shape (N,)
        Their classes, −1 = unlabelled.
    """

    content: dict[str, Any]
    embeddings: NDArray[np.float32]
    labels: NDArray[np.int32]


def analyze_codebook(config: Experiment, windows: Windows, run: Run | None) -> Analysis:
    """Encode windows and describe the codes.

    Parameters
    ----------
    config : Experiment
        Its ``fsq`` and ``clustering`` sections are used.
    windows : Windows
        Recordings' windows in the order of time.
    run : Run, optional
        A trained run; without it the training-free encoder is described.

    Returns
    -------
    Analysis
        The same input gives the same bytes.
    """
    levels, tokens = list(config.fsq.levels), config.fsq.embedding_dim
    if run is None:
        result = encode_fsq(windows.x, levels, tokens)
        encoder: dict[str, Any] = {"kind": "training-free", "weights_sha256": None}
    else:
        fitted = run.model()
        result = encode_fsq(fitted.normaliser.transform(windows.x), levels, tokens, encoder=fitted.tokens)
        encoder = {"kind": "trained", "weights_sha256": run.weights_sha256()}
    n_codes = int(np.prod(levels))
    sequence = _sequences(windows)
    usage = code_usage(result.codes, n_codes)
    dead = dead_levels(result.codes, levels)
    subject = np.array(windows.recording_subjects)[windows.recording]
    signatures = class_signatures(result.codes, windows.y, n_codes, groups=subject, seed=config.seed)
    sweep = rate_distortion(result.features.reshape(len(windows), tokens, len(levels)), _level_sets(levels))
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "name": config.name,
        "class_order": list(windows.label_names),
        "levels": levels,
        "embedding_dim": tokens,
        "n_codes": n_codes,
        "encoder": encoder,
        "windows": len(windows),
        "subjects": len(windows.subjects),
        "hop_s": windows.hop_s,
        "usage": {
            "active_codes": usage.n_active,
            "fraction_used": usage.fraction_used,
            "entropy_bits": usage.entropy_bits,
            "perplexity": usage.perplexity,
            "counts": usage.counts.tolist(),
        },
        "dead_levels": {"count": len(dead), "first": [str(level) for level in dead[:_LISTED_DEAD_LEVELS]]},
        "dwell": dataclasses.asdict(dwells(result.codes, windows.hop_s, sequence)),
        "transitions": transition_counts(result.codes, n_codes, sequence).tolist(),
        "clusters": _clusters(config, windows, result.embeddings, sequence),
        "classes": {
            windows.label_names[label]: {
                "windows": int((windows.y == label).sum()),
                "top_codes": top.tolist(),
                "top_shares": share[top].tolist(),
                "stability": float(stability),
            }
            for label, top, share, stability in zip(
                signatures.classes, signatures.top, signatures.shares, signatures.stability, strict=True
            )
        },
        "rate_distortion": {
            "points": [dataclasses.asdict(point) for point in sweep.points],
            "recommended": list(sweep.recommended),
        },
    }
    return Analysis(content, result.embeddings, windows.y)


def _sequences(windows: Windows) -> NDArray[np.int64]:
    """Return the number of each window's stretch without a gap: a new one starts with a recording, and where windows were dropped."""
    follows = (np.diff(windows.recording) == 0) & (np.diff(windows.start) == windows.hop)
    return np.concatenate([[0], np.cumsum(~follows)]).astype(np.int64)


def _level_sets(levels: list[int]) -> list[list[int]]:
    """Return sets around the given one, from two levels a scalar to sixteen."""
    n = len(levels)
    even = [[count] * n for count in (3, 4, 5, 6, 8, 12, 16)]
    return [*even, *([levels] if levels not in even else [])]


def _clusters(
    config: Experiment, windows: Windows, embeddings: NDArray[np.float32], sequence: NDArray[np.int64]
) -> dict[str, Any]:
    """Cluster the embeddings as the experiment says, and describe each cluster."""
    kind = GMMClusterer if config.clustering.method == "gmm" else KMeansClusterer
    clusterer = kind(
        min_clusters=config.clustering.min_clusters,
        max_clusters=config.clustering.max_clusters,
        random_state=config.seed,
    )
    points = embeddings.astype(np.float64)
    sample = np.linspace(0, len(points) - 1, min(len(points), MAX_FIT_WINDOWS)).round().astype(np.int64)
    with threadpool_limits(config.training.threads):  # sums in BLAS depend on the number of threads
        clusterer.fit(points[sample])
        ids, member = np.unique(clusterer.predict(points), return_inverse=True)
    moves = transition_counts(member[:, None], len(ids), sequence)
    labelled = windows.y >= 0
    summaries: list[dict[str, Any]] = []
    for i, motif in enumerate(ids.tolist()):
        inside = member == i
        counts = np.bincount(windows.y[inside & labelled], minlength=len(windows.label_names))
        summaries.append(
            {
                "id": motif,
                "windows": int(inside.sum()),
                "share": float(inside.mean()),
                "majority_class": windows.label_names[int(counts.argmax())] if counts.sum() else None,
                "purity": float(counts.max() / counts.sum()) if counts.sum() else None,
            }
        )
    return {
        "method": config.clustering.method,
        "summaries": summaries,
        "dwell": dataclasses.asdict(dwells(member[:, None], windows.hop_s, sequence)),
        "transition_probabilities": (moves / np.maximum(moves.sum(1, keepdims=True), 1)).tolist(),
    }


def write_analysis(analysis: Analysis, folder: Path) -> list[Path]:
    """Write ``codebook_analysis.json`` and ``codebook_visualization.png``, each aside and renamed; return their paths."""
    figures, picture = folder / "codebook_analysis.json", folder / "codebook_visualization.png"
    write_text(figures, json.dumps(analysis.content, sort_keys=True, allow_nan=False) + "\n")
    _draw(analysis, picture)
    return [figures, picture]


def write_selftest(folder: Path) -> str:
    """Quantise one random batch with a learnt codebook and write ``selftest.txt``: the shape, and a loss that must be finite."""
    import torch

    from conv2d.features import VectorQuantizerEMA2D

    z = torch.randn(32, 64, 1, 100, generator=torch.Generator().manual_seed(0))
    quantized, losses, info = VectorQuantizerEMA2D(num_codes=512, code_dim=64)(z)
    loss = float(losses["vq"])
    text = f"{tuple(quantized.shape)}\nloss {loss:.6f}\nusage {float(info['usage']):.4f}\nperplexity {float(info['perplexity']):.2f}\n"
    if not np.isfinite(loss):
        raise RunError(f"selftest: the loss is {loss}. The installed torch does not compute what it should.")
    write_text(folder / "selftest.txt", text)
    return text


def _draw(analysis: Analysis, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    content = analysis.content
    figure = Figure(figsize=(15, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = cast("list[Any]", figure.subplots(1, 3).tolist())
    counts = np.array(content["usage"]["counts"])
    order = np.argsort(-counts, kind="stable")
    axes[0].bar(np.arange(len(counts)), counts[order] / max(int(counts.sum()), 1), width=1.0)
    axes[0].set(
        title=f"usage: {content['usage']['active_codes']} of {content['n_codes']} codes, "
        f"perplexity {content['usage']['perplexity']:.0f}",
        xlabel="codes, most used first",
        ylabel="share",
    )
    shown = order[:_SHOWN_CODES]
    moves = np.array(content["transitions"])[np.ix_(shown, shown)].astype(float)
    image = axes[1].imshow(moves / np.maximum(moves.sum(1, keepdims=True), 1), vmin=0, vmax=1, cmap="viridis")
    axes[1].set(title=f"transitions among the {len(shown)} most used codes", xlabel="to", ylabel="from")
    figure.colorbar(image, ax=axes[1], label="probability")
    view = _plane(analysis.embeddings)
    for label in np.unique(analysis.labels):
        inside = analysis.labels == label
        name = "unlabelled" if label < 0 else content["class_order"][label]
        axes[2].scatter(view[inside, 0], view[inside, 1], s=4, alpha=0.5, label=name)
    axes[2].set(title="windows in the plane of most variance", xlabel="first component", ylabel="second component")
    axes[2].legend(markerscale=3, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    figure.savefig(aside, format="png", dpi=110, metadata={"Software": None})
    aside.replace(path)


def _plane(embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
    """Project on the two directions of most variance; the largest weight of each is positive, so the picture never flips."""
    centred = embeddings.astype(np.float64) - embeddings.mean(0, dtype=np.float64)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    plane = vectors[:, [-1, -2]] if vectors.shape[1] > 1 else np.repeat(vectors, 2, 1)
    plane = plane * np.sign(plane[np.abs(plane).argmax(0), [0, 1]])
    return centred @ plane


def read_analysis(path: Path) -> dict[str, Any]:
    """Read an analysis from its file or folder."""
    file = path / "codebook_analysis.json" if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{file}: cannot be read ({error}). Make one: conv2d codebook --config FILE --out DIR."
        ) from None
    if not isinstance(content, dict) or cast("dict[str, Any]", content).get("schema") != SCHEMA:
        raise RunError(
            f"{file}: is no codebook analysis of this version (schema {SCHEMA}). Make it again: conv2d codebook."
        )
    return cast("dict[str, Any]", content)


def compare_analyses(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Set two analyses side by side.

    Parameters
    ----------
    a, b : mapping
        As :func:`read_analysis` returns them.

    Returns
    -------
    dict
        ``figures`` of both. ``codes`` compares code by code, and is None unless both come from the same encoder and levels:
        else equal numbers mean different things, and ``note`` says so.
    """
    figures = {name: [value, _figures(b)[name]] for name, value in _figures(a).items()}
    if (a["encoder"], a["levels"], a["embedding_dim"]) != (b["encoder"], b["levels"], b["embedding_dim"]):
        note = "different encoders or levels: a code number does not mean the same in both, so codes are not compared"
        return {"figures": figures, "codes": None, "note": note}
    common = [name for name in a["classes"] if name in b["classes"]]
    codes = {
        "usage_divergence_bits": _jensen_shannon(a["usage"]["counts"], b["usage"]["counts"]),
        "signature_overlap": {
            name: _overlap(a["classes"][name]["top_codes"], b["classes"][name]["top_codes"]) for name in common
        },
    }
    return {"figures": figures, "codes": codes, "note": "same encoder and levels"}


def _figures(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures that can be compared between any two analyses."""
    return {
        "windows": content["windows"],
        "subjects": content["subjects"],
        "active_codes": content["usage"]["active_codes"],
        "fraction_used": content["usage"]["fraction_used"],
        "perplexity": content["usage"]["perplexity"],
        "entropy_bits": content["usage"]["entropy_bits"],
        "dead_levels": content["dead_levels"]["count"],
        "mean_dwell_s": content["dwell"]["mean_s"],
        "clusters": len(content["clusters"]["summaries"]),
        "recommended_levels": "x".join(map(str, content["rate_distortion"]["recommended"])),
    }


def _jensen_shannon(a: list[int], b: list[int]) -> float:
    """Jensen–Shannon divergence in bits: 0 = equal shares, 1 = no code in common."""
    p, q = (np.array(v, float) / max(sum(v), 1) for v in (a, b))
    middle = (p + q) / 2
    parts = [(v[v > 0] * np.log2(v[v > 0] / middle[v > 0])).sum() for v in (p, q)]
    return float(max(0.0, sum(parts) / 2))


def _overlap(a: list[int], b: list[int]) -> float:
    return len(set(a) & set(b)) / len(set(a) | set(b))
