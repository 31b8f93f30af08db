"""What ideal sensors at a moving point feel: angular rate, specific force and the earth's field, in the device's frame."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conv2d.data._simulator.rotation import apply_inverse, to_rotvec

Array = NDArray[np.float64]

GRAVITY = np.array([0.0, 0.0, -9.81])
"""m/s², in the world frame: x to magnetic north, y to the west, z up."""

_DIP = np.deg2rad(65.0)
EARTH_FIELD = 50.0 * np.array([np.cos(_DIP), 0.0, -np.sin(_DIP)])
"""µT; the field of central Europe dips 65° below the horizon."""


class Ideal(NamedTuple):
    """Noiseless signals, each (T - 2, 3): specific force in m/s², angular rate in rad/s, field in µT."""

    acc: Array
    gyro: Array
    mag: Array


def ideal_imu(position: Array, rotation: Array, step_s: float, field: Array = EARTH_FIELD) -> Ideal:
    """Differentiate a device's trajectory.

    Parameters
    ----------
    position : numpy.ndarray
        (T, 3), world position of the device itself in metres. Its lever arm is in the trajectory, so the tangential
        (ω̇ × r) and centripetal (ω × (ω × r)) parts of the acceleration are in the result.
    rotation : numpy.ndarray
        (T, 3, 3), matrices from device to world.
    step_s : float
        Seconds between samples.
    field : numpy.ndarray
        World field in µT, (3,) or (T, 3).

    Returns
    -------
    Ideal
        For samples 1 … T - 2. The rate is the logarithm of the rotation from the sample before to the one after, over
        two steps: it composes back to the trajectory exactly, and is centred on the sample like the second difference
        that gives the acceleration.
    """
    acceleration = np.diff(position, n=2, axis=0) / step_s**2
    turned = np.einsum("tji,tjk->tik", rotation[:-2], rotation[2:])
    world_field = np.broadcast_to(field, position.shape)[1:-1]
    here = rotation[1:-1]
    return Ideal(
        acc=apply_inverse(here, acceleration - GRAVITY),
        gyro=to_rotvec(turned) / (2.0 * step_s),
        mag=apply_inverse(here, world_field),
    )
