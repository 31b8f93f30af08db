r"""Any Python value as plain JSON data: nothing rounded, nothing invalid, no secrets, never an exception.

JSON has no form for some values; they become strings with a tag that says what they were:

===================================  =========================================================
value                                written as
===================================  =========================================================
NaN, infinity, -infinity             ``"float:nan"``, ``"float:inf"``, ``"float:-inf"``
bytes                                ``"bytes:"`` and base64
complex, Decimal, Fraction           ``"complex:(1+2j)"``, ``"decimal:0.10"``, ``"fraction:1/3"``
numpy and torch scalars, arrays      numbers and nested lists; past 10,000 elements shape and dtype only
datetime, date, time                 ISO 8601; a timedelta as seconds
path, UUID                           its string
enum                                 its value
tuple, set                           list (a set sorted)
dataclass                            object of its fields
exception                            object with ``type`` and ``message``
a string that is no valid Unicode    with the stray halves of surrogate pairs written ``\udc80``
anything else                        its ``repr``
===================================  =========================================================

The value of a key that names a secret (password, API key, token …) is ``"[redacted]"``, unless it is a number.
"""

import base64
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import itertools
import math
import os
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import msgspec

REDACTED = "[redacted]"
MAX_DEPTH = 20
MAX_ELEMENTS = 10_000

# "session" and "id" are not here: a session is also a recording of a subject.
_SECRET_WORDS = frozenset(
    {"password", "passwords", "passwd", "passphrase", "pwd", "secret", "secrets", "token", "tokens", "apikey"}
    | {"credential", "credentials", "authorization", "auth", "bearer", "cookie", "cookies", "accesskey", "privatekey"}
)
_SECRET_PAIRS = frozenset({("api", "key"), ("access", "key"), ("private", "key"), ("signing", "key")})

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, object]).decode
_isfinite = math.isfinite


@functools.lru_cache(maxsize=4096)
def names_secret(key: str) -> bool:
    """Whether a key names something that must not be written.

    Example
    -------
    >>> [names_secret(key) for key in ("db_password", "apiKey", "X-Auth-Token", "keyboard", "secretary")]
    [True, True, True, False, False]
    """
    words = re.findall(r"[a-z0-9]+", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", key).lower())
    return any(word in _SECRET_WORDS for word in words) or not _SECRET_PAIRS.isdisjoint(itertools.pairwise(words))


def plain(value: object, depth: int = 0) -> object:
    """Return `value` as None, bool, int, finite float, str, list or dict with string keys; see the module's table."""
    kind = type(value)
    if value is None or kind is str or kind is int or kind is bool:
        return value
    if kind is float:
        number = cast(float, value)
        return number if math.isfinite(number) else f"float:{number}"
    if depth > MAX_DEPTH:
        return f"<deeper than {MAX_DEPTH} levels>"
    if kind is dict:
        return plain_fields(cast(dict[object, object], value), depth)
    if kind is list or kind is tuple:
        return [plain(item, depth + 1) for item in cast(list[object], value)]
    try:
        return _other(value, depth)
    except Exception:
        # A broken __repr__, a tensor on a lost device …: the log line still comes.
        return f"<{kind.__module__}.{kind.__qualname__} that cannot be written>"


def plain_fields(fields: Mapping[Any, object], depth: int = 0) -> dict[str, object]:
    """Return a mapping as plain JSON data with string keys and secrets redacted."""
    written: dict[str, object] = {}
    for key, value in fields.items():
        name = key if type(key) is str else str(key)
        kind = type(value)
        if kind is int or kind is bool or value is None or (kind is float and _isfinite(cast(float, value))):
            # Numbers are never secrets: a count of tokens is what the encoder emits.
            written[name] = value
        elif names_secret(name) and not _is_number(value):
            written[name] = REDACTED
        else:
            written[name] = value if kind is str else plain(value, depth + 1)
    return written


def decode(line: bytes) -> dict[str, object]:
    """Return one line of our own as data."""
    return _decode(line)


def encode(record: object) -> bytes:
    """Return plain data as one line of JSON, without the newline."""
    try:
        return _encode(record)
    except UnicodeEncodeError:
        return _encode(_valid_unicode(record))


def _is_number(value: object) -> bool:
    """Whether it is a count (`tokens=64`), or several, rather than a secret; never true of a string."""
    if isinstance(value, list | tuple):
        return all(_is_number(item) for item in cast(list[object], value))
    dtype = getattr(value, "dtype", None)
    return isinstance(value, int | float) or (dtype is not None and hasattr(value, "tolist"))


def _valid_unicode(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        items = cast(dict[str, object], value).items()
        return {_valid_unicode(key): _valid_unicode(item) for key, item in items}
    if isinstance(value, list):
        return [_valid_unicode(item) for item in cast(list[object], value)]
    return value


def _array(value: Any, depth: int) -> object:
    """Numpy and torch values, without importing either."""
    count = math.prod(value.shape)
    if count > MAX_ELEMENTS:
        return {"shape": [int(size) for size in value.shape], "dtype": str(value.dtype), "elided": True}
    kind = getattr(value.dtype, "kind", "")
    if kind in ("M", "m"):
        # Python's datetime would cut off nanoseconds.
        return value.astype(str).tolist()
    listed: object = value.tolist()
    if hasattr(listed, "dtype"):
        # Long double has no Python equal.
        return str(listed)
    return plain(listed, depth + 1)


def _enum(value: Any, depth: int) -> object:
    return plain(value.value, depth + 1)


def _dataclass(value: Any, depth: int) -> object:
    return plain_fields({field.name: getattr(value, field.name) for field in dataclasses.fields(value)}, depth)


def _members(value: Iterable[object], depth: int) -> object:
    return sorted((plain(item, depth + 1) for item in value), key=repr)


_BY_TYPE: tuple[tuple[Any, Callable[[Any, int], object]], ...] = (
    (enum.Enum, _enum),
    (str, lambda value, _: str.__str__(value)),
    (int, lambda value, _: int(value)),
    (float, lambda value, depth: plain(float(value), depth)),
    (Mapping, plain_fields),
    ((list, tuple), lambda value, depth: plain(list(value), depth)),
    ((set, frozenset), _members),
    ((bytes, bytearray, memoryview), lambda value, _: f"bytes:{base64.b64encode(bytes(value)).decode()}"),
    ((datetime.datetime, datetime.date, datetime.time), lambda value, _: value.isoformat()),
    (datetime.timedelta, lambda value, _: value.total_seconds()),
    (os.PathLike, lambda value, depth: plain(cast(object, os.fspath(value)), depth + 1)),
    (uuid.UUID, lambda value, _: str(value)),
    (complex, lambda value, _: f"complex:{complex(value)}"),
    (decimal.Decimal, lambda value, _: f"decimal:{value}"),
    (fractions.Fraction, lambda value, _: f"fraction:{value}"),
    (BaseException, lambda value, _: {"type": type(value).__name__, "message": str(value)}),
)


def _other(value: object, depth: int) -> object:
    if hasattr(value, "dtype") and hasattr(value, "tolist") and hasattr(value, "shape"):
        return _array(value, depth)
    for kind, write in _BY_TYPE:
        if isinstance(value, kind):
            return write(value, depth)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _dataclass(value, depth)
    return repr(value)
