"""Torch module to ONNX bytes that say nothing about where, when or by which process they were written."""

import importlib
import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnx
from numpy.typing import NDArray

from conv2d.packaging._findings import BundleError, MissingToolError
from conv2d.packaging._model import TOLERANCE, OnnxModel
from conv2d.packaging._samples import WINDOW, check_windows

if TYPE_CHECKING:
    import torch

OPSET = 18
_REGISTRATION_LOG = "torch.onnx._internal.exporter._registration"


def export_onnx(
    module: "torch.nn.Module",
    example: "torch.Tensor",
    output_names: Sequence[str] = ("logits", "codes"),
    *,
    windows: NDArray[np.float32] | None = None,
) -> bytes:
    """Export a trained module as the ONNX bytes that `create_bundle` takes.

    The graph has opset 18, weights inside, static shapes and neutral names; the same weights give the same bytes in
    any directory and process. The result is run on `example` and `windows` and must agree with the module: floats within
    1e-5, codes equal.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode, on the CPU; gives one tensor for each name.
    example : torch.Tensor of float32, shape (1, 9, 2, 100)
        A normalised window.
    output_names : sequence of str
        Names of the outputs in their order; "logits" and "codes" among them.
    windows : ndarray of float32, shape (n, 9, 2, 100), optional
        Further windows to compare on; 2,000 are a good number.

    Returns
    -------
    bytes
        The ONNX file.

    Raises
    ------
    MissingToolError
        When torch or onnxscript is not installed.
    BundleError
        When the module is in training mode, the graph breaks the contract of a bundle, or ONNX and torch disagree.

    Examples
    --------
    >>> import torch                                                               # doctest: +SKIP
    >>> data = export_onnx(module.eval(), torch.zeros(1, 9, 2, 100))               # doctest: +SKIP
    """
    try:
        importlib.import_module("onnxscript")  # the exporter needs it, and says so less clearly
        import torch
    except ImportError as error:
        raise MissingToolError(
            f"exporting needs {error.name}, which is not installed here. Verifying, listing and running bundles do not "
            "need it; to export, install it: pip install 'conv2d-pack[torch]'."
        ) from error
    if module.training:
        raise BundleError(
            "module is in training mode, so dropout and batch statistics would be exported; call .eval()."
        )
    if example.dtype != torch.float32 or tuple(example.shape) != (1, *WINDOW):
        raise BundleError(f"example is {example.dtype} {tuple(example.shape)}; give one float32 window (1, 9, 2, 100).")
    with torch.no_grad(), _quiet_registration():
        try:
            program = cast("Any", torch.onnx).export(
                module,
                (example,),
                input_names=["windows"],
                output_names=list(output_names),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = str(error).strip().splitlines()[0]
            raise BundleError(f"the module cannot be exported with opset {OPSET}: {reason}") from error
    data = neutral(program.model_proto)
    given = example.detach().cpu().numpy()
    if windows is not None:
        check_windows(windows, "windows")
        given = np.concatenate([given, windows])
    _check_parity(data, module, np.ascontiguousarray(given), output_names)
    return data


def neutral(model: onnx.ModelProto) -> bytes:
    """Return the bytes of `model` with fixed names and without documentation, metadata and producer.

    Stack traces, file paths and the exporter's numbering differ from one machine and torch version to the next; none
    of them changes what the graph computes.
    """
    opset = {entry.domain: entry.version for entry in model.opset_import}
    if opset != {"": OPSET}:
        raise BundleError(f"the exporter wrote the operator sets {opset}; {{'': {OPSET}}} was asked for.")
    graph = model.graph
    for node in graph.node:
        if any(a.HasField("g") or a.graphs for a in node.attribute):
            raise BundleError(
                f"the graph holds a {node.op_type} node with a sub-graph; edge-safe graphs do not branch."
            )
    if model.functions:
        raise BundleError("the exporter left functions in the graph that are not standard operators.")
    names = _names(graph)
    clean = onnx.GraphProto(name="conv2d")
    for node in graph.node:
        copy = clean.node.add(op_type=node.op_type, domain=node.domain, name=f"{node.op_type}_{len(clean.node)}")
        copy.input.extend(names.get(name, name) for name in node.input)
        copy.output.extend(names.get(name, name) for name in node.output)
        for attribute in sorted(node.attribute, key=lambda a: a.name):
            copy.attribute.add().CopyFrom(attribute)
            copy.attribute[-1].doc_string = ""
    used = {tensor.name: tensor for tensor in graph.initializer}
    for old, new in names.items():
        if old in used:
            array = onnx.numpy_helper.to_array(used[old])
            clean.initializer.add().CopyFrom(onnx.numpy_helper.from_array(array, new))
    for values, target in ((graph.input, clean.input), (graph.output, clean.output)):
        for value in values:
            target.add(name=value.name, type=value.type)
    result = onnx.ModelProto(ir_version=model.ir_version, graph=clean, opset_import=model.opset_import)
    return result.SerializeToString(deterministic=True)


def _names(graph: onnx.GraphProto) -> dict[str, str]:
    """Return new names: weights and values are numbered in the order of their first use."""
    kept = {value.name for value in (*graph.input, *graph.output)} | {""}
    weights = {tensor.name for tensor in graph.initializer}
    names: dict[str, str] = {}
    for node in graph.node:
        for name in (*node.input, *node.output):
            if name not in kept and name not in names:
                names[name] = f"{'w' if name in weights else 'v'}{len(names)}"
    return names


def _check_parity(
    data: bytes, module: "torch.nn.Module", windows: NDArray[np.float32], output_names: Sequence[str]
) -> None:
    import torch

    got = OnnxModel(data).run(windows)
    for index in range(len(windows)):
        with torch.no_grad():
            wanted = module(cast("Any", torch).from_numpy(windows[index : index + 1]))
        tensors = cast("Sequence[torch.Tensor]", wanted if isinstance(wanted, tuple | list) else [wanted])
        for name, tensor in zip(output_names, tensors, strict=True):
            expected: Any = tensor.cpu().numpy()
            value = got[name][index : index + 1]
            off = float(np.abs(value.astype(np.float64) - expected).max(initial=0.0))
            if value.shape != expected.shape or not off <= (TOLERANCE if expected.dtype.kind == "f" else 0):
                raise BundleError(
                    f"the exported graph gives {name} {value.shape} which differs by {off:.3g} from torch's "
                    f"{expected.shape} on window {index} of {len(windows)}; allowed are {TOLERANCE:g} for floats and 0 for "
                    "codes."
                )


@contextmanager
def _quiet_registration() -> Generator[None]:
    """Drop the exporter's notice that torchvision is absent, which no module here needs; all else is heard."""

    def keep(record: logging.LogRecord) -> bool:
        return "torchvision is not installed" not in record.getMessage()

    log = logging.getLogger(_REGISTRATION_LOG)
    log.addFilter(keep)
    try:
        yield
    finally:
        log.removeFilter(keep)
