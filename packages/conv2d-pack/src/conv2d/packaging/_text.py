"""Deterministic, strict text: the same value gives the same bytes, and only plain values are read or written."""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn, cast

import yaml

from conv2d.packaging._findings import BundleError

MAX_DEPTH = 32


def plain(value: object, where: str, depth: int = 0) -> Any:
    """Copy `value` as JSON values; refuse what JSON, or a stranger's JSON reader, would not carry exactly."""
    if depth > MAX_DEPTH:
        raise BundleError(f"{where} is nested deeper than {MAX_DEPTH} levels; give a flatter mapping.")
    if isinstance(value, str):
        if any(0xD800 <= ord(letter) <= 0xDFFF for letter in value):
            raise BundleError(f"{where} holds half a surrogate pair, which UTF-8 cannot carry; give whole characters.")
        return value
    if value is None or isinstance(value, bool):
        return value
    if type(value) is int:
        return value
    if type(value) is float:
        if not math.isfinite(value):
            raise BundleError(f"{where} is {value}, which JSON cannot carry; give a finite number or None.")
        return value
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value)
        for key in items:
            if not isinstance(key, str):
                raise BundleError(f"{where} has the key {key!r} of type {type(key).__name__}; keys must be str.")
        return {str(key): plain(items[key], f"{where}[{key!r}]", depth + 1) for key in items}
    if isinstance(value, list | tuple):
        entries = cast("list[object]", value)
        return [plain(entry, f"{where}[{i}]", depth + 1) for i, entry in enumerate(entries)]
    raise BundleError(
        f"{where} is a {type(value).__module__}.{type(value).__name__}; a bundle stores str, int, float, bool, None, "
        "lists and mappings only. Convert it first (numpy: `.item()` or `.tolist()`)."
    )


def canonical_json(value: object) -> bytes:
    """Return the one canonical form: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def pretty_json(value: object) -> bytes:
    """Return the form for people to read: sorted keys, two spaces, UTF-8, a newline at the end."""
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def parse_json(data: bytes, file: str) -> Any:
    """Read strict JSON: no NaN, no key twice, no endless nesting."""

    def constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) != len(items):
            raise ValueError("a key stands twice in one object")
        return result

    try:
        return json.loads(data.decode(), parse_constant=constant, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:  # both decoding errors are ValueErrors
        raise BundleError(f"{file} is not readable JSON ({error or 'nested too deep'}).") from error


def yaml_text(value: Mapping[str, Any]) -> bytes:
    """Return sorted block YAML that reads back as the same value."""
    # The pure-python dumper: libyaml breaks lines elsewhere, and the bytes are part of the bundle's id.
    text = yaml.dump(
        dict(value), Dumper=yaml.SafeDumper, sort_keys=True, default_flow_style=False, allow_unicode=True, width=4096
    )
    data = text.encode()
    if parse_yaml(data, "config.yaml") != value:
        raise BundleError("config does not survive a round trip through YAML; use plain names, numbers and lists.")
    return data


class _Loader(yaml.SafeLoader):
    """Safe YAML without aliases (a few lines of them grow to gigabytes) and without a key given twice."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if cast("Any", self).check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed in a bundle")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if len(set(map(str, keys))) != len(keys):
            raise yaml.YAMLError("a key stands twice in one mapping")
        return super().construct_mapping(node, deep)


def parse_yaml(data: bytes, file: str) -> Any:
    """Read strict YAML: safe tags only, no alias, no key twice, no endless nesting."""
    try:
        return yaml.load(data.decode(), Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split()) or "nested too deep"
        raise BundleError(f"{file} is not readable YAML ({reason}).") from error


def mapping(value: object, file: str) -> dict[str, Any]:
    """Return `value` when it is an object with text keys and plain values, else refuse it."""
    if not isinstance(value, dict):
        raise BundleError(f"{file} holds a {type(value).__name__}, where an object with keys belongs.")
    return cast("dict[str, Any]", plain(cast("object", value), file))
