"""Who leads: agreement and correlation of two sequences at every lag. A lag above 0 means that x leads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from ._discrete import Cells, Coded, coded, count_pairs
from ._inputs import FloatArray, IntArray, choice, class_labels
from ._results import record
from ._shifts import check_lags, pearson, shifted, signal_pair, size_of, stretch_sums
from ._significance import SurrogateKind, p_value, surrogates_of
from ._untyped import scipy

Normalisation: TypeAlias = Literal["overlap", "global"]


@dataclass(frozen=True)
class LagProfile:
    """A measure of two sequences at each lag, between x(t) and y(t + lag).

    Attributes
    ----------
    lag : ndarray of int64, shape (L,)
        Steps that x leads by; below 0, y leads.
    value : ndarray of float64, shape (L,)
        NaN where it is undefined.
    n : ndarray of int64, shape (L,)
        Pairs of steps compared.
    p : float
        Share of surrogates whose largest |value| over all these lags reaches the observed one, so that looking at many
        lags is paid for; NaN without surrogates.
    n_surrogates : int
    reason : str
        Why values are NaN, or empty.

    Examples
    --------
    >>> profile = cross_correlation([0.0, 1, 0, 0, 0, 2, 0], [0.0, 0, 1, 0, 0, 0, 2], max_lag=2)
    >>> profile.peak_lag, round(profile.peak, 3)
    (1, 1.0)
    """

    lag: IntArray
    value: FloatArray
    n: IntArray
    p: float = np.nan
    n_surrogates: int = 0
    reason: str = ""

    @property
    def peak_lag(self) -> int | None:
        """The lag of the largest |value| (ties: the first); None when all are undefined."""
        size = np.where(np.isnan(self.value), -1.0, np.abs(self.value))
        best = int(size.argmax())
        return int(self.lag[best]) if size[best] >= 0 else None

    @property
    def peak(self) -> float:
        """The value at `peak_lag`, with its sign; NaN when all are undefined."""
        return np.nan if self.peak_lag is None else float(self.value[self.lag == self.peak_lag][0])

    def to_dict(self) -> dict[str, Any]:
        """Write the fields and the peak, JSON-safe."""
        fields = {**vars(self), "peak_lag": self.peak_lag, "peak": self.peak}
        return record(fields, self.reason or ("" if self.n_surrogates else "p: no surrogates"))


def cross_correlation(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    max_lag: int,
    normalise: Normalisation = "overlap",
    surrogates: int = 0,
    kind: SurrogateKind = "circular",
    block: int | None = None,
    seed: int = 0,
) -> LagProfile:
    """Correlate two continuous sequences at every lag up to a largest.

    Parameters
    ----------
    x, y : array_like of float, shape (T,)
        Finite values.
    max_lag : int
        Lags run from −max_lag to max_lag.
    normalise : {"overlap", "global"}
        Pearson's r of the steps that overlap at that lag; or covariance about the means of all steps over their
        standard deviations and T, which shrinks towards 0 at long lags (the "biased" form of the spectral literature).
    surrogates, kind, block, seed
        As in `mutual_information`.

    Returns
    -------
    LagProfile
        NaN where one of the sequences is constant over the overlap.

    Raises
    ------
    TypeError, ValueError
        Not two finite sequences of one length, or `max_lag` reaches beyond them.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=500)
    >>> cross_correlation(x, np.roll(x, 7), max_lag=20, surrogates=99).peak_lag
    7
    """
    one, other = signal_pair(x, y)
    check_lags(len(one), max_lag)
    choice("normalise", normalise, ("overlap", "global"))
    one, other = one - one.mean(), other - other.mean()
    lag = np.arange(-max_lag, max_lag + 1)
    value = _correlation(one, other, lag, normalise)
    again = surrogates_of(one, surrogates, kind, seed, block=block)
    null = np.array([_largest(_correlation(turned, other, lag, normalise)) for turned in again])
    reason = "one of the sequences is constant" if np.isnan(value).any() else ""
    return LagProfile(lag, value, len(one) - np.abs(lag), p_value(_largest(value), null), len(null), reason)


def lagged_kappa(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    max_lag: int,
    surrogates: int = 0,
    kind: SurrogateKind = "circular",
    block: int | None = None,
    seed: int = 0,
) -> LagProfile:
    """Compute Cohen's kappa of two class sequences at every lag: agreement beyond what their shares alone give.

    Parameters
    ----------
    x, y : array_like of int, shape (T,)
        Classes of the same meaning; pairs with −1 in either are left out.
    max_lag, surrogates, kind, block, seed
        As in `cross_correlation`.

    Returns
    -------
    LagProfile
        NaN where both sequences are one and the same constant class, or no pair is labelled.

    Raises
    ------
    TypeError, ValueError
        Not two sequences of classes of one length, or `max_lag` reaches beyond them.

    References
    ----------
    J. Cohen, "A coefficient of agreement for nominal scales", Educ. Psychol. Meas. 20, 1960.

    Examples
    --------
    >>> x = np.array([0, 0, 1, 2, 2, 0, 1, 1, 2, 0])
    >>> lagged_kappa(x, np.roll(x, 2), max_lag=3).peak_lag
    2
    """
    one, other = class_labels("x", x), class_labels("y", y)
    if one.ndim != 1 or one.shape != other.shape:
        raise ValueError(f"y: must be (T,) like x {one.shape}, got {other.shape}.")
    check_lags(len(one), max_lag)
    both = coded(np.concatenate([one, other]))  # one code for both, so that equal codes are equal classes
    first, second = Coded(both.code[: len(one)], both.size), Coded(both.code[len(one) :], both.size)
    lag = np.arange(-max_lag, max_lag + 1)
    value, n = _kappas(first.code, second, lag)
    again = surrogates_of(first.code, surrogates, kind, seed, block=block)
    null = np.array([_largest(_kappas(turned, second, lag)[0]) for turned in again])
    reason = "no labelled pair, or one class throughout" if np.isnan(value).any() else ""
    return LagProfile(lag, value, n, p_value(_largest(value), null), len(null), reason)


def _kappas(first: Cells, second: Coded, lag: IntArray) -> tuple[FloatArray, IntArray]:
    value, pairs, size = np.full(len(lag), np.nan), np.zeros(len(lag), dtype=np.int64), second.size
    for i, by in enumerate(lag.tolist()):
        one, other = shifted(first, second.code, by)
        table = count_pairs(one, other, size)
        n = int(table.sum())
        if not n:
            continue
        agreed, expected = np.trace(table) / n, float(table.sum(axis=0) @ table.sum(axis=1)) / n**2
        pairs[i] = n
        value[i] = (agreed - expected) / (1 - expected) if expected < 1 else np.nan
    return value, pairs


def _correlation(x: FloatArray, y: FloatArray, lag: IntArray, normalise: Normalisation) -> FloatArray:
    n, most = len(x), int(lag[-1])
    product = _products(x, y, most)
    if normalise == "global":
        scale = n * float(x.std() * y.std())
        return product / scale if scale > 0 else np.full(len(lag), np.nan)
    count = n - np.abs(lag)
    # The steps of x that overlap at a lag end earlier when x leads, and those of y begin later.
    x_from, y_from = np.maximum(0, -lag), np.maximum(0, lag)
    (sx, sxx), (sy, syy) = (
        (stretch_sums(v, at, count), stretch_sums(v * v, at, count)) for v, at in ((x, x_from), (y, y_from))
    )
    return pearson(product, sx, sxx, sy, syy, count)


def _products(x: FloatArray, y: FloatArray, most: int) -> FloatArray:
    """Σ x(t) y(t + lag) for lags −most … most."""
    if most <= 32:  # a few dot products beat a transform
        pairs = (shifted(x, y, by) for by in range(-most, most + 1))
        return np.array([one @ other for one, other in pairs])
    middle = len(x) - 1
    whole_range = cast(FloatArray, scipy("signal").correlate(y, x, method="auto"))
    return whole_range[middle - most : middle + most + 1]


def _largest(value: FloatArray) -> float:
    high = float(size_of(value).max())
    return high if high >= 0 else np.nan
