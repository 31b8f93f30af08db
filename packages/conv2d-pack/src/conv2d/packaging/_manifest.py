"""The manifest: the one list of what a bundle holds. Its SHA-256 is the bundle's id."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any, Protocol, cast

import jsonschema

from conv2d.packaging._files import MANIFEST, SIGNATURE, is_safe, sha256
from conv2d.packaging._findings import BundleError, Finding
from conv2d.packaging._text import canonical_json, mapping, parse_json

_FIX = "a manifest is never edited by hand: restore the bundle from its source or create it again"


def file_table(contents: Mapping[str, bytes]) -> dict[str, dict[str, object]]:
    """Return the manifest's list of files: SHA-256 and size of each."""
    return {name: {"sha256": sha256(data), "size": len(data)} for name, data in sorted(contents.items())}


def parse_manifest(data: bytes) -> tuple[dict[str, Any], list[Finding]]:
    """Read and check a manifest; it is of use only when there is no finding."""
    try:
        manifest = mapping(parse_json(data, MANIFEST), MANIFEST)
    except BundleError as error:
        return {}, [Finding(MANIFEST, str(error).removeprefix(f"{MANIFEST} "), _FIX)]
    findings = [Finding(MANIFEST, text, _FIX) for text in _problems(manifest)]
    if not findings and canonical_json(manifest) != data:
        findings.append(Finding(MANIFEST, "is not in canonical form (sorted keys, no spaces, UTF-8)", _FIX))
    return manifest, findings


def _problems(manifest: dict[str, Any]) -> Iterator[str]:
    if manifest.get("schema") != 1:
        yield f"has schema {manifest.get('schema')!r}; this version of conv2d-pack reads schema 1"
        return
    errors = list(_validator().iter_errors(manifest))
    if errors:
        yield from sorted(f"breaks its schema at {error.json_path}: {error.message[:300]}" for error in errors)
        return
    files = cast("dict[str, Any]", manifest["files"])
    for name in files:
        if not is_safe(name) or name in (MANIFEST, SIGNATURE):
            yield f"lists the file name {name!r}; names are relative, of plain parts, never {MANIFEST} itself and never {SIGNATURE}"
    for output in manifest["model"]["outputs"]:
        if f"samples/outputs/{output['name']}.npy" not in files:
            yield f"lists no stored samples for the output {output['name']!r}"
    for target, entry in manifest["targets"].items():
        for name in sorted(set(entry.get("files", ())) - files.keys()):
            yield f"says that the target {target} is {name!r}, which is not in its list of files"


class _SchemaError(Protocol):
    message: str
    json_path: str


class _Validator(Protocol):
    def iter_errors(self, instance: object) -> Iterator[_SchemaError]: ...


@cache
def _validator() -> _Validator:
    schema = json.loads(resources.files("conv2d.packaging").joinpath("manifest.schema.json").read_text("utf-8"))
    return cast("_Validator", jsonschema.Draft202012Validator(schema))
