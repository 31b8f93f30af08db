from __future__ import annotations

import json
import math
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv2d.metrics import quality_report

values = st.lists(
    st.one_of(st.integers(0, 2).map(float), st.sampled_from([math.nan, math.inf, -math.inf])), min_size=1, max_size=30
)


@given(values, st.integers(2, 4), st.integers(1, 3))
def test_counts_against_their_definitions(samples, flat, clip):
    report = quality_report(np.array(samples), flat=flat, clip=clip)
    finite = [v for v in samples if math.isfinite(v)]
    assert report.nan[0] == sum(math.isnan(v) for v in samples)
    assert report.inf[0] == sum(math.isinf(v) for v in samples)
    runs = [(v, len(list(run))) for v, run in groupby(samples)]
    still = [n for v, n in runs if math.isfinite(v) and n >= flat]
    assert (report.flat[0], report.flat_runs[0]) == (sum(still), len(still))
    edges = {min(finite), max(finite)} if finite and min(finite) < max(finite) else set()
    clipped = [n for v, n in runs if v in edges and n >= clip]
    assert (report.clipped[0], report.clipped_runs[0]) == (sum(clipped), len(clipped))
    told = report.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_outliers_are_far_from_the_median_in_robust_spreads():
    rng = np.random.default_rng(0)
    series = rng.normal(5.0, 2.0, (10_000, 2))
    series[:7, 1] = 5 + 2 * 20
    report = quality_report(series, channels=["steady", "spiky"])
    np.testing.assert_array_equal(report.outlier, [0, 7])
    np.testing.assert_allclose(report.spread, 2.0, rtol=0.05)
    assert not report.ok
    assert quality_report(series[:, :1]).ok
    assert quality_report(np.r_[np.zeros(99), 1.0]).outlier == [0]  # no spread, no outliers


def test_windows_of_the_contract_and_runs_that_end_with_them():
    batch = np.random.default_rng(0).normal(size=(4, 9, 2, 100)).astype(np.float32)
    batch[0, 2, 1, 95:] = 0.5
    batch[1, 2, 1, :5] = 0.5  # ten equal samples in a row, but of two windows
    batch[2, 8, 0, 40:60] = 0.25
    report = quality_report(batch, time_axis=-1, channel_axes=(1, 2))
    assert len(report.channels) == 18
    assert report.n_samples == 400
    assert dict(zip(report.channels, report.flat, strict=True))["8,0"] == 20
    assert report.flat.sum() == 20
    recording = quality_report(batch[2].transpose(2, 0, 1))  # (T, C, D)
    assert dict(zip(recording.channels, recording.flat_runs, strict=True))["8,0"] == 1


def test_limits_of_the_sensor():
    t = np.linspace(0, 20, 500)
    series = np.stack([np.clip(2 * np.sin(t), -1, 1), np.sin(t)], axis=1)
    report = quality_report(series, limits=[-1, 1])
    assert report.clipped[0] == (np.abs(2 * np.sin(t)) >= 1).sum()
    assert report.clipped_runs[0] == 7
    assert report.clipped[1] == 0
    own = quality_report(series, limits=[[-1, 1], [-0.5, 0.5]])
    assert own.clipped[1] == (np.abs(np.sin(t)) >= 0.5).sum()


def test_integers_are_judged_too_and_empty_channels_are_told():
    assert quality_report(np.array([[1, 2], [1, 3]]), flat=2).flat_runs.tolist() == [1, 0]
    report = quality_report(np.full((3, 1), np.nan))
    assert math.isnan(report.median[0])
    assert report.to_dict()["per_channel"][0]["reason"] == "no finite sample"


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: quality_report(["a"]), TypeError, "values: must be numbers"),
        (lambda: quality_report(1.0), ValueError, "values: need an axis of time"),
        (lambda: quality_report([[1.0]], channel_axes=(2,)), ValueError, "values have 2 axes"),
        (lambda: quality_report([[1.0]], channel_axes=(0,)), ValueError, "channel_axes=.*none of them that of time"),
        (lambda: quality_report([[1.0]], channels=["a", "b"]), ValueError, "channels: 1 names are needed"),
        (lambda: quality_report([[1.0]], limits=[1, 0]), ValueError, "limits: must be"),
        (lambda: quality_report([[1.0]], flat=1), ValueError, "flat: .* at least 2"),
        (lambda: quality_report([[1.0]], outlier=0), ValueError, "outlier: must be positive"),
    ],
)
def test_bad_input_is_told_apart(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_no_samples_have_no_faults_and_no_median_and_are_not_good():
    report = quality_report(np.empty((0, 2)))
    assert report.n_samples == 0
    assert not report.ok
    told = report.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert np.isnan(report.median).all()
