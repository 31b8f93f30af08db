"""Read log files as a stream of whole lines; damaged lines are counted and told, never fatal."""

import gzip
import re
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, cast

import msgspec

from conv2d.logging._errors import UserError
from conv2d.logging._record import Record, unify

BLOCK_BYTES = 1 << 20
LONGEST_LINE = 16 << 20
STDIN = "-"
_SUFFIXES = (".log", ".jsonl", ".ndjson", ".json")

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Line(msgspec.Struct):
    """The frame of one of our own records, without its fields: several times cheaper to decode."""

    ts: str
    level: Literal["debug", "info", "warning", "error", "critical"]
    logger: str
    event: str
    run_id: str
    host: str
    pid: int
    seq: int


_decode_frames = msgspec.json.Decoder(Line).decode_lines


@dataclass(frozen=True)
class Block:
    """Whole lines of a file: `data` begins at byte `offset`, with line number `line`."""

    source: str
    data: bytes
    line: int
    offset: int


@dataclass(frozen=True)
class Damage:
    """One line that is no JSON object."""

    source: str
    line: int
    offset: int
    reason: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: byte {self.offset}: {self.reason}"


@dataclass
class Damages:
    """Damaged lines: how many, and where the first of them are."""

    count: int = 0
    first: list[Damage] = field(default_factory=list[Damage])

    def add(self, damage: Damage) -> None:
        """Count one; memory stays bounded however many there are."""
        self.count += 1
        if len(self.first) < 20:
            self.first.append(damage)


def find_sources(paths: Sequence[str]) -> tuple[str, ...]:
    """Return the files meant by paths, glob patterns, folders, and ``-`` for standard input; none means the last.

    Raises
    ------
    UserError
        If one names nothing, or nothing is given and standard input is a terminal.
    """
    if not paths:
        if sys.stdin is None or sys.stdin.isatty():
            raise UserError("no log files given; name files, folders or patterns, or pipe lines into standard input")
        return (STDIN,)
    found: list[str] = []
    for path in paths:
        if path == STDIN or Path(path).is_file():
            matches = [path]
        elif Path(path).is_dir():
            matches = [str(one) for one in sorted(Path(path).rglob("*")) if one.is_file() and _is_log(one)]
        elif Path(path).exists():
            matches = [path]
        else:
            matches = _glob(path)
        if not matches:
            raise UserError(
                f"{path}: no such log file; give a file, a folder with {', '.join(_SUFFIXES)} files, or a quoted pattern"
            )
        found += [one for one in matches if one not in found]
    return tuple(found)


def read_blocks(source: str, damages: Damages) -> Iterator[Block]:
    """Yield the whole lines of a file in blocks of about 1 MiB, decompressed when its name ends in ``.gz``.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    line, offset, rest = 1, 0, b""
    try:
        with _open(source) as stream:
            while chunk := stream.read(BLOCK_BYTES):
                data = rest + chunk
                cut = data.rfind(b"\n") + 1
                if not cut and len(data) > LONGEST_LINE:
                    damages.add(Damage(source, line, offset, f"longer than {LONGEST_LINE >> 20} MiB; skipped"))
                    data, skipped = _skip_line(stream)
                    offset, line, cut = offset + len(rest) + len(chunk) + skipped, line + 1, data.rfind(b"\n") + 1
                rest = data[cut:]
                if cut:
                    yield Block(source, data[:cut], line, offset)
                    line += data.count(b"\n", 0, cut)
                    offset += cut
    except (EOFError, zlib.error) as error:
        damages.add(Damage(source, line, offset, f"the compressed file is damaged ({error}); read up to here"))
    except OSError as error:
        raise UserError(f"{source}: cannot be read: {error.strerror or error}") from error
    if rest:
        yield Block(source, rest, line, offset)


def read_lines(block: Block, damages: Damages) -> Iterator[tuple[bytes, Record]]:
    """Yield each line of a block with its record."""
    offset = block.offset
    for number, text in enumerate(block.data.split(b"\n"), start=block.line):
        if text and not text.isspace():
            try:
                record = _decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                damages.add(Damage(block.source, number, offset, f"not a JSON object ({error})"))
            else:
                yield text, unify(record)
        offset += len(text) + 1


def read_frames(block: Block) -> list[Line] | None:
    """Return the frames of a block, None when a line is damaged or of another producer."""
    try:
        return _decode_frames(block.data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def matching_lines(block: Block, pattern: re.Pattern[bytes]) -> Iterator[Block]:
    """Yield the lines of a block in which `pattern` occurs, each as a block; far cheaper than decoding them all.

    `pattern` is compiled with ``re.MULTILINE``, so that ``^`` and ``$`` are a line's.
    """
    data, place, line, counted = block.data, 0, block.line, 0
    while found := pattern.search(data, place):
        start = data.rfind(b"\n", 0, found.start()) + 1
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        line, counted = line + data.count(b"\n", counted, start), start
        if pattern.search(data, start, end):
            yield Block(block.source, data[start:end], line, block.offset + start)
        place = end + 1
        if place > len(data):
            return


def lines_unlike(block: Block, pattern: re.Pattern[bytes]) -> Iterator[Block]:
    """Yield the lines of a block whose beginning `pattern` does not match, each as a block."""
    offset = block.offset
    like = pattern.match
    for number, text in enumerate(block.data.split(b"\n"), start=block.line):
        if not like(text) and text:
            yield Block(block.source, text, number, offset)
        offset += len(text) + 1


def _skip_line(stream: IO[bytes]) -> tuple[bytes, int]:
    """Read on past the line's end; return what was read after it, and how many bytes were passed over."""
    skipped = 0
    while chunk := stream.read(BLOCK_BYTES):
        end = chunk.find(b"\n") + 1
        if end:
            return chunk[end:], skipped + end
        skipped += len(chunk)
    return b"", skipped


def _open(source: str) -> AbstractContextManager[IO[bytes]]:
    if source == STDIN:
        return nullcontext(cast(IO[bytes], sys.stdin.buffer))
    if source.endswith(".gz"):
        return cast(IO[bytes], gzip.open(source, "rb"))
    return Path(source).open("rb")


def _glob(pattern: str) -> list[str]:
    path = Path(pattern)
    base = Path(path.anchor)
    return sorted(str(one) for one in base.glob(str(path.relative_to(base))) if one.is_file())


def _is_log(path: Path) -> bool:
    """Whether a file in a folder is a log: ``train.log``, also rotated as ``train.log.1`` or ``train.log.1.gz``."""
    name = path.name.removesuffix(".gz")
    stem, _, last = name.rpartition(".")
    return (stem if last.isdigit() and stem else name).endswith(_SUFFIXES)
