"""The lint: our own core passes, and each thing that accelerators refuse is found, named and ranked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from conv2d.features import ContractError, Conv2dEncoder
from conv2d.features.lint import EDGE_SAFE_OPERATORS, lint, lint_modules, lint_onnx


class Functional(nn.Module):
    """A body whose fault no module shows."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.weight = nn.Parameter(torch.randn(4, 9, 3))

    def forward(self, x: Tensor) -> Tensor:
        series = x[:, :, 0]
        match self.kind:
            case "softmax":
                return torch.softmax(x, 1)
            case "attention":
                return nn.functional.scaled_dot_product_attention(x, x, x)
            case "conv1d":
                return nn.functional.conv1d(series, self.weight)
            case "group norm":
                return nn.functional.group_norm(x, 3)
            case _:
                return nn.functional.layer_norm(x, (100,))


def test_the_encoder_is_edge_safe() -> None:
    model = Conv2dEncoder(width=8).train()
    report = lint(model)
    assert report.ok, str(report)
    assert set(report.operators) <= EDGE_SAFE_OPERATORS
    assert report.operators["Conv"] == 4
    assert str(report).startswith("edge-safe (")
    assert model.training  # left as it was


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("softmax", "softmax"),
        ("attention", "attention"),
        ("conv1d", "1-D convolution"),
        ("group norm", "group or instance norm"),
        ("layer norm", "layer norm"),
    ],
)
def test_a_functional_call_is_found_in_the_graph(kind: str, rule: str) -> None:
    assert lint_modules(Functional(kind)).ok
    report = lint(Functional(kind))
    assert rule in {v.rule for v in report.violations}, str(report)
    assert {v.source for v in report.violations} == {"onnx"}


@pytest.mark.parametrize(
    ("module", "rule", "rank"),
    [
        (nn.Conv1d(9, 4, 3), "1-D convolution", 3),
        (nn.GroupNorm(3, 9), "group or instance norm", 2),
        (nn.InstanceNorm2d(9), "group or instance norm", 2),
        (nn.LayerNorm(100), "layer norm", 2),
        (nn.MultiheadAttention(100, 4), "attention", 2),
        (nn.LSTM(9, 4), "recurrence", 2),
        (nn.Softmax(1), "softmax", 2),
    ],
)
def test_a_module_is_named_with_its_path(module: nn.Module, rule: str, rank: int) -> None:
    (found,) = lint_modules(nn.ModuleDict({"body": nn.ModuleList([nn.ReLU(), module])})).violations
    assert (found.rule, found.rank, found.where, found.source) == (rule, rank, "body.1", "module")
    assert found.fix in str(lint_modules(module))


def test_the_worst_comes_first_from_both_readings() -> None:
    model = nn.Sequential(nn.Flatten(2), nn.Conv1d(9, 6, 3), nn.GELU(), nn.GroupNorm(3, 6), nn.Softmax(1))
    report = lint(model)
    ranks = [v.rank for v in report.violations]
    assert ranks == sorted(ranks)
    assert {(v.rule, v.source) for v in report.violations} >= {
        ("1-D convolution", "module"),
        ("1-D convolution", "onnx"),
        ("group or instance norm", "module"),
        ("group or instance norm", "onnx"),
        ("softmax", "onnx"),
        ("operator off the edge-safe list", "onnx"),
    }, str(report)


def graph_of(nodes: list[onnx.NodeProto], size: str | int | None = 1) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [size, 9, 100]) for name in ("x", "y")]
    return helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:]))


@pytest.mark.parametrize("size", ["batch", None, 0])
def test_a_dynamic_shape_is_the_worst(size: str | int | None) -> None:
    report = lint_onnx(graph_of([helper.make_node("Softmax", ["x"], ["y"])], size))
    assert [(v.rank, v.rule, v.where) for v in report.violations] == [
        (1, "dynamic shape", "input x"),
        (1, "dynamic shape", "output y"),
        (2, "softmax", "node 0"),
    ]


def test_branches_are_read() -> None:
    inner = helper.make_graph([helper.make_node("LayerNormalization", ["x"], ["y"], name="inside")], "branch", [], [])
    report = lint_onnx(
        graph_of([helper.make_node("If", ["c"], ["y"], name="if", then_branch=inner, else_branch=inner)])
    )
    assert [v.where for v in report.violations] == ["if", "inside", "inside"]


def test_a_file_is_read_and_a_bad_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(graph_of([helper.make_node("Relu", ["x"], ["y"])]), path)
    assert lint_onnx(path).ok
    path.write_bytes(b"no model")
    with pytest.raises(ContractError, match="no ONNX model"):
        lint_onnx(path)
    with pytest.raises(ContractError, match="no ONNX model"):
        lint_onnx(tmp_path / "absent.onnx")


def test_a_model_that_cannot_be_exported_is_told_so() -> None:
    with pytest.raises(ContractError, match="cannot be exported with an input of shape"):
        lint(nn.Linear(7, 2))


def test_modules_are_read_without_onnx() -> None:
    code = (
        "import sys\nsys.modules['onnx'] = sys.modules['onnxscript'] = None\n"
        "from torch import nn\nfrom conv2d.features.lint import lint, lint_modules\n"
        "assert not lint_modules(nn.Softmax(1)).ok\n"
        "try:\n    lint(nn.ReLU())\nexcept ImportError as error:\n    assert 'conv2d-fsq[onnx]' in str(error), error\n"
        "else:\n    sys.exit(1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
