"""Signatures: made and verified offline with a key; refused, not skipped, without the extra."""

import base64
import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from conv2d.packaging import (
    Bundle,
    BundleError,
    MissingToolError,
    archive_bundle,
    clean_bundles,
    sign_bundle,
    unpack_bundle,
    verify_bundle,
)
from conv2d.packaging._archive import ArchiveFormat
from conv2d.packaging.cli import app
from conv2d.packaging.testing import small_bundle

pytest.importorskip("model_signing.signing", reason="signatures are NOT TESTED here (install conv2d-pack[sign])")
NAME = "manifest.sig"


def key_pair(folder: Path, name: str = "signer", password: bytes | None = None) -> tuple[Path, Path]:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    how = form.BestAvailableEncryption(password) if password else form.NoEncryption()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, how))
    public.write_bytes(key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return key_pair(tmp_path)


def test_signed_and_verified(bundle: Bundle, keys: tuple[Path, Path], tmp_path: Path) -> None:
    private, public = keys
    before = bundle.id
    file = sign_bundle(bundle, private)
    assert file == bundle.path / NAME
    assert [p.name for p in bundle.path.parent.iterdir()] == [before]
    assert verify_bundle(bundle.path, key=public).ok
    assert verify_bundle(bundle.path, key=public).not_verified == ()
    unchecked = verify_bundle(bundle.path)
    assert unchecked.ok
    assert unchecked.not_verified == ("manifest.sig: no key was given; verify with --key PUB",)
    stranger = key_pair(tmp_path, "stranger")[1]
    (finding,) = verify_bundle(bundle.path, key=stranger).findings
    assert finding.file == NAME
    assert "Key mismatch" in finding.problem


def test_create_and_sign_at_once_and_again(keys: tuple[Path, Path], tmp_path: Path) -> None:
    private, public = keys
    root = tmp_path / "root"
    one = small_bundle(root, sign_key=private)
    signature = (one.path / NAME).read_bytes()
    again = small_bundle(root, sign_key=private)
    assert again.id == one.id == small_bundle(tmp_path / "plain").id
    assert (one.path / NAME).read_bytes() == signature
    assert verify_bundle(one.path, key=public).ok
    with pytest.raises(BundleError, match="signed already, and not by this key"):
        sign_bundle(one, key_pair(tmp_path, "other")[0])


def test_an_unsigned_bundle_fails_when_a_key_is_given(bundle: Bundle, keys: tuple[Path, Path]) -> None:
    (finding,) = verify_bundle(bundle.path, key=keys[1]).findings
    assert "is missing, although a key was given" in finding.problem


def test_a_signature_of_another_bundle(bundle: Bundle, keys: tuple[Path, Path], tmp_path: Path) -> None:
    other = small_bundle(tmp_path / "other", version="2.0", sign_key=keys[0])
    shutil.copy(other.path / NAME, bundle.path)
    for key in (None, keys[1]):
        findings = verify_bundle(bundle.path, key=key).findings
        assert "is of another bundle" in findings[0].problem
    with pytest.raises(BundleError, match="another bundle"):
        Bundle.open(bundle.path)


def test_every_change_of_a_signed_bundle_is_found(bundle: Bundle, keys: tuple[Path, Path]) -> None:
    rng = random.Random(3)
    good = sign_bundle(bundle, keys[0]).read_bytes()
    for _ in range(150):
        bad = bytearray(good)
        bad[rng.randrange(len(bad))] ^= rng.randrange(1, 256)
        (bundle.path / NAME).write_bytes(bad)
        assert NAME in [finding.file for finding in verify_bundle(bundle.path, key=keys[1]).findings]
    for bad in (b"", good[:-1], good + b"\n", b"[]", b"{}", json.dumps(json.loads(good), indent=1).encode()):
        (bundle.path / NAME).write_bytes(bad)
        assert [finding.file for finding in verify_bundle(bundle.path).findings] == [NAME]
    (bundle.path / NAME).write_bytes(good)
    (bundle.path / "metrics.json").write_text("{}")
    assert "metrics.json" in [finding.file for finding in verify_bundle(bundle.path, key=keys[1]).findings]


def test_a_forged_signature_is_found(bundle: Bundle, keys: tuple[Path, Path]) -> None:
    """Well-formed throughout, of this bundle, with the right hint: only the signature itself is not the signer's."""
    content = json.loads(sign_bundle(bundle, keys[0]).read_bytes())
    (entry,) = content["dsseEnvelope"]["signatures"]
    raw = bytearray(base64.b64decode(entry["sig"]))
    raw[-1] ^= 1
    entry["sig"] = base64.b64encode(raw).decode()
    forged = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    (bundle.path / NAME).write_bytes(forged)
    assert verify_bundle(bundle.path).ok  # without the key nobody can tell, and `not_verified` says so
    assert "does not verify" in verify_bundle(bundle.path, key=keys[1]).findings[0].problem


@pytest.mark.parametrize("form", ["zip", "tar.gz", "tar.zst", "oci"])
def test_the_signature_travels(bundle: Bundle, keys: tuple[Path, Path], tmp_path: Path, form: ArchiveFormat) -> None:
    sign_bundle(bundle, keys[0])
    again = unpack_bundle(archive_bundle(bundle, tmp_path / "b", form), tmp_path / "there")
    assert verify_bundle(again.path, key=keys[1]).ok
    assert clean_bundles(tmp_path / "there", keep=0).removed == (again.path,)


def test_keys_that_cannot_sign(bundle: Bundle, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    (tmp_path / "rsa.pem").write_bytes(
        key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    )
    locked = key_pair(tmp_path, "locked", b"secret")[0]
    for name in ("nowhere.pem", "rsa.pem", "locked.pem", "signer.pub"):
        key_pair(tmp_path)
        with pytest.raises(BundleError, match="openssl ecparam"):
            sign_bundle(bundle, tmp_path / name)
        with pytest.raises(BundleError, match="openssl ecparam"):
            small_bundle(tmp_path / "root", sign_key=tmp_path / name)
    assert not (tmp_path / "root").exists()
    assert not (bundle.path / NAME).exists()
    sign_bundle(bundle, locked, password="secret")
    assert verify_bundle(bundle.path, key=tmp_path / "locked.pub").ok


def test_refused_not_skipped_without_the_extra(
    bundle: Bundle, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sign_bundle(bundle, keys[0])
    for module in ("model_signing", "model_signing.signing", "model_signing.verifying", "model_signing.hashing"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingToolError, match=r"pip install 'conv2d-pack\[sign\]'"):
        verify_bundle(bundle.path, key=keys[1])
    with pytest.raises(MissingToolError):
        small_bundle(tmp_path / "root", sign_key=keys[0])
    assert not (tmp_path / "root").exists()
    done: Any = CliRunner().invoke(app, ["verify", str(bundle.path), "--key", str(keys[1])])
    assert done.exit_code == 5
    assert "conv2d-pack[sign]" in done.stderr
    assert verify_bundle(bundle.path).ok


def test_commands(bundle: Bundle, keys: tuple[Path, Path]) -> None:
    sign_bundle(bundle, keys[0])
    done = CliRunner().invoke(app, ["verify", str(bundle.path), "--key", str(keys[1]), "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["ok"]
    assert json.loads(CliRunner().invoke(app, ["show", str(bundle.path), "--json"]).stdout)["signed"] is True
    asked = CliRunner().invoke(app, ["verify", str(bundle.path), "--target", "coreml"])
    assert asked.exit_code == 5
    assert "has no target 'coreml' (not built: not asked for" in asked.stderr
