"""One record as a line for people; what was logged cannot command the terminal."""

import re
from collections.abc import Mapping
from typing import cast

from conv2d.logging._encode import encode

HIDDEN = frozenset({"ts", "level", "logger", "event", "run_id", "host", "pid", "thread", "seq", "exception", "stack"})
COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}

# C0 and C1 controls, and the marks that reorder text: all of them, for "\x9b" begins an escape sequence too.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def harmless(text: str, keep: str = "") -> str:
    r"""Return `text` with control characters written as escapes, except those in `keep`.

    Example
    -------
    >>> print(harmless("red \x1b[31m alert\n"))
    red \x1b[31m alert\n
    """

    def escape(found: re.Match[str]) -> str:
        return found[0] if found[0] in keep else found[0].encode("unicode_escape").decode()

    return _CONTROL.sub(escape, text)


def value_text(value: object) -> str:
    """Return a field's value as text: a bare word where that is unambiguous, else JSON."""
    if isinstance(value, str) and value and not re.search(r"[\s\"'=\\{}\[\]]", value):
        return harmless(value)
    return harmless(encode({"v": value})[5:-1].decode("utf-8", "replace"))


def pretty(record: Mapping[str, object], colour: bool = False, verbose: bool = False) -> str:
    """Return the record as one line, without the newline; an exception's traceback follows when `verbose`."""
    level = str(record.get("level") or "-")
    stamp = str(record.get("ts") or "-")
    # Milliseconds are enough for eyes; the file keeps nanoseconds.
    stamp = re.sub(r"(\.\d{3})\d+", r"\1", stamp)
    head, tail = f"{harmless(stamp)} {harmless(level):8}", ""
    event, logger = harmless(str(record.get("event") or "")), harmless(str(record.get("logger") or "-"))
    if colour:
        head = f"\x1b[2m{harmless(stamp)}\x1b[0m \x1b[{COLOURS.get(level, '0')}m{harmless(level):8}\x1b[0m"
        event = f"\x1b[1m{event}\x1b[0m"
    for name, value in record.items():
        if name not in HIDDEN:
            tail += f" {harmless(name)}={value_text(value)}"
    raised = record.get("exception")
    if isinstance(raised, Mapping):
        error = cast(Mapping[str, object], raised)
        tail += f" {harmless(str(error.get('type')))}: {harmless(str(error.get('message')))}"
        trace = error.get("traceback")
        if verbose and isinstance(trace, str):
            tail += "\n" + harmless(trace.rstrip("\n"), keep="\n")
    return f"{head} {logger} {event}{tail}"
