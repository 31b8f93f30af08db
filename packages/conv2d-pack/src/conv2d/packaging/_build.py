"""Build the targets that a bundle was asked for, and verify those it has."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conv2d.packaging._files import MANIFEST, is_safe
from conv2d.packaging._findings import BundleError, Finding
from conv2d.packaging._samples import Samples, check_windows
from conv2d.packaging._text import mapping
from conv2d.packaging.targets import KNOWN, NotBuilt, Target, TargetCheck, load_target, target_names


def build_targets(
    names: Sequence[str],
    model: bytes,
    windows: NDArray[np.float32] | None,
    samples: Samples,
    taken: Collection[str],
) -> tuple[dict[str, dict[str, Any]], dict[str, bytes]]:
    """Build targets; return their entries in the manifest, and their files, none of which is in `taken`."""
    given = np.zeros((0, 9, 2, 100), np.float32) if windows is None else windows
    check_windows(given, "calibration_windows")
    entries: dict[str, dict[str, Any]] = {}
    files: dict[str, bytes] = {}
    for name in sorted(set(names) - {"onnx"}):
        target = load_target(name)
        absent = _absent(name) if target is None else target.check(model)
        if target is None or absent is not None:
            entries[name] = not_built(absent or _absent(name))
            continue
        built = target.build(model, given)
        if not built.files:
            raise BundleError(f"the target {name!r} built no files.")
        for file in built.files:
            if not is_safe(file) or file in {MANIFEST, *taken, *files}:
                raise BundleError(
                    f"the target {name!r} built {file!r}, which is another's file or leads out of the bundle."
                )
        checked = verify_target(name, target, built.files, model, samples)
        if checked.findings:
            raise BundleError(f"the target {name!r} fails its own verification: {checked.findings[0]}")
        entries[name] = {"status": "built", "files": sorted(built.files)}
        if built.report:
            entries[name]["report"] = mapping(dict(built.report), f"report of {name}")
        files |= built.files
    return entries, files


def verify_targets(manifest: Mapping[str, Any], contents: Mapping[str, bytes], samples: Samples) -> TargetCheck:
    """Verify every built target but the float model itself."""
    findings: list[Finding] = []
    notes: list[str] = []
    for name, entry in manifest["targets"].items():
        if name == "onnx" or entry["status"] != "built":
            continue
        try:
            target = load_target(name)
        except BundleError as error:
            notes.append(f"target {name}: {error}")
            continue
        if target is None:
            notes.append(f"target {name}: no plug-in for it is installed; its files carry the right hashes")
            continue
        files = {file: contents[file] for file in entry["files"]}
        checked = verify_target(name, target, files, contents["model.onnx"], samples)
        findings += checked.findings
        notes += [f"target {name}: {note}" for note in checked.not_verified]
    return TargetCheck(tuple(findings), tuple(notes))


def verify_target(name: str, target: Target, files: Mapping[str, bytes], model: bytes, samples: Samples) -> TargetCheck:
    """Run a plug-in's verification; what it raises is a finding."""
    try:
        return target.verify(files, model, samples)
    except Exception as error:  # a stranger's code: its failure must neither pass nor stop the other checks
        fix = "build the target again, or report this to the plug-in's authors"
        return TargetCheck((Finding(min(files), f"the verification of the target {name!r} raised {error!r}", fix),))


def not_built(why: NotBuilt) -> dict[str, Any]:
    """Return the manifest's entry of a target that is not in the bundle."""
    return {"status": "not built", "reason": why.reason, "next": why.next}


def _absent(name: str) -> NotBuilt:
    if name not in KNOWN:
        have = ", ".join(sorted({"onnx", *KNOWN, *target_names()}))
        raise BundleError(f"there is no target {name!r}; there are {have}.")
    reason = f"no installed distribution provides the target {name}"
    return NotBuilt(reason, f"install a plug-in for it, then: conv2d pack create --targets onnx,{name}")
