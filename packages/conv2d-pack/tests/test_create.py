"""What `create_bundle` writes, and what it refuses."""

import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from conv2d.packaging import Bundle, BundleError, OnnxModel, Samples, create_bundle, list_bundles, verify_bundle
from conv2d.packaging.testing import small_arguments, small_bundle, small_model, small_samples, small_windows


def edit_model(change: Callable[[onnx.ModelProto], object]) -> bytes:
    model = onnx.load_model_from_string(small_model())
    change(model)
    return model.SerializeToString()


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_id_is_the_sha256_of_the_canonical_manifest(bundle: Bundle) -> None:
    data = (bundle.path / "manifest.json").read_bytes()
    assert bundle.id == bundle.path.name == hashlib.sha256(data).hexdigest()
    manifest = json.loads(data)
    assert data == json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    listed = manifest["files"]
    assert set(listed) | {"manifest.json"} == set(tree(bundle.path))
    for name, content in tree(bundle.path).items():
        if name != "manifest.json":
            assert listed[name] == {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def test_opened_bundle_gives_back_what_was_put_in(bundle: Bundle) -> None:
    given = small_arguments()
    assert bundle.labels == ("rest", "walk", "trot")
    assert bundle.config == given["config"] == yaml.safe_load((bundle.path / "config.yaml").read_text("utf-8"))
    assert bundle.preprocessing == given["preprocessing"]
    assert bundle.calibration == given["calibration"]
    assert bundle.metrics == given["metrics"]
    assert bundle.version == "0.1.0"
    assert bundle.manifest["targets"]["hailo"]["status"] == "not built"
    stored = bundle.samples()
    assert np.array_equal(stored.inputs, given["samples"].inputs)
    for name, array in given["samples"].outputs.items():
        assert stored.outputs[name].dtype == array.dtype
        assert np.array_equal(stored.outputs[name], array)


def test_same_arguments_same_bytes(tmp_path: Path) -> None:
    one, two = (create_bundle(tmp_path / name, **small_arguments()) for name in ("a", "b"))
    assert one.id == two.id
    assert tree(one.path) == tree(two.path)
    reordered = small_arguments(config=dict(reversed(small_arguments()["config"].items())))
    assert create_bundle(tmp_path / "c", **reordered).id == one.id


def test_again_leaves_the_first_one(bundle: Bundle) -> None:
    before = {p: p.stat().st_mtime_ns for p in bundle.path.rglob("*")}
    assert create_bundle(bundle.path.parent, **small_arguments()).id == bundle.id
    assert before == {p: p.stat().st_mtime_ns for p in bundle.path.rglob("*")}
    assert [p.name for p in bundle.path.parent.iterdir()] == [bundle.id]


def test_a_damaged_one_in_the_way_is_told(bundle: Bundle) -> None:
    (bundle.path / "metrics.json").write_text("{}")
    with pytest.raises(BundleError, match=r"metrics\.json.*remove the folder"):
        create_bundle(bundle.path.parent, **small_arguments())


@pytest.mark.parametrize(
    ("change", "file"),
    [
        ({"version": "0.1.1"}, None),
        ({"commit_sha": None}, None),
        ({"labels": ("rest", "trot", "walk")}, "label_map.json"),
        ({"metrics": {**small_arguments()["metrics"], "accuracy": 0.92}}, "metrics.json"),
        ({"name": "other"}, "README.md"),
        ({"model": small_model(1)}, "model.onnx"),
    ],
)
def test_every_part_is_in_the_id(bundle: Bundle, tmp_path: Path, change: dict[str, Any], file: str | None) -> None:
    other = create_bundle(tmp_path / "other", **small_arguments(**change))
    assert other.id != bundle.id
    if file:
        assert (other.path / file).read_bytes() != (bundle.path / file).read_bytes()


def _create(root: str) -> str:
    return create_bundle(root, **small_arguments()).id


def test_concurrent_creation(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        ids = pool.map(_create, [str(tmp_path)] * 8, chunksize=1)
    assert len(set(ids)) == 1
    assert [p.name for p in tmp_path.iterdir()] == ids[:1]
    assert verify_bundle(tmp_path / ids[0]).ok


CRASH = """
import os, sys
from conv2d.packaging import create_bundle
from conv2d.packaging.testing import small_arguments

arguments = small_arguments()
steps = 0

def dying(real, at):
    def call(*args, **options):
        global steps
        steps += 1
        if steps == at:
            os._exit(9)  # as kill -9: no clean-up runs
        return real(*args, **options)
    return call

for at in range(1, 1000):
    child = os.fork()
    if child == 0:
        for name in ("fsync", "mkdir", "chmod", "rename", "open"):
            setattr(os, name, dying(getattr(os, name), at))
        create_bundle(f"{sys.argv[1]}/{at}", **arguments)
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        print(at)
        break
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork: crashes in the middle are NOT TESTED here")
def test_a_crash_at_any_step_leaves_no_half_bundle(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CRASH, str(tmp_path)], capture_output=True, text=True, timeout=60)
    steps = int(done.stdout)
    assert steps > 30  # 12 files, each written and synced, and their folders
    whole = 0
    for root in tmp_path.iterdir():
        listed = list_bundles(root)
        assert all(verify_bundle(path).ok for path in listed)
        whole += len(listed)
    assert 1 <= whole <= steps - 24  # before the rename, 12 files are synced and get their mode: nothing is listed then
    assert verify_bundle(small_bundle(tmp_path / "1").path).ok


def test_nothing_is_left_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("conv2d.packaging._files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        create_bundle(tmp_path, **small_arguments())
    assert list(tmp_path.iterdir()) == []


def test_a_half_written_folder_is_not_listed(bundle: Bundle) -> None:
    root = bundle.path.parent
    (root / ".conv2d-pack-0123").mkdir()
    (root / ("0" * 64)).mkdir()  # named as a bundle, but empty
    (root / "notes").mkdir()
    assert list_bundles(root) == (root / bundle.id,)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"labels": ()}, "no labels"),
        ({"labels": ("rest", "walk")}, "2 labels, but the model gives 3 logits"),
        ({"labels": ("rest", "walk", "walk")}, "each one different"),
        ({"labels": ("rest", "walk", " ")}, "non-empty text"),
        ({"labels": "abc"}, "no labels"),
        ({"metrics": {}}, "metrics is empty"),
        ({"metrics": {"ece": float("nan")}}, r"metrics\['ece'\] is nan"),
        ({"metrics": {"model_sha256": "0" * 64}}, "evaluate this model"),
        ({"calibration": {"t": [1.0, float("inf")]}}, r"calibration\['t'\]\[1\] is inf"),
        ({"preprocessing": {"mean": np.float32(1)}}, r"numpy\.float32"),
        ({"preprocessing": {1: "x"}}, "keys must be str"),
        ({"config": {"a": object()}}, r"config\['a'\] is a builtins\.object"),
        ({"config": {"a": "\ud800"}}, "surrogate"),
        ({"version": ""}, "version is ''"),
        ({"version": "../x"}, "version is"),
        ({"commit_sha": "main"}, "commit_sha is 'main'"),
        ({"targets_not_built": {"onnx": "?"}}, "any target but onnx"),
        ({"targets_not_built": {"Coreml": "no compiler"}}, "schema"),
        ({"model": b"", "samples": None}, "onnx"),
        ({"model": b"\xff" * 40, "samples": None}, "not an ONNX file"),
    ],
)
def test_refusals_write_nothing(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    with pytest.raises(BundleError, match=text) as caught:
        create_bundle(tmp_path / "root", **small_arguments(**change))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "root").exists()


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"a": deep}
    with pytest.raises(BundleError, match="nested deeper"):
        create_bundle(tmp_path, **small_arguments(config=deep))


def dynamic_batch(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"


def external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def external_in_an_attribute(model: onnx.ModelProto) -> None:
    node = model.graph.node.add(op_type="Constant", output=["unused"])
    attribute = node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR)
    attribute.t.CopyFrom(onnx.numpy_helper.from_array(np.zeros(1, np.float32), "hidden"))
    external_tensor = attribute.t
    external_tensor.external_data.add(key="location", value="/etc/passwd")


def short_window(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 90


def wrong_type(model: onnx.ModelProto) -> None:
    model.graph.output[1].type.tensor_type.elem_type = onnx.TensorProto.INT64  # the graph casts to int32


def rename_codes(model: onnx.ModelProto) -> None:
    model.graph.node[7].output[0] = model.graph.output[1].name = "indices"


def second_input(model: onnx.ModelProto) -> None:
    model.graph.input.add().CopyFrom(model.graph.input[0])
    model.graph.input[1].name = "more"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (dynamic_batch, "not static"),
        (external, "in another file"),
        (external_in_an_attribute, "in another file"),
        (short_window, "it must take one static float32"),
        (wrong_type, "refused by onnx.checker"),
        (rename_codes, "it must give 'codes'"),
        (second_input, "it must take one static float32"),
    ],
)
def test_models_that_break_the_contract(tmp_path: Path, change: Any, text: str) -> None:
    with pytest.raises(BundleError, match=text):
        create_bundle(tmp_path, **small_arguments(model=edit_model(change), samples=None))


def test_outputs_of_another_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"samples/outputs/\w+\.npy: differs"):
        create_bundle(tmp_path, **small_arguments(samples=small_samples(small_model(1))))


@pytest.mark.parametrize(("shift", "ok"), [(0.9e-5, True), (1.2e-5, False)])
def test_float_outputs_may_differ_by_the_tolerance_only(tmp_path: Path, shift: float, ok: bool) -> None:
    # The logits are multiples of 2**-20 or so around 0: a window of zeros gives exactly 0, so the shift is exact.
    windows = np.zeros((1, 9, 2, 100), np.float32)
    outputs = OnnxModel(small_model()).run(windows)
    outputs["logits"][0, 1] += np.float32(shift)
    given = small_arguments(samples=Samples(windows, outputs))
    if ok:
        create_bundle(tmp_path, **given)
    else:
        with pytest.raises(BundleError, match=r"differs from the model by 1\.2e-05"):
            create_bundle(tmp_path, **given)


def test_one_flipped_code_is_refused(tmp_path: Path) -> None:
    samples = small_samples(small_model())
    samples.outputs["codes"][2, 5] += 1
    with pytest.raises(BundleError, match="in 1 of 256 values"):
        create_bundle(tmp_path, **small_arguments(samples=samples))


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (small_windows(2).astype(np.float64), "float64"),
        (small_windows(2)[:, :, :, :50], r"\(2, 9, 2, 50\)"),
        (small_windows(0), "no window"),
        (np.full((1, 9, 2, 100), np.nan, np.float32), "NaN"),
        (np.zeros((100, 2, 9, 1), np.float32).T, "contiguous"),
    ],
)
def test_samples_contract(inputs: np.ndarray, text: str) -> None:
    with pytest.raises(BundleError, match=text):
        Samples(inputs, {"logits": np.zeros((len(inputs), 3), np.float32)})


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ({}, "empty"),
        ({"../x": np.zeros((2, 3), np.float32)}, "name"),
        ({"logits": np.zeros((2, 3))}, "float64"),
        ({"logits": np.zeros((3, 3), np.float32)}, r"\(3, 3\)"),
        ({"logits": np.full((2, 3), np.inf, np.float32)}, "Inf"),
    ],
)
def test_sample_outputs_contract(outputs: dict[str, np.ndarray], text: str) -> None:
    with pytest.raises(BundleError, match=text):
        Samples(small_windows(2), outputs)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_config_survives_yaml_and_json_or_is_refused(config: dict[str, Any]) -> None:
    from conv2d.packaging._text import parse_json, parse_yaml, plain, pretty_json, yaml_text

    assert parse_json(pretty_json(config), "x") == plain(config, "x") == config
    try:
        assert parse_yaml(yaml_text(config), "x") == config
    except BundleError as error:
        assert "YAML" in str(error)
