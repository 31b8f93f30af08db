"""``tools.readme`` and ``tools.lock``: what they refuse."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools import lock, readme, workspace

PAGE = """\
# Title

```python
x = 20
```

## Test it

```bash
echo hello
```

## More

````markdown
```python
not code
```
````

~~~python
print(x + 22)
~~~

```bash norun: starts a server
sleep 1000
```

```bash
pip install conv2d-logs   # alone
pip install 'conv2d-pack[torch]'
```

```
text
```
"""


def test_blocks_are_found_where_they_are() -> None:
    found = readme.blocks(PAGE)
    lines = PAGE.splitlines()
    assert [block.language for block in found] == ["python", "bash", "markdown", "python", "bash", "bash", ""]
    for block in found:
        assert lines[block.line - 1 : block.line - 1 + block.text.count("\n")] == block.text.splitlines()
    assert [block.heading for block in found] == ["Title", "Test it", *["More"] * 5]
    assert [block.skipped for block in found] == [
        *(None, None, "not a program", None),
        *("starts a server", "installs from a package registry", "not a program"),
    ]
    assert found[5].installs == ("conv2d-logs", "conv2d-pack[torch]")


def test_heading_prints_the_only_block(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "README.md"
    page.write_text(PAGE)
    assert readme.main([str(page), "--heading", "Test it"]) == 0
    assert capsys.readouterr().out == "echo hello\n"
    for heading in ("More", "Absent"):
        assert readme.main([str(page), "--heading", heading]) == 2
        assert f"the section '{heading}' has" in capsys.readouterr().err


def run(page: Path, text: str) -> subprocess.CompletedProcess[str]:
    page.write_text(text)
    command = [sys.executable, "-P", readme.__file__, str(page), "--run"]
    return subprocess.run(command, cwd=page.parent, capture_output=True, text=True, check=False)


def test_run_shares_a_namespace_and_names_true_lines(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    done = run(page, PAGE)
    assert done.returncode == 0, done.stderr
    assert "\n42\n" in done.stdout
    assert "hello" not in done.stdout  # `Test it` is run by .ci/run
    done = run(page, PAGE + "\n```python\nx\nx / 0\n```\n")
    assert done.returncode == 1
    assert f'page.md", line {PAGE.count(chr(10)) + 4}' in done.stderr
    done = run(page, "```bash\nfalse\necho not reached\n```\n")
    assert done.returncode == 1
    assert "not reached" not in done.stdout


def test_an_open_fence_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("text\n```python\nx\n")
    assert readme.main([str(page)]) == 2
    assert "line 2 is never closed" in capsys.readouterr().err


def test_lock_check_shows_the_difference_and_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.uv]\npackage = false\n[dependency-groups]\nt = []\n")
    monkeypatch.setattr(lock, "check", lambda root=tmp_path, real=lock.check: real(root))
    monkeypatch.setattr(lock, "write", lambda root=tmp_path, real=lock.write: real(root))
    assert lock.main([]) == 0
    assert sorted(path.name for path in tmp_path.glob("*requirements*")) == [lock.LOCK]
    assert lock.main(["--check"]) == 0
    (tmp_path / lock.LOCK).write_text(lock.HEADER + "numpy==2.0.0\n")
    capsys.readouterr()
    assert lock.main(["--check"]) == 1
    out, err = capsys.readouterr()
    assert "-numpy==2.0.0" in out
    assert lock.FIX in err


def test_lock_refuses_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def export(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 0, "a @ https://example.org/a.whl\n", "")

    monkeypatch.setattr(lock.subprocess, "run", export)
    with pytest.raises(RuntimeError, match="names an address on its line 1"):
        lock.resolve(tmp_path)


def test_a_requirement_without_a_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not begin with a distribution name"):
        workspace.requirement_name(">=1.0")
