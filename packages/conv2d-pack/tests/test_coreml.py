"""The coreml target: the package reads back, computes what the float model computes, and is the same bytes anywhere."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from conv2d.packaging import Samples, create_bundle, verify_bundle
from conv2d.packaging._coreml import FOLDER, CoreMLTarget
from conv2d.packaging.targets import Built, TargetData
from conv2d.packaging.testing import edge_model, small_arguments, small_model, small_samples, small_windows

needed = pytest.mark.skipif(
    importlib.util.find_spec("coremltools") is None,
    reason="coremltools absent: the coreml target is NOT TESTED here (install conv2d-pack[coreml])",
)
NONE = TargetData(small_windows(0), small_windows(0))
MODEL = f"{FOLDER}/Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = f"{FOLDER}/Data/com.apple.CoreML/weights/weight.bin"


@pytest.fixture(scope="module")
def built() -> Built:
    return CoreMLTarget().build(edge_model(width=8), NONE)


@needed
def test_operation_by_operation_it_is_the_float_model(built: Built) -> None:
    samples = small_samples(edge_model(width=8), 40)
    checked = CoreMLTarget().verify(built.files, edge_model(width=8), samples)
    assert checked.findings == ()
    assert "Apple devices only" in checked.not_verified[0]


@needed
def test_explicit_float32_interface_and_nothing_of_this_machine(built: Built) -> None:
    import coremltools.proto.Model_pb2 as proto

    message = proto.Model.FromString(built.files[MODEL])  # type: ignore[attr-defined]
    (given,) = message.description.input
    assert given.type.multiArrayType.dataType == 65568  # FLOAT32
    assert list(given.type.multiArrayType.shape) == [1, 9, 2, 100]
    types = {output.name: output.type.multiArrayType.dataType for output in message.description.output}
    assert types == {"logits": 65568, "codes": 131104}  # FLOAT32, INT32
    assert message.WhichOneof("Type") == "mlProgram"
    assert not message.description.metadata.userDefined
    for trace in (b"coremltools", b"torch", b"2026", b"milinternal", b"/tmp", b"float16"):
        assert trace not in built.files[MODEL], trace
    manifest = json.loads(built.files[f"{FOLDER}/Manifest.json"])
    assert {entry["name"] for entry in manifest["itemInfoEntries"].values()} == {"model.mlmodel", "weights"}


@needed
def test_a_changed_weight_another_model_and_junk_are_found(built: Built) -> None:
    samples = small_samples(edge_model(width=8), 4)
    weights = bytearray(built.files[WEIGHTS])
    weights[1339] ^= 0x7F  # the exponent of a weight of the first convolution, which every output depends on
    for files, text in (
        ({**built.files, WEIGHTS: bytes(weights)}, "differs"),
        ({**built.files, MODEL: b"junk"}, "cannot be evaluated"),
        ({**built.files, WEIGHTS: b""}, "cannot be evaluated"),
    ):
        findings = CoreMLTarget().verify(files, edge_model(width=8), samples).findings
        assert findings, text
        assert text in findings[0].problem
    other = edge_model(1, width=8)
    assert CoreMLTarget().verify(built.files, other, small_samples(other)).findings
    wider = edge_model(width=8, labels=4)
    assert "takes and gives" in CoreMLTarget().verify(built.files, wider, small_samples(wider)).findings[0].problem


@needed
def test_rounding_and_tanh_too() -> None:
    model = small_model()
    built = CoreMLTarget().build(model, NONE)
    assert CoreMLTarget().verify(built.files, model, small_samples(model, 20)).findings == ()


@needed
def test_in_a_bundle(tmp_path: Path) -> None:
    bundle = create_bundle(tmp_path, **small_arguments(targets=("onnx", "coreml")))
    assert bundle.manifest["targets"]["coreml"]["files"] == sorted((MODEL, WEIGHTS, f"{FOLDER}/Manifest.json"))
    assert verify_bundle(bundle.path, target="coreml").ok


@needed
def test_an_operator_without_translation_is_told() -> None:
    model = onnx.load_model_from_string(small_model())
    model.graph.node[4].op_type = "Erf"
    why = CoreMLTarget().check(model.SerializeToString())
    assert why is not None
    assert "Erf" in why.reason


def test_without_the_extra_it_is_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conv2d.packaging._coreml.find_spec", lambda name: None)
    bundle = create_bundle(tmp_path, **small_arguments(targets=("onnx", "coreml")))
    entry = bundle.manifest["targets"]["coreml"]
    assert entry["status"] == "not built"
    assert "pip install 'conv2d-pack[coreml]'" in entry["next"]
    samples = Samples(small_windows(1), {"codes": np.zeros((1, 64), np.int32)})
    assert "not installed" in CoreMLTarget().verify({}, b"", samples).not_verified[0]


SCRIPT = """
import hashlib, warnings
warnings.simplefilter("ignore")
from conv2d.packaging._coreml import CoreMLTarget
from conv2d.packaging.targets import TargetData
from conv2d.packaging.testing import edge_model, small_windows
built = CoreMLTarget().build(edge_model(width=8), TargetData(small_windows(0), small_windows(0)))
print(sorted((name, hashlib.sha256(data).hexdigest()) for name, data in built.files.items()))
"""


@needed
def test_same_bytes_from_two_directories_processes_and_hash_seeds(tmp_path: Path) -> None:
    running = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", SCRIPT]
        running.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True))
    told = {process.communicate(timeout=240)[0] for process in running}
    assert len(told) == 1
    assert "weight.bin" in told.pop()
