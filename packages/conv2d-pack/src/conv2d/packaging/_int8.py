"""The target onnx-int8: a static QDQ graph with per-channel int8 weights, whose codes are those of the float model.

All weights of the accelerator's part become int8. Of its activations as many become uint8 as the codes bear: FSQ turns a
shift of half a per cent into another code, and eight bits on every activation shift more than that. The rounding itself,
the code book and the head stay in float.
"""

# pyright: reportMissingTypeStubs=false

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import onnx
from numpy.typing import NDArray

from conv2d.packaging._findings import BundleError, Finding, GateError
from conv2d.packaging._graph import attributes, capture, read_graph, split_core, weights_of
from conv2d.packaging._model import OnnxModel, inspect_model
from conv2d.packaging._rounding import Matrix, activation_range, channel_scales, round_weights
from conv2d.packaging._samples import Samples
from conv2d.packaging.targets import Built, NotBuilt, TargetCheck, TargetData

FILE = "model.int8.onnx"
AGREEMENT = 0.97
SIZE = 0.35
_MARGIN = 0.01  # what is chosen on calibration windows shall still agree on others
_FITTED, _CHOSEN, _JUDGED = 256, 256, 2000


@dataclass(frozen=True)
class _Layer:
    """A convolution or matrix product with stored weights."""

    node: onnx.NodeProto
    weights: Matrix  # (out, in)
    bias: Matrix | None
    shape: tuple[int, ...]  # as stored
    axis: int  # of the output channels, as stored

    def rows(self, inputs: NDArray[np.float32]) -> Iterator[Matrix]:
        """Yield what the layer multiplies its weights with, (…, in), some windows at a time."""
        for start in range(0, len(inputs), 32):
            part = inputs[start : start + 32]
            if self.node.op_type != "Conv":
                yield part.reshape(-1, part.shape[-1]).astype(np.float64)
                continue
            given = attributes(self.node)
            pads, strides = given.get("pads", (0, 0, 0, 0)), given.get("strides", (1, 1))
            padded = np.pad(part, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
            windows = np.lib.stride_tricks.sliding_window_view(padded, self.shape[2:], axis=(2, 3))
            windows = windows[:, :, :: strides[0], :: strides[1]].transpose(0, 2, 3, 1, 4, 5)
            yield windows.reshape(-1, self.weights.shape[1]).astype(np.float64)

    def stored(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """Return an (out, in) matrix in the layout of the stored weights."""
        return np.ascontiguousarray(matrix.reshape(self.shape) if self.axis == 0 else matrix.T.reshape(self.shape))


@dataclass(frozen=True)
class _Fit:
    """A layer after rounding."""

    weights: NDArray[np.int8]  # (out, in)
    scales: Matrix
    bias: Matrix | None


class Int8Target:
    """Builds `model.int8.onnx`; needs nothing but the wheel itself."""

    name = "onnx-int8"

    def check(self, model: bytes) -> NotBuilt | None:
        """Every model can be tried; whether it is good enough is measured when it is built."""
        return None

    def build(self, model: bytes, data: TargetData) -> Built:
        """Round the weights on calibration windows, choose the activations, and judge on the test windows."""
        if len(data.calibration) < 2:
            raise BundleError(
                "the target onnx-int8 needs calibration windows of training subjects; give create_bundle "
                "calibration_windows, at least 2 and better 500."
            )
        fitted, chosen = _every(data.calibration[::2], _FITTED), _every(data.calibration[1::2], _CHOSEN)
        quantised, activations = _best(read_graph(model), OnnxModel(model), fitted, chosen)
        on_test = len(data.test) > 0
        picked = _picks(len(data.test), _JUDGED) if on_test else np.arange(len(chosen))
        judged = data.test[picked] if on_test else chosen
        before, after = OnnxModel(model).run(judged), OnnxModel(quantised, file=FILE).run(judged)
        report: dict[str, Any] = {
            "code_agreement": round(float((before["codes"] == after["codes"]).mean()), 6),
            "judged_windows": len(judged),
            "judged_on": "test subjects" if on_test else "training subjects",
            "size_ratio": round(len(quantised) / len(model), 4),
            "int8_activations": activations,
        }
        if data.labels is not None and on_test:
            hits = [(r["logits"].argmax(1) == data.labels[picked]).mean() for r in (before, after)]
            report["accuracy_drop"] = round(float(hits[0] - hits[1]), 6)
        if report["code_agreement"] < AGREEMENT:
            raise GateError(
                f"the target onnx-int8 reaches a code agreement of {report['code_agreement']:.4f} on {len(judged)} windows "
                f"of {report['judged_on']}, at least {AGREEMENT} is asked for; ship the float model, or train with more "
                "spread between the levels."
            )
        if report["size_ratio"] > SIZE:
            raise GateError(
                f"the target onnx-int8 has {report['size_ratio']} times the size of the float model, at most {SIZE} is "
                "asked for; so small a model gains nothing by int8, ship the float one."
            )
        return Built({FILE: quantised}, report)

    def verify(self, files: Mapping[str, bytes], model: bytes, samples: Samples) -> TargetCheck:
        """Run the stored windows through the int8 graph and count the codes that are those of the float model."""
        fix = "build the target again from this very model"
        data = files.get(FILE, b"")
        try:
            again = OnnxModel(data, file=FILE).run(samples.inputs)
            facts, float_facts = inspect_model(data, FILE), inspect_model(model)
        except BundleError as error:
            return TargetCheck((Finding(FILE, str(error).removeprefix(f"{FILE} "), fix),))
        findings: list[Finding] = []
        if (facts.input, facts.outputs) != (float_facts.input, float_facts.outputs):
            findings.append(Finding(FILE, "has other inputs or outputs than the float model", fix))
            return TargetCheck(tuple(findings))
        same = again["codes"] == samples.outputs["codes"]
        # The gate was judged on many windows; the few stored ones may miss it by chance, by three standard errors.
        least = AGREEMENT - 3 * (AGREEMENT * (1 - AGREEMENT) / same.size) ** 0.5
        if same.mean() < least:
            problem = f"gives {same.mean():.4f} of the float model's codes on the stored windows, at least {least:.4f}"
            findings.append(Finding(FILE, problem, fix))
        if not any(t.data_type == onnx.TensorProto.INT8 for t in read_graph(data).graph.initializer):
            findings.append(Finding(FILE, "holds no int8 weights", fix))
        if len(data) > SIZE * len(model):
            findings.append(Finding(FILE, f"is larger than {SIZE} times the float model", fix))
        return TargetCheck(tuple(findings))


def _picks(count: int, most: int) -> NDArray[np.int64]:
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def _every(windows: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    return np.ascontiguousarray(windows[_picks(len(windows), most)])


def _best(
    model: onnx.ModelProto, reference: OnnxModel, fitted: NDArray[np.float32], chosen: NDArray[np.float32]
) -> tuple[bytes, int]:
    """Return the graph with the most uint8 activations whose codes still agree, and their number."""
    layers = _layers(model)
    values = capture(model, [layer.node.input[0] for layer in layers], fitted)
    ranges = {name: activation_range(value) for name, value in values.items()}
    wanted = reference.run(chosen)["codes"]

    def agreement(data: bytes) -> float:
        return float((OnnxModel(data, file=FILE).run(chosen)["codes"] == wanted).mean())

    alone = {name: agreement(_emit(model, layers, [], {name: ranges[name]})) for name in ranges}
    best_first = sorted(ranges, key=lambda name: -alone[name])

    def built(count: int) -> bytes:
        used = {name: ranges[name] for name in best_first[:count]}
        return _emit(model, layers, _fit(model, layers, values, used, fitted), used)

    for count in range(len(best_first), 0, -1):
        data = built(count)
        if agreement(data) >= AGREEMENT + _MARGIN:
            return data, count
    return built(0), 0


def _layers(model: onnx.ModelProto) -> list[_Layer]:
    stored = weights_of(model.graph)
    found: list[_Layer] = []
    for node in split_core(model.graph)[0]:
        given = attributes(node)
        if node.op_type not in ("Conv", "Gemm", "MatMul") or node.input[1] not in stored or node.input[0] in stored:
            continue
        weights = stored[node.input[1]].astype(np.float64)
        plain = {
            "Conv": given.get("group", 1) == 1 and set(given.get("dilations", (1,))) == {1} and weights.ndim == 4,
            "Gemm": given.get("alpha", 1.0) == given.get("beta", 1.0) == 1.0 and not given.get("transA", 0),
            "MatMul": weights.ndim == 2,
        }
        if not plain[node.op_type] or given.get("auto_pad", b"NOTSET") != b"NOTSET":
            continue
        axis = 0 if node.op_type == "Conv" or given.get("transB", 0) else 1
        matrix = weights.reshape(len(weights), -1) if axis == 0 else weights.T
        bias = stored[node.input[2]].astype(np.float64) if len(node.input) > 2 and node.input[2] in stored else None
        found.append(_Layer(node, matrix, bias, weights.shape, axis))
    if not found:
        raise BundleError("model.onnx holds no convolution or matrix product that could be made int8.")
    return found


def _fit(
    model: onnx.ModelProto,
    layers: Sequence[_Layer],
    values: Mapping[str, NDArray[np.float32]],
    used: Mapping[str, tuple[float, int]],
    windows: NDArray[np.float32],
) -> list[_Fit]:
    """Round layer by layer, each on what the rounded layers before it really give."""
    fits: list[_Fit] = []
    for number, layer in enumerate(layers):
        name = layer.node.input[0]
        so_far = onnx.load_model_from_string(_emit(model, layers[:number], fits, used))
        seen = capture(so_far, [_quantised(name) if name in used else name], windows)
        (inputs,) = seen.values()
        moments, mean, wanted, count = 0.0, 0.0, 0.0, 0
        for rows, exact in zip(layer.rows(inputs), layer.rows(values[name]), strict=True):
            moments = moments + rows.T @ rows
            mean = mean + rows.sum(0)
            wanted = wanted + exact.sum(0)
            count += len(rows)
        scales = channel_scales(layer.weights)
        rounded = round_weights(layer.weights, scales, cast("Matrix", moments) / count)
        bias = layer.bias
        if bias is not None:  # what the layer gives on average stays as it was
            back = rounded * scales[:, None]
            bias = bias + (layer.weights @ cast("Matrix", wanted) - back @ cast("Matrix", mean)) / count
        fits.append(_Fit(rounded, scales, bias))
    return fits


def _quantised(name: str) -> str:
    return f"{name}_dequantised"


def _emit(
    model: onnx.ModelProto,
    layers: Sequence[_Layer],
    fits: Sequence[_Fit],
    used: Mapping[str, tuple[float, int]],
) -> bytes:
    """Write the graph with the fitted layers in int8 and the used activations behind a QDQ pair."""
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    fitted = {layer.node.output[0]: (layer, fit) for layer, fit in zip(layers, fits, strict=False)}
    clean = onnx.GraphProto(name="conv2d-int8")
    added: dict[str, NDArray[Any]] = {}

    def node(kind: str, inputs: Sequence[str], output: str, **given: object) -> None:
        clean.node.append(cast("Any", onnx.helper).make_node(kind, list(inputs), [output], name=output, **given))

    def quantise(name: str) -> None:
        if name in used:
            scale, zero = used[name]
            added[f"{name}_scale"], added[f"{name}_zero"] = np.array(scale, np.float32), np.array(zero, np.uint8)
            pair = (f"{name}_scale", f"{name}_zero")
            node("QuantizeLinear", (name, *pair), f"{name}_quantised")
            node("DequantizeLinear", (f"{name}_quantised", *pair), _quantised(name))

    quantise(graph.input[0].name)
    for old in graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(old)
        layer, fit = fitted.get(old.output[0], (None, None))
        takes = {layer.node.output[0]: layer.node.input[0] for layer in layers}.get(old.output[0])
        if takes is not None and takes in used:
            copy.input[0] = _quantised(takes)
        if layer is not None and fit is not None:
            name = f"{old.output[0]}_weight"
            added[name] = layer.stored(fit.weights)
            added[f"{name}_scale"] = fit.scales.astype(np.float32)
            added[f"{name}_zero"] = np.zeros(len(fit.scales), np.int8)
            node("DequantizeLinear", (name, f"{name}_scale", f"{name}_zero"), f"{name}_float", axis=layer.axis)
            copy.input[1] = f"{name}_float"
            if fit.bias is not None:
                copy.input[2] = _bias(old.output[0], fit, used.get(takes or ""), added, node)
        clean.node.append(copy)
        for name in old.output:
            quantise(name)
    needed = {name for one in clean.node for name in one.input}
    clean.initializer.extend(tensors[name] for name in sorted(tensors.keys() & needed))
    clean.initializer.extend(onnx.numpy_helper.from_array(np.asarray(added[name]), name) for name in sorted(added))
    clean.input.extend(graph.input)
    clean.output.extend(graph.output)
    result = onnx.ModelProto(ir_version=model.ir_version, graph=clean, opset_import=model.opset_import)
    return result.SerializeToString(deterministic=True)


def _bias(
    output: str, fit: _Fit, activation: tuple[float, int] | None, added: dict[str, NDArray[Any]], node: Any
) -> str:
    """Add a bias: int32 in the unit of the products where the input is uint8, as integer kernels want it; else float."""
    name = f"{output}_bias"
    if activation is None:
        added[name] = cast("Matrix", fit.bias).astype(np.float32)
        return name
    unit = (fit.scales.astype(np.float32) * np.float32(activation[0])).astype(np.float32)
    added[name] = np.rint(cast("Matrix", fit.bias) / unit).astype(np.int32)
    added[f"{name}_scale"], added[f"{name}_zero"] = unit, np.zeros(len(unit), np.int32)
    node("DequantizeLinear", (name, f"{name}_scale", f"{name}_zero"), f"{name}_float", axis=0)
    return f"{name}_float"
