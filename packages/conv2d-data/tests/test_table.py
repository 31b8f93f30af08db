import shutil
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conv2d.data import DataError, make_windows, read_recordings, write_table

HEALTH = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

WRONG_FORMAT: Any = {"format": "xlsx"}


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@given(
    seed=st.integers(0, 999),
    rate=st.sampled_from([25.0, 50.0, 100.0, 102.4, 128.0, 200.0]),
    start=st.sampled_from([0.0, 0.003, -2.5, 1234.56]),
    exponent=st.integers(-20, 20),
    absent=st.sampled_from([(), (("mag", 0), ("mag", 1)), (("acc", 1), ("gyro", 1), ("mag", 1))]),
    names=st.sampled_from([("rex", "1"), ("rex", "day_2"), ("dog_7", "s 1"), ("Müller", "ä")]),
)
@HEALTH
def test_what_is_written_reads_back_bit_for_bit(
    make_recording, tmp_path, suffix, seed, rate, start, exponent, absent, names
):
    plain = make_recording(300, seed=seed, absent=absent)
    labels = plain.labels.copy()
    labels[:20] = -1
    recording = make_recording(
        300,
        subject=names[0],
        session=names[1],
        signal=plain.signal * np.float32(2.0**exponent),
        channel_mask=plain.channel_mask,
        labels=labels,
        rate_hz=rate,
        start_s=start,
        mag_unit="earth_field" if seed % 2 else "uT",
        devices=("collar", "absent") if len(absent) == 3 else ("collar", "rear_left"),
    )
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    file = write_table(recording, folder, format=suffix)
    (copy,) = read_recordings(folder, label_names=recording.label_names)
    assert file.name == f"{names[0]}_{names[1]}.{suffix}"
    assert [f.name for f in folder.iterdir()] == [file.name]
    for field in ("signal", "labels", "channel_mask", "valid"):
        np.testing.assert_array_equal(getattr(copy, field), getattr(recording, field), err_msg=field)
    for field in ("name", "devices", "rate_hz", "start_s", "label_names", "mag_unit"):
        assert getattr(copy, field) == getattr(recording, field)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_dropout_comes_back_invalid(make_recording, tmp_path, suffix):
    valid = np.ones((2, 600), bool)
    valid[0, :30], valid[0, 200:225], valid[1, 400:] = False, False, False
    recording = make_recording(600, valid=valid)
    write_table(recording, tmp_path, format=suffix)
    (copy,) = read_recordings(tmp_path)
    np.testing.assert_array_equal(copy.valid, valid)
    np.testing.assert_array_equal(copy.signal[:, valid], recording.signal[:, valid])
    assert copy.repairs.gaps == (2, 1)
    assert make_windows([copy], hop=10).x.shape == make_windows([recording], hop=10).x.shape
    (patched,) = read_recordings(tmp_path, max_gap_s=0.3)
    assert patched.valid[0, 200:225].all()
    assert patched.repairs.interpolated == (25, 0)


def table(n=300, devices=("collar", "harness"), sensors=("acc", "gyro", "mag"), rate=100.0, **columns):
    rng = np.random.default_rng(0)
    data: dict[str, Any] = {"t": np.arange(n) / rate}
    for device in devices:
        for sensor in sensors:
            for axis in "xyz":
                data[f"{device}_{sensor}_{axis}"] = rng.normal(size=n).astype(np.float32)
    data["label"] = ["walk"] * (n // 2) + ["sit"] * (n - n // 2)
    return pl.DataFrame(data | columns)


def test_the_label_vocabulary_is_that_of_the_folder(tmp_path):
    table(label=["b"] * 300).write_csv(tmp_path / "rex_1.csv")
    table(label=["c"] * 150 + [None] * 150).write_parquet(tmp_path / "ada_1.parquet")
    table().drop("label").write_csv(tmp_path / "zoe.csv")
    ada, rex, zoe = read_recordings(tmp_path)
    assert [r.name for r in (ada, rex, zoe)] == ["ada/1", "rex/1", "zoe/1"]
    assert ada.label_names == rex.label_names == zoe.label_names == ("b", "c")
    assert set(ada.labels) == {1, -1}
    assert set(rex.labels) == {0}
    assert set(zoe.labels) == {-1}


def test_columns_beside_the_layout_are_ignored_and_devices_chosen(tmp_path):
    table(devices=("a", "b", "c")).with_columns(heart_rate=pl.lit(80)).write_csv(tmp_path / "rex_1.csv")
    (recording,) = read_recordings(tmp_path, devices=("c", "a"))
    assert recording.devices == ("c", "a")
    with pytest.raises(DataError, match=r"one or two devices, got a, b, c.*devices="):
        read_recordings(tmp_path)
    with pytest.raises(DataError, match=r"no columns of device d.*has a, b, c"):
        read_recordings(tmp_path, devices=("a", "d"))


def test_rows_of_two_devices_may_alternate(tmp_path):
    """Two devices on one clock, each with rows of its own: the other's cells are empty."""
    a = table(100, devices=("a",)).with_columns(t=pl.Series(np.arange(100) / 50))
    b = table(100, devices=("b",)).with_columns(t=pl.Series(np.arange(100) / 50 + 0.005))
    pl.concat([a, b], how="diagonal").sort("t").write_csv(tmp_path / "rex_1.csv")
    (recording,) = read_recordings(tmp_path)
    assert recording.rate_hz == 50.0
    np.testing.assert_array_equal(recording.signal[0, 0, :100], a["a_acc_x"].to_numpy())
    expected = np.interp(np.arange(1, 99) / 50, b["t"].to_numpy(), b["b_acc_x"].to_numpy())
    np.testing.assert_allclose(recording.signal[0, 1, 1:99], expected, rtol=1e-5, atol=1e-6)
    assert not recording.valid[1, 0]  # before its first sample


def test_a_clock_that_drifts_is_read_at_the_nominal_rate(tmp_path):
    table(300, rate=99.95).write_parquet(tmp_path / "rex_1.parquet")
    (recording,) = read_recordings(tmp_path)
    assert recording.rate_hz == 100.0
    assert recording.valid.all()


def cell(column, row, value):
    def change(frame):
        texts = frame[column].cast(pl.String).to_list()
        texts[row] = value
        return frame.with_columns(pl.Series(column, texts, dtype=pl.String))

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.drop("t"), ("missing column t", "collar_acc_x")),
        (lambda f: f.drop("collar_gyro_y"), ("missing column collar_gyro_y", "all of its axes")),
        (lambda f: f.select("t", "label"), ("<device>_<acc|gyro|mag>_<x|y|z>", "t, label")),
        (lambda f: f.clear(), ("no rows",)),
        (lambda f: f.head(1), ("1 row",)),
        (cell("collar_acc_x", 16, None), ("row 17", "collar_acc_x", "empty", "all of a device's values or none")),
        (cell("collar_acc_x", 16, "NaN"), ("row 17", "collar_acc_x", "'NaN'", "finite")),
        (cell("harness_mag_z", 0, "inf"), ("row 1 ", "harness_mag_z", "'inf'")),
        (cell("collar_acc_x", 299, "9,81"), ("row 300", "collar_acc_x", "'9,81'")),
        (cell("collar_acc_x", 5, "1e39"), ("row 6", "collar_acc_x", "'1e39'")),
        (cell("t", 8, None), ("row 9", "column t", "empty")),
        (cell("t", 8, "0.01"), ("never run back", "0.07 s to 0.01 s at sample 8")),
        (cell("label", 7, "wlak"), ("row 8", "label", "'wlak'", "known labels sit, walk")),
        (lambda f: f.with_columns(subject=pl.Series(["a"] * 299 + ["b"])), ("column subject", "one value", "'a', 'b'")),
        (lambda f: f.with_columns(mag_unit=pl.lit("gauss")), ("mag_unit", "'gauss'")),
        (lambda f: f.with_columns(subject=pl.lit("a/b")), ("subject", "'a/b'")),
        (
            lambda f: f.with_columns(
                pl.lit(None).cast(pl.String).alias(c) for c in f.columns if c.startswith("collar")
            ),
            ("device 'collar'", "0 row", "leave its columns out"),
        ),
    ],
)
def test_a_bad_table_is_named_by_file_row_and_column(tmp_path, change, words):
    change(table()).write_csv(tmp_path / "rex_1.csv")
    with pytest.raises(DataError) as error:
        read_recordings(tmp_path, label_names=("sit", "walk"))
    message = str(error.value)
    for word in ("rex", *words):
        assert word in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.with_columns(collar_acc_x=pl.lit(value=True)), ("collar_acc_x", "numbers", "Boolean")),
        (lambda f: f.with_columns(t=pl.lit(date(2026, 1, 1))), ("column t", "numbers", "Date")),
        (lambda f: f.with_columns(label=pl.lit(1.5)), ("label", "names or whole numbers", "Float64")),
        (lambda f: f.with_columns(collar_acc_x=pl.lit(float("nan"))), ("row 1 ", "collar_acc_x", "nan")),
    ],
)
def test_a_parquet_table_of_wrong_types_is_refused(tmp_path, change, words):
    change(table()).write_parquet(tmp_path / "rex_1.parquet")
    with pytest.raises(DataError) as error:
        read_recordings(tmp_path)
    for word in ("rex_1.parquet", *words):
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [("parquet", "garbage"), ("parquet", "cut"), ("parquet", "empty"), ("csv", "garbage"), ("csv", "empty")],
)
def test_an_unreadable_file_is_named(make_recording, tmp_path, suffix, damage):
    file = write_table(make_recording(), tmp_path, format=suffix)
    whole = file.read_bytes()
    file.write_bytes({"garbage": b"\xff\xfe\x00" * 999, "cut": whole[: len(whole) // 2 + 1], "empty": b""}[damage])
    with pytest.raises(DataError) as error:
        read_recordings(tmp_path)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


HEADER, ROWS = table().write_csv().split("\n", 1)
LINES = table().write_csv().splitlines()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n".join([*LINES[:50], LINES[50][:40], *LINES[51:]]), ("line 51 has", "header has 20")),
        ("\n".join([*LINES[:-1], LINES[-1].rsplit(",", 1)[0]]), ("line 301 has 19 cells",)),
        ("\n".join([*LINES[:50], LINES[50] + ",5", *LINES[51:]]), ("line 51 has 21 cells",)),
        ("\n".join([*LINES[:50], '"' + LINES[50], *LINES[51:]]), ("line 51 has 1 cells",)),
        ("\n".join([*LINES[:50], '"' + LINES[50], *LINES[51:] * 9]), ("line 51 has 1 cells", "quotes")),
        ("# logger 1.0\n" + HEADER + "\n" + ROWS, ("line 2 has 20 cells", "header has 1")),
        ((HEADER + "\n" + ROWS).replace(",", ";"), ("separated by ';'", "commas")),
        ((HEADER + "\n" + ROWS).replace(".", ",").replace(",", "\t"), ("separated by '\\t'",)),
        (HEADER.replace("harness_acc_x", "collar_acc_x") + "\n" + ROWS, ("'collar_acc_x' stands twice",)),
        (" " + HEADER + "\n" + ROWS, ("missing column t", "' t' is not taken for it")),
        (HEADER.replace("t,", "T,", 1) + "\n" + ROWS, ("missing column t", "'T' is not taken for it")),
        ((HEADER + "\n" + ROWS).encode("utf-16"), ("not UTF-8",)),
        ((HEADER + "\n" + ROWS.replace("sit", "säße", 1)).encode("latin-1"), ("line 152 is not UTF-8",)),
    ],
)
def test_a_csv_of_another_make_is_told_with_its_line(tmp_path, text, words):
    file = tmp_path / "rex_1.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError) as error:
        read_recordings(tmp_path)
    for word in (str(file), *words):
        assert word in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: (text + "\n \t\n\r\n").encode(),
        lambda text: (text + ("," * HEADER.count(",") + "\n") * 3).encode(),
        lambda text: text.replace("walk", '"walk"').replace("sit", "").encode(),
        lambda text: text.replace("sit", "").encode(),
    ],
)
def test_marks_line_ends_quotes_and_unlabelled_rows_are_as_good(tmp_path, change):
    (tmp_path / "rex_1.csv").write_bytes(change(table().write_csv()))
    (recording,) = read_recordings(tmp_path)
    np.testing.assert_array_equal(recording.signal[0, 0], table()["collar_acc_x"].to_numpy())
    assert "walk" in recording.label_names


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_name_is_no_pattern(make_recording, tmp_path, suffix):
    write_table(make_recording(subject="rex[1]"), tmp_path, format=suffix)
    (recording,) = read_recordings(tmp_path)
    assert recording.subject == "rex[1]"


@pytest.mark.parametrize(
    ("t_s", "words"),
    [
        (np.arange(300) * 10.0, ("every 10 s", "milliseconds")),
        (np.append(np.arange(299) / 100, 1e9), ("time leaps from 2.98 s to 1000000000.0 s at sample 299", "day")),
        (np.repeat(np.arange(150) / 100, 2), ("most samples share their time",)),
    ],
)
def test_time_that_cannot_be_of_motion_is_refused(tmp_path, t_s, words):
    file = tmp_path / "rex_1.csv"
    table().with_columns(t=pl.Series(t_s)).write_csv(file)
    with pytest.raises(DataError) as error:
        read_recordings(tmp_path)
    for word in (str(file), *words):
        assert word in str(error.value)


def test_a_folder_of_other_things_is_told(tmp_path):
    (tmp_path / "rex_1.CSV").write_text("t")
    with pytest.raises(DataError, match=r"it holds rex_1\.CSV"):
        read_recordings(tmp_path)
    (tmp_path / "rex_1.parquet").mkdir()
    with pytest.raises(DataError, match=r"rex_1\.parquet: is a folder"):
        read_recordings(tmp_path)


def test_paths_readers_and_options_that_do_not_exist_are_named(tmp_path):
    with pytest.raises(DataError, match=r"absent-folder does not exist"):
        read_recordings(tmp_path / "absent-folder")
    with pytest.raises(DataError, match=r"no file named \*\.parquet or \*\.csv"):
        read_recordings(tmp_path)
    with pytest.raises(DataError, match=r"dsads, hapt, spsw, table, got 'cvs'"):
        read_recordings(tmp_path, "cvs")
    with pytest.raises(DataError, match=r"'hapt' has no option devices.*max_gap_s"):
        read_recordings(tmp_path, "hapt", devices=("waist",))
    (tmp_path / "rex.txt").write_text("t")
    with pytest.raises(DataError, match=r"\.parquet or \.csv, got \.txt"):
        read_recordings(tmp_path / "rex.txt")


def test_two_files_of_one_recording_are_refused(make_recording, tmp_path):
    for suffix in ("parquet", "csv"):
        write_table(make_recording(), tmp_path, format=suffix)
    with pytest.raises(DataError, match=r"rex/1 is also in rex_1\.csv"):
        read_recordings(tmp_path)


def test_write_table_refuses_what_the_layout_cannot_hold(make_recording, tmp_path):
    recording = make_recording()
    signal, mask = recording.signal.copy(), recording.channel_mask.copy()
    signal[0, 0], mask[0, 0] = 0, False
    with pytest.raises(DataError, match="only some axes of collar_acc"):
        write_table(make_recording(signal=signal, channel_mask=mask), tmp_path)
    with pytest.raises(DataError, match=r"'parquet' or 'csv', got 'xlsx'"):
        write_table(recording, tmp_path, **WRONG_FORMAT)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_nothing(make_recording, tmp_path, monkeypatch):
    def fail(frame, file):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", fail)
    with pytest.raises(OSError, match="disk full"):
        write_table(make_recording(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_reader_of_ones_own_is_a_function(make_recording, tmp_path):
    def reader(path, label_names, *, scale):
        return [make_recording(subject=path.name, label_names=tuple(label_names), rate_hz=scale)]

    (recording,) = read_recordings(tmp_path, reader, label_names=["a", "b", "c"], scale=25.0)
    assert (recording.subject, recording.label_names, recording.rate_hz) == (tmp_path.name, ("a", "b", "c"), 25.0)
    shutil.rmtree(tmp_path)
