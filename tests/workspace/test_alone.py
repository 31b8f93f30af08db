"""``tools.alone`` refuses what only the shared environment makes work; a small workspace is broken in each way."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.workspace import pyproject

INIT = '"""A portion."""\n'
README = "# toy\n\n```python\nimport conv2d.toy\n```\n"
TEST = "import conv2d.toy\n\n\ndef test_doc() -> None:\n    assert conv2d.toy.__doc__\n"


@pytest.fixture
def toy(root: Path, tmp_path: Path) -> Path:
    """A workspace with one sound wheel, and this repository's tools."""
    shutil.copytree(root / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    cutoff = pyproject(root)["tool"]["uv"]["exclude-newer"]
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.uv]\npackage = false\nexclude-newer = "{cutoff}"\n[tool.uv.workspace]\nmembers = ["packages/*"]\n'
    )
    for name in ("toy", "other"):
        folder = tmp_path / "packages" / f"conv2d-{name}"
        source = folder / "src" / "conv2d" / name
        source.mkdir(parents=True)
        (folder / "tests").mkdir()
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "conv2d-{name}"\nversion = "0.1.0"\nrequires-python = ">=3.11"\n'
            'license-files = ["LICENSE"]\ndependencies = ["packaging>=24.0"]\n'
            '[dependency-groups]\ntest = ["pytest>=8.4"]\n'
            '[build-system]\nrequires = ["uv_build>=0.9"]\nbuild-backend = "uv_build"\n'
            f'[tool.uv.build-backend]\nmodule-name = "conv2d.{name}"\n'
        )
        shutil.copy2(root / "LICENSE", folder)
        (folder / "README.md").write_text(README)
        (folder / "tests" / "test_toy.py").write_text(TEST)
        (source / "__init__.py").write_text(INIT)
        (source / "py.typed").touch()
    return tmp_path


def alone(toy: Path, resolution: str = "highest") -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "tools.alone", "conv2d-toy", "--resolution", resolution],
        cwd=toy, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_a_sound_wheel_passes_at_both_ends_of_its_range(toy: Path) -> None:
    status, log = alone(toy, "both")
    assert status == 0, log
    assert log.count("1 passed") == 4  # each resolution: pytest's closing line, and the summary
    assert "packaging==24.0" in log


SOURCE = "packages/conv2d-toy/src/conv2d/toy"
FAULTS = {
    "undeclared import": (f"{SOURCE}/_late.py", "import numpy\n", "No module named 'numpy'"),
    "import of another wheel": (f"{SOURCE}/_late.py", "import conv2d.other\n", "No module named 'conv2d.other'"),
    "undeclared test import": ("packages/conv2d-toy/tests/test_peer.py", "import numpy\n", "No module named 'numpy'"),
    "failing test": ("packages/conv2d-toy/tests/test_no.py", "def test_no():\n    assert 0\n", "1 failed, 1 passed"),
    "README that does not run": (
        "packages/conv2d-toy/README.md",
        README + "```py\n1 / 0\n```\n",
        "ZeroDivisionError",
    ),
    "README without an example": ("packages/conv2d-toy/README.md", "# toy\n", "no ```python block"),
    "stray namespace init": ("packages/conv2d-toy/src/conv2d/__init__.py", "", "wheel was not built"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_refused(toy: Path, fault: str) -> None:
    path, text, expected = FAULTS[fault]
    (toy / path).write_text(text)
    status, log = alone(toy)
    assert status == 1, log
    assert expected in log


def test_a_wheel_without_py_typed_is_refused(toy: Path) -> None:
    (toy / SOURCE / "py.typed").unlink()
    status, log = alone(toy)
    assert status == 1
    assert "lacks conv2d/toy/py.typed" in log
