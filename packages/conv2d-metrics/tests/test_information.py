from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.feature_selection import mutual_info_regression
from sklearn.metrics import mutual_info_score

from conv2d.metrics import mutual_information, transfer_entropy
from conv2d.metrics._discrete import _DENSE, coded, likely_outcomes

UNKNOWN: Any = "unknown"
"""A word that no parameter knows."""

steps = st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3)), min_size=2, max_size=40)


def dwelling(rng, n, dwell, k=5):
    """A sequence that changes class with probability 1 / dwell."""
    changes = rng.random(n) < 1 / dwell
    return (np.cumsum(np.where(changes, rng.integers(1, k, n), 0)) + rng.integers(k)) % k


@pytest.mark.vectors("info_[bcim]*.npz")
def test_discrete_vectors(vector):
    x, y, k = vector["x"], vector["y"], int(vector["k"])
    plain = mutual_information(x, y, correction=None)
    assert plain.value == plain.plugin == pytest.approx(float(vector["expected__mi_plugin_bits"]), abs=1e-12)
    assert plain.units == "bits"
    corrected = mutual_information(x, y)
    assert corrected.value == pytest.approx(float(vector["expected__mi_miller_madow_bits"]), abs=1e-12)
    assert corrected.plugin == pytest.approx(plain.value)
    for source, target, name in ((x, y, "xy"), (y, x, "yx")):
        found = transfer_entropy(source, target, k=k, correction=None)
        assert found.value == pytest.approx(float(vector[f"expected__te_{name}_plugin_bits"]), abs=1e-12)
        assert found.n == vector["expected__te_n"]
    for offset, expected in zip(
        vector["expected__circular_shift_offsets"], vector["expected__circular_shift_mi_bits"], strict=True
    ):
        turned = mutual_information(np.roll(x, offset), y, correction=None)
        assert turned.value == pytest.approx(expected, abs=1e-12)


@pytest.mark.vectors("info_gaussian_mi_ksg.npz")
def test_ksg_vectors(vector):
    x, y = vector["x"], vector["y"]
    standardised = mutual_information(x, y, neighbors=4)
    assert standardised.value == pytest.approx(float(vector["expected__ksg1_k4_standardised_nats"]), abs=1e-12)
    assert standardised.units == "nats"
    raw = mutual_information(x, y, neighbors=3, standardise=False)
    assert raw.value == pytest.approx(float(vector["expected__ksg1_k3_raw_nats"]), abs=1e-12)
    peer = mutual_info_regression(x[:, None], y, n_neighbors=3, random_state=0)[0]
    assert mutual_information(x, y, neighbors=3).value == pytest.approx(peer, abs=2e-3)
    assert standardised.value == pytest.approx(float(vector["expected__analytic_mi_nats"]), abs=0.03)


@pytest.mark.vectors("info_gaussian_var.npz")
def test_continuous_transfer_entropy_against_jidt(vector):
    x, y, peers = vector["x"][:3000], vector["y"][:3000], json.loads(str(vector["peers_json"]))
    assert transfer_entropy(x, y).value == pytest.approx(peers["jidt_te_ksg_k4_n3000"], abs=1e-9)
    assert transfer_entropy(y, x).value == pytest.approx(peers["jidt_te_ksg_yx_n3000"], abs=1e-9)


def entropy(symbols):
    n = len(symbols)
    return -sum(c / n * math.log2(c / n) for c in Counter(symbols).values())


@given(steps, st.integers(-3, 3))
def test_mutual_information_against_counting(pairs, lag):
    x, y = (np.array(column) for column in zip(*pairs, strict=True))
    if abs(lag) >= len(x):
        return
    seen = [(x[t], y[t + lag]) for t in range(len(x)) if 0 <= t + lag < len(x) and x[t] >= 0 and y[t + lag] >= 0]
    found = mutual_information(x, y, lag=lag, correction=None)
    assert found.n == len(seen)
    if not seen:
        assert math.isnan(found.value)
        assert found.to_dict()["reason"] == "no step is labelled in both sequences"
        return
    expected = entropy([a for a, _ in seen]) + entropy([b for _, b in seen]) - entropy(seen)
    assert found.value == pytest.approx(expected, abs=1e-9)
    peer = mutual_info_score([a for a, _ in seen], [b for _, b in seen]) / math.log(2)
    assert found.value == pytest.approx(peer, abs=1e-9)
    kinds = [len(set(part)) for part in ([a for a, _ in seen], [b for _, b in seen], seen)]
    bias = (kinds[2] - kinds[0] - kinds[1] + 1) / (2 * len(seen) * math.log(2))
    assert mutual_information(x, y, lag=lag).bias == pytest.approx(bias)


@given(steps, st.integers(1, 3), st.integers(1, 3))
def test_transfer_entropy_against_counting(pairs, lag, k):
    x, y = (np.array(column) for column in zip(*pairs, strict=True))
    if max(lag, k) >= len(x):
        return
    seen = []
    for t in range(max(lag, k), len(x)):
        past, row = tuple(y[t - k : t]), (y[t], x[t - lag])
        if min(*past, *row) >= 0:
            seen.append((past, *row))
    found = transfer_entropy(x, y, lag=lag, k=k, correction=None)
    assert found.n == len(seen)
    if seen:
        without = [(p, a) for p, a, _ in seen], [(p, b) for p, _, b in seen], [p for p, _, _ in seen]
        expected = entropy(without[0]) + entropy(without[1]) - entropy(without[2]) - entropy(seen)
        assert found.value == pytest.approx(expected, abs=1e-9)


def test_tables_too_large_to_hold_are_counted_all_the_same():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 3000, 5000), rng.integers(0, 3000, 5000)
    assert coded(x).size * coded(y).size > _DENSE
    peer = mutual_info_score(x, y) / math.log(2)
    assert mutual_information(x, y, correction=None).value == pytest.approx(peer)
    wide = mutual_information(x * 10**14, y, correction=None)
    assert wide.value == pytest.approx(peer)
    small, long = rng.integers(0, 2, 3001), rng.integers(0, 10**9, 3001)
    assert transfer_entropy(small, long, k=3, correction=None).value == pytest.approx(0, abs=1e-9)


def test_long_sequences_of_few_classes_are_counted_two_steps_at_once():
    rng = np.random.default_rng(0)
    x, y = rng.integers(-1, 3, 70_001), rng.integers(0, 3, 70_001)
    kept = x >= 0
    peer = mutual_info_score(x[kept], y[kept]) / math.log(2)
    assert mutual_information(x, y, correction=None).value == pytest.approx(peer, rel=1e-6)


def test_panzeri_treves_expects_outcomes_not_yet_seen():
    assert likely_outcomes(np.array([50.0, 50.0]), 6) == 2  # after 100 draws, nothing more
    assert likely_outcomes(np.array([1.0, 1.0, 1.0, 1.0]), 6) == 6  # after four different ones, all there are
    assert likely_outcomes(np.array([3.0, 1.0]), 2) == 2


@pytest.mark.vectors("info_independent_short_bias.npz")
def test_panzeri_treves_takes_away_more_where_steps_are_few(vector):
    x, y = vector["x"], vector["y"]
    values = [mutual_information(x, y, correction=how).value for how in (None, "miller-madow", "panzeri-treves")]
    assert values[0] > values[1] > values[2]
    assert abs(values[2]) < abs(values[1])  # the truth is 0
    assert mutual_information(x, y, correction="panzeri-treves").bias == pytest.approx(
        float(vector["expected__mi_expected_bias_bits"]), rel=0.1
    )


@pytest.mark.parametrize("correction", ["miller-madow", "panzeri-treves"])
def test_the_corrections_remove_the_bias_of_independent_steps(correction):
    """Mean of 400 estimates of nothing, within 4 standard errors or a tenth of the plug-in's bias."""
    found = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        found.append(mutual_information(rng.integers(0, 4, 200), rng.integers(0, 4, 200), correction=correction))
    values = np.array([each.value for each in found])
    bias = np.mean([each.plugin for each in found])
    assert abs(values.mean()) < max(4 * values.std() / math.sqrt(len(values)), bias / 10)


@pytest.mark.vectors("info_independent_dwell_bias.npz")
def test_the_trap_of_dwelling(vector):
    """Two independent sequences that seldom change share 0.29 bit; a formula removes 0.005, surrogates see through."""
    x, y = vector["x"], vector["y"]
    found = mutual_information(x, y, surrogates=199)
    assert found.value > 0.28
    assert found.bias < 0.01
    assert found.p > 0.05
    assert found.null == pytest.approx(found.plugin, abs=0.1)
    assert transfer_entropy(x, y, surrogates=199).p > 0.05


def false_findings(measure, draw, trials, level=0.05):
    """Number of trials on independent sequences that come out significant."""
    p = [measure(*draw(np.random.default_rng(seed)), seed=seed).p for seed in range(trials)]
    return sum(value <= level for value in p)


@pytest.mark.parametrize("dwell", [3, 30])
@pytest.mark.parametrize("kind", ["circular", "block"])
@pytest.mark.parametrize("measure", [mutual_information, transfer_entropy])
def test_independent_sequences_are_significant_no_more_often_than_the_level(measure, kind, dwell):
    """Of 300 tests at 5 %, no more than the count that a binomial exceeds once in a thousand."""
    found = false_findings(
        lambda x, y, seed: measure(x, y, surrogates=19, kind=kind, seed=seed),
        lambda rng: (dwelling(rng, 2000, dwell), dwelling(rng, 2000, dwell)),
        300,
    )
    assert found <= binom.ppf(0.999, 300, 0.05)


def test_independent_continuous_signals_are_significant_no_more_often_than_the_level():
    def slow(rng):
        return np.convolve(rng.normal(size=340), np.ones(40) / 40, "valid")

    found = false_findings(
        lambda x, y, seed: mutual_information(x, y, surrogates=19, seed=seed), lambda rng: (slow(rng), slow(rng)), 100
    )
    assert found <= binom.ppf(0.999, 100, 0.05)


def test_a_known_coupling_and_its_lag_are_recovered():
    rng = np.random.default_rng(0)
    x = dwelling(rng, 6000, 8)
    y = np.where(rng.random(6000) < 0.2, rng.integers(0, 5, 6000), np.roll(x, 12))
    by_lag = [mutual_information(x, y, lag=lag).value for lag in range(-20, 21)]
    assert int(np.argmax(by_lag)) - 20 == 12
    there, back = (transfer_entropy(*pair, lag=12, surrogates=199) for pair in ((x, y), (y, x)))
    assert there.p == 0.005
    assert there.value > 0.3
    assert back.p > 0.05


@pytest.mark.vectors("info_markov_coupled.npz")
def test_estimates_scatter_about_the_analytic_value(vector):
    x, y = vector["x"], vector["y"]
    assert transfer_entropy(x, y).value == pytest.approx(float(vector["expected__analytic_te_xy_bits"]), abs=0.01)
    found = transfer_entropy(x, y, surrogates=99), transfer_entropy(y, x, surrogates=99)
    assert found[0].p == 0.01
    # y does tell of x's future here a little: through x's older past, which y has seen and k = 1 has not
    assert found[1].value < found[0].value / 100


def test_a_constant_source_tells_nothing():
    y = np.random.default_rng(0).integers(0, 3, 500)
    for found in (mutual_information(np.zeros(500, int), y, surrogates=49), transfer_entropy(0 * y, y, surrogates=49)):
        assert found.value == 0.0
        assert found.p == 1.0


def test_short_sequences_have_only_so_many_turns():
    found = mutual_information([0, 0, 1, 1], [0, 0, 1, 1], surrogates=99)
    assert found.n_surrogates == 3
    assert found.p == 0.5  # the turn by two steps agrees as well
    assert math.isnan(mutual_information([0], [0], surrogates=99).p)


def test_the_same_seed_gives_the_same_test():
    rng = np.random.default_rng(0)
    x, y = dwelling(rng, 500, 10), dwelling(rng, 500, 10)
    one, again, other = (mutual_information(x, y, surrogates=50, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one.null != other.null
    told = one.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert mutual_information(x, y).to_dict()["reason"] == "p and null: no surrogates"
    assert float(one) == one.value


def test_values_that_repeat_are_not_continuous():
    x = np.repeat([0.0, 1.0, 2.0], 20)
    found = mutual_information(x, x)
    assert math.isnan(found.value)
    assert found.reason == "more than 4 equal points: values are not continuous"


def test_several_columns_make_one_continuous_variable():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 2))
    y = x.sum(axis=1) + rng.normal(size=3000)
    assert mutual_information(x, y).value == pytest.approx(0.5 * math.log(3), abs=0.06)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: mutual_information([0, 1], [0]), ValueError, r"y: must be as long as x \(2 steps\), got 1"),
        (lambda: mutual_information([0, 1], [0.0, 1.0]), TypeError, "must both be classes"),
        (lambda: mutual_information([0.0, np.nan], [0.0, 1.0]), ValueError, "x: 1 values are not finite"),
        (lambda: mutual_information([0, 1], [0, 1], lag=2), ValueError, "lag=2: leaves no step of a sequence of 2"),
        (lambda: mutual_information([0.0] * 3, [0.0] * 3), ValueError, "neighbors=4: must be fewer than the 3 steps"),
        (lambda: mutual_information([[0], [1]], [0, 1]), ValueError, r"x: classes must be \(T,\)"),
        (lambda: mutual_information([0, 1], [0, 1], correction=UNKNOWN), ValueError, "correction: must be one of"),
        (lambda: mutual_information([0, 1], [0, 1], surrogates=-1), ValueError, "surrogates: .* at least 0"),
        (lambda: mutual_information([0, 1], [0, 1], surrogates=1, kind=UNKNOWN), ValueError, "kind: must be one of"),
        (
            lambda: mutual_information([0, 1] * 9, [0, 1] * 9, surrogates=1, kind="block", block=5),
            ValueError,
            "block=5: leaves fewer than 4 blocks of 18 steps",
        ),
        (lambda: transfer_entropy([0, 1], [0, 1], lag=0), ValueError, "lag: .* at least 1"),
        (lambda: transfer_entropy([0, 1], [0, 1], k=2), ValueError, "lag=1, k=2: leave no step of a sequence of 2"),
    ],
)
def test_bad_input_is_told_apart(call, error, says):
    with pytest.raises(error, match=says):
        call()
