"""Rotations as stacks of matrices, (…, 3, 3), that turn a body's coordinates into those of what carries it."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def from_euler(yaw: Array, pitch: Array, roll: Array) -> Array:
    """Return the matrices (T, 3, 3) of a turn by `yaw` about up, then `pitch` about left, then `roll` about forward.

    Each about the axis that the turn before has moved: R = Rz(yaw) Ry(pitch) Rx(roll).
    """
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    rows = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def from_rotvec(vector: Array) -> Array:
    """Return the matrices (…, 3, 3) of rotation vectors (…, 3): axis times angle in radians (Rodrigues' formula)."""
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(vector, -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)
    # np.sinc(x) is sin(πx) / (πx): both ratios stay finite at angle 0.
    return np.eye(3) + np.sinc(angle / np.pi) * cross + 0.5 * np.sinc(0.5 * angle / np.pi) ** 2 * (cross @ cross)


def to_rotvec(matrix: Array) -> Array:
    """Return the rotation vectors (…, 3) of matrices (…, 3, 3) that turn by less than π: their logarithm."""
    # Antisymmetric part: axis times sin(angle); trace: 1 + 2 cos(angle).
    sines = 0.5 * np.stack(
        [
            matrix[..., 2, 1] - matrix[..., 1, 2],
            matrix[..., 0, 2] - matrix[..., 2, 0],
            matrix[..., 1, 0] - matrix[..., 0, 1],
        ],
        axis=-1,
    )
    angle = np.arctan2(np.linalg.norm(sines, axis=-1), 0.5 * (np.trace(matrix, axis1=-2, axis2=-1) - 1.0))
    return sines / np.sinc(angle / np.pi)[..., None]


def apply(matrix: Array, vector: Array) -> Array:
    """Turn vectors (T, 3) or one vector (3,) from the body into its carrier: (T, 3)."""
    return np.einsum("tij,tj->ti", matrix, np.broadcast_to(vector, matrix.shape[:-1]))


def apply_inverse(matrix: Array, vector: Array) -> Array:
    """Turn vectors (T, 3) or one vector (3,) from the carrier into the body: (T, 3)."""
    return np.einsum("tji,tj->ti", matrix, np.broadcast_to(vector, matrix.shape[:-1]))
