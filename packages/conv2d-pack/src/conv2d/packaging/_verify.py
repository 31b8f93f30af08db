"""Verification: every hash, and the stored windows through the model once more."""

from pathlib import Path

from conv2d.packaging._findings import BundleError, Finding, Verdict
from conv2d.packaging._inspect import Inspection, finding_of, inspect_folder, read_samples
from conv2d.packaging._model import OnnxModel, compare_samples, inspect_model
from conv2d.packaging._samples import INPUTS_FILE


def verify_bundle(path: str | Path) -> Verdict:
    """Check a bundle as strictly as this machine can; a bad bundle gives findings, never an exception.

    Every file is hashed, nothing may lie beside the listed files, the model must be what the manifest says, and the
    stored sample windows must give the stored outputs again: floats within 1e-5, codes equal.

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
    count = 0
    if not state.findings:  # with wrong bytes the model's answers prove nothing
        count = _run_again(state)
    return Verdict(not state.findings, tuple(state.findings), str(path), state.id, count if not state.findings else 0)


def _run_again(state: Inspection) -> int:
    """Run the stored windows; add what is found to the state and return the number of windows."""
    try:
        facts = inspect_model(state.contents["model.onnx"])
        model = OnnxModel(state.contents["model.onnx"])
    except BundleError as error:
        state.findings.append(finding_of("model.onnx", error))
        return 0
    if facts.to_dict() != state.manifest["model"]:
        problem = f"is {facts.to_dict()}, but the manifest says {state.manifest['model']}"
        state.findings.append(Finding("model.onnx", problem, "create the bundle again"))
    try:
        samples = read_samples(state.contents, state.manifest)
        state.findings += compare_samples(model, samples)
    except BundleError as error:
        state.findings.append(finding_of(INPUTS_FILE, error))
        return 0
    return len(samples)
