"""Every member is whole, declares what it imports, and its ranges admit its siblings."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools.workspace import Member, members, normalise, pyproject, requirement_name

MEMBERS = members()
NAMED = pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)


def imports(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield ``(where, dotted module)`` for every absolute import below `folder`, wherever it stands in the file."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
                if node.module == "conv2d":
                    names = [f"conv2d.{alias.name}" for alias in node.names]
            else:
                continue
            for name in names:
                yield f"{path}:{node.lineno}", name


def undeclared(
    folder: Path, module: str, declared: set[str], portions: Mapping[str, str], providers: Mapping[str, list[str]]
) -> list[str]:
    """Return the imports below `folder` that no declared distribution provides."""
    found: list[str] = []
    for where, name in imports(folder):
        top = name.split(".")[0]
        if top in sys.stdlib_module_names or f"{name}.".startswith(f"{module}."):
            continue
        portion = ".".join(name.split(".")[:2]) if top == "conv2d" else top
        provided_by = {portions[portion]} if portion in portions else {normalise(one) for one in providers.get(top, ())}
        if not provided_by & declared:
            found.append(f"{where} imports {name}, which {sorted(provided_by) or 'nothing installed'} provides")
    return found


def test_the_scan_bites(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "import json, numpy.linalg\ndef f():\n    from conv2d import data\n    import own.b\n"
    )
    providers = {"numpy": ["NumPy"]}
    portions = {"conv2d.data": "conv2d-data"}
    both = undeclared(tmp_path, "own", set(), portions, providers)
    assert [line.split(" imports ")[1] for line in both] == [
        "numpy.linalg, which ['numpy'] provides",
        "conv2d.data, which ['conv2d-data'] provides",
    ]
    assert undeclared(tmp_path, "own", {"numpy", "conv2d-data"}, portions, providers) == []


@NAMED
def test_imports_are_declared(member: Member) -> None:
    portions = {other.module: other.name for other in MEMBERS}
    providers = packages_distributions()
    lines = [*member.requirements, *(line for lines in member.extras.values() for line in lines)]
    declared = {requirement_name(line) for line in lines}
    assert undeclared(member.source, member.module, declared, portions, providers) == []
    # A test may use the `test` group too, and the helpers beside it.
    tests = member.folder / "tests"
    beside = {path.stem for path in tests.rglob("*.py")} | {path.parent.name for path in tests.rglob("*.py")}
    declared |= {requirement_name(line) for line in member.test_requirements}
    strays = undeclared(tests, member.module, declared, portions, providers)
    assert [line for line in strays if line.split(" imports ")[1].split(",")[0].split(".")[0] not in beside] == []


@NAMED
def test_member_is_whole(member: Member, root: Path) -> None:
    for name in ("README.md", "CHANGELOG.md", "LICENSE"):
        assert (member.folder / name).is_file(), f"{member.name} lacks {name}"
    assert (member.folder / "LICENSE").read_bytes() == (root / "LICENSE").read_bytes()
    assert (member.source / "py.typed").is_file()
    assert list((member.folder / "tests").rglob("test_*.py")), f"{member.name} has no tests"
    changes = (member.folder / "CHANGELOG.md").read_text("utf-8")
    assert re.search(rf"^## {re.escape(member.version)}\b", changes, re.M), "the changelog lacks the current version"
    data = pyproject(member.folder)
    assert data["project"]["requires-python"] == ">=3.11"
    assert data["project"]["license"] == "MIT"


@NAMED
def test_every_requirement_has_a_lower_bound(member: Member) -> None:
    lines = [*member.requirements, *member.test_requirements, *(x for lines in member.extras.values() for x in lines)]
    for line in lines:
        operators = {specifier.operator for specifier in Requirement(line).specifier}
        assert operators & {">=", "==", "~="}, f"{member.name} declares {line!r}: say which version is the lowest"


@NAMED
def test_sibling_ranges_admit_the_siblings(member: Member) -> None:
    """Uv takes a workspace member whatever its version, so the ranges are checked here."""
    versions = {other.name: other.version for other in MEMBERS}
    lines = [*member.requirements, *(line for lines in member.extras.values() for line in lines)]
    for line in lines:
        name = requirement_name(line)
        if name in versions:
            assert member.is_app, f"{member.name} declares {line!r}: wheels do not depend on each other"
            specifier = Requirement(line).specifier
            assert specifier.contains(versions[name]), f"{member.name} wants {line!r}, {name} is {versions[name]}"
            assert {one.operator for one in specifier} & {"<", "~="}, f"{line!r} has no upper bound"


def test_uv_itself_ignores_ranges_between_members_and_pip_check_does_not(tmp_path: Path) -> None:
    def project(name: str, requirement: str) -> None:
        folder = tmp_path / "packages" / name
        (folder / "src" / name).mkdir(parents=True)
        (folder / "src" / name / "__init__.py").touch()
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "{name}"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = [{requirement}]\n'
            '[build-system]\nrequires = ["uv_build>=0.9"]\nbuild-backend = "uv_build"\n'
        )

    project("upper", '"lower>=2"')
    project("lower", "")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.uv]\npackage = false\n[tool.uv.workspace]\nmembers = ["packages/*"]\n'
        "[tool.uv.sources]\nlower = { workspace = true }\n"
    )
    sync = ["uv", "sync", "--quiet", "--all-packages", "--python", sys.executable, "--project", str(tmp_path)]
    subprocess.run(sync, check=True, cwd=tmp_path)
    check = ["uv", "pip", "check", "--python", str(tmp_path / ".venv")]
    done = subprocess.run(check, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "lower>=2" in done.stderr


def test_this_environment_is_consistent(root: Path) -> None:
    command = ["uv", "pip", "check", "--python", sys.executable]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
