"""Fenced code blocks of a Markdown file: list them, print one, or run them.

The documentation is a program: ``--run`` executes its blocks in order, Python blocks in one namespace, shell blocks
with ``bash``, all in the current folder. It needs nothing but the standard library, so that it also runs inside an
environment that holds only one wheel::

    python -m tools.readme README.md                          # list
    python -m tools.readme README.md --heading "Test it"      # print that section's only block
    python -P tools/readme.py README.md --run                 # execute

A block that cannot run says so in its info string, with the reason: ```` ```bash norun: starts a server ````. An install
line of a package of this workspace (``pip install conv2d-…``) is not run either: nothing is published from a test.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

PYTHON = ("python", "py")
SHELL = ("bash", "sh", "shell")
# The commands of these sections of the root README are the project's whole build and test run; `.ci/run` runs them.
RUN_ELSEWHERE = ("Run it", "Test it")

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})\s*(.*?)\s*$")
_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_INSTALL = re.compile(r"^(?:uv )?pip install (['\"]?)(conv2d-[^\s'\"]+)\1(?:\s+#.*)?$")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes
    ----------
    language
        First word of the info string, lower case; empty when there is none.
    info
        The rest of the info string.
    heading
        Text of the nearest heading above, empty before the first.
    line
        Line number (from 1) of the block's first line of content.
    text
        The content, each line ended by a newline.
    """

    language: str
    info: str
    heading: str
    line: int
    text: str

    @property
    def skipped(self) -> str | None:
        """Why this block is not to be run; None when it is."""
        if self.language not in PYTHON + SHELL:
            return "not a program"
        first, _, reason = self.info.partition(" ")
        if first.rstrip(":") == "norun":
            return reason or "norun"
        if self.language in SHELL and self.installs:
            return "installs from a package registry"
        return None

    @property
    def installs(self) -> tuple[str, ...]:
        """The requirements of a block that consists of ``pip install conv2d-…`` lines only, else nothing."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip() and not line.startswith("#")]
        found = [_INSTALL.match(line) for line in lines]
        return tuple(match[2] for match in found if match) if all(found) else ()


def blocks(text: str) -> tuple[Block, ...]:
    r"""Return the fenced blocks of Markdown `text` in order.

    Raises
    ------
    ValueError
        If a fence is not closed.

    Example
    -------
    >>> [block] = blocks("# Use\n\n```python\nprint(1)\n```\n")
    >>> block.language, block.heading, block.line, block.text
    ('python', 'Use', 4, 'print(1)\n')
    """
    found: list[Block] = []
    heading, fence, info, start = "", "", "", 0
    content: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not mark[2]:
                language, _, rest = info.partition(" ")
                body = "".join(f"{item}\n" for item in content)
                found.append(Block(language.lower(), rest.strip(), heading, start, body))
                fence = ""
            else:
                content.append(line)
        elif mark:
            fence, info, start, content = mark[1], mark[2], number + 1, []
        elif title := _HEADING.match(line):
            heading = title[2]
    if fence:
        raise ValueError(f"the fence opened on line {start - 1} is never closed; end the block with {fence}")
    return tuple(found)


def only_block(found: Sequence[Block], heading: str) -> Block:
    """Return the single block under `heading`.

    Raises
    ------
    ValueError
        If there is none, or more than one.
    """
    here = [block for block in found if block.heading == heading]
    if len(here) != 1:
        raise ValueError(f"the section {heading!r} has {len(here)} fenced blocks; it must have exactly one")
    return here[0]


def run(path: Path, found: Iterable[Block]) -> None:
    """Run blocks in the current folder; tracebacks name the Markdown file and its true line.

    Raises
    ------
    SystemExit
        With the shell's exit status, if a shell block fails. A Python block's own exception passes through.
    """
    namespace: dict[str, object] = {"__name__": "__main__", "__file__": str(path)}
    for block in found:
        where = f"{path}:{block.line}"
        if block.skipped is not None:
            print(f"-- {where} not run: {block.skipped}", flush=True)
            continue
        print(f"-- {where} {block.language}", flush=True)
        if block.language in PYTHON:
            # Blank lines before the code make its line numbers those of the Markdown file.
            code = compile("\n" * (block.line - 1) + block.text, str(path), "exec")
            exec(code, namespace)
        else:
            status = subprocess.run(["bash", "-euo", "pipefail", "-c", block.text], check=False).returncode
            if status:
                print(f"-- {where} ended with exit status {status}", file=sys.stderr)
                raise SystemExit(status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="tools.readme", description="Fenced code blocks of a Markdown file.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--heading", help="print the only block of this section")
    parser.add_argument("--run", action="store_true", help="run the blocks in the current folder, in order")
    options = parser.parse_args(arguments)
    path: Path = options.file
    try:
        found = blocks(path.read_text("utf-8"))
        if options.heading is not None:
            print(only_block(found, options.heading).text, end="")
            return 0
    except (OSError, ValueError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 2
    if options.run:
        run(path.resolve(), [block for block in found if block.heading not in RUN_ELSEWHERE])
        return 0
    for block in found:
        print(f"{path}:{block.line}: {block.language or '-'} {block.info}".rstrip() + f"  ({block.heading})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
