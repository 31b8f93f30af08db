"""Where the two devices are and how they are turned: the dog as a trunk and a neck that move."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conv2d.data._simulator.ethogram import Bouts, subdivide
from conv2d.data._simulator.events import Events, draw_events
from conv2d.data._simulator.rotation import apply, apply_inverse, from_euler, from_rotvec
from conv2d.data._simulator.stepping import Steps, draw_steps
from conv2d.data._simulator.style import Style, blend_style, draw_style
from conv2d.data._simulator.tracks import jumps, smooth_noise
from conv2d.data._simulator.traits import Traits
from conv2d.data._simulator.untyped import recursive_filter

Array = NDArray[np.float64]


class Pose(NamedTuple):
    """A device's world position in metres, (T, 3), and the matrices from device to world, (T, 3, 3)."""

    position: Array
    rotation: Array


class _Trunk(NamedTuple):
    """The trunk's rotation (T, 3, 3), its yaw and roll (T,), and the world position of its centre of mass (T, 3)."""

    rotation: Array
    yaw: Array
    roll: Array
    centre: Array


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
        (2, 3, 3), matrices from each device to the part that carries it, in this session.
    """
    stretches = subdivide(rng, bouts)
    drawn = draw_style(rng, stretches.codes, traits)
    steps = draw_steps(rng, traits, stretches, drawn.step, times_s)
    style = blend_style(drawn, stretches, times_s)
    events = draw_events(rng, traits, times_s, steps.share, style.height)
    trunk = _trunk(rng, traits, style, steps, events, times_s)
    neck = _neck(rng, traits, style, steps, events, trunk, times_s)
    # Forward, left, up: the base of the neck and the harness as seen from the centre of mass, and the collar's device,
    # which hangs below the neck, as seen from the neck's base.
    length, leg = traits.trunk_m, traits.leg_m
    harness = trunk.centre + apply(trunk.rotation, np.array([0.15 * length, 0.0, 0.22 * leg]))
    base = trunk.centre + apply(trunk.rotation, np.array([0.52 * length, 0.0, 0.16 * leg]))
    collar = base + apply(neck, np.array([0.5 * traits.neck_m, 0.0, -0.12 * leg]))
    step_s = float(times_s[1] - times_s[0])
    collar = collar + _strap(neck, collar, step_s, traits.strap_hz[0], traits.strap_damping[0])
    harness = harness + _strap(trunk.rotation, harness, step_s, traits.strap_hz[1], traits.strap_damping[1])
    # The collar also creeps around the neck in the course of minutes.
    creep = from_rotvec(np.deg2rad(5.0) * smooth_noise(rng, times_s, 0.02, 1) * [1.0, 0.0, 0.0])
    return Pose(collar, neck @ creep @ mounting[0]), Pose(harness, trunk.rotation @ mounting[1])


def _turn(yaw: Array, pitch: Array, roll: Array) -> Array:
    """Return the rotation to the world of a body with this heading, nose up by `pitch` and left side up by `roll`."""
    # Axes are forward, left, up, so that a positive turn about the second puts the nose down.
    return from_euler(yaw, -pitch, roll)


def _trunk(
    rng: np.random.Generator, traits: Traits, style: Style, steps: Steps, events: Events, times_s: Array
) -> _Trunk:
    """Put the trunk together: gait, posture, sway, breath, jolts, and the leaning of a shake or scratch."""
    step_s = float(times_s[1] - times_s[0])
    forward, left, up, yaw, pitch, roll, _ = steps.movement.T
    slow = smooth_noise(rng, times_s, 0.8, 5).T
    shift = jumps(rng, times_s, 4.0, 2, (0.4, 1.0)).T
    # Uneven ground and pulls on the leash: jolts that grow with speed and change from place to place.
    place = np.exp(0.5 * smooth_noise(rng, times_s, 0.05, 1)[:, 0])
    jolt = smooth_noise(rng, times_s, 3.5, 3).T * place * steps.speed / np.sqrt(1.5 * (steps.speed + 0.2))
    # A breath lifts the chest by a millimetre or two and tips it by a fraction of a degree; panting less, but fast.
    breath = style.breath * np.sin(2.0 * np.pi * traits.breath_hz * times_s + 0.7 * slow[4])
    pant = style.pant * np.sin(2.0 * np.pi * traits.pant_hz * times_s + 0.7 * slow[4])
    heading = style.heading + np.cumsum(style.turn * smooth_noise(rng, times_s, 0.15, 1)[:, 0]) * step_s
    lean = 0.30 * events.shake + 0.03 * events.scratch + 0.06 * events.scratching
    yaw = heading + yaw + 0.5 * style.sway * slow[0]
    pitch = (
        style.pitch + pitch + style.sway * (0.6 * slow[1] + shift[0]) + 0.012 * jolt[0] + 0.008 * breath + 0.002 * pant
    )
    roll = style.roll + roll + style.sway * (0.8 * slow[2] + 1.2 * shift[1]) + 0.015 * jolt[1] + lean
    height = traits.leg_m * (style.height + 0.5 * style.sway * slow[3])
    height = height + up + 0.003 * jolt[2] + 0.002 * breath + 0.0004 * pant
    ahead = np.stack([np.cos(heading), np.sin(heading)])
    aside = np.stack([-ahead[1], ahead[0]])
    ground = np.cumsum(steps.speed * ahead, axis=1) * step_s + forward * ahead + left * aside
    return _Trunk(_turn(yaw, pitch, roll), yaw, roll, np.column_stack([*ground, height]))


def _neck(
    rng: np.random.Generator,
    traits: Traits,
    style: Style,
    steps: Steps,
    events: Events,
    trunk: _Trunk,
    times_s: Array,
) -> Array:
    """Return the neck's rotation: it follows the trunk's heading, nods with the gait, and looks where it likes."""
    nod = steps.movement[:, 6]
    look = jumps(rng, times_s, 1.8 / traits.restlessness**0.3, 3, (0.3, 0.7)).T * style.look
    fidget = smooth_noise(rng, times_s, 2.0, 3).T * (0.6 * style.sway + 0.03 * style.look)
    search = smooth_noise(rng, times_s, 1.3, 2).T
    # Sniffs come about five times a second.
    sniff = style.sniff * (0.5 * search[1] + 0.02 * np.sin(2.0 * np.pi * 5.0 * times_s + 1.5 * search[0]))
    pant = 0.004 * style.pant * np.sin(2.0 * np.pi * traits.pant_hz * times_s)
    lean = 0.45 * events.shake + 0.12 * events.scratch + 0.40 * events.scratching
    return _turn(
        trunk.yaw + style.neck_yaw + look[0] + fidget[0] + style.sniff * search[0],
        style.neck_pitch + nod + 0.5 * look[1] + fidget[1] + sniff + pant + 0.10 * events.scratch,
        0.6 * trunk.roll + 0.3 * look[2] + fidget[2] + lean,
    )


def _strap(carrier: Array, position: Array, step_s: float, resonance_hz: float, damping: float) -> Array:
    """Return how far (T, 3) the device lags behind its carrier in the world: a damped spring in the carrier's frame."""
    acceleration = np.zeros_like(position)
    acceleration[1:-1] = np.diff(position, n=2, axis=0) / step_s**2
    # -1 / (s² + 2ζωs + ω²) by the bilinear transform s = (2 / step) (z - 1) / (z + 1), times (ω step / 2)².
    w = np.pi * resonance_hz * step_s
    b = -((0.5 * step_s) ** 2) * np.array([1.0, 2.0, 1.0])
    a = np.array([1.0 + 2.0 * damping * w + w * w, 2.0 * (w * w - 1.0), 1.0 - 2.0 * damping * w + w * w])
    return apply(carrier, recursive_filter(b, a, apply_inverse(carrier, acceleration)))
