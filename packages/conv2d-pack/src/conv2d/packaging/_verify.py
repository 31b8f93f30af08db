"""Verification: every hash, and the stored windows through the model once more."""

from pathlib import Path

from conv2d.packaging._build import require_target, verify_targets
from conv2d.packaging._files import SIGNATURE
from conv2d.packaging._findings import BundleError, Finding, Verdict
from conv2d.packaging._gates import remarks
from conv2d.packaging._inspect import Inspection, finding_of, inspect_folder, read_samples
from conv2d.packaging._model import OnnxModel, compare_samples, inspect_model
from conv2d.packaging._samples import INPUTS_FILE
from conv2d.packaging._sign import check_signature


def verify_bundle(path: str | Path, *, target: str | None = None, key: str | Path | None = None) -> Verdict:
    """Check a bundle as strictly as this machine can; a bad bundle gives findings, never an exception.

    Every file is hashed, nothing may lie beside the listed files, the model must be what the manifest says, and the
    stored sample windows must give the stored outputs again: floats within 1e-5, codes equal. Built targets are verified by
    their plug-ins; what this machine cannot check is said in `not_verified`.

    Parameters
    ----------
    path : str or Path
        The bundle's folder.
    target : str, optional
        Verify this target only, beside the files and the float model; by default all that this machine can.
    key : str or Path, optional
        PEM file with the public key of the signer: the bundle must then carry that signature.

    Returns
    -------
    Verdict
        `ok` is True only when there is no finding and at least one window was run.

    Raises
    ------
    MissingToolError
        When `key` is given but the extra `sign` is not installed, or `target` is not in the bundle or cannot be verified
        here: what was asked for is refused, not skipped.

    Examples
    --------
    >>> verdict = verify_bundle("nowhere")
    >>> verdict.ok, verdict.findings[0].problem
    (False, 'does not exist')
    """
    state = inspect_folder(Path(path))
    count, notes = 0, ()
    if target is not None and state.manifest:
        require_target(state.manifest, target)
    if key is not None:
        state.findings += check_signature(state.path, state.id, Path(key))
    if not state.findings:  # with wrong bytes the model's answers prove nothing
        count, notes = _run_again(state, target)
        if key is None and state.signed:
            notes = (*notes, f"{SIGNATURE}: no key was given; verify with --key PUB")
    ok = not state.findings
    told = remarks(state.manifest) if state.manifest else ()
    return Verdict(ok, tuple(state.findings), str(path), state.id, count if ok else 0, notes, told)


def _run_again(state: Inspection, target: str | None) -> tuple[int, tuple[str, ...]]:
    """Run the stored windows; add what is found to the state, return the number of windows and what was not checked."""
    data = state.contents["model.onnx"]
    try:
        facts = inspect_model(data)
        model = OnnxModel(data)
    except BundleError as error:
        state.findings.append(finding_of("model.onnx", error))
        return 0, ()
    if facts.to_dict() != state.manifest["model"]:
        problem = f"is {facts.to_dict()}, but the manifest says {state.manifest['model']}"
        state.findings.append(Finding("model.onnx", problem, "create the bundle again"))
    try:
        samples = read_samples(state.contents, state.manifest)
        state.findings += compare_samples(model, samples)
    except BundleError as error:
        state.findings.append(finding_of(INPUTS_FILE, error))
        return 0, ()
    checked = verify_targets(state.manifest, state.contents, samples, target)
    state.findings += checked.findings
    return len(samples), checked.not_verified
