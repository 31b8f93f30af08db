"""How the trunk moves in a gait: footfalls → forces of the legs → rigid-body motion.

Each leg pushes on the ground during its stance with a force whose shape is that of Alexander and Jayes (1978); which
leg when is the footfall pattern. Newton's and Euler's equations for a rigid trunk then give its accelerations, and a
periodic movement with those accelerations is found harmonic by harmonic.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conv2d.data._simulator.traits import Traits

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

GRAVITY = 9.81
N_HARMONICS = 10
_N_PHASES = 256

# Legs in the order left hind, left fore, right fore, right hind. Forelegs carry 60 % (Kano et al. 2016), so the centre
# of mass lies at 0.6 of the way from hip to shoulder.
_SHARE = np.array([0.2, 0.3, 0.3, 0.2])
_LEFT = np.array([1.0, 1.0, -1.0, -1.0])
_ALONG = np.array([-0.6, 0.4, 0.4, -0.6])

# Lateral push of a leg as a part of its vertical force, and half the distance between left and right feet in trunk lengths.
_LATERAL, _HALF_TRACK = 0.05, 0.12
# Radii of gyration in trunk lengths (pitch and yaw; roll), and the part of each moment that the horizontal forces of the
# legs and the bending spine leave to turn the trunk.
_GYRATION, _ROLL_GYRATION = 0.40, 0.22
_PITCH_LEFT, _YAW_LEFT, _ROLL_LEFT = 0.45, 0.6, 0.12
_BRAKING = 0.16


@dataclass(frozen=True)
class Gait:
    """A footfall pattern.

    Attributes
    ----------
    touchdown : tuple of float
        When each leg lands, in strides after the left hind leg.
    duty, duty_power : float
        Duty factor at Froude number 1 and its power of the Froude number.
    hump : float
        Alexander and Jayes' q: 0 = one hump of force a stance (running), 0.4 = two (walking).
    impact : float
        Height of the short peak of force just after touchdown, in mean forces of the stance.
    """

    touchdown: tuple[float, float, float, float]
    duty: float
    duty_power: float
    hump: float
    impact: float


# Diagonal phases 0.31 and 0.02 in walk and trot: Błaszczyk 2001. Gallop: rotary, hind pair then fore pair, off
# the ground before the hind legs land again. Duty factors fall with speed (Maes et al. 2008) and make the trot leave
# the ground from about Froude number 0.6.
WALK = Gait(touchdown=(0.0, 0.19, 0.69, 0.5), duty=0.53, duty_power=-0.10, hump=0.35, impact=0.25)
TROT = Gait(touchdown=(0.0, 0.48, 0.98, 0.5), duty=0.47, duty_power=-0.13, hump=0.05, impact=0.35)
GALLOP = Gait(touchdown=(0.0, 0.54, 0.43, 0.11), duty=0.42, duty_power=-0.25, hump=0.0, impact=0.35)


def stride_hz(gait: Gait, froude: float, traits: Traits) -> float:
    """Return the stride frequency at a Froude number v² / (g · hip height).

    Walk and trot: relative stride length 2.4 Fr^0.34 and 1.9 Fr^0.40 (Alexander and Jayes 1983). Gallop: 4.48 M^-0.14 Hz
    at the trot-gallop transition (Heglund, Taylor and McMahon 1974), and nearly constant above it (Heglund and Taylor
    1988).
    """
    if gait is GALLOP:
        return traits.stride_factor * 4.48 * traits.mass_kg**-0.14 * (froude / 2.5) ** 0.08
    relative = 2.4 * froude**0.34 if gait is WALK else 1.9 * froude**0.40
    return traits.stride_factor * np.sqrt(GRAVITY / traits.leg_m * froude) / relative


def speed_mps(froude: float, traits: Traits) -> float:
    """Return the speed at a Froude number."""
    return float(np.sqrt(froude * GRAVITY * traits.leg_m))


def duty_factor(gait: Gait, froude: float, traits: Traits) -> float:
    """Return the part of a stride that each foot spends on the ground."""
    return float(np.clip(gait.duty * froude**gait.duty_power / traits.bounce, 0.2, 0.8))


def trunk_harmonics(gait: Gait, froude: float, traits: Traits, lead: float) -> Complex:
    """Return the accelerations of trunk and head over one stride as Fourier coefficients.

    Parameters
    ----------
    gait : Gait
    froude : float
    traits : Traits
    lead : float
        +1 or −1; −1 mirrors left and right.

    Returns
    -------
    numpy.ndarray
        complex (7, N_HARMONICS): forward, left, up (m/s²), yaw to the left, pitch nose up, roll left side up (rad/s²),
        and the second derivative of the neck's nod (rad/s²). Coefficient n − 1 belongs to exp(i n phase); the movement is
        twice its real part. The mean is left out: over a stride the legs carry exactly the weight.
    """
    push, brake = _leg_harmonics(gait, duty_factor(gait, froude, traits))
    side = _LEFT * lead
    load = _SHARE * (1.0 + traits.asymmetry * _LEFT)
    up = GRAVITY * load[:, None] * push
    along, across = traits.trunk_m * _ALONG, traits.trunk_m * _HALF_TRACK * side
    gyration, roll_gyration = traits.trunk_m * _GYRATION, traits.trunk_m * _ROLL_GYRATION
    left = -_LATERAL * side[:, None] * up
    heave = up.sum(axis=0)
    forward = GRAVITY * load @ brake
    pitch = traits.suppleness * _PITCH_LEFT * (along @ up + traits.leg_m * forward) / gyration**2
    nod = -traits.bob_gain * heave / traits.leg_m + (1.0 - traits.head_damping) * pitch
    lag = np.exp(-2j * np.pi * traits.bob_lag * np.arange(1, N_HARMONICS + 1))
    movement = [
        forward,
        left.sum(axis=0),
        heave,
        traits.suppleness * _YAW_LEFT * (along @ left) / gyration**2,
        pitch,
        traits.suppleness * _ROLL_LEFT * (across @ up) / roll_gyration**2,
        nod * lag,
    ]
    return np.stack(movement)


def oscillation(harmonics: Complex, phase: Array, stride: Array) -> Array:
    """Return the movement whose second derivative the harmonics give.

    Parameters
    ----------
    harmonics : numpy.ndarray
        complex (R, N_HARMONICS), as `trunk_harmonics` returns them.
    phase : numpy.ndarray
        (T,), stride phase in radians.
    stride : numpy.ndarray
        (T,), stride frequency in Hz.

    Returns
    -------
    numpy.ndarray
        float64 (T, R), in metres and radians.
    """
    order = np.arange(1, harmonics.shape[1] + 1, dtype=np.float64)
    turns = np.cumprod(np.broadcast_to(np.exp(1j * phase)[:, None], (len(phase), len(order))), axis=1)
    return 2.0 * (turns @ (-harmonics / order**2).T).real / (2.0 * np.pi * stride[:, None]) ** 2


def _leg_harmonics(gait: Gait, duty: float) -> tuple[Complex, Complex]:
    """Return the Fourier coefficients (4, N_HARMONICS) of vertical and fore-aft force, in mean vertical forces."""
    phase = np.arange(_N_PHASES) / _N_PHASES
    stance = phase / duty
    down = stance < 1.0
    vertical = np.where(down, np.sin(np.pi * stance) + gait.hump * np.sin(3 * np.pi * stance), 0.0)
    vertical /= vertical.mean()
    # The leg's own mass is stopped in the first tenth of the stance.
    vertical += gait.impact * np.exp(-0.5 * ((stance - 0.12) / 0.05) ** 2) / duty
    vertical /= vertical.mean()
    fore_aft = np.where(down, -_BRAKING * np.sin(2 * np.pi * stance), 0.0) / duty
    order = np.arange(1, N_HARMONICS + 1)
    landing = np.exp(-2j * np.pi * np.outer(gait.touchdown, order))
    return (
        landing * (np.fft.rfft(vertical)[order] / _N_PHASES),
        landing * (np.fft.rfft(fore_aft)[order] / _N_PHASES),
    )
