"""Read records from blocks of lines; damaged lines are counted and told, never fatal."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import msgspec

from conv2d.logging._record import Record, unify
from conv2d.logging._sources import Block, Damage, Damages

_REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_PIECE_BYTES = 1 << 14
# Fields whose values recur, until they turn out to have more than so many.
_RECURRING = ("logger", "event", "run_id", "host")
_MOST_KNOWN = 200
_MOST_LESSONS = 100

_decode = msgspec.json.Decoder(dict[str, Any]).decode


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


_decode_frame = msgspec.json.Decoder(Frame).decode
_decode_frames = msgspec.json.Decoder(Frame).decode_lines


@dataclass(frozen=True)
class Frames:
    """What a block holds: frames of our own records, and other producers' records, each with its line's index."""

    block: Block
    frames: Sequence[Frame]
    indices: Sequence[int]
    others: Sequence[tuple[int, Record]] = ()

    def keep(self, keeps: Callable[[object], bool]) -> "Frames":
        """Return those whose time stamp `keeps` accepts."""
        kept = [(one, index) for one, index in zip(self.frames, self.indices, strict=True) if keeps(one.ts)]
        others = [one for one in self.others if keeps(one[1].get("ts"))]
        return Frames(self.block, [one for one, _ in kept], [index for _, index in kept], others)


class FrameReader:
    """Decode blocks, at once where all lines are whole and our own, else in pieces, and those at fault line by line.

    Trouble comes in runs: after a block with a damaged line the next one is taken in pieces from the start, so that
    damage costs little time. And names recur: a decoder that is taught those it has met makes no new text of each.
    """

    def __init__(self) -> None:
        self._whole = True
        self._known: dict[str, set[str]] = {name: set() for name in _RECURRING}
        self._lessons = 0
        self._decode: Callable[[bytes], Sequence[Frame]] = _decode_frames

    def read(self, block: Block, damages: Damages) -> Frames:
        """Return what a block holds; damaged lines are added to `damages`."""
        if self._whole and (whole := self._frames(block.data, block.count)) is not None:
            return Frames(block, whole, range(block.count))
        self._whole = True
        found = Frames(block, [], [], [])
        start, index = 0, 0
        while start < len(block.data):
            end = block.data.find(b"\n", start + _PIECE_BYTES) + 1 or len(block.data)
            data = block.data[start:end]
            count = data.count(b"\n") + (not data.endswith(b"\n"))
            frames = self._frames(data, count)
            if frames is None:
                self._whole = False
                piece = Block(block.source, data, block.line + index, block.offset + start, count)
                _read_each(piece, index, found, damages)
            else:
                cast(list[Frame], found.frames).extend(frames)
                cast(list[int], found.indices).extend(range(index, index + count))
            start, index = end, index + count
        return found

    def is_our_own(self, block: Block) -> bool:
        """Whether all lines are whole and our own."""
        return self._frames(block.data, block.count) is not None

    def _frames(self, data: bytes, count: int) -> Sequence[Frame] | None:
        """Return the frames of lines, None when one is damaged or of another producer."""
        try:
            frames = self._decode(data)
        except msgspec.ValidationError:
            if self._decode is _decode_frames:
                return None
            try:
                frames = _decode_frames(data)
            except _REFUSALS:
                return None
            self._learn(frames)
        except _REFUSALS:
            return None
        if self._lessons == 0:
            self._learn(frames)
        # A value that spans lines, or two on one, is well-formed to the decoder; a line is a record to us. Between "}" and
        # "{" no value goes on: where all lines meet so, each holds a value or more, and as many as lines are one each.
        one_each = len(frames) == count and data.startswith(b"{") and data.count(b"}\n{") == count - 1
        return frames if one_each else None

    def _learn(self, frames: Sequence[Frame]) -> None:
        self._lessons += 1
        if self._lessons > _MOST_LESSONS:
            self._decode = _decode_frames
            return
        fields: list[tuple[str, Any]] = []
        for name in Frame.__struct_fields__:
            kind = Frame.__annotations__[name]
            if name in self._known:
                known = self._known[name]
                if len(known) <= _MOST_KNOWN:
                    known.update([getattr(frame, name) for frame in frames])
                if known and len(known) <= _MOST_KNOWN:
                    kind = cast(Any, Literal)[tuple(known)]
            fields.append((name, kind))
        taught: Any = msgspec.defstruct("Frame", fields, gc=False)
        self._decode = msgspec.json.Decoder(taught).decode_lines


def _read_each(piece: Block, index: int, found: Frames, damages: Damages) -> None:
    """Add the lines of a piece, the first of which is `index` lines down the block, one by one."""
    frames, indices, others = cast(tuple[list[Any], ...], (found.frames, found.indices, found.others))
    offset = piece.offset
    for down, text in enumerate(piece.data.split(b"\n")):
        try:
            frames.append(_decode_frame(text))
            indices.append(index + down)
        except _REFUSALS:
            if text and not text.isspace():
                try:
                    others.append((index + down, unify(_decode(text))))
                except _REFUSALS as error:
                    damages.add(Damage(piece.source, piece.line + down, offset, f"not a JSON object ({error})"))
        offset += len(text) + 1


def decode_line(text: bytes) -> Record:
    """Return the record of a line that is known to be whole."""
    return unify(_decode(text))


def read_lines(block: Block, damages: Damages) -> Iterator[tuple[int, bytes, Record]]:
    """Yield byte offset, text and record of each line of a block."""
    offset = block.offset
    for number, text in enumerate(block.data.split(b"\n"), start=block.line):
        if text and not text.isspace():
            try:
                record = _decode(text)
            except _REFUSALS as error:
                damages.add(Damage(block.source, number, offset, f"not a JSON object ({error})"))
            else:
                yield offset, text, unify(record)
        offset += len(text) + 1
