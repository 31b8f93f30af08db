"""The quantiser against the reference vectors, a float64 oracle, and itself in three back-ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from conv2d.features import FSQ, ContractError
from conv2d.features._levels import check_levels
from conv2d.features.numpy import fsq_indices, fsq_quantize, indices_to_values, values_to_indices

LEVEL_SETS = ([8, 6, 5], [8, 5, 5, 5], [7, 5, 5, 5, 5], [2], [3, 2], [16, 2, 9])


def published_levels(z: np.ndarray, levels: list[int]) -> np.ndarray:
    """Mentzer et al. as written, in float64: bound, round half to even."""
    n = np.array(levels)
    half = (n - 1) * (1 + 1e-3) / 2
    offset = np.where(n % 2 == 0, 0.5, 0.0)
    return np.round(np.tanh(z.astype(np.float64) + np.arctanh(offset / half)) * half - offset) + n // 2


@pytest.mark.parametrize("levels", LEVEL_SETS, ids=str)
def test_thresholds_decide_as_the_published_formula_does(levels: list[int]) -> None:
    z = (np.random.default_rng(0).normal(size=(200_000, len(levels))) * 2).astype(np.float32)
    numbers = published_levels(z, levels)
    basis = np.cumprod([1, *levels[:-1]])
    np.testing.assert_array_equal(fsq_indices(z, levels), (numbers * basis).sum(-1))
    quantized, _ = fsq_quantize(z, levels)
    np.testing.assert_allclose(quantized, numbers / (np.array(levels) // 2) - 1, rtol=0, atol=1e-7)


@pytest.mark.parametrize("levels", LEVEL_SETS, ids=str)
def test_neighbours_of_every_threshold_fall_on_either_side(levels: list[int]) -> None:
    table = check_levels(levels)
    for i, row in enumerate(table.thresholds):
        for j, threshold in enumerate(row[np.isfinite(row)]):
            z = np.zeros((2, len(levels)), np.float32)
            z[:, i] = threshold, np.nextafter(threshold, np.float32(np.inf))
            numbers = fsq_indices(z, levels) // table.basis[i] % levels[i]
            assert numbers.tolist() == [j, j + 1]


@pytest.mark.parametrize("name", ["8_6_5", "8_5_5_5", "7_5_5_5_5"])
def test_reference_vectors(name: str, shared: Callable[..., Path]) -> None:
    with np.load(shared("vectors", f"fsq_{name}.npz"), allow_pickle=False) as reference:
        levels = reference["levels"].tolist()
        far = reference["boundary_distance"] > 1e-5
        quantized, indices = fsq_quantize(reference["z"], levels)
        np.testing.assert_array_equal(indices[far], reference["indices"][far])
        np.testing.assert_allclose(quantized[far], reference["codes"][far], rtol=0, atol=1e-6)
        np.testing.assert_array_equal(check_levels(levels).basis, reference["basis"])
        np.testing.assert_allclose(
            indices_to_values(np.arange(len(reference["codebook"])), levels), reference["codebook"], atol=1e-6
        )
        np.testing.assert_allclose(check_levels(levels).thresholds, reference["thresholds"], atol=1e-6)


@settings(max_examples=200, deadline=None)
@given(
    levels=st.lists(st.integers(2, 12), min_size=1, max_size=5),
    data=st.data(),
)
def test_torch_and_numpy_are_bit_equal(levels: list[int], data: st.DataObject) -> None:
    shape = (data.draw(st.integers(0, 5)), len(levels))
    z = data.draw(hnp.arrays(np.float32, shape, elements=st.floats(allow_nan=False, width=32)))
    quantized, indices = fsq_quantize(z, levels)
    ours, codes = FSQ(levels)(torch.from_numpy(z))
    np.testing.assert_array_equal(codes.numpy(), indices)
    np.testing.assert_array_equal(ours.numpy(), quantized)
    np.testing.assert_array_equal(values_to_indices(quantized, levels), indices)
    np.testing.assert_array_equal(indices_to_values(indices, levels), quantized)
    np.testing.assert_array_equal(FSQ(levels).indices_to_values(codes).numpy(), quantized)
    np.testing.assert_array_equal(FSQ(levels).values_to_indices(ours).numpy(), indices)


def test_gradient_is_that_of_the_published_bound() -> None:
    levels = [8, 6, 5]
    z = torch.randn(64, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    FSQ(levels)(z)[0].sum().backward()
    assert z.grad is not None
    n = np.array(levels)
    half, offset = (n - 1) * (1 + 1e-3) / 2, np.where(n % 2 == 0, 0.5, 0.0)
    slope = (1 - np.tanh(z.detach().numpy() + np.arctanh(offset / half)) ** 2) * half / (n // 2)
    np.testing.assert_allclose(z.grad.numpy(), slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["8_6_5", "8_5_5_5", "7_5_5_5_5"])
def test_symmetric_reference_vectors(name: str, shared: Callable[..., Path]) -> None:
    with np.load(shared("vectors", f"fsq_{name}.npz"), allow_pickle=False) as reference:
        levels, z = reference["levels"].tolist(), reference["z"]
        n = np.array(levels)
        place = (n - 1) * (np.tanh(z.astype(np.float64)) + 1) / 2 + 0.5  # floor of this is the level
        far = np.abs(place - np.rint(place)).min(-1) > 1e-5  # where a float32 tanh cannot err
        quantized, indices = fsq_quantize(z, levels, symmetric=True)
        np.testing.assert_array_equal(indices[far], reference["symmetric_indices"][far])
        np.testing.assert_allclose(quantized[far], reference["symmetric_codes"][far], rtol=0, atol=1e-6)


@pytest.mark.parametrize("levels", LEVEL_SETS, ids=str)
def test_symmetric_levels_are_those_of_the_published_formula(levels: list[int]) -> None:
    z = (np.random.default_rng(0).normal(size=(100_000, len(levels))) * 2).astype(np.float32)
    z[:1] = 0.0  # on a boundary of every even number of levels, where floor takes the upper level
    n = np.array(levels)
    numbers = np.floor((n - 1) * (np.tanh(z.astype(np.float64)) + 1) / 2 + 0.5)
    quantized, indices = fsq_quantize(z, levels, symmetric=True)
    np.testing.assert_array_equal(indices, (numbers * np.cumprod([1, *levels[:-1]])).sum(-1))
    np.testing.assert_allclose(quantized, 2 * numbers / (n - 1) - 1, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(values_to_indices(quantized, levels, symmetric=True), indices)
    np.testing.assert_array_equal(indices_to_values(indices, levels, symmetric=True), quantized)
    values, codes = FSQ(levels, symmetric=True)(torch.from_numpy(z))
    np.testing.assert_array_equal(codes.numpy(), indices)
    np.testing.assert_array_equal(values.numpy(), quantized)
    extremes = np.full((2, len(levels)), 50, np.float32) * np.array([[-1], [1]], np.float32)
    assert fsq_quantize(extremes, levels, symmetric=True)[0].tolist() == [[-1.0] * len(levels), [1.0] * len(levels)]


def test_noise_takes_the_place_of_rounding_in_training_only() -> None:
    levels = [8, 5]
    noisy = FSQ(levels, symmetric=True, noise_dropout=0.5)
    z = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    plain, codes = FSQ(levels, symmetric=True)(z)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        values, same = noisy.train()(z)
    assert torch.equal(same, codes)
    changed = values != plain
    rate = changed.float().mean(0)
    assert (rate - 0.5).abs().max() < 5 * (0.25 / 20_000) ** 0.5  # five standard errors
    error = (values - torch.tanh(z)).detach()
    step = 2 / (torch.tensor(levels) - 1)
    assert (error[changed].abs() <= (step / 2).expand_as(error)[changed] + 1e-6).all()
    spread = torch.stack([error[changed[:, i], i].std() * 12**0.5 / step[i] for i in range(2)])
    assert (spread - 1).abs().max() < 0.05  # as wide as a level
    values.sum().backward()
    torch.testing.assert_close(z.grad, 1 - torch.tanh(z.detach()) ** 2, rtol=1e-5, atol=1e-6)
    assert torch.equal(noisy.eval()(z)[0], plain)


@pytest.mark.parametrize(("symmetric", "noise"), [(False, 0.5), (True, 1.0), (True, -0.1)])
def test_noise_has_its_rules(symmetric: bool, noise: float) -> None:
    with pytest.raises(ContractError, match="noise_dropout"):
        FSQ([8, 6, 5], symmetric=symmetric, noise_dropout=noise)


def test_every_code_is_reached() -> None:
    levels = [8, 6, 5]
    values = indices_to_values(np.arange(240), levels)
    assert len(np.unique(values, axis=0)) == 240
    np.testing.assert_array_equal(values_to_indices(values, levels), np.arange(240))


@pytest.mark.parametrize(
    ("levels", "says"),
    [
        ([], "at least 2"),
        ([8, 1], "at least 2"),
        ([8.0], "at least 2"),
        ([2**16, 2**15], "int32"),
        ([True], "at least 2"),
    ],
)
def test_bad_levels_are_refused(levels: list[int], says: str) -> None:
    for make in (FSQ, lambda bad: fsq_indices(np.zeros((1, len(bad)), np.float32), bad)):
        with pytest.raises(ContractError, match=says):
            make(levels)


@pytest.mark.parametrize(
    ("z", "says"),
    [
        (np.zeros((2, 3)), "float64"),
        (np.zeros((2, 4), np.float32), r"\(2, 4\)"),
        (np.full((2, 3), np.nan, np.float32), "6 NaN of 6"),
    ],
)
def test_bad_vectors_are_refused(z: np.ndarray, says: str) -> None:
    with pytest.raises(ContractError, match=says):
        fsq_indices(z, [8, 6, 5])


def test_torch_refuses_other_dtypes_and_lets_nan_be_seen() -> None:
    with pytest.raises(ContractError, match="float64"):
        FSQ([8, 6, 5])(torch.zeros(2, 3, dtype=torch.float64))
    with pytest.raises(ContractError, match=r"\(2, 4\)"):
        FSQ([8, 6, 5])(torch.zeros(2, 4))
    assert FSQ([8])(torch.tensor([[float("nan")]]))[0].isnan().all()


@pytest.mark.parametrize("bad", [np.array([240]), np.array([-1]), np.array([1.0])])
def test_bad_codes_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ContractError, match=r"\[0, 240\)"):
        indices_to_values(bad, [8, 6, 5])


def test_values_between_levels_are_refused() -> None:
    with pytest.raises(ContractError, match="between the levels"):
        values_to_indices(np.full((1, 3), 0.1, np.float32), [8, 6, 5])


def test_a_checkpoint_holds_no_quantiser_state() -> None:
    assert not FSQ([8, 6, 5]).state_dict()


def test_numpy_side_does_not_import_torch() -> None:
    code = "import sys, conv2d.features.numpy, conv2d.features; conv2d.features.encode_fsq; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def hard_values(levels: list[int], n: int, seed: int = 0) -> np.ndarray:
    """Vectors of ties and their neighbours, denormals, signed zeros, the largest floats, infinities, and ordinary numbers."""
    table = check_levels(levels)
    ends = table.thresholds[np.isfinite(table.thresholds)]
    up, down = np.float32(np.inf), np.float32(-np.inf)
    largest, smallest = np.finfo(np.float32).max, np.finfo(np.float32).smallest_subnormal
    extremes = np.array([0.0, -0.0, smallest, -smallest, 1e-39, -1e-39, largest, -largest, up, down], np.float32)
    rng = np.random.default_rng(seed)
    z = (rng.standard_normal((n, len(levels)), np.float32) * 2).astype(np.float32)
    special = np.concatenate([ends, np.nextafter(ends, up), np.nextafter(ends, down), extremes])
    chosen = rng.random(z.shape, np.float32) < 0.5
    z[chosen] = rng.choice(special, int(chosen.sum()))
    return z


@pytest.mark.parametrize("levels", [*LEVEL_SETS, [40, 3], [200, 2]], ids=str)
@pytest.mark.parametrize("compiled", [True, False])
def test_layouts_and_paths_agree(levels: list[int], compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from conv2d.features import _quantize

    monkeypatch.setattr(_quantize, "COMPILED_FROM", 0 if compiled else 2**62)
    z = hard_values(levels, 600)
    table = check_levels(levels)
    numbers = (z[..., None] > table.thresholds).sum(-1)  # the definition, all at once
    expected = (numbers * table.basis).sum(-1)
    values, codes = fsq_quantize(z, levels)
    np.testing.assert_array_equal(codes, expected)
    np.testing.assert_array_equal(fsq_indices(z, levels), expected)
    np.testing.assert_array_equal(values, (numbers.astype(np.float32) - table.half_width) / table.half_width)
    maps = np.ascontiguousarray(z.reshape(6, 100, -1).transpose(0, 2, 1))
    np.testing.assert_array_equal(fsq_indices(maps, levels, axis=1), expected.reshape(6, 100))
    np.testing.assert_array_equal(fsq_quantize(maps, levels, axis=1)[0], values.reshape(6, 100, -1).transpose(0, 2, 1))
    np.testing.assert_array_equal(
        fsq_indices(maps.transpose(0, 2, 1), levels), expected.reshape(6, 100)
    )  # a strided view
    out = np.full((6, 100), -1, np.int32)
    assert fsq_indices(maps, levels, axis=1, out=out) is out
    np.testing.assert_array_equal(out, expected.reshape(6, 100))
    z[3, 0] = np.nan
    with pytest.raises(ContractError, match="1 NaN of"):
        fsq_indices(z, levels)


def test_without_numba_the_codes_are_the_same() -> None:
    code = (
        "import sys, hashlib, numpy as np\n"
        "if sys.argv[1] == 'absent': sys.modules['numba'] = None\n"
        "from conv2d.features.numpy import fsq_indices\n"
        "z = np.random.default_rng(0).standard_normal((20_000, 3), np.float32) * 2\n"
        "codes = fsq_indices(z, [8, 6, 5])\n"
        "print(hashlib.sha256(codes.tobytes()).hexdigest(), sys.modules.get('numba') is not None)"
    )
    answers = {
        how: subprocess.run(
            [sys.executable, "-c", code, how], check=True, capture_output=True, text=True
        ).stdout.split()
        for how in ("absent", "present")
    }
    assert answers["absent"] == [answers["present"][0], "False"]
    assert answers["present"][1] == "True"


def test_small_calls_do_not_import_numba() -> None:
    code = (
        "import sys, numpy as np\nfrom conv2d.features import encode_fsq\n"
        "encode_fsq(np.zeros((64, 9, 2, 100), np.float32))\nsys.exit('numba' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "out",
    [np.empty(2, np.int64), np.empty(3, np.int32), np.empty((4,), np.int32)[::2]],
    ids=["dtype", "shape", "stride"],
)
def test_a_wrong_out_is_refused(out: np.ndarray) -> None:
    with pytest.raises(ContractError, match="out must be"):
        fsq_indices(np.zeros((2, 3), np.float32), [8, 6, 5], out=out)


@pytest.mark.parametrize("levels", [[8, 6, 5], [300, 300]], ids=str)
def test_ten_million_hard_values_are_bit_equal_in_torch_numpy_and_onnx(levels: list[int]) -> None:
    total = 10_000_000 if levels == [8, 6, 5] else 300_000
    z = hard_values(levels, -(-total // len(levels)))
    quantized, indices = fsq_quantize(z, levels)
    values, codes = FSQ(levels)(torch.from_numpy(z))
    np.testing.assert_array_equal(codes.numpy(), indices)
    np.testing.assert_array_equal(values.numpy(), quantized)
    program = torch.onnx.export(
        FSQ(levels).eval(),
        (torch.zeros(4, len(levels)),),
        dynamo=True,
        verbose=False,
        dynamic_shapes=({0: torch.export.Dim("rows")},),
    )
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for start in range(0, len(z), 2**19):
        part = slice(start, start + 2**19)
        values, codes = session.run(None, {session.get_inputs()[0].name: z[part]})
        np.testing.assert_array_equal(codes, indices[part])
        np.testing.assert_array_equal(values, quantized[part])


@pytest.mark.parametrize("levels", [[8, 6, 5], [40, 3], [300, 300]], ids=str)
def test_the_graph_form_is_bit_equal_and_has_the_same_gradient(levels: list[int]) -> None:
    """What compilers, accelerators and function transforms see is another expression of the same definition."""
    z = torch.from_numpy(hard_values(levels, 4096))
    quantizer = FSQ(levels)
    values, codes = quantizer(z)
    mapped_values, mapped_codes = torch.func.vmap(quantizer)(z.reshape(8, 512, -1))
    assert torch.equal(mapped_codes.reshape(-1), codes)
    assert torch.equal(mapped_values.reshape(values.shape), values)
    z = torch.randn(64, len(levels), generator=torch.Generator().manual_seed(0), requires_grad=True)
    quantizer(z)[0].sum().backward()
    gradient = torch.func.grad(lambda x: quantizer(x)[0].sum())(z.detach())
    torch.testing.assert_close(gradient, z.grad, rtol=1e-6, atol=1e-7)


@pytest.mark.filterwarnings("default")  # the compiler's own deprecations
def test_compiled_by_torch_it_is_bit_equal() -> None:
    z = torch.from_numpy(hard_values([8, 6, 5], 4096))
    quantizer = FSQ([8, 6, 5])
    traced = torch.compile(quantizer, backend="aot_eager", fullgraph=True)
    inputs, expected = z.clone().requires_grad_(), z.clone().requires_grad_()
    values, codes = traced(inputs)
    want_values, want_codes = quantizer(expected)
    assert torch.equal(codes, want_codes)
    assert torch.equal(values, want_values)
    finite = z.isfinite()
    values[finite].sum().backward()
    want_values[finite].sum().backward()
    torch.testing.assert_close(inputs.grad, expected.grad, rtol=1e-6, atol=1e-7)
