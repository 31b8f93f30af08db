"""What augmentation may change, and what it must leave."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from conv2d_train.augment import augment
from conv2d_train.config import AugmentConfig

NOTHING = {"heading_deg": 0.0, "rotation_deg": 0.0, "scale": 0.0, "jitter": 0.0}


def config(**changes: float) -> AugmentConfig:
    return AugmentConfig(**(NOTHING | changes))


@pytest.fixture
def still() -> Tensor:
    """Windows of devices at rest, each with its own gravity, rotation rates and field."""
    torch.manual_seed(0)
    return torch.randn(64, 9, 2, 1).expand(64, 9, 2, 100).contiguous()


def triads(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return tuple(x.reshape(len(x), 3, 3, 2, 100).unbind(1))  # type: ignore[return-value]


def signed_angle(a: Tensor, b: Tensor, axis: Tensor) -> Tensor:
    """Angle from a to b about a unit axis, all (B, 3, 2, 100)."""
    flat_a, flat_b = (v - (v * axis).sum(1, keepdim=True) * axis for v in (a, b))
    return torch.atan2((torch.linalg.cross(flat_a, flat_b, dim=1) * axis).sum(1), (flat_a * flat_b).sum(1))


def test_nothing_asked_is_nothing_done(still: Tensor) -> None:
    torch.testing.assert_close(augment(still, config()), still, rtol=0, atol=0)


def test_heading_turns_the_field_about_gravity_by_one_angle_for_both_devices(still: Tensor) -> None:
    torch.manual_seed(1)
    turned = augment(still, config(heading_deg=180))
    acc, gyro, field = triads(still)
    new_acc, new_gyro, new_field = triads(turned)
    torch.testing.assert_close(new_acc, acc, rtol=0, atol=0)
    torch.testing.assert_close(new_gyro, gyro, rtol=0, atol=0)
    axis = torch.nn.functional.normalize(acc, dim=1)
    torch.testing.assert_close((new_field * axis).sum(1), (field * axis).sum(1), rtol=0, atol=1e-5)
    torch.testing.assert_close(new_field.norm(dim=1), field.norm(dim=1), rtol=1e-5, atol=1e-5)
    angle = signed_angle(field, new_field, axis)[..., 0]  # (B, device)
    difference = torch.remainder(angle[:, 0] - angle[:, 1] + torch.pi, 2 * torch.pi) - torch.pi
    assert difference.abs().max() < 1e-3
    assert angle.std() > 1.5  # uniform over the circle: 1.8


def test_without_gravity_the_field_stays(still: Tensor) -> None:
    still[:, :3] = 0
    torch.testing.assert_close(augment(still, config(heading_deg=180)), still, rtol=0, atol=1e-6)


def test_a_rotation_of_the_mounting_keeps_lengths_and_angles_between_sensors(still: Tensor) -> None:
    turned = augment(still, config(rotation_deg=40))
    assert not torch.allclose(turned, still, atol=0.1)
    for before, after in zip(triads(still), triads(turned), strict=True):
        torch.testing.assert_close(after.norm(dim=1), before.norm(dim=1), rtol=1e-4, atol=1e-5)
        cosine = torch.nn.functional.cosine_similarity(before, after, dim=1)
        assert cosine.min() >= torch.cos(torch.deg2rad(torch.tensor(40.0))) - 1e-4
    (acc, _, field), (new_acc, _, new_field) = triads(still), triads(turned)
    torch.testing.assert_close((new_acc * new_field).sum(1), (acc * field).sum(1), rtol=1e-3, atol=1e-4)


def test_absent_channels_stay_absent(still: Tensor) -> None:
    still[:, 6:] = 0
    still[:, :, 1] = 0
    out = augment(still, AugmentConfig())
    assert (out[:, 6:] == 0).all()
    assert (out[:, :, 1] == 0).all()
    assert (out[:, :6, 0] != still[:, :6, 0]).any()
