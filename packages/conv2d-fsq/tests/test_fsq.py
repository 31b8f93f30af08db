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


def test_onnx_is_bit_equal_on_ties_denormals_and_extremes() -> None:
    levels = [8, 6, 5]
    table = check_levels(levels)
    ends = table.thresholds[np.isfinite(table.thresholds)]
    special = np.concatenate(
        [
            ends,
            np.nextafter(ends, np.float32(np.inf)),
            np.nextafter(ends, np.float32(-np.inf)),
            np.array([0.0, -0.0, 1e-45, -1e-45, 1e-38, 3e38, -3e38, np.inf, -np.inf], np.float32),
        ]
    ).astype(np.float32)
    rng = np.random.default_rng(1)
    z = rng.choice(np.concatenate([special, rng.normal(size=2000).astype(np.float32)]), (4096, 3)).astype(np.float32)
    program = torch.onnx.export(FSQ(levels).eval(), (torch.from_numpy(z),), dynamo=True, verbose=False)
    assert program is not None
    data = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    values, codes = session.run(None, {session.get_inputs()[0].name: z})
    quantized, indices = fsq_quantize(z, levels)
    np.testing.assert_array_equal(codes, indices)
    np.testing.assert_array_equal(values, quantized)


def test_gradient_is_that_of_the_published_bound() -> None:
    levels = [8, 6, 5]
    z = torch.randn(64, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    FSQ(levels)(z)[0].sum().backward()
    assert z.grad is not None
    n = np.array(levels)
    half, offset = (n - 1) * (1 + 1e-3) / 2, np.where(n % 2 == 0, 0.5, 0.0)
    slope = (1 - np.tanh(z.detach().numpy() + np.arctanh(offset / half)) ** 2) * half / (n // 2)
    np.testing.assert_allclose(z.grad.numpy(), slope, rtol=1e-4, atol=1e-6)


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
