"""The schema of our records: the types of the frame and of each typed event, and the JSON schema made from them.

The types are the one source: records are checked by decoding into them, and ``events.schema.json`` is what they say in
JSON Schema (2020-12); a test compares the two. Fields beyond those named are allowed.
"""

import functools
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Whole = Annotated[int, Meta(ge=0)]
Stamp = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$", description="UTC, nanoseconds.")]
Level = Literal["debug", "info", "warning", "error", "critical"]
Numbers = dict[str, int | float]


class Frame(msgspec.Struct):
    """What every record has."""

    ts: Stamp
    level: Level
    logger: str
    event: str
    run_id: str
    host: str
    pid: Whole
    thread: str
    seq: Whole


class Config(msgspec.Struct):
    """The resolved configuration of a run."""

    config: dict[str, Any]
    source: str | msgspec.UnsetType = msgspec.UNSET


class Seeds(msgspec.Struct):
    """The seeds of a run by name."""

    seeds: dict[str, int]


class FsqConfig(msgspec.Struct):
    """The quantiser's configuration."""

    levels: Annotated[list[Annotated[int, Meta(ge=2)]], Meta(min_length=1)]
    embedding_dim: Annotated[int, Meta(ge=1)]
    codebook_size: Annotated[int, Meta(ge=2)]


class Clustering(msgspec.Struct):
    """A clustering."""

    method: str
    n_clusters: int
    n_samples: int


class Merge(msgspec.Struct):
    """Motifs that were merged."""

    kept: int
    merged: list[int]
    reason: str


class Smoothing(msgspec.Struct):
    """A smoothing of labels."""

    policy: str
    n_changed: int
    n_steps: int


class QaIssue(msgspec.Struct):
    """A fault found in the data."""

    level: Literal["warning"]
    check: str
    message: str
    subject: str | msgspec.UnsetType = msgspec.UNSET


class DataProcessing(msgspec.Struct):
    """One step of data processing."""

    step: str
    n_in: int
    n_out: int


class Epoch(msgspec.Struct):
    """The end of an epoch."""

    epoch: int
    n_epochs: int | msgspec.UnsetType = msgspec.UNSET


class MetricsEvent(msgspec.Struct):
    """Final figures."""

    split: str
    metrics: dict[str, Any]


class Raised(msgspec.Struct):
    """An exception."""

    type: str
    message: str
    traceback: str


class ExceptionEvent(msgspec.Struct):
    """An exception that was logged."""

    level: Literal["error"]
    exception: Raised


class TimerSum(msgspec.Struct):
    """A timer's sum since the last flush."""

    count: Annotated[int, Meta(ge=1)]
    seconds: Annotated[float, Meta(ge=0)]
    min_s: Annotated[float, Meta(ge=0)]
    max_s: Annotated[float, Meta(ge=0)]


class Counters(msgspec.Struct):
    """Counters and timers, summed since the last flush."""

    counters: Numbers
    timers: dict[str, TimerSum]


EVENTS: dict[str, type[msgspec.Struct]] = {
    "config": Config,
    "seeds": Seeds,
    "fsq_config": FsqConfig,
    "clustering": Clustering,
    "merge": Merge,
    "smoothing": Smoothing,
    "qa_issue": QaIssue,
    "data_processing": DataProcessing,
    "epoch": Epoch,
    "metrics": MetricsEvent,
    "exception": ExceptionEvent,
    "counters": Counters,
}

_frame = msgspec.json.Decoder(Frame)
_events = {name: msgspec.json.Decoder(kind) for name, kind in EVENTS.items()}


def fault(line: bytes) -> str | None:
    """Return what in a record is against the schema, None when nothing is.

    Example
    -------
    >>> fault(b'{"ts": 1}')
    'Expected `str`, got `int` - at `$.ts`'
    """
    try:
        name = _frame.decode(line).event
        if name in _events:
            _events[name].decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return str(error)
    return None


@functools.lru_cache(maxsize=1)
def json_schema() -> dict[str, Any]:
    """Return the schema of a record in JSON Schema (2020-12)."""
    parts, definitions = msgspec.json.schema_components([Frame, *EVENTS.values()], ref_template="#/$defs/{name}")
    frame, *events = list(parts)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A record of conv2d-logs: one line of JSON",
        "allOf": [
            frame,
            *(
                {"if": {"properties": {"event": {"const": name}}}, "then": kind}
                for name, kind in zip(EVENTS, events, strict=True)
            ),
        ],
        "$defs": dict(sorted(definitions.items())),
    }
