"""Verification: every hash, and the stored windows through the model once more."""

from pathlib import Path

from conv2d.packaging._build import verify_targets
from conv2d.packaging._findings import BundleError, Finding, Verdict
from conv2d.packaging._inspect import Inspection, finding_of, inspect_folder, read_samples
from conv2d.packaging._model import OnnxModel, compare_samples, inspect_model
from conv2d.packaging._samples import INPUTS_FILE


def verify_bundle(path: str | Path) -> Verdict:
    """Check a bundle as strictly as this machine can; a bad bundle gives findings, never an exception.

    Every file is hashed, nothing may lie beside the listed files, the model must be what the manifest says, and the
    stored sample windows must give the stored outputs again: floats within 1e-5, codes equal. Built targets are verified by
    their plug-ins; what this machine cannot check is said in `not_verified`.

    Parameters
    ----------
    path : str or Path
        The bundle's folder.

    Returns
    -------
    Verdict
        `ok` is True only when there is no finding and at least one window was run.

    Examples
    --------
    >>> verdict = verify_bundle("nowhere")
    >>> verdict.ok, verdict.findings[0].problem
    (False, 'does not exist')
    """
    state = inspect_folder(Path(path))
    count, notes = 0, ()
    if not state.findings:  # with wrong bytes the model's answers prove nothing
        count, notes = _run_again(state)
    ok = not state.findings
    return Verdict(ok, tuple(state.findings), str(path), state.id, count if ok else 0, notes)


def _run_again(state: Inspection) -> tuple[int, tuple[str, ...]]:
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
    checked = verify_targets(state.manifest, state.contents, samples)
    state.findings += checked.findings
    return len(samples), checked.not_verified
