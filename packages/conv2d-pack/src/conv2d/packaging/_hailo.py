"""The target hailo: the graph split where the accelerator ends, all that its compiler needs, and a check of its result."""

# pyright: reportMissingTypeStubs=false, reportMissingImports=false

import importlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
from numpy.typing import NDArray

from conv2d.packaging._findings import BundleError, Finding, MissingToolError
from conv2d.packaging._graph import read_graph, shapes_of, split_core, sub_model
from conv2d.packaging._hef import HAILO8, Stream, read_hef
from conv2d.packaging._model import TOLERANCE, load_session
from conv2d.packaging._samples import Samples, npy_bytes, parse_npy
from conv2d.packaging._text import parse_json, pretty_json
from conv2d.packaging.targets import Built, NotBuilt, TargetCheck, TargetData

CORE, HOST, HEF = "hailo/core.onnx", "hailo/host.onnx", "hailo/model.hef"
CALIBRATION, RANGES, SCRIPT = "hailo/calibration.npy", "hailo/ranges.json", "hailo/model.alls"
_WINDOWS = 256
_OUTSIDE = 1e-3  # share of the values that may lie outside of the calibrated range
_FLAT = ("Concat", "Flatten", "Gemm", "MatMul", "Reshape")
_COMMANDS = (
    "hailo parser onnx hailo/core.onnx --hw-arch hailo8 --har-path core.har -y",
    "hailo optimize core.har --hw-arch hailo8 --calib-set-path hailo/calibration.npy --model-script hailo/model.alls "
    "--output-har-path core_optimized.har",
    "hailo compiler core_optimized.har --hw-arch hailo8 --output-dir .",
    "conv2d pack create … --targets onnx,hailo --hef core_optimized.hef",
)


class HailoTarget:
    """Splits, prepares, and compiles when the Dataflow Compiler is installed; takes a .hef that was compiled elsewhere.

    Parameters
    ----------
    hef : bytes, optional
        The compiler's output for this very model; it is inspected and refused when it does not fit.
    """

    name = "hailo"

    def __init__(self, hef: bytes | None = None) -> None:
        self._hef = hef

    def check(self, model: bytes) -> NotBuilt | None:
        """Lint the graph for Hailo-8."""
        problems = lint_core(read_graph(model))
        if not problems:
            return None
        return NotBuilt(f"the graph does not fit Hailo-8: {'; '.join(problems)}", "change the model, then create again")

    def build(self, model: bytes, data: TargetData) -> Built | NotBuilt:
        """Write both halves and the compiler's inputs; compile where that is possible."""
        if len(data.calibration) == 0:
            raise BundleError(
                "the target hailo needs calibration windows of training subjects; give calibration_windows."
            )
        graph = read_graph(model)
        core, host = _halves(graph)
        picks = np.linspace(0, len(data.calibration) - 1, min(len(data.calibration), _WINDOWS)).round().astype(np.int64)
        # Core order is channel, device, time; the device takes height (device), width (time), features (channel) last.
        calibration = np.ascontiguousarray(data.calibration[picks].transpose(0, 2, 3, 1))
        ranges = _ranges(calibration)
        _check_cover(ranges, data.test)
        files = {
            CORE: core.SerializeToString(deterministic=True),
            HOST: host.SerializeToString(deterministic=True),
            CALIBRATION: npy_bytes(calibration),
            RANGES: pretty_json(ranges),
            SCRIPT: _script(len(calibration)),
        }
        report: dict[str, Any] = {"calibration_windows": len(calibration), "device": "hailo8"}
        hef = self._hef
        if hef is None:
            if find_spec("hailo_sdk_client") is None:
                return NotBuilt(
                    "compiler absent: hailo_sdk_client, the Hailo Dataflow Compiler, is not installed here",
                    "in the bundle's folder, where it is installed: " + " && ".join(_COMMANDS),
                    files,
                    report,
                )
            hef = _compile(files, calibration)
        files[HEF] = hef
        problems = _check_hef(hef, graph, ranges)
        if problems:
            raise BundleError(f"{HEF} is refused: {'; '.join(problems)}. Compile it from this bundle's hailo folder.")
        found = read_hef(hef, HEF)
        report |= {"hef_version": found.version, "architecture": found.architecture, "compiler": found.compiler}
        return Built(files, report)

    def verify(self, files: Mapping[str, bytes], model: bytes, samples: Samples) -> TargetCheck:
        """Run both halves one after the other on the stored windows, and inspect calibration set and .hef."""
        fix = "build the target again from this very model"
        findings: list[Finding] = []
        graph = read_graph(model)
        for name, half in zip((CORE, HOST), _halves(graph), strict=True):
            if files.get(name) != half.SerializeToString(deterministic=True):
                findings.append(Finding(name, "is not this model's half", fix))
        ranges: dict[str, Any] = {}
        try:
            calibration = parse_npy(files[CALIBRATION], CALIBRATION)
            ranges = parse_json(files[RANGES], RANGES)
            if calibration.dtype != np.float32 or calibration.shape[1:] != (2, 100, 9) or len(calibration) == 0:
                findings.append(
                    Finding(CALIBRATION, f"is {calibration.dtype} {calibration.shape}, not (n, 2, 100, 9)", fix)
                )
            elif ranges != _ranges(calibration):
                findings.append(Finding(RANGES, "is not the range of the calibration set", fix))
        except (BundleError, KeyError) as error:
            findings.append(Finding(CALIBRATION, str(error), fix))
        if not findings:
            findings += [Finding(HOST, problem, fix) for problem in _run_halves(files, graph, samples)]
        notes = ["needs a Hailo-8: the halves were run on the CPU in float"]
        if HEF not in files:
            notes = ["not compiled; the halves were run on the CPU in float"]
        elif not findings:
            try:
                findings += [Finding(HEF, problem, fix) for problem in _check_hef(files[HEF], graph, ranges)]
            except BundleError as error:
                findings.append(Finding(HEF, str(error).removeprefix(f"{HEF} "), fix))
            except MissingToolError as error:
                notes.append(str(error))
        return TargetCheck(tuple(findings), tuple(notes))


def lint_core(model: onnx.ModelProto) -> list[str]:
    """Return what Hailo-8 would not compile in the accelerator's part: operators, ranks, batch and dynamic shapes."""
    try:
        core, _, ends = split_core(model.graph)
    except BundleError as error:
        return [str(error)]
    shapes = shapes_of(model.graph)
    stored = {tensor.name for tensor in model.graph.initializer}
    problems: list[str] = []
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    inside = {id(node) for node in core}
    for node in convolutions:
        if id(node) not in inside:
            problems.append(f"the convolution {node.output[0]} comes after an operator that is not edge-safe")
    for node in core:
        for name in (*(n for n in node.input if n and n not in stored), *node.output):
            shape = shapes.get(name, ())
            if not shape or min(shape) < 1:
                problems.append(f"{node.op_type}: the shape of {name} is not static")
            elif shape[0] != 1:
                problems.append(
                    f"{node.op_type}: {name} has the batch {shape[0]}, the device takes one window at a time"
                )
            elif len(shape) != 4 and not (len(shape) == 2 and node.op_type in (*_FLAT, "Relu", "Add", "Mul", "Clip")):
                problems.append(
                    f"{node.op_type}: {name} has rank {len(shape)}; 4, or 2 behind the pooling, is compiled"
                )
    if len(ends) != 1:
        problems.append(f"the accelerator's part ends in {len(ends)} values ({', '.join(ends)}), one is expected")
    return list(dict.fromkeys(problems))


def _halves(model: onnx.ModelProto) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    core, host, ends = split_core(model.graph)
    outputs = [value.name for value in model.graph.output]
    source = [model.graph.input[0].name]
    return sub_model(model, core, source, ends, "conv2d-core"), sub_model(model, host, ends, outputs, "conv2d-host")


def _run_halves(files: Mapping[str, bytes], model: onnx.ModelProto, samples: Samples) -> list[str]:
    core, host = (load_session(files[name], 1, name) for name in (CORE, HOST))
    (end,) = split_core(model.graph)[2]
    names = [value.name for value in model.graph.output]
    problems: list[str] = []
    collected: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    for index in range(len(samples)):
        (passed,) = core([end], {model.graph.input[0].name: samples.inputs[index : index + 1]})
        for name, value in zip(names, host(names, {end: passed}), strict=True):
            collected[name].append(value)
    for name, parts in collected.items():
        value, stored = np.concatenate(parts), samples.outputs[name]
        if stored.dtype.kind == "f":
            largest = float(np.abs(value.astype(np.float64) - stored).max(initial=0.0))
            if not largest <= TOLERANCE:
                problems.append(f"gives {name} that differs by {largest:.3g}, more than {TOLERANCE:g}")
        elif not np.array_equal(value, stored):
            problems.append(f"gives {name} that differs in {int((value != stored).sum())} of {stored.size} values")
    return problems


def _ranges(calibration: NDArray[np.float32]) -> dict[str, Any]:
    """Return the range of the calibration set (n, device, time, channel), whole and by channel and device."""
    return {
        "min": float(calibration.min()),
        "max": float(calibration.max()),
        "channel_min": calibration.min(axis=(0, 2)).T.tolist(),
        "channel_max": calibration.max(axis=(0, 2)).T.tolist(),
    }


def _check_cover(ranges: Mapping[str, Any], test: NDArray[np.float32]) -> None:
    """Refuse a calibration set that the model's own inputs leave: what lies outside is clipped on the device."""
    outside = float(((test < ranges["min"]) | (test > ranges["max"])).mean()) if len(test) else 0.0
    if outside > _OUTSIDE:
        raise BundleError(
            f"the calibration windows span {ranges['min']:.3g} to {ranges['max']:.3g}, but {100 * outside:.2f} % of the test "
            "windows' values lie outside and would be clipped; give calibration windows of more subjects and behaviours."
        )


def _script(windows: int) -> bytes:
    return (
        "# Model script for the Hailo Dataflow Compiler. FSQ rounds what the device gives: eight bits at the output\n"
        "# would turn codes into their neighbours, so the output is 16 bits wide.\n"
        "model_optimization_flavor(optimization_level=1, compression_level=0)\n"
        f"model_optimization_config(calibration, batch_size=8, calibset_size={windows})\n"
        "quantization_param({output_layer*}, precision_mode=a16_w16)\n"
    ).encode()


def _compile(files: Mapping[str, bytes], calibration: NDArray[np.float32]) -> bytes:
    """Run the Dataflow Compiler."""
    client = cast("Any", importlib.import_module("hailo_sdk_client"))
    with tempfile.TemporaryDirectory() as folder:
        core, script = Path(folder) / "core.onnx", Path(folder) / "model.alls"
        core.write_bytes(files[CORE])
        script.write_bytes(files[SCRIPT])
        try:
            runner = client.ClientRunner(hw_arch="hailo8")
            runner.translate_onnx_model(str(core), "core")
            runner.load_model_script(str(script))
            runner.optimize(calibration)
            return bytes(runner.compile())
        except Exception as error:  # a stranger's tool: whatever it raises, its words are what helps
            raise BundleError(f"the Hailo Dataflow Compiler fails: {' '.join(str(error).split())}") from error


def _check_hef(data: bytes, model: onnx.ModelProto, ranges: Mapping[str, Any]) -> list[str]:
    """Return why a .hef does not belong to this model."""
    hef = read_hef(data, HEF)
    problems: list[str] = []
    if hef.architecture not in HAILO8:
        problems.append(f"it is compiled for {hef.architecture}, the target is one of {', '.join(HAILO8)}")
    (end,) = split_core(model.graph)[2]
    shapes = shapes_of(model.graph)
    for direction, shape in (("input", shapes[model.graph.input[0].name]), ("output", shapes[end])):
        wanted = (shape[2], shape[3], shape[1]) if len(shape) == 4 else (1, 1, shape[-1])
        streams = [stream for stream in hef.streams if stream.direction == direction]
        if [stream.shape for stream in streams] != [wanted]:
            told = ", ".join(f"{s.name} {s.shape}" for s in streams) or "none"
            problems.append(f"its {direction} is {told}, the model's is {wanted} (height, width, features)")
        elif direction == "input":
            problems += _clipping(streams[0], ranges)
    return problems


def _clipping(stream: Stream, ranges: Mapping[str, Any]) -> list[str]:
    low, high = stream.range
    step = abs(stream.scale)
    if not np.isfinite([low, high, step]).all() or step == 0:
        return [f"the quantisation of its input is not usable: {json.dumps(asdict(stream))}"]
    problems: list[str] = []
    if low > ranges["min"] + step:
        negative = "negative samples" if ranges["min"] < 0 else "small samples"
        problems.append(
            f"its input range begins at {low:.4g} and would clip {negative}, which go down to {ranges['min']:.4g}"
        )
    if high < ranges["max"] - step:
        problems.append(
            f"its input range ends at {high:.4g} and would clip samples, which go up to {ranges['max']:.4g}"
        )
    return problems
