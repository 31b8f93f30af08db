"""Set up logging for the process: where records go, and what else is brought in."""

import atexit
import os
import sys
from collections.abc import Mapping
from typing import Any, Protocol, cast

import structlog

from conv2d.logging._capture import Capture
from conv2d.logging._compress import Compression
from conv2d.logging._counters import Metrics
from conv2d.logging._levels import LEVELS, check_level
from conv2d.logging._logger import bound_logger
from conv2d.logging._pipeline import CONSOLES, Console, Output, Pipeline, make_file, new_run_id, start_child


class Logger(Protocol):
    """What a logger can do: structlog's bound logger, seen by a type checker."""

    def debug(self, event: str, *args: object, **fields: object) -> None:
        """Log at level debug."""
        ...

    def info(self, event: str, *args: object, **fields: object) -> None:
        """Log at level info."""
        ...

    def warning(self, event: str, *args: object, **fields: object) -> None:
        """Log at level warning."""
        ...

    def error(self, event: str, *args: object, **fields: object) -> None:
        """Log at level error."""
        ...

    def critical(self, event: str, *args: object, **fields: object) -> None:
        """Log at level critical."""
        ...

    def exception(self, event: str, *args: object, **fields: object) -> None:
        """Log at level error, with the exception that is being handled."""
        ...

    def bind(self, **fields: object) -> "Logger":
        """Return a logger that adds `fields` to each of its records."""
        ...


class _State:
    """The one configuration of the process."""

    pipeline: Pipeline | None = None
    name = "conv2d"
    capture = Capture()
    finalized = False


def setup_logging(
    name: str = "conv2d",
    output_file: str | os.PathLike[str] | None = None,
    level: str | int = "info",
    console: Console = "auto",
    *,
    run_id: str | None = None,
    rotate: str | None = None,
    keep: int | None = None,
    compress: Compression | None = None,
    fsync: str | int | None = None,
    capture_stdlib: bool = True,
    capture_warnings: bool = True,
) -> Logger:
    """Send log records to a file and the console, as JSON lines; calling it again replaces the configuration.

    Every record has ``ts`` (UTC, nanoseconds), ``level``, ``logger``, ``event``, ``run_id``, ``host``, ``pid``,
    ``thread``, then the fields of the context (``structlog.contextvars``), of the logger and of the call, and last
    ``seq``, which counts the process's records from 0, so that a gap shows. A field with one of these names gets a
    trailing underscore. ``structlog`` is configured for the whole process. Logging never raises into the program.

    Parameters
    ----------
    name
        The logger's name.
    output_file
        File to append to; one ``write`` a record, so several processes may share it. None for no file. A file that
        cannot be written is not an error: one warning, and the records, go to standard error.
    level
        Lowest level that is logged: debug, info, warning, error or critical, or the standard library's number.
    console
        What goes to standard error: "json" lines, "pretty" lines for people, "off", or "auto", which is pretty on a
        terminal and JSON elsewhere.
    run_id
        Identifies the run in every record; by default the environment's CONV2D_RUN_ID, or a new one.
    rotate
        Rename the file and compress it when it reaches a size, such as "100MB", or at the end of each span of
        the clock (UTC), such as "1h", "1d" or "1w". Safe when many processes write the file, if all rotate it alike.
    keep
        How many renamed files to keep; None for all.
    compress
        How renamed files are compressed: "gzip" (None means it), "zstd" (needs the extra ``zstd``) or "none".
    fsync
        Wait for the disk after each record of this level or above. None leaves that to the operating system: a record
        then survives a killed program, not a power cut.
    capture_stdlib, capture_warnings
        Bring in records of the standard library's ``logging``, and Python's warnings.

    Returns
    -------
    Logger
        A structlog logger.

    Raises
    ------
    ValueError
        If `level`, `fsync`, `console`, `rotate` or `compress` is not one of its values, `keep` is below 1, `rotate`
        comes without `output_file`, or `keep` or `compress` without `rotate`.
    NotImplementedError
        If `rotate` is given where the system has no file locks.
    ModuleNotFoundError
        If `compress` is "zstd" and no zstd is installed.

    Example
    -------
    >>> log = setup_logging(name="docs", console="off", level="warning")
    >>> log.warning("clock_drift", device="collar", ppm=41.5)
    >>> shutdown_logging()
    """
    lowest = check_level(level)
    if console not in CONSOLES:
        raise ValueError(f"console must be one of {', '.join(CONSOLES)}; got {console!r}")
    durable_from = None if fsync is None else LEVELS[check_level(fsync, "fsync")]
    file = make_file(output_file, rotate, keep, compress)
    shutdown_logging()
    pipeline = Pipeline(file, console, durable_from, run_id or new_run_id())
    _State.pipeline, _State.name = pipeline, name
    processors: list[Any] = [pipeline.process]
    structlog.configure(
        processors=processors,
        wrapper_class=bound_logger(pipeline, lowest, processors),
        logger_factory=lambda *args: Output(str(args[0]) if args else name),
        cache_logger_on_first_use=False,
    )
    if capture_stdlib:
        _State.capture.stdlib(pipeline, lowest)
    if capture_warnings:
        _State.capture.warnings(pipeline)
    return get_logger(name)


def shutdown_logging() -> None:
    """Flush counters and timers, close the file, and undo what was changed in ``logging``, ``warnings`` and structlog.

    Called at exit by itself. Without a set-up it does nothing.

    Example
    -------
    >>> shutdown_logging()
    """
    if _State.pipeline is not None:
        metrics.flush()
    pipeline, _State.pipeline = _State.pipeline, None
    if pipeline is None:
        return
    _State.capture.undo()
    structlog.reset_defaults()
    with pipeline.lock:
        if pipeline.file is not None:
            pipeline.file.close()


def get_logger(name: str | None = None) -> Logger:
    """Return a logger; before any `setup_logging`, it writes to standard error.

    Parameters
    ----------
    name
        Its name; by default the one given to `setup_logging`.

    Returns
    -------
    Logger
        A structlog logger.

    Example
    -------
    >>> log = get_logger("conv2d.docs").bind(subject="rex")
    """
    if _State.pipeline is None and not structlog.is_configured():
        setup_logging(capture_stdlib=False, capture_warnings=False)
    return cast(Logger, structlog.get_logger(name or _State.name).bind())


def _log_counters(fields: Mapping[str, object]) -> None:
    get_logger().info("counters", **fields)


metrics: Metrics = Metrics(_log_counters)
"""The process's counters and timers."""


def _flush_in_child(own: Metrics) -> None:
    util: Any = sys.modules["multiprocessing.util"]
    util.Finalize(None, own.flush, exitpriority=100)


def _before_fork() -> None:
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None and not _State.finalized:
        # Children of multiprocessing leave by os._exit, which skips atexit; they run its own finalizers.
        _State.finalized = True
        util.register_after_fork(metrics, _flush_in_child)
    metrics.before_fork()
    if _State.pipeline is not None:
        _State.pipeline.lock.acquire()


def _after_fork_in_parent() -> None:
    if _State.pipeline is not None:
        _State.pipeline.lock.release()
    metrics.after_fork()


def _after_fork_in_child() -> None:
    metrics.reset()
    if _State.pipeline is not None:
        start_child(_State.pipeline)


def _at_exit() -> None:
    metrics.flush()
    shutdown_logging()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
