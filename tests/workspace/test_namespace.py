"""The implicit namespace: a stray ``conv2d/__init__.py``, and ``conv2d.logging`` beside the standard library's."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tools.alone import wheel_faults
from tools.workspace import Member, members, pyproject

MEMBERS = members()
WHEELS = [member for member in MEMBERS if not member.is_app]
LOGS = next(member for member in MEMBERS if member.name == "conv2d-logs")


def start(command: Sequence[str | Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def build(folder: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return start(["uv", "build", "--quiet", "--wheel", "--out-dir", out], folder)


def copy(member: Member, place: Path) -> Path:
    return shutil.copytree(member.folder, place / member.folder.name, ignore=shutil.ignore_patterns("__pycache__"))


def test_no_namespace_init_in_the_tree(root: Path) -> None:
    strays = [path for folder in ("packages", "apps") for path in (root / folder).glob("**/conv2d/__init__.py")]
    assert strays == [], "delete it: it hides the portions of all other wheels"


def test_each_wheel_owns_one_portion() -> None:
    for member in WHEELS:
        assert [path.name for path in (member.folder / "src").iterdir()] == ["conv2d"]
        portions = [path.name for path in (member.folder / "src" / "conv2d").iterdir() if path.name != "__pycache__"]
        assert portions == [member.module.removeprefix("conv2d.")]


def test_build_backend_refuses_a_stray_init(tmp_path: Path) -> None:
    folder = copy(LOGS, tmp_path)
    assert build(folder, tmp_path / "good").returncode == 0
    [wheel] = (tmp_path / "good").glob("*.whl")
    assert wheel_faults(wheel, LOGS.module) == ()

    (folder / "src" / "conv2d" / "__init__.py").touch()
    refused = build(folder, tmp_path / "bad")
    assert refused.returncode != 0
    assert "__init__.py" in refused.stderr
    assert list((tmp_path / "bad").glob("*.whl")) == []


def test_every_member_builds_with_the_refusing_backend() -> None:
    for member in MEMBERS:
        data = pyproject(member.folder)
        assert data["build-system"]["build-backend"] == "uv_build"
        assert member.is_app or data["tool"]["uv"]["build-backend"]["module-name"].count(".") == 1


def test_a_wheel_with_a_stray_init_is_found_faulty(tmp_path: Path) -> None:
    """Should another backend let it through, ``tools.alone`` reads the wheel itself."""
    build(LOGS.folder, tmp_path)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("conv2d/__init__.py", "")
        archive.writestr("conv2d/other/__init__.py", "")
    first, second = wheel_faults(wheel, LOGS.module)
    assert "hides every other wheel" in first
    assert "conv2d/other/__init__.py" in second
    assert any("py.typed" in fault for fault in wheel_faults(wheel, "conv2d.other"))


def test_logging_does_not_pose_as_the_standard_library() -> None:
    """Python puts the current folder first: inside ``src/conv2d``, ``import logging`` finds the portion."""
    inside = LOGS.source.parent
    command = [sys.executable, "-c", "import logging; print(logging.getLogger('a').name)"]
    shadowed = start(command, inside)
    assert shadowed.returncode == 1
    assert "standard library" in shadowed.stderr.splitlines()[-1], "the error must say what happened and the way out"
    assert start([command[0], "-P", *command[1:]], inside).stdout == "a\n"
    assert start(command, inside.parent).stdout == "a\n"


def test_standard_logging_is_untouched_by_the_import() -> None:
    program = (
        "import logging, sys; before = (logging.root.handlers[:], logging.root.level, logging.getLoggerClass());"
        "import conv2d.logging, conv2d.logging.structured;"
        "assert before == (logging.root.handlers, logging.root.level, logging.getLoggerClass());"
        "assert sys.modules['logging'] is logging and conv2d.logging is not logging; print('same')"
    )
    done = start([sys.executable, "-c", program], LOGS.folder)
    assert done.stdout == "same\n", done.stderr


@pytest.mark.parametrize(("options", "passes"), [("importlib true", True), ("prepend false", False)])
def test_pytest_options_keep_logging_apart(tmp_path: Path, options: str, passes: bool) -> None:
    """A module of the portion, collected: pytest's defaults put ``src/conv2d`` itself on the path."""
    portion = tmp_path / "src" / "conv2d" / "logging"
    portion.mkdir(parents=True)
    (portion / "__init__.py").touch()
    (portion / "test_inner.py").write_text(
        "import sys\n\ndef test_a():\n    assert not any(path.endswith('conv2d') for path in sys.path)\n"
    )
    mode, aware = options.split()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", tmp_path]
    done = start([*command, f"--import-mode={mode}", "-o", f"consider_namespace_packages={aware}", "."], tmp_path)
    assert (done.returncode == 0) is passes, done.stdout


def test_pytest_is_configured_so(root: Path) -> None:
    options = pyproject(root)["tool"]["pytest"]["ini_options"]
    assert "--import-mode=importlib" in options["addopts"]
    assert options["consider_namespace_packages"] is True
