"""Segments in and out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv2d.temporal import Segment, from_segments, to_segments


@given(
    st.lists(st.integers(-1, 3), max_size=60),
    st.sampled_from([0.01, 0.1, 0.5, 1 / 3, 1.28]),
    st.sampled_from([0.0, -2.5, 1.6e9]),
    st.booleans(),
)
def test_round_trip_is_exact(row: list[int], hop_s: float, start_s: float, named: bool) -> None:
    labels = np.array(row, dtype=np.int32)
    names = ["walk", "trot", "sit", "stand"] if named else None
    segments = to_segments(labels, hop_s, start_s, label_names=names)
    back = from_segments(segments[::-1], hop_s, start_s, n_steps=len(row), label_names=names)
    assert back.dtype == np.int32
    assert np.array_equal(back, labels)
    assert to_segments(back, hop_s, start_s, label_names=names) == segments
    assert sum(segment.duration_s for segment in segments) == pytest.approx(np.sum(labels >= 0) * hop_s, abs=1e-5)


def test_segments_are_half_open_and_carry_the_mean_probability() -> None:
    table = np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6], [0.0, 0.0]], dtype=np.float32)
    segments = to_segments([0, 0, 1, -1], 0.5, start_s=10.0, probabilities=table)
    assert [(s.start_s, s.end_s, s.label) for s in segments] == [(10.0, 11.0, 0), (11.0, 11.5, 1)]
    assert [s.confidence for s in segments] == pytest.approx([0.8, 0.6])
    assert all(type(s.label) is int and type(s.start_s) is float for s in segments)


def test_without_n_steps_the_sequence_ends_with_the_last_segment() -> None:
    assert from_segments([Segment(1.0, 2.0, 3)], 0.5).tolist() == [-1, -1, 3, 3]
    assert from_segments([], 0.5).shape == (0,)
    assert to_segments(np.zeros(0, np.int32), 0.5) == ()


@pytest.mark.parametrize(
    ("segments", "arguments", "message"),
    [
        ([Segment(0, 1, 0), Segment(0.5, 2, 1)], {}, "overlap"),
        ([Segment(0, 0.75, 0)], {}, "grid"),
        ([Segment(0, float("nan"), 0)], {}, "grid"),
        ([Segment(1, 1, 0)], {}, "after its start"),
        ([Segment(-1, 1, 0)], {}, "start_s=0"),
        ([Segment(0, 2, 0)], {"n_steps": 3}, "n_steps"),
        ([Segment(0, 1, "walk")], {}, "no label_names"),
        ([Segment(0, 1, "fly")], {"label_names": ["walk"]}, "fly"),
        ([Segment(0, 1, 1)], {"label_names": ["walk"]}, "1 names"),
        ([Segment(0, 1, -1)], {}, "negative"),
        ([], {"label_names": ["walk", "walk"]}, "distinct"),
    ],
)
def test_bad_segments_are_named(segments: list[Segment], arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_segments(segments, 0.5, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": [[0, 1]], "hop_s": 1}, "each row"),
        ({"labels": [0, 1], "hop_s": 0}, "hop_s"),
        ({"labels": [0, 1], "hop_s": 1, "label_names": ["walk"]}, "reach 1"),
        ({"labels": [0, 1], "hop_s": 1, "probabilities": np.ones((1, 2))}, r"\(2, K\)"),
    ],
)
def test_bad_sequences_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_segments(**arguments)
