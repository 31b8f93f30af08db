import numpy as np
import pytest

from conv2d.data import CHANNELS, DataError


def test_channels_are_the_contract():
    assert CHANNELS == ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z", "mag_x", "mag_y", "mag_z")


def test_a_recording_says_its_name_and_length(make_recording):
    recording = make_recording(250, rate_hz=50.0)
    assert (recording.name, recording.n_steps, recording.duration_s) == ("rex/1", 250, 5.0)


def _nan(shape=(9, 2, 500)):
    signal = np.zeros(shape, np.float32)
    signal[1, 1, 7] = np.nan
    return signal


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"signal": np.zeros((9, 2, 500))}, ("signal", "float32 (9, 2, 500)", "float64 (9, 2, 500)")),
        ({"signal": np.zeros((2, 9, 500), np.float32)}, ("signal", "(9, 2, 500)", "(2, 9, 500)")),
        ({"signal": np.zeros((9, 2, 0), np.float32)}, ("at least one step", "(9, 2, 0)")),
        ({"signal": np.zeros((500, 2, 9), np.float32).T}, ("C-contiguous", "ascontiguousarray")),
        ({"signal": _nan()}, ("harness acc_y", "nan", "step 7", "valid")),
        ({"signal": [[0.0]]}, ("signal", "numpy array", "list")),
        ({"labels": np.zeros(500, np.int64)}, ("labels", "int32", "int64")),
        ({"labels": np.zeros(499, np.int32)}, ("labels", "(500,)", "(499,)")),
        ({"labels": np.full(500, 3, np.int32)}, ("−1 … 2", "3")),
        ({"labels": np.full(500, -2, np.int32)}, ("−1 … 2", "-2")),
        ({"valid": np.ones((2, 500), np.int8)}, ("valid", "bool", "int8")),
        ({"channel_mask": np.zeros((9, 2), bool)}, ("collar acc_x", "absent", "not 0")),
        ({"rate_hz": 0.0}, ("rate_hz", "positive", "0.0")),
        ({"start_s": float("inf")}, ("start_s", "finite", "inf")),
        ({"subject": "a/b"}, ("subject", "'a/b'")),
        ({"session": ""}, ("session", "''")),
        ({"devices": ("collar",)}, ("devices", "2", "absent")),
        ({"devices": ("collar", "collar")}, ("devices", "differ")),
        ({"label_names": ("a", "a", "b")}, ("label_names", "differ")),
        ({"label_names": ["a", "b", "c"]}, ("label_names", "tuple")),
        ({"mag_unit": "gauss"}, ("mag_unit", "'uT'", "'gauss'")),
    ],
)
def test_a_recording_refuses_what_breaks_the_contract(make_recording, fields, words):
    with pytest.raises(DataError) as error:
        make_recording(**fields)
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_with_label_names_keeps_every_label(make_recording):
    labels = np.array([0, 1, -1, 2, 0] * 20, np.int32)
    recording = make_recording(100, labels=labels)
    names = ("walk", "lie", "sit", "trot")
    other = recording.with_label_names(names)
    assert other.label_names == names
    before = [recording.label_names[code] if code >= 0 else None for code in labels]
    after = [names[code] if code >= 0 else None for code in other.labels]
    assert before == after
    assert other.labels.dtype == np.int32
    assert other.signal is recording.signal


def test_with_label_names_refuses_a_label_it_would_lose(make_recording):
    recording = make_recording(100, labels=np.repeat(np.array([0, 1], np.int32), 50))
    recording.with_label_names(["sit", "trot"])  # "walk" does not occur
    with pytest.raises(DataError, match=r"rex/1.*'trot' at step 50.*known labels sit, walk.*label_names"):
        recording.with_label_names(["sit", "walk"])
