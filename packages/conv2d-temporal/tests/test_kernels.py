"""The compiled recursions against their definition in numpy, where linear sums break."""

import numpy as np
import pytest
from numpy.typing import NDArray

from conv2d.temporal import HSMM, _kernels_numba, _kernels_numpy, _rows
from conv2d.temporal._chain import Chain

Float = NDArray[np.float64]


def normalised(weight: Float) -> Float:
    with np.errstate(divide="ignore"):
        return np.log(weight / weight.sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("size", [1, 3, 8, 1001])
def test_rows_of_exponentials_and_logarithms(size: int) -> None:
    rng = np.random.default_rng(size)
    scratch = np.empty(size, dtype=np.int64)
    power, result = rng.uniform(-708, 709, size), np.empty(size)
    _rows.exp_into(result, power, scratch)
    np.testing.assert_allclose(result, np.exp(power), rtol=1e-15)
    value = np.concatenate([np.exp(power), [1.0, 1.0 + 1e-9, 1.0 - 1e-9]])[:size]
    logarithm = value.copy()
    _rows.log_in_place(logarithm, scratch)
    np.testing.assert_allclose(logarithm, np.log(value), rtol=1e-15, atol=1e-24)
    nothing = np.full(size, -np.inf)
    _rows.exp_into(result, nothing, scratch)
    assert not result.any()
    _rows.log_in_place(result, scratch)
    assert np.isneginf(result).all()


@pytest.mark.parametrize("sharpness", [1.0, 8.0, 60.0, 400.0, 3000.0])
def test_every_begin_is_exact_however_sharp_the_evidence(sharpness: float) -> None:
    """A sum in linear weights loses what is 300 orders of magnitude below the rest; it must be found again."""
    rng = np.random.default_rng(int(sharpness))
    for case in range(150):
        states, longest, steps = int(rng.integers(1, 5)), int(rng.integers(1, 14)), int(rng.integers(1, 150))
        # Powers of probabilities span hundreds of orders of magnitude.
        log_transition = np.log(rng.dirichlet(np.ones(states), states)) * rng.choice([1, 30])
        if case % 3 == 0:  # a cycle: only one way into each state
            log_transition = normalised(np.roll(np.eye(states), 1, axis=1))
        log_transition[np.diag_indices(states)] = -np.inf
        log_duration = np.log(rng.dirichlet(np.ones(longest), states)) * rng.choice([1, 3, 100])
        log_duration[rng.random((states, longest)) < 0.2] = -np.inf
        log_duration[:, -1] = -1.0
        if states > 1:
            log_transition -= np.logaddexp.reduce(log_transition, axis=1, keepdims=True)
        log_duration -= np.logaddexp.reduce(log_duration, axis=1, keepdims=True)
        model = HSMM(normalised(rng.dirichlet(np.ones(states)) + 1e-9), log_transition, log_duration)
        evidence = sharpness * rng.normal(size=(steps, states))
        evidence[rng.random(evidence.shape) < 0.02] = -np.inf
        evidence -= np.maximum(evidence.max(axis=1, keepdims=True), -1e300)
        chain = Chain(model.log_initial, model.log_transition[None], model.log_duration, model.log_duration)
        begins = []
        for module in (_kernels_numba, _kernels_numpy):
            begin, end = np.empty((steps, states)), np.empty((steps + 1, states))
            exponent = np.empty(steps + 1, dtype=np.int64)
            module.forward_sum(chain, evidence, begin, end, exponent)
            begins.append(begin + (exponent[:-1] * np.log(2.0))[:, None])
            last = end[-1] + exponent[-1] * np.log(2.0)
            begins.append(last)
        for compiled, defined in zip(begins[:2], begins[2:], strict=True):
            assert np.array_equal(np.isneginf(compiled), np.isneginf(defined)), case
            possible = np.isfinite(defined)
            # Both add up to `steps` logarithms as large as the result.
            atol = 1e-15 * steps * max(1.0, np.abs(defined[possible]).max(initial=0.0))
            np.testing.assert_allclose(compiled[possible], defined[possible], rtol=0, atol=atol, err_msg=str(case))
