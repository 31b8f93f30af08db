from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conv2d.data import DataError, DeviceStream, LabelTrack, align

HEALTH = settings(max_examples=40, deadline=None)
ACC = ("acc_x", "acc_y", "acc_z")


def put(streams, rate_hz=100.0, **options: Any):
    return align(streams, rate_hz, subject="s1", session="1", **options)


def stream(t, name="wrist", seed=0, channels=ACC):
    values = np.random.default_rng(seed).normal(size=(len(channels), len(t))).astype(np.float32)
    return DeviceStream(name, np.asarray(t, np.float64), values, channels)


def jittered(n, seed, rate=100.0, ties=False):
    rng = np.random.default_rng(seed)
    t = np.sort(np.arange(n) / rate + rng.uniform(-0.4, 0.4, n) / rate)
    return np.round(t, 2) if ties else t


@given(n=st.integers(2, 300), seed=st.integers(0, 999), offset=st.floats(-0.5, 0.5), ties=st.booleans())
@HEALTH
def test_values_are_those_of_numpy_interp(n, seed, offset, ties):
    n = max(n, 120)  # so that the two devices share time
    a, b = stream(jittered(n, seed, ties=ties)), stream(jittered(n, seed + 1) + offset, "ankle", 1)
    recording = put([a, b])
    grid = max(a.t_s[0], b.t_s[0]) + np.arange(recording.n_steps) / 100
    assert recording.start_s == grid[0]
    assert grid[-1] <= min(a.t_s[-1], b.t_s[-1]) < grid[-1] + 0.0101
    assert recording.valid.all()
    for device, one in enumerate((a, b)):
        for row in range(3):
            # Both interpolate in float64; the difference is one rounding to float32.
            expected = np.interp(grid, one.t_s, one.values[row])
            np.testing.assert_allclose(recording.signal[row, device], expected, rtol=2**-23, atol=2**-22)
    assert recording.repairs.doubled == (int((np.diff(a.t_s) == 0).sum()), int((np.diff(b.t_s) == 0).sum()))


def test_a_stream_on_the_grid_is_copied_bit_for_bit():
    for start in (0.0, 0.003, 1.6e9):
        one = stream(start + np.arange(1000) / 100)
        recording = put([one])
        np.testing.assert_array_equal(recording.signal[:3, 0], one.values)
        assert recording.start_s == start
        assert recording.devices == ("wrist", "absent")
        assert recording.channel_mask.sum() == 3
        assert recording.valid.all()


@given(gap_steps=st.integers(1, 60), max_gap_steps=st.integers(1, 60), at=st.integers(1, 100))
@HEALTH
def test_long_gaps_become_invalid_and_short_ones_are_counted(gap_steps, max_gap_steps, at):
    """Drop `gap_steps` samples: the time between the neighbours is one step more than that."""
    t = np.arange(400) / 100
    kept = np.ones(400, bool)
    kept[at : at + gap_steps] = False
    holey = stream(t[kept])
    recording = put([holey, stream(t, "ankle")], max_gap_s=max_gap_steps / 100)
    long = gap_steps + 1 > max_gap_steps
    np.testing.assert_array_equal(recording.valid[0], kept | (not long))
    assert recording.valid[1].all()
    assert recording.repairs.gaps == (int(long), 0)
    assert recording.repairs.interpolated == (0 if long else gap_steps, 0)
    np.testing.assert_array_equal(recording.signal[:3, 0, kept], holey.values)
    assert np.isfinite(recording.signal).all()


def test_the_common_span_is_kept_and_the_rest_counted():
    a, b = stream(np.arange(500) / 100), stream(1.0 + np.arange(500) / 100, "ankle")
    recording = put([a, b])
    assert (recording.start_s, recording.n_steps) == (1.0, 400)
    np.testing.assert_array_equal(recording.signal[:3, 0], a.values[:, 100:])
    np.testing.assert_array_equal(recording.signal[:3, 1], b.values[:, :400])
    assert recording.repairs.trimmed_s == (1.0, 1.0)


def test_labels_are_those_of_the_nearest_row():
    track = LabelTrack(np.array([0.0, 0.1, 0.2, 0.3]), np.array([2, -1, 0, 1], np.int32), ("a", "b", "c"))
    recording = put([stream(np.arange(41) / 100)], labels=track)
    nearest = [track.codes[np.argmin(abs(track.t_s - t) - 1e-12 * (track.t_s < t))] for t in np.arange(41) / 100]
    assert recording.labels.tolist() == nearest
    assert recording.label_names == ("a", "b", "c")
    single = put([stream(np.arange(9) / 100)], labels=LabelTrack(np.zeros(1), np.ones(1, np.int32), ("a", "b")))
    assert single.labels.tolist() == [1] * 9


@pytest.mark.parametrize(
    ("streams", "arguments", "words"),
    [
        ((0.0, 2.5), {}, ("s1/1", "2.500 s apart", "wrist 0.000", "ankle 2.500", "limit of 2 s", "max_clock_offset_s")),
        ((0.0, 0.6), {"max_clock_offset_s": 0.5}, ("0.600 s apart", "limit of 0.5 s")),
        ((0.0, 1000.0), {}, ("share no time", "shift one")),
        ((0.0, 0.0), {"rate_hz": 50.0}, ("wrist", "100 Hz", "grid of 50 Hz", "resample")),
        ((0.0, 0.0), {"rate_hz": 200.0}, ("100 Hz", "grid of 200 Hz")),
        ((0.0, 0.0), {"rate_hz": 0.0}, ("grid of 0 Hz",)),
        ((0.0, 0.0), {"rate_hz": float("nan")}, ("grid of nan Hz",)),
        ((0.0, 0.0), {"max_gap_s": 0.0}, ("max_gap_s", "positive", "0.0")),
        ((0.0, 0.0, 0.0), {}, ("one or two devices", "3")),
        ((), {}, ("one or two devices", "0")),
    ],
)
def test_clocks_that_cannot_be_aligned_are_refused(streams, arguments, words):
    t = np.arange(500) / 100
    devices = [stream(t + start, name) for start, name in zip(streams, ("wrist", "ankle", "waist"), strict=False)]
    with pytest.raises(DataError) as error:
        put(devices, **arguments)
    for word in words:
        assert word in str(error.value)


def test_seconds_taken_for_milliseconds_are_refused():
    with pytest.raises(DataError, match=r"0\.1 Hz.*time is in seconds"):
        put([stream(np.arange(500) * 10.0)])


@pytest.mark.parametrize(
    ("t", "change", "words"),
    [
        ([0.0, 0.02, 0.01], {}, ("'wrist'", "never run back", "0.02 s to 0.01 s at sample 2")),
        ([0.0, float("nan"), 0.01], {}, ("finite", "nan")),
        ([0.0], {}, ("1 sample", "two")),
        ([0.0, 0.0, 0.0, 1.0], {}, ("too coarsely", "milliseconds")),
        ([0.0, 0.01], {"values": np.zeros((3, 2))}, ("values", "float32 (3, 2)", "float64")),
        ([0.0, 0.01], {"values": np.zeros((3, 3), np.float32)}, ("values", "(3, 2)", "(3, 3)")),
        ([0.0, 0.01], {"values": np.full((3, 2), np.inf, np.float32)}, ("acc_x", "inf", "sample 0")),
        ([0.0, 0.01], {"channels": ("acc_x", "acc_y", "temp")}, ("channels", "temp")),
        ([0.0, 0.01], {"channels": ("acc_x", "acc_x", "acc_y")}, ("channels",)),
        ([0.0, 0.01], {"t_s": np.zeros(2, np.float32)}, ("t_s", "float64", "float32")),
    ],
)
def test_a_stream_refuses_what_breaks_the_contract(t, change, words):
    fields = {
        "name": "wrist",
        "t_s": np.array(t),
        "values": np.zeros((3, len(t)), np.float32),
        "channels": ACC,
    }
    with pytest.raises(DataError) as error:
        DeviceStream(**(fields | change))
    for word in words:
        assert word in str(error.value)
