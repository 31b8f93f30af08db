"""The hailo target: both halves are the model, and a .hef that does not fit is refused with the reason.

The .hef files here are made by the test from the published format: header, checksum, and the messages that are read.
"""

import hashlib
import struct
import sys
import types
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from conv2d.packaging import BundleError, HailoTarget, create_bundle, verify_bundle
from conv2d.packaging._graph import read_graph
from conv2d.packaging._hailo import CALIBRATION, CORE, HEF, HOST, RANGES, SCRIPT, lint_core
from conv2d.packaging._hef import read_hef
from conv2d.packaging._samples import parse_npy
from conv2d.packaging.targets import Built, NotBuilt, TargetData
from conv2d.packaging.testing import edge_model, small_arguments, small_model, small_samples, small_windows

xxhash = pytest.importorskip("xxhash", reason="xxhash absent: .hef inspection is NOT TESTED here (conv2d-pack[hailo])")


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | bytes | float) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def info(
    name: str, shape: tuple[int, int, int], scale: float, zero: float, low: float, high: float, size: int = 1
) -> bytes:
    height, width, features = shape
    base = field(1, height) + field(2, height) + field(3, width) + field(5, features) + field(12, size)
    numeric = field(1, zero) + field(2, scale) + field(3, low) + field(4, high)
    return field(1, name.encode()) + field(2, base) + field(3, numeric)


def edge(direction: int, layer: bytes, connection: int = 0) -> bytes:
    return field(1, direction) + field(3, layer) + field(5, field(3, connection))


INPUT: dict[str, Any] = {"shape": (2, 100, 9), "scale": 10 / 255, "zero": 127.0, "low": -5.0, "high": 5.0}
OUTPUT: dict[str, Any] = {"shape": (1, 1, 192), "scale": 0.001, "zero": 32768.0, "low": -30.0, "high": 30.0, "size": 2}


def message(
    architecture: int = 0, given: dict[str, Any] = INPUT, taken: dict[str, Any] = OUTPUT, style: str = "ops"
) -> bytes:
    edges = field(2, edge(0, info("core/input_layer1", **given)))
    if style == "mux":
        mux = field(5, field(1, info("core/output_layer1", **taken)))
        edges += field(2, field(1, 1) + field(2, 1) + field(4, mux) + field(5, field(3, 0)))
    else:
        edges += field(2, edge(1, info("core/output_layer1", **taken)))
    edges += field(2, edge(1, info("between contexts", (9, 9, 9), 1.0, 0.0, 0.0, 1.0), connection=1))
    core = field(3, field(3, edges))  # contexts, their metadata
    group = {
        "ops": field(8, field(1, b"op") + field(4, core)),
        "mux": field(8, field(4, core)),
        "old": core,
        "partial": field(7, field(1, core)),
    }[style]
    header = field(1, architecture) + field(2, 1_700_000_000) + field(3, b"3.31.0") + field(4, 3)
    return field(1, header) + field(2, group)


def hef(body: bytes, version: int = 3, weights: bytes = b"weights!" * 4, part: bool = True) -> bytes:
    common = struct.pack(">III", 0x01484546, version, len(body))
    if version == 0:
        return common + struct.pack(">I", 0) + hashlib.md5(body).digest() + body
    if version == 1:
        return common + struct.pack(">IQI", zlib.crc32(body + weights), len(weights), 0) + body + weights
    whole = xxhash.xxh3_64_intdigest(body + weights)
    if version == 2:
        return common + struct.pack(">QQQQ", whole, len(weights), 0, 0) + body + weights
    of_message = xxhash.xxh3_64_intdigest(body) if part else 0
    return common + struct.pack(">QQIQQQ", whole, len(weights), 4, 0, of_message, 0) + body + weights


@pytest.fixture(scope="module")
def model() -> bytes:
    return edge_model(width=8)


@pytest.fixture(scope="module")
def data() -> TargetData:
    return TargetData(np.clip(small_windows(40, 1), -4, 4), np.clip(small_windows(10, 2), -4, 4))


@pytest.mark.parametrize("version", [0, 1, 2, 3])
@pytest.mark.parametrize("style", ["ops", "old", "partial", "mux"])
def test_every_version_and_layout_is_read(version: int, style: str) -> None:
    found = read_hef(hef(message(style=style), version))
    assert (found.version, found.architecture, found.compiler) == (version, "hailo8", "3.31.0")
    assert found.checksum == {0: "md5", 1: "crc32", 2: "xxh3_64", 3: "xxh3_64"}[version]
    assert [(s.direction, s.shape, s.bits) for s in found.streams] == [
        ("input", (2, 100, 9), 8),
        ("output", (1, 1, 192), 16),
    ]
    assert found.streams[0].range == pytest.approx((-127 * 10 / 255, 5.0), abs=0.02)


@pytest.mark.parametrize("version", [0, 1, 2, 3])
@pytest.mark.parametrize("part", [True, False])
def test_every_flipped_byte_of_the_content_is_found(version: int, part: bool) -> None:
    good = hef(message(), version, part=part)
    start = len(good) - len(message()) - (0 if version == 0 else 32)
    for place in range(start, len(good)):
        bad = bytearray(good)
        bad[place] ^= 0x10
        with pytest.raises(BundleError, match="is damaged"):
            read_hef(bytes(bad))


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_every_length_but_the_right_one_is_found(version: int) -> None:
    good = hef(message(), version)
    for bad in [good[:n] for n in range(0, len(good), 7)] + [good + b"x"]:
        with pytest.raises(BundleError, match=r"model\.hef (has|ends|holds|is damaged)"):
            read_hef(bad)


def test_strangers_are_told_apart() -> None:
    good = hef(message())
    with pytest.raises(BundleError, match="begins with 0x00484546"):
        read_hef(b"\x00" + good[1:])
    with pytest.raises(BundleError, match="format version 9"):
        read_hef(good[:4] + struct.pack(">I", 9) + good[8:])
    for junk in (b"\xff" * 30, field(1, b"\x0b"), b"", field(1, b"") + field(2, b"\x1a\x7f"), b"\x80" * 12):
        with pytest.raises(BundleError, match="a message that cannot be read"):
            read_hef(hef(junk))


def test_without_the_compiler_all_but_the_last_step_is_there(model: bytes, data: TargetData, tmp_path: Path) -> None:
    built = HailoTarget().build(model, data)
    assert isinstance(built, NotBuilt)
    assert built.reason.startswith("compiler absent")
    for command in ("hailo parser onnx hailo/core.onnx", "hailo optimize", "hailo compiler", "--hef"):
        assert command in built.next
    assert built.files.keys() == {CORE, HOST, CALIBRATION, RANGES, SCRIPT}
    calibration = parse_npy(built.files[CALIBRATION], CALIBRATION)
    assert calibration.shape == (40, 2, 100, 9)
    assert np.array_equal(calibration[3, 1, 7], data.calibration[3, :, 1, 7])
    assert f"calibset_size={len(calibration)}" in built.files[SCRIPT].decode()
    arguments = small_arguments(model=model, targets=("onnx", "hailo"), calibration_windows=data.calibration)
    bundle = create_bundle(tmp_path, **arguments)
    entry = bundle.manifest["targets"]["hailo"]
    assert entry["status"] == "not built"
    assert entry["files"] == sorted(built.files)
    verdict = verify_bundle(bundle.path)
    assert verdict.ok
    assert "target hailo: not compiled; the halves were run on the CPU in float" in verdict.not_verified


def test_the_split_is_before_the_rounding(model: bytes, data: TargetData) -> None:
    built = HailoTarget().build(model, data)
    core, host = (onnx.load_model_from_string(built.files[name]).graph for name in (CORE, HOST))
    assert {node.op_type for node in core.node} == {
        *("Conv", "Relu", "MaxPool", "AveragePool", "Reshape", "Concat", "Gemm"),
    }
    assert [v.name for v in core.output] == [v.name for v in host.input] == ["z_row"]
    assert [d.dim_value for d in core.output[0].type.tensor_type.shape.dim] == [1, 192]
    assert "Greater" in {node.op_type for node in host.node}
    assert {v.name for v in host.output} == {"logits", "codes"}
    assert HailoTarget().verify(built.files, model, small_samples(model, 30)).findings == ()


def test_lint() -> None:
    assert lint_core(read_graph(edge_model(width=8))) == []
    assert lint_core(read_graph(small_model())) == []

    def changed(change: Callable[[Any], object]) -> list[str]:
        graph = onnx.load_model_from_string(edge_model(width=8))
        change(graph.graph)
        return lint_core(graph)

    def sigmoid(graph: Any) -> None:
        graph.node[1].op_type = "Sigmoid"

    assert any("comes after an operator that is not edge-safe" in p for p in changed(sigmoid))
    first = onnx.load_model_from_string(small_model())
    first.graph.node[0].op_type = "Softmax"
    assert lint_core(first) == ["model.onnx has no part that an accelerator could run before its rounding."]
    assert any("static" in p for p in changed(lambda graph: None))  # no shapes were inferred here
    batch = read_graph(edge_model(width=8))
    for value in (*batch.graph.value_info, *batch.graph.input):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    assert any("has the batch 4" in p for p in lint_core(batch))
    rank = read_graph(edge_model(width=8))
    next(v for v in rank.graph.value_info if v.name == "c0").type.tensor_type.shape.dim.pop()
    assert any("c0 has rank 3" in p for p in lint_core(rank))


def test_a_model_that_does_not_fit_is_not_built(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(edge_model(width=8))
    model.graph.node[1].op_type = "Sigmoid"
    why = HailoTarget().check(model.SerializeToString())
    assert why is not None
    assert "does not fit Hailo-8" in why.reason


def test_a_fitting_hef_is_taken_and_inspected_again(model: bytes, data: TargetData, tmp_path: Path) -> None:
    arguments = small_arguments(
        model=model,
        samples=small_samples(model),
        targets=("onnx", HailoTarget(hef(message()))),
        calibration_windows=data.calibration,
        test_windows=data.test,
    )
    bundle = create_bundle(tmp_path, **arguments)
    entry = bundle.manifest["targets"]["hailo"]
    assert entry["status"] == "built"
    assert HEF in entry["files"]
    assert entry["report"]["architecture"] == "hailo8"
    verdict = verify_bundle(bundle.path, target="hailo")
    assert verdict.ok
    assert "target hailo: needs a Hailo-8: the halves were run on the CPU in float" in verdict.not_verified


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (message(given=INPUT | {"zero": 0.0, "low": 0.0}), r"begins at 0 and would clip negative samples, .* -4"),
        (message(given=INPUT | {"low": -2.0}), "begins at -2 and would clip negative samples"),
        (message(given=INPUT | {"high": 3.0}), "ends at 3 and would clip samples"),
        (message(given=INPUT | {"scale": 0.0}), "is not usable"),
        (message(given=INPUT | {"shape": (2, 100, 6)}), r"its input is .*\(2, 100, 6\), the model's is \(2, 100, 9\)"),
        (message(given=INPUT | {"shape": (9, 2, 100)}), r"the model's is \(2, 100, 9\)"),
        (message(taken=OUTPUT | {"shape": (1, 1, 64)}), r"its output is .*64\), the model's is \(1, 1, 192\)"),
        (message(architecture=103), "compiled for hailo15h"),
        (message(architecture=77), r"compiled for unknown \(77\)"),
        (field(1, field(1, 0)), "its input is none"),
    ],
)
def test_a_hef_that_does_not_fit_is_refused(model: bytes, data: TargetData, body: bytes, text: str) -> None:
    with pytest.raises(BundleError, match=text):
        HailoTarget(hef(body)).build(model, data)


def test_the_compiler_is_run_where_it_is_installed(
    model: bytes, data: TargetData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiler is not public: a stand-in with its interface shows what it is given and that its output is inspected."""
    calls: list[tuple[str, Any]] = []

    class Runner:
        def __init__(self, hw_arch: str) -> None:
            calls.append(("arch", hw_arch))

        def translate_onnx_model(self, path: str, name: str) -> None:
            onnx.checker.check_model(path, full_check=True)
            calls.append(("onnx", name))

        def load_model_script(self, path: str) -> None:
            calls.append(("script", Path(path).read_text()))

        def optimize(self, calibration: np.ndarray) -> None:
            calls.append(("shape", calibration.shape))

        def compile(self) -> bytes:
            return hef(message(given=INPUT | {"low": 0.0}) if bad else message())

    module = types.ModuleType("hailo_sdk_client")
    module.ClientRunner = Runner  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "hailo_sdk_client", module)
    monkeypatch.setattr("conv2d.packaging._hailo.find_spec", lambda name: object())
    bad = False
    built = HailoTarget().build(model, data)
    assert isinstance(built, Built)
    assert [name for name, _ in calls] == ["arch", "onnx", "script", "shape"]
    assert calls[-1][1] == (40, 2, 100, 9)
    bad = True
    with pytest.raises(BundleError, match="would clip negative samples"):
        HailoTarget().build(model, data)


def test_a_calibration_set_that_misses_the_inputs_is_refused(model: bytes, data: TargetData) -> None:
    with pytest.raises(BundleError, match=r"would be clipped; give calibration windows"):
        HailoTarget().build(model, TargetData(data.calibration, 3 * data.test))
    with pytest.raises(BundleError, match="needs calibration windows"):
        HailoTarget().build(model, TargetData(small_windows(0), data.test))


def test_changed_files_are_found(model: bytes, data: TargetData) -> None:
    files = dict(HailoTarget(hef(message())).build(model, data).files)
    samples = small_samples(model)
    other = dict(HailoTarget(hef(message())).build(edge_model(1, width=8), data).files)
    for name, content in (
        (CORE, other[CORE]),
        (HOST, other[HOST]),
        (CALIBRATION, files[CALIBRATION][:-1]),
        (HEF, hef(message(architecture=4))),
        (HEF, files[HEF][:-1]),
    ):
        findings = HailoTarget().verify({**files, name: content}, model, samples).findings
        assert [finding.file for finding in findings] == [name]
    (finding,) = HailoTarget().verify({**files, RANGES: b"{}"}, model, samples).findings
    assert finding.file == RANGES


def test_no_xxhash_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from conv2d.packaging import MissingToolError

    monkeypatch.setitem(sys.modules, "xxhash", None)
    with pytest.raises(MissingToolError, match=r"conv2d-pack\[hailo\]"):
        read_hef(hef(message()))
    assert read_hef(hef(message(), version=1)).checksum == "crc32"
