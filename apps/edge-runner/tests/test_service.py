"""The HTTP service in one process: good answers, and no 500 for anything a user sends."""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from conv2d.packaging.testing import small_windows
from conv2d_edge import Engine, make_app

RAW = {"content-type": "application/octet-stream"}
JSON = {"content-type": "application/json"}


def connect(app: Starlette) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://edge")


class Client:
    """One request at a time, without a socket."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    def request(self, method: str, address: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            async with connect(self._app) as client:
                return await client.request(method, address, **options)

        return asyncio.run(send())

    def get(self, address: str) -> httpx.Response:
        return self.request("GET", address)

    def post(self, address: str, **options: Any) -> httpx.Response:
        return self.request("POST", address, **options)


@pytest.fixture
def client(engine: Engine) -> Client:
    return Client(make_app(engine, max_body=200_000))


def test_health(client: Client, engine: Engine) -> None:
    told = client.get("/healthz").json()
    assert told["status"] == "ok"
    assert told["bundle"] == engine.bundle.id
    assert told["labels"] == ["rest", "walk", "trot"]
    assert told["window"]["shape"] == [9, 2, 100]
    assert told["window"]["sampling_rate"] == 100.0
    assert told["window"]["devices"] == ["collar", "harness"]


@pytest.mark.parametrize("form", ["json", "raw", "raw with shape"])
def test_the_answer_is_the_engine_s_to_the_last_bit(client: Client, engine: Engine, form: str) -> None:
    windows = small_windows(3)
    if form == "json":
        response = client.post("/v1/windows", json={"windows": windows.tolist()})
    else:
        query = "?shape=3,9,2,100" if form.endswith("shape") else ""
        response = client.post(f"/v1/windows{query}", content=windows.tobytes(), headers=RAW)
    assert response.status_code == 200
    told = response.json()
    expected = engine.predict(windows)
    rows = told["predictions"]
    assert told["bundle"] == engine.bundle.id
    assert np.array_equal(np.array([row["probabilities"] for row in rows], np.float32), expected.probabilities)
    assert np.array_equal(np.array([row["codes"] for row in rows], np.int32), expected.codes)
    for row, label in zip(rows, expected.labels, strict=True):
        assert row["label"] == told["labels"][label]
        assert row["probability"] == row["probabilities"][label] == max(row["probabilities"])


def test_no_windows(client: Client) -> None:
    assert client.post("/v1/windows", json={"windows": []}).json()["predictions"] == []


def spoiled(place: tuple[int, ...], value: object) -> bytes:
    windows: Any = small_windows(2).tolist()
    inner = windows
    for index in place[:-1]:
        inner = inner[index]
    inner[place[-1]] = value
    return json.dumps({"windows": windows}).encode()


@pytest.mark.parametrize(
    ("body", "headers", "status", "text"),
    [
        (b"", JSON, 400, "not JSON"),
        (b"{", JSON, 400, "not JSON"),
        (b"\xff\xfe", JSON, 400, "not JSON"),
        (b"[" * 100_000, JSON, 400, "not JSON"),
        (b"[]", JSON, 400, 'one key "windows"'),
        (b"{}", JSON, 400, 'one key "windows"'),
        (b'{"windows": [], "more": 1}', JSON, 400, 'one key "windows"'),
        (b'{"windows": 3}', JSON, 400, "a list of windows"),
        (b'{"windows": [3]}', JSON, 400, "windows[0] is 3; it must be a list of 9 channels"),
        (spoiled((1,), []), JSON, 400, "windows[1] is 0 items"),
        (spoiled((1, 8), [[0.0] * 100]), JSON, 400, "windows[1][8] is 1 items; it must be a list of 2 devices"),
        (spoiled((0, 3, 1), [0.0] * 99), JSON, 400, "windows[0][3][1] is 99 items; it must be a list of 100 steps"),
        (spoiled((1, 2, 1, 7), "1.0"), JSON, 400, 'windows[1][2][1][7] is "1.0"; it must be a number'),
        (spoiled((1, 2, 1, 7), True), JSON, 400, "windows[1][2][1][7] is true"),
        (spoiled((1, 2, 1, 7), None), JSON, 400, "is null"),
        (spoiled((1, 2, 1, 7), float("nan")), JSON, 400, "NaN is not a number"),
        (spoiled((1, 2, 1, 7), 1e39), JSON, 400, "finite"),
        (spoiled((1, 2, 1, 7), 10**400), JSON, 400, "too large"),
        (b"", RAW, 400, "0 bytes"),
        (b"\0" * 7199, RAW, 400, "7199 bytes"),
        (np.full(1800, np.inf, "<f4").tobytes(), RAW, 400, "finite"),
        (b"\0" * 207_200, RAW, 413, "larger than 200000 bytes"),
        (b"\0" * 7200, {"content-type": "text/csv"}, 415, "text/csv"),
        (b"\0" * 7200, {}, 415, "not given"),
        (b"\0" * 7200, {**RAW, "content-encoding": "gzip"}, 415, "compressed"),
    ],
)
def test_refusals(client: Client, body: bytes, headers: dict[str, str], status: int, text: str) -> None:
    response = client.post("/v1/windows", content=body, headers=headers)
    assert response.status_code == status, response.text
    assert text in response.json()["error"]
    assert "\n" not in response.json()["error"]


@pytest.mark.parametrize("shape", ["1,9,2,100", "2,9,2", "x", "2,9,2,100,", "-2,9,2,100", "2,9,2,99999999999"])
def test_a_shape_that_is_not_the_body_s(client: Client, shape: str) -> None:
    response = client.post("/v1/windows", params={"shape": shape}, content=b"\0" * 14400, headers=RAW)
    assert response.status_code == 400
    assert "(2, 9, 2, 100)" in response.json()["error"]


def test_a_body_without_length_is_cut_off_at_the_limit(client: Client) -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(5):
            yield b"\0" * 50_000

    response = client.post("/v1/windows", content=chunks(), headers=RAW)
    assert response.status_code == 413


def test_other_addresses_and_methods(client: Client) -> None:
    for response, status in ((client.get("/"), 404), (client.get("/v1/windows"), 405), (client.post("/healthz"), 405)):
        assert response.status_code == status
        assert "POST /v1/windows" in response.json()["error"]


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(), inner, max_size=3),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=st.binary(max_size=300) | json_values.map(lambda v: json.dumps({"windows": v}).encode()), raw=st.booleans())
def test_nothing_a_user_sends_is_an_internal_error(client: Client, body: bytes, raw: bool) -> None:
    response = client.post("/v1/windows", content=body, headers=RAW if raw else JSON)
    assert response.status_code in (200, 400)
    if response.status_code == 200:
        assert response.json()["predictions"] == []


def test_health_is_answered_while_windows_are_computed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    started, release = threading.Event(), threading.Event()
    real = engine.predict

    def slow(windows: Any) -> Any:
        started.set()
        assert release.wait(30)
        return real(windows)

    monkeypatch.setattr(engine, "predict", slow)

    async def talk() -> list[int]:
        async with connect(make_app(engine, workers=1)) as client:
            posts = [
                asyncio.create_task(client.post("/v1/windows", content=b"\0" * 7200, headers=RAW)) for _ in range(3)
            ]
            assert await asyncio.to_thread(started.wait, 30)
            assert (await client.get("/healthz")).status_code == 200  # hangs here if inference held the event loop
            release.set()
            return [response.status_code for response in await asyncio.gather(*posts)]

    assert asyncio.run(talk()) == [200, 200, 200]


def test_too_many_at_once_are_told_to_come_back(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conv2d_edge._service._MAX_WAITING", 0)
    response = Client(make_app(engine)).post("/v1/windows", content=b"\0" * 7200, headers=RAW)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"


def test_our_own_failure_is_a_500_without_details(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    def broken(_: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(engine, "predict", broken)
    response = client.post("/v1/windows", content=b"\0" * 7200, headers=RAW)
    assert response.status_code == 500
    assert "secret" not in response.text
