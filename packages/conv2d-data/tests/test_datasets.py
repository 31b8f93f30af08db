"""The data sets' readers: on the real recordings against the baselines' own windowing, and on small tables of their layout."""

import numpy as np
import polars as pl
import pytest
from sklearn.model_selection import GroupKFold

from conv2d.data import CHANNELS, DataError, group_folds, make_windows, read_recordings

ACC_GYRO = CHANNELS[:6]


def columns(frame, device, channels):
    return frame.select(f"{device}_{channel}" for channel in channels).to_numpy().T.astype(np.float64)


def spsw_pieces(folder):
    """Yield (subject, signal, labels) as `baselines.py` does: numpy.interp on a 100 Hz grid, label of the next row."""
    for file in sorted(folder.glob("*_phone.parquet")):
        subject = file.stem.removesuffix("_phone")
        both = [pl.read_parquet(folder / f"{subject}_{device}.parquet") for device in ("phone", "watch")]
        for run in sorted(both[0]["execution"].unique()):
            phone, watch = (frame.filter(pl.col("execution") == run) for frame in both)
            clocks = [phone["t"].to_numpy(), watch["t"].to_numpy()]
            grid = np.arange(max(t[0] for t in clocks), min(t[-1] for t in clocks), 1 / 100)
            signal = np.zeros((9, 2, len(grid)), np.float32)
            for d, (frame, name) in enumerate(((phone, "phone"), (watch, "watch"))):
                for c, values in enumerate(columns(frame, name, ACC_GYRO)):
                    signal[c, d] = np.interp(grid, clocks[d], values)
                # At a time that several samples share, the rounding of the grid chooses one of them.
                doubled = clocks[d][1:][np.diff(clocks[d]) == 0]
                signal[:, d, (abs(grid[:, None] - doubled) < 1e-9).any(axis=1)] = np.nan
            row = np.clip(np.searchsorted(clocks[0], grid), 0, len(phone) - 1)
            yield subject, signal, phone["label"].to_numpy()[row].astype(str)


def block_pieces(folder, piece, devices, channels):
    for file in sorted(folder.glob("*.parquet")):
        for part in pl.read_parquet(file).partition_by(piece, maintain_order=True):
            signal = np.zeros((9, 2, len(part)), np.float32)
            for d, device in enumerate(devices):
                signal[: len(channels), d] = columns(part, device, channels)
            yield file.stem, signal, part["label"].to_numpy().astype(str)


def baseline_windows(pieces, hop):
    x, y, subjects = [], [], []
    for subject, signal, labels in pieces:
        names, codes = np.unique(labels, return_inverse=True)
        for start in range(0, signal.shape[-1] - 99, hop):
            x.append(signal[:, :, start : start + 100])
            y.append(names[np.bincount(codes[start : start + 100]).argmax()])
            subjects.append(subject)
    return np.stack(x), np.array(y), np.array(subjects)


SETS = {
    "spsw": (25, 6881, 17, 5, lambda folder: spsw_pieces(folder)),
    "dsads": (50, 16986, 6, 6, lambda folder: block_pieces(folder, "block", ("rarm", "rleg"), CHANNELS)),
    "hapt": (50, 15843, 22, 5, lambda folder: block_pieces(folder, "exp", ("waist",), ACC_GYRO)),
}


@pytest.mark.parametrize("name", SETS)
def test_windows_are_those_of_the_baselines(shared, name):
    hop, n_windows, n_subjects, folds, pieces = SETS[name]
    folder = shared("data", name)
    windows = make_windows(read_recordings(folder, name), hop=hop)
    x, labels, subjects = baseline_windows(pieces(folder), hop)

    assert len(windows) == len(x) == n_windows
    assert len(windows.subjects) == n_subjects
    np.testing.assert_array_equal(windows.subject, subjects)
    ours = np.array(windows.label_names)[windows.y]
    if name == "spsw":
        # Both interpolate in float64 and round once to float32; labels differ where the nearest row is not the next.
        decided = np.isfinite(x)
        assert np.allclose(windows.x[decided], x[decided], rtol=2**-23, atol=2**-22)
        assert decided.mean() > 0.99
        assert (ours == labels).mean() >= 0.995
    else:
        assert np.array_equal(windows.x, x)
        assert np.array_equal(ours, labels)

    sizes = {s: int((subjects == s).sum()) for s in windows.subjects}
    ours = sorted(sum(sizes[s] for s in fold) for fold in group_folds(sizes, folds))
    peers = sorted(len(test) for _, test in GroupKFold(folds).split(subjects, groups=subjects))
    assert ours == peers


def test_spsw_rates_masks_and_repairs(shared):
    recordings = read_recordings(shared("data", "spsw"), "spsw")
    assert {r.rate_hz for r in recordings} == {100.0}
    assert {r.devices for r in recordings} == {("phone", "watch")}
    assert all(r.channel_mask[:6].all() and not r.channel_mask[6:].any() for r in recordings)
    assert all(r.valid.all() for r in recordings)
    assert max(max(r.repairs.trimmed_s) for r in recordings) == pytest.approx(1.07, abs=0.02)
    assert sum(r.repairs.doubled[0] for r in recordings) > 10_000  # the phone's clock ticks in milliseconds
    with pytest.raises(DataError, match=r"s\d\d/execution\d\d.*limit of 0\.5 s"):
        read_recordings(shared("data", "spsw"), "spsw", max_clock_offset_s=0.5)
    gappy = read_recordings(shared("data", "spsw"), "spsw", max_gap_s=0.05)
    assert sum(sum(r.repairs.gaps) for r in gappy) > 0


def test_dsads_has_a_mirrored_second_pair(shared):
    (right, *_), (left, *_) = (
        read_recordings(shared("data", "dsads", "p2.parquet"), "dsads", devices=devices)
        for devices in (("rarm", "rleg"), ("larm", "lleg"))
    )
    assert (right.name, right.rate_hz, right.mag_unit, right.n_steps) == ("p2/block01", 25.0, "earth_field", 7500)
    assert left.devices == ("larm", "lleg")
    assert not np.array_equal(left.signal, right.signal)
    # Multiples of the earth's field: the norm is near 1, not near 50 as in microtesla.
    assert 0.5 < np.median(np.linalg.norm(right.signal[6:, 0], axis=0)) < 1.2


def test_hapt_has_one_device_and_keeps_null(shared):
    recordings = read_recordings(shared("data", "hapt"), "hapt")
    assert {r.devices for r in recordings} == {("waist", "absent")}
    assert not any(r.channel_mask[:, 1].any() for r in recordings)
    labels = np.concatenate([r.labels for r in recordings])
    assert labels.min() == 0
    assert (labels == recordings[0].label_names.index("null")).mean() == pytest.approx(0.27, abs=0.02)


def small(devices, channels, piece, label, n=200, rate=100.0, start=0.0):
    rng = np.random.default_rng(0)
    signal = {f"{d}_{c}": rng.normal(size=n).astype(np.float32) for d in devices for c in channels}
    return pl.DataFrame(
        {"t": start + np.arange(n) / rate, piece: np.ones(n, np.int16)} | signal | {"label": [label] * n}
    )


def write_spsw(folder, subject="s01", change_watch=lambda frame: frame, start=0.0, watch=True):
    small(["phone"], ACC_GYRO, "execution", "walking").write_parquet(folder / f"{subject}_phone.parquet")
    if watch:
        frame = small(["watch"], ACC_GYRO, "execution", "walking", start=start)
        change_watch(frame).write_parquet(folder / f"{subject}_watch.parquet")


def test_a_folder_or_one_file_can_be_read(tmp_path):
    write_spsw(tmp_path, "s02", start=0.3)
    write_spsw(tmp_path, "s01")
    assert [r.name for r in read_recordings(tmp_path, "spsw")] == ["s01/execution01", "s02/execution01"]
    (one,) = read_recordings(tmp_path / "s02_phone.parquet", "spsw")
    assert (one.start_s, one.n_steps) == (0.3, 170)
    assert one.label_names == ("seated", "sitting_down", "standing_up", "turning", "walking")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"watch": False}, ("s01_phone.parquet", "partner s01_watch.parquet is absent")),
        ({"start": 3.0}, ("s01/execution01", "share no time")),
        ({"change_watch": lambda f: f.with_columns(execution=2)}, ("execution 1, 2", "s01_watch.parquet")),
        ({"change_watch": lambda f: f.drop("watch_gyro_z")}, ("s01_watch.parquet", "missing column watch_gyro_z")),
        ({"change_watch": lambda f: f.with_columns(label=pl.lit("hop"))}, ("row 1 ", "'hop'", "known labels seated")),
        ({"change_watch": lambda f: f.with_columns(watch_acc_x=None)}, ("watch_acc_x", "numbers")),
        ({"change_watch": lambda f: f.with_columns(pl.col("t").reverse())}, ("'watch'", "never run back")),
        (
            {
                "change_watch": lambda f: f.with_columns(
                    pl.when(pl.col("t") < 1).then("watch_acc_x").alias("watch_acc_x")
                )
            },
            ("s01_watch.parquet", "row 101", "watch_acc_x", "empty"),
        ),
    ],
)
def test_a_bad_spsw_folder_is_named(tmp_path, arguments, words):
    write_spsw(tmp_path, **arguments)
    with pytest.raises(DataError) as error:
        read_recordings(tmp_path, "spsw")
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_a_gap_beyond_the_limit_is_kept_from_the_windows(tmp_path):
    write_spsw(tmp_path, change_watch=lambda f: f.filter(~pl.col("t").is_between(1.2, 1.6)))
    (recording,) = read_recordings(tmp_path, "spsw")
    assert recording.repairs.gaps == (0, 1)
    windows = make_windows([recording], hop=5)
    assert windows.start.max() + 100 <= 121
    assert windows.dropped.gap > 0


def test_a_vocabulary_of_ones_own_replaces_the_sets(tmp_path):
    small(["waist"], ACC_GYRO, "exp", "skipping", rate=50.0).write_parquet(tmp_path / "u99.parquet")
    with pytest.raises(DataError, match=r"u99\.parquet.*'skipping'.*laying, lie_to_sit"):
        read_recordings(tmp_path, "hapt")
    (recording,) = read_recordings(tmp_path, "hapt", label_names=("null", "skipping"))
    assert set(recording.labels) == {1}


def test_a_folder_of_another_set_is_told_apart(tmp_path):
    small(["waist"], ACC_GYRO, "exp", "walking", rate=50.0).write_parquet(tmp_path / "u99.parquet")
    with pytest.raises(DataError, match=r"u99\.parquet: missing column block, rarm_acc_x.*has t, exp, waist_acc_x"):
        read_recordings(tmp_path, "dsads")
    with pytest.raises(DataError, match=r"no file named \*_phone\.parquet"):
        read_recordings(tmp_path, "spsw")
