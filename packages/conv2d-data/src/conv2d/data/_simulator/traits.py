"""Who a dog is: size, build, temper, and how its two devices sit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

TEMPO_SIGMA = 0.2


@dataclass(frozen=True)
class Traits:
    """What stays the same for one dog in all its sessions. Angles in radians, lengths in metres.

    Attributes
    ----------
    mass_kg, leg_m, trunk_m, neck_m : float
        Body mass, hip height, distance between the girdles, length of the neck.
    stride_factor, bounce, suppleness, asymmetry, lead : float
        Factors on stride frequency, on the shortness of stance, and on how far the trunk turns in a stride; how much
        more the left legs carry; which side leads in gallop (+1 or −1).
    tempo, restlessness : float
        Factors on dwell times and on how often and how far it looks, shifts and shakes; the second has a long tail.
    pitch, sit_pitch, roll, neck_pitch : float
        Habits of posture: offsets of trunk pitch, of sitting height, trunk roll, and head carriage.
    bob_gain, bob_lag, head_damping : float
        How far the neck nods with the trunk's heave, how late (in strides), and how much of the trunk's pitch it undoes.
    pant_hz, breath_hz, breath_gain : float
        Panting and quiet breathing.
    strap_hz, strap_damping : numpy.ndarray
        (2,), resonance of each device on its strap and the loose skin beneath.
    mounting : numpy.ndarray
        (2, 3), rotation vectors from each device to the body part that carries it.
    """

    mass_kg: float
    leg_m: float
    trunk_m: float
    neck_m: float
    stride_factor: float
    bounce: float
    suppleness: float
    asymmetry: float
    lead: float
    tempo: float
    restlessness: float
    pitch: float
    sit_pitch: float
    roll: float
    neck_pitch: float
    bob_gain: float
    bob_lag: float
    head_damping: float
    pant_hz: float
    breath_hz: float
    breath_gain: float
    strap_hz: Array
    strap_damping: Array
    mounting: Array


def draw_traits(rng: np.random.Generator, mounting_deg: float) -> Traits:
    """Draw one dog; devices are mounted up to `mounting_deg` away from straight (the harness half of that)."""

    def normal(mean: float, sd: float) -> float:
        return float(mean + sd * rng.standard_normal())

    def factor(sigma: float) -> float:
        return float(np.exp(sigma * rng.standard_normal()))

    # Middle-sized to large dogs as in Vehkaoja et al. (2022). Legs by geometric similarity: 20 kg stand about 0.5 m high.
    mass = float(np.clip(22.0 * factor(0.35), 8.0, 50.0))
    leg = 0.185 * mass ** (1 / 3) * factor(0.06)
    return Traits(
        mass_kg=mass,
        leg_m=leg,
        trunk_m=0.95 * leg * factor(0.06),
        neck_m=0.42 * leg * factor(0.08),
        stride_factor=factor(0.06),
        bounce=factor(0.09),
        suppleness=factor(0.2),
        asymmetry=normal(0.0, 0.04),
        lead=float(rng.choice([-1.0, 1.0])),
        tempo=factor(TEMPO_SIGMA),
        restlessness=factor(0.45),
        pitch=np.deg2rad(normal(0.0, 3.0)),
        sit_pitch=np.deg2rad(normal(0.0, 4.0)),
        roll=np.deg2rad(normal(0.0, 2.0)),
        neck_pitch=np.deg2rad(normal(0.0, 5.0)),
        bob_gain=normal(3.0, 0.8),
        bob_lag=normal(0.1, 0.06),
        head_damping=float(rng.uniform(0.2, 0.8)),
        pant_hz=float(rng.uniform(3.8, 5.5)),
        breath_hz=float(rng.uniform(0.3, 0.55)),
        breath_gain=factor(0.3),
        strap_hz=rng.uniform([7.0, 9.0], [11.0, 14.0]),
        strap_damping=rng.uniform(0.25, 0.5, size=2),
        mounting=np.stack([random_rotation(rng, mounting_deg), random_rotation(rng, 0.5 * mounting_deg)]),
    )


def random_rotation(rng: np.random.Generator, max_deg: float) -> Array:
    """Return a rotation vector about a random axis by an angle uniform in 0 … `max_deg`."""
    axis = rng.standard_normal(3)
    return np.deg2rad(rng.uniform(0.0, max_deg)) * axis / np.linalg.norm(axis)
