"""The import contracts name every member, hold, and bite."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.workspace import members, pyproject

MEMBERS = members()


def lint(cwd: Path, path: Path) -> subprocess.CompletedProcess[str]:
    sources = [str(folder) for folder in sorted(path.glob("*/*/src"))]
    program = (
        f"import sys; sys.path[:0] = {sources};"
        "from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    )
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_every_member_is_named(root: Path) -> None:
    linter: dict[str, Any] = pyproject(root)["tool"]["importlinter"]
    modules = {member.module for member in MEMBERS}
    assert set(linter["root_packages"]) == modules
    [house] = [contract for contract in linter["contracts"] if contract["id"] == "house"]
    *apps, wheels = [{name.strip() for name in layer.split("|")} for layer in house["layers"]]
    assert wheels == {member.module for member in MEMBERS if not member.is_app}
    assert set[str]().union(*apps) == {member.module for member in MEMBERS if member.is_app}
    assert ":" not in str(house["layers"]), "in a layer, `:` lets siblings import each other; use `|`"


def test_every_member_is_a_workspace_source(root: Path) -> None:
    """Else uv would look for it in a registry, where anybody may own the name."""
    sources = set(pyproject(root)["tool"]["uv"]["sources"])
    declared = {name for member in MEMBERS for name in map(str, member.requirements) if name.startswith("conv2d-")}
    assert {re.split(r"[\[<>=~!]", name)[0] for name in declared} <= sources
    assert {member.name for member in MEMBERS if not member.is_app} <= sources


# Where the line is written, the line, and the contract that it must break.
OFFENCES = [
    ("packages/conv2d-metrics/src/conv2d/metrics", "import conv2d.temporal", "house"),
    ("packages/conv2d-logs/src/conv2d/logging", "def f() -> None:\n    import conv2d_train", "house"),
    ("apps/edge-runner/src/conv2d_edge", "from conv2d.features import FSQ", "edge"),
    ("apps/edge-runner/src/conv2d_edge", "import torch.nn", "edge"),
    ("packages/conv2d-data/src/conv2d/data", "import torch", "edge"),
]


@pytest.fixture(scope="module")
def tree(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("tree")
    shutil.copy2(root / "pyproject.toml", copy)
    for member in MEMBERS:
        place = copy / member.folder.relative_to(root) / "src"
        shutil.copytree(member.folder / "src", place, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def test_the_contracts_hold(tree: Path) -> None:
    done = lint(tree, tree)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("folder", "line", "contract"), OFFENCES)
def test_an_offence_is_found(tree: Path, root: Path, folder: str, line: str, contract: str) -> None:
    [name] = [one["name"] for one in pyproject(root)["tool"]["importlinter"]["contracts"] if one["id"] == contract]
    # The edge runner reaches conv2d-data: through it, torch would come in unseen.
    offence, serve = tree / folder / "_offence.py", tree / "apps/edge-runner/src/conv2d_edge/_serve.py"
    offence.write_text(line + "\n", "utf-8")
    serve.write_text("import conv2d.data._offence\n" if "data" in folder else "", "utf-8")
    try:
        done = lint(tree, tree)
    finally:
        offence.unlink()
        serve.unlink()
    assert done.returncode == 1, done.stdout
    assert f"{name} BROKEN" in re.sub(r"\s+", " ", done.stdout)
