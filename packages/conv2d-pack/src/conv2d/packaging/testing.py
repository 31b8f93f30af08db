"""Small bundles for tests and examples: the shape of the real thing, a hundred times smaller, no torch needed."""

import hashlib
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from conv2d.packaging._bundle import Bundle
from conv2d.packaging._create import create_bundle
from conv2d.packaging._model import OnnxModel
from conv2d.packaging._samples import Samples

__all__ = ["edge_model", "small_arguments", "small_bundle", "small_model", "small_samples", "small_windows"]


def small_model(seed: int = 0, *, labels: int = 3) -> bytes:
    """Build an ONNX file with one convolution, 64 rounded codes and a head, from random weights.

    Parameters
    ----------
    seed : int
        Seed of the weights.
    labels : int
        Number of logits.

    Returns
    -------
    bytes
        The ONNX file, opset 18.

    Examples
    --------
    >>> len(small_model()) > 10_000
    True
    """
    rng = np.random.default_rng(seed)
    weights = {
        "kernel": rng.normal(0, 0.2, (4, 9, 2, 10)).astype(np.float32),
        "project": rng.normal(0, 0.5, (40, 64)).astype(np.float32),
        "head": rng.normal(0, 0.5, (64, labels)).astype(np.float32),
        "three": np.array(3, np.float32),
        "shape": np.array([1, 40], np.int64),
    }
    make: Any = helper.make_node
    nodes: list[onnx.NodeProto] = [
        make("Conv", ["windows", "kernel"], ["maps"], strides=[1, 10]),
        make("Relu", ["maps"], ["relu"]),
        make("Reshape", ["relu", "shape"], ["flat"]),
        make("MatMul", ["flat", "project"], ["z"]),
        make("Tanh", ["z"], ["bounded"]),
        make("Mul", ["bounded", "three"], ["scaled"]),
        make("Round", ["scaled"], ["levels"]),
        make("Cast", ["levels"], ["codes"], to=onnx.TensorProto.INT32),
        make("MatMul", ["levels", "head"], ["logits"]),
    ]
    return _model_bytes("small", nodes, weights, labels)


def edge_model(seed: int = 0, *, labels: int = 3, width: int = 16) -> bytes:
    """Build an ONNX file with the operators of a real one: three convolutions, pooling, 64 FSQ codes by thresholds, a head.

    Parameters
    ----------
    seed : int
        Seed of the weights.
    labels : int
        Number of logits.
    width : int
        Channels of the first convolution; the others have 2 and 4 times as many.

    Returns
    -------
    bytes
        The ONNX file, opset 18; a good third of its 64 x 3 scalars lies on each side of each threshold.

    Examples
    --------
    >>> len(edge_model()) > 100_000
    True
    """
    rng = np.random.default_rng(seed)
    levels, wide = (8, 6, 5), 8 * width

    def draw(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32)

    weights: dict[str, NDArray[Any]] = {
        "w0": draw(width, 9, 1, 7),
        "b0": draw(width, 1)[:, 0],
        "w1": draw(2 * width, width, 1, 5),
        "b1": draw(2 * width, 1)[:, 0],
        "w2": draw(4 * width, 2 * width, 2, 5),
        "b2": draw(4 * width, 1)[:, 0],
        "w3": draw(192, wide),
        "b3": np.zeros(192, np.float32),
        "w4": draw(labels, 192),
        "b4": np.zeros(labels, np.float32),
        "rows": np.array([1, wide // 2], np.int64),
        "scalars": np.array([1, 64, 3], np.int64),
        "flat": np.array([1, 192], np.int64),
        "nan": np.array(np.nan, np.float32),
        "book": (np.stack(np.unravel_index(np.arange(240), levels, order="F"), 1) / 4 - 1).astype(np.float32),
    }
    make: Any = helper.make_node
    nodes: list[Any] = []
    last = "windows"
    for number, (height, kernel) in enumerate(((1, 7), (1, 5), (2, 5))):
        given = {"kernel_shape": [height, kernel], "pads": [0, kernel // 2, 0, kernel // 2]}
        nodes.append(make("Conv", [last, f"w{number}", f"b{number}"], [f"c{number}"], **given))
        nodes.append(make("Relu", [f"c{number}"], [f"r{number}"]))
        last = f"r{number}"
        if number < 2:
            nodes.append(make("MaxPool", [last], [f"p{number}"], kernel_shape=[1, 2], strides=[1, 2]))
            last = f"p{number}"
    for kind, name in (("AveragePool", "mean"), ("MaxPool", "peak")):
        nodes.append(make(kind, [last], [name], kernel_shape=[1, 25], strides=[1, 25]))
        nodes.append(make("Reshape", [name, "rows"], [f"{name}_row"]))
    nodes.append(make("Concat", ["mean_row", "peak_row"], ["pooled"], axis=1))
    nodes.append(make("Gemm", ["pooled", "w3", "b3"], ["z_row"], transB=1))
    nodes.append(make("Reshape", ["z_row", "scalars"], ["z"]))
    total, unit = "", 1
    for axis, count in enumerate(levels):
        weights[f"axis{axis}"] = np.array(axis, np.int64)
        nodes.append(make("Gather", ["z", f"axis{axis}"], [f"z{axis}"], axis=2))
        for step in range(count - 1):
            name = f"{axis}_{step}"
            weights[f"t{name}"] = np.array(2 * (step + 0.5) / (count - 1) - 1, np.float32)
            weights[f"u{name}"] = np.array(unit, np.int32)
            nodes.append(make("Greater", [f"z{axis}", f"t{name}"], [f"g{name}"]))
            nodes.append(make("Cast", [f"g{name}"], [f"i{name}"], to=onnx.TensorProto.INT32))
            nodes.append(make("Mul", [f"i{name}", f"u{name}"], [f"m{name}"]))
            done = "codes" if axis == len(levels) - 1 and step == count - 2 else f"s{name}"
            nodes.append(make("Add", [total, f"m{name}"], [done]) if total else make("Identity", [f"m{name}"], [done]))
            total = done
        unit *= count
    nodes.append(make("Gather", ["book", "codes"], ["values"], axis=0))
    nodes.append(make("IsNaN", ["z"], ["broken"]))
    nodes.append(make("Where", ["broken", "nan", "values"], ["quantised"]))
    nodes.append(make("Reshape", ["quantised", "flat"], ["head"]))
    nodes.append(make("Gemm", ["head", "w4", "b4"], ["logits"], transB=1))
    return _model_bytes("edge", nodes, weights, labels)


def _model_bytes(name: str, nodes: list[Any], weights: dict[str, NDArray[Any]], labels: int) -> bytes:
    value: Any = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        name,
        [value("windows", onnx.TensorProto.FLOAT, [1, 9, 2, 100])],
        [value("logits", onnx.TensorProto.FLOAT, [1, labels]), value("codes", onnx.TensorProto.INT32, [1, 64])],
        [numpy_helper.from_array(array, key) for key, array in weights.items()],
    )
    # IR version 10 is what the oldest supported onnxruntime reads.
    model: Any = cast("Any", helper.make_model)(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return model.SerializeToString(deterministic=True)


def small_windows(n: int, seed: int = 0) -> NDArray[np.float32]:
    """Return standard-normal windows.

    Parameters
    ----------
    n : int
        Number of windows.
    seed : int
        Seed of the numbers.

    Returns
    -------
    ndarray of float32, shape (n, 9, 2, 100)
        As a normaliser would give them.

    Examples
    --------
    >>> small_windows(2).shape
    (2, 9, 2, 100)
    """
    return np.random.default_rng(seed).normal(size=(n, 9, 2, 100)).astype(np.float32)


def small_samples(model: bytes, n: int = 4) -> Samples:
    """Return windows and what `model` gives for them.

    Parameters
    ----------
    model : bytes
        An ONNX file that keeps the contract of a bundle.
    n : int
        Number of windows, at least 1.

    Returns
    -------
    Samples
        As `create_bundle` takes them.

    Examples
    --------
    >>> len(small_samples(small_model()))
    4
    """
    windows = small_windows(n)
    return Samples(windows, OnnxModel(model).run(windows))


def small_arguments(**changes: Any) -> dict[str, Any]:
    """Return sound keyword arguments of `create_bundle`.

    Parameters
    ----------
    **changes : Any
        Arguments to replace; the samples and metrics follow a replaced `model`.

    Returns
    -------
    dict
        All arguments but `root`.

    Examples
    --------
    >>> small_arguments(version="2.0")["version"]
    '2.0'
    """
    model = changes.get("model", small_model())
    arguments: dict[str, Any] = {
        "model": model,
        "config": {"seed": 7, "levels": [8, 6, 5], "lr": 1e-3, "name": "small: ä"},
        "labels": ("rest", "walk", "trot"),
        "preprocessing": {
            "sampling_rate": 100.0,
            "devices": ["collar", "harness"],
            "mag_unit": "uT",
            "normaliser": {
                "mean": [[0.5, -0.5]] * 9,
                "scale": [[2.0, 3.0]] * 9,
                "channel_mask": [[True, True]] * 9,
                "clip": 8.0,
            },
        },
        "calibration": {"temperature": {"temperature": 1.25, "status": "interior", "n_windows": 100}},
        "version": "0.1.0",
        "commit_sha": "0123abc",
    } | changes
    if "metrics" not in arguments:
        arguments["metrics"] = {"accuracy": 0.91, "ece": 0.03, "model_sha256": hashlib.sha256(model).hexdigest()}
    if "samples" not in arguments:
        arguments["samples"] = small_samples(model)
    return arguments


def small_bundle(root: str | Path, **changes: Any) -> Bundle:
    """Create a small bundle.

    Parameters
    ----------
    root : str or Path
        The folder that holds bundles.
    **changes : Any
        Arguments of `create_bundle` to replace.

    Returns
    -------
    Bundle
        The bundle, opened.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     small_bundle(root).labels
    ('rest', 'walk', 'trot')
    """
    return create_bundle(root, **small_arguments(**changes))
