"""The simulated dogs: contract, physics against analytic motion and a peer, gait against the literature, dwell times."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import welch
from scipy.spatial.transform import Rotation
from scipy.stats import kstest, lognorm

from conv2d.data import DataError, Recording
from conv2d.data._simulator import gait, rotation, sensor
from conv2d.data._simulator.dropout import MAX_GAP_S, lose
from conv2d.data._simulator.ethogram import (
    BEHAVIOURS,
    MEDIAN_DWELL_S,
    MIN_DWELL_S,
    SIGMA_DWELL,
    TRANSITIONS,
    Bouts,
    draw_bouts,
    subdivide,
)
from conv2d.data._simulator.imu import EARTH_FIELD, Ideal, ideal_imu
from conv2d.data._simulator.motion import Pose, device_poses
from conv2d.data._simulator.tracks import blend, gate, jumps, smooth_noise
from conv2d.data._simulator.traits import Traits, draw_traits
from conv2d.data.simulator import DEVICES, SIMULATED_LABELS, SimulatorConfig, simulate

Array = NDArray[np.float64]
G = 9.81
WALKING, TROTTING, GALLOPING = (BEHAVIOURS.index(b) for b in ("walking", "trotting", "galloping"))


@pytest.fixture(scope="module")
def dogs() -> list[Recording]:
    return simulate(n_subjects=8, minutes=4.0, seed=3)


@pytest.fixture(scope="module")
def medium_dog() -> Traits:
    """20 kg on legs of 0.5 m, average in everything else."""
    drawn = draw_traits(np.random.default_rng(0), mounting_deg=25.0)
    return dataclasses.replace(
        drawn,
        mass_kg=20.0,
        leg_m=0.5,
        trunk_m=0.475,
        stride_factor=1.0,
        bounce=1.0,
        suppleness=1.0,
        asymmetry=0.0,
    )


@pytest.fixture(scope="module")
def harness() -> tuple[Array, Pose, Ideal]:
    """Times, pose and ideal signals of a harness over a minute."""
    rng = np.random.default_rng(5)
    traits, bouts = draw_traits(rng, 25.0), draw_bouts(rng, 60.0, 1.0)
    times = np.arange(0.0, 60.0, 1 / 200)
    pose = device_poses(rng, traits, bouts, times, np.stack([np.eye(3)] * 2))[1]
    return times, pose, ideal_imu(*pose, step_s=1 / 200)


# --- Contract ---------------------------------------------------------------------------------------------------------


def test_recordings_keep_the_contract(dogs: list[Recording]) -> None:
    for recording in dogs:  # Recording itself checks shapes, dtypes and finiteness
        assert recording.signal.shape == (9, 2, 24_000)
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
        simulate(**arguments)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(SimulatorConfig)])
@pytest.mark.parametrize("value", [-1.0, float("inf"), "1"])
def test_wrong_config_is_refused(field: str, value: object) -> None:
    with pytest.raises(DataError, match=f"SimulatorConfig: {field} must be a finite number from 0 up"):
        SimulatorConfig(**{field: value})  # pyright: ignore[reportArgumentType]


def test_a_dwell_scale_of_zero_is_refused() -> None:
    with pytest.raises(DataError, match="dwell_scale must be above 0"):
        SimulatorConfig(dwell_scale=0.0)


# --- Rotations and ideal sensors --------------------------------------------------------------------------------------


def test_rotations_agree_with_scipy() -> None:
    rng = np.random.default_rng(0)
    angles, vectors, points = (
        rng.uniform(-1.5, 1.5, (50, 3)),
        rng.standard_normal((50, 3)),
        rng.standard_normal((50, 3)),
    )
    vectors[0] = 0.0
    ours, peer = rotation.from_euler(*angles.T), Rotation.from_euler("ZYX", angles)
    np.testing.assert_allclose(ours, peer.as_matrix(), atol=1e-14)
    np.testing.assert_allclose(rotation.from_rotvec(vectors), Rotation.from_rotvec(vectors).as_matrix(), atol=1e-14)
    np.testing.assert_allclose(rotation.to_rotvec(ours), peer.as_rotvec(), atol=1e-12)
    np.testing.assert_allclose(rotation.apply(ours, points), peer.apply(points), atol=1e-14)
    np.testing.assert_allclose(rotation.apply_inverse(ours, points), peer.inv().apply(points), atol=1e-14)


@given(vector=st.tuples(*[st.floats(-1.8, 1.8)] * 3))
def test_logarithm_undoes_exponential(vector: tuple[float, float, float]) -> None:
    # |vector| ≤ 3.12 < π, where the logarithm is unique.
    v = np.array([vector])
    np.testing.assert_allclose(rotation.to_rotvec(rotation.from_rotvec(v)), v, atol=1e-7)


def test_at_rest_there_is_gravity_upwards_and_the_earth_field() -> None:
    turned = rotation.from_rotvec(np.tile([[0.3, -1.0, 0.5]], (5, 1)))
    ideal = ideal_imu(np.zeros((5, 3)), turned, 0.01)
    np.testing.assert_allclose(np.linalg.norm(ideal.acc, axis=1), G)
    np.testing.assert_allclose(rotation.apply(turned[1:-1], ideal.acc), np.tile([0.0, 0.0, G], (3, 1)), atol=1e-12)
    np.testing.assert_allclose(ideal.gyro, 0.0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(ideal.mag, axis=1), 50.0)
    np.testing.assert_allclose(np.rad2deg(np.arcsin(-EARTH_FIELD[2] / 50.0)), 65.0)


def test_a_lever_arm_feels_tangential_and_centripetal_acceleration() -> None:
    # Oscillation about a fixed axis, θ = A sin(w t), of a device at lever arm r from the centre, which stands still:
    # a = α × r + ω × (ω × r), all known in closed form. The error of a second difference is of second order.
    axis, arm, amplitude, w = np.array([1.0, 2.0, 2.0]) / 3.0, np.array([0.2, -0.1, 0.3]), 0.8, 2 * np.pi * 1.5

    def largest_errors(step_s: float) -> tuple[float, float]:
        t = np.arange(0.0, 1.0, step_s)
        matrices = rotation.from_rotvec(axis * (amplitude * np.sin(w * t))[:, None])
        ideal = ideal_imu(rotation.apply(matrices, arm), matrices, step_s)
        rate = axis * (amplitude * w * np.cos(w * t))[1:-1, None]
        change = axis * (-amplitude * w * w * np.sin(w * t))[1:-1, None]
        # axis and rate are the same seen from the device and from the world, and r is fixed in the device.
        felt = np.cross(change, arm) + np.cross(rate, np.cross(rate, arm))
        felt += rotation.apply_inverse(matrices[1:-1], np.array([0.0, 0.0, G]))
        return np.abs(ideal.acc - felt).max(), np.abs(ideal.gyro - rate).max()

    coarse, fine = largest_errors(0.01), largest_errors(0.005)
    scale = amplitude * w * w * np.linalg.norm(arm)
    assert fine[0] < 0.01 * scale
    assert fine[1] < 0.01 * amplitude * w
    np.testing.assert_allclose(np.array(coarse) / fine, 4.0, rtol=0.05)


def test_integrating_the_gyroscope_gives_the_orientation_back(harness: tuple[Array, Pose, Ideal]) -> None:
    times, pose, ideal = harness
    # The rate at sample k is the mean over samples k - 1 … k + 1: every second one carries the rotation two steps on.
    turned = Rotation.from_matrix(pose.rotation[0])
    for rate in ideal.gyro[::2]:
        turned = turned * Rotation.from_rotvec(rate * 2.0 * (times[1] - times[0]))
    reached = pose.rotation[2 * len(ideal.gyro[::2])]
    assert (turned.inv() * Rotation.from_matrix(reached)).magnitude() < 1e-8


def test_integrating_the_accelerometer_gives_the_position_back(harness: tuple[Array, Pose, Ideal]) -> None:
    times, pose, ideal = harness
    step_s = times[1] - times[0]
    acceleration = rotation.apply(pose.rotation[1:-1], ideal.acc) - [0.0, 0.0, G]
    velocity = (pose.position[1] - pose.position[0]) / step_s + np.cumsum(acceleration, axis=0) * step_s
    position = pose.position[1] + np.cumsum(velocity, axis=0) * step_s
    np.testing.assert_allclose(position, pose.position[2:], atol=1e-6)


def test_movement_is_smooth(harness: tuple[Array, Pose, Ideal]) -> None:
    # A jump of position by 1 mm between two samples 5 ms apart would be 40 m/s² or more in a single sample; a jump in
    # velocity shows the same way. Nothing but a kick of that size changes the specific force by 5 g within 5 ms.
    _, _, ideal = harness
    assert np.abs(np.diff(ideal.acc, axis=0)).max() < 5 * G


# --- Sensors and radio ------------------------------------------------------------------------------------------------


def _steady(value: float, n: int) -> Ideal:
    return Ideal(*(np.full((n, 3), value) for _ in range(3)))


def test_noise_has_the_density_of_the_data_sheet() -> None:
    rng = np.random.default_rng(0)
    perfect = sensor.Errors(np.zeros(9), np.ones(9))
    rate_hz, factor = 100.0, 2
    reading = sensor.measure(rng, _steady(0.0, 100_000), perfect, rate_hz * factor, factor, noise=1.0)
    frequency, density = welch(reading, rate_hz, nperseg=256)
    below = (frequency > 1.0) & (frequency < 35.0)  # the pass band
    measured = np.sqrt(density[:, below].mean(axis=1))
    # Rounding to a step s adds s² / 12 of power over half the rate. 390 segments × 86 bins leave 1 %; 5 % is five of it.
    expected = np.sqrt(sensor.NOISE_DENSITY**2 + sensor.RESOLUTION**2 / 12.0 / (0.5 * rate_hz))
    np.testing.assert_allclose(measured, expected, rtol=0.05)


@pytest.mark.parametrize("factor", [1, 2, 8])
def test_readings_are_not_delayed_and_are_rounded_and_cut(factor: int) -> None:
    rate_hz, n = 50.0, 101
    half = sensor.half_filter(factor)
    t = np.arange(-half, (n - 1) * factor + half + 1) / (rate_hz * factor)
    wave = np.sin(2 * np.pi * 4.0 * t)[:, None] * [1.0, 1.0, 1.0]
    ideal = Ideal(10.0 * wave, 10.0 * wave, 1e6 * np.ones_like(wave))
    perfect = sensor.Errors(np.zeros(9), np.ones(9))
    reading = sensor.measure(np.random.default_rng(0), ideal, perfect, rate_hz * factor, factor, noise=0.0)
    assert reading.shape == (9, n)
    expected = 10.0 * np.sin(2 * np.pi * 4.0 * np.arange(n) / rate_hz)
    # The Hamming window's ripple is 0.2 %, half a step of rounding is less.
    assert np.abs(reading[:6] - expected).max() < 10.0 * 0.003
    np.testing.assert_allclose(reading[6:], 4900.0)
    np.testing.assert_allclose(
        reading[0] / sensor.RESOLUTION[0], np.round(reading[0] / sensor.RESOLUTION[0]), atol=1e-6
    )


def test_what_would_fold_down_is_filtered_out() -> None:
    # 70 Hz folds to 20 Hz at 50 readings a second; a Hamming-windowed filter stops it by more than 50 dB.
    rate_hz, factor, n = 50.0, 4, 200
    half = sensor.half_filter(factor)
    t = np.arange(-half, (n - 1) * factor + half + 1) / (rate_hz * factor)
    wave = 30.0 * np.sin(2 * np.pi * 70.0 * t)[:, None] * [1.0, 1.0, 1.0]
    perfect = sensor.Errors(np.zeros(9), np.ones(9))
    reading = sensor.measure(np.random.default_rng(0), Ideal(wave, wave, wave), perfect, 200.0, factor, noise=0.0)
    assert np.abs(reading[:6]).max() < 30.0 * 10 ** (-50 / 20)


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
        if 0 < begin and end < 1500:
            share = np.arange(1, end - begin + 1) / (end - begin + 1)
            line = before[:, None] + share * (after - before)[:, None]
            np.testing.assert_allclose(received.signal[:, begin:end], line, atol=1e-12)
        if end - begin <= MAX_GAP_S * rate_hz and 0 < begin and end < 1500:
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


# --- Gait -------------------------------------------------------------------------------------------------------------


def _feet_down(pattern: gait.Gait, froude: float, dog: Traits) -> NDArray[np.int64]:
    phase = np.arange(1000)[:, None] / 1000 - np.array(pattern.touchdown)
    return ((phase % 1.0) < gait.duty_factor(pattern, froude, dog)).sum(axis=1)


def test_footfalls(medium_dog: Traits) -> None:
    # A walking dog always has two or three feet on the ground, a fast trot and a gallop leave it, a slow trot does not.
    for froude in (0.1, 0.3, 0.5):
        assert set(_feet_down(gait.WALK, froude, medium_dog)) <= {2, 3, 4}
    assert _feet_down(gait.TROT, 0.3, medium_dog).min() >= 2
    assert _feet_down(gait.TROT, 1.5, medium_dog).min() == 0
    for froude in (1.5, 3.0, 6.0):
        assert _feet_down(gait.GALLOP, froude, medium_dog).min() == 0
    # Lateral sequence: hind, then the fore leg of the same side; trot: diagonal pairs; gallop: both hind, then both fore.
    left_hind, left_fore, right_fore, right_hind = gait.WALK.touchdown
    assert left_hind < left_fore < right_hind < right_fore
    left_hind, left_fore, right_fore, right_hind = gait.TROT.touchdown
    assert abs(right_fore - 1.0 - left_hind) < 0.05
    assert abs(left_fore - right_hind) < 0.05
    left_hind, left_fore, right_fore, right_hind = gait.GALLOP.touchdown
    assert max(left_hind, right_hind) < min(left_fore, right_fore)


@pytest.mark.parametrize(
    ("pattern", "froude", "beats"), [(gait.WALK, 0.3, 4), (gait.TROT, 1.0, 2), (gait.GALLOP, 3.0, 4)]
)
def test_beats_of_a_stride(pattern: gait.Gait, froude: float, beats: int) -> None:
    # Legs that land within a twentieth of a stride make one beat.
    landings = np.sort(pattern.touchdown)
    pauses = np.diff(np.concatenate([landings, landings[:1] + 1.0]))
    assert (pauses > 0.05).sum() == beats


@pytest.mark.parametrize(("pattern", "froude"), [(gait.WALK, 0.3), (gait.TROT, 1.0), (gait.GALLOP, 3.0)])
def test_the_trunk_follows_newton(pattern: gait.Gait, froude: float, medium_dog: Traits) -> None:
    # The legs can push but not pull: no acceleration below free fall, but for what ten harmonics leave of the footfalls.
    # And the movement is the one whose second derivative the harmonics give.
    harmonics = gait.trunk_harmonics(pattern, froude, medium_dog, lead=1.0)
    hz = gait.stride_hz(pattern, froude, medium_dog)
    t = np.arange(0.0, 1.0, 1e-3)
    phase = 2 * np.pi * hz * t
    movement = gait.oscillation(harmonics, phase, np.full(len(t), hz))
    force = 2.0 * (np.exp(1j * np.outer(phase, np.arange(1, gait.N_HARMONICS + 1))) @ harmonics.T).real
    np.testing.assert_allclose(np.diff(movement, n=2, axis=0) / 1e-6, force[1:-1], atol=0.01 * np.abs(force).max())
    assert force[:, 2].min() > -1.15 * G
    # Left and right mirror each other when the other leg leads.
    mirrored = gait.trunk_harmonics(pattern, froude, medium_dog, lead=-1.0)
    sign = np.array([1, -1, 1, -1, 1, -1, 1])[:, None]  # forward, left, up, yaw, pitch, roll, nod
    np.testing.assert_allclose(mirrored, sign * harmonics, atol=1e-12)


def test_stride_frequency_agrees_with_the_literature(medium_dog: Traits) -> None:
    # Alexander and Jayes' trot and Heglund's gallop come from different animals and laboratories; at the trot-gallop
    # transition (Froude number 2.5) they should meet, and do to 20 %.
    trot, gallop = (gait.stride_hz(pattern, 2.5, medium_dog) for pattern in (gait.TROT, gait.GALLOP))
    assert abs(trot / gallop - 1.0) < 0.2
    # Heglund and Taylor 1988: frequencies at equivalent speeds scale with mass to about -0.15.
    heavy = dataclasses.replace(medium_dog, mass_kg=40.0, leg_m=0.5 * 2 ** (1 / 3))
    for pattern, froude in ((gait.WALK, 0.3), (gait.TROT, 1.0), (gait.GALLOP, 3.0)):
        ratio = gait.stride_hz(pattern, froude, heavy) / gait.stride_hz(pattern, froude, medium_dog)
        assert abs(np.log2(ratio) + 0.15) < 0.02


def _gait_bouts(recording: Recording, code: int, shortest_s: float) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[-1], recording.labels, [-1]])))
    inner = [(a + 60, b - 60) for a, b in zip(edges[:-1], edges[1:], strict=True) if recording.labels[a] == code]
    return [(a, b) for a, b in inner if b - a >= shortest_s * recording.rate_hz]


@pytest.mark.parametrize(
    ("code", "channels", "beats", "lowest", "highest"),
    [
        # Ranges for medium to large dogs. A walk turns the trunk once a stride, a trot shakes it twice.
        (WALKING, slice(3, 6), 1, 1.3, 2.5),
        (TROTTING, slice(0, 3), 2, 2.0, 3.2),
        (GALLOPING, slice(3, 6), 1, 2.4, 3.5),
    ],
)
def test_spectra_peak_at_the_stride(
    dogs: list[Recording], code: int, channels: slice, beats: int, lowest: float, highest: float
) -> None:
    peaks: list[float] = []
    for recording in dogs:
        power = 0.0
        for begin, end in _gait_bouts(recording, code, 2.56):
            frequency, density = welch(recording.signal[channels, 1, begin:end], 100.0, nperseg=256, nfft=1024)
            power = power + density.sum(axis=0)
        if np.ndim(power):
            band = (frequency > 0.8) & (frequency < 9.0)
            peaks.append(frequency[band][np.argmax(power[band])] / beats)
    assert len(peaks) >= 5
    assert lowest <= np.median(peaks) <= highest


def test_faster_gaits_shake_more(dogs: list[Recording]) -> None:
    def rms(code: int) -> float:
        norms = [
            np.linalg.norm(r.signal[:3, 1, r.labels == code], axis=0) - G for r in dogs if (r.labels == code).any()
        ]
        return float(np.sqrt(np.mean(np.concatenate(norms) ** 2)))

    walk, trot, gallop = rms(WALKING), rms(TROTTING), rms(GALLOPING)
    assert walk < trot < gallop
    peaks = [np.linalg.norm(r.signal[:3, 1, r.labels == GALLOPING], axis=0).max(initial=0.0) for r in dogs]
    assert 3 * G < np.median([p for p in peaks if p > 0]) < 10 * G


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
    recording = simulate(1, 40.0, seed=2, rate_hz=25.0, config=SimulatorConfig(dropouts_per_minute=0.0))[0]
    edges = np.flatnonzero(np.diff(recording.labels)) + 1
    dwells, codes = np.diff(edges) / recording.rate_hz, recording.labels[edges[:-1]]
    scale = MEDIAN_DWELL_S[codes] - MIN_DWELL_S
    z = np.log(np.maximum(dwells - MIN_DWELL_S, 1e-3) / scale)
    shift = np.average(z, weights=SIGMA_DWELL[codes] ** -2.0)
    distance = kstest((z - shift) / SIGMA_DWELL[codes], "norm").statistic
    assert len(dwells) > 200
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
