"""Targets from a separate distribution: found by entry point, built, verified, and never trusted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conv2d.packaging import Bundle, BundleError, create_bundle, verify_bundle
from conv2d.packaging.targets import load_target, target_names
from conv2d.packaging.testing import small_arguments, small_windows

PLUGIN = '''
import hashlib
from conv2d.packaging import BundleError, Finding
from conv2d.packaging.targets import Built, NotBuilt, TargetCheck

class Digest:
    """Builds a file with the model's hash and the number of calibration windows."""
    name = "digest"
    def check(self, model):
        return None
    def build(self, model, data):
        text = f"{hashlib.sha256(model).hexdigest()} {len(data.calibration)}"
        return Built({"digest/model.txt": text.encode()}, {"windows": len(data.calibration)})
    def verify(self, files, model, samples):
        if files["digest/model.txt"].split()[0].decode() != hashlib.sha256(model).hexdigest():
            return TargetCheck((Finding("digest/model.txt", "is of another model", "build it again"),))
        return TargetCheck(not_verified=("nothing was run on a device",))

class Absent(Digest):
    name = "absent"
    def check(self, model):
        return NotBuilt("its compiler is not installed", "pip install its-compiler")

class Clash(Digest):
    name = "clash"
    def build(self, model, data):
        return Built({"metrics.json": b"{}"})

class Escape(Digest):
    name = "escape"
    def build(self, model, data):
        return Built({"../escape": b"x"})

class Empty(Digest):
    name = "empty"
    def build(self, model, data):
        return Built({})

class Poor(Digest):
    name = "poor"
    def build(self, model, data):
        raise BundleError("code agreement is 0.5, the least is 0.97; give more calibration windows.")

class Raises(Digest):
    name = "raises"
    def verify(self, files, model, samples):
        raise RuntimeError("oops")

class Misnamed(Digest):
    name = "another"

def not_a_target():
    return 3
'''

NAMES = {
    "digest": "Digest",
    "absent": "Absent",
    "clash": "Clash",
    "escape": "Escape",
    "empty": "Empty",
    "poor": "Poor",
    "raises": "Raises",
    "misnamed": "Misnamed",
    "number": "not_a_target",
    "gone": "NoSuchName",
}


def install(folder: Path, distribution: str, names: dict[str, str]) -> None:
    """Lay out a distribution as an installer would."""
    module = f"{distribution}_plugin"
    (folder / f"{module}.py").write_text(PLUGIN)
    info = folder / f"{distribution}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = [f"{name} = {module}:{thing}" for name, thing in names.items()]
    (info / "entry_points.txt").write_text("\n".join(["[conv2d.packaging.targets]", *lines, ""]))


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    install(folder, "thirdparty", NAMES)
    monkeypatch.syspath_prepend(folder)
    return folder


def create(tmp_path: Path, *targets: str, **changes: Any) -> Bundle:
    return create_bundle(tmp_path / "artifacts", **small_arguments(targets=("onnx", *targets), **changes))


def test_a_third_party_target_is_built_and_verified(plugins: Path, tmp_path: Path) -> None:
    assert set(NAMES) <= set(target_names())
    bundle = create(tmp_path, "digest", calibration_windows=small_windows(6))
    assert bundle.manifest["targets"]["digest"] == {
        "status": "built",
        "files": ["digest/model.txt"],
        "report": {"windows": 6},
    }
    assert bundle.read("digest/model.txt").endswith(b" 6")
    verdict = verify_bundle(bundle.path)
    assert verdict.ok
    assert verdict.not_verified == ("target digest: nothing was run on a device",)
    assert create(tmp_path, "digest", calibration_windows=small_windows(6)).id == bundle.id


def test_a_target_of_another_model_is_found(plugins: Path, tmp_path: Path) -> None:
    import hashlib

    bundle = create(tmp_path, "digest")
    manifest = json.loads((bundle.path / "manifest.json").read_bytes())
    data = b"0" * 64 + b" 0"
    manifest["files"]["digest/model.txt"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    (bundle.path / "digest" / "model.txt").write_bytes(data)
    canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    (bundle.path / "manifest.json").write_bytes(canonical)
    forged = bundle.path.rename(bundle.path.with_name(hashlib.sha256(canonical).hexdigest()))
    (finding,) = verify_bundle(forged).findings
    assert finding.file == "digest/model.txt"
    assert finding.problem == "is of another model"


def test_what_cannot_be_built_is_recorded(plugins: Path, tmp_path: Path) -> None:
    bundle = create(tmp_path, "absent", "cmsis-nn")
    targets = bundle.manifest["targets"]
    assert targets["absent"] == {
        "status": "not built",
        "reason": "its compiler is not installed",
        "next": "pip install its-compiler",
    }
    assert "no installed distribution provides" in targets["cmsis-nn"]["reason"]
    assert targets["hailo"]["reason"] == "not asked for"
    assert verify_bundle(bundle.path).ok


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("clash", "built 'metrics.json', which is another"),
        ("escape", r"built '\.\./escape', which"),
        ("empty", "built no files"),
        ("poor", r"code agreement is 0\.5"),
        ("raises", "raised RuntimeError"),
        ("misnamed", "no Target with the name"),
        ("number", "no Target"),
        ("gone", "cannot be loaded"),
        ("onnx-in8", "there is no target 'onnx-in8'"),
    ],
)
def test_refusals_write_nothing(plugins: Path, tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(BundleError, match=text):
        create(tmp_path, name)
    assert not (tmp_path / "artifacts").exists()
    assert not (tmp_path / "escape").exists()


def test_without_the_plug_in_the_hashes_are_still_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    install(folder, "elsewhere", {"digest": "Digest"})
    with monkeypatch.context() as patch:
        patch.syspath_prepend(folder)
        bundle = create(tmp_path, "digest")
    assert load_target("digest") is None
    verdict = verify_bundle(bundle.path)
    assert verdict.ok
    assert "no plug-in for it is installed" in verdict.not_verified[0]
    (bundle.path / "digest" / "model.txt").write_bytes(b"x")
    assert [finding.file for finding in verify_bundle(bundle.path).findings] == ["digest/model.txt"]


def test_two_providers_of_one_target(plugins: Path, tmp_path: Path) -> None:
    install(plugins, "rival", {"digest": "Digest"})
    with pytest.raises(BundleError, match="provided by rival, thirdparty"):
        load_target("digest")


def test_calibration_windows_keep_the_contract(plugins: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="calibration_windows is float64"):
        create(tmp_path, "digest", calibration_windows=np.zeros((1, 9, 2, 100)))
