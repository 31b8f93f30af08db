"""The documentation runs: every Python and shell block of every page, in order, in an empty folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools import readme
from tools.workspace import ROOT, Member, members

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "packages/*/README.md", "apps/*/README.md")
    for path in ROOT.glob(pattern)
)


@pytest.mark.parametrize("page", PAGES)
def test_blocks_run(page: str, tmp_path: Path) -> None:
    found = readme.blocks((ROOT / page).read_text("utf-8"))
    if not any(block.skipped is None and block.heading not in readme.RUN_ELSEWHERE for block in found):
        pytest.skip(f"{page} has no block to run")
    if not page.startswith(("packages/", "apps/")):
        # The reader of these pages stands in a clone; what the commands write stays out of it.
        (tmp_path / "conf").symlink_to(ROOT / "conf")
    scripts = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": os.pathsep.join([scripts, os.environ["PATH"]]), "MPLBACKEND": "Agg"}
    command = [sys.executable, "-P", readme.__file__, str(ROOT / page), "--run"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=300,  # a command that waits for ever is no example
    )
    assert done.returncode == 0, (
        f"{page}: {done.stdout}\n{done.stderr}\nA block that cannot run here says so, with the reason: ```bash norun: …"
    )


@pytest.mark.parametrize("page", PAGES)
def test_install_lines_name_members(page: str) -> None:
    known = {member.name: set(member.extras) for member in members()}
    for block in readme.blocks((ROOT / page).read_text("utf-8")):
        for line in block.installs if block.language in readme.SHELL else ():
            requirement = Requirement(line)
            assert requirement.name in known, f"{page}:{block.line} installs {line!r}, which this workspace lacks"
            assert requirement.extras <= known[requirement.name]


@pytest.mark.parametrize("member", members(), ids=lambda member: member.name)
def test_each_readme_has_an_example(member: Member) -> None:
    found = readme.blocks((member.folder / "README.md").read_text("utf-8"))
    wanted = readme.SHELL if member.is_app else readme.PYTHON
    assert any(block.language in wanted for block in found), "give the ten lines that a new user copies"


def test_root_readme_has_the_two_commands() -> None:
    page = ROOT / "README.md"
    if not page.exists():
        pytest.skip("no root README.md yet: NOT TESTED")
    found = readme.blocks(page.read_text("utf-8"))
    for heading in readme.RUN_ELSEWHERE:
        block = readme.only_block(found, heading)
        assert block.language in readme.SHELL
        assert len([line for line in block.text.splitlines() if line.strip()]) == 1, "one command"
