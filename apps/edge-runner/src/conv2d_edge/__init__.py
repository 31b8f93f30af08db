"""Serves one verified bundle over HTTP; no torch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conv2d_edge._engine import Engine, Prediction
    from conv2d_edge._service import make_app

__all__ = ["Engine", "Prediction", "make_app"]

# Loaded on first use: so the command is told of Ctrl-C while it loads.
_HOMES = {"Engine": "_engine", "Prediction": "_engine", "make_app": "_service"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
