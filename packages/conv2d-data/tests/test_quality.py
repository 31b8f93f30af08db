import json

import numpy as np
import pytest

from conv2d.data import DataError, Repairs, quality_report


def earthly(make_recording, n_steps=1000, **fields):
    """Noise about gravity, which is what a still device reports."""
    signal = make_recording(n_steps).signal.copy()
    signal[2] += 9.81
    return make_recording(n_steps, **({"signal": signal} | fields))


def test_a_clean_recording_has_no_warning(make_recording):
    report = quality_report([earthly(make_recording)])
    assert report.warnings == ()
    (recording,) = report.recordings
    for device in recording.devices:
        assert (device.invalid_steps, device.flat_channels, device.clipped_channels) == (0, {}, {})
        assert device.acc_norm == pytest.approx(9.81, abs=1)


def test_totals_are_over_all_recordings(make_recording):
    labels = np.repeat(np.array([-1, 0, 2, 2], np.int32), 250)
    a = earthly(make_recording, labels=labels)
    b = earthly(make_recording, 500, subject="ada", rate_hz=50.0, labels=np.zeros(500, np.int32))
    report = quality_report([a, b])
    assert report.subjects == ("ada", "rex")
    assert report.rates_hz == (50.0, 100.0)
    assert report.duration_s == 20.0
    assert report.label_share == {"sit": 0.625, "trot": 0.0, "walk": 0.25, "": 0.125}
    assert sum(report.recordings[0].label_share.values()) == 1


def test_gaps_flat_lines_clipping_and_units_are_found(make_recording):
    recording = earthly(make_recording)
    signal = recording.signal.copy()
    signal[4, 0, 100:250] = 0.25  # flat for 1.5 s
    signal[3, 0, 600:604] = signal[3, 0, 700:703] = 9.0  # 4 and 3 steps at the end of its range
    signal[5, 0, 600:606] = 9.0  # once only: a sensor of coarse steps does so at its peak
    signal[:3, 1] /= 9.81  # in g
    valid = recording.valid.copy()
    valid[1, 300:350] = False
    repairs = Repairs(interpolated=(7, 0), gaps=(0, 1), doubled=(2, 0), trimmed_s=(0.0, 1.5))
    report = quality_report([earthly(make_recording, signal=signal, valid=valid, repairs=repairs)])
    collar, harness = report.recordings[0].devices
    assert collar.flat_channels == {"gyro_y": 150}
    assert collar.clipped_channels == {"gyro_x": 7}
    assert (collar.interpolated, collar.doubled, collar.gaps) == (7, 2, 0)
    assert (harness.invalid_steps, harness.gaps, harness.trimmed_s) == (50, 1, 1.5)
    text = "\n".join(report.warnings)
    for words in ("rex/1, collar: flat for up to 1.5 s in gyro_y", "clipped in up to 7 steps in gyro_x"):
        assert words in text
    for words in ("rex/1, harness: median acceleration", "near 1: g", "0.5 s of 10.0 s lie in gaps"):
        assert words in text
    assert len(report.warnings) == 4


def test_filler_is_not_judged(make_recording):
    recording = earthly(make_recording)
    signal, valid = recording.signal.copy(), recording.valid.copy()
    signal[:, 0, 200:500], valid[0, 200:500] = 5.0, False
    (quality,) = quality_report([earthly(make_recording, signal=signal, valid=valid)]).recordings
    assert quality.devices[0].flat_channels == {}


def test_absent_and_silent_devices_are_named(make_recording):
    absent = (("acc", 1), ("gyro", 1), ("mag", 0), ("mag", 1))
    (quality,) = quality_report([make_recording(absent=absent)]).recordings
    assert quality.devices[0].absent_channels == ("mag_x", "mag_y", "mag_z")
    assert len(quality.devices[1].absent_channels) == 9
    assert quality.devices[1].acc_norm is None
    (quality,) = quality_report([make_recording(valid=np.zeros((2, 500), bool))]).recordings
    assert quality.devices[0].acc_norm is None
    assert quality.devices[0].invalid_steps == 500


def test_values_that_no_sensor_measures_are_told_without_overflow(make_recording):
    recording = earthly(make_recording)
    signal = recording.signal.copy()
    signal[0, 0, 5] = 1e30  # its square is beyond float32
    signal[3:6, 1] *= 180  # degrees per second
    report = quality_report([earthly(make_recording, signal=signal)])
    collar, harness = report.recordings[0].devices
    assert collar.out_of_reach == {"acc_x": pytest.approx(1e30)}
    assert set(harness.out_of_reach) == {"gyro_x", "gyro_y", "gyro_z"}
    assert collar.acc_norm == pytest.approx(9.81, abs=1)
    assert sum("beyond any such sensor's range" in warning for warning in report.warnings) == 2


def test_a_slow_channel_is_not_flat_for_one_repeat(make_recording):
    report = quality_report([earthly(make_recording, 200, rate_hz=1.0)])
    assert report.recordings[0].devices[0].flat_channels == {}


def test_recordings_that_disagree_are_told(make_recording):
    a = earthly(make_recording)
    b = earthly(make_recording, subject="ada", devices=("harness", "collar"))
    c = earthly(make_recording, subject="zoe", label_names=("Sit ", "trot", "walk"))
    text = "\n".join(quality_report([a, b, c]).warnings)
    assert "collar + harness in rex/1 and 1 more; harness + collar in ada/1" in text
    assert "labels 'Sit ', 'sit' differ only in case or blanks" in text


def test_the_report_is_json(make_recording):
    report = quality_report([make_recording()])
    values = json.loads(json.dumps(report.to_dict()))
    assert values["recordings"][0]["devices"][1]["name"] == "harness"
    with pytest.raises(DataError, match="at least one"):
        quality_report([])
