"""Build the targets that a bundle was asked for, and verify those it has."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from conv2d.packaging._files import MANIFEST, is_safe
from conv2d.packaging._findings import BundleError, Finding, MissingToolError
from conv2d.packaging._samples import Samples
from conv2d.packaging._text import mapping
from conv2d.packaging.targets import KNOWN, Built, NotBuilt, Target, TargetCheck, TargetData, load_target, target_names


def build_targets(
    wanted: Sequence[str | Target], model: bytes, data: TargetData, samples: Samples, taken: Collection[str]
) -> tuple[dict[str, dict[str, Any]], dict[str, bytes]]:
    """Build targets; return their entries in the manifest, and their files, none of which is in `taken`."""
    entries: dict[str, dict[str, Any]] = {}
    files: dict[str, bytes] = {}
    asked = {one if isinstance(one, str) else one.name: one for one in wanted}
    for name in sorted(asked.keys() - {"onnx"}):
        one = asked[name]
        target = load_target(name) if isinstance(one, str) else one
        absent = _absent(name) if target is None else target.check(model)
        if target is None or absent is not None:
            entries[name] = not_built(absent or _absent(name))
            continue
        built = target.build(model, data)
        if not built.files and isinstance(built, Built):
            raise BundleError(f"the target {name!r} built no files.")
        for file in built.files:
            if not is_safe(file) or file in {MANIFEST, *taken, *files}:
                raise BundleError(
                    f"the target {name!r} built {file!r}, which is another's file or leads out of the bundle."
                )
        if built.files:
            checked = verify_target(name, target, built.files, model, samples)
            if checked.findings:
                raise BundleError(f"the target {name!r} fails its own verification: {checked.findings[0]}")
        entries[name] = {"status": "built"} if isinstance(built, Built) else not_built(built)
        if built.files:
            entries[name]["files"] = sorted(built.files)
        if built.report:
            entries[name]["report"] = mapping(dict(built.report), f"report of {name}")
        files |= built.files
    return entries, files


def verify_targets(
    manifest: Mapping[str, Any], contents: Mapping[str, bytes], samples: Samples, only: str | None = None
) -> TargetCheck:
    """Verify every target that has files, but the float model itself; or `only` one of them."""
    findings: list[Finding] = []
    notes: list[str] = []
    for name, entry in manifest["targets"].items():
        if name == "onnx" or "files" not in entry or only not in (None, name):
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


def require_target(manifest: Mapping[str, Any], name: str) -> None:
    """Refuse a target that the bundle lacks, or that nothing installed here can verify."""
    entry = manifest["targets"].get(name)
    if entry is None or "files" not in entry:
        why = f"not built: {entry['reason']}; next: {entry['next']}" if entry else "not known to it"
        raise MissingToolError(f"this bundle has no target {name!r} ({why}).")
    if name != "onnx" and load_target(name) is None:
        raise MissingToolError(f"no installed distribution can verify the target {name!r}; install its plug-in.")


def _absent(name: str) -> NotBuilt:
    if name not in KNOWN:
        have = ", ".join(sorted({"onnx", *KNOWN, *target_names()}))
        raise BundleError(f"there is no target {name!r}; there are {have}.")
    reason = f"no installed distribution provides the target {name}"
    return NotBuilt(reason, f"install a plug-in for it, then: conv2d pack create --targets onnx,{name}")
