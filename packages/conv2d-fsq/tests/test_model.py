"""The encoder and classifier: shapes, edge safety, determinism."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from conv2d.features import FSQ, Conv2dEncoder, WindowClassifier, device_codes


@pytest.mark.parametrize("batch", [1, 3])
def test_shapes(batch: int) -> None:
    model = WindowClassifier(5, levels=[8, 6, 5], embedding_dim=64, width=8).eval()
    logits, codes = model(torch.randn(batch, 9, 2, 100))
    assert logits.shape == (batch, 5)
    assert codes.shape == (batch, 64)
    assert codes.dtype == torch.int32


def test_the_codes_decide_the_logits() -> None:
    model = WindowClassifier(5, width=8).eval()
    x = torch.randn(4, 9, 2, 100)
    logits, codes = model(x)
    quantizer = model.quantizer
    assert isinstance(quantizer, FSQ)
    torch.testing.assert_close(model.head(quantizer.indices_to_values(codes)), logits, rtol=0, atol=0)


def test_initial_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = WindowClassifier(5, width=8, seed=7)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(2)
    again, other = WindowClassifier(5, width=8, seed=7), WindowClassifier(5, width=8, seed=8)
    for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_every_weight_learns() -> None:
    model = WindowClassifier(5, width=8)
    nn.functional.cross_entropy(model(torch.randn(16, 9, 2, 100))[0], torch.arange(16) % 5).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_the_two_devices_are_told_apart() -> None:
    model = Conv2dEncoder(width=8).eval()
    x = torch.randn(1, 9, 2, 100)
    assert not torch.allclose(model(x), model(x.flip(2)), atol=1e-3)


def test_scalars_spread_over_their_levels_from_the_first_step() -> None:
    """Batch statistics give every scalar unit spread, so an untrained encoder uses every level of every scalar."""
    model = WindowClassifier(5, width=8).train()
    z = model.encoder(torch.from_numpy(np.random.default_rng(0).normal(size=(512, 9, 2, 100)).astype(np.float32)))
    _, codes = model.quantizer(z)
    values = model.quantizer.indices_to_values(codes)
    for i, count in enumerate([8, 6, 5]):
        assert len(values[..., i].unique()) == count


def settled(model: WindowClassifier) -> WindowClassifier:
    """Give the batch norms statistics, as training does; before it, all outputs are close to zero."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.randn(256, 9, 2, 100, generator=torch.Generator().manual_seed(0)))
    return model.eval()


def test_a_device_alone_holds_nothing_of_the_other() -> None:
    model = settled(WindowClassifier(5, width=8))
    x = torch.randn(4, 9, 2, 100)
    other = x.clone()
    other[:, :, 1] = torch.randn(4, 9, 100)
    codes, changed = model.device_codes(x), model.device_codes(other)
    assert (codes.shape, codes.dtype) == ((4, 2, 64), torch.int32)
    assert torch.equal(codes[:, 0], changed[:, 0])
    assert not torch.equal(codes[:, 1], changed[:, 1])
    masked = x.clone()
    masked[:, :, 1] = 0
    assert torch.equal(codes[:, 0], model(masked)[1])


def test_device_codes_of_arrays_are_those_of_the_model() -> None:
    model = settled(WindowClassifier(5, width=8))
    x = np.random.default_rng(0).normal(size=(3, 9, 2, 100)).astype(np.float32)
    with torch.no_grad():
        codes = device_codes(x, encoder=lambda v: model.encoder(torch.from_numpy(v)).numpy())
        np.testing.assert_array_equal(codes, model.device_codes(torch.from_numpy(x)).numpy())
    assert device_codes(x[:0]).shape == (0, 2, 64)
