"""Create a bundle: everything is checked in memory, then written aside and renamed."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conv2d.packaging._build import build_targets, not_built
from conv2d.packaging._bundle import Bundle
from conv2d.packaging._card import model_card
from conv2d.packaging._files import MANIFEST, publish, sha256
from conv2d.packaging._findings import BundleError, paragraph
from conv2d.packaging._gates import Gates, judge, measure_p99, packed_size
from conv2d.packaging._inspect import check_labels, check_metrics
from conv2d.packaging._manifest import file_table, parse_manifest
from conv2d.packaging._model import TOLERANCE, OnnxModel, compare_samples, inspect_model
from conv2d.packaging._samples import WINDOW, Samples, samples_to_files
from conv2d.packaging._sign import check_key, sign_bundle
from conv2d.packaging._text import canonical_json, mapping, pretty_json, yaml_text
from conv2d.packaging.targets import KNOWN, NotBuilt, Target, TargetData

CARD = "README.md"
DEFAULT_GATES = Gates()
NO_WAIVERS: Mapping[str, str] = {}
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
    name: str | None = None,
    gates: Gates = DEFAULT_GATES,
    waivers: Mapping[str, str] = NO_WAIVERS,
    targets: Sequence[str | Target] = ("onnx",),
    calibration_windows: NDArray[np.float32] | None = None,
    test_windows: NDArray[np.float32] | None = None,
    test_labels: NDArray[np.int32] | None = None,
    targets_not_built: Mapping[str, str] = NOT_ASKED_FOR,
    sign_key: str | Path | None = None,
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
        Plain values only (str, int, finite float, bool, None, lists, mappings). `metrics` holds "accuracy" and "ece", each
        a number or {"value": number, …}, and says what was scored: "model_sha256", the SHA-256 of `model`; or, after
        cross-validation, "refitted_model_sha256", the same, with "fold_weights_sha256", a list.
    labels : sequence of str
        K different names, in the order of the logits.
    samples : Samples
        Normalised windows and what `model` gives for them; checked here and by every verification.
    version : str
        The version of what is shipped: letters, digits and ``.+-_``.
    commit_sha : str, optional
        The commit the model was made from, in hexadecimal, with "-dirty" after it where the tree was.
    name : str, optional
        A name for people: letters, digits and ``.+-_``.
    gates : Gates
        The limits of the quality gates.
    waivers : mapping of str to str
        Gates that need not be kept, each with the reason; on record in the manifest and told by every command.
    targets : sequence of str or Target
        What to build. "onnx" is `model` itself and always in the bundle; others come from plug-ins, see
        `conv2d.packaging.targets`. One that cannot be built here is recorded as not built, with the reason.
    calibration_windows : ndarray of float32, shape (n, 9, 2, 100), optional
        Normalised windows of training subjects, for targets that calibrate.
    test_windows : ndarray of float32, shape (m, 9, 2, 100), optional
        Normalised windows of tested subjects, on which targets are compared with `model`.
    test_labels : ndarray of int32, shape (m,), optional
        Their labels, as indices into `labels`.
    targets_not_built : mapping of str to str
        Why each other target is not in the bundle.
    sign_key : str or Path, optional
        PEM file of the private key to sign with, see `sign_bundle`.

    Returns
    -------
    Bundle
        The bundle, opened.

    Raises
    ------
    GateError
        When a quality gate fails without a waiver, or a target is not good enough.
    BundleError
        When an argument breaks a rule, the key cannot be used, or a damaged bundle of the same id lies there already.
    MissingToolError
        When `sign_key` is given, but the extra `sign` is not installed.
    OSError
        When `root` cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> windows = np.zeros((1, 9, 2, 100), np.float32)
    >>> outputs = {"logits": np.zeros((1, 2), np.float32), "codes": np.zeros((1, 64), np.int32)}
    >>> create_bundle("artifacts", model=b"", config={}, labels=["rest", "walk"], preprocessing={}, calibration={},
    ...               metrics={"accuracy": 0.9, "ece": 0.02}, samples=Samples(windows, outputs), version="1.0")
    Traceback (most recent call last):
    ...
    conv2d.packaging._findings.BundleError: model.onnx is ...
    """
    if sign_key is not None:
        check_key(sign_key)
    facts = inspect_model(model)
    settings = mapping(dict(config), "config")
    figures = mapping(dict(metrics), "metrics")
    scored = check_metrics(figures, sha256(model), "metrics")
    _check_version(version, commit_sha, name)
    texts = {
        "config": settings,
        "preprocessing": mapping(dict(preprocessing), "preprocessing"),
        "calibration": mapping(dict(calibration), "calibration"),
        "metrics": figures,
    }
    names = check_labels(labels, facts.output("logits").shape[1], "labels")
    contents = {
        "model.onnx": model,
        "config.yaml": yaml_text(settings),
        "label_map.json": pretty_json({"labels": names}),
        **{f"{key}.json": pretty_json(value) for key, value in texts.items() if key != "config"},
        "VERSION": f"{version}\n".encode(),
        **samples_to_files(samples),
    }
    if commit_sha is not None:
        contents["COMMIT_SHA"] = f"{commit_sha}\n".encode()
    runnable = OnnxModel(model)
    wrong = list(compare_samples(runnable, samples))
    if wrong:
        raise BundleError(paragraph("to be created", wrong))
    none = np.zeros((0, *WINDOW), np.float32)
    data = TargetData(
        none if calibration_windows is None else calibration_windows,
        none if test_windows is None else test_windows,
        test_labels,
    )
    judge(gates, {"size_mb": "judged below", "p99_ms": "judged below", **waivers}, figures, 0, lambda: 0.0)
    entries, built = build_targets(targets, model, data, samples, {*contents, CARD})
    contents |= built
    size = packed_size({file: len(content) for file, content in contents.items()})
    skipped = {target: _skipped(target, why) for target, why in targets_not_built.items() if target not in entries}
    manifest: dict[str, Any] = {
        "schema": 1,
        "name": name,
        "version": version,
        "commit_sha": commit_sha,
        "scored_weights": scored,
        "gates": judge(gates, waivers, figures, size, lambda: measure_p99(runnable, samples)),
        "model": facts.to_dict(),
        "samples": {"windows": len(samples), "tolerance": TOLERANCE},
        "targets": {"onnx": {"status": "built", "files": ["model.onnx"]}} | skipped | entries,
    }
    contents[CARD] = model_card(manifest, names, texts)
    bundle = write_bundle(Path(root), manifest | {"files": file_table(contents)}, contents)
    if sign_key is not None:
        sign_bundle(bundle, sign_key)
    return bundle


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


def _check_version(version: str, commit_sha: str | None, name: str | None) -> None:
    for key, text in (("version", version), ("name", name or "none")):
        if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}", text):
            raise BundleError(f"{key} is {text!r}; it is 1 to 64 letters, digits and .+-_ and begins with no sign.")
    if commit_sha is not None and not re.fullmatch(r"[0-9a-f]{7,64}(-dirty)?", commit_sha):
        raise BundleError(f"commit_sha is {commit_sha!r}; it is 7 to 64 hexadecimal digits, then perhaps '-dirty'.")


def _skipped(name: str, reason: object) -> dict[str, Any]:
    if name == "onnx" or not isinstance(reason, str) or not reason.strip():
        raise BundleError(
            f"targets_not_built[{name!r}] is {reason!r}; give the reason as text, for any target but onnx."
        )
    return not_built(NotBuilt(reason, f"conv2d pack create --targets onnx,{name}"))
