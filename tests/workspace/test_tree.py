"""What is, and is not, in version control."""

import re
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from tools.lock import HEADER, LOCK, check
from tools.workspace import pyproject

# Written so that this file does not match itself.
FORBIDDEN = {
    r"(?<![\w./-])/(?:wor[k]|roo[t])/": "an absolute path of one machine",
    r"(?<![\w./-])/hom[e]/\w+/": "an absolute path of one machine",
    r"\bpyp[i]\.org|pythonhoste[d]\.org|registry\.npmj[s]|deb\.debia[n]\.org": "a package registry's host",
    r"(?i)\b(?:api[_-]?key|secret|token|password)\s*=\s*[\"'](?:sk-|ghp_|AKIA)\w{8}": "a credential",
}


def tracked(root: Path) -> list[Path]:
    """Files that git tracks or would track."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"not a git work tree: NOT TESTED what is tracked ({done.stderr.strip()})")
    return [path for name in done.stdout.split("\0") if name and (path := root / name).is_file()]


def test_no_forbidden_strings(root: Path) -> None:
    found: list[str] = []
    for path in tracked(root):
        content = path.read_bytes()
        if b"\0" in content[:8192]:
            continue
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
            found += [f"{path}:{number}: {what}" for pattern, what in FORBIDDEN.items() if re.search(pattern, line)]
    assert found == []


@pytest.mark.parametrize(
    "line", ["cd /wor" + "k/main", "'/roo" + "t/x'", "https://pyp" + "i.org/simple", "/hom" + "e/me/x"]
)
def test_the_forbidden_patterns_bite(line: str) -> None:
    assert any(re.search(pattern, line) for pattern in FORBIDDEN)


def test_what_is_generated_is_not_tracked(root: Path) -> None:
    names = {path.relative_to(root).as_posix() for path in tracked(root)}
    assert "uv.lock" not in names
    assert LOCK in names
    assert [name for name in names if re.search(r"(^|/)(\.venv|__pycache__|dist|artifacts|runs)/", name)] == []


def test_the_newest_date_is_absolute(root: Path) -> None:
    """A span such as "2 weeks" would make the same commit resolve differently tomorrow."""
    cutoff = datetime.fromisoformat(pyproject(root)["tool"]["uv"]["exclude-newer"])
    assert cutoff.tzinfo is not None


def test_lock_has_hashes_and_no_address(root: Path) -> None:
    text = (root / LOCK).read_text("utf-8")
    assert text.startswith(HEADER)
    entries = re.split(r"\n(?=[a-z0-9])", text.removeprefix(HEADER).strip())
    for entry in entries:
        assert re.match(r"[a-z0-9.-]+==\S+( ; .+)? \\\n", entry), entry[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry[:80]
    assert "://" not in text
    assert "file:" not in text


def test_lock_is_what_uv_resolves(root: Path) -> None:
    assert check(root) == "", "run: uv run python -m tools.lock"
