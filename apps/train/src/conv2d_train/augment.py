"""Training-time augmentation of normalised windows: how the same movement looks on another wearer, facing elsewhere."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from conv2d_train.config import AugmentConfig

_ACC, _MAG = 0, 2


def augment(x: Tensor, config: AugmentConfig) -> Tensor:
    """Turn the wearer, rotate each device's mounting, scale each sensor, and add noise.

    Where somebody faces says nothing of what they do, but a magnetometer tells it, and a model with few training subjects learns
    it: so the field is turned about the vertical, by one random angle per window for both devices. The vertical is the mean
    acceleration, which is exact while a device keeps its attitude.

    One random rotation per window and device then turns accelerometer, gyroscope and magnetometer alike, as a shifted strap does.
    Both are exact only where the three axes of a sensor share one scale and keep their mean, hence the ``sensor`` normaliser.

    Parameters
    ----------
    x : Tensor of float32, shape (B, 9, 2, 100)
        Normalised windows.
    config : AugmentConfig
        Largest change of heading and largest rotation in degrees, relative spread of the scale, noise in normalised units.

    Returns
    -------
    Tensor of float32, shape (B, 9, 2, 100)
        New windows; absent (all-zero) channels stay zero.
    """
    batch, _, devices, steps = x.shape
    triads = x.reshape(batch, 3, 3, devices, steps)
    present = triads.abs().amax((0, 2, 4), keepdim=True) > 0
    if config.heading_deg:
        vertical = triads[:, _ACC].mean(-1).mT  # (B, device, 3)
        turn = _rotations(vertical, _angles((batch, 1), config.heading_deg))
        field = torch.einsum("bdij,bjdt->bidt", turn, triads[:, _MAG])
        triads = torch.stack([*triads[:, :_MAG].unbind(1), field], 1)
    if config.rotation_deg:
        axes = torch.randn(batch, devices, 3)
        rotation = _rotations(axes, _angles((batch, devices), config.rotation_deg))
        triads = torch.einsum("bdij,bsjdt->bsidt", rotation, triads)
    if config.scale:
        triads = triads * (1 + config.scale * torch.randn(batch, 3, 1, devices, 1))
    if config.jitter:
        triads = triads + config.jitter * torch.randn_like(triads) * present
    return triads.reshape(x.shape)


def _angles(shape: tuple[int, ...], largest_deg: float) -> Tensor:
    return (torch.rand(shape) * 2 - 1) * math.radians(largest_deg)


def _rotations(axis: Tensor, angle: Tensor) -> Tensor:
    """Rodrigues' formula, (..., 3) and (...) to (..., 3, 3); no axis (all zero) is no rotation."""
    x, y, z = torch.nn.functional.normalize(axis, dim=-1).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    angle = angle[..., None, None]
    return torch.eye(3) + torch.sin(angle) * cross + (1 - torch.cos(angle)) * (cross @ cross)
