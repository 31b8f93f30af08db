"""Zstandard frames that hold their content as it is: the same bytes with every version of the library.

References
----------
Collet and Kucherawy, RFC 8878, "Zstandard Compression and the 'application/zstd' Media Type".
"""

import struct
from typing import BinaryIO

import zstandard

MAGIC = b"\x28\xb5\x2f\xfd"
_BLOCK = 2**17
_HEADER = bytes([0xC0, (17 - 10) << 3])  # eight bytes of content size follow; the window is one block, 2**17
_LARGEST_WINDOW = 2**27


def stored_frame(data: bytes) -> bytes:
    """Return `data` as one frame of raw blocks."""
    parts = [MAGIC, _HEADER, struct.pack("<Q", len(data))]
    for start in range(0, max(len(data), 1), _BLOCK):
        block = data[start : start + _BLOCK]
        last = start + _BLOCK >= len(data)
        parts += [struct.pack("<I", len(block) << 3 | last)[:3], block]
    return b"".join(parts)


def read_at_most(stream: BinaryIO, room: int) -> bytes:
    """Return the first `room` bytes that a compressed stream holds; ValueError when it is damaged."""
    reader = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).stream_reader(stream)
    parts: list[bytes] = []
    try:
        while room > 0:
            part = reader.read(min(room, 2**20))
            if not part:
                break
            parts.append(part)
            room -= len(part)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    return b"".join(parts)
