"""Signatures by OpenSSF model-signing with a key pair, offline: the file manifest.sig, a Sigstore bundle.

The signature says who vouches for a bundle; the id, which it covers, says what is in it. It lies beside the listed files
as the one file that the manifest cannot list.
"""

import base64
import binascii
import importlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from conv2d.packaging._files import MANIFEST, SIGNATURE, read_file, write_aside
from conv2d.packaging._findings import BundleError, Finding, MissingToolError
from conv2d.packaging._text import canonical_json, mapping, parse_json

if TYPE_CHECKING:
    from conv2d.packaging._bundle import Bundle

_MEDIA = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD = "application/vnd.in-toto+json"
_FIX = "remove it and sign again, or restore it from the bundle's source"


def sign_bundle(bundle: "Bundle", key: str | Path, *, password: str | None = None) -> Path:
    """Sign every file of a bundle; the id does not change.

    Parameters
    ----------
    bundle : Bundle
        Opened.
    key : str or Path
        PEM file with an elliptic-curve private key (P-256, P-384 or P-521).
    password : str, optional
        Of an encrypted key.

    Returns
    -------
    Path
        The file manifest.sig in the bundle's folder. A signature by the same key that is there already is left as it is.

    Raises
    ------
    MissingToolError
        When the extra `sign` is not installed.
    BundleError
        When the key cannot be used, or another signature is there already.

    Examples
    --------
    >>> from conv2d.packaging import Bundle
    >>> sign_bundle(Bundle.open("artifacts/…"), "signer.pem")                      # doctest: +SKIP
    """
    signing = _library("signing")
    target = bundle.path / SIGNATURE
    public = check_key(key, password)
    with tempfile.TemporaryDirectory() as folder:
        if target.exists():
            (Path(folder) / "public.pem").write_bytes(public)
            findings = check_signature(bundle.path, bundle.id, Path(folder) / "public.pem")
            if findings:
                raise BundleError(f"bundle {bundle.path} is signed already, and not by this key: {findings[0]}")
            return target
        made = Path(folder) / SIGNATURE
        config = signing.Config().use_elliptic_key_signer(private_key=Path(key), password=_encoded(password))
        config.set_hashing_config(_hashing()).sign(bundle.path, made)
        data = canonical_json(parse_json(made.read_bytes(), SIGNATURE))
    # Aside in the root, not in the bundle: a crash in between must leave no stray file in it.
    write_aside(target, data, bundle.path.parent)
    return target


def check_key(key: str | Path, password: str | None = None) -> bytes:
    """Return the public half of a private key as PEM; refuse a key that cannot sign."""
    _library("signing")
    serialization = cast("Any", importlib.import_module("cryptography.hazmat.primitives.serialization"))
    try:
        private = serialization.load_pem_private_key(Path(key).read_bytes(), _encoded(password))
        if private.curve.key_size not in (256, 384, 521):
            raise ValueError(f"its curve is {private.curve.name}")
        public_format = serialization.PublicFormat.SubjectPublicKeyInfo
        return bytes(private.public_key().public_bytes(serialization.Encoding.PEM, public_format))
    except Exception as error:  # cryptography and the file system raise several types
        raise BundleError(
            f"the key {key} cannot be used ({error or type(error).__name__}); give a PEM file with an elliptic-curve private "
            "key, P-256, P-384 or P-521, for example by: openssl ecparam -name prime256v1 -genkey -noout -out signer.pem"
        ) from error


def _encoded(password: str | None) -> bytes | None:
    return None if password is None else password.encode()


def check_form(folder: Path, identity: str) -> list[Finding]:
    """Check what can be seen of a folder's signature without a key."""
    try:
        data = read_file(folder, SIGNATURE)
    except OSError as error:
        return [Finding(SIGNATURE, f"cannot be read ({error.strerror})", "check its permissions")]
    return check_bytes(data, identity)


def check_bytes(data: bytes, identity: str) -> list[Finding]:
    """Check a signature's canonical form, and that it is of this bundle."""
    try:
        content = mapping(parse_json(data, SIGNATURE), SIGNATURE)
        canonical = canonical_json(content) == data
        envelope = content["dsseEnvelope"]
        (signature,) = envelope["signatures"]
        hint = content["verificationMaterial"]["publicKey"]["hint"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        expected = {
            "mediaType": _MEDIA,
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": _PAYLOAD,
                "signatures": [
                    {**signature, "sig": base64.b64encode(base64.b64decode(signature["sig"], validate=True)).decode()}
                ],
            },
            "verificationMaterial": {**content["verificationMaterial"], "publicKey": {"hint": hint}},
        }
        listed = mapping(parse_json(payload, SIGNATURE), SIGNATURE)["predicate"]["resources"]
        signed = {str(entry["name"]): str(entry["digest"]) for entry in cast("list[dict[str, Any]]", listed)}
        extra = set(signature) - {"sig", "keyid"} | set(content["verificationMaterial"]) - {"publicKey", "tlogEntries"}
        spare = [signature.get("keyid"), content["verificationMaterial"].get("tlogEntries")]
    except (BundleError, KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        return [Finding(SIGNATURE, f"is not a signature ({type(error).__name__}: {error})", _FIX)]
    if not canonical or content != expected or extra or any(spare):
        return [Finding(SIGNATURE, "is not in the form that conv2d-pack writes; it was changed", _FIX)]
    if signed.get(MANIFEST) != identity:
        return [Finding(SIGNATURE, f"is of another bundle, not of {identity}", _FIX)]
    return []


def check_signature(folder: Path, identity: str, key: Path) -> list[Finding]:
    """Verify the signature of a folder with a public key; refuse when the extra is missing."""
    verifying = _library("verifying")
    if not (folder / SIGNATURE).exists():
        return [
            Finding(SIGNATURE, "is missing, although a key was given to verify it", "sign the bundle, or ask its maker")
        ]
    found = check_form(folder, identity)
    if found:
        return found
    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=key)
        config.set_hashing_config(_hashing()).verify(folder, folder / SIGNATURE)
    except Exception as error:  # cryptography's InvalidSignature, ValueError, OSError of the key
        reason = " ".join(str(error).split()) or type(error).__name__
        return [
            Finding(
                SIGNATURE, f"does not verify with the key {key}: {reason}", "give the signer's key, or do not use it"
            )
        ]
    return []


def _hashing() -> Any:
    """Hash all files but the signature; the library would by default also pass over those of git."""
    return _library("hashing").Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(f"model_signing.{name}")
    except ImportError as error:
        raise MissingToolError(
            f"signatures need {error.name}, which is not installed here, so none can be made or verified. Install it: "
            "pip install 'conv2d-pack[sign]'."
        ) from error
