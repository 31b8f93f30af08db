import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold

from conv2d.data import DataError, Split, block_split, check_disjoint, group_folds, holdout_split, make_windows

HEALTH = settings(max_examples=40, deadline=None)
subject_names = st.lists(st.text("abcdef0123456789", min_size=1, max_size=4), min_size=4, max_size=30, unique=True)


@given(subjects=subject_names, seed=st.integers(0, 2**31), test=st.floats(0.05, 0.5), calibration=st.floats(0, 0.4))
@HEALTH
def test_holdout_puts_every_subject_in_exactly_one_part(subjects, seed, test, calibration):
    try:
        split = holdout_split(subjects, test=test, calibration=calibration, seed=seed)
    except DataError as error:
        assert "leave none to train on" in str(error)
        return
    parts = [*split.train, *split.calibration, *split.test]
    assert sorted(parts) == sorted(subjects)
    assert len(split.test) == max(1, round(test * len(subjects)))
    assert bool(split.calibration) == bool(calibration)
    assert split == holdout_split(reversed(subjects), test=test, calibration=calibration, seed=seed)


def test_holdout_changes_with_the_seed():
    subjects = [f"s{i}" for i in range(20)]
    assert len({holdout_split(subjects, seed=seed).test for seed in range(10)}) > 1


@pytest.mark.parametrize(
    ("subjects", "arguments", "words"),
    [
        (["a", "b"], {}, r"2 subject.*a, b.*none to train on.*calibration=0"),
        (["a", "b", "c"], {"test": 0.7, "calibration": 0.4}, r"sum below 1.*0\.7.*0\.4"),
        (["a", "b", "c"], {"test": 0.0}, r"test=0\.0"),
    ],
)
def test_holdout_refuses_what_cannot_be_split(subjects, arguments, words):
    with pytest.raises(DataError, match=words):
        holdout_split(subjects, **arguments)


def test_a_subject_in_two_parts_is_refused():
    with pytest.raises(DataError, match=r"'s2' is in train and in test.*one part only"):
        Split(train=("s1", "s2"), calibration=(), test=("s2",))
    with pytest.raises(DataError, match=r"'s1' is in train and in calibration"):
        Split(train=("s1",), calibration=("s1",), test=("s2",))
    with pytest.raises(DataError, match="test is empty"):
        Split(train=("s1",), calibration=(), test=())
    with pytest.raises(DataError, match=r"train.*differ"):
        Split(train=("s1", "s1"), calibration=(), test=("s2",))


@given(
    sizes=st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(1, 60), min_size=2, max_size=25),
    data=st.data(),
)
@HEALTH
def test_group_folds_are_those_of_scikit_learn(sizes, data):
    folds = data.draw(st.integers(2, len(sizes)))
    ours = group_folds(sizes, folds)
    groups = np.repeat(list(sizes), list(sizes.values()))
    peers = [tuple(sorted(map(str, set(groups[test])))) for _, test in GroupKFold(folds).split(groups, groups=groups)]
    weights = [[sum(sizes[s] for s in fold) for fold in split] for split in (ours, peers)]
    assert weights[0] == weights[1]
    # Among subjects of one size scikit-learn's order is that of an unstable sort, so only distinct sizes decide.
    if len(set(sizes.values())) == len(sizes):
        assert list(ours) == peers
    assert sorted(subject for fold in ours for subject in fold) == sorted(sizes)


def test_group_folds_refuse_more_folds_than_subjects():
    for folds in (1, 4):
        with pytest.raises(DataError, match=rf"2 … 3.*got {folds}"):
            group_folds({"a": 1, "b": 2, "c": 3}, folds)


def steps_of(windows, rows):
    """Every (recording, step) that a set of windows touches."""
    return {
        (r, t) for r, s in zip(windows.recording[rows], windows.start[rows], strict=True) for t in range(s, s + 100)
    }


@given(
    lengths=st.lists(st.integers(50, 1500), min_size=1, max_size=3),
    hop=st.integers(1, 130),
    gap=st.integers(1, 2),
    shares=st.lists(st.integers(1, 5), min_size=2, max_size=4),
)
@HEALTH
def test_no_window_straddles_a_block_split(lengths, hop, gap, shares):
    windows = _windows(lengths, hop)
    fractions = [share / sum(shares) for share in shares]
    blocks = block_split(windows, fractions=fractions, gap_windows=gap)
    assert len(blocks) == len(shares)
    touched = [steps_of(windows, rows) for rows in blocks]
    for later in range(1, len(blocks)):
        for earlier in range(later):
            assert not touched[earlier] & touched[later]
            check_disjoint(windows, blocks[earlier], blocks[later], allow_same_subject=True)
            for r in range(len(lengths)):
                before = [t for s, t in touched[earlier] if s == r]
                after = [t for s, t in touched[later] if s == r]
                if before and after:
                    assert min(after) - max(before) > 100 * gap


@given(lengths=st.lists(st.integers(150, 900), min_size=2, max_size=6), hop=st.integers(1, 90), seed=st.integers(0, 99))
@HEALTH
def test_no_step_and_no_subject_crosses_a_subject_split(lengths, hop, seed):
    windows = _windows(lengths, hop)
    split = holdout_split(windows.subjects, calibration=0.0, seed=seed)
    train, test = (np.flatnonzero(np.isin(windows.subject, part)) for part in (split.train, split.test))
    assert not steps_of(windows, train) & steps_of(windows, test)
    check_disjoint(windows, train, test)


@given(lengths=st.lists(st.integers(100, 700), min_size=1, max_size=3), hop=st.integers(1, 130), data=st.data())
@HEALTH
def test_check_disjoint_finds_exactly_the_shared_steps(lengths, hop, data):
    windows = _windows(lengths, hop)
    indices = st.lists(st.integers(0, len(windows) - 1), max_size=6)
    a, b = data.draw(indices), data.draw(indices)
    overlap = bool(steps_of(windows, a) & steps_of(windows, b))
    same_subject = bool(set(windows.subject[a]) & set(windows.subject[b])) if a and b else False
    for allow, leaks in ((True, overlap), (False, same_subject)):
        if leaks:
            with pytest.raises(DataError, match=r"overlap" if allow else r"on both sides"):
                check_disjoint(windows, a, b, allow_same_subject=allow)
        else:
            check_disjoint(windows, a, b, allow_same_subject=allow)


def test_random_windows_of_one_recording_are_refused():
    windows = _windows([1000], hop=25)
    order = np.random.default_rng(0).permutation(len(windows))
    with pytest.raises(DataError, match=r"recording s0/1.*overlap.*gap"):
        check_disjoint(windows, order[:20], order[20:], allow_same_subject=True)


def test_bad_blocks_are_refused():
    windows = _windows([500], hop=50)
    for fractions in ((0.5, 0.6), (1.0,), (1.2, -0.2), ()):
        with pytest.raises(DataError, match="positive shares of sum 1"):
            block_split(windows, fractions=fractions)
    with pytest.raises(DataError, match=r"gap_windows.*1 or more"):
        block_split(windows, gap_windows=0)


def _windows(lengths, hop):
    from conv2d.data import Recording

    recordings = [
        Recording(
            subject=f"s{i}",
            session="1",
            devices=("a", "b"),
            signal=np.zeros((9, 2, n), np.float32),
            channel_mask=np.ones((9, 2), bool),
            rate_hz=100.0,
            labels=np.zeros(n, np.int32),
            label_names=("still",),
            valid=np.ones((2, n), bool),
        )
        for i, n in enumerate(lengths)
    ]
    return make_windows(recordings, hop=hop)
