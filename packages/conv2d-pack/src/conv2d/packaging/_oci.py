"""A bundle as an OCI image layout: each file one blob, so that an ORAS client can push it to a registry as it is.

References
----------
Open Container Initiative, "Image Format Specification" 1.1: layout, manifest, guidance for artifacts.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

from conv2d.packaging._files import sha256
from conv2d.packaging._findings import BundleError
from conv2d.packaging._text import canonical_json, mapping, parse_json

LAYOUT = "oci-layout"
ARTIFACT = "application/vnd.conv2d.bundle.v1"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_EMPTY = "application/vnd.oci.empty.v1+json"
_TITLE = "org.opencontainers.image.title"


def to_layout(identity: str, named: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of a layout that holds `named`, by path; the tag is the beginning of the id."""
    blobs: dict[str, bytes] = {}

    def blob(kind: str, data: bytes, **more: object) -> dict[str, object]:
        blobs[f"blobs/sha256/{sha256(data)}"] = data
        return {"mediaType": kind, "digest": f"sha256:{sha256(data)}", "size": len(data), **more}

    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "artifactType": ARTIFACT,
        "config": blob(_EMPTY, b"{}"),
        "layers": [
            blob("application/octet-stream", data, annotations={_TITLE: name}) for name, data in sorted(named.items())
        ],
    }
    tag = {"org.opencontainers.image.ref.name": identity[:12]}
    entry = blob(_MANIFEST, canonical_json(manifest), artifactType=ARTIFACT, annotations=tag)
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]}
    return {LAYOUT: canonical_json({"imageLayoutVersion": "1.0.0"}), "index.json": canonical_json(index), **blobs}


def from_layout(contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the named files of a layout, every blob checked against its digest."""

    def blob(entry: Any) -> bytes:
        digest = str(entry["digest"])
        if not re.fullmatch("sha256:[0-9a-f]{64}", digest):
            raise BundleError(f"names a blob {digest!r}; digests are sha256.")
        data = contents.get(f"blobs/sha256/{digest[7:]}")
        if data is None or sha256(data) != digest[7:] or len(data) != entry["size"]:
            raise BundleError(f"lacks the blob {digest}, or it was changed.")
        return data

    try:
        index = mapping(parse_json(contents["index.json"], "index.json"), "index.json")
        (entry,) = index["manifests"]
        manifest = mapping(parse_json(blob(entry), "the OCI manifest"), "the OCI manifest")
        layers = cast("list[dict[str, Any]]", manifest["layers"])
        named = {str(layer["annotations"][_TITLE]): blob(layer) for layer in layers}
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"is no OCI layout of one bundle ({type(error).__name__}: {error}).") from error
    if manifest.get("artifactType") != ARTIFACT or len(named) != len(layers):
        raise BundleError(f"is no OCI layout of one bundle: its artifact type is not {ARTIFACT}, or a file is twice.")
    return named
