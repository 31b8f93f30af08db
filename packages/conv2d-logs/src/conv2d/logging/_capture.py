"""Bring in what others log: records of the standard library's ``logging`` and of ``warnings``; undone on request."""

import logging
import warnings
from typing import Any, TextIO

from conv2d.logging._levels import LEVELS, level_name
from conv2d.logging._pipeline import Pipeline

# What every LogRecord has; the rest is what the caller gave as `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _Handler(logging.Handler):
    def __init__(self, pipeline: Pipeline, level: str) -> None:
        super().__init__(LEVELS[level])
        self._pipeline = pipeline

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields: dict[str, object] = {name: value for name, value in vars(record).items() if name not in _OWN}
            if record.exc_info:
                fields["exc_info"] = record.exc_info
            if record.stack_info:
                fields["stack_info"] = record.stack_info
            self._pipeline.emit(level_name(record.levelno) or "info", record.name, record.getMessage(), fields)
        except Exception:
            self.handleError(record)


class Capture:
    """What was changed in the standard library, and how to change it back."""

    def __init__(self) -> None:
        self._handler: _Handler | None = None
        self._root_level: int | None = None
        self._show: Any = None

    def stdlib(self, pipeline: Pipeline, level: str) -> None:
        """Add a handler to the root logger; its level is lowered only when nobody has configured it."""
        root = logging.getLogger()
        if not root.handlers and root.level > LEVELS[level]:
            self._root_level = root.level
            root.setLevel(LEVELS[level])
        self._handler = _Handler(pipeline, level)
        root.addHandler(self._handler)

    def warnings(self, pipeline: Pipeline) -> None:
        """Log what ``warnings`` would print; filters, and warnings turned into errors, stay as they are."""
        previous = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if file is not None:
                previous(message, category, filename, lineno, file, line)
                return
            fields = {"category": category.__name__, "file": filename, "line": lineno}
            pipeline.emit("warning", "py.warnings", str(message), fields)

        self._show = (show, previous)
        warnings.showwarning = show

    def undo(self) -> None:
        """Put back what was there, unless somebody else has replaced it since."""
        root = logging.getLogger()
        if self._handler is not None:
            root.removeHandler(self._handler)
        if self._root_level is not None:
            root.setLevel(self._root_level)
        if self._show is not None and warnings.showwarning is self._show[0]:
            warnings.showwarning = self._show[1]
        self.__init__()
