import numpy as np
import pytest

from conv2d.data import DataError, make_windows, resample


def sine(make_recording, hz, rate, seconds=10.0):
    t = np.arange(int(seconds * rate)) / rate
    signal = np.broadcast_to(np.sin(2 * np.pi * hz * t), (9, 2, len(t))).astype(np.float32)
    return make_recording(len(t), signal=np.ascontiguousarray(signal), rate_hz=float(rate))


@pytest.mark.parametrize(("old", "new"), [(100, 50), (100, 25), (25, 100), (50, 100), (102.4, 100), (100, 60)])
def test_a_sine_stays_a_sine(make_recording, old, new):
    hz = 0.3 * min(old, new) / 2
    recording = resample(sine(make_recording, hz, old), new)
    t = np.arange(recording.n_steps) / new
    inner = slice(int(0.1 * len(t)), int(0.9 * len(t)))
    # The passband ripple of a Kaiser window with beta 5 is 10^(-54/20) = 0.2 %; 1 % leaves room for its images.
    np.testing.assert_allclose(recording.signal[0, 0, inner], np.sin(2 * np.pi * hz * t)[inner], atol=0.01)
    assert recording.rate_hz == new
    assert abs(recording.duration_s - 10) <= 1 / new + 1 / old


def test_what_the_new_rate_cannot_hold_is_filtered_out(make_recording):
    recording = resample(sine(make_recording, 40.0, 100), 25)
    inner = recording.signal[0, 0, 25:-25]
    assert abs(inner).max() < 0.01  # plain decimation would fold 40 Hz to 10 Hz at full height


def test_a_level_keeps_its_height_to_the_ends(make_recording):
    signal = np.full((9, 2, 400), 9.81, np.float32)
    recording = resample(make_recording(400, signal=signal), 50.0)
    np.testing.assert_allclose(recording.signal, 9.81, rtol=0.003)


def test_labels_are_the_nearest_and_absent_channels_stay_zero(make_recording):
    recording = make_recording(400, absent=(("mag", 0),))
    half = resample(recording, 50.0)
    np.testing.assert_array_equal(half.labels, recording.labels[::2])
    assert not half.signal[6:, 0].any()
    np.testing.assert_array_equal(half.channel_mask, recording.channel_mask)
    assert resample(recording, 100.0) is recording


@pytest.mark.parametrize("new", [50.0, 25.0, 200.0, 80.0])
def test_filler_never_reaches_a_valid_step(make_recording, new):
    valid = np.ones((2, 1000), bool)
    valid[1, 500:530] = False
    recording = make_recording(1000, valid=valid)
    other = recording.signal.copy()
    other[:, 1, 500:530] = 1000.0
    one, two = (resample(make_recording(1000, valid=valid, signal=s), new) for s in (recording.signal, other))
    np.testing.assert_array_equal(one.valid, two.valid)
    assert one.valid[0].all()
    assert 0.5 < one.valid[1].mean() < 0.97
    np.testing.assert_array_equal(one.signal[:, one.valid], two.signal[:, two.valid])


def test_a_data_set_of_another_rate_makes_windows_after_it(make_recording):
    assert make_windows([resample(make_recording(1000, rate_hz=25.0), 100.0)], hop=25).rate_hz == 100.0


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), 100 * np.pi, 1e6])
def test_a_rate_that_cannot_be_reached_is_refused(make_recording, rate):
    with pytest.raises(DataError, match=r"resample: recording rex/1"):
        resample(make_recording(), rate)
