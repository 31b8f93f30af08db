"""The model card of a bundle: README.md, written from the same values that the bundle's other files hold."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from conv2d.packaging._gates import SCORED

_FIGURES = {"accuracy": "accuracy", "macro_f1": "macro-F1", "ece": "ECE", "nll": "NLL"}


def model_card(manifest: Mapping[str, Any], labels: Sequence[str], texts: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return the card as Markdown.

    `manifest` lacks its list of files, which holds the card itself; `texts` are the config, preprocessing, calibration and
    metrics of the bundle.
    """
    config, metrics = texts["config"], texts["metrics"]
    name = manifest["name"] or config.get("name") or "model"
    parts = [
        f"# {name} {manifest['version']}",
        "Classifies windows of two body-worn motion sensors (float32, 9 channels × 2 devices × 100 steps, normalised) into "
        f"{len(labels)} behaviours and FSQ codes. Commit: {manifest['commit_sha'] or 'not given'}.",
        "## Labels\n\n" + ", ".join(labels),
        "## Data and preparation\n\n" + "\n".join(_data(config, texts["preprocessing"])),
        "## Split\n\n" + "\n".join(_split(metrics, manifest["scored_weights"])),
        "## Figures\n\n" + "\n".join(_figures(metrics)),
        "## Calibration\n\n" + "\n".join(_listed(texts["calibration"])),
        "## Quality gates\n\n" + "\n".join(_gates(manifest["gates"])),
        "## Targets\n\n" + "\n".join(_targets(manifest["targets"])),
        "## Limits\n\n" + "\n".join(_limits(manifest, metrics)),
    ]
    return ("\n\n".join(parts) + "\n").encode()


def _data(config: Mapping[str, Any], preprocessing: Mapping[str, Any]) -> Iterator[str]:
    data = config.get("data")
    yield from _listed(cast("Mapping[str, Any]", data) if isinstance(data, Mapping) else {})
    for key in ("sampling_rate", "hop", "devices", "channels", "mag_unit"):
        if key in preprocessing:
            yield f"- {key}: {_plain(preprocessing[key])}"
    yield "- the normaliser is in preprocessing.json"


def _split(metrics: Mapping[str, Any], scored: str) -> Iterator[str]:
    split = cast("Mapping[str, Any]", metrics.get("split") or {})
    for key in ("kind", "part", "folds"):
        if key in split:
            yield f"- {key}: {_plain(split[key])}"
    for key in ("train_subjects", "test_subjects"):
        for number, subjects in enumerate(split.get(key, ())):
            yield f"- {key.replace('_', ' ')}, fold {number}: {_plain(subjects)}"
    yield f"- {SCORED[scored]}"


def _figures(metrics: Mapping[str, Any]) -> Iterator[str]:
    baselines = cast("Mapping[str, Mapping[str, Any]]", metrics.get("baselines") or {})
    rows = {"this model": metrics, **{name.replace("_", " "): row for name, row in baselines.items()}}
    shown = [key for key in _FIGURES if any(key in row for row in rows.values())]
    if not shown:
        yield "None of the usual figures; see metrics.json."
        return
    if "n_windows" in metrics and "n_subjects" in metrics:
        yield f"{metrics['n_windows']} windows of {metrics['n_subjects']} subjects that the scored models never saw.\n"
    interval = metrics.get("interval")
    if isinstance(interval, Mapping):
        yield f"Brackets: intervals, {_plain(cast('Mapping[str, Any]', interval))}.\n"
    yield "| | " + " | ".join(_FIGURES[key] for key in shown) + " |"
    yield "|---|" + "---:|" * len(shown)
    for title, row in rows.items():
        yield f"| {title} | " + " | ".join(_cell(row.get(key)) for key in shown) + " |"


def _cell(figure: object) -> str:
    if isinstance(figure, Mapping):
        found = cast("Mapping[str, Any]", figure)
        if found.get("value") is None:
            return "–"
        ends = "" if found.get("low") is None else f" [{found['low']:.3f}, {found['high']:.3f}]"
        return f"{found['value']:.3f}{ends}"
    return f"{figure:.3f}" if isinstance(figure, int | float) else "–"


def _gates(gates: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, gate in gates.items():
        told = f"waived: {gate['waived']}" if "waived" in gate else "kept"
        yield f"- {name}, limit {gate['limit']:g}: {told}"


def _targets(targets: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, entry in sorted(targets.items()):
        if entry["status"] == "built":
            report = "; ".join(f"{key} {_plain(value)}" for key, value in sorted(entry.get("report", {}).items()))
            yield f"- {name}: built" + (f" ({report})" if report else "")
        else:
            yield f"- {name}: not built, {entry['reason']}"


def _limits(manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> Iterator[str]:
    if "n_subjects" in metrics:
        yield f"- Judged on {metrics['n_subjects']} subjects; how it does on other species, ages or mountings is not known."
    else:
        yield "- Who it was judged on is not in the metrics; do not assume that it holds for others."
    if manifest["scored_weights"] == "folds":
        yield f"- {SCORED['folds'].capitalize()}."
    yield "- Only the listed labels are known: any other behaviour is given to one of them."
    yield "- Inputs must be prepared as preprocessing.json says; a sensor worn elsewhere or turned is not noticed."
    yield "- Not made for medical or safety decisions."


def _listed(values: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(values):
        if values[key] is not None:
            yield f"- {key}: {_plain(values[key])}"


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, object]", value)
        return ", ".join(f"{key} {_plain(entries[key])}" for key in sorted(entries))
    if isinstance(value, list | tuple):
        return ", ".join(_plain(entry) for entry in cast("Sequence[object]", value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
