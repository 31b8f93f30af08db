"""Cleaning removes old bundles and leaves all else alone."""

import os
from pathlib import Path

import pytest

from conv2d.packaging import Bundle, clean_bundles, list_bundles
from conv2d.packaging.testing import small_bundle


@pytest.fixture
def three(tmp_path: Path) -> list[Bundle]:
    """Three bundles, made a minute apart."""
    bundles = [small_bundle(tmp_path, version=str(number)) for number in range(3)]
    for age, bundle in enumerate(reversed(bundles)):
        at = 1_700_000_000 - 60 * age
        os.utime(bundle.path / "manifest.json", (at, at))
    return bundles


@pytest.mark.parametrize("keep", [0, 1, 2, 3, 9])
def test_the_newest_stay(three: list[Bundle], keep: int) -> None:
    root = three[0].path.parent
    paths = [bundle.path for bundle in three]
    expected = paths[max(3 - keep, 0) :]
    plan = clean_bundles(root, keep=keep, dry_run=True)
    assert list_bundles(root) == tuple(paths)
    done = clean_bundles(root, keep=keep)
    assert plan == done
    assert list(done.kept) == expected == list(list_bundles(root))
    assert set(done.removed) == set(paths) - set(expected)
    assert {path.name for path in root.iterdir()} == {path.name for path in expected}


def test_what_it_did_not_make_stays(three: list[Bundle]) -> None:
    root = three[0].path.parent
    (three[0].path / "notes.txt").write_text("mine")  # the oldest is no longer only ours
    (three[1].path / "model.onnx").write_bytes(b"")
    others = [root / "data", root / ("f" * 64), root / ".conv2d-pack-mine", root / "file"]
    for other in others[:3]:
        other.mkdir()
        (other / "x").write_text("x")
    others[3].write_text("x")
    outside = root.parent / "outside"
    outside.mkdir(exist_ok=True)
    (root / ".conv2d-pack-00000000000000ff").symlink_to(outside)
    done = clean_bundles(root, keep=0)
    assert done.removed == (three[2].path,)
    assert len(done.left) == 2
    assert all(other.exists() for other in [*others, three[0].path, three[1].path, outside])


def test_leftovers_go_when_they_are_old(tmp_path: Path) -> None:
    young, old = tmp_path / ".conv2d-pack-0000000000000001", tmp_path / ".conv2d-pack-0000000000000002"
    for path in (young, old):
        path.mkdir()
        (path / "model.onnx").write_text("half")
    file = tmp_path / ".conv2d-pack-0000000000000003"
    file.write_text("half a signature")
    for path in (old, file):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    assert clean_bundles(tmp_path, keep=0).removed == (old.resolve(), file.resolve())
    assert not file.exists()
    assert young.exists()
    assert not old.exists()


def test_wrong_number(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keep is -1"):
        clean_bundles(tmp_path, keep=-1)
    assert clean_bundles(tmp_path / "none", keep=1).removed == ()
