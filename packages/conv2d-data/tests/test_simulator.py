"""The simulated dogs: contract, determinism, refusals, radio gaps, and what they do for how long."""

import dataclasses
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import welch
from scipy.stats import kstest, lognorm

from conv2d.data import DataError, Recording
from conv2d.data._simulator.dropout import MAX_GAP_S, lose
from conv2d.data._simulator.ethogram import (
    MEDIAN_DWELL_S,
    MIN_DWELL_S,
    SIGMA_DWELL,
    TRANSITIONS,
    Bouts,
    draw_bouts,
    subdivide,
)
from conv2d.data._simulator.tracks import blend, gate, jumps, smooth_noise
from conv2d.data._simulator.traits import draw_traits
from conv2d.data.simulator import DEVICES, SIMULATED_LABELS, SimulatorConfig, simulate

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def dogs() -> list[Recording]:
    return simulate(n_subjects=4, minutes=2.0, seed=3)


# --- Contract ---------------------------------------------------------------------------------------------------------


def test_recordings_keep_the_contract(dogs: list[Recording]) -> None:
    for recording in dogs:  # Recording itself checks shapes, dtypes and finiteness
        assert recording.signal.shape == (9, 2, 12_000)
        assert recording.devices == DEVICES == ("collar", "harness")
        assert recording.label_names == SIMULATED_LABELS == tuple(sorted(SIMULATED_LABELS))
        assert recording.channel_mask.all()
        assert recording.mag_unit == "uT"
        assert (recording.labels >= 0).all()
    assert [r.name for r in dogs[:2]] == ["dog001/s1", "dog002/s1"]
    assert set(np.concatenate([r.labels for r in dogs])) == set(range(7))


def test_same_seed_same_bytes_and_another_seed_another_dog() -> None:
    first, again, other = (simulate(1, 0.2, seed)[0] for seed in (1, 1, 2))
    assert first.signal.tobytes() == again.signal.tobytes()
    assert first.labels.tobytes() == again.labels.tobytes()
    assert first.signal.tobytes() != other.signal.tobytes()


def test_a_dog_stays_the_same_when_more_dogs_or_sessions_are_asked_for() -> None:
    few, many = simulate(2, 0.1, 4), simulate(3, 0.1, 4, sessions=2)
    by_name = {r.name: r for r in many}
    assert list(by_name) == [f"dog00{k}/s{s}" for k in (1, 2, 3) for s in (1, 2)]
    for recording in few:
        assert recording.signal.tobytes() == by_name[recording.name].signal.tobytes()
    assert by_name["dog001/s1"].signal.tobytes() != by_name["dog001/s2"].signal.tobytes()


def test_what_a_dog_does_does_not_depend_on_the_rate() -> None:
    fast, slow = simulate(1, 2.0, 6, rate_hz=100.0)[0], simulate(1, 2.0, 6, rate_hz=25.0)[0]
    assert slow.n_steps == 3000
    assert np.array_equal(fast.labels[::4], slow.labels)


@pytest.mark.parametrize("rate_hz", [10.0, 104.0, 250.0])
def test_any_rate_in_range_works(rate_hz: float) -> None:
    recording = simulate(1, 0.1, 0, rate_hz=rate_hz)[0]
    assert (recording.n_steps, recording.rate_hz) == (round(6 * rate_hz), rate_hz)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_subjects": 0}, "n_subjects must be a whole number from 1 up, got 0"),
        ({"n_subjects": 1.5}, "n_subjects must be a whole number"),
        ({"seed": -1}, "seed must be a whole number from 0 up, got -1"),
        ({"seed": "7"}, "seed must be a whole number from 0 up, got '7'"),
        ({"sessions": True}, "sessions must be a whole number"),
        ({"minutes": 0.0}, "minutes must be a finite number that holds at least one step"),
        ({"minutes": float("nan")}, "minutes must be a finite number"),
        ({"rate_hz": 5.0}, "rate_hz must lie in 10 … 1000 steps a second, got 5.0"),
        ({"rate_hz": "100"}, "rate_hz must lie in"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        cast("Any", simulate)(**arguments)


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(SimulatorConfig)])
@pytest.mark.parametrize("value", [-1.0, float("inf"), "1"])
def test_wrong_config_is_refused(field: str, value: object) -> None:
    with pytest.raises(DataError, match=f"SimulatorConfig: {field} must be a finite number from 0 up"):
        cast("Any", SimulatorConfig)(**{field: value})


def test_a_dwell_scale_of_zero_is_refused() -> None:
    with pytest.raises(DataError, match="dwell_scale must be above 0"):
        SimulatorConfig(dwell_scale=0.0)


@given(seed=st.integers(0, 2**31), per_minute=st.floats(0.0, 200.0), rate_hz=st.sampled_from([25.0, 100.0]))
@settings(deadline=None, max_examples=60)
def test_radio_gaps_are_bridged_and_counted_or_marked(seed: int, per_minute: float, rate_hz: float) -> None:
    rng = np.random.default_rng(seed)
    sent = rng.standard_normal((9, 1500))  # a random signal never lies on a straight line, so a loss shows
    received = lose(rng, sent, rate_hz, per_minute)
    lost = (received.signal != sent).any(axis=0)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], lost, [False]]).astype(int)))
    interpolated, gaps, valid = 0, 0, np.ones(1500, dtype=bool)
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        before, after = received.signal[:, max(begin - 1, 0)], received.signal[:, min(end, 1499)]
        if begin > 0 and end < 1500:
            share = np.arange(1, end - begin + 1) / (end - begin + 1)
            line = before[:, None] + share * (after - before)[:, None]
            np.testing.assert_allclose(received.signal[:, begin:end], line, atol=1e-12)
        if end - begin <= MAX_GAP_S * rate_hz and begin > 0 and end < 1500:
            interpolated += end - begin
        else:
            gaps += 1
            valid[begin:end] = False
    assert (received.interpolated, received.gaps) == (interpolated, gaps)
    assert np.array_equal(received.valid, valid)


def test_repairs_are_reported(dogs: list[Recording]) -> None:
    assert sum(sum(r.repairs.interpolated) for r in dogs) > 0
    for recording in dogs:
        for device in range(2):
            edges = np.diff(np.concatenate([[True], recording.valid[device], [True]]).astype(int))
            assert recording.repairs.gaps[device] == int((edges == -1).sum())
    clean = simulate(1, 0.5, 0, config=SimulatorConfig(dropouts_per_minute=0.0))[0]
    assert clean.valid.all()
    assert clean.repairs.interpolated == clean.repairs.gaps == (0, 0)


# --- What dogs do -----------------------------------------------------------------------------------------------------


def test_transitions_are_probabilities_and_no_dog_gallops_out_of_a_sit() -> None:
    np.testing.assert_allclose(TRANSITIONS.sum(axis=1), 1.0)
    assert (np.diag(TRANSITIONS) == 0).all()
    codes = draw_bouts(np.random.default_rng(0), 50_000.0, 1.0).codes
    counts = np.zeros((7, 7))
    np.add.at(counts, (codes[:-1], codes[1:]), 1)
    assert (counts[TRANSITIONS == 0] == 0).all()
    # Standard error of a share is at most 0.5 / √n; five of them.
    n = counts.sum(axis=1, keepdims=True)
    assert (np.abs(counts / n - TRANSITIONS) < 2.5 / np.sqrt(n)).all()


def test_dwell_times_follow_the_configured_distribution() -> None:
    # Bouts of a long chain; the first began before the recording and the last is cut, so both are left out. Taking a
    # fixed number of each behaviour, and not all that fit into a fixed time, keeps long bouts from being missed.
    tempo = 1.3
    bouts = draw_bouts(np.random.default_rng(1), 40_000.0, tempo)
    codes, dwells = bouts.codes[1:-1], np.diff(bouts.edges_s)[1:-1]
    for code in range(7):
        sample = dwells[codes == code][:200]
        assert len(sample) == 200
        scale = (MEDIAN_DWELL_S[code] - MIN_DWELL_S) * tempo
        expected = lognorm(SIGMA_DWELL[code], loc=MIN_DWELL_S, scale=scale)
        assert kstest(sample, expected.cdf).pvalue > 0.01 / 7


def test_labels_of_a_recording_dwell_as_configured() -> None:
    # End to end, pooled over behaviours: the logarithm of the dwell time, standardised by its behaviour, is normal but
    # for the dog's own tempo (one shift for all of them, estimated from the sample, hence Lilliefors' critical value).
    recording = simulate(1, 20.0, seed=2, rate_hz=25.0, config=SimulatorConfig(dropouts_per_minute=0.0))[0]
    edges = np.flatnonzero(np.diff(recording.labels)) + 1
    dwells, codes = np.diff(edges) / recording.rate_hz, recording.labels[edges[:-1]]
    scale = MEDIAN_DWELL_S[codes] - MIN_DWELL_S
    z = np.log(np.maximum(dwells - MIN_DWELL_S, 1e-3) / scale)
    shift = np.average(z, weights=SIGMA_DWELL[codes] ** -2.0)
    distance = kstest((z - shift) / SIGMA_DWELL[codes], "norm").statistic
    assert len(dwells) > 100
    assert distance < 1.358 / np.sqrt(len(dwells))  # Kolmogorov's 5 %, above Lilliefors'


def test_labels_switch_half_way_through_a_transition() -> None:
    bouts = Bouts(np.array([1, 2]), np.array([-1.0, 5.0, 9.0]), np.array([0.8]))
    times = np.array([4.59, 4.61, 4.999, 5.0, 5.39, 5.41])
    assert bouts.labels_at(times).tolist() == [1, 1, 1, 2, 2, 2]
    track = blend(np.array([[0.0], [1.0]]), bouts.edges_s[1:-1], bouts.widths_s, times)[:, 0]
    assert track[0] == 0.0
    assert track[-1] == 1.0
    assert track[3] == pytest.approx(0.5)
    assert (np.diff(track) > 0).all()


def test_transitions_never_overlap() -> None:
    rng = np.random.default_rng(2)
    for bouts in (draw_bouts(rng, 3000.0, 0.4), subdivide(rng, draw_bouts(rng, 3000.0, 1.5))):
        assert (bouts.widths_s >= 0.5).all()
        assert (bouts.widths_s <= 1.2).all()
        begins, ends = bouts.edges_s[1:-1] - 0.5 * bouts.widths_s, bouts.edges_s[1:-1] + 0.5 * bouts.widths_s
        assert (begins[1:] >= ends[:-1]).all()
    whole = draw_bouts(rng, 300.0, 1.0)
    times = np.arange(0.0, 300.0, 0.1)
    assert np.array_equal(whole.labels_at(times), subdivide(rng, whole).labels_at(times))


def test_tracks_are_what_they_say() -> None:
    rng, times = np.random.default_rng(0), np.arange(0.0, 4000.0, 0.05)
    noise = smooth_noise(rng, times, 1.0, 2)
    # A cubic spline through independent normals has a variance between 0.8 and 1, on and between its knots.
    assert np.abs(noise.std(axis=0) - 0.95).max() < 0.1
    frequency, density = welch(noise[:, 0], 20.0, nperseg=1024)
    assert density[frequency < 1.2].sum() > 0.98 * density.sum()
    held = jumps(rng, times, 2.0, 1, (0.3, 0.6))[:, 0]
    assert (np.diff(held) == 0).mean() > 0.5
    assert abs(gate(rng, times, 0.3, 2.0).mean() - 0.3) < 0.05


def test_dogs_differ_and_devices_are_tilted_as_configured() -> None:
    packs = [draw_traits(np.random.default_rng(k), 25.0) for k in range(200)]
    tilt = np.rad2deg([np.linalg.norm(t.mounting, axis=1) for t in packs])
    assert 20.0 < tilt[:, 0].max() <= 25.0
    assert 10.0 < tilt[:, 1].max() <= 12.5
    assert len({t.leg_m for t in packs}) == 200
    assert np.percentile([t.restlessness for t in packs], 95) > 1.8  # the long tail
