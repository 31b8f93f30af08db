"""Honest splits: whole subjects, or contiguous blocks of a recording with a gap between them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.data._checks import as_indices, check_names, check_whole
from conv2d.data._errors import DataError
from conv2d.data._windows import WINDOW_STEPS, Windows


@dataclass(frozen=True)
class Split:
    """Which subjects train, calibrate and test.

    Attributes
    ----------
    train, calibration, test : tuple of str
        Subjects; no subject in two parts. `calibration` may be empty, the others not.

    Raises
    ------
    DataError
        If a subject is in two parts, or `train` or `test` is empty.

    Examples
    --------
    >>> Split(train=("s1", "s2"), calibration=("s3",), test=("s4",)).test
    ('s4',)
    """

    train: tuple[str, ...]
    calibration: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a split that leaks or cannot be used."""
        part_of: dict[str, str] = {}
        for part, subjects in (("train", self.train), ("calibration", self.calibration), ("test", self.test)):
            check_names(subjects, part, "split")
            if not subjects and part != "calibration":
                raise DataError(f"split: {part} is empty; it needs at least one subject.")
            for subject in subjects:
                if subject in part_of:
                    raise DataError(
                        f"split: subject {subject!r} is in {part_of[subject]} and in {part}; a subject belongs to one "
                        f"part only, or the figures flatter the model."
                    )
                part_of[subject] = part


def holdout_split(subjects: Iterable[str], *, test: float = 0.25, calibration: float = 0.2, seed: int = 0) -> Split:
    """Draw whole subjects for test and calibration.

    Parameters
    ----------
    subjects : iterable of str
        All subjects; their order does not matter.
    test, calibration : float
        Shares of all subjects, rounded to whole subjects and at least one each; `calibration=0` gives none.
    seed : int
        Same subjects and seed, same split.

    Returns
    -------
    Split
        Each part sorted.

    Raises
    ------
    DataError
        If the shares are out of range, or leave no subject to train on.

    Examples
    --------
    >>> split = holdout_split(["s1", "s2", "s3", "s4", "s5"], seed=1)
    >>> len(split.train), len(split.calibration), len(split.test)
    (3, 1, 1)
    """
    names = sorted(set(subjects))
    if not (0 < test < 1 and 0 <= calibration < 1 and test + calibration < 1):
        raise DataError(
            f"holdout_split: test must lie in 0 … 1 (both excluded), calibration in 0 … 1, and their sum below 1; got "
            f"test={test!r} and calibration={calibration!r}."
        )
    n_test = max(1, round(test * len(names)))
    n_calibration = max(1, round(calibration * len(names))) if calibration else 0
    if n_test + n_calibration >= len(names):
        raise DataError(
            f"holdout_split: {len(names)} subject(s) ({', '.join(names)}) leave none to train on after {n_test} for "
            f"test and {n_calibration} for calibration; record more subjects or set calibration=0."
        )
    drawn = [names[i] for i in map(int, np.random.default_rng(seed).permutation(len(names)))]
    held = n_test + n_calibration
    return Split(tuple(sorted(drawn[held:])), tuple(sorted(drawn[n_test:held])), tuple(sorted(drawn[:n_test])))


def group_folds(windows_per_subject: Mapping[str, int], folds: int) -> tuple[tuple[str, ...], ...]:
    """Deal subjects to folds so that the folds hold about equally many windows.

    The rule of scikit-learn's `GroupKFold` without shuffling: the subject with most windows goes first, each to the
    fold that is lightest so far. Of subjects with equally many windows the last by name goes first.

    Parameters
    ----------
    windows_per_subject : mapping of str to int
        How many windows each subject has.
    folds : int
        Number of folds, from 2 to the number of subjects.

    Returns
    -------
    tuple of tuple of str
        The test subjects of each fold, sorted; every subject in exactly one.

    Raises
    ------
    DataError
        If there are more folds than subjects, or fewer than two.

    Examples
    --------
    >>> group_folds({"a": 50, "b": 30, "c": 25, "d": 5}, folds=2)
    (('a', 'd'), ('b', 'c'))
    """
    names = sorted(windows_per_subject)
    if check_whole(folds, "group_folds: folds") < 2 or folds > len(names):
        raise DataError(
            f"group_folds: folds must lie in 2 … {len(names)}, the number of subjects, got {folds}; a fold without a "
            f"subject cannot be tested on."
        )
    sizes = np.array([windows_per_subject[name] for name in names])
    weight = np.zeros(folds, dtype=np.int64)
    members: list[list[str]] = [[] for _ in range(folds)]
    for i in map(int, np.argsort(sizes, kind="stable")[::-1]):
        lightest = int(weight.argmin())
        weight[lightest] += sizes[i]
        members[lightest].append(names[i])
    return tuple(tuple(sorted(fold)) for fold in members)


def block_split(
    windows: Windows, *, fractions: Sequence[float] = (0.6, 0.2, 0.2), gap_windows: int = 1
) -> tuple[NDArray[np.int64], ...]:
    """Cut every recording into contiguous blocks of time with a gap between them.

    For questions within a subject only: the figures it gives do not hold for a new subject.

    Parameters
    ----------
    windows : Windows
        Windows of any recordings.
    fractions : sequence of float
        Share of each recording's time for each block, in order; positive, sum 1.
    gap_windows : int
        Windows' lengths (100 steps each) left out between two blocks, taken from the later one; at least 1.

    Returns
    -------
    tuple of numpy.ndarray
        For each block the int64 indices of its windows. A window that lies across a border or in a gap is in none.

    Raises
    ------
    DataError
        If the fractions or the gap are out of range.

    Examples
    --------
    >>> from conv2d.data import make_windows, simulate
    >>> windows = make_windows(simulate(n_subjects=1, minutes=1.0), hop=25)
    >>> train, test = block_split(windows, fractions=(0.7, 0.3))
    >>> check_disjoint(windows, train, test, allow_same_subject=True)
    """
    shares = np.asarray(fractions, dtype=np.float64)
    if shares.ndim != 1 or len(shares) < 2 or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-9:
        raise DataError(
            f"block_split: fractions must be two or more positive shares of sum 1, got {tuple(fractions)!r}."
        )
    gap = check_whole(gap_windows, "block_split: gap_windows") * WINDOW_STEPS
    length = np.zeros(len(windows.recording_names), dtype=np.int64)
    np.maximum.at(length, windows.recording, windows.start + WINDOW_STEPS)
    borders = np.floor(np.concatenate([[0.0], np.cumsum(shares)[:-1], [1.0]])[:, None] * length).astype(np.int64)
    blocks: list[NDArray[np.int64]] = []
    for block in range(len(shares)):
        first = borders[block] + (gap if block else 0)
        inside = (windows.start >= first[windows.recording]) & (
            windows.start + WINDOW_STEPS <= borders[block + 1][windows.recording]
        )
        blocks.append(np.flatnonzero(inside))
    return tuple(blocks)


def check_disjoint(windows: Windows, a: ArrayLike, b: ArrayLike, *, allow_same_subject: bool = False) -> None:
    """Raise if two sets of windows share a subject, or, within subjects, a single step of time.

    Parameters
    ----------
    windows : Windows
        The windows that `a` and `b` index.
    a, b : array_like
        Integer indices or bool masks.
    allow_same_subject : bool
        True for a block split: the sets may share subjects, but no step.

    Raises
    ------
    DataError
        Naming the subject, or the recording and the overlapping windows.

    Examples
    --------
    >>> from conv2d.data import make_windows, simulate
    >>> windows = make_windows(simulate(n_subjects=2, minutes=0.5), hop=25)
    >>> check_disjoint(windows, windows.subject == windows.subjects[0], windows.subject == windows.subjects[1])
    """
    rows_a, rows_b = as_indices(a, len(windows), "check_disjoint: a"), as_indices(b, len(windows), "check_disjoint: b")
    shared = np.intersect1d(windows.subject[rows_a], windows.subject[rows_b])
    if len(shared) and not allow_same_subject:
        raise DataError(
            f"split: subject {str(shared[0])!r} is on both sides ({len(shared)} shared in all); split by whole "
            f"subjects, or by block_split if the question is within subjects."
        )
    for recording in map(int, np.intersect1d(windows.recording[rows_a], windows.recording[rows_b])):
        starts_a, starts_b = (windows.start[r[windows.recording[r] == recording]] for r in (rows_a, rows_b))
        # The nearest start at or after each of a, and the nearest before it, are the only ones that can come too close.
        ordered = np.sort(starts_b)
        after = np.searchsorted(ordered, starts_a)
        near = np.stack([ordered[np.clip(after - 1, 0, None)], ordered[np.clip(after, None, len(ordered) - 1)]])
        close = np.argwhere(abs(near - starts_a) < WINDOW_STEPS)
        if len(close):
            side, i = map(int, close[0])
            raise DataError(
                f"split: the windows at steps {int(starts_a[i])} and {int(near[side, i])} of recording "
                f"{windows.recording_names[recording]} are on two sides but overlap (a window has {WINDOW_STEPS} "
                f"steps); leave a gap between the sides."
            )
