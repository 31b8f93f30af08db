"""What changed from one bundle to another."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from conv2d.packaging._bundle import Bundle


@dataclass(frozen=True)
class Change:
    """One value that differs between two bundles.

    Attributes
    ----------
    where : str
        The part and the path in it, for example "metrics.accuracy" or "files.model.onnx".
    before, after : Any
        The values; None where there is none.

    Examples
    --------
    >>> print(Change("metrics.accuracy", 0.91, 0.92))
    metrics.accuracy: 0.91 -> 0.92
    """

    where: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.where}: {self.before} -> {self.after}"


def diff_bundles(before: Bundle, after: Bundle) -> tuple[Change, ...]:
    """Compare two bundles value by value, and their files by hash.

    Parameters
    ----------
    before, after : Bundle
        Opened.

    Returns
    -------
    tuple of Change
        Sorted by `where`; empty exactly when the two are the same bundle.

    Examples
    --------
    >>> import tempfile
    >>> from conv2d.packaging.testing import small_bundle
    >>> with tempfile.TemporaryDirectory() as root:
    ...     one, two = (small_bundle(root, version=version) for version in ("1.0", "1.1"))
    >>> [change.where for change in diff_bundles(one, two)]
    ['files.README.md', 'files.VERSION', 'version']
    """
    old, new = (dict(_values(bundle)) for bundle in (before, after))
    return tuple(
        Change(where, old.get(where), new.get(where))
        for where in sorted(old.keys() | new.keys())
        if (where in old, repr(old.get(where))) != (where in new, repr(new.get(where)))  # repr: 1, 1.0 and True differ
    )


def _values(bundle: Bundle) -> Iterator[tuple[str, Any]]:
    for part in ("config", "preprocessing", "calibration", "metrics"):
        yield from _leaves(part, getattr(bundle, part))
    yield from _leaves("labels", list(bundle.labels))
    for part in ("name", "version", "commit_sha", "scored_weights", "gates", "model", "samples", "targets"):
        yield from _leaves(part, bundle.manifest[part])
    for name, entry in bundle.manifest["files"].items():
        yield f"files.{name}", entry["sha256"]


def _leaves(where: str, value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in cast("Mapping[str, object]", value).items():
            yield from _leaves(f"{where}.{key}", inner)
    elif isinstance(value, list) and value:
        for index, inner in enumerate(cast("list[object]", value)):
            yield from _leaves(f"{where}[{index}]", inner)
    else:
        yield where, value
