"""From a call to a line: the path that every record takes, whichever library it was logged with."""

import itertools
import os
import secrets
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, cast

from structlog.contextvars import get_contextvars

from conv2d.logging._compress import Compression
from conv2d.logging._encode import decode, encode, plain_fields
from conv2d.logging._levels import LEVELS
from conv2d.logging._pretty import pretty
from conv2d.logging._rotate import RotatingFile
from conv2d.logging._sink import FileSink, to_stderr

Console = Literal["auto", "json", "pretty", "off"]
CONSOLES = ("auto", "json", "pretty", "off")

# Keys that the record itself owns; a caller's field of that name gets a trailing underscore.
RESERVED = frozenset({"ts", "level", "logger", "event", "run_id", "host", "pid", "thread", "seq", "exception", "stack"})

# structlog's methods that are not named as their level.
_METHODS = {name: name for name in LEVELS} | {
    "warn": "warning",
    "err": "error",
    "exception": "error",
    "fatal": "critical",
}

# One numbering for the process, whatever is set up anew, so that equal numbers never stand for two records.
_numbers = itertools.count()

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def new_run_id() -> str:
    """Return the run's id: the environment's CONV2D_RUN_ID, so that child processes may share it, or a new one."""
    return os.environ.get("CONV2D_RUN_ID") or f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"


class Pipeline:
    """Build records and hand them to the sinks; safe among threads, and after ``fork``."""

    def __init__(self, file: FileSink | None, console: Console, durable_from: int | None, run_id: str) -> None:
        self.run_id = run_id
        self.file = file
        self._style = _console_style(console)
        self._durable_from = 1000 if durable_from is None else durable_from
        self._host = socket.gethostname()
        self._second, self._stamp = -1, b""
        # The parts of a line that recur, as bytes: encoding them anew would cost as much as the rest of the record.
        self._heads: dict[tuple[str, str, str], bytes] = {}
        self._middles: dict[str, bytes] = {}
        self._warned = False
        self.start_process()

    def start_process(self) -> None:
        """Take note of the process we are in."""
        # Re-entrant, for a signal handler may log while its thread is logging.
        self.lock = threading.RLock()
        self._pid = os.getpid()
        self._middles.clear()
        if self.file is not None:
            # A file opened before a fork would share its lock with the parent.
            self.file.drop()

    def emit(self, level: str, logger: str, event: object, fields: Mapping[str, object]) -> None:
        """Write one record. Never raises: a log line is not worth a lost run."""
        try:
            self._emit(level, logger, event, fields)
        except Exception as error:
            if not self._warned:
                self._warned = True
                to_stderr(f"conv2d.logging: a record was lost: {type(error).__name__}\n".encode())

    def _emit(self, level: str, logger: str, event: object, fields: Mapping[str, object]) -> None:
        text = event if type(event) is str else str(event)
        context = get_contextvars()
        if context:
            fields = {**context, **fields}
        raised = stack = None
        if "exc_info" in fields or "stack_info" in fields:
            fields = dict(fields)
            raised, stack = fields.pop("exc_info", None), fields.pop("stack_info", None)
        given = plain_fields(fields)
        if not RESERVED.isdisjoint(given):
            given = {name + "_" if name in RESERVED else name: value for name, value in given.items()}
        if raised:
            given["exception"] = describe_exception(raised)
        if stack:
            given["stack"] = stack if isinstance(stack, str) else "".join(traceback.format_stack()[:-4])
        body = b"," + encode(given)[1:-1] if given else b""
        head = self._heads.get((level, logger, text)) or self._head(level, logger, text)
        thread = threading.current_thread().name
        middle = self._middles.get(thread) or self._middle(thread)
        durable = LEVELS.get(level, 0) >= self._durable_from
        with self.lock:
            # Time and number are taken together, so that a process's lines stand in the order of both.
            second, nanosecond = divmod(time.time_ns(), 1_000_000_000)
            if second != self._second:
                self._second = second
                self._stamp = time.strftime('{"ts":"%Y-%m-%dT%H:%M:%S.', time.gmtime(second)).encode()
            line = b"".join((self._stamp, b"%09d" % nanosecond, head, middle, body, b',"seq":%d}\n' % next(_numbers)))
            if self.file is not None:
                self.file.write(line, durable)
            if self._style == "json":
                to_stderr(line)
            elif self._style != "off":
                shown = pretty(decode(line), colour=self._style == "colour", verbose=True)
                to_stderr(shown.encode("utf-8", "replace") + b"\n")

    def _head(self, level: str, logger: str, event: str) -> bytes:
        frame = {"level": level, "logger": str(logger), "event": event}
        return _keep(self._heads, (level, logger, event), b'Z",' + encode(frame)[1:-1] + b",")

    def _middle(self, thread: str) -> bytes:
        frame = {"run_id": self.run_id, "host": self._host, "pid": self._pid, "thread": thread}
        return _keep(self._middles, thread, encode(frame)[1:-1])

    def process(self, logger: Any, method: str, event_dict: MutableMapping[str, Any]) -> str:
        """Be the only processor of structlog's chain."""
        fields = dict(event_dict)
        self.emit(_METHODS.get(method, "info"), logger.name, fields.pop("event", ""), fields)
        return ""


class Output:
    """What structlog calls after the chain; the chain has written already."""

    def __init__(self, name: str) -> None:
        self.name = name

    def msg(self, _: str) -> None:
        """Do nothing."""

    log = debug = info = warn = warning = err = error = exception = critical = fatal = failure = msg


def start_child(pipeline: Pipeline) -> None:
    """Make a forked child a process of its own: free locks, and lines numbered from 0."""
    global _numbers
    _numbers = itertools.count()
    pipeline.start_process()


def describe_exception(raised: object) -> dict[str, object]:
    """Return ``type``, ``message`` and ``traceback`` of an exception, an ``exc_info`` triple, or the current one."""
    if isinstance(raised, BaseException):
        error: BaseException | None = raised
    elif isinstance(raised, tuple) and len(cast(tuple[object, ...], raised)) == 3:
        error = cast(ExcInfo, raised)[1]
    else:
        error = sys.exc_info()[1]
    if error is None:
        return {"type": "None", "message": "no exception is being handled", "traceback": ""}
    try:
        message = str(error)
        trace = "".join(traceback.format_exception(error))
    except Exception:
        message, trace = "its text cannot be made", ""
    return {"type": type(error).__qualname__, "message": message, "traceback": trace}


def _keep(cache: dict[Any, bytes], key: object, part: bytes) -> bytes:
    """Remember a part of a line, unless it is long; texts with numbers inside must not fill the memory."""
    if len(part) < 300:
        if len(cache) >= 1000:
            cache.clear()
        cache[key] = part
    return part


def make_file(
    output_file: str | os.PathLike[str] | None, rotate: str | None, keep: int | None, compress: Compression | None
) -> FileSink | None:
    """Return the sink for a file, absolute, so that a later change of folder does not move the log."""
    if output_file is None or rotate is None:
        for name, value in (("rotate", rotate), ("keep", keep), ("compress", compress)):
            if value is not None:
                raise ValueError(f"{name} needs {'output_file' if output_file is None else 'rotate'}; got {value!r}")
        return None if output_file is None else FileSink(Path(output_file).absolute())
    return RotatingFile(Path(output_file).absolute(), rotate, keep, compress or "gzip")


def _console_style(console: Console) -> Literal["json", "plain", "colour", "off"]:
    if console in ("json", "off"):
        return console
    try:
        terminal = sys.stderr.isatty()
    except (AttributeError, ValueError):
        terminal = False
    if console == "auto" and not terminal:
        return "json"
    return "colour" if terminal and not os.environ.get("NO_COLOR") else "plain"
