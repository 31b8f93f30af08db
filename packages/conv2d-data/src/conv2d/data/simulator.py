"""simulate (wip)"""
import numpy as np
from dataclasses import dataclass
from conv2d.data._recording import Recording, Repairs
from conv2d.data._simulator.dropout import lose
from conv2d.data._simulator.ethogram import BEHAVIOURS, draw_bouts
from conv2d.data._simulator.imu import EARTH_FIELD, ideal_imu
from conv2d.data._simulator.motion import device_poses
from conv2d.data._simulator.sensor import draw_errors, half_filter, measure
from conv2d.data._simulator.tracks import smooth_noise
from conv2d.data._simulator.traits import draw_traits, random_rotation
from scipy.spatial.transform import Rotation

SIMULATED_LABELS = BEHAVIOURS
DEVICES = ("collar", "harness")

@dataclass(frozen=True)
class SimulatorConfig:
    mounting_deg: float = 25.0
    session_shift_deg: float = 5.0
    noise: float = 1.0
    dropouts_per_minute: float = 0.6

def gen(seed, k, s, stage):
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(k, s, stage)))

def simulate(n_subjects=12, minutes=4.0, seed=0, rate_hz=100.0, *, sessions=1, config=SimulatorConfig()):
    return [one(k, s, minutes, seed, rate_hz, config) for k in range(n_subjects) for s in range(sessions)]

def one(k, s, minutes, seed, rate_hz, config):
    factor = max(1, int(np.ceil(200.0 / rate_hz)))
    fine = factor * rate_hz
    T = round(minutes * 60 * rate_hz)
    r = gen(seed, k, 0, 0)
    traits = draw_traits(r, config.mounting_deg)
    errors = [draw_errors(r, config.noise) for _ in range(2)]
    bouts = draw_bouts(gen(seed, k, s + 1, 0), T / rate_hz, traits.tempo)
    pad = half_filter(factor) + 1
    times = np.arange(-pad, (T - 1) * factor + pad + 1) / fine
    r = gen(seed, k, s + 1, 1)
    shift = np.stack([random_rotation(r, config.session_shift_deg) for _ in range(2)])
    mounting = (Rotation.from_rotvec(traits.mounting) * Rotation.from_rotvec(shift)).as_rotvec()
    poses = device_poses(r, traits, bouts, times, mounting)
    field = EARTH_FIELD + 1.5 * smooth_noise(r, times, 0.1, 3)
    got = []
    r = gen(seed, k, s + 1, 2)
    for pose, e in zip(poses, errors):
        ideal = ideal_imu(pose.position, pose.rotation, 1 / fine, field)
        got.append(lose(r, measure(r, ideal, e, fine, factor, config.noise), rate_hz, config.dropouts_per_minute))
    signal = np.ascontiguousarray(np.stack([g.signal for g in got], axis=1), dtype=np.float32)
    return Recording(f"dog{k+1:03d}", f"s{s+1}", DEVICES, signal, np.ones((9, 2), bool), rate_hz,
        bouts.labels_at(np.arange(T) / rate_hz), SIMULATED_LABELS, np.stack([g.valid for g in got]),
        repairs=Repairs(interpolated=tuple(g.interpolated for g in got), gaps=tuple(g.gaps for g in got)))
