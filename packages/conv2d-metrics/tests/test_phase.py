from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import signal, stats
from scipy.stats import binom

from conv2d.metrics import (
    circular_statistics,
    coherence,
    instantaneous_phase,
    phase_locking,
    state_phase_information,
)


@pytest.mark.vectors("info_plv_*.npz")
def test_phase_locking_vectors(vector):
    found = phase_locking(vector["phase_x"], vector["phase_y"])
    assert found.value == pytest.approx(float(vector["expected__plv"]), abs=1e-12)
    assert found.ppc == pytest.approx(float(vector["expected__ppc"]), abs=1e-12)
    assert found.difference == pytest.approx(float(vector["expected__mean_phase_difference"]), abs=1e-9)
    assert found.expected == pytest.approx(float(vector["expected__expected_plv_if_independent"]))
    assert found.rayleigh_p == pytest.approx(float(vector["expected__rayleigh_p"]), abs=1e-9)
    told = found.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told


@pytest.mark.parametrize("kappa", [0.1, 1.0, 8.0, 700.0])
def test_the_concentration_of_a_von_mises_sample_is_recovered(kappa):
    sample = stats.vonmises.rvs(kappa, loc=1.0, size=20_000, random_state=0)
    found = circular_statistics(sample)
    peer = stats.vonmises.fit(sample, fscale=1)
    assert found.kappa == pytest.approx(peer[0], rel=1e-6)
    assert found.mean == pytest.approx(peer[1], abs=1e-6)
    assert found.variance == pytest.approx(stats.circvar(sample), abs=1e-12)


def test_circular_edges():
    assert circular_statistics([2.0, 2.0]).kappa == math.inf
    assert circular_statistics([0.0, np.pi]).kappa == pytest.approx(0.0, abs=1e-12)
    assert circular_statistics([0.0, np.pi / 2]).mean == pytest.approx(np.pi / 4)
    nothing = circular_statistics([])
    assert math.isnan(nothing.mean)
    assert nothing.to_dict()["reason"] == "no angles"
    assert math.isnan(phase_locking([0.5], [0.1]).ppc)


def test_uniform_angles_pass_rayleigh_at_the_nominal_rate():
    p = [circular_statistics(np.random.default_rng(s).uniform(0, 7 * np.pi * 2, 50)).p for s in range(400)]
    assert binom.ppf(0.001, 400, 0.05) <= sum(value <= 0.05 for value in p) <= binom.ppf(0.999, 400, 0.05)


def test_the_phase_of_a_sine_is_its_own():
    t = np.arange(2000) / 200
    angle = 2 * np.pi * 7 * t + 0.4
    phase = instantaneous_phase(np.cos(angle) + 3 * np.cos(2 * np.pi * 40 * t), rate=200, band=(5, 9))
    inner = slice(500, -500)
    np.testing.assert_allclose(np.exp(1j * phase[inner]), np.exp(1j * angle[inner]), atol=0.02)


def test_a_locked_rhythm_is_found_under_noise_and_who_is_ahead():
    rng = np.random.default_rng(0)
    t = np.arange(6000) / 100
    x = np.sin(2 * np.pi * 2 * t) + rng.normal(size=6000)
    y = np.sin(2 * np.pi * 2 * t - 0.8) + rng.normal(size=6000)
    found = phase_locking(x, y, rate=100, band=(1.5, 2.5), surrogates=99)
    assert found.value > 0.9
    assert found.difference == pytest.approx(0.8, abs=0.1)
    assert phase_locking(y, x, rate=100, band=(1.5, 2.5)).difference == pytest.approx(-0.8, abs=0.1)


def test_independent_rhythms_are_significant_no_more_often_than_the_level():
    """And Rayleigh's test, which counts every step as independent, says nearly always that they are locked."""
    trials, found, naive = 150, 0, 0
    for seed in range(trials):
        x, y = np.random.default_rng(seed).normal(size=(2, 1500))
        locked = phase_locking(x, y, rate=100, band=(2, 4), surrogates=19, seed=seed)
        found += locked.p <= 0.05
        naive += locked.rayleigh_p <= 0.05
    assert found <= binom.ppf(0.999, trials, 0.05)
    assert naive > trials / 2


def test_state_and_phase():
    rng = np.random.default_rng(0)
    phase = rng.uniform(-np.pi, np.pi, 20_000)
    states = (phase > 0).astype(int)
    found = state_phase_information(states, phase, sectors=8, surrogates=49)
    assert found.information.value == pytest.approx(1.0, abs=0.01)
    assert found.information.p == 0.02
    below, above = found.per_state
    assert above.mean == pytest.approx(np.pi / 2, abs=0.05)
    assert below.mean == pytest.approx(-np.pi / 2, abs=0.05)
    assert above.resultant == pytest.approx(2 / np.pi, abs=0.02)
    told = found.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert state_phase_information(states, phase + 20 * np.pi, sectors=8).information.value == pytest.approx(
        state_phase_information(states, phase, sectors=8).information.value, abs=1e-3
    )
    ignored = np.where(np.arange(20_000) < 10_000, -1, states)
    assert state_phase_information(ignored, phase).information.n == 10_000


def test_states_independent_of_phase_are_significant_no_more_often_than_the_level():
    trials, found = 150, 0
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        phase = np.cumsum(rng.normal(0.2, 0.05, 1500))
        states = np.cumsum(rng.random(1500) < 0.02) % 3
        found += state_phase_information(states, phase, surrogates=19, seed=seed).information.p <= 0.05
    assert found <= binom.ppf(0.999, trials, 0.05)


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.75])
def test_coherence_agrees_with_scipy(overlap):
    x, y = np.random.default_rng(0).normal(size=(2, 3000))
    y[3:] = x[:-3] + 0.1 * y[3:]
    found = coherence(x, y, rate=50, segment=128, overlap=overlap)
    frequency, peer = signal.coherence(x, y, fs=50, nperseg=128, noverlap=int(128 * overlap))
    np.testing.assert_allclose(found.frequency, frequency)
    np.testing.assert_allclose(found.value, peer, atol=1e-12)
    low = (found.frequency > 0) & (found.frequency < 5)  # beyond, three steps are more than half a period
    np.testing.assert_allclose(found.delay[low], 3 / 50, atol=0.015)
    told = found.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told


@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_independent_noise_exceeds_the_threshold_at_the_nominal_rate(overlap):
    """4,000 frequencies of 100 pairs; segments that overlap are worth as many as they are said to be."""
    pairs = [np.random.default_rng(seed).normal(size=(2, 4000)) for seed in range(100)]
    results = [coherence(x, y, rate=1, segment=100, overlap=overlap) for x, y in pairs]
    found = results[0]
    # every second frequency: the window mixes neighbours
    exceeding = [float(np.mean(each.value[2:-2:2] > each.threshold(0.05))) for each in results]
    error = float(np.std(exceeding)) / 10
    assert np.mean(exceeding) == pytest.approx(0.05, abs=max(4 * error, 0.01))
    assert found.threshold(0.05, tests=10) == pytest.approx(found.threshold(0.005))


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: circular_statistics(["a"]), TypeError, "phase: must be real numbers"),
        (lambda: circular_statistics([np.nan]), ValueError, "phase: 1 values are not finite"),
        (lambda: instantaneous_phase(np.zeros(99), rate=10, band=(4, 6)), ValueError, "band: must be 0 < low < high"),
        (lambda: instantaneous_phase(np.zeros(9), rate=10, band=(1, 2)), ValueError, "signal: the filter needs more"),
        (lambda: phase_locking([0.0], [0.0, 1.0]), ValueError, r"y: must be \(T,\) like x"),
        (lambda: phase_locking([0.0], [0.0], rate=10), ValueError, "rate, band: give both"),
        (lambda: phase_locking(np.zeros(40), np.zeros(40), rate=10, band=(0.5, 2)), ValueError, "more than two cycles"),
        (lambda: state_phase_information([0, 1], [0.0]), ValueError, r"phase: must be \(T,\) like states"),
        (lambda: state_phase_information([0], [0.0], sectors=1), ValueError, "sectors: .* at least 2"),
        (lambda: coherence(np.zeros(9), np.zeros(9), rate=1, segment=8), ValueError, "segment=8: at least two"),
        (lambda: coherence(np.zeros(9), np.zeros(9), rate=1, segment=4, overlap=1), ValueError, "overlap: must lie"),
    ],
)
def test_bad_input_is_told_apart(call, error, says):
    with pytest.raises(error, match=says):
        call()
