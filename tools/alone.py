"""Prove that each member of the workspace stands alone.

For every member and resolution: build its wheel, install it with its ``test`` group, and nothing else, into a fresh
environment, import all its modules, run its own tests outside the tree, and run the code blocks of its README::

    python -m tools.alone                                  # all members, both resolutions
    python -m tools.alone conv2d-logs --resolution highest

What only works because the shared environment happens to hold it fails here. An app gets the wheels it declares.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.workspace import ROOT, Member, members, pyproject, requirement_name, siblings

RESOLUTIONS = ("highest", "lowest-direct")

# Run with the lone environment's interpreter: argument 1 is the member's module, the rest are all portions allowed.
_IMPORT_ALL = """\
import importlib, importlib.metadata, importlib.util, os, pkgutil, sys
module, allowed = sys.argv[1], set(sys.argv[2:])
top = importlib.import_module(module)
names = [module]
for found in pkgutil.walk_packages(top.__path__, module + "."):
    if not found.name.endswith(".__main__"):
        importlib.import_module(found.name)
        names.append(found.name)
namespace = importlib.util.find_spec("conv2d")
portions = set()
if namespace is not None:
    if namespace.origin is not None:
        sys.exit(f"conv2d is a regular package ({namespace.origin}): it hides every other wheel's portion")
    portions = {"conv2d." + found.name for found in pkgutil.iter_modules(namespace.submodule_search_locations)}
if portions - allowed:
    sys.exit(f"wheels that {module} does not declare are importable: {sorted(portions - allowed)}")
site = os.path.dirname(os.path.dirname(importlib.metadata.__file__))
installed = list(importlib.metadata.distributions())
size = sum(os.path.getsize(path) for one in installed for file in one.files or ()
           if os.path.isfile(path := str(one.locate_file(file))))
print(f"imported {len(names)} modules; environment: {len(installed)} packages, {size / 1e6:.0f} MB")
"""


class _Failed(Exception):
    """A step did not pass; what it printed has been shown."""


@dataclass(frozen=True)
class _Row:
    member: str
    resolution: str
    passed: bool
    seconds: float
    environment: str
    tests: str


def wheel_faults(wheel: Path, module: str) -> tuple[str, ...]:
    """Return what is wrong with the content of a built wheel that should carry only `module`."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    home = module.replace(".", "/") + "/"
    faults: list[str] = []
    if "conv2d/__init__.py" in names:
        faults.append("holds conv2d/__init__.py, which hides every other wheel's portion; delete that file")
    strangers = [name for name in names if not name.startswith(home) and ".dist-info/" not in name]
    if strangers:
        faults.append(f"holds files outside {home}: {', '.join(strangers[:5])}")
    if home + "py.typed" not in names:
        faults.append(f"lacks {home}py.typed, so type checkers ignore its annotations")
    if not any(re.search(r"\.dist-info/licenses/LICENSE$", name) for name in names):
        faults.append("lacks the LICENSE; give license-files in its pyproject.toml")
    return tuple(faults)


def _run(command: Sequence[str | Path], cwd: Path, environment: Mapping[str, str]) -> str:
    """Run a step; return its standard output and errors, or show their end and raise."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        print("\n".join(f"   {line}" for line in done.stdout.splitlines()[-80:]))
        raise _Failed(f"exit status {done.returncode}: {' '.join(str(part) for part in command[:6])} …")
    return done.stdout


def _clean_environment() -> dict[str, str]:
    """Return the caller's environment less what lets one Python see another's packages, the data path absolute."""
    hidden = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "PYTEST_ADDOPTS", "UV_RESOLUTION"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    data = Path(kept.get("CONV2D_TEST_DATA", ROOT.parent / "shared"))
    return kept | {"CONV2D_TEST_DATA": str((ROOT / data).resolve()), "PYTHONDONTWRITEBYTECODE": "1"}


def _check(member: Member, resolution: str, wheels: Mapping[str, Path], place: Path) -> tuple[str, str]:
    """Run every step for one member; return what the environment held and pytest's closing line."""
    environment = _clean_environment()
    venv = place / "venv"
    python = venv / ("Scripts" if os.name == "nt" else "bin") / "python"
    cutoff: str = pyproject(ROOT)["tool"]["uv"]["exclude-newer"]
    declared = siblings(member)
    own = {one.name for one in declared}
    # uv takes only requirements on its command line as direct, so the wheel's own are repeated there;
    # siblings come as files, so that no registry's package of the same name can take their place.
    direct = [line for line in member.requirements if requirement_name(line) not in own]
    _run(["uv", "venv", "--quiet", "--no-config", "--python", sys.executable, venv], place, environment)
    _run(
        [
            *("uv", "pip", "install", "--quiet", "--no-config", "--python", python),
            *("--resolution", resolution, "--exclude-newer", cutoff),
            *(wheels[one.name] for one in (member, *declared)),
            *direct,
            *("--group", f"{member.folder / 'pyproject.toml'}:test"),
        ],
        place,
        environment,
    )
    _run(["uv", "pip", "check", "--python", python], place, environment)
    names = {requirement_name(line) for line in direct}
    frozen = _run(["uv", "pip", "freeze", "--python", python], place, environment).splitlines()
    print("   declared: " + " ".join(line for line in frozen if requirement_name(line) in names))

    empty = place / "empty"
    empty.mkdir()
    allowed = [one.module for one in (member, *declared)]
    held = _run([python, "-I", "-c", _IMPORT_ALL, member.module, *allowed], empty, environment).strip()
    print(f"   {held}")

    tests = place / "work" / member.folder.name
    tests.mkdir(parents=True)
    shutil.copytree(member.folder / "tests", tests / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(member.folder / "README.md", tests)
    (tests / "pytest.ini").write_text("[pytest]\nconsider_namespace_packages = true\nxfail_strict = true\n", "utf-8")
    options = ["-q", "-r", "fEs", "--import-mode=importlib", "-p", "no:cacheprovider", "--strict-markers"]
    with_path = environment | {"PATH": f"{python.parent}{os.pathsep}{environment['PATH']}"}
    log = _run([python, "-m", "pytest", *options, "tests"], tests, with_path)
    closing = log.strip().splitlines()[-1]
    print("\n".join(f"   {line}" for line in log.strip().splitlines()[-12:] if line.startswith("SKIPPED")))
    print(f"   {closing}")

    readme = place / "readme"
    readme.mkdir()
    steps = _run([python, "-P", ROOT / "tools" / "readme.py", tests / "README.md", "--run"], readme, with_path)
    wanted = "(python|bash)" if member.is_app else "python"  # an app may be used from the shell
    if not re.search(rf"^-- .*README\.md:\d+ {wanted}$", steps, re.M):
        raise _Failed(f"README.md has no ```{wanted} block; give the ten-line example that a new user copies")
    return held.partition("environment: ")[2], closing


def check(member: Member, resolution: str, wheels: Mapping[str, Path]) -> _Row:
    """Check one member under one resolution, print what happens, and return its row of the summary."""
    print(f"== {member.name} alone, {resolution}", flush=True)
    start = time.monotonic()
    passed, held, tests = True, "-", "-"
    with tempfile.TemporaryDirectory(prefix=f"alone-{member.name}-", ignore_cleanup_errors=True) as folder:
        try:
            faults = wheel_faults(wheels[member.name], member.module)
            if faults:
                raise _Failed(f"{wheels[member.name].name} " + "; ".join(faults))
            held, tests = _check(member, resolution, wheels, Path(folder))
        except (_Failed, OSError) as error:
            passed = False
            print(f"   FAILED: {error}")
    return _Row(member.name, resolution, passed, time.monotonic() - start, held, tests)


def _arguments(arguments: Sequence[str] | None) -> tuple[list[Member], tuple[str, ...]]:
    everyone = {member.name: member for member in members()}
    parser = argparse.ArgumentParser(prog="tools.alone", description="Install and test each member by itself.")
    parser.add_argument("member", nargs="*", help=f"of {', '.join(everyone)}; all of them when none is named")
    parser.add_argument("--resolution", choices=(*RESOLUTIONS, "both"), default="both")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.member if name not in everyone]
    if unknown:
        parser.error(f"no member named {', '.join(unknown)}; there are {', '.join(everyone)}")
    chosen = [everyone[name] for name in options.member or everyone]
    return chosen, RESOLUTIONS if options.resolution == "both" else (options.resolution,)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    chosen, resolutions = _arguments(arguments)
    with tempfile.TemporaryDirectory(prefix="alone-dist-") as folder:
        dist = Path(folder)
        needed = {one.name: one for member in chosen for one in (member, *siblings(member))}
        wheels: dict[str, Path] = {}
        for member in needed.values():
            command = ["uv", "build", "--quiet", "--wheel", "--package", member.name, "--out-dir", dist]
            try:
                _run(command, ROOT, _clean_environment())
            except _Failed as error:
                print(f"{member.name}: the wheel was not built: {error}")
                return 1
            [wheels[member.name]] = dist.glob(f"{member.name.replace('-', '_')}-*.whl")
        rows = [check(member, resolution, wheels) for member in chosen for resolution in resolutions]
        sizes = {name: wheel.stat().st_size / 1e3 for name, wheel in wheels.items()}
    print(f"\n{'member':20} {'resolution':14} {'':6} {'wheel':>7} {'seconds':>8}  environment; tests")
    for row in rows:
        verdict = "ok" if row.passed else "FAILED"
        size = f"{sizes[row.member]:.0f} kB"
        what = f"{row.environment}; {row.tests.strip('= ')}"
        print(f"{row.member:20} {row.resolution:14} {verdict:6} {size:>7} {row.seconds:8.1f}  {what}")
    return 0 if all(row.passed for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
