import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conv2d.data import DataError, Dropped, check_windows, make_windows

HEALTH = settings(max_examples=40, deadline=None)


def by_hand(recordings, hop, min_purity=0.0, keep_unlabelled=False):
    """The rule of make_windows, one window at a time."""
    rows, dropped = [], {"gap": 0, "unlabelled": 0, "impure": 0, "short": 0}
    for index, r in enumerate(recordings):
        dropped["short"] += r.n_steps < 100
        for start in range(0, r.n_steps - 99, hop):
            piece = slice(start, start + 100)
            counts = {code: int((r.labels[piece] == code).sum()) for code in range(-1, len(r.label_names))}
            label = max(counts, key=lambda code: (counts[code], -code))
            if not r.valid[:, piece].all():
                dropped["gap"] += 1
            elif label == -1 and not keep_unlabelled:
                dropped["unlabelled"] += 1
            elif counts[label] / 100 < min_purity:
                dropped["impure"] += 1
            else:
                rows.append((r.signal[:, :, piece], label, counts[label] / 100, index, start))
    return rows, Dropped(**dropped)


@given(
    lengths=st.lists(st.integers(1, 420), min_size=1, max_size=4),
    hop=st.integers(1, 160),
    min_purity=st.sampled_from([0.0, 0.3, 0.55, 0.57, 0.9, 1.0]),
    keep=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@HEALTH
def test_windows_are_those_cut_by_hand(lengths, hop, min_purity, keep, seed):
    recordings = [_noise(n, f"s{i % 2}", str(i), seed + i) for i, n in enumerate(lengths)]
    windows = make_windows(recordings, hop=hop, min_purity=min_purity, keep_unlabelled=keep)
    rows, dropped = by_hand(recordings, hop, min_purity, keep)
    assert windows.dropped == dropped
    assert len(windows) == len(rows)
    check_windows(windows.x)
    for i, (x, label, purity, recording, start) in enumerate(rows):
        np.testing.assert_array_equal(windows.x[i], x)
        assert (windows.y[i], windows.recording[i], windows.start[i]) == (label, recording, start)
        assert windows.purity[i] == np.float32(purity)
        assert windows.subject[i] == recordings[recording].subject


def _noise(n_steps, subject, session, seed):
    from conv2d.data import Recording

    rng = np.random.default_rng(seed)
    valid = np.ones((2, n_steps), bool)
    if rng.random() < 0.5:
        at = rng.integers(n_steps)
        valid[rng.integers(2), at : at + 30] = False
    return Recording(
        subject=subject,
        session=session,
        devices=("a", "b"),
        signal=rng.normal(size=(9, 2, n_steps)).astype(np.float32),
        channel_mask=np.ones((9, 2), bool),
        rate_hz=100.0,
        labels=np.repeat(rng.integers(-1, 3, n_steps), rng.integers(1, 60))[:n_steps].astype(np.int32),
        label_names=("sit", "trot", "walk"),
        valid=valid,
    )


def test_of_equal_labels_the_lowest_code_wins(make_recording):
    labels = np.repeat(np.array([2, 1], np.int32), 50)
    windows = make_windows([make_recording(100, labels=labels)], hop=1)
    assert windows.y.tolist() == [1]
    assert windows.purity.tolist() == [0.5]


def test_rate_hop_and_subjects_travel_with_the_windows(make_recording):
    recordings = [make_recording(300, subject=s, rate_hz=50.0) for s in ("zoe", "rex", "ada")]
    windows = make_windows(recordings, hop=25)
    assert windows.hop_s == 0.5
    assert windows.subjects == ("ada", "rex", "zoe")
    assert windows.recording_names == ("zoe/1", "rex/1", "ada/1")
    rex = windows.of_subjects(["rex"])
    assert set(rex.subject) == {"rex"}
    assert len(rex) == 9
    np.testing.assert_array_equal(rex.x, windows.x[9:18])


def test_select_takes_masks_and_indices_in_order(make_recording):
    windows = make_windows([make_recording(500)], hop=50)
    np.testing.assert_array_equal(windows.select([3, 1]).start, windows.start[[3, 1]])
    np.testing.assert_array_equal(windows.select(windows.start >= 200).start, windows.start[windows.start >= 200])
    assert len(windows.select([])) == 0
    for index, words in (([True], "mask"), ([99], "0 … 8"), ([-1], "0 … 8"), ([0.5], "integers")):
        with pytest.raises(DataError, match=words):
            windows.select(index)
    with pytest.raises(DataError, match=r"'bob'.*rex"):
        windows.of_subjects(["rex", "bob"])
    with pytest.raises(DataError, match=r"\['rex'\]"):
        windows.of_subjects("rex")


def test_an_absent_device_does_not_cost_windows(make_recording):
    absent = (("acc", 1), ("gyro", 1), ("mag", 1))
    windows = make_windows([make_recording(300, absent=absent)], hop=100)
    assert len(windows) == 3
    assert not windows.x[:, :, 1].any()
    assert not windows.channel_mask[:, 1].any()


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ({}, {"session": "2", "rate_hz": 50.0}, ("rate_hz", "100.0", "50.0", "resample")),
        ({}, {"session": "2", "devices": ("collar", "back")}, ("devices", "back")),
        ({}, {"session": "2", "label_names": ("a", "b", "c")}, ("label_names", "with_label_names")),
        ({}, {"session": "2", "absent": (("mag", 0),)}, ("channels", "collar_mag_x")),
        ({}, {"session": "2", "mag_unit": "earth_field"}, ("mag_unit", "earth_field")),
        ({}, {}, ("two recordings are named rex/1",)),
    ],
)
def test_recordings_that_do_not_agree_are_refused(make_recording, first, second, words):
    with pytest.raises(DataError) as error:
        make_windows([make_recording(**first), make_recording(**second)], hop=50)
    for word in ("rex/1", *words):
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"hop": 0}, "hop.*1 or more.*0"),
        ({"hop": 2.5}, r"hop.*whole.*2\.5"),
        ({"hop": True}, "hop.*whole.*True"),
        ({"hop": 1, "min_purity": 1.5}, r"min_purity.*0 … 1.*1\.5"),
        ({"hop": 1, "min_purity": float("nan")}, "min_purity.*nan"),
    ],
)
def test_arguments_out_of_range_are_refused(make_recording, arguments, words):
    with pytest.raises(DataError, match=words):
        make_windows([make_recording()], **arguments)


def test_no_recording_is_refused():
    with pytest.raises(DataError, match="at least one recording"):
        make_windows([], hop=1)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((3, 9, 2, 100)), ("float32 (3, 9, 2, 100)", "float64")),
        (np.zeros((3, 2, 9, 100), np.float32), ("(3, 9, 2, 100)", "(3, 2, 9, 100)")),
        (np.zeros((3, 9, 2, 128), np.float32), ("(3, 9, 2, 100)", "(3, 9, 2, 128)")),
        (np.zeros((9, 2, 100), np.float32), ("(9, 2, 100)",)),
        (np.zeros((100, 2, 9, 3), np.float32).T, ("C-contiguous",)),
        (np.full((2, 9, 2, 100), np.inf, np.float32), ("window 0", "acc_x", "device 0", "step 0", "inf")),
        ([1.0], ("numpy array", "list")),
    ],
)
def test_check_windows_refuses_what_is_not_a_window_batch(x, words):
    with pytest.raises(DataError) as error:
        check_windows(x)
    for word in words:
        assert word in str(error.value)


def test_windows_refuse_arrays_that_do_not_belong_together(make_recording):
    from dataclasses import replace

    windows = make_windows([make_recording()], hop=100)
    for change, words in (
        ({"y": windows.y[:-1]}, "y must be int32"),
        ({"y": windows.y + np.int32(9)}, "index into label_names"),
        ({"recording": windows.recording + np.int32(1)}, "recording_names"),
        ({"recording_subjects": ("a", "b")}, "one length"),
    ):
        with pytest.raises(DataError, match=words):
            replace(windows, **change)
