"""Read records from blocks of lines; damaged lines are counted and told, never fatal."""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import msgspec

from conv2d.logging._record import Record, unify
from conv2d.logging._search import Search, every_line
from conv2d.logging._sources import Block, Damage, Damages

_REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
# Fields whose values recur, until they turn out to have more than so many.
_RECURRING = ("logger", "event", "run_id", "host", "pid")
_MOST_KNOWN = 200
# A lesson costs about as much as reading a block.
_FIRST_LESSONS = 10
_BLOCKS_A_LESSON = 8
# Where msgspec says that the fault is: "(byte 12)", or "at `$[3].level`".
_FAULT = re.compile(r"\(byte (\d+)\)$|at `\$\[(\d+)\]")
_MOST_ALONE = 256

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
    """What a block holds: frames of our own records, and other producers' records, each with its line's index.

    In the fields named in `constant`, all frames are known to be equal.
    """

    block: Block
    frames: Sequence[Frame]
    indices: Sequence[int]
    others: Sequence[tuple[int, Record]] = ()
    constant: frozenset[str] = frozenset()

    def keep(self, keeps: Callable[[object], bool]) -> "Frames":
        """Return those whose time stamp `keeps` accepts."""
        kept = [(one, index) for one, index in zip(self.frames, self.indices, strict=True) if keeps(one.ts)]
        others = [one for one in self.others if keeps(one[1].get("ts"))]
        return Frames(self.block, [one for one, _ in kept], [index for _, index in kept], others, self.constant)


class FrameReader:
    """Decode blocks, at once where all lines are whole and our own, else around the lines at fault.

    Names recur: a decoder that is taught those it has met makes no new text of each, and where it knows but one name
    it need not be looked at again.
    """

    def __init__(self) -> None:
        self._known: dict[str, set[object]] = {name: set() for name in _RECURRING}
        self._blocks = self._lessons = 0
        self._constant = frozenset[str]()
        self._taught: Callable[[bytes], Sequence[Frame]] | None = None

    def read(self, block: Block, damages: Damages) -> Frames:
        """Return what a block holds; damaged lines are added to `damages`."""
        self._blocks += 1
        try:
            if (whole := self._decode_taught(block.data, block.count)) is not None:
                return Frames(block, whole, range(block.count), (), self._constant)
            whole = _decode_whole(block.data, block.count)
        except _REFUSALS as error:
            return _read_around(block, error, damages)
        self._learn(whole)
        return Frames(block, whole, range(block.count))

    def is_our_own(self, block: Block) -> bool:
        """Whether all lines are whole and our own."""
        try:
            return bool(_decode_whole(block.data, block.count))
        except _REFUSALS:
            return False

    def _decode_taught(self, data: bytes, count: int) -> Sequence[Frame] | None:
        if self._taught is None:
            return None
        try:
            return _check(self._taught(data), data, count)
        except msgspec.ValidationError:
            return None

    def _learn(self, frames: Sequence[Frame]) -> None:
        if self._lessons > _FIRST_LESSONS + self._blocks // _BLOCKS_A_LESSON:
            self._taught = None
            return
        self._lessons += 1
        constant: set[str] = set()
        fields: list[tuple[str, Any]] = []
        for name in Frame.__struct_fields__:
            kind = Frame.__annotations__[name]
            if name in self._known:
                met = {getattr(frame, name) for frame in frames}
                # One run follows another: a name that is alone takes the place of those before.
                known = met if len(met) == 1 else met | self._known[name]
                if len(known) <= _MOST_KNOWN:
                    self._known[name] = known
                    kind = cast(Any, Literal)[tuple(known)]
                if len(known) == 1:
                    constant.add(name)
            fields.append((name, kind))
        taught: Any = msgspec.defstruct("Frame", fields, gc=False)
        self._taught, self._constant = msgspec.json.Decoder(taught).decode_lines, frozenset(constant)


def _decode_whole(data: bytes, count: int) -> Sequence[Frame]:
    return _check(_decode_frames(data), data, count)


def _check(frames: Sequence[Frame], data: bytes, count: int) -> Sequence[Frame]:
    """Return the frames if each stands on a line of its own; a value that spans lines, or two on one, is damage to us.

    Between "}" and "{" no value goes on: where all lines meet so, each holds a value or more, and as many as lines are
    one each.
    """
    # All lines begin alike nearly always, and a longer text is counted faster.
    if (
        len(frames) == count
        and data.startswith(b"{")
        and (data.count(b"}\n" + data[:10]) == count - 1 or data.count(b"}\n{") == count - 1)
    ):
        return frames
    raise msgspec.DecodeError("a value is not on a line of its own")


def _read_around(block: Block, error: Exception, damages: Damages) -> Frames:
    """Read a block that could not be decoded at once: whole lines together, and those around a fault one by one.

    Where the fault is, the error only hints at; what is taken together has been decoded so.
    """
    frames: list[Frame] = []
    indices: list[int] = []
    others: list[tuple[int, Record]] = []
    texts = block.data.split(b"\n")[: block.count]
    offsets = list(itertools.accumulate((len(text) + 1 for text in texts), initial=block.offset))
    attempt: Sequence[Frame] | Exception = error
    begun, alone = 0, 1
    while begun < len(texts):
        whole = end = len(texts)
        if isinstance(attempt, Exception):
            fault = begun + _line_of(attempt, texts[begun:])
            # A line that is cut short may be noticed in the second one after it.
            whole = max(begun, fault - 2)
            attempt = _attempt(texts[begun:whole])
            if isinstance(attempt, Exception):
                attempt, whole = (), begun
            alone = 1 if whole - begun > alone else min(2 * alone, _MOST_ALONE)
            end = min(max(fault + 1, whole + alone), len(texts))
        frames += attempt
        indices += range(begun, whole)
        for index in range(whole, end):
            try:
                frames.append(_decode_frame(texts[index]))
                indices.append(index)
            except _REFUSALS:
                if (other := _decode_other(texts[index], block, index, offsets[index], damages)) is not None:
                    others.append((index, other))
        begun, attempt = end, _attempt(texts[end:])
    return Frames(block, frames, indices, others)


def _attempt(texts: Sequence[bytes]) -> Sequence[Frame] | Exception:
    """Return the frames of lines, or why they cannot be decoded together."""
    try:
        return _decode_whole(b"\n".join(texts) + b"\n", len(texts)) if texts else ()
    except _REFUSALS as error:
        return error


def _line_of(error: Exception, texts: Sequence[bytes]) -> int:
    """Return the index of the line at which a decoder of them all stopped; the last when it does not say."""
    found = _FAULT.search(str(error))
    if found is None:
        return len(texts) - 1
    byte, index = found.groups()
    return int(index) if byte is None else b"\n".join(texts).count(b"\n", 0, int(byte))


def _decode_other(text: bytes, block: Block, index: int, offset: int, damages: Damages) -> Record | None:
    """Return the record of another producer's line, or None and add to the damages."""
    try:
        return unify(_decode(text))
    except _REFUSALS as error:
        if text and not text.isspace():
            damages.add(Damage(block.source, block.line + index, offset, f"not a JSON object ({error})"))
        return None


def decode_line(text: bytes) -> Record:
    """Return the record of a line that is known to be whole."""
    return unify(_decode(text))


def read_lines(block: Block, damages: Damages, search: Search = every_line) -> Iterator[tuple[int, bytes, Record]]:
    """Yield byte offset, text and record of each line of a block, or of those that a search finds."""
    line, counted = block.line, 0
    for place, text in search(block.data):
        try:
            record = _decode(text)
        except _REFUSALS as error:
            if text and not text.isspace():
                line, counted = line + block.data.count(b"\n", counted, place), place
                damages.add(Damage(block.source, line, block.offset + place, f"not a JSON object ({error})"))
        else:
            yield block.offset + place, text, unify(record)
