"""Will accelerators compile it? A lint that reads a model's modules and the operators of its exported graph.

Modules tell where a violation stands and how to mend it; the exported graph tells what is really there, functional calls and
decompositions included. Both are read against one table of rules.
"""

# torch's and onnx's own signatures are partly untyped.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn

from conv2d.features._contract import N_CHANNELS, N_DEVICES, WINDOW_STEPS
from conv2d.features._errors import ContractError

if TYPE_CHECKING:
    import onnx

__all__ = ["EDGE_SAFE_OPERATORS", "LintReport", "Violation", "lint", "lint_modules", "lint_onnx"]

EDGE_SAFE_OPERATORS = frozenset(
    (
        "Add",
        "AveragePool",
        "Clip",
        "Concat",
        "Constant",
        "Conv",
        "Flatten",
        "Gemm",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "Identity",
        "MatMul",
        "MaxPool",
        "Mul",
        "Relu",
        "Reshape",
    )
)
"""ONNX operators of the exported core; all else is a violation."""


@dataclass(frozen=True)
class _Rule:
    rank: int
    name: str
    fix: str


_DYNAMIC = _Rule(1, "dynamic shape", "export with fixed sizes: one window at a time, reshapes with constants")
_ATTENTION = _Rule(2, "attention", "mix over time with Conv2d kernels (1, k)")
_RECURRENT = _Rule(2, "recurrence", "mix over time with Conv2d kernels (1, k)")
_SOFTMAX = _Rule(2, "softmax", "end the graph at the logits; softmax and temperature run after it, on the CPU")
_INSTANCE = _Rule(2, "group or instance norm", "use BatchNorm2d, which folds into the convolution before it")
_LAYER = _Rule(2, "layer norm", "use BatchNorm2d, which folds into the convolution before it")
_CONV1D = _Rule(3, "1-D convolution", "use Conv2d with a kernel (1, k) on (batch, channel, device, time)")
_OTHER = _Rule(
    4,
    "operator off the edge-safe list",
    "it falls back to the CPU or fails to compile; express it with the listed ones",
)

_MODULES: tuple[tuple[tuple[type[nn.Module], ...], _Rule], ...] = (
    ((nn.MultiheadAttention, nn.Transformer, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer), _ATTENTION),
    ((nn.RNNBase, nn.RNNCellBase), _RECURRENT),
    ((nn.Softmax, nn.LogSoftmax, nn.Softmax2d, nn.Softmin), _SOFTMAX),
    ((nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d), _INSTANCE),
    ((nn.LayerNorm, nn.RMSNorm), _LAYER),
    ((nn.Conv1d, nn.ConvTranspose1d), _CONV1D),
)

_OPERATORS: Mapping[str, _Rule] = {
    **dict.fromkeys(("Attention", "MultiHeadAttention", "RotaryEmbedding"), _ATTENTION),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _RECURRENT),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _SOFTMAX),
    **dict.fromkeys(("InstanceNormalization", "GroupNormalization"), _INSTANCE),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"), _LAYER),
    **dict.fromkeys(("Shape", "Size", "NonZero", "Range", "Loop", "If", "Scan", "Expand"), _DYNAMIC),
}


@dataclass(frozen=True)
class Violation:
    """One thing that accelerators will not compile.

    Attributes
    ----------
    rank : int
        1 = nothing compiles, 2 = no such unit on an accelerator, 3 = has an edge-safe equivalent, 4 = off the list.
    rule : str
        The rule that is broken.
    where : str
        Module path, or node of the exported graph.
    found : str
        Class of the module or ONNX operator.
    source : {"module", "onnx"}
        Where it was read.
    fix : str
        What to do instead.
    """

    rank: int
    rule: str
    where: str
    found: str
    source: Literal["module", "onnx"]
    fix: str


@dataclass(frozen=True)
class LintReport:
    """What a lint found.

    Attributes
    ----------
    violations : tuple of Violation
        The worst first.
    operators : mapping of str to int
        Operators of the exported graph and how often each stands there; empty if no graph was read.
    """

    violations: tuple[Violation, ...]
    operators: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.violations

    def __str__(self) -> str:
        read = ", ".join(f"{count} {name}" for name, count in sorted(self.operators.items()))
        head = f"edge-safe ({read})" if self.ok else f"violations: {len(self.violations)}, the worst first"
        lines = (f"  {v.rank} {v.rule}: {v.found} at {v.where} ({v.source}). Fix: {v.fix}." for v in self.violations)
        return "\n".join((head, *lines))


def lint(model: nn.Module, example: Tensor | None = None) -> LintReport:
    """Read a model's modules, export it, and read the graph.

    Parameters
    ----------
    model : nn.Module
        The part that is to run on an accelerator, such as an encoder without its quantiser.
    example : Tensor, optional
        Input to export with; by default one window of zeros, float32 (1, 9, 2, 100).

    Returns
    -------
    LintReport
        Of both readings.

    Raises
    ------
    ImportError
        Without ``onnx`` and ``onnxscript`` (``pip install conv2d-fsq[onnx]``); :func:`lint_modules` needs neither.
    ContractError
        If the model cannot be exported.

    Examples
    --------
    >>> from conv2d.features import Conv2dEncoder
    >>> lint(Conv2dEncoder(width=8)).ok
    True
    """
    modules = lint_modules(model)
    graph = lint_onnx(_export(model, example))
    return LintReport(_ranked([*modules.violations, *graph.violations]), graph.operators)


def lint_modules(model: nn.Module) -> LintReport:
    """Read a model's modules, without exporting it.

    Parameters
    ----------
    model : nn.Module
        Any module.

    Returns
    -------
    LintReport
        Without operators.

    Examples
    --------
    >>> from torch import nn
    >>> print(lint_modules(nn.Sequential(nn.Conv1d(9, 8, 5))))
    violations: 1, the worst first
      3 1-D convolution: Conv1d at 0 (module). Fix: use Conv2d with a kernel (1, k) on (batch, channel, device, time).
    """
    modules = cast("Iterable[tuple[str, nn.Module]]", model.named_modules())
    found = [
        Violation(rule.rank, rule.name, name or "the model itself", type(module).__name__, "module", rule.fix)
        for name, module in modules
        for kinds, rule in _MODULES
        if isinstance(module, kinds)
    ]
    return LintReport(_ranked(found))


def lint_onnx(model: onnx.ModelProto | str | Path) -> LintReport:
    """Read the operators and shapes of an ONNX graph.

    Parameters
    ----------
    model : onnx.ModelProto or path
        The exported core.

    Returns
    -------
    LintReport
        Of the main graph, its functions and sub-graphs.

    Raises
    ------
    ImportError
        Without ``onnx`` (``pip install conv2d-fsq[onnx]``).
    ContractError
        If the file is no ONNX model.

    Examples
    --------
    >>> from onnx import TensorProto, helper
    >>> value = lambda name, size: helper.make_tensor_value_info(name, TensorProto.FLOAT, [size, 5])
    >>> node = helper.make_node("Softmax", ["x"], ["y"], name="probabilities")
    >>> graph = helper.make_graph([node], "g", [value("x", "batch")], [value("y", "batch")])
    >>> [(v.rank, v.rule, v.where) for v in lint_onnx(helper.make_model(graph)).violations]
    [(1, 'dynamic shape', 'input x'), (1, 'dynamic shape', 'output y'), (2, 'softmax', 'probabilities')]
    """
    proto = _read(model) if isinstance(model, str | Path) else model
    graph = proto.graph
    found: list[Violation] = []
    for kind, values in (("input", graph.input), ("output", graph.output)):
        for value in values:
            if any(dimension.dim_value <= 0 for dimension in value.type.tensor_type.shape.dim):
                sizes = [d.dim_param or d.dim_value or "?" for d in value.type.tensor_type.shape.dim]
                found.append(_violation(_DYNAMIC, f"{kind} {value.name}", f"shape {sizes}"))
    nodes = [*_nodes(graph), *(node for function in proto.functions for node in function.node)]
    ranks = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    multiplied = {name for node in nodes if node.op_type == "MatMul" for name in node.input}
    for i, node in enumerate(nodes):
        where = node.name or f"node {i}"
        rule = _OPERATORS.get(node.op_type)
        if node.op_type in ("Conv", "ConvTranspose") and _is_one_dimensional(node, ranks):
            rule = _CONV1D
        elif rule is _SOFTMAX and multiplied.intersection(node.output):
            rule = _ATTENTION  # weights that sum to one, times values
        elif rule is None and node.op_type not in EDGE_SAFE_OPERATORS:
            rule = _OTHER
        if rule is not None:
            found.append(_violation(rule, where, node.op_type))
    return LintReport(_ranked(found), dict(Counter(node.op_type for node in nodes)))


def _violation(rule: _Rule, where: str, found: str) -> Violation:
    return Violation(rule.rank, rule.name, where, found, "onnx", rule.fix)


def _ranked(found: list[Violation]) -> tuple[Violation, ...]:
    return tuple(sorted(found, key=lambda violation: violation.rank))  # stable: within a rank, in the model's order


def _nodes(graph: Any) -> list[Any]:
    """Return the nodes of a graph and of the graphs inside its nodes."""
    found: list[Any] = []
    for node in graph.node:
        found.append(node)
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                found.extend(_nodes(inner))
    return found


def _is_one_dimensional(node: Any, ranks: Mapping[str, int]) -> bool:
    kernel = [len(attribute.ints) for attribute in node.attribute if attribute.name == "kernel_shape"]
    return kernel == [1] or (not kernel and ranks.get(node.input[1]) == 3)


def _read(path: str | Path) -> onnx.ModelProto:
    _need("onnx")
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return onnx.load(str(path), load_external_data=False)
    except (OSError, DecodeError) as error:
        raise ContractError(
            f"{path}: is no ONNX model that can be read ({error}). Export one: torch.onnx.export."
        ) from None


def _need(*names: str) -> None:
    for name in names:
        try:
            import_module(name)
        except ImportError as error:
            raise ImportError(
                f"reading a graph needs {name}, which is not installed: pip install 'conv2d-fsq[onnx]'. "
                "lint_modules(model) reads the modules without it."
            ) from error


def _export(model: nn.Module, example: Tensor | None) -> onnx.ModelProto:

    _need("onnx", "onnxscript")
    if example is None:
        example = torch.zeros(1, N_CHANNELS, N_DEVICES, WINDOW_STEPS)
    was_training = model.training
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own
            program = torch.onnx.export(model.eval(), (example,), dynamo=True, verbose=False)
    except Exception as error:  # the exporter raises a family of its own
        raise ContractError(
            f"model {type(model).__name__} cannot be exported with an input of shape {tuple(example.shape)}: "
            f"{str(error).strip().splitlines()[0]}. Pass example= of the shape it takes; lint_modules needs no export."
        ) from error
    finally:
        model.train(was_training)
    return cast("Any", program).model_proto
