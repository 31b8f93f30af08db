"""The schema: the committed file is the types', every record keeps it, and it refuses what a peer library refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import conv2d.logging as own
from conv2d.logging import _schema

COMMITTED = Path(_schema.__file__).with_name("events.schema.json")
RECORD: dict[str, object] = {
    "ts": "2026-11-21T14:30:00.000000001Z",
    "level": "info",
    "logger": "l",
    "event": "x",
    "run_id": "r",
    "host": "h",
    "pid": 1,
    "thread": "m",
    "seq": 0,
}
TYPED: list[dict[str, object]] = [
    {"event": "config", "config": {"a": 1}},
    {"event": "seeds", "seeds": {"numpy": 7}},
    {"event": "fsq_config", "levels": [8, 6, 5], "embedding_dim": 64, "codebook_size": 240},
    {"event": "clustering", "method": "gmm", "n_clusters": 7, "n_samples": 2400},
    {"event": "merge", "kept": 2, "merged": [5], "reason": "close"},
    {"event": "smoothing", "policy": "median", "n_changed": 3, "n_steps": 9},
    {"event": "qa_issue", "level": "warning", "check": "gap", "message": "m"},
    {"event": "data_processing", "step": "s", "n_in": 2, "n_out": 1},
    {"event": "epoch", "epoch": 3, "n_epochs": 20},
    {"event": "metrics", "split": "test", "metrics": {"accuracy": 0.9}},
    {"event": "exception", "level": "error", "exception": {"type": "T", "message": "m", "traceback": ""}},
    {"event": "counters", "counters": {"n": 1}, "timers": {"t": {"count": 1, "seconds": 0.5, "min_s": 0, "max_s": 1}}},
]
PEER: Any = jsonschema.Draft202012Validator(json.loads(COMMITTED.read_text()))


def test_the_committed_file_is_what_the_types_say() -> None:
    assert json.loads(COMMITTED.read_text()) == _schema.json_schema(), "write it anew: conv2d-logs schema print"
    jsonschema.Draft202012Validator.check_schema(_schema.json_schema())
    assert {one["event"] for one in TYPED} == set(_schema.EVENTS)


@given(
    st.sampled_from(TYPED),
    st.data(),
    st.one_of(
        st.sampled_from([None, True, -1, 0, 1, 2, 1.5, "x", "", "warning", [], [1], ["x"], {}, {"a": 1}, {"a": "x"}]),
        st.just({"t": {"count": 0, "seconds": 0, "min_s": 0, "max_s": 0}}),
    ),
    st.booleans(),
)
def test_a_peer_agrees_on_records_with_one_field_changed(
    typed: dict[str, object], data: st.DataObject, value: object, gone: bool
) -> None:
    record = RECORD | typed
    assert _schema.fault(json.dumps(record).encode()) is None
    assert PEER.is_valid(record)
    name = data.draw(st.sampled_from(sorted(record)))
    changed = {key: value if key == name else kept for key, kept in record.items() if not (gone and key == name)}
    assert (_schema.fault(json.dumps(changed).encode()) is None) == PEER.is_valid(changed), changed


def test_every_record_of_ours_keeps_the_schema(
    log_file: Path, shell: Callable[..., tuple[int, str, str]], records: Callable[[], list[dict[str, Any]]]
) -> None:
    log = own.setup_logging("app", log_file, console="off")
    own.log_config({"a": 1}, source="a.yaml")
    own.log_seeds(numpy=1)
    own.log_fsq_config([8, 6, 5], 64)
    own.log_clustering("gmm", 7, 2400)
    own.log_merge(2, [5], "close")
    own.log_smoothing("median", 3, 9)
    own.log_qa_issue("gap", "m", subject="rex")
    own.log_data_processing("s", 2, 1)
    own.log_epoch(3, 20, loss=float("nan"))
    own.log_metrics("test", {"accuracy": 0.9})
    own.log_exception(ValueError("no"))
    own.metrics.incr("n")
    own.metrics.observe("t", 0.5)
    own.metrics.flush()
    log.info("anything", other=[1, None])
    assert {one["event"] for one in records()} == set(_schema.EVENTS) | {"anything"}
    assert shell("schema", "check", str(log_file)) == (0, "13 records checked, 0 against the schema\n", "")
    for record in records():
        PEER.validate(record)


def test_check_tells_file_line_and_byte(tmp_path: Path, shell: Callable[..., tuple[int, str, str]]) -> None:
    file = tmp_path / "a.log"
    good = json.dumps(RECORD)
    wrong = json.dumps(RECORD | {"event": "epoch", "epoch": "3"})
    file.write_text(f"{good}\n\n{wrong}\n{{torn\n")
    status, out, _ = shell("schema", "check", str(file))
    assert status == 1
    first, second, last = out.splitlines()
    assert first == f"{file}:3: byte {len(good) + 2}: Expected `int`, got `str` - at `$.epoch`"
    assert second.startswith(f"{file}:4: byte {len(good) + len(wrong) + 3}: ")
    assert last == "3 records checked, 2 against the schema"


def test_print(shell: Callable[..., tuple[int, str, str]]) -> None:
    assert shell("schema", "print")[1] == COMMITTED.read_text()


@pytest.mark.parametrize("line", [b"\xff", b"[" * 100_000, b"null", b""])
def test_no_bytes_make_it_raise(line: bytes) -> None:
    assert _schema.fault(line) is not None
