"""Where lines come from: files, folders, patterns and standard input, read as blocks of whole lines."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from io import BufferedIOBase
from pathlib import Path
from typing import IO, cast

from conv2d.logging._compress import damage_errors, open_compressed
from conv2d.logging._errors import UserError

# Small enough that a block stays in the cache from reading to counting, and that one damaged line spoils little.
BLOCK_BYTES = 1 << 16
LONGEST_LINE = 16 << 20
STDIN = "-"
COMPRESSED = (".gz", ".zst")
_SUFFIXES = (".log", ".jsonl", ".ndjson", ".json")
_ROTATED = re.compile(r"\.\d{20}$")


@dataclass(frozen=True)
class Block:
    """Whole lines of a file: `data` begins at byte `offset`, with line number `line`, and holds `count` lines."""

    source: str
    data: bytes
    line: int
    offset: int
    count: int = 1

    def place(self, index: int) -> tuple[int, int]:
        """Return line number and byte offset of the line that is `index` lines down the block."""
        before = self.data.split(b"\n", index)[:index]
        return self.line + index, self.offset + sum(map(len, before)) + index


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

    def add(self, *damages: Damage) -> None:
        """Count some; memory stays bounded however many there are."""
        self.count += len(damages)
        self.first += damages[: max(0, 20 - len(self.first))]

    def merge(self, other: "Damages") -> None:
        """Count another's too."""
        self.add(*other.first)
        self.count += other.count - len(other.first)


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
    # A program killed between compressing a rotated file and removing it leaves both.
    return tuple(one for one in found if not (_ROTATED.search(one) and any(one + end in found for end in COMPRESSED)))


def read_blocks(source: str, damages: Damages, offset: int = 0, line: int = 1) -> Iterator[Block]:
    """Yield the whole lines of a file in blocks, decompressed when its name ends in ``.gz`` or ``.zst``.

    `offset` and `line` are where to begin in a plain file. In a compressed one, offsets are of what it holds.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    rest, skipping = b"", False
    try:
        with _open(source) as stream:
            if offset:
                stream.seek(offset)
            for chunk in _chunks(stream, source):
                data = chunk
                if skipping:
                    end = chunk.find(b"\n") + 1
                    offset += end or len(chunk)
                    if not end:
                        continue
                    skipping, line, data = False, line + 1, chunk[end:]
                cut = data.rfind(b"\n") + 1
                if cut:
                    whole = b"".join((rest, memoryview(data)[:cut]))
                    yield (block := Block(source, whole, line, offset, whole.count(b"\n")))
                    line, offset, rest = line + block.count, offset + len(whole), b""
                rest += data[cut:]
                if len(rest) > LONGEST_LINE:
                    damages.add(Damage(source, line, offset, f"longer than {LONGEST_LINE >> 20} MiB; skipped"))
                    offset, rest, skipping = offset + len(rest), b"", True
    except ModuleNotFoundError as error:
        raise UserError(f"{source}: {error}") from None
    except damage_errors() as error:
        damages.add(Damage(source, line, offset, f"the compressed file is damaged ({error}); read up to here"))
    except OSError as error:
        raise UserError(f"{source}: cannot be read: {error.strerror or error}") from error
    if rest:
        yield Block(source, rest, line, offset)


def _chunks(stream: IO[bytes], source: str) -> Iterator[bytes]:
    if not source.endswith(COMPRESSED):
        # A pipe gives what it has; waiting for a full block would hold back lines.
        read = stream.read if source != STDIN else getattr(stream, "read1", stream.read)
        while chunk := read(BLOCK_BYTES):
            yield chunk
        return
    # In small steps, so that all that comes before a damage is had.
    held: list[bytes] = []
    try:
        while piece := cast(BufferedIOBase, stream).read1(BLOCK_BYTES):
            held.append(piece)
            if sum(map(len, held)) >= BLOCK_BYTES:
                yield b"".join(held)
                held.clear()
    except damage_errors():
        yield b"".join(held)
        raise
    yield b"".join(held)


def _open(source: str) -> AbstractContextManager[IO[bytes]]:
    if source == STDIN:
        return nullcontext(cast(IO[bytes], sys.stdin.buffer))
    path = Path(source)
    return open_compressed(path, path.suffix, "rb") if path.suffix in COMPRESSED else path.open("rb")


def _glob(pattern: str) -> list[str]:
    path = Path(pattern)
    base = Path(path.anchor)
    return sorted(str(one) for one in base.glob(str(path.relative_to(base))) if one.is_file())


def _is_log(path: Path) -> bool:
    """Whether a file in a folder is a log: ``train.log``, also rotated as ``train.log.1`` or ``train.log.1.gz``."""
    name = path.name.removesuffix(".gz").removesuffix(".zst")
    stem, _, last = name.rpartition(".")
    return (stem if last.isdigit() and stem else name).endswith(_SUFFIXES)
