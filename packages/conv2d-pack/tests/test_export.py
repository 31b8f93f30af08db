"""Export from torch: the same bytes anywhere."""

import hashlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from conv2d.packaging import BundleError, MissingToolError, create_bundle, export_onnx, verify_bundle
from conv2d.packaging.testing import small_arguments

NEEDED = "torch and onnxscript absent: the ONNX export is NOT TESTED here (install conv2d-pack[torch])"

MODULE = textwrap.dedent(
    """
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.conv = torch.nn.Conv2d(9, 4, (2, 10), stride=(1, 10))
            self.norm = torch.nn.BatchNorm2d(4)
            self.drop = torch.nn.Dropout(0.5)
            self.project = torch.nn.Linear(40, 64)
            self.head = torch.nn.Linear(64, 3)

        def forward(self, x):
            z = self.project(self.drop(torch.relu(self.norm(self.conv(x))).flatten(1)))
            levels = torch.round(torch.tanh(z) * 3)
            return self.head(levels), levels.to(torch.int32)
    """
)


def net() -> tuple[object, object]:
    torch = pytest.importorskip("torch", reason=NEEDED)
    pytest.importorskip("onnxscript", reason=NEEDED)
    space: dict[str, object] = {}
    exec(MODULE, space)
    return space["Net"]().eval(), torch.randn(1, 9, 2, 100, generator=torch.Generator().manual_seed(1))  # type: ignore[operator]


def test_a_sound_bundle_whose_bytes_do_not_depend_on_directory_process_or_hash_seed(tmp_path: Path) -> None:
    net()
    script = MODULE + textwrap.dedent(
        """
        import sys
        from conv2d.packaging import export_onnx
        sys.stdout.buffer.write(export_onnx(Net().eval(), torch.zeros(1, 9, 2, 100)))
        """
    )
    running = []
    for seed in ("1", "2"):
        folder = tmp_path / f"at{seed}"
        folder.mkdir()
        (folder / f"run{seed}.py").write_text(script)
        command = [sys.executable, f"run{seed}.py"]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        running.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE))
    one, two = (process.communicate(timeout=120)[0] for process in running)
    assert len(one) > 1000
    assert hashlib.sha256(one).hexdigest() == hashlib.sha256(two).hexdigest()
    for trace in (b"torch", b"site-packages", b"forward", str(tmp_path).encode()):
        assert trace not in one
    bundle = create_bundle(tmp_path / "artifacts", **small_arguments(model=one))
    assert verify_bundle(bundle.path).ok
    assert bundle.manifest["model"]["opset"] == 18


def test_refusals() -> None:
    module, example = net()
    torch = pytest.importorskip("torch", reason=NEEDED)
    with pytest.raises(BundleError, match="training mode"):
        export_onnx(module.train(), example)  # type: ignore[attr-defined, arg-type]
    with pytest.raises(BundleError, match=r"give one float32 window"):
        export_onnx(module.eval(), torch.zeros(2, 9, 2, 100))  # type: ignore[attr-defined]


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingToolError, match=r"pip install 'conv2d-pack\[torch\]'") as caught:
        export_onnx(None, None)  # type: ignore[arg-type]
    assert caught.value.exit_code == 5


def test_importing_the_wheel_does_not_import_torch() -> None:
    code = "import sys, conv2d.packaging, conv2d.packaging.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
