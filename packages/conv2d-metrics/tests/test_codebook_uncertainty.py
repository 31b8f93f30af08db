from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from conv2d.metrics import (
    code_behaviour_information,
    codebook_usage,
    entropy_decomposition,
    entropy_rate,
    mutual_information,
    predictive_entropy,
)


@pytest.mark.vectors("codebook*.npz")
def test_codebook_vectors(vector):
    usage = codebook_usage(vector["indices"], int(vector["codebook_size"]))
    np.testing.assert_array_equal(usage.counts, vector["expected__counts"])
    names = ("used", "usage_fraction", "entropy_bits", "perplexity", "normalised_perplexity", "gini")
    for name in names:
        assert getattr(usage, name) == pytest.approx(float(vector[f"expected__{name}"]), rel=1e-12), name
    assert usage.top_share == pytest.approx(float(vector["expected__top1_share"]))


@given(st.lists(st.integers(0, 7), min_size=1, max_size=50))
def test_usage_agrees_with_scipy_and_the_definition(codes):
    usage = codebook_usage(codes, 8)
    assert usage.entropy_bits == pytest.approx(entropy(usage.counts, base=2), abs=1e-12)
    assert 1 <= usage.perplexity <= usage.used + 1e-9
    assert usage.used + len(usage.dead) == 8
    differences = np.abs(usage.counts[:, None] - usage.counts[None, :]).sum()
    assert usage.gini == pytest.approx(differences / (2 * 8 * len(codes)))
    assert json.loads(json.dumps(usage.to_dict())) == usage.to_dict()


@given(st.lists(st.integers(-1, 7)), st.lists(st.integers(-1, 7)))
def test_shards_add_to_the_whole(one, two):
    shards, whole = (codebook_usage(np.array(part, dtype=int), 8) for part in (one, two)), one + two
    np.testing.assert_array_equal(sum_of(*shards).counts, codebook_usage(np.array(whole, dtype=int), 8).counts)


def sum_of(first, second):
    return first + second


def test_no_tokens_are_undefined():
    usage = codebook_usage([-1], 4)
    assert math.isnan(usage.entropy_bits)
    assert math.isnan(usage.top_share)
    told = json.loads(json.dumps(usage.to_dict(), allow_nan=False))
    assert told["gini"] is None
    assert told["reason"] == "no tokens"


def test_one_code_has_no_entropy():
    assert str(codebook_usage([3, 3], 4).entropy_bits) == "0.0"


def test_bad_codes_are_told_apart():
    with pytest.raises(ValueError, match="codes: must be below codebook_size=4, but 4 occurs"):
        codebook_usage([4], 4)
    with pytest.raises(ValueError, match=r"codebook_size: .* at least 1, got 0"):
        codebook_usage([0], 0)
    with pytest.raises(ValueError, match="only usages of one codebook add, got 4 and 5"):
        _ = codebook_usage([0], 4) + codebook_usage([0], 5)


@pytest.mark.vectors("entropy_decomposition*.npz")
def test_entropy_vectors(vector):
    parts = entropy_decomposition(vector["member_probs"])
    for name in ("total", "aleatoric", "epistemic", "variation_ratio", "max_prob_uncertainty"):
        np.testing.assert_allclose(getattr(parts, name), vector[f"expected__{name}"], atol=1e-12)
    np.testing.assert_allclose(parts.mean_prob, vector["expected__mean_probs"], atol=1e-12)
    np.testing.assert_allclose(predictive_entropy(parts.mean_prob), parts.total, atol=1e-12)
    told = parts.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told


@given(st.integers(0, 2**32 - 1))
def test_the_parts_add_up_and_stay_in_bounds(seed):
    prob = np.random.default_rng(seed).dirichlet(np.full(4, 0.3), size=(5, 6, 7)).astype(np.float32)
    parts = entropy_decomposition(prob)
    assert parts.total.shape == (6, 7)
    np.testing.assert_allclose(parts.aleatoric + parts.epistemic, parts.total, atol=1e-12)
    assert (parts.epistemic >= 0).all()
    assert (parts.total <= math.log(4) + 1e-6).all()  # rows sum to 1 within float32


def test_members_that_agree_leave_nothing_epistemic():
    prob = np.tile([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]], (4, 1, 1))
    parts = entropy_decomposition(prob)
    np.testing.assert_allclose(parts.epistemic, 0, atol=1e-15)
    np.testing.assert_array_equal(parts.total[1], 0)


def test_bad_members_are_told_apart():
    with pytest.raises(ValueError, match=r"member_prob: must be \(members, ..., classes\), got shape \(2,\)"):
        entropy_decomposition([0.5, 0.5])
    with pytest.raises(ValueError, match="member_prob: every row must sum to 1"):
        entropy_decomposition([[0.5, 0.6]])


def test_codes_that_tell_behaviour():
    rng = np.random.default_rng(0)
    behaviour = np.repeat(rng.integers(0, 3, 200), 5)
    codes = np.stack([behaviour * 2 + rng.integers(0, 2, 1000), rng.integers(6, 8, 1000)], axis=1)
    found = code_behaviour_information(codes[:, :1], behaviour, codebook_size=8, surrogates=99)
    assert found.information.p == 0.01
    assert found.explained == pytest.approx(1, abs=0.01)
    assert found.purity == 1.0
    np.testing.assert_array_equal(found.code_behaviour, [0, 0, 1, 1, 2, 2, -1, -1])
    one = mutual_information(codes[:, 0], behaviour)
    assert found.information.plugin == pytest.approx(one.plugin)
    assert found.information.value == pytest.approx(one.value)
    both = code_behaviour_information(codes, behaviour, codebook_size=8)
    pooled = mutual_information(codes.ravel(), np.repeat(behaviour, 2))
    assert both.information.value == pytest.approx(pooled.value)
    told = both.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_codes_without_behaviour():
    nothing = code_behaviour_information([0, 1], [-1, -1], codebook_size=2)
    assert math.isnan(nothing.information.value)
    assert nothing.information.reason == "no step is labelled in both sequences"
    assert math.isnan(code_behaviour_information([0, 1], [1, 1], codebook_size=2).explained)
    with pytest.raises(ValueError, match="behaviour: one a window"):
        code_behaviour_information([[0, 1]], [0, 1], codebook_size=2)


def test_bits_per_window_and_transition_entropy():
    codes = np.tile([0, 1, 2, 3], (10, 16))
    assert codebook_usage(codes, 4).bits_per_window(tokens=64) == 128.0
    assert entropy_rate(codes).value == 0.0  # what follows is certain
