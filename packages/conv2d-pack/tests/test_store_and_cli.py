"""Finding, listing and the commands."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from conv2d.packaging import Bundle, BundleNotFoundError, create_bundle, find_bundle
from conv2d.packaging.cli import app
from conv2d.packaging.testing import small_arguments, small_bundle


def run(*args: object) -> Any:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert "Traceback" not in result.output
    return result


def test_find(bundle: Bundle) -> None:
    root = bundle.path.parent
    assert find_bundle(root, bundle.id) == bundle.path
    assert find_bundle(root, bundle.id[:4]) == bundle.path
    assert find_bundle(root, bundle.path) == bundle.path
    with pytest.raises(BundleNotFoundError, match="no bundle"):
        find_bundle(root, "zzzz")
    with pytest.raises(BundleNotFoundError, match="no bundle"):
        find_bundle(root, "")


def test_a_short_id_that_fits_two(tmp_path: Path) -> None:
    names = ["ab12" + "0" * 60, "ab12" + "1" * 60]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text("{}")
    with pytest.raises(BundleNotFoundError, match="fits 2 bundles"):
        find_bundle(tmp_path, "ab12")
    assert find_bundle(tmp_path, "ab120").name == names[0]


def test_verify_command(bundle: Bundle) -> None:
    root = bundle.path.parent
    good = run("verify", bundle.id[:8], "--root", root)
    assert good.exit_code == 0
    assert "4 sample windows reproduced" in good.stdout
    report = run("verify", bundle.path, "--json")
    assert report.exit_code == 0
    assert json.loads(report.stdout)["id"] == bundle.id
    (bundle.path / "metrics.json").write_text("{}")
    bad = run("verify", bundle.id[:8], "--root", root, "--json")
    assert bad.exit_code == 1
    assert json.loads(bad.stdout)["findings"][0]["file"] == "metrics.json"
    assert "metrics.json" in bad.stderr


def test_verify_of_an_empty_folder_fails(tmp_path: Path) -> None:
    result = run("verify", tmp_path)
    assert result.exit_code == 1
    assert "manifest.json: is missing" in result.stderr


def test_unknown_bundle(tmp_path: Path) -> None:
    for command in ("verify", "show"):
        result = run(command, "abcd", "--root", tmp_path)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert len(result.stderr.strip().splitlines()) == 1


def test_list_command(bundle: Bundle) -> None:
    root = bundle.path.parent
    other = create_bundle(root, **small_arguments(version="0.2.0"))
    (other.path / "VERSION").write_text("0.3.0\n")
    short = run("list", "--root", root)
    assert short.exit_code == 0
    assert f"{bundle.id[:12]}  sound" in short.stdout
    assert f"{other.id[:12]}  damaged" in short.stdout
    rows = json.loads(run("list", "--root", root, "--json").stdout)
    assert [(row["id"], row["state"]) for row in rows] == [(bundle.id, "sound"), (other.id, "damaged")]
    told = run("list", "--root", root, "--verbose").stdout
    assert bundle.id in told
    assert "hailo: not built (not asked for; next: conv2d pack create --targets onnx,hailo)" in told
    assert run("list", "--root", root / "none").exit_code == 0


def test_show_command(bundle: Bundle) -> None:
    root = bundle.path.parent
    told = run("show", bundle.id[:8], "--root", root).stdout
    assert "rest, walk, trot" in told
    assert "samples/inputs.npy" in told
    assert json.loads(run("show", bundle.path, "--json").stdout)["metrics"]["ece"] == 0.03
    (bundle.path / "VERSION").unlink()
    broken = run("show", bundle.path)
    assert broken.exit_code == 3
    assert "VERSION" in broken.stderr


def test_clean_command(bundle: Bundle) -> None:
    root = bundle.path.parent
    small_bundle(root, version="0.2.0")
    plan = run("clean", "--keep", 1, "--root", root, "--dry-run", "--json")
    assert json.loads(plan.stdout)["removed"] == [str(bundle.path)]
    assert bundle.path.exists()
    done = run("clean", "--keep", 1, "--root", root)
    assert f"removed {bundle.path}" in done.stdout
    assert not bundle.path.exists()
    assert run("clean", "--keep", -1, "--root", root).exit_code == 2


def test_archive_and_unpack_commands(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written = run("archive", bundle.id[:8], "--root", bundle.path.parent, "--format", "tar.gz")
    assert written.stdout.strip() == f"{bundle.id}.tar.gz"
    unpacked = run("unpack", f"{bundle.id}.tar.gz", "--root", "other")
    assert Path(unpacked.stdout.strip()).resolve() == (tmp_path / "other" / bundle.id).resolve()
    assert run("archive", bundle.path, "--format", "rar").exit_code == 2
    assert run("unpack", "nothing.zip").exit_code == 2
    (tmp_path / "junk").write_text("junk")
    assert run("unpack", "junk").exit_code == 3


def test_diff_command(bundle: Bundle) -> None:
    root = bundle.path.parent
    other = small_bundle(root, metrics={**bundle.metrics, "accuracy": 0.95}, labels=("rest", "walk", "run"))
    told = run("diff", bundle.id[:8], other.id[:8], "--root", root).stdout.splitlines()
    assert "metrics.accuracy: 0.91 -> 0.95" in told
    assert "labels[2]: trot -> run" in told
    assert {line.split(":")[0] for line in told} == {
        "metrics.accuracy",
        "gates.accuracy.value",
        "gates.size_mb.value",
        "labels[2]",
        "files.README.md",
        "files.metrics.json",
        "files.label_map.json",
    }
    rows = json.loads(run("diff", bundle.path, other.path, "--json").stdout)
    assert {"where": "metrics.accuracy", "before": 0.91, "after": 0.95} in rows
    assert run("diff", bundle.path, bundle.path).stdout == ""
