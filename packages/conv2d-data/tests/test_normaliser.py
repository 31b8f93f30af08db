import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from conv2d.data import DataError, Normaliser, make_windows

WRONG_KIND: Any = {"kind": "axis"}


@pytest.fixture
def windows(make_recording):
    rng = np.random.default_rng(3)
    recording = make_recording(3000, absent=(("mag", 1),))
    scale, offset = rng.uniform(0.1, 30, (9, 2, 1)), rng.uniform(-10, 10, (9, 2, 1))
    signal = (recording.signal * scale + offset) * recording.channel_mask[:, :, None]
    return make_windows([replace(recording, signal=signal.astype(np.float32))], hop=40)


def test_channel_is_the_z_score_of_scikit_learn(windows):
    normaliser = Normaliser.fit(windows, clip=1e6)
    flat = windows.x.transpose(0, 3, 1, 2).reshape(-1, 18).astype(np.float64)
    peer: Any = StandardScaler().fit(flat)
    np.testing.assert_allclose(normaliser.mean.ravel(), peer.mean_, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(normaliser.scale.ravel(), peer.scale_, rtol=1e-6)
    expected = peer.transform(flat).reshape(len(windows), 100, 9, 2).transpose(0, 2, 3, 1)
    # float32 holds x / scale to 2^-23 of the largest |x / scale|, which is below 1000 here.
    np.testing.assert_allclose(normaliser.transform(windows.x), expected, atol=1000 * 2.0**-22)


def test_absent_channels_become_zero_whatever_comes(windows):
    normaliser = Normaliser.fit(windows)
    z = normaliser.transform(np.full((2, 9, 2, 100), 1e6, np.float32))
    assert not z[:, 6:, 1].any()
    assert (z[:, :6] == 8).all()


def test_clip_holds_and_the_input_stays(windows):
    before = windows.x.copy()
    z = Normaliser.fit(windows, clip=0.5).transform(windows.x)
    assert abs(z).max() == 0.5
    assert z.dtype == np.float32
    assert z.flags.c_contiguous
    np.testing.assert_array_equal(windows.x, before)


def test_sensor_has_one_scale_for_three_axes(windows):
    normaliser = Normaliser.fit(windows, kind="sensor")
    assert not normaliser.mean.any()
    for sensor in range(3):
        for device in range(2):
            x = windows.x[:, 3 * sensor : 3 * sensor + 3, device].astype(np.float64)
            about_mean = x - x.mean(axis=(0, 2), keepdims=True)
            expected = np.sqrt((about_mean**2).mean()) or 1.0
            np.testing.assert_allclose(normaliser.scale[3 * sensor : 3 * sensor + 3, device], expected, rtol=1e-6)


def test_sensor_commutes_with_a_rotation_of_the_sensor(windows):
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    turned = windows.x.copy()
    turned[:, :3, 0] = np.einsum("ij,njt->nit", rotation, windows.x[:, :3, 0])
    normaliser = Normaliser.fit(windows, kind="sensor", clip=1e6)
    after = np.einsum("ij,njt->nit", rotation, normaliser.transform(windows.x)[:, :3, 0])
    scale = abs(after).max()
    np.testing.assert_allclose(normaliser.transform(turned)[:, :3, 0], after, atol=scale * 2.0**-20)


@pytest.mark.parametrize("kind", ["channel", "sensor"])
def test_a_constant_channel_is_not_blown_up(windows, kind):
    x = windows.x.copy()
    x[:, :3, 0] = 9.81
    normaliser = Normaliser.fit(replace(windows, x=x), kind=kind, clip=100)
    assert (normaliser.scale[:3, 0] == 1).all()
    moved = x.copy()
    moved[:, 0, 0] += 0.5
    step = normaliser.transform(moved)[:, 0, 0] - normaliser.transform(x)[:, 0, 0]
    np.testing.assert_allclose(step, 0.5, atol=1e-5)


def test_json_gives_the_same_bits_back(windows):
    normaliser = Normaliser.fit(windows, clip=6.5)
    copy = Normaliser.from_dict(json.loads(json.dumps(normaliser.to_dict())))
    for field in ("mean", "scale", "channel_mask"):
        before, after = getattr(normaliser, field), getattr(copy, field)
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(before, after)
    assert copy.clip == 6.5


def test_bad_arguments_are_refused(windows):
    with pytest.raises(DataError, match="at least one"):
        Normaliser.fit(windows.select([]))
    with pytest.raises(DataError, match=r"kind.*'channel' or 'sensor'.*'axis'"):
        Normaliser.fit(windows, **WRONG_KIND)
    with pytest.raises(DataError, match="clip must be a positive"):
        Normaliser.fit(windows, clip=0)
    normaliser = Normaliser.fit(windows)
    with pytest.raises(DataError, match="float64"):
        normaliser.transform(windows.x.astype(np.float64))
    with pytest.raises(DataError, match="scale finite and positive"):
        replace(normaliser, scale=normaliser.scale * 0)
    values = normaliser.to_dict()
    for change, words in (
        ({"extra": 1}, "keys must be"),
        ({"mean": "abc"}, "must be numbers"),
        ({"mean": [1.0]}, "mean must be float32"),
        ({"channel_mask": [[1, 1]] * 9}, "channel_mask must be bool"),
    ):
        with pytest.raises(DataError, match=words):
            Normaliser.from_dict(values | change)
