"""Small ONNX models built by hand: the tests need no torch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conv2d.packaging import Bundle, OnnxModel, Samples, create_bundle
from onnx import TensorProto, helper, numpy_helper

LABELS = ("rest", "walk", "trot")


def make_model(seed: int = 0, *, batch: int | str = 1, steps: int = 100, labels: int = 3) -> bytes:
    """A convolution, a rounding code output and a head: the shape of the real thing, 100 times smaller."""
    rng = np.random.default_rng(seed)
    weights = {
        "kernel": rng.normal(0, 0.2, (4, 9, 2, 10)).astype(np.float32),
        "project": rng.normal(0, 0.5, (40, 64)).astype(np.float32),
        "head": rng.normal(0, 0.5, (64, labels)).astype(np.float32),
        "three": np.float32(3),
        "shape": np.array([1, 40], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["windows", "kernel"], ["maps"], strides=[1, 10]),
        helper.make_node("Relu", ["maps"], ["relu"]),
        helper.make_node("Reshape", ["relu", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "project"], ["z"]),
        helper.make_node("Tanh", ["z"], ["bounded"]),
        helper.make_node("Mul", ["bounded", "three"], ["scaled"]),
        helper.make_node("Round", ["scaled"], ["levels"]),
        helper.make_node("Cast", ["levels"], ["codes"], to=TensorProto.INT32),
        helper.make_node("MatMul", ["levels", "head"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("windows", TensorProto.FLOAT, [batch, 9, 2, steps])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, labels]),
            helper.make_tensor_value_info("codes", TensorProto.INT32, [1, 64]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10  # what the oldest supported onnxruntime reads
    return model.SerializeToString()


def make_windows(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 9, 2, 100)).astype(np.float32)


def make_samples(model: bytes, n: int = 4) -> Samples:
    windows = make_windows(n)
    return Samples(windows, OnnxModel(model).run(windows))


def arguments(**changes: Any) -> dict[str, Any]:
    """Sound arguments of `create_bundle`, with changes."""
    model = changes.get("model", make_model())
    given: dict[str, Any] = {
        "model": model,
        "config": {"seed": 7, "levels": [8, 6, 5], "lr": 1e-3, "name": "quick start: ä"},
        "labels": LABELS,
        "preprocessing": {"rate_hz": 100.0, "devices": ["collar", "harness"]},
        "calibration": {"temperature": {"temperature": 1.25}},
        "metrics": {"accuracy": 0.91, "ece": 0.03},
        "version": "0.1.0",
        "commit_sha": "0123abc",
    }
    given |= changes
    if "samples" not in given:
        given["samples"] = make_samples(model)
    return given


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return create_bundle(tmp_path / "artifacts", **arguments())


@pytest.fixture
def edit_model() -> Callable[[Callable[[onnx.ModelProto], object]], bytes]:
    def edit(change: Callable[[onnx.ModelProto], object]) -> bytes:
        model = onnx.load_model_from_string(make_model())
        change(model)
        return model.SerializeToString()

    return edit
