"""Request bodies to windows: strict, and every refusal says what was expected."""

import json
import re
from itertools import chain
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from conv2d.data import DataError, check_windows

_SHAPE = (9, 2, 100)
_AXES = ("channels", "devices", "steps")
_ROW = 9 * 2 * 100 * 4


class RequestError(ValueError):
    """A request that cannot be answered; `status` is the HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def windows_of_json(body: bytes) -> NDArray[np.float32]:
    """Read ``{"windows": [...]}``: numbers nested (B, 9, 2, 100), each rounded to the nearest float32."""

    def constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not a number in JSON")

    try:
        value: Any = json.loads(body.decode(), parse_constant=constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise RequestError(400, f"the body is not JSON: {reason}.") from error
    if not isinstance(value, dict) or list(cast("dict[str, Any]", value)) != ["windows"]:
        raise RequestError(400, 'the body must be a JSON object with the one key "windows".')
    windows = cast("dict[str, Any]", value)["windows"]
    if not isinstance(windows, list):
        raise RequestError(400, f"windows is {type(windows).__name__}; it must be a list of windows.")
    batch = len(cast("list[Any]", windows))
    level = cast("list[Any]", windows)
    for depth, (size, axis) in enumerate(zip(_SHAPE, _AXES, strict=True)):
        for index, item in enumerate(level):
            if not isinstance(item, list) or len(cast("list[Any]", item)) != size:
                place = np.unravel_index(index, (batch, *_SHAPE[:depth]))
                told = f"{len(cast('list[Any]', item))} items" if isinstance(item, list) else json.dumps(item)[:40]
                where = "".join(f"[{i}]" for i in place)
                raise RequestError(400, f"windows{where} is {told}; it must be a list of {size} {axis}.")
        level = list(chain.from_iterable(level))
    for index, number in enumerate(level):
        if type(number) is not float and type(number) is not int:
            where = "".join(f"[{i}]" for i in np.unravel_index(index, (batch, *_SHAPE)))
            raise RequestError(400, f"windows{where} is {json.dumps(number)[:40]}; it must be a number.")
    try:
        with np.errstate(over="ignore"):  # what is too large for float32 becomes Inf and is refused below
            array = np.array(level, dtype=np.float64).astype(np.float32).reshape(batch, *_SHAPE)
    except OverflowError as error:
        raise RequestError(400, "windows holds a whole number that is too large for float32.") from error
    return _checked(array)


def windows_of_bytes(body: bytes, shape: str | None) -> NDArray[np.float32]:
    """Read raw little-endian float32, C-ordered (B, 9, 2, 100); `shape` repeats the shape as ``B,9,2,100``."""
    if not body or len(body) % _ROW:
        raise RequestError(
            400,
            f"the body has {len(body)} bytes; raw windows are little-endian float32 (B, 9, 2, 100), so the length is a "
            f"positive multiple of 9·2·100·4 = {_ROW}.",
        )
    expected = (len(body) // _ROW, *_SHAPE)
    if shape is not None:
        told = tuple(int(n) for n in shape.split(",")) if re.fullmatch(r"\d{1,9}(,\d{1,9}){3}", shape) else None
        if told != expected:
            raise RequestError(400, f"shape={shape[:60]!r}, but a body of {len(body)} bytes has the shape {expected}.")
    return _checked(np.frombuffer(body, "<f4").astype(np.float32).reshape(expected))


def _checked(array: NDArray[np.float32]) -> NDArray[np.float32]:
    try:
        check_windows(array)
    except DataError as error:
        raise RequestError(400, str(error)) from error
    return array
