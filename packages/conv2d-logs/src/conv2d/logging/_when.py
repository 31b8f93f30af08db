"""Moments: what is in a record's time stamp, and what a user means by ``--since 2h``."""

import re
from datetime import UTC, datetime, timedelta

from conv2d.logging._errors import UserError

_STAMP = re.compile(
    r"\s*(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9})\d*)?)?\s*(Z|z|UTC|[+-]\d\d(?::?\d\d)?)?\s*"
)
_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h|d|w)\s*")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_NS = 1_000_000_000


def instant(stamp: object) -> int | None:
    """Return a time stamp as nanoseconds since 1970 UTC, None when it is none.

    Text is ISO 8601, with a blank or comma where Python's ``asctime`` has them; without a zone it is UTC. Numbers are
    seconds, or by their size milli-, micro- or nanoseconds.

    Example
    -------
    >>> instant("1970-01-01T00:00:01.000000002Z"), instant("1970-01-01 02:00:01,5 +02:00"), instant(1.5)
    (1000000002, 1500000000, 1500000000)
    """
    if isinstance(stamp, bool):
        return None
    if isinstance(stamp, int | float):
        return _of_number(stamp)
    if not isinstance(stamp, str):
        return None
    found = _STAMP.fullmatch(stamp)
    if found is None:
        return None
    day, clock, fraction, zone = found.groups()
    offset = {None: "+00:00", "Z": "+00:00", "z": "+00:00", "UTC": "+00:00"}.get(zone, zone)
    try:
        moment = datetime.fromisoformat(f"{day}T{clock or '00:00'}{offset}")
    except ValueError:
        return None
    whole = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (whole.days * 86_400 + whole.seconds) * _NS + int((fraction or "").ljust(9, "0"))


def stamp_text(moment: int) -> str:
    """Return nanoseconds since 1970 as our own time stamp.

    Example
    -------
    >>> stamp_text(1_000_000_002)
    '1970-01-01T00:00:01.000000002Z'
    """
    second, rest = divmod(moment, _NS)
    day = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    return f"{day:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def bound(text: str, now: datetime, option: str) -> int:
    """Return what the user means by ``2h`` (before `now`) or an absolute time, as nanoseconds since 1970.

    Raises
    ------
    UserError
        If it is neither.
    """
    span = _SPAN.fullmatch(text)
    if span is not None:
        return int((now.timestamp() - float(span[1]) * _SECONDS[span[2]]) * 1e6) * 1000
    moment = instant(text)
    if moment is None:
        raise UserError(
            f"{option} must be a span back from now, such as 30s, 45m, 2h, 7d, or a time, such as 2026-11-21 or "
            f"2026-11-21T14:30:00Z; got {text!r}"
        )
    return moment


def _of_number(stamp: float) -> int | None:
    # 1e11 s is in the year 5138 and 1e11 ms in 1973: a stamp of this century has one reading only.
    for limit, scale in ((1e11, _NS), (1e14, 1_000_000), (1e17, 1_000), (1e20, 1)):
        if abs(stamp) < limit:
            return stamp * scale if isinstance(stamp, int) else round(stamp * scale)
    return None
