"""Rules of a grammar as people write them, to weights: names checked, each mistake told with its rule."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Context = tuple[int, ...]

_KEYS = ("operations", "start", "allowed", "discouraged")


def read_yaml(path: str | Path) -> Mapping[str, object]:
    """Return the mapping that a YAML file holds."""
    try:
        import yaml
    except ImportError as error:
        raise ImportError(
            "Grammar.from_yaml reads YAML with PyYAML: pip install 'conv2d-temporal[yaml]', or use from_dict."
        ) from error
    try:
        rules: object = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    if not isinstance(rules, dict):
        raise ValueError(f"{path} must hold a mapping with the keys {', '.join(_KEYS)}; got {type(rules).__name__}.")
    return cast("Mapping[str, object]", rules)


def read_rules(rules: Mapping[str, object]) -> tuple[tuple[str, ...], Float, dict[Context, Float]]:
    """Return the operations, the weights of the first one, and those of the next one after each context."""
    if unknown := set(rules) - set(_KEYS):
        raise ValueError(f"A grammar has the keys {', '.join(_KEYS)}; got {sorted(map(str, unknown))}.")
    names = _names(rules.get("operations"), "operations")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"operations must be different names, at least one; got {list(names)}.")
    index = {name: i for i, name in enumerate(names)}
    start = np.ones(len(names))
    if rules.get("start") is not None:
        start = _marked(_names(rules["start"], "start"), index, "start")
    allowed = _mapping(rules.get("allowed"), "allowed")
    discouraged = _mapping(rules.get("discouraged"), "discouraged")
    weights: dict[Context, Float] = {}
    contexts = {_context(key, index): key for key in [*allowed, *discouraged]}
    for context in sorted(contexts, key=len):
        key = contexts[context]
        weight = longest(weights, context, len(names)).copy()
        if key in allowed:
            weight = _marked(_names(allowed[key], f"allowed: {key}"), index, f"allowed: {key}")
        for name, value in _mapping(discouraged.get(key), f"discouraged: {key}").items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
                raise ValueError(f"discouraged: {key}: {name}: a weight between 0 and 1 is needed, got {value!r}.")
            weight[place_of(name, index, f"discouraged: {key}")] = value
        weights[context] = weight
    return names, start, weights


def longest(weights: Mapping[Context, Float], before: Context, size: int) -> Float:
    """Return the weights after the longest end of `before` that is known."""
    for at in range(len(before)):
        if before[at:] in weights:
            return weights[before[at:]]
    return np.ones(size)


def _names(value: object, where: str) -> tuple[str, ...]:
    names = tuple(cast("Sequence[object]", value)) if isinstance(value, (list, tuple)) else None
    if names is None or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{where} must be a list of names, got {value!r}; quote what YAML does not read as text.")
    return cast("tuple[str, ...]", names)


def _mapping(value: object, where: str) -> dict[str, object]:
    if value is None:
        return {}
    found = cast("dict[object, object]", value)
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in found):
        raise ValueError(f"{where} must be a mapping from names, got {value!r}; quote what YAML does not read as text.")
    return cast("dict[str, object]", found)


def place_of(name: str, index: Mapping[str, int], where: str) -> int:
    """Return the place of an operation's name."""
    if name not in index:
        raise ValueError(f"{where}: {name!r} is none of the operations {list(index)}.")
    return index[name]


def _marked(names: Sequence[str], index: Mapping[str, int], where: str) -> Float:
    weight = np.zeros(len(index))
    weight[[place_of(name, index, where) for name in names]] = 1.0
    return weight


def _context(key: str, index: Mapping[str, int]) -> Context:
    return tuple(place_of(part.strip(), index, key) for part in key.split(">"))
