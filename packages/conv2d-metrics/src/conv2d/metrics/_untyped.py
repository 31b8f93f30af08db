"""SciPy, which ships no types and takes longer to import than all of this wheel: loaded when first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def scipy(part: str) -> Any:
    """Load a subpackage of SciPy."""
    return import_module(f"scipy.{part}")
