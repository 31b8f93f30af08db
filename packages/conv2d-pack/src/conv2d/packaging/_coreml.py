"""The target coreml: an ML Program for phones, written operation by operation from the ONNX graph.

Core ML tools bring no ONNX reader any more, and their torch reader would tie the result to a torch version. The few operators
of an edge-safe graph are therefore translated here; the package is made canonical, as the tools put random identifiers,
dates and versions into it.
"""

# coremltools' builder is untyped.
# pyright: reportMissingTypeStubs=false, reportMissingImports=false

import contextlib
import importlib
import io
import json
import logging
import tempfile
import uuid
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
from numpy.typing import NDArray

from conv2d.packaging._findings import BundleError, Finding
from conv2d.packaging._graph import attributes, read_graph, shapes_of, weights_of
from conv2d.packaging._mil import evaluate
from conv2d.packaging._model import TOLERANCE, inspect_model
from conv2d.packaging._samples import Samples
from conv2d.packaging.targets import Built, NotBuilt, TargetCheck, TargetData

FOLDER = "coreml.mlpackage"
_DATA = "Data/com.apple.CoreML"
_MODEL, _WEIGHTS, _MANIFEST = f"{_DATA}/model.mlmodel", f"{_DATA}/weights/weight.bin", "Manifest.json"
_NAMESPACE = uuid.UUID("a3b2f0de-6a0f-5c0e-9d3b-0c0f7c1f2a10")  # any fixed one: identifiers are then the same each time


class CoreMLTarget:
    """Builds `coreml.mlpackage` when the extra `coreml` is installed."""

    name = "coreml"

    def check(self, model: bytes) -> NotBuilt | None:
        """Say whether coremltools is installed and every operator has a translation."""
        if find_spec("coremltools") is None:
            return NotBuilt(
                "the extra coreml is not installed",
                "pip install 'conv2d-pack[coreml]', then: conv2d pack create --targets onnx,coreml",
            )
        strange = sorted(
            {node.op_type for node in onnx.load_model_from_string(model).graph.node} - _TRANSLATIONS.keys()
        )
        if strange:
            return NotBuilt(
                f"no translation to Core ML for the operators {', '.join(strange)}",
                "express the model with edge-safe operators, then create again",
            )
        return None

    def build(self, model: bytes, data: TargetData) -> Built:
        """Translate the graph in float32 and write the package in its canonical form."""
        with tempfile.TemporaryDirectory() as folder, _quiet():
            tools = importlib.import_module("coremltools")
            package = Path(folder) / "model.mlpackage"
            tools.convert(
                _program(model),
                convert_to="mlprogram",
                compute_precision=tools.precision.FLOAT32,
                minimum_deployment_target=tools.target.iOS16,
                skip_model_load=True,
                package_dir=str(package),
            )
            made = {
                path.relative_to(package).as_posix(): path.read_bytes() for path in package.rglob("*") if path.is_file()
            }
        if made.keys() != {_MODEL, _WEIGHTS, _MANIFEST}:
            raise BundleError(
                f"coremltools wrote {', '.join(sorted(made))}, which is not the package that is known here."
            )
        files = {_MODEL: _canonical_model(made[_MODEL]), _WEIGHTS: made[_WEIGHTS], _MANIFEST: _canonical_manifest()}
        report = {"format": "ML Program, float32", "minimum": "iOS 16, macOS 13"}
        return Built({f"{FOLDER}/{name}": content for name, content in files.items()}, report)

    def verify(self, files: Mapping[str, bytes], model: bytes, samples: Samples) -> TargetCheck:
        """Read the saved package back to MIL and evaluate it operation by operation on the stored windows."""
        device = "Core ML itself runs on Apple devices only; the package was evaluated operation by operation instead"
        if find_spec("coremltools") is None:
            return TargetCheck((), ("the extra coreml is not installed, so the package was not evaluated",))
        file = f"{FOLDER}/{_MODEL}"
        fix = "build the target again from this very model"
        try:
            with _quiet():
                described, program = _read_back(files)
                problems = _interface(described, model)
                got = evaluate(program, samples.inputs) if not problems else {}
        except Exception as error:  # protobuf, coremltools and the evaluation raise many types on a damaged package
            return TargetCheck((Finding(file, f"cannot be evaluated: {' '.join(str(error).split())}", fix),))
        for name, value in got.items():
            stored = samples.outputs[name]
            if stored.dtype.kind == "f":
                largest = float(np.abs(value.astype(np.float64) - stored).max(initial=0.0))
                if not largest <= TOLERANCE:
                    problems.append(f"gives {name} that differs by {largest:.3g}, more than {TOLERANCE:g}")
            elif not np.array_equal(value, stored):
                problems.append(f"gives {name} that differs in {int((value != stored).sum())} of {stored.size} values")
        return TargetCheck(tuple(Finding(file, problem, fix) for problem in problems), (device,))


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Silence the tools' progress bars and their notices about other libraries' versions; errors still rise."""
    log = logging.getLogger("coremltools")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)


def _canonical_model(data: bytes) -> bytes:
    """Drop dates, versions and build notes; write the message in its deterministic order."""
    message = cast("Any", importlib.import_module("coremltools.proto.Model_pb2")).Model.FromString(data)
    message.description.metadata.Clear()
    message.mlProgram.attributes.clear()
    message.mlProgram.docString = ""
    for function in message.mlProgram.functions.values():
        function.attributes.clear()
        for block in function.block_specializations.values():
            block.attributes.clear()
            for operation in block.operations:
                for key in [key for key in operation.attributes if key not in ("name", "val")]:
                    del operation.attributes[key]
    return message.SerializeToString(deterministic=True)


def _canonical_manifest() -> bytes:
    entries: dict[str, dict[str, str]] = {}
    identifiers: list[str] = []
    for name, told in (("model.mlmodel", "Specification"), ("weights", "Weights")):
        identifiers.append(str(uuid.uuid5(_NAMESPACE, name)))
        entries[identifiers[-1]] = {
            "author": "com.apple.CoreML",
            "description": f"CoreML Model {told}",
            "name": name,
            "path": f"com.apple.CoreML/{name}",
        }
    content = {"fileFormatVersion": "1.0.0", "itemInfoEntries": entries, "rootModelIdentifier": identifiers[0]}
    return (json.dumps(content, indent=4, sort_keys=True) + "\n").encode()


def _read_back(files: Mapping[str, bytes]) -> tuple[Any, Any]:
    """Return the interface and the MIL program of a package as saved."""
    message = cast("Any", importlib.import_module("coremltools.proto.Model_pb2")).Model.FromString(
        files[f"{FOLDER}/{_MODEL}"]
    )
    load = cast("Any", importlib.import_module("coremltools.converters.mil.frontend.milproto.load")).load
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "weight.bin").write_bytes(files[f"{FOLDER}/{_WEIGHTS}"])
        program = load(message, specification_version=message.specificationVersion, file_weights_dir=folder)
    return message.description, program


def _interface(description: Any, model: bytes) -> list[str]:
    """Compare names, types and shapes of the package with those of the float model."""
    facts = inspect_model(model)
    types = {65568: "float32", 131104: "int32"}  # ArrayFeatureType.ArrayDataType

    def told(features: Any) -> list[tuple[str, str, tuple[int, ...]]]:
        arrays = [(feature.name, feature.type.multiArrayType) for feature in features]
        return [(name, types.get(array.dataType, "other"), tuple(array.shape)) for name, array in arrays]

    expected = [(spec.name, spec.dtype, spec.shape) for spec in (facts.input, *facts.outputs)]
    got = [*told(description.input), *told(description.output)]
    if sorted(got) == sorted(expected):
        return []
    return [f"takes and gives {got}, the float model {expected}"]


def _program(model: bytes) -> Any:
    """Write the graph as a MIL program."""
    mil = cast("Any", importlib.import_module("coremltools.converters.mil.mil"))
    target = cast("Any", importlib.import_module("coremltools")).target.iOS16
    parsed = read_graph(model)
    graph, build = parsed.graph, mil.Builder
    shapes = shapes_of(graph)
    source, outputs = graph.input[0].name, {value.name for value in graph.output}
    given = {source: build.placeholder(shape=shapes[source], dtype=mil.types.fp32)}
    with mil.Function(given, opset_version=target) as function:
        values: dict[str, Any] = {source: function.inputs[source], **weights_of(graph)}
        for node in graph.node:
            arguments = [values[name] if name else None for name in node.input]
            name = node.output[0]
            made = _TRANSLATIONS[node.op_type](build, arguments, attributes(node), shapes[name])
            # An output keeps its name; every other operation is named by its place, the same in every process.
            values[name] = build.identity(x=made, name=name) if name in outputs else made
        function.set_outputs([values[value.name] for value in graph.output])
    program = mil.Program()
    program.add_function("main", function)
    return program


Translation = Callable[[Any, Sequence[Any], Mapping[str, Any], Sequence[int]], Any]


def _pads(given: Mapping[str, Any]) -> list[int]:
    top, left, bottom, right = given.get("pads", (0, 0, 0, 0))
    if given.get("auto_pad", b"NOTSET") != b"NOTSET" or given.get("ceil_mode", 0):
        raise BundleError("model.onnx pads or rounds sizes on its own (auto_pad, ceil_mode); export with fixed pads.")
    return [top, bottom, left, right]


def _conv(build: Any, x: Sequence[Any], given: Mapping[str, Any], _: Sequence[int]) -> Any:
    bias = {"bias": x[2]} if len(x) > 2 else {}
    return build.conv(
        x=x[0],
        weight=x[1],
        **bias,
        pad_type="custom",
        pad=_pads(given),
        strides=list(given.get("strides", (1, 1))),
        dilations=list(given.get("dilations", (1, 1))),
        groups=int(given.get("group", 1)),
    )


def _pool(kind: str) -> Translation:
    def translate(build: Any, x: Sequence[Any], given: Mapping[str, Any], _: Sequence[int]) -> Any:
        more = {"exclude_padding_from_average": not given.get("count_include_pad", 0)} if kind == "avg_pool" else {}
        return getattr(build, kind)(
            x=x[0],
            kernel_sizes=list(given["kernel_shape"]),
            strides=list(given.get("strides", (1, 1))),
            pad_type="custom",
            pad=_pads(given),
            **more,
        )

    return translate


def _global(kind: str) -> Translation:
    return lambda build, x, given, shape: getattr(build, kind)(x=x[0], axes=[2, 3], keep_dims=True)


def _gemm(build: Any, x: Sequence[Any], given: Mapping[str, Any], _: Sequence[int]) -> Any:
    if given.get("transA", 0) or given.get("alpha", 1.0) != 1.0 or given.get("beta", 1.0) != 1.0:
        raise BundleError("model.onnx scales or turns the input of a Gemm; export a plain linear layer.")
    weight = x[1] if given.get("transB", 0) else np.ascontiguousarray(cast("NDArray[Any]", x[1]).T)
    return build.linear(x=x[0], weight=weight, **({"bias": x[2]} if len(x) > 2 else {}))


def _reshape(build: Any, x: Sequence[Any], _given: Mapping[str, Any], shape: Sequence[int]) -> Any:
    return build.reshape(x=x[0], shape=list(shape))


def _gather(build: Any, x: Sequence[Any], given: Mapping[str, Any], _: Sequence[int]) -> Any:
    indices: Any = cast("NDArray[Any]", x[1]).astype(np.int32) if isinstance(x[1], np.ndarray) else x[1]
    return build.gather(x=x[0], indices=indices, axis=int(given.get("axis", 0)))


def _cast(build: Any, x: Sequence[Any], given: Mapping[str, Any], _: Sequence[int]) -> Any:
    names = {onnx.TensorProto.FLOAT: "fp32", onnx.TensorProto.INT32: "int32", onnx.TensorProto.BOOL: "bool"}
    # Core ML counts in int32; a wider integer of the graph only ever holds indices.
    return build.cast(x=x[0], dtype=names.get(given["to"], "int32"))


def _clip(build: Any, x: Sequence[Any], _given: Mapping[str, Any], _shape: Sequence[int]) -> Any:
    low, high = (float(v) if v is not None else edge for v, edge in zip(x[1:3], (-3.4e38, 3.4e38), strict=True))
    return build.clip(x=x[0], alpha=np.float32(low), beta=np.float32(high))


def _unary(kind: str) -> Translation:
    return lambda build, x, given, shape: getattr(build, kind)(x=x[0])


def _binary(kind: str) -> Translation:
    return lambda build, x, given, shape: getattr(build, kind)(x=x[0], y=x[1])


_TRANSLATIONS: Mapping[str, Translation] = {
    **{name: _unary(name.lower()) for name in ("Relu", "Tanh", "Round", "Floor", "Identity", "Abs", "Sign")},
    **{name: _binary(kind) for name, kind in {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "real_div"}.items()},
    **{name: _binary(kind) for name, kind in {"Greater": "greater", "Less": "less", "MatMul": "matmul"}.items()},
    **{name: _binary(kind) for name, kind in {"GreaterOrEqual": "greater_equal", "Equal": "equal"}.items()},
    "AveragePool": _pool("avg_pool"),
    "Cast": _cast,
    "Clip": _clip,
    "Concat": lambda build, x, given, shape: build.concat(values=list(x), axis=int(given["axis"])),
    "Conv": _conv,
    "Flatten": _reshape,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _global("reduce_mean"),
    "GlobalMaxPool": _global("reduce_max"),
    "IsNaN": lambda build, x, given, shape: build.not_equal(x=x[0], y=x[0]),
    "MaxPool": _pool("max_pool"),
    "Reshape": _reshape,
    "Where": lambda build, x, given, shape: build.select(cond=x[0], a=x[1], b=x[2]),
}
