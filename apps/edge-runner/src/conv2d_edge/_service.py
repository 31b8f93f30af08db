"""The HTTP service: health, and windows in, probabilities out."""

import asyncio
import json
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from conv2d.data import CHANNELS, WINDOW_STEPS
from conv2d_edge._body import RequestError, windows_of_bytes, windows_of_json
from conv2d_edge._engine import Engine, Prediction

MAX_BODY = 16 * 2**20
_MAX_WAITING = 32


def make_app(engine: Engine, *, max_body: int = MAX_BODY, workers: int = 2) -> Starlette:
    """Build the ASGI application that serves one engine.

    Parameters
    ----------
    engine : Engine
        Of a verified bundle.
    max_body : int
        Largest request body in bytes; a larger one is answered with 413.
    workers : int
        Requests that are computed at the same time; up to 32 are held, the next is answered with 503.

    Returns
    -------
    Starlette
        Routes `GET /healthz` and `POST /v1/windows`.

    Examples
    --------
    >>> import tempfile
    >>> from conv2d.packaging.testing import small_bundle
    >>> with tempfile.TemporaryDirectory() as root:
    ...     app = make_app(Engine(small_bundle(root)))
    >>> [route.path for route in app.routes]
    ['/healthz', '/v1/windows']
    """
    # Reading, inference and writing run in threads, so that health is answered while they work.
    pool = ThreadPoolExecutor(workers, thread_name_prefix="windows")
    in_flight = 0

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        yield
        pool.shutdown()

    async def health(_: Request) -> Response:
        return JSONResponse(describe(engine))

    async def windows(request: Request) -> Response:
        nonlocal in_flight
        if in_flight >= _MAX_WAITING:
            text = f"{_MAX_WAITING} requests are in work; try again later."
            return JSONResponse({"error": text}, 503, {"Retry-After": "1"})
        in_flight += 1
        try:
            kind = _content_type(request)
            body = await _read_body(request, max_body)
            shape = request.query_params.get("shape")
            loop = asyncio.get_running_loop()
            return Response(
                await loop.run_in_executor(pool, _answer, engine, kind, body, shape), media_type="application/json"
            )
        except RequestError as error:
            return JSONResponse({"error": str(error)}, error.status)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        finally:
            in_flight -= 1

    async def refused(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        detail = error.detail if isinstance(error, HTTPException) else "internal error; it is in the log."
        text = f"{detail}; there is GET /healthz and POST /v1/windows." if status in (404, 405) else detail
        return JSONResponse({"error": text}, status)

    return Starlette(
        routes=[Route("/healthz", health), Route("/v1/windows", windows, methods=["POST"])],
        exception_handlers={HTTPException: refused, Exception: refused},
        lifespan=lifespan,
    )


def describe(engine: Engine) -> dict[str, Any]:
    """Return what `GET /healthz` answers: which bundle runs, and what it expects."""
    preprocessing = engine.bundle.preprocessing
    return {
        "status": "ok",
        "bundle": engine.bundle.id,
        "version": engine.bundle.version,
        "labels": list(engine.labels),
        "window": {
            "shape": [len(CHANNELS), 2, WINDOW_STEPS],
            "dtype": "float32",
            "channels": list(CHANNELS),
            "units": {"acc": "m/s²", "gyro": "rad/s", "mag": preprocessing.get("mag_unit", "uT")},
            "devices": preprocessing.get("devices"),
            "sampling_rate": preprocessing.get("sampling_rate"),
        },
    }


def answer(engine: Engine, prediction: Prediction) -> dict[str, Any]:
    """Return what `POST /v1/windows` answers; the numbers read back as the same float32."""
    rows = zip(prediction.labels, prediction.probabilities.tolist(), prediction.codes.tolist(), strict=True)
    return {
        "bundle": engine.bundle.id,
        "labels": list(engine.labels),
        "predictions": [
            {
                "label": engine.labels[label],
                "probability": probabilities[label],
                "probabilities": probabilities,
                "codes": codes,
            }
            for label, probabilities, codes in rows
        ],
    }


def _answer(engine: Engine, kind: str, body: bytes, shape: str | None) -> bytes:
    windows = windows_of_json(body) if kind == "application/json" else windows_of_bytes(body, shape)
    return json.dumps(answer(engine, engine.predict(windows)), ensure_ascii=False, allow_nan=False).encode()


def _content_type(request: Request) -> str:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in ("application/json", "application/octet-stream"):
        raise RequestError(
            415,
            f'the content type is {kind[:60] or "not given"}; send application/json with {{"windows": …}} or '
            "application/octet-stream with raw float32.",
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError(415, "the body is compressed; send it as it is.")
    return kind


async def _read_body(request: Request, limit: int) -> bytes:
    said = request.headers.get("content-length", "0")
    too_large = RequestError(413, f"the body is larger than {limit} bytes; send fewer windows at once.")
    if said.isdecimal() and int(said) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)
