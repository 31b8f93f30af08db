"""Write or check ``requirements.lock``: every version and hash of the whole workspace, and no address.

``uv.lock`` is generated and not committed, for it records where packages came from. This file is what is committed::

    python -m tools.lock           # write
    python -m tools.lock --check   # exit 1, with the difference, when it is not what uv resolves today
"""

import argparse
import difflib
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.workspace import ROOT

LOCK = "requirements.lock"
FIX = "uv run python -m tools.lock"
HEADER = f"""\
# Every version and hash of the workspace, all members and dependency groups; no addresses.
# Written by `{FIX}`; do not edit.
"""
_ADDRESS = re.compile(
    r"\w+://|^\s*(?:-i|--(?:extra-)?index-url|--find-links|-f|-e|--trusted-host)\b|^\s*\.{0,2}/", re.M
)


def resolve(root: Path = ROOT) -> str:
    """Return the text that ``requirements.lock`` ought to hold.

    Raises
    ------
    RuntimeError
        If uv cannot resolve the workspace, or names an address or a path.
    """
    command = [
        *("uv", "export", "--quiet", "--format", "requirements.txt", "--no-header", "--no-annotate"),
        *("--all-packages", "--all-groups", "--all-extras", "--no-emit-workspace"),
        # Not the pins that an older uv.lock happens to hold here, but what a fresh clone resolves.
        "--upgrade",
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"uv could not resolve the workspace:\n{done.stderr.strip()}")
    found = _ADDRESS.search(done.stdout)
    if found:
        line = done.stdout[: found.start()].count("\n") + 1
        raise RuntimeError(
            f"the resolved set names an address on its line {line}: {done.stdout.splitlines()[line - 1]!r}. "
            "Every dependency must come by name from the package registry; remove the URL or path source."
        )
    return HEADER + done.stdout


def check(root: Path = ROOT) -> str:
    """Return the difference between the committed lock and today's resolution; empty when there is none."""
    path = root / LOCK
    committed = path.read_text("utf-8") if path.exists() else ""
    lines = difflib.unified_diff(
        committed.splitlines(keepends=True), resolve(root).splitlines(keepends=True), LOCK, "uv resolves", n=0
    )
    return "".join(lines)


def write(root: Path = ROOT) -> Path:
    """Write the lock aside, then rename it into place; return its path."""
    path = root / LOCK
    aside = path.with_name(f".{LOCK}.{os.getpid()}")
    try:
        aside.write_text(resolve(root), "utf-8")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="tools.lock", description="Write or check requirements.lock.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when the file is out of date")
    options = parser.parse_args(arguments)
    try:
        if not options.check:
            print(f"wrote {write().name}")
            return 0
        difference = check()
    except (OSError, RuntimeError) as error:
        print(f"tools.lock: {error}", file=sys.stderr)
        return 1
    if difference:
        print(difference, end="")
        print(f"{LOCK} is not what uv resolves; fix: {FIX}", file=sys.stderr)
        return 1
    print(f"{LOCK} is what uv resolves")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
