"""Which codes speak for which class, and how surely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.features._code_arrays import Codes, check_codes, row_labels
from conv2d.features._errors import ContractError


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
    check_codes(codes, n_codes)
    if n_top < 1 or n_bootstrap < 1:
        raise ContractError(f"n_top and n_bootstrap must be at least 1, got {n_top!r} and {n_bootstrap!r}.")
    n_top = min(n_top, n_codes)
    truth = row_labels("labels", labels, len(codes)).astype(np.int64)
    unit = (
        np.arange(len(codes))
        if groups is None
        else np.unique(row_labels("groups", groups, len(codes)), return_inverse=True)[1]
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
