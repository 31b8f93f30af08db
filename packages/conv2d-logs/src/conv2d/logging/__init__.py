"""Structured JSON-lines logging, and the ``conv2d-logs`` command that reads it.

Example
-------
>>> from conv2d.logging import setup_logging, shutdown_logging
>>> log = setup_logging(name="docs", console="off")
>>> log.info("started", windows=240)
>>> shutdown_logging()
"""

if __name__ == "logging":
    # Python puts the folder it is started in first on its path; everything that logs would break, obscurely.
    raise ImportError(
        f"{__file__} was imported in place of the standard library's `logging`: Python was started inside the folder "
        "`conv2d`. Start it in another folder, or with `python -P`, to get `logging` from the standard library"
    )

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conv2d.logging.structured import (
        get_logger,
        log_clustering,
        log_config,
        log_data_processing,
        log_epoch,
        log_exception,
        log_fsq_config,
        log_merge,
        log_metrics,
        log_qa_issue,
        log_seeds,
        log_smoothing,
        metrics,
        setup_logging,
        shutdown_logging,
    )

__all__ = [
    "get_logger",
    "log_clustering",
    "log_config",
    "log_data_processing",
    "log_epoch",
    "log_exception",
    "log_fsq_config",
    "log_merge",
    "log_metrics",
    "log_qa_issue",
    "log_seeds",
    "log_smoothing",
    "metrics",
    "setup_logging",
    "shutdown_logging",
]


def __getattr__(name: str) -> object:
    """Import what is asked for: structlog takes longer to import than the command takes to answer."""
    if name in __all__:
        return getattr(importlib.import_module("conv2d.logging.structured"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
