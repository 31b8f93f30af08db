"""Models as JSON files: readable, exact for float64, and no code is run on loading."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, cast

FORMAT = "conv2d.clustering/1"


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` aside and rename it, so that the file is whole or absent."""
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, allow_nan=False)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """Read a model file, or say why it is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a model file: it is not JSON ({error}).") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is not a model file: it holds a JSON {type(content).__name__}, not an object.")
    return cast("dict[str, Any]", content)


def check_stored(content: dict[str, Any], name: str) -> None:
    """Refuse what another class or another version wrote."""
    if content.get("format") != FORMAT:
        raise ValueError(f"A stored model has format {FORMAT!r}, got {content.get('format')!r}.")
    if content.get("class") != name:
        raise ValueError(
            f"This model was stored by {content.get('class')!r}; load it with that class, not with {name}."
        )
    missing = {"params", "n_features", "components", "component_motifs", "labels", "next_id"} - content.keys()
    if missing:
        raise ValueError(f"The stored {name} is incomplete: {', '.join(sorted(missing))} missing.")
