"""Serves one verified bundle over HTTP; no torch."""

from conv2d_edge._engine import Engine, Prediction
from conv2d_edge._service import make_app

__all__ = ["Engine", "Prediction", "make_app"]
