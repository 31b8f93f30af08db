"""One shape for the records of many producers.

Known are our own, the standard library's JSON formatters, structlog, loguru, bunyan and pino, and ECS. A field that
no table names stays what it is.
"""

from collections.abc import Mapping
from typing import Any, cast

from conv2d.logging._levels import level_name
from conv2d.logging._when import instant, stamp_text

Record = dict[str, Any]

_FROM: dict[str, tuple[str, ...]] = {
    "ts": ("ts", "timestamp", "@timestamp", "time", "asctime", "datetime", "created"),
    "level": ("level", "levelname", "severity", "log.level", "log_level", "lvl", "levelno"),
    "logger": ("logger", "logger_name", "log.logger", "name", "channel"),
    "event": ("event", "message", "msg", "text"),
}
_BUNYAN = {10: "debug", 20: "debug", 30: "info", 40: "warning", 50: "error", 60: "critical"}


def unify(raw: Record) -> Record:
    """Return the record with ``ts``, ``level``, ``logger`` and ``event`` first, whatever its producer calls them.

    Example
    -------
    >>> unify({"time": 1.5, "levelname": "WARN", "name": "app", "message": "late", "lag": 3})
    {'ts': '1970-01-01T00:00:01.500000000Z', 'level': 'warning', 'logger': 'app', 'event': 'late', 'lag': 3}
    """
    if "ts" in raw and "seq" in raw and "run_id" in raw:
        return raw
    if isinstance(raw.get("record"), dict) and "text" in raw:
        raw = _from_loguru(cast(Record, raw["record"]))
    elif isinstance(raw.get("log"), dict):
        raw = {f"log.{name}": value for name, value in cast(Record, raw["log"]).items()} | raw
        raw.pop("log")
    rest = dict(raw)
    found: Record = {"ts": None, "level": None, "logger": None, "event": None}
    for name, candidates in _FROM.items():
        for candidate in candidates:
            if rest.get(candidate) is not None:
                found[name] = rest.pop(candidate)
                break
    if isinstance(found["level"], int) and "msg" in raw and ("hostname" in raw or "v" in raw):
        found["level"] = _BUNYAN.get(found["level"], found["level"])
    found["level"] = level_name(found["level"]) or found["level"]
    moment = instant(found["ts"])
    if moment is not None:
        found["ts"] = stamp_text(moment)
    if "exception" not in rest and (raised := _exception(rest)):
        found["exception"] = raised
    return found | rest


def _exception(rest: Record) -> dict[str, object] | None:
    """Take an exception out of the names that other producers give it."""
    for name in ("exc_info", "exc_text", "err", "error.stack_trace"):
        value = rest.get(name)
        if isinstance(value, str) and value:
            rest.pop(name)
            kind, _, message = value.strip().splitlines()[-1].partition(": ")
            return {"type": kind, "message": message, "traceback": value}
        if isinstance(value, dict):
            error = cast(dict[str, object], rest.pop(name))
            return {
                "type": error.get("type") or error.get("name"),
                "message": error.get("message"),
                "traceback": error.get("stack"),
            }
    return None


def _from_loguru(record: Record) -> Record:
    def inner(name: str, key: str) -> object:
        value = record.get(name)
        return cast(Mapping[str, object], value).get(key) if isinstance(value, dict) else value

    extra = record.get("extra")
    found: Record = {
        "timestamp": inner("time", "timestamp"),
        "level": inner("level", "name"),
        "logger": record.get("name"),
        "message": record.get("message"),
        "pid": inner("process", "id"),
        "thread": inner("thread", "name"),
    }
    raised = record.get("exception")
    if isinstance(raised, dict):
        error = cast(Record, raised)
        found["exception"] = {"type": error.get("type"), "message": error.get("value"), "traceback": None}
    return found | (cast(Record, extra) if isinstance(extra, dict) else {})
