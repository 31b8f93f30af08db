"""Motion and sensors of the simulated dogs: against closed forms, scipy, the data sheet, and the literature on gaits."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import welch
from scipy.spatial.transform import Rotation

from conv2d.data import Recording
from conv2d.data._simulator import gait, rotation, sensor
from conv2d.data._simulator.ethogram import (
    BEHAVIOURS,
    draw_bouts,
)
from conv2d.data._simulator.imu import EARTH_FIELD, Ideal, ideal_imu
from conv2d.data._simulator.motion import Pose, device_poses
from conv2d.data._simulator.traits import Traits, draw_traits
from conv2d.data.simulator import simulate

Array = NDArray[np.float64]
G = 9.81
WALKING, TROTTING, GALLOPING = (BEHAVIOURS.index(b) for b in ("walking", "trotting", "galloping"))


@pytest.fixture(scope="module")
def dogs() -> list[Recording]:
    return simulate(n_subjects=6, minutes=4.0, seed=3)


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
    # A Hamming window ripples by 0.22 %, at 4 Hz and at 0 Hz, where the gain is set to 1; half a step of rounding is less.
    assert np.abs(reading[:6] - expected).max() < 10.0 * 0.005
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
    inner = [(int(a) + 60, int(b) - 60) for a, b in itertools.pairwise(edges) if recording.labels[a] == code]
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
    frequency = np.fft.rfftfreq(1024, 1 / 100)
    band = (frequency > 0.8) & (frequency < 9.0)
    for recording in dogs:
        power = np.zeros(len(frequency))
        for begin, end in _gait_bouts(recording, code, 2.56):
            power += welch(recording.signal[channels, 1, begin:end], 100.0, nperseg=256, nfft=1024)[1].sum(axis=0)
        if power.any():
            peaks.append(float(frequency[band][np.argmax(power[band])]) / beats)
    assert len(peaks) >= 4
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
