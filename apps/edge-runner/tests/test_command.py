"""The real command in its own process."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from conv2d.packaging import Bundle
from conv2d.packaging.testing import small_windows
from conv2d_edge import Engine

COMMAND = [sys.executable, "-m", "conv2d_edge"]


@contextmanager
def server(bundle: Bundle) -> Generator[tuple[subprocess.Popen[str], int]]:
    command = [*COMMAND, "serve", "--bundle", bundle.id[:8], "--root", str(bundle.path.parent), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        port = 0
        for line in process.stderr:  # ends when the process does
            record = json.loads(line)
            if record["event"] == "serving":
                port = record["port"]
                break
        assert port, "the server ended before it served"
        yield process, port
    finally:
        process.kill()
        process.communicate()


def test_a_real_server_answers_and_ends_on_sigterm(bundle: Bundle, engine: Engine) -> None:
    windows = small_windows(2)
    with server(bundle) as (process, port):
        base = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{base}/healthz", timeout=30).json()["bundle"] == bundle.id
        told = httpx.post(
            f"{base}/v1/windows",
            content=windows.tobytes(),
            headers={"content-type": "application/octet-stream"},
            timeout=30,
        ).json()
        got = np.array([row["probabilities"] for row in told["predictions"]], np.float32)
        assert np.array_equal(got, engine.predict(windows).probabilities)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        assert out == ""


def run(*args: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*COMMAND, *map(str, args)], capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    return done


def test_a_damaged_bundle_is_not_served(bundle: Bundle) -> None:
    data = bytearray((bundle.path / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (bundle.path / "model.onnx").write_bytes(data)
    done = run("serve", "--bundle", bundle.path, "--port", "0")
    assert done.returncode == 3
    assert "model.onnx" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_no_such_bundle(tmp_path: Path) -> None:
    done = run("serve", "--bundle", tmp_path / "nothing")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_port_in_use(bundle: Bundle) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("serve", "--bundle", bundle.path, "--port", taken.getsockname()[1])
    assert done.returncode == 2
    assert "cannot listen" in done.stderr


def test_predict_prints_the_answer(bundle: Bundle, engine: Engine, tmp_path: Path) -> None:
    windows = small_windows(2)
    np.save(tmp_path / "windows.npy", windows)
    done = run("predict", "--bundle", bundle.path, tmp_path / "windows.npy")
    assert done.returncode == 0
    rows = json.loads(done.stdout)["predictions"]
    assert np.array_equal(
        np.array([row["probabilities"] for row in rows], np.float32), engine.predict(windows).probabilities
    )


@pytest.mark.parametrize(("content", "code"), [(None, 2), (b"junk", 3), (np.zeros((1, 9, 2, 100)), 3)])
def test_predict_refuses(bundle: Bundle, tmp_path: Path, content: object, code: int) -> None:
    file = tmp_path / "windows.npy"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif isinstance(content, np.ndarray):
        np.save(file, content)
    done = run("predict", "--bundle", bundle.path, file)
    assert done.returncode == code
    assert str(file) in done.stderr


def test_a_request_in_work_is_answered_before_the_end(bundle: Bundle) -> None:
    with server(bundle) as (process, port), socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        head = "POST /v1/windows HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: 7200\r\n\r\n"
        client.sendall(head.encode() + b"\0" * 7000)
        time.sleep(0.5)  # the server is now waiting for the rest of the body
        os.kill(process.pid, signal.SIGTERM)
        time.sleep(0.5)
        client.sendall(b"\0" * 200)
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        process.communicate(timeout=30)
        assert process.returncode == 0


def test_ctrl_c_while_the_command_loads_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry point loads nothing heavy before it can answer."""
    from importlib.metadata import entry_points

    (script,) = (point for point in entry_points(group="console_scripts") if point.name == "conv2d-edge")
    code = f"import sys, {script.module}; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("conv2d_edge.cli.main", interrupted)
    with pytest.raises(SystemExit) as stop:
        script.load()()
    assert stop.value.code == 130
