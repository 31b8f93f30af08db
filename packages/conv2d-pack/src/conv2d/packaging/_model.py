"""The ONNX graph of a bundle: what it must be, and how it is run."""

# pyright: reportMissingTypeStubs=false

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from conv2d.packaging._findings import BundleError, Finding
from conv2d.packaging._samples import WINDOW, Samples, check_windows, output_file

TOLERANCE = 1e-5
_INPUT_SHAPE = (1, *WINDOW)
_DTYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64"}  # TensorProto.DataType


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype and static shape of a model's input or output."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    def to_dict(self) -> dict[str, object]:
        """Return the entry of the manifest."""
        return {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}


@dataclass(frozen=True)
class ModelFacts:
    """What a graph says about itself."""

    opset: int
    ir_version: int
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]

    def to_dict(self) -> dict[str, object]:
        """Return the entry of the manifest."""
        return {
            "opset": self.opset,
            "ir_version": self.ir_version,
            "input": self.input.to_dict(),
            "outputs": [output.to_dict() for output in self.outputs],
        }

    def output(self, name: str) -> TensorSpec:
        """Return the output called `name`, which `inspect_model` has found."""
        return next(output for output in self.outputs if output.name == name)


def inspect_model(data: bytes, file: str = "model.onnx") -> ModelFacts:
    """Check a graph against the contract and return what it says about itself.

    The rules: whole in one file, valid for `onnx.checker`, one static input float32 (1, 9, 2, 100), static outputs
    "logits" float32 (1, K) and "codes" int32 (1, T).
    """
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's DecodeError: its package is not ours to import
        raise BundleError(f"{file} is not an ONNX file ({error}); give the bytes of an exported model.") from error
    for tensor in _tensors(model):
        if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise BundleError(
                f"{file} keeps the tensor {tensor.name!r} in another file; a bundle's weights are inside the model, "
                "export with external_data=False."
            )
    try:
        cast("Any", onnx.checker).check_model(data, full_check=True)
    except Exception as error:  # checker and shape inference raise several types without a common base
        raise BundleError(f"{file} is refused by onnx.checker: {' '.join(str(error).split())}") from error
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [_spec(value, file) for value in model.graph.input if value.name not in stored]
    if len(inputs) != 1 or inputs[0].dtype != "float32" or inputs[0].shape != _INPUT_SHAPE:
        told = ", ".join(f"{i.name} {i.dtype} {i.shape}" for i in inputs) or "no input"
        raise BundleError(f"{file} takes {told}; it must take one static float32 {_INPUT_SHAPE}: export with batch 1.")
    outputs = tuple(_spec(value, file) for value in model.graph.output)
    for name, dtype in (("logits", "float32"), ("codes", "int32")):
        found = [o for o in outputs if o.name == name and o.dtype == dtype and len(o.shape) == 2 and o.shape[0] == 1]
        if len(found) != 1:
            told = ", ".join(f"{o.name} {o.dtype} {o.shape}" for o in outputs) or "nothing"
            raise BundleError(f"{file} gives {told}; it must give {name!r} as static {dtype} (1, n).")
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    return ModelFacts(opset, model.ir_version, inputs[0], outputs)


def _spec(value: onnx.ValueInfoProto, file: str) -> TensorSpec:
    tensor = value.type.tensor_type
    sizes = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in tensor.shape.dim]
    dtype = _DTYPES.get(tensor.elem_type)
    if dtype is None or not tensor.HasField("shape") or min(sizes, default=1) < 1:
        raise BundleError(
            f"{file}: the shape of {value.name!r} is not static or its type is not one of "
            f"{', '.join(_DTYPES.values())}; edge compilers take fixed shapes only, export with batch 1."
        )
    return TensorSpec(value.name, dtype, tuple(sizes))


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield every tensor of a model, those in sub-graphs and functions too."""
    graphs = [model.graph]
    nodes = [node for function in model.functions for node in function.node]
    for information in model.training_info:
        graphs += [information.initialization, information.algorithm]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            nodes += graph.node
            continue
        for attribute in nodes.pop().attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            graphs += [graph for graph in (attribute.g, *attribute.graphs) if graph.node or graph.initializer]


class OnnxModel:
    """One graph in onnxruntime on the CPU: the same windows give the same bytes on the same machine.

    Parameters
    ----------
    data : bytes
        The ONNX file.
    threads : int
        Threads within one operator, at least 1.
    file : str
        What errors call the graph.

    Raises
    ------
    BundleError
        When the graph breaks the contract or onnxruntime cannot load it.

    Examples
    --------
    >>> from conv2d.packaging import OnnxModel
    >>> OnnxModel(b"not a model")
    Traceback (most recent call last):
    ...
    conv2d.packaging._findings.BundleError: model.onnx is not an ONNX file ...
    """

    def __init__(self, data: bytes, threads: int = 1, file: str = "model.onnx") -> None:
        if threads < 1:
            raise ValueError(f"threads is {threads}; at least one thread is needed.")
        self._facts = inspect_model(data, file)
        self._file = file
        self._names = [output.name for output in self._facts.outputs]
        self._run = load_session(data, threads, file)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, as in the graph.

        Returns
        -------
        tuple of str
            "logits", "codes" and whatever else the graph gives.
        """
        return tuple(self._names)

    def run(self, inputs: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Run the graph on each window; it has static batch 1, so that no window changes another's result.

        Parameters
        ----------
        inputs : ndarray of float32, shape (B, 9, 2, 100)
            Normalised windows; B may be 0.

        Returns
        -------
        dict of str to ndarray
            "logits" float32 (B, K), "codes" int32 (B, T), and the graph's other outputs (B, ...).

        Raises
        ------
        BundleError
            When `inputs` breaks the window contract, or onnxruntime fails on a window.
        """
        check_windows(inputs, "inputs")
        result = {o.name: np.empty((len(inputs), *o.shape[1:]), o.dtype) for o in self._facts.outputs}
        for index in range(len(inputs)):
            try:
                values = self._run(self._names, {self._facts.input.name: inputs[index : index + 1]})
            except Exception as error:  # onnxruntime's errors have no base below Exception
                raise BundleError(f"{self._file} fails on window {index}: {' '.join(str(error).split())}") from error
            for name, value in zip(self._names, values, strict=True):
                result[name][index] = value[0]
        return result


class _Session(Protocol):
    """The one method of onnxruntime's untyped session that is used here."""

    def run(self, names: Sequence[str], feed: dict[str, NDArray[Any]]) -> Sequence[NDArray[Any]]: ...


def load_session(
    data: bytes, threads: int, file: str
) -> Callable[[Sequence[str], dict[str, NDArray[Any]]], Sequence[NDArray[Any]]]:
    """Load a graph into onnxruntime on the CPU and return its `run`."""
    runtime = cast("Any", onnxruntime)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    # On CPUs without VNNI, products of uint8 and int8 would saturate at 16 bits; this keeps them exact.
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 3  # errors; they are raised as well
    try:
        session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no base below Exception
        raise BundleError(f"{file} cannot be loaded by onnxruntime: {' '.join(str(error).split())}") from error
    return cast("_Session", session).run


def compare_samples(model: OnnxModel, samples: Samples) -> Iterable[Finding]:
    """Run the stored windows again; yield a finding for each output that is not reproduced."""
    again = model.run(samples.inputs)
    fix = "the stored outputs were made by another model: make them with this very file"
    for name in sorted(again.keys() | samples.outputs.keys()):
        if name not in samples.outputs:
            yield Finding(output_file(name), f"is missing, although the model gives {name!r}", fix)
            continue
        stored = samples.outputs[name]
        if name not in again:
            yield Finding(output_file(name), f"is not an output of the model, which gives {', '.join(again)}", fix)
        elif again[name].shape != stored.shape or again[name].dtype != stored.dtype:
            given = f"is {stored.dtype} {stored.shape}"
            yield Finding(
                output_file(name), f"{given}, but the model gives {again[name].dtype} {again[name].shape}", fix
            )
        elif stored.dtype.kind == "f":
            largest = float(np.abs(again[name].astype(np.float64) - stored).max(initial=0.0))
            if not largest <= TOLERANCE:  # also true for NaN
                yield Finding(
                    output_file(name), f"differs from the model by {largest:.3g}, more than {TOLERANCE:g}", fix
                )
        elif not np.array_equal(again[name], stored):
            differ = int((again[name] != stored).sum())
            yield Finding(output_file(name), f"differs from the model in {differ} of {stored.size} values", fix)
