"""Which codes occur, how evenly, and which levels never do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conv2d.features._code_arrays import Codes, check_codes
from conv2d.features._levels import Levels, check_levels


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


def entropy_bits(counts: NDArray[np.int64]) -> NDArray[np.float64]:
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
    check_codes(codes, n_codes)
    counts = np.bincount(codes.ravel(), minlength=n_codes).astype(np.int64)
    entropy = float(entropy_bits(counts))
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
    check_codes(codes, table.n_codes)
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
