"""Finite scalar quantisation of sensor windows: edge-safe Conv2d encoder, FSQ, the window contract.

The numpy side (:mod:`conv2d.features.numpy`, :func:`encode_fsq`) never imports torch; the torch names are loaded when asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conv2d.features._contract import N_CHANNELS, N_DEVICES, WINDOW_STEPS, check_windows
from conv2d.features._errors import ContractError
from conv2d.features.fsq_contract import FSQResult, device_codes, encode_fsq

if TYPE_CHECKING:
    from conv2d.features.encoder import Conv2dEncoder
    from conv2d.features.fsq import FSQ
    from conv2d.features.model import WindowClassifier
    from conv2d.features.vq import VectorQuantizerEMA2D

__all__ = [
    "FSQ",
    "N_CHANNELS",
    "N_DEVICES",
    "WINDOW_STEPS",
    "ContractError",
    "Conv2dEncoder",
    "FSQResult",
    "VectorQuantizerEMA2D",
    "WindowClassifier",
    "check_windows",
    "device_codes",
    "encode_fsq",
]

_TORCH_NAMES = {
    "FSQ": "conv2d.features.fsq",
    "Conv2dEncoder": "conv2d.features.encoder",
    "VectorQuantizerEMA2D": "conv2d.features.vq",
    "WindowClassifier": "conv2d.features.model",
}


def __getattr__(name: str) -> object:
    """Import a torch-based name when it is first asked for, so that numpy users do not wait for torch."""
    if name in _TORCH_NAMES:
        import importlib

        return getattr(importlib.import_module(_TORCH_NAMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
