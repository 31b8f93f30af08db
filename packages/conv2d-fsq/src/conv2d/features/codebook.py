"""How a codebook is used: which codes, how evenly, how they follow each other, and what they say about classes.

Nothing here knows where codes come from: any int array ``(N, tokens)`` will do, from FSQ, a learnt codebook or elsewhere. Rows are
windows in the order of time; ``sequence`` tells where a recording ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.features._errors import ContractError
from conv2d.features._levels import Levels, check_levels
from conv2d.features._quantize import quantize

__all__ = [
    "ClassSignatures",
    "CodeUsage",
    "DeadLevel",
    "Dwells",
    "RateDistortion",
    "RatePoint",
    "class_signatures",
    "code_usage",
    "dead_levels",
    "dwells",
    "rate_distortion",
    "transition_counts",
]

Codes = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class CodeUsage:
    """How often each code stands in a corpus.

    Attributes
    ----------
    counts : ndarray of int64, shape (n_codes,)
        Occurrences over all windows and tokens.
    n_active : int
        Codes that occur.
    fraction_used : float
        ``n_active / n_codes``.
    entropy_bits : float
        Entropy of the shares, in bits; at most ``log2(n_codes)``.
    perplexity : float
        ``2 ** entropy_bits``: as many evenly used codes would have this entropy. 1 is a collapsed codebook.
    """

    counts: NDArray[np.int64]
    n_active: int
    fraction_used: float
    entropy_bits: float
    perplexity: float


@dataclass(frozen=True)
class DeadLevel:
    """A level of a scalar that no window reaches.

    Attributes
    ----------
    token, scalar, level : int
        Which token, which of its scalars, which level from 0.
    """

    token: int
    scalar: int
    level: int

    def __str__(self) -> str:
        return f"token {self.token}, scalar {self.scalar}: level {self.level} is never used"


@dataclass(frozen=True)
class Dwells:
    """How long a token keeps its code.

    Attributes
    ----------
    n_runs : int
        Runs of equal codes, over all tokens and sequences.
    mean_s, median_s, p90_s, longest_s : float
        Of the runs' lengths, in seconds: windows times hop.
    """

    n_runs: int
    mean_s: float
    median_s: float
    p90_s: float
    longest_s: float


@dataclass(frozen=True, eq=False)
class ClassSignatures:
    """Which codes speak for which class.

    Attributes
    ----------
    classes : ndarray of int, shape (K,)
        Labels that occur; −1 is left out.
    shares : ndarray of float64, shape (K, n_codes)
        Shares of the codes within a class; rows sum to 1.
    top : ndarray of int32, shape (K, n_top)
        Codes with the largest gain of share over the other classes, the largest first.
    stability : ndarray of float64, shape (K,)
        Mean overlap (Jaccard) of ``top`` with that of bootstrap samples of the groups; 1 = the same codes every time.
    """

    classes: NDArray[np.int64]
    shares: NDArray[np.float64]
    top: NDArray[np.int32]
    stability: NDArray[np.float64]


@dataclass(frozen=True)
class RatePoint:
    """What a set of levels costs and keeps.

    Attributes
    ----------
    levels : tuple of int
        The levels.
    n_codes : int
        Their product.
    rate_bits : float
        Entropy of a token's code, averaged over the tokens: what an ideal coder would spend.
    distortion : float
        Mean squared error of the bounded scalars ``tanh(z)``.
    perplexity : float
        Of the codes of all tokens together.
    dead_levels : int
        Levels that no window reaches, over all tokens.
    """

    levels: tuple[int, ...]
    n_codes: int
    rate_bits: float
    distortion: float
    perplexity: float
    dead_levels: int


@dataclass(frozen=True)
class RateDistortion:
    """A sweep over sets of levels.

    Attributes
    ----------
    points : tuple of RatePoint
        By rate.
    recommended : tuple of int
        The knee: of the points that no other beats in both, the one farthest below the line from the cheapest to the finest.
    """

    points: tuple[RatePoint, ...]
    recommended: tuple[int, ...]


def _check_codes(codes: Codes, n_codes: int) -> None:
    if codes.ndim != 2 or codes.dtype.kind not in "iu":
        raise ContractError(
            f"codes must be integers of shape (windows, tokens), got {codes.dtype} with shape {codes.shape}."
        )
    if codes.size and not 0 <= codes.min() <= codes.max() < n_codes:
        raise ContractError(f"codes must be in [0, {n_codes}), got values {codes.min()}..{codes.max()}.")


def _row_labels(name: str, values: ArrayLike | None, n: int) -> NDArray[Any]:
    """Return one label for each window, or zeros where none were given."""
    array = cast("NDArray[Any]", np.zeros(n, np.int64) if values is None else np.asarray(values))
    if array.shape != (n,):
        raise ContractError(f"{name} must have one entry for each of the {n} windows, got shape {array.shape}.")
    return array


def _entropy_bits(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the entropy along the last axis; 0 where nothing was counted."""
    share = counts / np.maximum(counts.sum(-1, keepdims=True), 1)
    return -(share * np.log2(np.where(share > 0, share, 1.0))).sum(-1)


def code_usage(codes: Codes, n_codes: int) -> CodeUsage:
    """Count codes.

    Parameters
    ----------
    codes : ndarray of int, shape (N, tokens)
        Codes in ``[0, n_codes)``.
    n_codes : int
        Size of the codebook.

    Returns
    -------
    CodeUsage
        Counts, entropy and perplexity.

    Raises
    ------
    ContractError
        For codes of another shape or out of range.

    Examples
    --------
    >>> import numpy as np
    >>> usage = code_usage(np.array([[0, 1], [2, 3]]), n_codes=8)
    >>> usage.n_active, usage.fraction_used, usage.entropy_bits, usage.perplexity
    (4, 0.5, 2.0, 4.0)
    """
    _check_codes(codes, n_codes)
    counts = np.bincount(codes.ravel(), minlength=n_codes).astype(np.int64)
    entropy = float(_entropy_bits(counts))
    active = int(np.count_nonzero(counts))
    return CodeUsage(counts, active, active / n_codes, entropy, 2.0**entropy)


def dead_levels(codes: Codes, levels: Sequence[int]) -> tuple[DeadLevel, ...]:
    """Name the levels that no window reaches.

    Parameters
    ----------
    codes : ndarray of int, shape (N, tokens)
        FSQ codes.
    levels : sequence of int
        Their levels.

    Returns
    -------
    tuple of DeadLevel
        Empty when every level of every scalar of every token is used: what to expect of some thousands of varied windows. A
        sensor that was not recorded leaves all but one level of its scalars dead.

    Raises
    ------
    ContractError
        For codes of another shape or out of range.

    Examples
    --------
    >>> import numpy as np
    >>> [str(dead) for dead in dead_levels(np.array([[0], [3]]), [2, 3])]
    ['token 0, scalar 1: level 2 is never used']
    """
    table = check_levels(levels)
    _check_codes(codes, table.n_codes)
    found: list[DeadLevel] = []
    for token, column in enumerate(codes.T):
        counts = np.bincount(column, minlength=table.n_codes)
        for scalar, level in _unused(counts, table):
            found.append(DeadLevel(token, scalar, level))
    return tuple(found)


def _unused(counts: NDArray[np.int64], table: Levels) -> list[tuple[int, int]]:
    seen = np.flatnonzero(counts)
    return [
        (i, int(level))
        for i, count in enumerate(table.levels)
        for level in np.setdiff1d(np.arange(count), seen // table.basis[i] % count)
    ]


def transition_counts(codes: Codes, n_codes: int, sequence: ArrayLike | None = None) -> NDArray[np.int64]:
    """Count which code follows which from one window to the next, token by token.

    Parameters
    ----------
    codes : ndarray of int, shape (N, tokens)
        Windows in the order of time.
    n_codes : int
        Size of the codebook.
    sequence : array_like, shape (N,), optional
        Recording of each window: none is followed across a change. By default all are one recording.

    Returns
    -------
    ndarray of int64, shape (n_codes, n_codes)
        Row = from, column = to; the diagonal counts stays.

    Raises
    ------
    ContractError
        For arrays of another shape, or codes out of range.

    Examples
    --------
    >>> import numpy as np
    >>> transition_counts(np.array([[0], [1], [1], [0]]), 2, sequence=["a", "a", "a", "b"])
    array([[0, 1], [0, 1]])
    """
    _check_codes(codes, n_codes)
    recording = _row_labels("sequence", sequence, len(codes))
    inside = recording[1:] == recording[:-1]
    before, after = codes[:-1][inside].astype(np.int64), codes[1:][inside]
    return np.bincount((before * n_codes + after).ravel(), minlength=n_codes**2).reshape(n_codes, n_codes)


def dwells(codes: Codes, hop_s: float, sequence: ArrayLike | None = None) -> Dwells:
    """Measure how long tokens keep their codes.

    Parameters
    ----------
    codes : ndarray of int, shape (N, tokens)
        Windows in the order of time.
    hop_s : float
        Seconds from one window to the next.
    sequence : array_like, shape (N,), optional
        Recording of each window; a run ends with it. By default all are one recording.

    Returns
    -------
    Dwells
        In seconds; zeros without windows.

    Raises
    ------
    ContractError
        For arrays of another shape, or a hop that is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> dwells(np.array([[0], [0], [0], [1]]), hop_s=0.5)
    Dwells(n_runs=2, mean_s=1.0, median_s=1.0, p90_s=1.4, longest_s=1.5)
    """
    _check_codes(codes, int(codes.max(initial=0)) + 1)
    if not 0 < hop_s < np.inf:
        raise ContractError(f"hop_s must be a positive number of seconds, got {hop_s!r}.")
    recording = _row_labels("sequence", sequence, len(codes))
    starts = np.ones(codes.shape, bool)
    starts[1:] = (codes[1:] != codes[:-1]) | (recording[1:] != recording[:-1])[:, None]
    runs = [np.diff(np.flatnonzero(column), append=len(codes)) for column in starts.T]
    length = np.concatenate([*runs, np.zeros(0, np.int64)]) * hop_s
    if not len(length):
        return Dwells(0, 0.0, 0.0, 0.0, 0.0)
    middle, long = np.quantile(length, [0.5, 0.9])
    return Dwells(len(length), float(length.mean()), float(middle), round(float(long), 9), float(length.max()))


def class_signatures(
    codes: Codes,
    labels: ArrayLike,
    n_codes: int,
    groups: ArrayLike | None = None,
    n_top: int = 10,
    n_bootstrap: int = 100,
    seed: int = 0,
) -> ClassSignatures:
    """Find the codes that speak for each class, and whether other people would have shown the same ones.

    Parameters
    ----------
    codes : ndarray of int, shape (N, tokens)
        Codes.
    labels : array_like of int, shape (N,)
        Class of each window; −1 is left out.
    n_codes : int
        Size of the codebook.
    groups : array_like, shape (N,), optional
        Subject of each window: the bootstrap draws whole subjects. By default it draws windows.
    n_top : int
        Codes of a signature.
    n_bootstrap : int
        Samples.
    seed : int
        Of the bootstrap.

    Returns
    -------
    ClassSignatures
        For the classes that occur.

    Raises
    ------
    ContractError
        For arrays of another shape, codes out of range, or counts below 1.

    Examples
    --------
    >>> import numpy as np
    >>> codes = np.repeat([[0, 1], [2, 3]], 20, axis=0)
    >>> found = class_signatures(codes, np.repeat([0, 1], 20), n_codes=4, n_top=2)
    >>> found.top.tolist(), found.stability.tolist()
    ([[0, 1], [2, 3]], [1.0, 1.0])
    """
    _check_codes(codes, n_codes)
    if n_top < 1 or n_bootstrap < 1:
        raise ContractError(f"n_top and n_bootstrap must be at least 1, got {n_top!r} and {n_bootstrap!r}.")
    n_top = min(n_top, n_codes)
    truth = _row_labels("labels", labels, len(codes)).astype(np.int64)
    unit = (
        np.arange(len(codes))
        if groups is None
        else np.unique(_row_labels("groups", groups, len(codes)), return_inverse=True)[1]
    )
    classes = np.unique(truth[truth >= 0])
    n_units = int(unit.max(initial=-1)) + 1
    shares = np.zeros((len(classes), n_codes))
    top = np.zeros((len(classes), n_top), np.int32)
    stability = np.zeros(len(classes))
    # Draws of units: how often each of them is in each sample.
    rng = np.random.default_rng(seed)
    weights = (
        rng.multinomial(n_units, np.full(n_units, 1 / max(n_units, 1)), n_bootstrap)
        if n_units
        else np.zeros((n_bootstrap, 0))
    )
    everything = _counts_by_unit(codes, np.flatnonzero(truth >= 0), unit, n_units, n_codes)
    for k, label in enumerate(classes):
        inside = _counts_by_unit(codes, np.flatnonzero(truth == label), unit, n_units, n_codes)
        total = inside.sum(0)
        shares[k] = total / total.sum()
        top[k] = _most_telling(total, everything.sum(0) - total, n_top)
        overlap = 0.0
        for weight in weights:
            drawn = weight @ inside
            again = _most_telling(drawn, weight @ everything - drawn, n_top)
            common = len(np.intersect1d(again, top[k]))
            overlap += common / (2 * n_top - common)
        stability[k] = overlap / n_bootstrap
    return ClassSignatures(classes, shares, top, stability)


def _counts_by_unit(codes: Codes, rows: NDArray[np.intp], unit: NDArray[np.intp], n_units: int, n_codes: int) -> Any:
    """Return a sparse or dense count matrix (units, codes)."""
    flat = (unit[rows, None] * n_codes + codes[rows]).ravel()
    if n_units * n_codes <= 2**24:
        return np.bincount(flat, minlength=n_units * n_codes).reshape(n_units, n_codes)
    raise ContractError(
        f"groups: {n_units} of them with {n_codes} codes are too many counts to bootstrap. Give the subject of each window as groups=."
    )


def _most_telling(inside: NDArray[Any], outside: NDArray[Any], n_top: int) -> NDArray[np.int32]:
    gain = inside / max(inside.sum(), 1) - outside / max(outside.sum(), 1)
    return np.argsort(-gain, kind="stable")[:n_top].astype(np.int32)


def rate_distortion(z: NDArray[np.float32], level_sets: Sequence[Sequence[int]]) -> RateDistortion:
    """Quantise the same scalars with several sets of levels and weigh bits against error.

    Parameters
    ----------
    z : ndarray of float32, shape (N, tokens, n)
        Unbounded encoder outputs.
    level_sets : sequence of sequences of int
        Each with n levels.

    Returns
    -------
    RateDistortion
        Points and a recommendation. It weighs faithfulness to this encoder alone: what a task needs, only its own score tells.

    Raises
    ------
    ContractError
        For a wrong shape or dtype, NaN, no windows, or a level set of another size.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.random.default_rng(0).standard_normal((500, 4, 3), np.float32)
    >>> sweep = rate_distortion(z, [[2, 2, 2], [4, 4, 4], [8, 6, 5], [16, 16, 16]])
    >>> [point.levels for point in sweep.points], sweep.recommended
    ([(2, 2, 2), (4, 4, 4), (8, 6, 5), (16, 16, 16)], (4, 4, 4))
    """
    tables = [check_levels(levels) for levels in level_sets]
    if z.dtype != np.float32 or z.ndim != 3 or not len(z) or not tables:
        raise ContractError(
            f"z must be float32 of shape (windows, tokens, scalars) with at least one window, and level_sets must not be empty; "
            f"got {z.dtype} with shape {z.shape} and {len(tables)} level sets."
        )
    for table in tables:
        if len(table.levels) != z.shape[2]:
            raise ContractError(
                f"each level set needs {z.shape[2]} levels, one for each scalar of z, got {list(table.levels)}."
            )
    points = sorted((_rate_point(z, table) for table in tables), key=lambda point: (point.rate_bits, point.distortion))
    return RateDistortion(tuple(points), _knee(points).levels)


def _rate_point(z: NDArray[np.float32], table: Levels) -> RatePoint:
    found = quantize(z, table, values=False)
    if found.n_nan:
        raise ContractError(f"z holds {found.n_nan} NaN of {z.size} values; a NaN has no level. Find its source.")
    numbers = found.codes[..., None] // table.basis % np.array(table.levels)
    centre = (numbers - table.half_width.astype(np.float64) + table.offset) / table.radius
    rebuilt = np.tanh(np.arctanh(np.clip(centre, -1 + 1e-12, 1 - 1e-12)) - table.shift)
    error = np.tanh(z.astype(np.float64)) - rebuilt
    entropies = [float(_entropy_bits(np.unique(column, return_counts=True)[1])) for column in found.codes.T]
    return RatePoint(
        table.levels,
        table.n_codes,
        float(np.mean(entropies)),
        float(np.mean(error * error)),
        2.0 ** float(_entropy_bits(np.unique(found.codes, return_counts=True)[1])),
        len(dead_levels(found.codes, table.levels)),
    )


def _knee(points: list[RatePoint]) -> RatePoint:
    """Return the point farthest below the chord of the frontier; points come by rate."""
    frontier: list[RatePoint] = []
    for point in points:
        if not frontier or point.distortion < frontier[-1].distortion:
            frontier.append(point)
    rate = np.array([point.rate_bits for point in frontier])
    error = np.array([point.distortion for point in frontier])
    if len(frontier) < 3:
        return frontier[-1]
    depth = (error[0] - error) / (error[0] - error[-1]) - (rate - rate[0]) / (rate[-1] - rate[0])
    return frontier[int(depth.argmax())]
