"""What the targets share about ONNX graphs: their weights, values inside them, and where the accelerator's part ends."""

# onnx ships no stubs for its messages' repeated fields.
# pyright: reportMissingTypeStubs=false

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import onnx
from numpy.typing import NDArray

from conv2d.packaging._findings import BundleError
from conv2d.packaging._model import load_session

EDGE_SAFE = frozenset(
    (
        *("Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "Conv", "Flatten", "Gemm", "GlobalAveragePool"),
        *("GlobalMaxPool", "Identity", "MatMul", "MaxPool", "Mul", "Relu", "Reshape"),
    )
)
"""Operators of the accelerator's part; rounding, thresholds and look-ups run after it."""


def read_graph(model: bytes) -> onnx.ModelProto:
    """Read a model that `inspect_model` has checked, with the static shape of every value filled in."""
    return onnx.shape_inference.infer_shapes(onnx.load_model_from_string(model), strict_mode=True, data_prop=True)


def weights_of(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    """Return the stored tensors by name."""
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}


def shapes_of(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """Return the static shape of every value."""
    values = (*graph.value_info, *graph.input, *graph.output)
    return {v.name: tuple(dim.dim_value for dim in v.type.tensor_type.shape.dim) for v in values}


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return a node's attributes as plain values."""
    return {a.name: cast("Any", onnx.helper).get_attribute_value(a) for a in node.attribute}


def split_core(graph: onnx.GraphProto) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto], tuple[str, ...]]:
    """Split a graph into the accelerator's nodes, the host's nodes, and the values that pass from one to the other.

    A node is the accelerator's when its operator is edge-safe and all that it takes comes from there. Reshapes at the very
    end are given to the host, as they cost nothing there and accelerators would rather not.
    """
    stored = {tensor.name for tensor in graph.initializer}
    inside = {value.name for value in graph.input}
    core: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type in EDGE_SAFE and all(name in inside or name in stored for name in node.input if name):
            core.append(node)
            inside.update(node.output)
    while True:
        made = {name: node for node in core for name in node.output}
        kept = {node.output[0] for node in core}
        host = [node for node in graph.node if node.output[0] not in kept]
        passed = {name for node in host for name in node.input} | {value.name for value in graph.output}
        ends = [name for node in core for name in node.output if name in passed]
        used = {name for node in core for name in node.input}
        loose = [made[name] for name in ends if made[name].op_type in ("Reshape", "Flatten") and name not in used]
        if not loose:
            break
        core = [node for node in core if all(node is not other for other in loose)]
    if not ends:
        raise BundleError("model.onnx has no part that an accelerator could run before its rounding.")
    return core, host, tuple(ends)


def sub_model(
    model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], inputs: Sequence[str], outputs: Sequence[str], name: str
) -> onnx.ModelProto:
    """Return a model of some of a graph's nodes; `inputs` and `outputs` are values with known shapes."""
    values = {v.name: v for v in (*model.graph.value_info, *model.graph.input, *model.graph.output)}
    used = {name for node in nodes for name in node.input}
    graph = cast("Any", onnx.helper).make_graph(
        list(nodes),
        name,
        [values[value] for value in inputs],
        [values[value] for value in outputs],
        [tensor for tensor in model.graph.initializer if tensor.name in used],
    )
    return onnx.ModelProto(ir_version=model.ir_version, graph=graph, opset_import=model.opset_import)


def capture(
    model: onnx.ModelProto, names: Iterable[str], windows: NDArray[np.float32]
) -> Mapping[str, NDArray[np.float32]]:
    """Run a model window by window and return float values inside it, each (n, …)."""
    wanted = list(dict.fromkeys(names))
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    for name in wanted:
        probe.graph.output.add(name=name)
    source = model.graph.input[0].name
    runnable = [name for name in wanted if name != source]
    result: dict[str, list[NDArray[np.float32]]] = {name: [] for name in runnable}
    if runnable:
        run = load_session(probe.SerializeToString(), 1, "the graph under calibration")
        for index in range(len(windows)):
            for name, value in zip(runnable, run(runnable, {source: windows[index : index + 1]}), strict=True):
                result[name].append(value)
    values = {name: np.concatenate(parts) for name, parts in result.items()}
    return values | ({source: windows} if source in wanted else {})
