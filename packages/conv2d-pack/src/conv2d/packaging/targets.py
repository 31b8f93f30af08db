"""Targets: what a bundle carries beside the float ONNX model, each built and verified by a plug-in.

A plug-in is any distribution with an entry point in the group ``conv2d.packaging.targets`` whose name is the target's
name and whose object, called without arguments, gives a `Target`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from conv2d.packaging._findings import BundleError, Finding
from conv2d.packaging._samples import Samples, check_windows

__all__ = ["GROUP", "KNOWN", "Built", "NotBuilt", "Target", "TargetCheck", "TargetData", "load_target", "target_names"]

GROUP = "conv2d.packaging.targets"
KNOWN = ("cmsis-nn", "coreml", "hailo", "onnx-int8")


@dataclass(frozen=True)
class NotBuilt:
    """Why a target is not in a bundle.

    Attributes
    ----------
    reason : str
        For example "the compiler hailo_sdk_client is not installed".
    next : str
        The command to run next.
    files : mapping of str to bytes
        What was prepared for that command, by path in the bundle; often none.
    report : mapping
        Figures for the manifest, plain values only.

    Examples
    --------
    >>> NotBuilt("the compiler is absent", "pip install compiler").reason
    'the compiler is absent'
    """

    reason: str
    next: str
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    report: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class TargetData:
    """Windows that a target calibrates on, and windows that it is judged on.

    Attributes
    ----------
    calibration : ndarray of float32, shape (n, 9, 2, 100)
        Normalised windows of training subjects; n may be 0.
    test : ndarray of float32, shape (m, 9, 2, 100)
        Normalised windows of the tested subjects; m may be 0.
    labels : ndarray of int32, shape (m,), optional
        Their labels, as indices of the logits; None when they are not known.

    Raises
    ------
    BundleError
        When windows break their contract, or labels are not one integer for each test window.

    Examples
    --------
    >>> import numpy as np
    >>> TargetData(np.zeros((0, 9, 2, 100), np.float32), np.zeros((0, 9, 2, 100), np.float32)).labels is None
    True
    """

    calibration: NDArray[np.float32]
    test: NDArray[np.float32]
    labels: NDArray[np.int32] | None = None

    def __post_init__(self) -> None:
        check_windows(self.calibration, "calibration_windows")
        check_windows(self.test, "test_windows")
        if self.labels is not None and (self.labels.dtype != np.int32 or self.labels.shape != (len(self.test),)):
            raise BundleError(
                f"test_labels is {self.labels.dtype} {self.labels.shape}; give int32 ({len(self.test)},), one for each "
                "test window."
            )


@dataclass(frozen=True)
class Built:
    """What a target put into a bundle.

    Attributes
    ----------
    files : mapping of str to bytes
        By their path in the bundle; at least one, none of them a file of the bundle itself.
    report : mapping
        Figures for the manifest, plain values only: sizes, agreement, versions.

    Examples
    --------
    >>> Built({"hailo/host.onnx": b"..."}).report
    {}
    """

    files: Mapping[str, bytes]
    report: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class TargetCheck:
    """What the verification of a target found.

    Attributes
    ----------
    findings : tuple of Finding
        What is wrong.
    not_verified : tuple of str
        What could not be checked on this machine, in words.

    Examples
    --------
    >>> TargetCheck((), ("needs a Hailo-8",)).not_verified
    ('needs a Hailo-8',)
    """

    findings: tuple[Finding, ...] = ()
    not_verified: tuple[str, ...] = ()


@runtime_checkable
class Target(Protocol):
    """What a plug-in provides.

    Attributes
    ----------
    name : str
        The name of its entry point: small letters, digits and "-".
    """

    name: str

    def check(self, model: bytes) -> NotBuilt | None:
        """Say whether the target can be built here, for this model.

        Parameters
        ----------
        model : bytes
            The float ONNX model, which keeps the contract of a bundle.

        Returns
        -------
        NotBuilt or None
            None when it can.
        """
        ...

    def build(self, model: bytes, data: TargetData) -> Built | NotBuilt:
        """Build the target's files: the same arguments give the same bytes.

        Parameters
        ----------
        model : bytes
            The float ONNX model.
        data : TargetData
            Windows to calibrate on and to judge with.

        Returns
        -------
        Built or NotBuilt
            The files; `NotBuilt` with files when only the last step is for another machine.

        Raises
        ------
        GateError
            When what was built is not good enough; the bundle is then not created.
        BundleError
            When the model or the data cannot be used.
        """
        ...

    def verify(self, files: Mapping[str, bytes], model: bytes, samples: Samples) -> TargetCheck:
        """Check built files, whose hashes are right, against the float model and its stored samples.

        Parameters
        ----------
        files : mapping of str to bytes
            As `build` gave them, those of a `NotBuilt` too.
        model : bytes
            The float ONNX model.
        samples : Samples
            Windows, and what the float model gives for them.

        Returns
        -------
        TargetCheck
            What is wrong, and what could not be checked here.
        """
        ...


def target_names() -> tuple[str, ...]:
    """Return the names of the installed target plug-ins.

    Returns
    -------
    tuple of str
        Sorted.

    Examples
    --------
    >>> isinstance(target_names(), tuple)
    True
    """
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def load_target(name: str) -> Target | None:
    """Load the plug-in of a target.

    Parameters
    ----------
    name : str
        The target's name.

    Returns
    -------
    Target or None
        None when no installed distribution provides it.

    Raises
    ------
    BundleError
        When two distributions provide it, or the plug-in cannot be loaded or is no `Target`.

    Examples
    --------
    >>> load_target("no-such-target") is None
    True
    """
    entries = list(entry_points(group=GROUP, name=name))
    if not entries:
        return None
    providers = ", ".join(sorted(entry.dist.name if entry.dist else entry.value for entry in entries))
    if len(entries) > 1:
        raise BundleError(f"the target {name!r} is provided by {providers}; uninstall all but one.")
    try:
        target = cast("object", entries[0].load()())
    except Exception as error:  # whatever a stranger's import raises, the user must learn whose it is
        raise BundleError(f"the plug-in {providers} of the target {name!r} cannot be loaded: {error!r}.") from error
    if not isinstance(target, Target) or target.name != name:
        raise BundleError(f"the plug-in {providers} gives {target!r}, which is no Target with the name {name!r}.")
    return target
