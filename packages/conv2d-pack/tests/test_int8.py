"""The int8 target: the float model's codes, a third of its size, the same bytes anywhere."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from conv2d.packaging import BundleError, GateError, OnnxModel, Samples, create_bundle, verify_bundle
from conv2d.packaging._int8 import AGREEMENT, FILE, SIZE, Int8Target
from conv2d.packaging._rounding import activation_range, channel_scales, round_weights
from conv2d.packaging.targets import TargetData
from conv2d.packaging.testing import edge_model, small_arguments, small_model, small_samples, small_windows

NONE = small_windows(0)


@pytest.fixture(scope="module")
def model() -> bytes:
    return edge_model(width=16)


@pytest.fixture(scope="module")
def data() -> TargetData:
    test = small_windows(60, seed=2)
    labels = OnnxModel(edge_model(width=16)).run(test)["logits"].argmax(1).astype(np.int32)
    return TargetData(small_windows(160, seed=1), test, labels)


@pytest.fixture(scope="module")
def quantised(model: bytes, data: TargetData) -> bytes:
    return Int8Target().build(model, data).files[FILE]


def test_agreement_size_and_drop(model: bytes, data: TargetData, quantised: bytes) -> None:
    report = Int8Target().build(model, data).report
    before, after = (OnnxModel(each).run(data.test) for each in (model, quantised))
    assert report["code_agreement"] == round(float((before["codes"] == after["codes"]).mean()), 6) >= AGREEMENT
    assert len(quantised) <= SIZE * len(model)
    assert report["size_ratio"] == round(len(quantised) / len(model), 4)
    hits = after["logits"].argmax(1) == data.labels
    assert report["accuracy_drop"] == round(1 - float(hits.mean()), 6)  # the float model is right by construction
    assert report["judged_on"] == "test subjects"


def test_the_graph_is_static_per_channel_qdq_with_fsq_in_float(quantised: bytes) -> None:
    graph = onnx.load_model_from_string(quantised).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    made = {name: node for node in graph.node for name in node.output}
    assert {node.op_type for node in graph.node} >= {"QuantizeLinear", "DequantizeLinear"}
    assert not any("Dynamic" in node.op_type for node in graph.node)
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    *quantised_layers, head = layers
    assert len(quantised_layers) == 4
    for node in quantised_layers:
        source = made[node.input[1]]
        assert source.op_type == "DequantizeLinear"
        weights, scales = stored[source.input[0]], stored[source.input[1]]
        assert weights.dtype == np.int8
        assert scales.shape == (len(weights),)
        assert {a.name: a.i for a in source.attribute}["axis"] == 0
    assert stored[head.input[1]].dtype == np.float32  # behind the rounding: float
    for node in graph.node:
        if node.op_type in ("Greater", "Gather", "Where"):
            assert all(made[n].op_type != "DequantizeLinear" for n in node.input if n in made)
    activations = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    assert all(stored[node.input[2]].dtype == np.uint8 for node in activations)
    assert activations


def test_rounding_beats_rounding_to_nearest() -> None:
    """The oracle is plain rounding: on correlated inputs the output error must be smaller."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(4000, 10)) @ rng.normal(size=(10, 40)) + 0.1 * rng.normal(size=(4000, 40))
    weights = rng.normal(size=(8, 40))
    scales = channel_scales(weights)
    rounded = round_weights(weights, scales, inputs.T @ inputs / len(inputs))
    nearest = np.rint(weights / scales[:, None])
    errors = [
        float(((inputs @ (weights - np.asarray(levels, float) * scales[:, None]).T) ** 2).mean())
        for levels in (rounded, nearest)
    ]
    assert errors[0] < 0.5 * errors[1]
    assert np.abs(rounded).max() <= 127


def test_uncorrelated_inputs_are_rounded_to_nearest() -> None:
    weights = np.random.default_rng(1).normal(size=(5, 12))
    scales = channel_scales(weights)
    assert np.array_equal(round_weights(weights, scales, np.eye(12)), np.rint(weights / scales[:, None]))


def test_a_dead_channel_does_no_harm() -> None:
    weights, moments = np.zeros((2, 3)), np.zeros((3, 3))
    weights[1] = [1.0, -2.0, 0.5]
    assert np.array_equal(round_weights(weights, channel_scales(weights), moments)[0], [0, 0, 0])


@pytest.mark.parametrize(("low", "high"), [(0.0, 4.0), (-3.0, 3.0), (-1.0, 0.0)])
def test_activation_range_holds_what_it_was_given(low: float, high: float) -> None:
    values = np.linspace(low, high, 5000, dtype=np.float32)
    scale, zero = activation_range(values)
    back = (np.clip(np.rint(values / scale) + zero, 0, 255) - zero) * scale
    assert np.abs(back - values).max() <= 1.5 * (high - low) / 255
    assert 0 <= zero <= 255


def test_in_a_bundle(model: bytes, data: TargetData, tmp_path: Path) -> None:
    arguments = small_arguments(
        model=model,
        targets=("onnx", "onnx-int8"),
        calibration_windows=data.calibration,
        test_windows=data.test,
        test_labels=data.labels,
    )
    bundle = create_bundle(tmp_path, **arguments)
    entry = bundle.manifest["targets"]["onnx-int8"]
    assert entry["status"] == "built"
    assert entry["files"] == [FILE]
    assert entry["report"]["code_agreement"] >= AGREEMENT
    assert "onnx-int8: built (accuracy_drop" in (bundle.path / "README.md").read_text()
    assert verify_bundle(bundle.path, target="onnx-int8").ok


def test_another_model_s_file_is_found(model: bytes, quantised: bytes) -> None:
    samples = small_samples(model)
    assert Int8Target().verify({FILE: quantised}, model, samples).findings == ()
    other = edge_model(1, width=16)
    (finding,) = Int8Target().verify({FILE: quantised}, other, small_samples(other)).findings
    assert finding.file == FILE
    assert "of the float model's codes" in finding.problem
    for bad, text in (
        (b"junk", "not an ONNX file"),
        (model, "no int8 weights"),
        (edge_model(labels=4), "other inputs"),
    ):
        assert any(text in f.problem for f in Int8Target().verify({FILE: bad}, model, samples).findings), text


def test_refusals(model: bytes, data: TargetData, monkeypatch: pytest.MonkeyPatch) -> None:
    target = Int8Target()
    with pytest.raises(BundleError, match="needs calibration windows"):
        target.build(model, TargetData(NONE, NONE))
    with pytest.raises(GateError, match=r"times the size of the float model, at most 0\.35"):
        target.build(small_model(), TargetData(data.calibration, data.test))
    monkeypatch.setattr("conv2d.packaging._int8.AGREEMENT", 0.9999)
    with pytest.raises(GateError, match=r"code agreement of 0\.9\d+ on 60 windows of test subjects, at least 0\.9999"):
        target.build(model, data)


def test_without_test_windows_it_says_what_it_judged_on(model: bytes, data: TargetData) -> None:
    report = Int8Target().build(model, TargetData(data.calibration, NONE)).report
    assert report["judged_on"] == "training subjects"
    assert "accuracy_drop" not in report


@pytest.mark.parametrize("labels", [np.zeros(3, np.int32), np.zeros(60, np.int64)])
def test_labels_keep_the_contract(data: TargetData, labels: Any) -> None:
    with pytest.raises(BundleError, match="test_labels is"):
        TargetData(data.calibration, data.test, labels)


SCRIPT = """
import hashlib, sys
from conv2d.packaging._int8 import Int8Target
from conv2d.packaging.targets import TargetData
from conv2d.packaging.testing import edge_model, small_windows
data = TargetData(small_windows(120, 1), small_windows(20, 2))
(content,) = Int8Target().build(edge_model(width=16), data).files.values()
print(hashlib.sha256(content).hexdigest())
"""


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
    assert len(told.pop().strip()) == 2 * hashlib.sha256().digest_size


def test_samples_of_the_float_model_are_what_it_is_compared_with(model: bytes, quantised: bytes) -> None:
    samples = small_samples(model)
    flipped = Samples(samples.inputs, {**samples.outputs, "codes": (samples.outputs["codes"] + 1) % 240})
    assert Int8Target().verify({FILE: quantised}, model, flipped).findings
