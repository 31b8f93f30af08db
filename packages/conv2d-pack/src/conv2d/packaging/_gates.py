"""Quality gates: what a bundle must reach before it exists, and the waivers that are on record where it does not."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from conv2d.packaging._findings import BundleError, Finding, GateError
from conv2d.packaging._model import OnnxModel
from conv2d.packaging._samples import Samples

SCORED = {
    "packed": "the figures are of these weights",
    "folds": "the figures are of the models of the cross-validation's folds; the weights here were refitted on all "
    "subjects and were not scored themselves",
}
_CALLS = 400


@dataclass(frozen=True)
class Gates:
    """Limits that every bundle must keep; one that does not is refused, or its waiver is on record.

    Attributes
    ----------
    ece : float
        The expected calibration error in the metrics must be below.
    accuracy : float
        The accuracy in the metrics must be above.
    size_mb : float
        All files but the model card and the manifest must together be smaller, in 10**6 bytes.
    p99_ms : float
        One window on one thread must take less in 99 of 100 calls, in milliseconds on the machine that creates.

    Raises
    ------
    BundleError
        When a limit is not a finite number, or is negative.

    Examples
    --------
    >>> Gates(accuracy=0.9)
    Gates(ece=0.05, accuracy=0.9, size_mb=10.0, p99_ms=10.0)
    """

    ece: float = 0.05
    accuracy: float = 0.80
    size_mb: float = 10.0
    p99_ms: float = 10.0

    def __post_init__(self) -> None:
        for name, limit in asdict(self).items():
            if isinstance(limit, bool) or not isinstance(limit, int | float) or not np.isfinite(limit) or limit < 0:
                raise BundleError(f"gates.{name} is {limit!r}; a limit is a finite number of at least 0.")


GATES = tuple(field.name for field in fields(Gates))


def judge(
    gates: Gates,
    waivers: Mapping[str, str],
    metrics: Mapping[str, Any],
    size: int,
    p99_ms: Callable[[], float],
) -> dict[str, dict[str, Any]]:
    """Return the manifest's entry of every gate; raise where one fails without a waiver.

    The measured time is compared but not recorded: it differs from run to run, and the same model must give the same id.
    """
    for name, reason in waivers.items():
        if name not in GATES:
            raise BundleError(f"there is no gate {name!r} to waive; there are {', '.join(GATES)}.")
        if not reason.strip():
            raise BundleError(f"the waiver of {name} has no reason; say why this bundle may ship all the same.")
    entries: dict[str, dict[str, Any]] = {}
    failed: list[str] = []
    for name, limit in asdict(gates).items():
        entry: dict[str, Any] = {"limit": float(limit)}
        if name == "p99_ms":
            value = None if name in waivers else p99_ms()
        else:
            value = entry["value"] = figure(metrics, name) if name != "size_mb" else size / 1e6
        if name in waivers:
            entry["waived"] = waivers[name].strip()
        elif not passes(name, value, float(limit)):
            failed.append(f"{name} is {_told(value)}, it must be {_sign(name)} {limit:g}")
        entries[name] = entry
    if failed:
        raise GateError(
            f"this bundle fails its quality gates: {'; '.join(failed)}. Improve the model, or put on record why it may "
            "ship: conv2d pack create … "
            + " ".join(f"--waive {text.split()[0]} --reason TEXT" for text in failed)
            + ". The limits are in the section 'gates' of the configuration."
        )
    return entries


def figure(metrics: Mapping[str, Any], name: str) -> float | None:
    """Return a figure of the metrics, given as a number or as {"value": number, …}; None when there is none."""
    found = metrics.get(name)
    if isinstance(found, Mapping):
        found = found.get("value")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def passes(name: str, value: float | None, limit: float) -> bool:
    """Tell whether a value keeps its limit; one that is missing does not."""
    if value is None:
        return False
    return value > limit if name == "accuracy" else value < limit


def check_gates(manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[Finding]:
    """Judge the stored gates again, by the files as they lie."""
    fix = "create the bundle again from an evaluated run"
    size = packed_size({name: entry["size"] for name, entry in manifest["files"].items()}) / 1e6
    findings: list[Finding] = []
    for name, entry in manifest["gates"].items():
        if name == "p99_ms":  # a time on another machine; the creator measured it
            continue
        file = "manifest.json" if name == "size_mb" else "metrics.json"
        value = size if name == "size_mb" else figure(metrics, name)
        if value != entry["value"]:
            problem = f"gives {name} {_told(value)}, but the manifest's gate was judged with {_told(entry['value'])}"
            findings.append(Finding(file, problem, fix))
        elif "waived" not in entry and not passes(name, value, entry["limit"]):
            problem = f"fails the gate {name}: it is {_told(value)}, it must be {_sign(name)} {entry['limit']:g}"
            findings.append(Finding(file, problem, fix))
    return findings


def packed_size(sizes: Mapping[str, int]) -> int:
    """Return the bytes that the gate size_mb counts: all but the card, which tells the gates themselves."""
    return sum(size for name, size in sizes.items() if name != "README.md")


def remarks(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what every command tells of a bundle: its waivers, and figures that are not of these weights."""
    told = [
        f"gate {name} is waived ({_told(entry.get('value'))}, limit {entry['limit']:g}): {entry['waived']}"
        for name, entry in manifest["gates"].items()
        if "waived" in entry
    ]
    if manifest["scored_weights"] != "packed":
        told.append(SCORED[manifest["scored_weights"]])
    return tuple(told)


def measure_p99(model: OnnxModel, samples: Samples) -> float:
    """Return the 99th percentile of single-window calls, in milliseconds of this thread: a busy machine must not decide."""
    windows = [samples.inputs[i : i + 1] for i in range(len(samples))]
    times: list[int] = []
    for call in range(_CALLS + 20):
        start = time.thread_time_ns()
        model.run(windows[call % len(windows)])
        times.append(time.thread_time_ns() - start)
    return float(np.percentile(times[20:], 99)) / 1e6


def _told(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"


def _sign(name: str) -> str:
    return ">" if name == "accuracy" else "<"
