"""Create a bundle: everything is checked in memory, then written aside and renamed."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conv2d.packaging._build import build_targets, not_built
from conv2d.packaging._bundle import Bundle
from conv2d.packaging._files import MANIFEST, publish, sha256
from conv2d.packaging._findings import BundleError, paragraph
from conv2d.packaging._inspect import check_labels, check_metrics
from conv2d.packaging._manifest import file_table, parse_manifest
from conv2d.packaging._model import TOLERANCE, OnnxModel, compare_samples, inspect_model
from conv2d.packaging._samples import Samples, samples_to_files
from conv2d.packaging._text import canonical_json, mapping, pretty_json, yaml_text
from conv2d.packaging.targets import KNOWN, NotBuilt

NOT_ASKED_FOR: Mapping[str, str] = dict.fromkeys(KNOWN, "not asked for")


def create_bundle(
    root: str | Path,
    *,
    model: bytes,
    config: Mapping[str, Any],
    labels: Sequence[str],
    preprocessing: Mapping[str, Any],
    calibration: Mapping[str, Any],
    metrics: Mapping[str, Any],
    samples: Samples,
    version: str,
    commit_sha: str | None = None,
    targets: Sequence[str] = ("onnx",),
    calibration_windows: NDArray[np.float32] | None = None,
    targets_not_built: Mapping[str, str] = NOT_ASKED_FOR,
) -> Bundle:
    """Write the bundle `root/<id>`: whole, or not at all.

    The same arguments give the same bytes and the same id; a bundle that is there already is verified and left as it
    is. Several processes may create in one `root` at once.

    Parameters
    ----------
    root : str or Path
        The folder that holds bundles; made when absent.
    model : bytes
        ONNX: one static input float32 (1, 9, 2, 100), outputs "logits" float32 (1, K) and "codes" int32 (1, T),
        weights inside.
    config, preprocessing, calibration, metrics : mapping
        Plain values only (str, int, finite float, bool, None, lists, mappings). `metrics` is not empty; where it has
        the key "model_sha256", that must be the SHA-256 of `model`.
    labels : sequence of str
        K different names, in the order of the logits.
    samples : Samples
        Normalised windows and what `model` gives for them; checked here and by every verification.
    version : str
        The version of what is shipped: letters, digits and ``.+-_``.
    commit_sha : str, optional
        The commit the model was made from, in hexadecimal, with "-dirty" after it where the tree was.
    targets : sequence of str
        What to build. "onnx" is `model` itself and always in the bundle; others come from plug-ins, see
        `conv2d.packaging.targets`. One that cannot be built here is recorded as not built, with the reason.
    calibration_windows : ndarray of float32, shape (n, 9, 2, 100), optional
        Normalised windows of training subjects, for targets that calibrate.
    targets_not_built : mapping of str to str
        Why each other target is not in the bundle.

    Returns
    -------
    Bundle
        The bundle, opened.

    Raises
    ------
    BundleError
        When an argument breaks a rule, or a damaged bundle of the same id lies there already.
    OSError
        When `root` cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> windows = np.zeros((1, 9, 2, 100), np.float32)
    >>> outputs = {"logits": np.zeros((1, 2), np.float32), "codes": np.zeros((1, 64), np.int32)}
    >>> create_bundle("artifacts", model=b"", config={}, labels=["rest", "walk"], preprocessing={}, calibration={},
    ...               metrics={"accuracy": 0.9}, samples=Samples(windows, outputs), version="1.0")
    Traceback (most recent call last):
    ...
    conv2d.packaging._findings.BundleError: model.onnx is ...
    """
    facts = inspect_model(model)
    settings = mapping(dict(config), "config")
    figures = mapping(dict(metrics), "metrics")
    check_metrics(figures, sha256(model), "metrics")
    _check_version(version, commit_sha)
    contents = {
        "model.onnx": model,
        "config.yaml": yaml_text(settings),
        "label_map.json": pretty_json({"labels": check_labels(labels, facts.output("logits").shape[1], "labels")}),
        "preprocessing.json": pretty_json(mapping(dict(preprocessing), "preprocessing")),
        "calibration.json": pretty_json(mapping(dict(calibration), "calibration")),
        "metrics.json": pretty_json(figures),
        "VERSION": f"{version}\n".encode(),
        **samples_to_files(samples),
    }
    if commit_sha is not None:
        contents["COMMIT_SHA"] = f"{commit_sha}\n".encode()
    wrong = list(compare_samples(OnnxModel(model), samples))
    if wrong:
        raise BundleError(paragraph("to be created", wrong))
    entries, built = build_targets(targets, model, calibration_windows, samples, contents.keys())
    skipped = {name: _skipped(name, why) for name, why in targets_not_built.items() if name not in entries}
    manifest: dict[str, Any] = {
        "schema": 1,
        "version": version,
        "commit_sha": commit_sha,
        "model": facts.to_dict(),
        "samples": {"windows": len(samples), "tolerance": TOLERANCE},
        "targets": {"onnx": {"status": "built", "files": ["model.onnx"]}} | skipped | entries,
        "files": file_table(contents | built),
    }
    return write_bundle(Path(root), manifest, contents | built)


def write_bundle(root: Path, manifest: dict[str, Any], contents: Mapping[str, bytes]) -> Bundle:
    """Publish checked contents under the id of their manifest, and open what then lies there."""
    data = canonical_json(manifest)
    findings = parse_manifest(data)[1]
    if findings:
        raise BundleError(paragraph("to be created", findings))
    name = sha256(data)
    if publish(root, name, {**contents, MANIFEST: data}):
        return Bundle.open(root / name)
    try:
        return Bundle.open(root / name)
    except BundleError as error:
        raise BundleError(
            f"{error} It stands where this bundle belongs: remove the folder, then create again."
        ) from error


def _check_version(version: str, commit_sha: str | None) -> None:
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}", version):
        raise BundleError(f"version is {version!r}; it is 1 to 64 letters, digits and .+-_ and begins with no sign.")
    if commit_sha is not None and not re.fullmatch(r"[0-9a-f]{7,64}(-dirty)?", commit_sha):
        raise BundleError(f"commit_sha is {commit_sha!r}; it is 7 to 64 hexadecimal digits, then perhaps '-dirty'.")


def _skipped(name: str, reason: object) -> dict[str, Any]:
    if name == "onnx" or not isinstance(reason, str) or not reason.strip():
        raise BundleError(
            f"targets_not_built[{name!r}] is {reason!r}; give the reason as text, for any target but onnx."
        )
    return not_built(NotBuilt(reason, f"conv2d pack create --targets onnx,{name}"))
