"""Read a bundle's folder and find everything that is wrong with its files; opening and verifying share this."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from conv2d.packaging._files import MANIFEST, SIGNATURE, list_files, read_file, sha256
from conv2d.packaging._findings import BundleError, Finding
from conv2d.packaging._gates import SCORED, check_gates
from conv2d.packaging._manifest import parse_manifest
from conv2d.packaging._samples import INPUTS_FILE, Samples, output_file, parse_npy
from conv2d.packaging._sign import check_form
from conv2d.packaging._text import mapping, parse_json, parse_yaml

_RESTORE = "restore the bundle from its source or create it again"


@dataclass
class Inspection:
    """A bundle's folder as read: what is wrong, and the contents that carry the right hash."""

    path: Path
    id: str = ""
    manifest: dict[str, Any] = field(default_factory=dict[str, Any])
    contents: dict[str, bytes] = field(default_factory=dict[str, bytes])
    parsed: dict[str, Any] = field(default_factory=dict[str, Any])
    findings: list[Finding] = field(default_factory=list[Finding])
    signed: bool = False


def inspect_folder(path: Path) -> Inspection:
    """Check names, kinds, hashes and texts of a bundle's files; the model is not run here."""
    # The folder may be reached through a link; links inside it are refused.
    state = Inspection(path.resolve())
    if not path.exists():
        state.findings.append(
            Finding(".", "does not exist", "give the folder of a bundle; `conv2d pack list` shows them")
        )
        return state
    if not path.is_dir():
        state.findings.append(Finding(".", "is a file; a bundle is a folder", "unpack an archive first"))
        return state
    present, state.findings = list_files(state.path)
    if MANIFEST not in present:
        problem = "is missing; a folder without a manifest is no bundle"
        state.findings.append(Finding(MANIFEST, problem, _RESTORE))
        return state
    _read_manifest(state)
    if SIGNATURE in present:
        present.remove(SIGNATURE)
        state.signed = True
        state.findings += check_form(state.path, state.id)
    if state.manifest:
        _read_files(state, present)
        _read_texts(state)
    return state


def _read_manifest(state: Inspection) -> None:
    try:
        data = read_file(state.path, MANIFEST)
    except OSError as error:
        state.findings.append(Finding(MANIFEST, f"cannot be read ({error.strerror})", "check its permissions"))
        return
    manifest, findings = parse_manifest(data)
    state.id = sha256(data)
    if not findings and state.path.name != state.id:
        findings = [
            Finding(
                MANIFEST,
                f"has the id {state.id}, but the folder is called {state.path.name!r}; a folder is named by its id, "
                "so one of the two was changed",
                "give the folder its id back if only the name was changed, else " + _RESTORE,
            )
        ]
    if findings:  # nothing that such a manifest says can be held against the other files
        state.findings += findings
    else:
        state.manifest = manifest


def _read_files(state: Inspection, present: set[str]) -> None:
    listed = cast("dict[str, dict[str, Any]]", state.manifest["files"])
    for name in sorted(present - listed.keys() - {MANIFEST}):
        state.findings.append(
            Finding(name, "is not in the manifest; a bundle holds what it lists and no more", "remove it")
        )
    for name, entry in listed.items():
        if name not in present:
            state.findings.append(Finding(name, "is missing, although the manifest lists it", _RESTORE))
            continue
        try:
            data = read_file(state.path, name)
        except OSError as error:
            state.findings.append(Finding(name, f"cannot be read ({error.strerror})", "check its permissions"))
            continue
        if len(data) != entry["size"]:
            problem = f"has {len(data)} bytes, the manifest says {entry['size']}"
        elif sha256(data) != entry["sha256"]:
            problem = "was changed: its SHA-256 is not the manifest's"
        else:
            state.contents[name] = data
            continue
        state.findings.append(Finding(name, problem, _RESTORE))


def _read_texts(state: Inspection) -> None:
    manifest = state.manifest

    def labels(data: bytes, file: str) -> tuple[str, ...]:
        names = mapping(parse_json(data, file), file).get("labels")
        logits = next(o for o in manifest["model"]["outputs"] if o["name"] == "logits")
        return check_labels(names, int(logits["shape"][-1]), file)

    def figures(data: bytes, file: str) -> dict[str, Any]:
        metrics = json_mapping(data, file)
        scored = check_metrics(metrics, manifest["files"]["model.onnx"]["sha256"], file)
        if scored != manifest["scored_weights"]:
            raise BundleError(f"{file} says {SCORED[scored]}; the manifest says {SCORED[manifest['scored_weights']]}.")
        return metrics

    def line(expected: object) -> Callable[[bytes, str], str]:
        def read(data: bytes, file: str) -> str:
            if data != f"{expected}\n".encode():
                raise BundleError(f"{file} says {data[:80]!r}, the manifest says {expected!r}.")
            return str(expected)

        return read

    def json_mapping(data: bytes, file: str) -> dict[str, Any]:
        return mapping(parse_json(data, file), file)

    readers: dict[str, Callable[[bytes, str], Any]] = {
        "config.yaml": lambda data, file: mapping(parse_yaml(data, file), file),
        "label_map.json": labels,
        "preprocessing.json": json_mapping,
        "calibration.json": json_mapping,
        "metrics.json": figures,
        "VERSION": line(manifest["version"]),
        "COMMIT_SHA": line(manifest["commit_sha"]),
    }
    for file, read in readers.items():
        if file in state.contents:
            try:
                state.parsed[file] = read(state.contents[file], file)
            except BundleError as error:
                state.findings.append(finding_of(file, error))
    if "metrics.json" in state.parsed:
        state.findings += check_gates(manifest, state.parsed["metrics.json"])
    if manifest["commit_sha"] is not None and "COMMIT_SHA" not in manifest["files"]:
        state.findings.append(Finding("COMMIT_SHA", "is not listed, although the manifest names a commit", _RESTORE))


def finding_of(file: str, error: BundleError) -> Finding:
    """Turn an error about one file into a finding."""
    return Finding(file, str(error).removeprefix(f"{file} ").rstrip("."), _RESTORE)


def check_labels(names: object, width: int, where: str) -> tuple[str, ...]:
    """Refuse anything but `width` different, non-empty names."""
    if not isinstance(names, list | tuple) or not names:
        raise BundleError(f"{where} holds no labels; give one name for each of the {width} logits.")
    entries = cast("list[object]", names)
    result = tuple(entry for entry in entries if isinstance(entry, str) and entry.strip())
    if len(result) != len(entries) or len(set(result)) != len(result):
        raise BundleError(f"{where} holds {entries!r}; labels are non-empty text, each one different.")
    if len(result) != width:
        raise BundleError(f"{where} holds {len(result)} labels, but the model gives {width} logits; they must agree.")
    return result


def check_metrics(metrics: dict[str, Any], model_sha256: str, where: str) -> str:
    """Refuse metrics that are empty or of other weights; return what was scored, a key of `_gates.SCORED`.

    Cross-validation is the one case in which the figures are of other weights by design: each subject is scored by a model
    that never saw it, and the weights that ship are refitted on all subjects. Metrics say so with their own keys.
    """
    if not metrics:
        raise BundleError(f"{where} is empty; a bundle says how good it is. Evaluate the model and give the figures.")
    keys = [key for key in ("model_sha256", "refitted_model_sha256") if key in metrics]
    if len(keys) != 1:
        raise BundleError(
            f"{where} does not say which weights it was computed with; give 'model_sha256' (these weights were scored) or "
            "'refitted_model_sha256' (models of folds were scored, these weights were refitted), one of the two, the "
            "SHA-256 of model.onnx."
        )
    if metrics[keys[0]] != model_sha256:
        raise BundleError(
            f"{where} was computed with the model {metrics[keys[0]]!r}, but model.onnx is {model_sha256}; evaluate this "
            "model."
        )
    if keys[0] == "model_sha256":
        return "packed"
    folds = metrics.get("fold_weights_sha256")
    entries = cast("list[object]", folds) if isinstance(folds, list) else []
    if len(entries) < 2 or not all(isinstance(e, str) and re.fullmatch("[0-9a-f]{64}", e) for e in entries):
        raise BundleError(
            f"{where} says that models of folds were scored, but 'fold_weights_sha256' is {folds!r}; give the SHA-256 of "
            "each fold's weights."
        )
    return "folds"


def read_samples(contents: dict[str, bytes], manifest: dict[str, Any]) -> Samples:
    """Return the stored windows and outputs; the error names the file."""
    inputs = parse_npy(contents[INPUTS_FILE], INPUTS_FILE)
    names = [str(output["name"]) for output in manifest["model"]["outputs"]]
    outputs = {name: parse_npy(contents[output_file(name)], output_file(name)) for name in names}
    try:
        samples = Samples(inputs, outputs)
    except BundleError as error:
        raise BundleError(f"{INPUTS_FILE} and its outputs: {error}") from error
    if len(samples) != manifest["samples"]["windows"]:
        said = manifest["samples"]["windows"]
        raise BundleError(f"{INPUTS_FILE} holds {len(samples)} windows, the manifest says {said}.")
    return samples
