"""Read records from blocks of lines; damaged lines are counted and told, never fatal."""

from collections.abc import Iterator
from typing import Any

import msgspec

from conv2d.logging._record import Record, unify
from conv2d.logging._search import Search, are_objects, every_line, loud_lines, not_objects
from conv2d.logging._sources import Block, Damage, Damages

REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def decode_line(text: bytes) -> Record:
    """Return the record of a line.

    Raises
    ------
    msgspec.MsgspecError, UnicodeDecodeError, RecursionError
        If it is damaged.
    """
    return unify(_decode(text))


def read_lines(block: Block, damages: Damages, search: Search = every_line) -> Iterator[tuple[int, bytes, Record]]:
    """Yield byte offset, text and record of each line of a block, or of those that a search finds.

    Lines that are no objects by their ends are told as damaged though the search has not found them.
    """
    line, counted = block.line, 0
    lines, broken = search(block.data), dict[int, bytes]()
    if search not in (every_line, loud_lines) and not are_objects(block.data, block.count):
        found = dict(lines)
        broken = {place: text for place, text in not_objects(block.data) if place not in found}
        lines = iter(sorted((found | broken).items()))
    for place, text in lines:
        try:
            record = _decode(text)
        except REFUSALS as refusal:
            if text.strip():
                line, counted = line + block.data.count(b"\n", counted, place), place
                damages.add(damage(block, line, block.offset + place, refusal))
        else:
            if place not in broken:
                yield block.offset + place, text, unify(record)


def damage(block: Block, line: int, offset: int, refusal: Exception) -> Damage:
    """Return what is to be told of a line that could not be decoded."""
    return Damage(block.source, line, offset, f"not a JSON object ({refusal})")
