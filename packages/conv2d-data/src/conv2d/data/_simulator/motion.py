"""Where the two devices are and how they are turned: the dog as a trunk and a neck that move."""

from typing import NamedTuple

import numpy as np
from conv2d.data._simulator import gait as gaits
from conv2d.data._simulator.ethogram import BEHAVIOURS, Bouts, subdivide
from conv2d.data._simulator.style import Style, blend_style, draw_style
from conv2d.data._simulator.tracks import blend, gates, jumps, smooth_noise, smoothstep
from conv2d.data._simulator.traits import Traits
from numpy.typing import NDArray
from scipy.signal import bilinear, lfilter
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]

# Typical Froude number of each behaviour that steps, and the log-normal spread over bouts. They overlap: dogs break into
# a gallop anywhere in their trotting range, and a slow trot is slower than a brisk walk.
_GAIT = {
    "galloping": (gaits.GALLOP, 2.2, 0.50),
    "trotting": (gaits.TROT, 0.85, 0.50),
    "walking": (gaits.WALK, 0.28, 0.45),
    "sniffing": (gaits.WALK, 0.06, 0.50),
    "standing": (gaits.WALK, 0.03, 0.50),
}
_NO_GAIT = (gaits.WALK, 0.05, 0.3)
_GAIT_OF = [_GAIT.get(behaviour, _NO_GAIT) for behaviour in BEHAVIOURS]


class Pose(NamedTuple):
    """A device's world position in metres, (T, 3), and its rotation from device to world, T of them."""

    position: Array
    rotation: Rotation


class _GaitTracks(NamedTuple):
    movement: Array
    speed: Array
    effort: Array


def device_poses(
    rng: np.random.Generator, traits: Traits, bouts: Bouts, times_s: Array, mounting: Array
) -> tuple[Pose, Pose]:
    """Return the poses of collar and harness at every time.

    Parameters
    ----------
    rng : numpy.random.Generator
    traits : Traits
    bouts : Bouts
    times_s : numpy.ndarray
        (T,), evenly spaced, in seconds.
    mounting : numpy.ndarray
        (2, 3), rotation vectors from each device to the part that carries it, in this session.
    """
    bouts = subdivide(rng, bouts)
    style = draw_style(rng, bouts.codes, traits)
    gait = _gait_tracks(rng, traits, bouts, style, times_s)
    style = blend_style(style, bouts, times_s)
    events = _events(rng, traits, times_s, calm=1.0 - gait.effort, height=style.height)
    trunk, centre = _trunk(rng, traits, style, gait, events, times_s)
    neck = _neck(rng, traits, style, gait, events, trunk, times_s)
    # Along the body, to the left, up: the base of the neck and the harness as seen from the centre of mass, and the
    # collar under the neck as seen from its base.
    length, leg = traits.trunk_m, traits.leg_m
    base = centre + trunk.apply([0.52 * length, 0.0, 0.16 * leg])
    collar = base + neck.apply([0.5 * traits.neck_m, 0.0, -0.12 * leg])
    harness = centre + trunk.apply([0.15 * length, 0.0, 0.22 * leg])
    step = float(times_s[1] - times_s[0])
    slip = Rotation.from_rotvec(np.deg2rad(5.0) * smooth_noise(rng, times_s, 0.02, 1) * [1.0, 0.0, 0.0])
    collar = collar + _strap(neck, collar, step, traits.strap_hz[0], traits.strap_damping[0])
    harness = harness + _strap(trunk, harness, step, traits.strap_hz[1], traits.strap_damping[1])
    mount = Rotation.from_rotvec(mounting)
    return Pose(collar, neck * slip * mount[0]), Pose(harness, trunk * mount[1])


def _gait_tracks(rng: np.random.Generator, traits: Traits, bouts: Bouts, style: Style, times_s: Array) -> _GaitTracks:
    """Add up the stepping of all bouts: seven movements as in `gait.trunk_harmonics`, speed, and share of stepping."""
    n, codes = len(bouts.codes), bouts.codes
    froude = np.array([_GAIT_OF[c][1] for c in codes])
    froude *= np.exp(np.array([_GAIT_OF[c][2] for c in codes]) * rng.standard_normal(n))
    lead = np.where(rng.random(n) < 0.75, 1.0, -1.0) * traits.lead
    stride = np.array([gaits.stride_hz(_GAIT_OF[c][0], f, traits) for c, f in zip(codes, froude, strict=True)])
    speed = np.array([gaits.speed_mps(f, traits) for f in froude])
    edges = bouts.edges_s[1:-1]
    track = blend(np.stack([stride, speed], axis=1), edges, bouts.widths_s, times_s)
    # Speed wanders by a seventh inside a bout; stride frequency follows with the power that the laws of gait.py give.
    pace, size = (np.exp([0.14, 0.10] * smooth_noise(rng, times_s, 0.4, 2))).T
    stride_t = track[:, 0] * pace**0.25
    step_s = float(times_s[1] - times_s[0])
    phase = 2.0 * np.pi * (np.cumsum(stride_t) * step_s + rng.random())
    movement, stepping = np.zeros((len(times_s), 7)), np.zeros(len(times_s))
    wide = np.concatenate([[0.0], bouts.widths_s, [0.0]])
    for k, code in enumerate(codes):
        if style.step[k] == 0.0:
            continue
        begin, end = np.searchsorted(
            times_s, [bouts.edges_s[k] - 0.5 * wide[k], bouts.edges_s[k + 1] + 0.5 * wide[k + 1]]
        )
        if begin == end:
            continue
        here = times_s[begin:end]
        weight = np.ones(len(here))
        if k > 0:
            weight *= smoothstep((here - bouts.edges_s[k]) / wide[k])
        if k < n - 1:
            weight *= 1.0 - smoothstep((here - bouts.edges_s[k + 1]) / wide[k + 1])
        if style.step[k] < 1.0:
            weight *= gates(rng, here, np.full(len(here), style.step[k]), 2.5)
        harmonics = gaits.trunk_harmonics(_GAIT_OF[code][0], float(froude[k]), traits, float(lead[k]))
        swing = gaits.oscillation(harmonics, phase[begin:end], stride_t[begin:end])
        movement[begin:end] += (weight * size[begin:end])[:, None] * swing
        stepping[begin:end] += weight
    return _GaitTracks(movement, track[:, 1] * pace * stepping, np.clip(stepping, 0.0, 1.0))


class _Events(NamedTuple):
    shake: Array
    scratch: Array
    scratch_on: Array


def _events(rng: np.random.Generator, traits: Traits, times_s: Array, calm: Array, height: Array) -> _Events:
    """Return shakes and scratches as unit waves (T,): what a dog does in between, whatever its label says."""
    # Shaking frequency falls with M^-0.22 (Dickerson, Mills and Hu 2012); a Labrador of 30 kg shakes at 4.3 Hz.
    shake_hz = 4.3 * (traits.mass_kg / 30.0) ** -0.22
    shake = _bursts(rng, times_s, 0.4 * traits.restlessness, (0.8, 1.6)) * calm * smoothstep((height - 0.55) / 0.3)
    scratch = _bursts(rng, times_s, 0.4 * traits.restlessness, (1.5, 3.5)) * calm * smoothstep((0.9 - height) / 0.1)
    scratch_hz = float(rng.uniform(5.0, 7.0))
    return _Events(
        shake * np.sin(2.0 * np.pi * shake_hz * times_s),
        scratch * np.sin(2.0 * np.pi * scratch_hz * times_s),
        scratch,
    )


def _bursts(rng: np.random.Generator, times_s: Array, per_minute: float, length_s: tuple[float, float]) -> Array:
    """Return a (T,) envelope with smooth bursts at random times."""
    envelope = np.zeros(len(times_s))
    span = times_s[-1] - times_s[0]
    for _ in range(int(rng.poisson(per_minute * span / 60.0))):
        middle, half = times_s[0] + rng.random() * span, 0.5 * rng.uniform(*length_s)
        begin, end = np.searchsorted(times_s, [middle - half, middle + half])
        envelope[begin:end] = np.cos(0.5 * np.pi * (times_s[begin:end] - middle) / half) ** 4
    return envelope


def _trunk(
    rng: np.random.Generator, traits: Traits, style: Style, gait: _GaitTracks, events: _Events, times_s: Array
) -> tuple[Rotation, Array]:
    """Return the trunk's rotation and the position of its centre of mass."""
    step = float(times_s[1] - times_s[0])
    slow = smooth_noise(rng, times_s, 0.8, 5)
    shift = jumps(rng, times_s, 4.0, 2, (0.4, 1.0))
    heading = style.heading + np.cumsum(style.turn * smooth_noise(rng, times_s, 0.15, 1)[:, 0]) * step
    # Quiet breathing lifts and tips the chest by a millimetre or two and a fraction of a degree; panting less, but fast.
    air = style.breath * np.sin(2.0 * np.pi * traits.breath_hz * times_s + 0.7 * slow[:, 4])
    pant = style.pant * np.sin(2.0 * np.pi * traits.pant_hz * times_s + 0.7 * slow[:, 4])
    forward, left, up, yaw, pitch, roll, _ = gait.movement.T
    # Uneven ground, pulls on the leash: jolts that grow with speed and change with the place.
    jolt = smooth_noise(rng, times_s, 3.5, 3) * (
        np.exp(0.5 * smooth_noise(rng, times_s, 0.05, 1)) * (gait.speed / 1.5)[:, None] ** 0.5)
    trunk = Rotation.from_euler(
        "ZYX",
        np.stack(
            [
                heading + yaw + 0.5 * style.sway * slow[:, 0],
                # A positive turn about the axis to the left puts the nose down.
                -(style.pitch + pitch + style.sway * (0.6 * slow[:, 1] + shift[:, 0]) + 0.012 * jolt[:, 0] + 0.008 * air + 0.002 * pant),
                style.roll + roll + style.sway * (0.8 * slow[:, 2] + 1.2 * shift[:, 1])
                + 0.015 * jolt[:, 1] + 0.30 * events.shake + 0.03 * events.scratch + 0.06 * events.scratch_on,
            ],
            axis=1,
        ),
    )
    height = traits.leg_m * (style.height + 0.5 * style.sway * slow[:, 3]) + up + 0.003 * jolt[:, 2] + 0.002 * air + 0.0006 * pant
    ahead = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    aside = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    path = np.cumsum(gait.speed[:, None] * ahead, axis=0) * step
    ground = path + forward[:, None] * ahead + left[:, None] * aside
    return trunk, np.column_stack([ground, height])


def _neck(
    rng: np.random.Generator,
    traits: Traits,
    style: Style,
    gait: _GaitTracks,
    events: _Events,
    trunk: Rotation,
    times_s: Array,
) -> Rotation:
    """Return the neck's rotation: carried by the trunk's heading, nodding with the gait, and looking where it likes."""
    heading, _, trunk_roll = trunk.as_euler("ZYX").T
    look = jumps(rng, times_s, 1.8 / traits.restlessness**0.3, 3, (0.25, 0.6))
    fidget = smooth_noise(rng, times_s, 2.0, 3)
    search = smooth_noise(rng, times_s, 1.3, 2)
    pulse = np.sin(2.0 * np.pi * 5.0 * times_s + 1.5 * search[:, 0])
    tremble = 0.6 * style.sway + 0.03 * style.look
    angles = np.stack(
        [
            heading + style.neck_yaw + style.look * look[:, 0] + tremble * fidget[:, 0] + style.sniff * search[:, 0],
            -(style.neck_pitch + 0.5 * style.look * look[:, 1] + tremble * fidget[:, 1] + gait.movement[:, 6]
              + 0.5 * style.sniff * search[:, 1] + 0.02 * style.sniff * pulse + 0.006 * style.pant
              * np.sin(2.0 * np.pi * traits.pant_hz * times_s) + 0.10 * events.scratch),
            0.6 * trunk_roll + 0.3 * style.look * look[:, 2] + tremble * fidget[:, 2]
            + 0.45 * events.shake + 0.12 * events.scratch + 0.4 * events.scratch_on,
        ],
        axis=1,
    )  # fmt: skip
    return Rotation.from_euler("ZYX", angles)


def _strap(carrier: Rotation, position: Array, step_s: float, resonance_hz: float, damping: float) -> Array:
    """Return how far (T, 3) the device lags behind its carrier in the world: a damped spring in the carrier's frame."""
    acceleration = np.zeros_like(position)
    acceleration[1:-1] = (position[2:] - 2.0 * position[1:-1] + position[:-2]) / step_s**2
    w = 2.0 * np.pi * resonance_hz
    b, a = bilinear([-1.0], [1.0, 2.0 * damping * w, w * w], fs=1.0 / step_s)
    return carrier.apply(np.asarray(lfilter(b, a, carrier.inv().apply(acceleration), axis=0), dtype=np.float64))
