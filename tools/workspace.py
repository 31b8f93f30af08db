"""What the other tools know about the workspace: its members, read from their ``pyproject.toml`` files."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")


@dataclass(frozen=True)
class Member:
    """One package or app of the workspace.

    Attributes
    ----------
    name
        The distribution's name, normalised, e.g. ``"conv2d-logs"``.
    folder
        Its absolute folder.
    module
        The dotted import name it owns, e.g. ``"conv2d.logging"``.
    version
        The declared version.
    requirements
        ``[project] dependencies``, as written.
    extras
        ``[project.optional-dependencies]``, as written.
    test_requirements
        The ``test`` dependency group, as written.
    """

    name: str
    folder: Path
    module: str
    version: str
    requirements: tuple[str, ...]
    extras: Mapping[str, tuple[str, ...]]
    test_requirements: tuple[str, ...]

    @property
    def is_app(self) -> bool:
        """Whether the member composes wheels, that is, lives outside the ``conv2d`` namespace."""
        return not self.module.startswith("conv2d.")

    @property
    def source(self) -> Path:
        """The folder of the member's own import package."""
        return self.folder / "src" / Path(*self.module.split("."))


def normalise(name: str) -> str:
    """Return a distribution name in the form in which two spellings compare equal.

    Example
    -------
    >>> normalise("PyYAML"), normalise("ruamel.yaml_clib")
    ('pyyaml', 'ruamel-yaml-clib')
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_name(requirement: str) -> str:
    """Return the normalised distribution name of a requirement.

    Example
    -------
    >>> requirement_name("conv2d-pack[torch]>=0.1,<0.2")
    'conv2d-pack'
    """
    found = _NAME.match(requirement)
    if found is None:
        raise ValueError(f"requirement {requirement!r} does not begin with a distribution name; write 'name>=version'")
    return normalise(found[1])


def pyproject(folder: Path) -> dict[str, Any]:
    """Return the parsed ``pyproject.toml`` of a folder."""
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))


def members(root: Path = ROOT) -> tuple[Member, ...]:
    """Return every member of the workspace at `root`, packages first, each kind by name."""
    patterns: list[str] = pyproject(root)["tool"]["uv"]["workspace"]["members"]
    found = [_member(path.parent) for pattern in patterns for path in root.glob(f"{pattern}/pyproject.toml")]
    return tuple(sorted(found, key=lambda member: (member.is_app, member.name)))


def siblings(member: Member, root: Path = ROOT) -> tuple[Member, ...]:
    """Return the members that `member` declares, and those that they declare in turn."""
    by_name = {other.name: other for other in members(root)}
    found: dict[str, Member] = {}
    waiting = [member]
    while waiting:
        current = waiting.pop()
        optional = [line for lines in current.extras.values() for line in lines]
        for line in [*current.requirements, *optional]:
            other = by_name.get(requirement_name(line))
            if other is not None and other.name != member.name and other.name not in found:
                found[other.name] = other
                waiting.append(other)
    return tuple(found[name] for name in sorted(found))


def _member(folder: Path) -> Member:
    data = pyproject(folder)
    project: dict[str, Any] = data["project"]
    groups: dict[str, Any] = data.get("dependency-groups", {})
    optional: dict[str, list[str]] = project.get("optional-dependencies", {})
    return Member(
        name=normalise(project["name"]),
        folder=folder.resolve(),
        module=data["tool"]["uv"]["build-backend"]["module-name"],
        version=project["version"],
        requirements=tuple(project.get("dependencies", ())),
        extras={name: tuple(lines) for name, lines in optional.items()},
        test_requirements=tuple(line for line in groups.get("test", ()) if isinstance(line, str)),
    )
