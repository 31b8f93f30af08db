"""How codes follow each other, and how long they stay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.features._code_arrays import Codes, check_codes, row_labels
from conv2d.features._errors import ContractError


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
    check_codes(codes, n_codes)
    recording = row_labels("sequence", sequence, len(codes))
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
    check_codes(codes, int(codes.max(initial=0)) + 1)
    if not 0 < hop_s < np.inf:
        raise ContractError(f"hop_s must be a positive number of seconds, got {hop_s!r}.")
    recording = row_labels("sequence", sequence, len(codes))
    starts = np.ones(codes.shape, bool)
    starts[1:] = (codes[1:] != codes[:-1]) | (recording[1:] != recording[:-1])[:, None]
    runs = [np.diff(np.flatnonzero(column), append=len(codes)) for column in starts.T]
    length = np.concatenate([*runs, np.zeros(0, np.int64)]) * hop_s
    if not len(length):
        return Dwells(0, 0.0, 0.0, 0.0, 0.0)
    middle, long = np.quantile(length, [0.5, 0.9])
    return Dwells(len(length), float(length.mean()), float(middle), round(float(long), 9), float(length.max()))
