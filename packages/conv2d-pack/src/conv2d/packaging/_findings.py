"""What can be wrong with a bundle, and how it is told."""

from collections.abc import Sequence
from dataclasses import dataclass


class BundleError(ValueError):
    """A bundle, or what should become one, breaks a rule; the text says which file, the rule and the fix.

    Examples
    --------
    >>> issubclass(BundleError, ValueError)
    True
    """


class BundleNotFoundError(BundleError):
    """No bundle lies where one was asked for, or a short id fits several.

    Examples
    --------
    >>> issubclass(BundleNotFoundError, BundleError)
    True
    """


class GateError(BundleError):
    """A model is not good enough: a quality gate fails without a waiver; command lines end with `exit_code` 1.

    Attributes
    ----------
    exit_code : int
        1, the exit code of "a gate failed".

    Examples
    --------
    >>> GateError("accuracy is 0.7").exit_code
    1
    """

    exit_code: int = 1


class MissingToolError(RuntimeError):
    """A tool that this step needs is not installed; command lines end with `exit_code` 5.

    Attributes
    ----------
    exit_code : int
        5, the exit code of "missing tool or target".

    Examples
    --------
    >>> MissingToolError("torch is not installed").exit_code
    5
    """

    exit_code: int = 5


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a bundle.

    Attributes
    ----------
    file : str
        The file (or folder) inside the bundle, with forward slashes; "." is the bundle's folder.
    problem : str
        What is wrong, and the rule.
    fix : str
        What to do about it.

    Examples
    --------
    >>> print(Finding("model.onnx", "is missing", "restore it"))
    model.onnx: is missing; fix: restore it
    """

    file: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}; fix: {self.fix}"


@dataclass(frozen=True)
class Verdict:
    """What `verify_bundle` found.

    Attributes
    ----------
    ok : bool
        True when there is no finding.
    findings : tuple of Finding
        Everything that is wrong, in the order of the checks.
    path : str
        The folder that was looked at.
    id : str
        SHA-256 of the manifest, 64 hexadecimal digits; empty when there is no readable manifest.
    samples : int
        Number of stored windows that were run again and agreed.
    not_verified : tuple of str
        What this machine could not check, in words; empty when everything was checked.
    remarks : tuple of str
        What whoever uses the bundle should know: waived gates, figures of other weights; no findings.

    Examples
    --------
    >>> Verdict(True, (), "artifacts/ab", "ab", 4).ok
    True
    """

    ok: bool
    findings: tuple[Finding, ...]
    path: str
    id: str
    samples: int
    not_verified: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return the verdict as plain JSON values.

        Returns
        -------
        dict
            Keys "ok", "id", "path", "samples", "findings", "not_verified" and "remarks".

        Examples
        --------
        >>> Verdict(True, (), "a", "b", 4).to_dict()["findings"]
        []
        """
        findings = [{"file": f.file, "problem": f.problem, "fix": f.fix} for f in self.findings]
        return {
            "ok": self.ok,
            "id": self.id,
            "path": self.path,
            "samples": self.samples,
            "findings": findings,
            "not_verified": list(self.not_verified),
            "remarks": list(self.remarks),
        }


def paragraph(path: object, findings: Sequence[Finding]) -> str:
    """Tell findings in one paragraph: the first in full, the others by number."""
    more = len(findings) - 1
    rest = f" ({more} more finding{'s' if more > 1 else ''}; `conv2d pack verify {path}` lists all)" if more else ""
    return f"bundle {path}: {findings[0]}{rest}"
