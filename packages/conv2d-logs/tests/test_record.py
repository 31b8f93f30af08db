"""Lines as other producers write them; taken from their documentation, shortened."""

import pytest

from conv2d.logging._record import unify

T = "2026-11-21T14:30:00.500000000Z"
PRODUCERS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "stdlib": (
        {"asctime": "2026-11-21 14:30:00,500", "levelname": "WARNING", "name": "app.db", "message": "slow", "ms": 12},
        {"ts": T, "level": "warning", "logger": "app.db", "event": "slow", "ms": 12},
    ),
    "structlog": (
        {"timestamp": "2026-11-21T14:30:00.5Z", "level": "info", "logger": "app", "event": "up", "port": 80},
        {"ts": T, "level": "info", "logger": "app", "event": "up", "port": 80},
    ),
    "loguru": (
        {
            "text": "…",
            "record": {
                "time": {"repr": "…", "timestamp": 1795271400.5},
                "level": {"name": "SUCCESS", "no": 25},
                "name": "app",
                "message": "done",
                "extra": {"fold": 2},
                "process": {"id": 7, "name": "MainProcess"},
                "thread": {"id": 1, "name": "MainThread"},
                "exception": {"type": "ValueError", "value": "no", "traceback": True},
            },
        },
        {"ts": T, "level": "info", "logger": "app", "event": "done", "fold": 2, "pid": 7, "thread": "MainThread",
         "exception": {"type": "ValueError", "message": "no", "traceback": None}},
    ),
    "bunyan": (
        {"name": "app", "hostname": "h", "pid": 1, "level": 50, "msg": "bad", "time": "2026-11-21T14:30:00.500Z", "v": 0,
         "err": {"name": "TypeError", "message": "x", "stack": "at y"}},
        {"ts": T, "level": "error", "logger": "app", "event": "bad", "hostname": "h", "pid": 1, "v": 0,
         "exception": {"type": "TypeError", "message": "x", "traceback": "at y"}},
    ),
    "pino": (
        {"level": 30, "time": 1795271400500, "pid": 1, "hostname": "h", "msg": "hello"},
        {"ts": T, "level": "info", "logger": None, "event": "hello", "pid": 1, "hostname": "h"},
    ),
    "ECS": (
        {"@timestamp": "2026-11-21T14:30:00.500Z", "log.level": "error", "message": "bad", "log": {"logger": "app"},
         "error.stack_trace": "Traceback …\nValueError: no"},
        {"ts": T, "level": "error", "logger": "app", "event": "bad",
         "exception": {"type": "ValueError", "message": "no", "traceback": "Traceback …\nValueError: no"}},
    ),
    "nothing known": ({"a": 1}, {"ts": None, "level": None, "logger": None, "event": None, "a": 1}),
}  # fmt: skip


@pytest.mark.parametrize("producer", PRODUCERS)
def test_producers(producer: str) -> None:
    raw, expected = PRODUCERS[producer]
    before = repr(raw)
    assert unify(raw) == expected
    assert repr(raw) == before, "the record that was given stays as it was"


def test_our_own_is_left_as_it_is() -> None:
    record = {"ts": T, "level": "info", "logger": "a", "event": "b", "run_id": "r", "message": "m", "seq": 1}
    assert unify(record) is record
