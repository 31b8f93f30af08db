"""Policies against step-by-step oracles, and the promises of `SmoothingPolicy` as properties."""

import itertools
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from conv2d.temporal import (
    HysteresisPolicy,
    MedianHysteresisPolicy,
    MinDwellPolicy,
    ModeFilterPolicy,
    Pipeline,
    PolicyStream,
    SmoothingPolicy,
    _backend,
    dwell_steps,
)

# --- oracles: lists, one step or one run at a time -----------------------------------------------------------------


def pieces(row: list[int]) -> list[tuple[int, list[int]]]:
    """(start, labels) of each stretch without -1."""
    found: list[tuple[int, list[int]]] = []
    for i, label in enumerate(row):
        if label < 0:
            continue
        if i and row[i - 1] >= 0:
            found[-1][1].append(label)
        else:
            found.append((i, [label]))
    return found


def by_piece(row: list[int], smooth) -> list[int]:
    out = [-1] * len(row)
    for start, piece in pieces(row):
        out[start : start + len(piece)] = smooth(piece, start)
    return out


def transitions(row: list[int]) -> int:
    return sum(a != b for _, piece in pieces(row) for a, b in itertools.pairwise(piece))


def run_lengths(piece: list[int]) -> list[list[int]]:
    return [[label, len(list(group))] for label, group in itertools.groupby(piece)]


def oracle_mode(row: list[int], window_size: int) -> list[int]:
    half = window_size // 2

    def smooth(piece: list[int], _: int) -> list[int]:
        out: list[int] = []
        for t in range(len(piece)):
            window = [piece[min(max(t + o, 0), len(piece) - 1)] for o in range(-half, half + 1)]
            most = max(Counter(window).values())
            tied = {label for label, count in Counter(window).items() if count == most}
            nearest = sorted(range(len(window)), key=lambda i: (abs(i - half), i))
            mode = next(window[i] for i in nearest if window[i] in tied)
            changed = transitions([*out, mode]) <= transitions(piece[: t + half + 1])
            out.append(mode if not out or changed else out[-1])
        return out

    return by_piece(row, smooth)


def oracle_dwell(row: list[int], min_dwell: int) -> list[int]:
    def smooth(piece: list[int], _: int) -> list[int]:
        for length in range(1, min_dwell):
            runs, keeps, at = run_lengths(piece), [], 0
            for i, (_label, size) in enumerate(runs):
                if i in (0, len(runs) - 1) or size != length:
                    keeps.extend(range(at, at + size))
                at += size
            piece = [piece[min(keeps, key=lambda k: (abs(k - t), k))] for t in range(len(piece))]
        return piece

    return by_piece(row, smooth)


def oracle_hysteresis(row: list[int], probabilities: NDArray[np.floating], enter: float, leave: float) -> list[int]:
    def smooth(piece: list[int], start: int) -> list[int]:
        state, out = piece[0], []
        for t, label in enumerate(piece, start):
            if label != state and (probabilities[t, label] >= enter or probabilities[t, state] < leave):
                state = label
            out.append(state)
        return out

    return by_piece(row, smooth)


# --- random input --------------------------------------------------------------------------------------------------


@st.composite
def sequences(draw: st.DrawFn, max_steps: int = 40) -> NDArray[np.int32]:
    """A row of bouts, flicker and gaps."""
    runs = draw(st.lists(st.tuples(st.integers(-1, 3), st.integers(1, 7)), max_size=12))
    row = np.repeat([label for label, _ in runs], [size for _, size in runs]) if runs else np.zeros(0)
    return row[:max_steps].astype(np.int32)


def probabilities_for(labels: NDArray[np.int32], seed: int) -> NDArray[np.float32]:
    raw = np.random.default_rng(seed).dirichlet(np.full(4, 0.4), size=labels.shape)
    return (raw / raw.sum(axis=-1, keepdims=True)).astype(np.float32)


policies = st.one_of(
    st.builds(MinDwellPolicy, st.integers(1, 8)),
    st.builds(ModeFilterPolicy, st.sampled_from([1, 3, 5, 7, 9])),
    st.builds(HysteresisPolicy, st.floats(0.5, 1), st.floats(0, 0.5)),
    st.builds(MedianHysteresisPolicy, st.integers(1, 8), st.sampled_from([1, 3, 5, 7, 9])),
    st.builds(
        lambda m, w: Pipeline(ModeFilterPolicy(w), MinDwellPolicy(m)), st.integers(1, 8), st.sampled_from([3, 7])
    ),
)
seeds = st.integers(0, 2**32 - 1)


# --- tests ---------------------------------------------------------------------------------------------------------


@given(sequences(), st.sampled_from([1, 3, 5, 7, 9]))
def test_mode_filter_is_the_oracle(labels: NDArray[np.int32], window_size: int) -> None:
    assert ModeFilterPolicy(window_size).smooth(labels).tolist() == oracle_mode(labels.tolist(), window_size)


def test_mode_filter_is_the_median_for_two_labels() -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    labels = np.random.default_rng(0).integers(0, 2, 20_000).astype(np.int32)
    for window_size in (3, 7, 11):
        expected = ndimage.median_filter(labels, window_size, mode="nearest")
        assert np.array_equal(ModeFilterPolicy(window_size).smooth(labels), expected)


def test_mode_filter_never_adds_transitions_exhaustively() -> None:
    every = np.array([(0, *rest) for rest in itertools.product(range(3), repeat=9)], dtype=np.int32)
    before = np.count_nonzero(np.diff(every), axis=1)
    for window_size in (3, 5, 7):
        after = ModeFilterPolicy(window_size).smooth(every)
        assert (np.count_nonzero(np.diff(after), axis=1) <= before).all()


@given(sequences(), st.integers(1, 8))
def test_min_dwell_is_the_oracle(labels: NDArray[np.int32], min_dwell: int) -> None:
    assert MinDwellPolicy(min_dwell).smooth(labels).tolist() == oracle_dwell(labels.tolist(), min_dwell)


@given(sequences(), seeds, st.floats(0, 1), st.floats(0, 1))
def test_hysteresis_is_the_oracle(labels: NDArray[np.int32], seed: int, a: float, b: float) -> None:
    table = probabilities_for(labels, seed)
    smoothed = HysteresisPolicy(enter=max(a, b), exit=min(a, b)).smooth(labels, table)
    assert smoothed.tolist() == oracle_hysteresis(labels.tolist(), table, max(a, b), min(a, b))


def test_hysteresis_of_two_labels_is_the_schmitt_trigger() -> None:
    p = np.array([0.1, 0.5, 0.69, 0.7, 0.5, 0.31, 0.29, 0.5])
    labels = (p >= 0.5).astype(np.int32)
    smoothed = HysteresisPolicy(enter=0.7, exit=0.3).smooth(labels, np.stack([1 - p, p], axis=1))
    assert smoothed.tolist() == [0, 0, 0, 1, 1, 1, 0, 0]


@given(sequences(), policies, seeds)
@settings(max_examples=300)
def test_promises_of_every_policy(labels: NDArray[np.int32], policy: SmoothingPolicy, seed: int) -> None:
    before = labels.copy()
    smoothed = policy.smooth(labels, probabilities_for(labels, seed))
    assert smoothed.dtype == np.int32
    assert smoothed.shape == labels.shape
    assert np.array_equal(labels, before)
    assert np.array_equal(smoothed == -1, labels == -1)
    for (_, old), (_, new) in zip(pieces(labels.tolist()), pieces(smoothed.tolist()), strict=True):
        assert set(new) <= set(old)
        assert transitions(new) <= transitions(old)


@given(sequences(), st.integers(1, 8), st.sampled_from([1, 3, 5, 7, 9]), st.none() | seeds)
@settings(max_examples=300)
def test_dwell_is_kept_and_smoothing_twice_changes_nothing(
    labels: NDArray[np.int32], min_dwell: int, window_size: int, seed: int | None
) -> None:
    table = None if seed is None else probabilities_for(labels, seed)
    for policy, dwell in (
        (MinDwellPolicy(min_dwell), min_dwell),
        (MedianHysteresisPolicy(min_dwell, window_size), max(min_dwell, (window_size + 1) // 2)),
    ):
        smoothed = policy.smooth(labels, table)
        for _, piece in pieces(smoothed.tolist()):
            assert all(length >= dwell for _, length in run_lengths(piece)[1:-1])
        assert np.array_equal(policy.smooth(smoothed, table), smoothed)


@given(st.lists(sequences(), min_size=1, max_size=4), policies, seeds)
def test_batch_is_the_rows(rows: list[NDArray[np.int32]], policy: SmoothingPolicy, seed: int) -> None:
    steps = min(len(row) for row in rows)
    batch = np.stack([row[:steps] for row in rows])
    table = probabilities_for(batch, seed)
    expected = np.stack([policy.smooth(row, p) for row, p in zip(batch, table, strict=True)])
    assert np.array_equal(policy.smooth(batch, table), expected)


@given(sequences(), policies, st.permutations(range(4)), seeds)
def test_names_of_labels_do_not_matter(
    labels: NDArray[np.int32], policy: SmoothingPolicy, names: list[int], seed: int
) -> None:
    table = probabilities_for(labels, seed)
    rename = np.array([*names, -1], dtype=np.int32)  # index -1 is the last: a gap stays a gap
    renamed_table = np.empty_like(table)
    renamed_table[:, names] = table
    renamed = policy.smooth(rename[labels], renamed_table)
    assert np.array_equal(renamed, rename[policy.smooth(labels, table)])


def test_a_single_pass_would_leave_short_runs() -> None:
    # Dissolving 1, then 2, leaves a run of 3 grown from three short ones; only a fixed point joins them all.
    labels = [0] * 9 + [1, 2, 1, 2, 1, 2, 2, 1] + [0] * 9
    smoothed = MinDwellPolicy(5).smooth(labels)
    assert all(length >= 5 for _, length in run_lengths(smoothed.tolist()))


def test_default_policy_takes_positional_defaults_of_the_contract() -> None:
    policy = MedianHysteresisPolicy()
    assert (policy.min_dwell, policy.window_size, policy.enter, policy.exit) == (5, 7, 0.7, 0.3)


def test_noise_is_removed_from_planted_bouts() -> None:
    rng = np.random.default_rng(3)
    truth = np.repeat(rng.permutation(np.arange(60) % 4), rng.integers(20, 60, 60)).astype(np.int32)
    noisy = np.where(rng.random(truth.size) < 0.1, rng.integers(0, 4, truth.size), truth).astype(np.int32)
    smoothed = MedianHysteresisPolicy().smooth(noisy)
    # One label in ten is redrawn, three quarters of those to another label.
    assert np.mean(noisy != truth) > 0.06
    assert np.mean(smoothed != truth) < np.mean(noisy != truth) / 3
    # By the promises: no more than the noisy transitions. In fact about as many as planted.
    assert transitions(smoothed.tolist()) <= 1.2 * transitions(truth.tolist())


@pytest.mark.parametrize("shape", [(0,), (0, 5), (3, 0)])
def test_empty_input_comes_back_empty(shape: tuple[int, ...]) -> None:
    labels = np.zeros(shape, dtype=np.int32)
    for policy in (MinDwellPolicy(), ModeFilterPolicy(), MedianHysteresisPolicy()):
        assert policy.smooth(labels).shape == shape
        assert policy.smooth(labels, np.zeros((*shape, 2), dtype=np.float32)).shape == shape


def test_window_wider_than_the_memory_chunk_and_the_sequence() -> None:
    labels = np.array([0, 1, 1, 0, 2], dtype=np.int32)
    assert ModeFilterPolicy(4097).smooth(labels).tolist() == oracle_mode(labels.tolist(), 4097)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0.0, 1.0], TypeError, "float64"),
        ([True, False], TypeError, "bool"),
        (np.zeros((2, 3, 4), np.int32), ValueError, r"\(2, 3, 4\)"),
        (np.int32(3), ValueError, r"got \(\)"),
        ([0, -2], ValueError, "-2"),
        (np.array([0, 2**40]), ValueError, str(2**40)),
    ],
)
def test_bad_labels_are_named(labels: object, error: type[Exception], message: str) -> None:
    for policy in (MinDwellPolicy(), ModeFilterPolicy(), MedianHysteresisPolicy(), Pipeline()):
        with pytest.raises(error, match=message):
            policy.smooth(labels)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("probabilities", "error", "message"),
    [
        (np.full((3, 2), 1, dtype=np.int64), TypeError, "int64"),
        (np.full((3, 2), 0.5, dtype=np.float16), TypeError, "float16"),
        (np.full((2, 2), 0.5), ValueError, r"\(3, K\)"),
        (np.full((3, 1), 1.0), ValueError, "reach 1"),
        (np.full((3, 2), 0.6), ValueError, "sum to 1"),
        (np.array([[1.5, -0.5], [0.5, 0.5], [0.5, 0.5]]), ValueError, ">= 0"),
        (np.array([[np.nan, 1], [0.5, 0.5], [0.5, 0.5]]), ValueError, "NaN"),
    ],
)
def test_bad_probabilities_are_named(probabilities: NDArray[np.floating], error: type[Exception], message: str) -> None:
    for policy in (HysteresisPolicy(), MinDwellPolicy(), ModeFilterPolicy(), MedianHysteresisPolicy()):
        with pytest.raises(error, match=message):
            policy.smooth([0, 1, 0], probabilities)


def test_probabilities_of_ignored_steps_are_not_read() -> None:
    table = np.array([[1, 0], [np.nan, 7], [0, 1]])
    assert MedianHysteresisPolicy().smooth([0, -1, 1], table).tolist() == [0, -1, 1]


def test_hysteresis_needs_probabilities() -> None:
    with pytest.raises(ValueError, match="weighs probabilities"):
        HysteresisPolicy().smooth([0, 1])


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: MinDwellPolicy(0), ValueError, "min_dwell"),
        (lambda: MinDwellPolicy(2.5), TypeError, "min_dwell"),  # pyright: ignore[reportArgumentType]
        (lambda: MinDwellPolicy(True), TypeError, "min_dwell"),
        (lambda: ModeFilterPolicy(4), ValueError, "odd"),
        (lambda: HysteresisPolicy(enter=0.2, exit=0.3), ValueError, "exit <= enter"),
        (lambda: HysteresisPolicy(enter=float("nan")), ValueError, "exit <= enter"),
        (lambda: MedianHysteresisPolicy(min_dwell=0), ValueError, "min_dwell"),
        (lambda: MedianHysteresisPolicy(window_size=0), ValueError, "window_size"),
        (lambda: Pipeline("median"), TypeError, "smooth"),  # pyright: ignore[reportArgumentType]
        (lambda: dwell_steps(0, 1), ValueError, "dwell_s"),
        (lambda: dwell_steps(1, float("nan")), ValueError, "hop_s"),
    ],
)
def test_bad_parameters_are_named(build, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build()


@given(st.integers(1, 10_000), st.integers(1, 1000))
def test_dwell_steps_is_the_exact_ceiling(dwell_ms: int, hop_ms: int) -> None:
    assert dwell_steps(dwell_ms / 1000, hop_ms / 1000) == -(-dwell_ms // hop_ms)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the compiled path for short sequences, too."""
    monkeypatch.setattr(_backend, "_LONG", 1)


@pytest.mark.usefixtures("compiled")
@given(st.lists(sequences(), min_size=1, max_size=3), st.integers(1, 8), st.sampled_from([1, 3, 5, 7, 9, 31]))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)  # compiles once
def test_compiled_smoothing_is_the_oracle(rows: list[NDArray[np.int32]], min_dwell: int, window_size: int) -> None:
    steps = min(len(row) for row in rows)
    batch = np.stack([row[:steps] for row in rows])
    modes, dwells = ModeFilterPolicy(window_size).smooth(batch), MinDwellPolicy(min_dwell).smooth(batch)
    for row, by_mode, by_dwell in zip(batch.tolist(), modes, dwells, strict=True):
        assert by_mode.tolist() == oracle_mode(row, window_size)
        assert by_dwell.tolist() == oracle_dwell(row, min_dwell)


def test_long_batches_are_smoothed_alike_compiled_and_not(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat(rng.integers(-1, 6, (4, 9000)), 8, axis=1).astype(np.int32)
    labels = np.where(rng.random(labels.shape) < 0.2, rng.integers(0, 6, labels.shape), labels).astype(np.int32)
    for policy in (ModeFilterPolicy(9), MinDwellPolicy(6), MedianHysteresisPolicy()):
        results = []
        for long in (1, labels.size + 1):
            monkeypatch.setattr(_backend, "_LONG", long)
            results.append(policy.smooth(labels))
        assert np.array_equal(*results)


# --- streams -------------------------------------------------------------------------------------------------------


def run_stream(
    policy: SmoothingPolicy, labels: NDArray[np.int32], table: NDArray[np.floating] | None = None, restart: int = -1
) -> list[int]:
    """All labels of a stream, after checking that none came late; written out and read in at step `restart`."""
    stream, decided = policy.stream(), []
    for t, label in enumerate(labels.tolist()):
        if t == restart:
            stored = json.dumps(stream.state_dict())
            stream = policy.stream()
            stream.load_state_dict(json.loads(stored))
        decided.extend(stream.step(label, None if table is None else table[t]).tolist())
        assert t + 1 - stream.delay <= len(decided) <= t + 1
    decided.extend(stream.finish().tolist())
    assert len(decided) == len(labels)
    assert stream.finish().size == 0
    return decided


@given(sequences(), st.integers(0, 40), seeds)
@settings(max_examples=200)
def test_streams_give_the_labels_of_the_whole_sequence(labels: NDArray[np.int32], restart: int, seed: int) -> None:
    table = probabilities_for(labels, seed)
    for policy in (ModeFilterPolicy(5), ModeFilterPolicy(1), HysteresisPolicy()):
        assert run_stream(policy, labels, table, restart) == policy.smooth(labels, table).tolist()
    chain = Pipeline(HysteresisPolicy(), ModeFilterPolicy(3))
    assert run_stream(chain, labels, table, restart) == chain.smooth(labels, table).tolist()


@dataclass(frozen=True)
class Patient:
    """A policy whose dwell waits as long as it takes."""

    policy: MinDwellPolicy | MedianHysteresisPolicy

    def smooth(self, labels: Any, probabilities: Any = None) -> NDArray[np.int32]:
        return self.policy.smooth(labels, probabilities)

    def stream(self) -> PolicyStream:
        return self.policy.stream(max_delay=100)


@given(sequences(), st.integers(1, 6), st.integers(0, 40))
@settings(max_examples=200)
def test_dwell_stream_that_waits_is_the_policy(labels: NDArray[np.int32], min_dwell: int, restart: int) -> None:
    for policy in (MinDwellPolicy(min_dwell), MedianHysteresisPolicy(min_dwell, 5)):
        assert run_stream(Patient(policy), labels, None, restart) == policy.smooth(labels).tolist()


@given(sequences(), st.integers(1, 6))
@settings(max_examples=200)
def test_impatient_dwell_stream_keeps_the_promises(labels: NDArray[np.int32], min_dwell: int) -> None:
    stream = MinDwellPolicy(min_dwell).stream(max_delay=min_dwell - 1)
    assert stream.delay == min_dwell - 1
    decided = [label for step in labels.tolist() for label in stream.step(step).tolist()] + stream.finish().tolist()
    for (_, old), (_, new) in zip(pieces(labels.tolist()), pieces(decided), strict=True):
        assert all(length >= min_dwell for _, length in run_lengths(new)[1:-1])
        assert set(new) <= set(old)
        assert transitions(new) <= transitions(old)


@given(sequences(), policies, seeds)
@settings(max_examples=200)
def test_streams_never_look_ahead(labels: NDArray[np.int32], policy: SmoothingPolicy, seed: int) -> None:
    """What a stream has decided is the same, whatever comes after."""
    table = probabilities_for(labels, seed)
    half = len(labels) // 2
    stream, other = policy.stream(), policy.stream()
    before = [stream.step(label, row).tolist() for label, row in zip(labels[:half].tolist(), table[:half], strict=True)]
    again = [other.step(label, row).tolist() for label, row in zip(labels.tolist(), table, strict=True)][:half]
    assert before == again


def test_stream_of_the_default_policy_removes_noise() -> None:
    rng = np.random.default_rng(4)
    truth = np.repeat(rng.permutation(np.arange(60) % 4), rng.integers(20, 60, 60)).astype(np.int32)
    noisy = np.where(rng.random(truth.size) < 0.1, rng.integers(0, 4, truth.size), truth).astype(np.int32)
    policy = MedianHysteresisPolicy()
    assert policy.stream().delay == 3 + 0 + 20
    assert run_stream(policy, noisy) == policy.smooth(noisy).tolist()


def test_stream_errors_are_named() -> None:
    with pytest.raises(ValueError, match="step\\(label, probabilities\\)"):
        HysteresisPolicy().stream().step(0)
    with pytest.raises(ValueError, match="max_delay"):
        MinDwellPolicy(5).stream(max_delay=3)
    with pytest.raises(ValueError, match="-2"):
        ModeFilterPolicy().stream().step(-2)
