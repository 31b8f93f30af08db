"""Read no more of our own records than their frames, many at a time; what is damaged or foreign is read line by line."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, cast

import msgspec

from conv2d.logging._read import REFUSALS, damage, decode_line
from conv2d.logging._record import Record
from conv2d.logging._search import are_objects, not_objects
from conv2d.logging._sources import Block, Damages

_WRITER = ("logger", "run_id", "host", "pid")
# To learn a writer costs more than to read a block.
_FIRST_LESSONS = 10
_BLOCKS_A_LESSON = 32
# Where msgspec says that the fault is: "(byte 12)", or "at `$[3].level`".
_FAULT = re.compile(r"\(byte (\d+)\)$|at `\$\[(\d+)\]")
_MOST_ALONE = 256


class Frame(msgspec.Struct, gc=False):
    """The frame of one of our own records, without its fields: several times cheaper to decode."""

    ts: str
    level: Literal["debug", "info", "warning", "error", "critical"]
    logger: str
    event: str
    run_id: str
    host: str
    pid: int
    seq: int


_Decode = Callable[[bytes], Sequence[Frame]]
_decode_frame = msgspec.json.Decoder(Frame).decode
_decode_frames = msgspec.json.Decoder(Frame).decode_lines


@dataclass(frozen=True)
class Frames:
    """What a block holds: frames of our own records, and other producers' records, each with its line's index.

    With `one_writer`, logger, run and process of all frames are known to be the same.
    """

    block: Block
    frames: Sequence[Frame]
    indices: Sequence[int]
    others: Sequence[tuple[int, Record]] = ()
    one_writer: bool = False

    def keep(self, keeps: Callable[[object], bool]) -> "Frames":
        """Return those whose time stamp `keeps` accepts."""
        kept = [(one, index) for one, index in zip(self.frames, self.indices, strict=True) if keeps(one.ts)]
        others = [one for one in self.others if keeps(one[1].get("ts"))]
        return Frames(self.block, [one for one, _ in kept], [index for _, index in kept], others, self.one_writer)


class FrameReader:
    """Decode blocks, at once where all lines are whole and our own, else in pieces around the lines at fault.

    One process wrote all lines of a block nearly always. A decoder that takes only lines of the last one known makes no
    text of its names, and what it has decoded need not be parted by writer.
    """

    def __init__(self) -> None:
        self._blocks = self._lessons = 0
        self._writer: dict[str, object] = {}
        self._of_writer: _Decode | None = None

    def read(self, block: Block, damages: Damages) -> Frames:
        """Return what a block holds; damaged lines are added to `damages`."""
        self._blocks += 1
        if are_objects(block.data, block.count):
            with suppress(*REFUSALS):
                frames, one_writer = self.decode(block.data, block.count)
                return Frames(block, frames, range(block.count), (), one_writer)
        return _Pieces(block, damages, self.decode).read()

    def decode(self, data: bytes, count: int) -> tuple[Sequence[Frame], bool]:
        """Return the frames of lines that are as many as `count`, and whether they are known to be of one writer.

        Each line must begin with "{" and end with "}": no value goes on between "}" and "{", so that each holds a value
        or more, and as many as lines are one each. A value that spans lines, or two on one, is damage to us.
        """
        one_writer = False
        frames: Sequence[Frame] = ()
        if self._of_writer is not None:
            with suppress(msgspec.ValidationError):
                frames, one_writer = self._of_writer(data), True
        if not one_writer:
            frames = _decode_frames(data)
            self._learn(frames[-1])
        if len(frames) != count:
            raise msgspec.DecodeError("a value is not on a line of its own")
        return frames, one_writer

    def is_our_own(self, block: Block) -> bool:
        """Whether all lines are whole and our own."""
        try:
            return are_objects(block.data, block.count) and len(self.decode(block.data, block.count)[0]) > 0
        except REFUSALS:
            return False

    def _learn(self, frame: Frame) -> None:
        writer = {name: getattr(frame, name) for name in _WRITER}
        if writer == self._writer or self._lessons > _FIRST_LESSONS + self._blocks // _BLOCKS_A_LESSON:
            return
        self._lessons += 1
        self._writer = writer
        kinds = Frame.__annotations__ | {name: cast(Any, Literal)[value] for name, value in writer.items()}
        of_writer: Any = msgspec.defstruct("Frame", list(kinds.items()), gc=False)
        self._of_writer = msgspec.json.Decoder(of_writer).decode_lines


class _Pieces:
    """Reads a block that holds lines at fault: those between them together, and these alone."""

    def __init__(
        self, block: Block, damages: Damages, decode: Callable[[bytes, int], tuple[Sequence[Frame], bool]]
    ) -> None:
        self._block, self._damages, self._decode = block, damages, decode
        self._index = self._place = 0
        self._frames: list[Frame] = []
        self._indices: list[int] = []
        self._others: list[tuple[int, Record]] = []
        self._one_writer = True

    def read(self) -> Frames:
        data = self._block.data
        for start, text in not_objects(data):
            self._read_together(data[self._place : start - 1] if start else b"")
            self._read_alone(text)
        self._read_together(data[self._place :].removesuffix(b"\n"))
        return Frames(self._block, self._frames, self._indices, self._others, self._one_writer)

    def _read_together(self, data: bytes) -> None:
        """Read lines, without the last one's end, each of which is an object by its ends."""
        alone = 1
        while data and (fault := self._fault(data)) is not None:
            # What it says is a hint: a fault may be noticed a line late.
            texts = data.split(b"\n")
            whole = max(0, fault - 1)
            if whole and self._fault(b"\n".join(texts[:whole])) is not None:
                whole = 0
            # Trouble comes in runs, such as another producer's lines.
            alone = 1 if whole > alone else min(2 * alone, _MOST_ALONE)
            after = min(max(fault + 1, whole + alone), len(texts))
            for text in texts[whole:after]:
                self._read_alone(text)
            data = b"\n".join(texts[after:])

    def _fault(self, data: bytes) -> int | None:
        """Take lines together, or return the one at which their decoder stopped."""
        count = data.count(b"\n") + 1
        try:
            frames, one_writer = self._decode(data, count)
        except REFUSALS as error:
            found = _FAULT.search(str(error))
            byte, index = found.groups() if found else (len(data) - 1, None)
            return int(index) if index is not None else data.count(b"\n", 0, int(byte))
        self._frames += frames
        self._indices += range(self._index, self._index + count)
        self._one_writer &= one_writer
        self._index += count
        self._place += len(data) + 1
        return None

    def _read_alone(self, text: bytes) -> None:
        try:
            self._frames.append(_decode_frame(text))
            self._indices.append(self._index)
            self._one_writer = False
        except REFUSALS:
            try:
                self._others.append((self._index, decode_line(text)))
            except REFUSALS as refusal:
                if text.strip():
                    block = self._block
                    self._damages.add(damage(block, block.line + self._index, block.offset + self._place, refusal))
        self._index += 1
        self._place += len(text) + 1
