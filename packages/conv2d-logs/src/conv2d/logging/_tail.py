"""The end of a file, and what is appended to it, also when it is replaced or cut."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from conv2d.logging._errors import UserError
from conv2d.logging._sources import Block

POLL_S = 0.2
_STEP = 1 << 16


@dataclass
class _Followed:
    path: Path
    fd: int
    inode: int
    offset: int
    rest: bytes = b""


def last_lines(path: Path, count: int) -> tuple[Block, int]:
    """Return the last `count` lines of a file, and the byte after its last whole line.

    Line numbers are not known without reading the file: the block's begin at 1.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        start, data = size, b""
        while start and data.count(b"\n") <= count:
            start = max(0, start - _STEP)
            stream.seek(start)
            data = stream.read(size - start)
    whole = data[: data.rfind(b"\n") + 1]
    lines = whole.splitlines(keepends=True)
    kept = b"".join(lines[-count:] if count else [])
    end = start + len(whole)
    return Block(str(path), kept, 1, end - len(kept)), end


def follow(paths: list[tuple[Path, int]], wait: Callable[[float], None] = time.sleep) -> Iterator[Block]:
    """Yield whole lines as they are appended to files, each from its byte on; endless.

    A file that is replaced is read to its end, then the new one from its start; one that is cut is read anew. One
    that vanishes is waited for.

    Raises
    ------
    UserError
        If a file cannot be read at the beginning.
    """
    followed: list[_Followed] = []
    try:
        for path, offset in paths:
            followed.append(_open(path, offset))
        while True:
            news = False
            for one in followed:
                for block in _read_new(one):
                    news = True
                    yield block
            if not news:
                wait(POLL_S)
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read: {error.strerror}") from error
    finally:
        for one in followed:
            os.close(one.fd)


def _open(path: Path, offset: int) -> _Followed:
    fd = os.open(path, os.O_RDONLY)
    return _Followed(path, fd, os.fstat(fd).st_ino, offset)


def _read_new(one: _Followed) -> Iterator[Block]:
    if os.fstat(one.fd).st_size < one.offset + len(one.rest):
        one.offset, one.rest = 0, b""
    yield from _drain(one)
    try:
        replaced = one.path.stat().st_ino != one.inode
    except FileNotFoundError:
        return
    if replaced:
        # Once more: a line may have come between the last read and the replacement.
        yield from _drain(one)
        fresh = _open(one.path, 0)
        os.close(one.fd)
        one.fd, one.inode, one.offset, one.rest = fresh.fd, fresh.inode, 0, b""
        yield from _drain(one)


def _drain(one: _Followed) -> Iterator[Block]:
    while chunk := os.pread(one.fd, _STEP, one.offset + len(one.rest)):
        data = one.rest + chunk
        cut = data.rfind(b"\n") + 1
        one.rest = data[cut:]
        if cut:
            block = Block(str(one.path), data[:cut], 1, one.offset)
            one.offset += cut
            yield block
