import asyncio
import json
import logging
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

import conv2d.logging as own
from conv2d.logging import structured

# For calls that a type checker would refuse.
UNTYPED: Any = own
Read = Callable[[], list[dict[str, Any]]]


def test_every_record_has_its_frame(log_file: Path, records: Read) -> None:
    log = own.setup_logging("app", log_file, console="off", run_id="r1")
    log.info("first", n=1)
    log.bind(subject="rex").warning("second")
    first, second = records()
    assert list(first) == ["ts", "level", "logger", "event", "run_id", "host", "pid", "thread", "n", "seq"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", first["ts"])
    assert (first["level"], first["logger"], first["event"], first["run_id"]) == ("info", "app", "first", "r1")
    assert (second["level"], second["subject"], second["seq"]) == ("warning", "rex", first["seq"] + 1)
    assert first["ts"] < second["ts"]


@pytest.mark.parametrize("method", ["debug", "info", "warning", "error", "critical"])
def test_levels_filter(log_file: Path, records: Read, method: str) -> None:
    log = own.setup_logging("app", log_file, "warning", "off")
    getattr(log, method)("x")
    written = records() if log_file.exists() else []
    assert [record["level"] for record in written] == ([method] if method not in ("debug", "info") else [])


def test_numbers_and_names_are_levels(log_file: Path, records: Read) -> None:
    for level in (30, "WARNING", "warn"):
        log = own.setup_logging("app", log_file, level, "off")
        log.info("no")
        log.warning("yes")
    assert [record["event"] for record in records()] == ["yes"] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": "loud"}, r"level must be one of debug, .*; got 'loud'"),
        ({"level": True}, "level must be one of"),
        ({"console": "yes"}, "console must be one of auto, json, pretty, off; got 'yes'"),
        ({"fsync": "often"}, "fsync must be one of"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        own.setup_logging(**arguments)


def test_reserved_names_are_kept_apart(log_file: Path, records: Read) -> None:
    own.setup_logging("app", log_file, console="off").info("x", pid=1, ts="mine", seq=-1)
    [record] = records()
    assert (record["pid_"], record["ts_"], record["seq_"]) == (1, "mine", -1)
    assert record["seq"] >= 0 and record["pid"] != 1


def test_context_is_per_task(log_file: Path, records: Read) -> None:
    log = own.setup_logging("app", log_file, console="off")

    async def work(fold: int) -> None:
        structlog.contextvars.bind_contextvars(fold=fold)
        for _ in range(3):
            await asyncio.sleep(0)
            log.info("step", expected=fold)

    async def everything() -> None:
        await asyncio.gather(*(work(fold) for fold in range(5)))

    asyncio.run(everything())
    found = records()
    assert len(found) == 15
    assert all(record["fold"] == record["expected"] for record in found)


def test_structlog_itself_writes_here(log_file: Path, records: Read) -> None:
    own.setup_logging("app", log_file, console="off")
    structlog.get_logger("other").info("hello", n=1)
    structlog.get_logger().info("hello")
    assert [record["logger"] for record in records()] == ["other", "app"]


def test_exceptions_carry_type_message_and_traceback(log_file: Path, records: Read) -> None:
    log = own.setup_logging("app", log_file, console="off")
    try:
        raise KeyError("label") from ValueError("cause")
    except KeyError as error:
        log.exception("failed", step=3)
        caught = error
    own.log_exception(caught, fold=2)
    first, second = records()
    assert (first["level"], first["event"], first["step"]) == ("error", "failed", 3)
    assert first["exception"]["type"] == "KeyError"
    assert first["exception"]["message"] == "'label'"
    assert "ValueError: cause" in first["exception"]["traceback"]
    assert (second["event"], second["fold"], second["exception"]) == ("exception", 2, first["exception"])


def test_stdlib_logging_is_captured_and_given_back(log_file: Path, records: Read) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    for handler in handlers:  # pytest's own
        root.removeHandler(handler)
    try:
        own.setup_logging("app", log_file, "info", "off")
        logging.getLogger("library").info("loaded %d files", 3, extra={"folder": "data"})
        logging.getLogger("library").debug("unseen")
        own.shutdown_logging()
        assert (root.handlers, root.level) == ([], level)
    finally:
        root.handlers[:] = handlers
    [record] = records()
    assert (record["logger"], record["event"], record["folder"]) == ("library", "loaded 3 files", "data")


def test_a_configured_root_keeps_its_level(log_file: Path, records: Read) -> None:
    root = logging.getLogger()
    mine = logging.NullHandler()
    root.addHandler(mine)
    try:
        level = root.level
        own.setup_logging("app", log_file, "debug", "off")
        assert root.level == level
        assert mine in root.handlers
    finally:
        root.removeHandler(mine)


def test_warnings_are_captured_and_given_back(log_file: Path, records: Read) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        before = warnings.showwarning
        own.setup_logging("app", log_file, console="off")
        warnings.warn("slow path", RuntimeWarning, stacklevel=1)
        own.shutdown_logging()
        assert warnings.showwarning is before
    [record] = records()
    assert (record["level"], record["event"], record["category"]) == ("warning", "slow path", "RuntimeWarning")
    assert record["file"] == __file__


def test_structlogs_own_ways_still_hold(log_file: Path, records: Read) -> None:
    """The short way to the file is not taken where structlog would take another."""
    log: Any = own.setup_logging("app", log_file, console="off")
    with structlog.testing.capture_logs() as captured:
        log.bind(a=1).info("seen by a test", b=2)
    assert captured == [{"a": 1, "b": 2, "event": "seen by a test", "log_level": "info"}]
    log.info("%d of %d", 1, 2, x=3)
    log.new(a=1).log(30, "by number")
    log.bind(a=1).unbind("a").fatal("the end")
    asyncio.run(log.ainfo("from a task"))
    found = records()
    assert [one["event"] for one in found] == ["1 of 2", "by number", "the end", "from a task"]
    assert [one["level"] for one in found] == ["info", "warning", "critical", "info"]


def test_setting_up_again_replaces(log_file: Path, tmp_path: Path, records: Read) -> None:
    log = own.setup_logging("app", log_file, console="off")
    own.setup_logging("app", tmp_path / "other.log", console="off")
    own.get_logger().info("x")
    assert not log_file.exists()
    assert len(logging.getLogger().handlers) == len(set(logging.getLogger().handlers))
    log.info("the old logger still works")
    assert [record["event"] for record in records()] == ["the old logger still works"]


def test_before_set_up_records_go_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    own.log_seeds(python=7)
    out, err = capfd.readouterr()
    assert out == ""
    assert json.loads(err)["seeds"] == {"python": 7}


def test_consoles(capfd: pytest.CaptureFixture[str]) -> None:
    own.setup_logging(console="pretty").warning("careful\x1b[2J", path="a b")
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(r'\S+Z warning  conv2d careful\\x1b\[2J path="a b"\n', err)
    own.setup_logging(console="json").info("x")
    assert json.loads(capfd.readouterr().err)["event"] == "x"
    own.setup_logging(console="auto").info("x")
    assert json.loads(capfd.readouterr().err)["event"] == "x"  # captured: no terminal
    own.setup_logging(console="off").info("x")
    assert capfd.readouterr() == ("", "")


EVENTS: list[tuple[Callable[[], None], str, dict[str, object]]] = [
    (
        lambda: own.log_config({"model": {"levels": (8, 6, 5), "api_key": "x"}}, source=Path("a.yaml")),
        "config",
        {"config": {"model": {"levels": [8, 6, 5], "api_key": "[redacted]"}}, "source": "a.yaml"},
    ),
    (lambda: own.log_seeds(python=1, torch=2), "seeds", {"seeds": {"python": 1, "torch": 2}}),
    (
        lambda: own.log_fsq_config([8, 6, 5], 64, 240),
        "fsq_config",
        {"levels": [8, 6, 5], "embedding_dim": 64, "codebook_size": 240},
    ),
    (
        lambda: own.log_clustering("gmm", 7, 2400, bic=-1.5),
        "clustering",
        {"method": "gmm", "n_clusters": 7, "n_samples": 2400, "bic": -1.5},
    ),
    (lambda: own.log_merge(2, [5, 6], "close"), "merge", {"kept": 2, "merged": [5, 6], "reason": "close"}),
    (
        lambda: own.log_smoothing("median", 3, 9, window_size=7),
        "smoothing",
        {"policy": "median", "n_changed": 3, "n_steps": 9, "window_size": 7},
    ),
    (
        lambda: own.log_qa_issue("gap", "0.8 s", subject="rex", seconds=0.8),
        "qa_issue",
        {"check": "gap", "message": "0.8 s", "subject": "rex", "seconds": 0.8},
    ),
    (
        lambda: own.log_data_processing("windows", 10, 8, dropped=2),
        "data_processing",
        {"step": "windows", "n_in": 10, "n_out": 8, "dropped": 2},
    ),
    (lambda: own.log_epoch(3, 20, loss=float("nan")), "epoch", {"epoch": 3, "n_epochs": 20, "loss": "float:nan"}),
    (
        lambda: own.log_metrics("test", {"accuracy": 0.91, "ci": [0.9, 0.92]}, n_subjects=17),
        "metrics",
        {"split": "test", "metrics": {"accuracy": 0.91, "ci": [0.9, 0.92]}, "n_subjects": 17},
    ),
]


@pytest.mark.parametrize(("log", "event", "fields"), EVENTS, ids=[event for _, event, _ in EVENTS])
def test_typed_events(
    log: Callable[[], None], event: str, fields: dict[str, object], log_file: Path, records: Read
) -> None:
    own.setup_logging("app", log_file, console="off")
    log()
    [record] = records()
    assert record["event"] == event
    assert record["level"] == ("warning" if event == "qa_issue" else "info")
    assert {name: record[name] for name in fields} == fields


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: own.log_fsq_config([8, 6, 5], 64, 256),
            ValueError,
            "product of levels .8, 6, 5., which is 240; got 256",
        ),
        (lambda: own.log_fsq_config([8, 1], 64), ValueError, "each at least 2"),
        (lambda: own.log_fsq_config([], 64), ValueError, "levels must be one or more"),
        (lambda: UNTYPED.log_fsq_config([8.0], 64), TypeError, r"levels\[0\] must be a whole number; got 8.0"),
        (lambda: own.log_fsq_config([8], 0), ValueError, "embedding_dim must be at least 1; got 0"),
        (lambda: UNTYPED.log_epoch("3"), TypeError, "epoch must be a whole number; got '3'"),
        (lambda: own.log_seeds(torch=True), TypeError, "torch must be a whole number"),
    ],
)
def test_typed_events_refuse_nonsense(call: Callable[[], None], error: type[Exception], message: str) -> None:
    own.setup_logging(console="off")
    with pytest.raises(error, match=message):
        call()


def test_surface() -> None:
    assert set(own.__all__) == set(structured.__all__) - {"Logger"}
