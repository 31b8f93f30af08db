"""An edge box has no torch: neither needed, nor imported, nor declared."""

import re
import subprocess
import sys
from importlib.metadata import requires

from packaging.requirements import Requirement

GUARD = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "lightning", "onnxscript"):
            raise AssertionError(f"{name} is imported on the edge")

sys.meta_path.insert(0, NoTorch())
"""

SCRIPT = (
    GUARD
    + """
import asyncio, tempfile, httpx
from conv2d.packaging.testing import small_bundle, small_windows
from conv2d_edge import Engine, make_app
import conv2d_edge.cli

async def ask(app):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://edge") as client:
        body, headers = small_windows(1).tobytes(), {"content-type": "application/octet-stream"}
        return (await client.post("/v1/windows", content=body, headers=headers)).status_code

with tempfile.TemporaryDirectory() as root:
    print(asyncio.run(ask(make_app(Engine(small_bundle(root))))))
"""
)


def test_serving_imports_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "200\n", done.stderr


def test_the_guard_guards() -> None:
    code = GUARD + "import torch"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "torch is imported on the edge" in done.stderr


def closure(distribution: str) -> set[str]:
    """Names of all distributions that installing one brings along."""
    seen: set[tuple[str, str]] = set()
    waiting = [(distribution, "")]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for line in requires(name) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                waiting += [(re.sub(r"[-_.]+", "-", needed.name).lower(), e) for e in ("", *needed.extras)]
    return {name for name, _ in seen}


def test_no_torch_among_the_requirements() -> None:
    names = closure("conv2d-edge-runner")
    assert {"conv2d-pack", "onnxruntime", "starlette", "numpy"} <= names
    assert names.isdisjoint({"torch", "lightning", "onnxscript", "scikit-learn"})
