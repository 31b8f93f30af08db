"""Codebook analysis against counting by hand."""

from __future__ import annotations

import math
from collections import Counter
from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from conv2d.features import ContractError
from conv2d.features.codebook import (
    class_signatures,
    code_usage,
    dead_levels,
    dwells,
    rate_distortion,
    transition_counts,
)
from conv2d.features.numpy import fsq_indices

CODES = hnp.arrays(np.int32, st.tuples(st.integers(0, 12), st.integers(1, 3)), elements=st.integers(0, 5))


@settings(max_examples=60, deadline=None)
@given(codes=CODES)
def test_usage_is_that_of_counting(codes: np.ndarray) -> None:
    usage = code_usage(codes, 6)
    counts = Counter(codes.ravel().tolist())
    assert usage.counts.tolist() == [counts[code] for code in range(6)]
    assert usage.n_active == len(counts)
    entropy = -sum(n / codes.size * math.log2(n / codes.size) for n in counts.values())
    assert usage.entropy_bits == pytest.approx(entropy)
    assert usage.perplexity == pytest.approx(2**entropy)
    assert usage.fraction_used == pytest.approx(len(counts) / 6)


@settings(max_examples=60, deadline=None)
@given(codes=CODES, data=st.data())
def test_transitions_and_dwells_are_those_of_walking_along(codes: np.ndarray, data: st.DataObject) -> None:
    sequence = sorted(data.draw(st.lists(st.integers(0, 2), min_size=len(codes), max_size=len(codes))))
    steps: Counter[tuple[int, int]] = Counter()
    runs: list[int] = []
    for column in codes.T.tolist():
        named = list(zip(sequence, column, strict=True))
        steps.update((a[1], b[1]) for a, b in pairwise(named) if a[0] == b[0])
        runs += [len(list(run)) for _, run in groupby(named)]
    found = transition_counts(codes, 6, sequence)
    assert {(a, b): int(found[a, b]) for a, b in np.argwhere(found).tolist()} == dict(steps)
    dwell = dwells(codes, 0.5, sequence)
    assert dwell.n_runs == len(runs)
    assert dwell.mean_s == pytest.approx(0.5 * np.mean(runs) if runs else 0)
    assert dwell.median_s == pytest.approx(0.5 * np.median(runs) if runs else 0)
    assert dwell.longest_s == pytest.approx(0.5 * max(runs, default=0))


def test_dead_levels_are_named() -> None:
    levels = [3, 2]
    z = np.full((4, 2, 2), -9, np.float32)
    z[0, 0] = 9, 9
    z[1, 0] = 0, 9
    found = dead_levels(fsq_indices(z, levels), levels)
    assert {(d.token, d.scalar, d.level) for d in found} == {(1, 0, 1), (1, 0, 2), (1, 1, 1)}
    varied = np.random.default_rng(0).standard_normal((500, 2, 2), np.float32)
    assert not dead_levels(fsq_indices(varied, [4, 3]), [4, 3])


def test_a_signature_is_stable_where_all_subjects_show_it_and_not_where_one_does() -> None:
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(8), 50)
    labels = np.tile(np.repeat([0, 1], 25), 8)
    shared = np.where(labels[:, None] == 0, rng.integers(0, 5, (400, 6)), rng.integers(20, 40, (400, 6)))
    found = class_signatures(shared, labels, 64, subjects, n_top=5)
    assert set(found.top[0]) == set(range(5))
    assert found.stability[0] == 1.0
    assert found.stability[1] < 0.8  # twenty codes share the class evenly: which five lead is chance
    np.testing.assert_allclose(found.shares.sum(1), 1)
    again = class_signatures(shared, labels, 64, subjects, n_top=5)
    np.testing.assert_array_equal(found.stability, again.stability)


def test_unlabelled_windows_are_left_out() -> None:
    codes = np.array([[0], [1], [2], [2]])
    found = class_signatures(codes, [0, 1, -1, -1], 3, n_top=1)
    assert found.classes.tolist() == [0, 1]
    assert found.top.tolist() == [[0], [1]]
    assert found.shares[:, 2].tolist() == [0, 0]


def test_rate_and_distortion_of_one_scalar_by_hand() -> None:
    """Three levels: bounded tanh(z) * 1.001 is rounded; two of four windows on the middle level, so 1.5 bits."""
    z = np.array([-2.0, 0.1, -0.2, 3.0], np.float32).reshape(4, 1, 1)
    (point,) = rate_distortion(z, [[3]]).points
    bounded = np.tanh(z.astype(np.float64).ravel())
    assert point.rate_bits == pytest.approx(1.5)
    assert point.distortion == pytest.approx(((bounded - np.array([-1, 0, 0, 1]) / 1.001) ** 2).mean(), abs=1e-9)
    assert (point.n_codes, point.dead_levels) == (3, 0)


def test_more_levels_cost_more_and_keep_more() -> None:
    z = np.random.default_rng(0).standard_normal((2000, 8, 3), np.float32)
    sets = [[2, 2, 2], [3, 3, 3], [4, 4, 4], [5, 5, 5], [8, 6, 5], [8, 8, 8], [16, 16, 16]]
    sweep = rate_distortion(z, sets[::-1])
    assert [list(point.levels) for point in sweep.points] == sets
    assert all(a.distortion > b.distortion for a, b in pairwise(sweep.points))
    assert sweep.recommended in [point.levels for point in sweep.points[1:-1]]
    assert rate_distortion(z, [[4, 4, 4]]).recommended == (4, 4, 4)


def test_what_is_wrong_is_said() -> None:
    good = np.zeros((3, 2), np.int32)
    with pytest.raises(ContractError, match="integers of shape"):
        code_usage(good.astype(np.float32), 4)  # type: ignore[arg-type]
    with pytest.raises(ContractError, match=r"\[0, 4\)"):
        transition_counts(good + 4, 4)
    with pytest.raises(ContractError, match="one entry for each of the 3"):
        dwells(good, 1.0, [0, 1])
    with pytest.raises(ContractError, match="hop_s"):
        dwells(good, 0.0)
    with pytest.raises(ContractError, match="n_top"):
        class_signatures(good, [0, 0, 0], 4, n_top=0)
    with pytest.raises(ContractError, match="3 levels"):
        rate_distortion(np.zeros((2, 2, 3), np.float32), [[4, 4]])
    with pytest.raises(ContractError, match="at least one window"):
        rate_distortion(np.zeros((0, 2, 3), np.float32), [[4, 4, 4]])
    with pytest.raises(ContractError, match="12 NaN"):
        rate_distortion(np.full((2, 2, 3), np.nan, np.float32), [[4, 4, 4]])
