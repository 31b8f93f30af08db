"""Set up logging, and log typed events.

A typed event is a function: its arguments are the event's fields, so that every program writes the same names and a
query written once holds for all of them. Everything else is logged with the logger that `setup_logging` returns, or
with ``structlog.get_logger()``.

Example
-------
>>> import json, tempfile, pathlib
>>> from conv2d.logging.structured import log_fsq_config, setup_logging, shutdown_logging
>>> file = pathlib.Path(tempfile.mkdtemp()) / "training.log"
>>> log = setup_logging(name="conv2d", output_file=file, console="off")
>>> log_fsq_config(levels=[8, 6, 5], embedding_dim=64, codebook_size=240)
>>> shutdown_logging()
>>> record = json.loads(file.read_text())
>>> record["event"], record["levels"], record["codebook_size"]
('fsq_config', [8, 6, 5], 240)
"""

from conv2d.logging._events import (
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
)
from conv2d.logging._setup import Logger, get_logger, metrics, setup_logging, shutdown_logging

__all__ = [
    "Logger",
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
