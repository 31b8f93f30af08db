"""Verification finds everything, names the file, and never raises."""

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conv2d.packaging import Bundle, BundleError, create_bundle, verify_bundle
from conv2d.packaging._samples import npy_bytes
from conv2d.packaging._text import canonical_json
from conv2d.packaging.testing import small_arguments, small_model


def test_a_sound_bundle(bundle: Bundle) -> None:
    verdict = verify_bundle(bundle.path)
    assert verdict.ok
    assert verdict.findings == ()
    assert verdict.samples == 4
    assert verdict.id == bundle.id
    assert json.loads(json.dumps(verdict.to_dict()))["ok"] is True


def test_reached_through_a_link(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(bundle.path)
    assert verify_bundle(tmp_path / "current").ok
    assert Bundle.open(tmp_path / "current").path == bundle.path


CHANGES = int(os.environ.get("CONV2D_PACK_FUZZ", "300"))  # 2,000 and more: see benchmarks/fuzz.py


def mutate(rng: random.Random, folder: Path) -> tuple[str, str]:
    """Change one thing in a bundle; return what was done and the file a finding must name."""
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    name = rng.choice(files)
    path = folder / name
    data = bytearray(path.read_bytes())
    kind = rng.choice(["flip", "flip", "flip", "truncate", "append", "rename", "remove", "add", "swap", "link"])
    if kind == "flip":
        place = rng.randrange(len(data))
        data[place] ^= rng.randrange(1, 256)
        path.write_bytes(data)
    elif kind == "truncate":
        path.write_bytes(data[: rng.randrange(len(data))])
    elif kind == "append":
        path.write_bytes(data + rng.randbytes(rng.randrange(1, 9)))
    elif kind == "rename":
        path.rename(path.with_name(path.name + rng.choice("abc")))
    elif kind == "remove":
        path.unlink()
    elif kind == "add":
        name = str(Path(name).parent / f"added{rng.randrange(100)}")
        (folder / name).write_bytes(rng.randbytes(rng.randrange(9)))
    elif kind == "swap":  # two files change places: all the bytes are there, in the wrong files
        other = rng.choice([f for f in files if f != name])
        (folder / other).rename(folder / "aside")
        path.rename(folder / other)
        (folder / "aside").rename(path)
        name = "manifest.json" if other == "manifest.json" else name
    elif kind == "link":
        outside = folder.parent / "outside"
        path.rename(outside)
        path.symlink_to(outside)
    return kind, name


def test_every_random_change_is_found_and_named(bundle: Bundle, tmp_path: Path) -> None:
    rng = random.Random(20261121)
    done: dict[tuple[str, str], int] = {}
    for number in range(CHANGES):
        folder = tmp_path / str(number) / bundle.id
        shutil.copytree(bundle.path, folder)
        kind, name = mutate(rng, folder)
        done[kind, name] = done.get((kind, name), 0) + 1
        verdict = verify_bundle(folder)
        told = [finding.file for finding in verdict.findings]
        assert not verdict.ok, (kind, name)
        assert name in told, (kind, name, told)
        with pytest.raises(BundleError, match=r"fix: \w+"):
            Bundle.open(folder)
        shutil.rmtree(folder.parent)
    assert len({name for kind, name in done if kind == "flip"}) == 13  # every file of the bundle was hit


def test_many_changes_give_as_many_findings(bundle: Bundle) -> None:
    (bundle.path / "model.onnx").write_bytes(b"")
    (bundle.path / "config.yaml").unlink()
    (bundle.path / "extra").mkdir()
    (bundle.path / "samples" / "note.txt").write_text("hello")
    told = {finding.file for finding in verify_bundle(bundle.path).findings}
    assert told == {"model.onnx", "config.yaml", "extra", "samples/note.txt"}


def test_renamed_folder(bundle: Bundle) -> None:
    other = bundle.path.rename(bundle.path.with_name("latest"))
    (finding,) = verify_bundle(other).findings
    assert finding.file == "manifest.json"
    assert bundle.id in finding.problem


@pytest.mark.parametrize("kind", ["absent", "empty", "file"])
def test_no_bundle_at_all(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "thing"
    if kind == "empty":
        path.mkdir()
    elif kind == "file":
        path.write_text("x")
    verdict = verify_bundle(path)
    assert not verdict.ok
    assert verdict.samples == 0
    with pytest.raises(BundleError):
        Bundle.open(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes: NOT TESTED here")
def test_a_pipe_does_not_hang(bundle: Bundle) -> None:
    (bundle.path / "VERSION").unlink()
    os.mkfifo(bundle.path / "VERSION")
    told = verify_bundle(bundle.path).findings
    assert {finding.file for finding in told} == {"VERSION"}


# Bundles whose hashes are right but whose contents lie: what a stranger, not an accident, would make.


def forge(bundle: Bundle, change: Callable[[dict[str, Any], dict[str, bytes]], object]) -> Path:
    manifest = json.loads((bundle.path / "manifest.json").read_bytes())
    contents = {name: (bundle.path / name).read_bytes() for name in manifest["files"]}
    before = contents["model.onnx"], contents["metrics.json"]
    change(manifest, contents)
    if contents.get("model.onnx", before[0]) != before[0] and contents["metrics.json"] == before[1]:
        figures = json.loads(before[1])  # a careful forger says that the figures are of the new weights
        figures["model_sha256"] = hashlib.sha256(contents["model.onnx"]).hexdigest()
        contents["metrics.json"] = json.dumps(figures).encode()
    size = sum(len(content) for name, content in contents.items() if name != "README.md")
    manifest["gates"]["size_mb"]["value"] = size / 1e6
    for name in contents:
        old = manifest["files"].get(name, {})
        manifest["files"][name] = {"sha256": hashlib.sha256(contents[name]).hexdigest(), "size": len(contents[name])}
        if old.get("keep"):
            manifest["files"][name] = old
    data = canonical_json(manifest)
    folder = bundle.path.with_name(hashlib.sha256(data).hexdigest())
    for name, content in {**contents, "manifest.json": data}.items():
        target = folder / name
        if ".." not in name and not name.startswith("/"):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return folder


def put(name: str, data: bytes) -> Callable[[dict[str, Any], dict[str, bytes]], object]:
    return lambda _, contents: contents.__setitem__(name, data)


def better_figures(_: dict[str, Any], contents: dict[str, bytes]) -> None:
    contents["metrics.json"] = contents["metrics.json"].replace(b"0.91", b"0.99")


def no_windows(_: dict[str, Any], contents: dict[str, bytes]) -> None:
    contents["samples/inputs.npy"] = npy_bytes(np.zeros((0, 9, 2, 100), np.float32))
    contents["samples/outputs/logits.npy"] = npy_bytes(np.zeros((0, 3), np.float32))
    contents["samples/outputs/codes.npy"] = npy_bytes(np.zeros((0, 64), np.int32))


def pickle_npy() -> bytes:
    import io

    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return stream.getvalue()


def huge_npy() -> bytes:
    data = npy_bytes(np.zeros((1, 9, 2, 100), np.float32))
    return data.replace(b"(1, 9, 2, 100), }" + b" " * 10, b"(99999999999, 9, 2, 100), }")


LAUGHS = b"a: &a [x, x, x, x, x, x, x, x]\n" + b"".join(
    f"{n}: &{n} [*{p}, *{p}, *{p}, *{p}, *{p}, *{p}, *{p}, *{p}]\n".encode() for p, n in pairwise("abcdefghi")
)


@pytest.mark.parametrize(
    ("change", "file", "text"),
    [
        (put("model.onnx", small_model(1)), "samples/outputs/codes.npy", "differs from the model"),
        (put("model.onnx", b"junk"), "model.onnx", "not an ONNX file"),
        (put("model.onnx", small_model(labels=4)), "model.onnx", "but the manifest says"),
        (no_windows, "samples/inputs.npy", "no window"),
        (put("samples/inputs.npy", pickle_npy()), "samples/inputs.npy", "not a .npy file"),
        (put("samples/inputs.npy", b"\x93NUMPY"), "samples/inputs.npy", "not a .npy file"),
        (put("samples/inputs.npy", huge_npy()), "samples/inputs.npy", "but holds 7200 bytes of numbers"),
        (put("config.yaml", LAUGHS), "config.yaml", "aliases"),
        (put("config.yaml", b"a: !!python/object/apply:os.system [true]"), "config.yaml", "YAML"),
        (put("config.yaml", b"a: 1\na: 2\n"), "config.yaml", "twice"),
        (put("config.yaml", b"[" * 5000), "config.yaml", "YAML"),
        (put("config.yaml", b"- a\n"), "config.yaml", "list"),
        (put("metrics.json", b"{}"), "metrics.json", "empty"),
        (put("metrics.json", b'{"a": NaN}'), "metrics.json", "NaN"),
        (put("metrics.json", b'{"a": 1, "a": 2}'), "metrics.json", "twice"),
        (put("metrics.json", b"[" * 200_000), "metrics.json", "JSON"),
        (put("metrics.json", b'{"model_sha256": "0"}'), "metrics.json", "evaluate this model"),
        (put("metrics.json", b'{"accuracy": 0.9, "ece": 0.01}'), "metrics.json", "does not say which weights"),
        (better_figures, "metrics.json", "gives accuracy 0.99, but the manifest's gate was judged with 0.91"),
        (lambda m, c: m["gates"]["ece"].__setitem__("limit", 0.02), "metrics.json", "fails the gate ece: it is 0.03"),
        (lambda m, c: m["gates"].pop("ece"), "manifest.json", "breaks its schema"),
        (lambda m, c: m.__setitem__("scored_weights", "folds"), "metrics.json", "the manifest says"),
        (put("label_map.json", b'{"labels": ["a", "b"]}'), "label_map.json", "2 labels"),
        (put("label_map.json", b"{}"), "label_map.json", "no labels"),
        (put("VERSION", b"9.9.9\n"), "VERSION", "manifest says '0.1.0'"),
        (put("COMMIT_SHA", b"fffffff\n"), "COMMIT_SHA", "manifest says"),
        (put("../escape.txt", b"x"), "manifest.json", "escape"),
        (put("/etc/escape.txt", b"x"), "manifest.json", "escape"),
        (put("a\\b", b"x"), "manifest.json", "relative"),
        (lambda m, c: m.__setitem__("schema", 2), "manifest.json", "reads schema 1"),
        (lambda m, c: m.__setitem__("more", 2), "manifest.json", "breaks its schema"),
        (lambda m, c: m["samples"].__setitem__("windows", 5), "samples/inputs.npy", "holds 4 windows"),
        (lambda m, c: m["samples"].__setitem__("tolerance", 1.0), "manifest.json", "tolerance"),
        (lambda m, c: m["model"].__setitem__("opset", 17), "model.onnx", "but the manifest says"),
        (lambda m, c: m["targets"]["onnx"].__setitem__("files", ["other"]), "manifest.json", "not in its list"),
        (lambda m, c: (m["files"].pop("model.onnx"), c.pop("model.onnx")), "manifest.json", "model.onnx"),
    ],
)
def test_forged_bundles(bundle: Bundle, change: Any, file: str, text: str) -> None:
    import re

    verdict = verify_bundle(forge(bundle, change))
    assert not verdict.ok
    assert any(f.file == file and re.search(text, f.problem) for f in verdict.findings), verdict.findings


def test_forging_nothing_is_sound(bundle: Bundle) -> None:
    """The forger itself makes sound bundles, so the findings above come from the change alone."""
    assert verify_bundle(forge(bundle, lambda m, c: None)).ok


def test_a_change_after_opening_is_seen(bundle: Bundle) -> None:
    (bundle.path / "model.onnx").write_bytes(small_model(1))
    with pytest.raises(BundleError, match=r"model\.onnx was changed while in use"):
        bundle.session()
    with pytest.raises(BundleError, match="no file 'nothing'"):
        bundle.read("nothing")


def test_no_commit(tmp_path: Path) -> None:
    bundle = create_bundle(tmp_path, **small_arguments(commit_sha=None))
    assert not (bundle.path / "COMMIT_SHA").exists()
    assert verify_bundle(bundle.path).ok
