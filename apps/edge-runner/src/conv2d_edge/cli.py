"""The command `conv2d-edge`: serve a verified bundle, or classify a file with it.

Exit codes: 0 ok, 2 usage (no such bundle, a port in use), 3 a damaged bundle or bad windows, 70 internal error.
"""

import json
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import numpy as np
import typer
import uvicorn

from conv2d.data import DataError
from conv2d.logging import log_exception, setup_logging
from conv2d.packaging import Bundle, BundleError, BundleNotFoundError, find_bundle, verify_bundle
from conv2d_edge._engine import Engine
from conv2d_edge._service import MAX_BODY, answer, make_app

app: typer.Typer = typer.Typer(
    help="Run one verified model bundle at the edge.", no_args_is_help=True, pretty_exceptions_enable=False
)

Which = Annotated[str, typer.Option("--bundle", metavar="ID|PATH", help="A bundle's id, or its folder.")]
Root = Annotated[Path, typer.Option("--root", help="The folder that holds bundles.")]
_ROOT = Path("artifacts")


@app.command()
def serve(
    bundle: Which,
    root: Root = _ROOT,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Requests computed at once.")] = 2,
    max_body: Annotated[int, typer.Option(min=7200, help="Largest request body in bytes.")] = MAX_BODY,
) -> None:
    """Verify a bundle, then answer GET /healthz and POST /v1/windows until told to stop."""
    engine = _engine(bundle, root)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        _stop(2, f"cannot listen on {host} port {port}: {error.strerror or error}. Choose another with --host, --port.")
    log = setup_logging(name="conv2d-edge")
    log.info("serving", address=host, port=listener.getsockname()[1], bundle=engine.bundle.id, path=engine.bundle.path)
    config = uvicorn.Config(
        make_app(engine, max_body=max_body, workers=workers),
        log_config=None,
        timeout_graceful_shutdown=10,
        server_header=False,
    )
    # uvicorn finishes open requests, then raises the signal again: being told to stop is a normal end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    with listener:
        uvicorn.Server(config).run(sockets=[listener])


@app.command()
def predict(
    file: Annotated[Path, typer.Argument(metavar="FILE.npy", help="Windows: float32 (B, 9, 2, 100), raw SI units.")],
    bundle: Which,
    root: Root = _ROOT,
) -> None:
    """Classify the windows of a .npy file and print the answer of POST /v1/windows."""
    engine = _engine(bundle, root)
    try:
        windows = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        _stop(2, f"{file} does not exist; give a .npy file of windows.")
    except (OSError, ValueError, EOFError) as error:
        _stop(3, f"{file} cannot be read as a .npy file: {error}")
    try:
        prediction = engine.predict(windows)
    except DataError as error:
        _stop(3, f"{file}: {error}")
    typer.echo(json.dumps(answer(engine, prediction), ensure_ascii=False, allow_nan=False))


def _engine(which: str, root: Path) -> Engine:
    try:
        path = find_bundle(root, which)
        verdict = verify_bundle(path)
        if not verdict.ok:
            told = "; ".join(str(finding) for finding in verdict.findings)
            _stop(3, f"the bundle {path} fails its verification and is not run: {told}")
        return Engine(Bundle.open(path))
    except BundleNotFoundError as error:
        _stop(2, str(error))
    except BundleError as error:
        _stop(3, str(error))


def _stop(code: int, text: str) -> NoReturn:
    typer.echo(f"error: {text}", err=True)
    raise typer.Exit(code)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def main() -> None:
    """Run the command line; what is nobody's mistake but ours ends with exit code 70."""
    try:
        app()
    except Exception as error:
        log_exception(error, "internal_error")
        sys.exit(70)
