"""Training-time augmentation of normalised windows: how the same movement looks on another wearer."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from conv2d_train.config import AugmentConfig


def augment(x: Tensor, config: AugmentConfig) -> Tensor:
    """Rotate each device's mounting, scale each sensor, and add noise.

    One random rotation per window and device turns accelerometer, gyroscope and magnetometer alike, as a shifted strap does.
    It is exact only where the three axes of a sensor share one scale, hence the ``sensor`` normaliser.

    Parameters
    ----------
    x : Tensor of float32, shape (B, 9, 2, 100)
        Normalised windows.
    config : AugmentConfig
        Largest rotation in degrees, relative spread of the scale, noise in normalised units.

    Returns
    -------
    Tensor of float32, shape (B, 9, 2, 100)
        New windows; absent (all-zero) channels stay zero.
    """
    batch, _, devices, steps = x.shape
    triads = x.reshape(batch, 3, 3, devices, steps)
    present = triads.abs().amax((0, 2, 4), keepdim=True) > 0
    if config.rotation_deg:
        rotation = _rotations(batch * devices, config.rotation_deg).reshape(batch, devices, 3, 3)
        triads = torch.einsum("bdij,bsjdt->bsidt", rotation, triads)
    if config.scale:
        triads = triads * (1 + config.scale * torch.randn(batch, 3, 1, devices, 1))
    if config.jitter:
        triads = triads + config.jitter * torch.randn_like(triads) * present
    return triads.reshape(x.shape)


def _rotations(n: int, largest_deg: float) -> Tensor:
    """Rodrigues' formula about uniformly distributed axes."""
    axis = torch.nn.functional.normalize(torch.randn(n, 3), dim=1)
    angle = ((torch.rand(n) * 2 - 1) * math.radians(largest_deg))[:, None, None]
    x, y, z = axis.unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(n, 3, 3)
    return torch.eye(3) + torch.sin(angle) * cross + (1 - torch.cos(angle)) * (cross @ cross)
