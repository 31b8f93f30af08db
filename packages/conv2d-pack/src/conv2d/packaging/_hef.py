"""Read what a compiled .hef says about itself: header, checksum, architecture, inputs and outputs. Nothing is run.

References
----------
HailoRT (MIT licence), the published format: the header in ``libhailort/src/hef/hef_internal.hpp``, the messages in
``libhailort/hef.proto``.
"""

import hashlib
import importlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from conv2d.packaging._findings import BundleError, MissingToolError

MAGIC = 0x01484546
ARCHITECTURES = {0: "hailo8", 1: "hailo8p", 2: "hailo8r", 3: "hailo8l", 4: "hailo15m", 6: "hailo15l", 103: "hailo15h"}
HAILO8 = ("hailo8", "hailo8p", "hailo8r", "hailo8l")
# After magic, version and size of the message, 4 bytes each, big-endian: the part that differs by version.
_HEADERS = {0: ">4x16s", 1: ">IQ4x", 2: ">QQ16x", 3: ">QQIQQ8x"}
_COMMON = struct.Struct(">III")

Message = dict[int, list[Any]]


@dataclass(frozen=True)
class Stream:
    """One input or output of the device: its shape in the order height, width, features, and what its integers mean."""

    name: str
    direction: Literal["input", "output"]
    shape: tuple[int, int, int]
    scale: float
    zero_point: float
    low: float
    high: float
    bits: int

    @property
    def range(self) -> tuple[float, float]:
        """The values that pass without being clipped: the compiler's limits, and what the integers can hold."""
        lowest = (0 - self.zero_point) * self.scale
        highest = (2**self.bits - 1 - self.zero_point) * self.scale
        return max(self.low, lowest), min(self.high, highest)


@dataclass(frozen=True)
class Hef:
    """What a .hef says."""

    version: int
    checksum: str
    architecture: str
    compiler: str
    streams: tuple[Stream, ...]


def read_hef(data: bytes, file: str = "model.hef") -> Hef:
    """Check header, length and checksum of a .hef and return what it says.

    Raises
    ------
    BundleError
        The file is damaged, or of a version that is not known here.
    MissingToolError
        Its checksum is of a kind that needs the extra `hailo`.
    """
    if len(data) < _COMMON.size:
        raise BundleError(f"{file} has {len(data)} bytes, fewer than the header of a .hef; compile or copy it again.")
    magic, version, size = _COMMON.unpack_from(data)
    if magic != MAGIC:
        raise BundleError(f"{file} begins with {magic:#010x}, a .hef with {MAGIC:#010x}; give the compiler's output.")
    if version not in _HEADERS:
        raise BundleError(f"{file} has the format version {version}; known are {', '.join(map(str, _HEADERS))}.")
    form = struct.Struct(_HEADERS[version])
    if len(data) < _COMMON.size + form.size:
        raise BundleError(f"{file} ends within its header; copy it again.")
    fields = form.unpack_from(data, _COMMON.size)
    body = data[_COMMON.size + form.size :]
    more, checksum = _check(version, fields, body[:size], body, file)
    if len(body) != size + more:
        raise BundleError(f"{file} holds {len(body)} bytes after its header, which says {size + more}; copy it again.")
    if checksum is not None:
        raise BundleError(f"{file} is damaged: its {checksum} is not that of its content; copy it again.")
    return _described(version, body[:size], file)


def _check(version: int, fields: tuple[Any, ...], message: bytes, body: bytes, file: str) -> tuple[int, str | None]:
    """Return how many bytes follow the message, and the name of the checksum when it is wrong."""
    if version == 0:
        return 0, None if hashlib.md5(body, usedforsecurity=False).digest() == fields[0] else "md5"
    if version == 1:
        return fields[1], None if zlib.crc32(body) == fields[0] else "crc32"
    if version == 2:
        return fields[1], None if _xxh3(body, file) == fields[0] else "xxh3_64"
    whole, weights, padding, extra, of_message = fields
    if padding > weights:
        raise BundleError(f"{file} says that its padding is larger than the section it pads; copy it again.")
    # A runtime checks the message alone where its sum is given; here the whole file is, so that no byte goes unseen.
    if of_message and _xxh3(message, file) != of_message:
        return weights + extra, "xxh3_64 of the message"
    return weights + extra, None if _xxh3(body, file) == whole else "xxh3_64"


def _xxh3(data: bytes, file: str) -> int:
    try:
        xxhash: Any = importlib.import_module("xxhash")
    except ImportError as error:
        raise MissingToolError(
            f"{file} carries an xxh3_64 checksum, which needs xxhash; install it: pip install 'conv2d-pack[hailo]'."
        ) from error
    return int(xxhash.xxh3_64_intdigest(data))


def _described(version: int, message: bytes, file: str) -> Hef:
    try:
        top = _fields(message)
        header = _fields(top[1][0])
        architecture = int(header.get(1, [0])[0])
        compiler = bytes(header.get(3, [b""])[0]).decode()
        streams = tuple(dict.fromkeys(stream for group in top.get(2, ()) for stream in _streams(_fields(group))))
    except (KeyError, IndexError, ValueError, TypeError, struct.error) as error:
        raise BundleError(f"{file} holds a message that cannot be read ({type(error).__name__}: {error}).") from error
    kind = {0: "md5", 1: "crc32", 2: "xxh3_64", 3: "xxh3_64"}[version]
    return Hef(version, kind, ARCHITECTURES.get(architecture, f"unknown ({architecture})"), compiler, streams)


def _streams(group: Message) -> Iterator[Stream]:
    """Yield the boundary layers of a network group, a core op, or the parts of one: they share these field numbers."""
    for op in group.get(8, ()):  # ops of a network group; its field 4 is a core op
        for core in _fields(op).get(4, ()):
            yield from _streams(_fields(core))
    for part in group.get(7, ()):  # partial groups; their field 1 is the group itself
        for inner in _fields(part).get(1, ()):
            yield from _streams(_fields(inner))
    for context in group.get(3, ()):
        for metadata in _fields(context).get(3, ()):
            for layer in _fields(metadata).get(2, ()):
                yield from _edge(_fields(layer))


def _edge(layer: Message) -> Iterator[Stream]:
    switch = _fields(layer[5][0]) if 5 in layer else {}
    if switch.get(3, [0])[0] != 0:  # between contexts inside the device, not to the host
        return
    direction: Literal["input", "output"] = "output" if layer.get(1, [0])[0] else "input"
    waiting = [("info", info) for info in layer.get(3, ())] + [("mux", mux) for mux in layer.get(4, ())]
    while waiting:
        kind, raw = waiting.pop(0)
        content = _fields(raw)
        if kind == "info":
            yield _stream(content, direction)
            continue
        for edge in content.get(5, ()):  # a multiplexer stands for the layers it joins
            inner = _fields(edge)
            waiting += [("info", info) for info in inner.get(1, ())] + [("mux", mux) for mux in inner.get(2, ())]


def _stream(info: Message, direction: Literal["input", "output"]) -> Stream:
    base, numeric = _fields(info[2][0]), _fields(info[3][0])
    shape = (int(base.get(1, [0])[0]), int(base.get(3, [0])[0]), int(base.get(5, [0])[0]))
    zero, scale, low, high = (_float(numeric.get(number, [b"\0\0\0\0"])[0]) for number in (1, 2, 3, 4))
    return Stream(
        bytes(info.get(1, [b""])[0]).decode(),
        direction,
        shape,
        scale,
        zero,
        low,
        high,
        8 * int(base.get(12, [1])[0] or 1),
    )


def _float(raw: bytes) -> float:
    return float(struct.unpack("<f", raw)[0])


def _fields(data: bytes) -> Message:
    """Split a protobuf message into its fields: integers, and bytes for all that is longer."""
    result: Message = {}
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        kind, value = tag & 7, b""
        if kind == 0:
            number, place = _varint(data, place)
            result.setdefault(tag >> 3, []).append(number)
            continue
        if kind == 2:
            length, place = _varint(data, place)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of the unknown wire type {kind}")
        value = data[place : place + length]
        if len(value) != length:
            raise ValueError("a field that ends outside of its message")
        place += length
        result.setdefault(tag >> 3, []).append(value)
    return result


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("an integer of more than 64 bits")
