"""Cross-correlation in windows: who leads, by how much, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._inputs import FloatArray, IntArray, whole
from ._results import record
from ._shifts import check_lags, pearson, shifted, signal_pair, size_of, stretch_sums
from ._significance import SurrogateKind, p_value, surrogates_of


@dataclass(frozen=True)
class WindowedCorrelation:
    """Correlation at each lag in each window.

    Attributes
    ----------
    start : ndarray of int64, shape (W,)
        First step of each window of x.
    window : int
        Steps of a window.
    lag : ndarray of int64, shape (L,)
        Steps that x leads by.
    value : ndarray of float64, shape (W, L)
        Between x in the window and y in the window moved by the lag; NaN where that reaches beyond the recording, or
        one of them is constant.
    p : ndarray of float64, shape (W,)
        As in `LagProfile`, window by window; NaN without surrogates. `adjust_p_values` pays for the many windows.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=220)
    >>> windowed_cross_correlation(x[2:], x[:-2], window=50, hop=50, max_lag=4).peak_lag
    array([2, 2, 2, 2])
    """

    start: IntArray
    window: int
    lag: IntArray
    value: FloatArray
    p: FloatArray

    @property
    def peak_lag(self) -> IntArray:
        """The lag of the largest |value| of each window ``(W,)``; the first lag where all are undefined."""
        return self.lag[size_of(self.value).argmax(axis=1)]

    @property
    def peak(self) -> FloatArray:
        """The value at `peak_lag` ``(W,)``; NaN where all are undefined."""
        return np.take_along_axis(self.value, size_of(self.value).argmax(axis=1)[:, None], axis=1)[:, 0]

    def to_dict(self) -> dict[str, Any]:
        """Write the fields and the peaks, JSON-safe."""
        fields = {**vars(self), "peak_lag": self.peak_lag, "peak": self.peak}
        undefined = bool(np.isnan(self.value).any() or np.isnan(self.p).any())
        return record(fields, "null beyond the recording, in constant windows, and p without surrogates" * undefined)


def windowed_cross_correlation(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    window: int,
    hop: int,
    max_lag: int,
    surrogates: int = 0,
    kind: SurrogateKind = "circular",
    block: int | None = None,
    seed: int = 0,
) -> WindowedCorrelation:
    """Correlate two continuous sequences at every lag within windows: who leads, and when.

    Parameters
    ----------
    x, y : array_like of float, shape (T,)
        Finite values.
    window, hop : int
        Steps of a window, at least 3, and from one to the next. The window of y is moved, not cut, so each value is of
        as many steps.
    max_lag, surrogates, kind, block, seed
        As in `cross_correlation`.

    Returns
    -------
    WindowedCorrelation

    Raises
    ------
    TypeError, ValueError
        As `cross_correlation`; a window longer than the sequences.

    References
    ----------
    S. Boker et al., "Windowed cross-correlation and peak picking for the analysis of variability in the association
    between behavioral time series", Psychological Methods 7, 2002.

    Examples
    --------
    >>> x = np.sin(np.arange(100) / 4.0)
    >>> windowed_cross_correlation(x, x, window=40, hop=20, max_lag=1).value.shape
    (4, 3)
    """
    one, other = signal_pair(x, y)
    check_lags(len(one), max_lag)
    whole("window", window, 3)
    whole("hop", hop, 1)
    if window > len(one):
        raise ValueError(f"window={window}: longer than the sequences ({len(one)} steps).")
    one, other = one - one.mean(), other - other.mean()
    start, lag = np.arange(0, len(one) - window + 1, hop), np.arange(-max_lag, max_lag + 1)
    value = _windowed(one, other, start, window, lag)
    again = surrogates_of(one, surrogates, kind, seed, block=block)
    null = np.array([size_of(_windowed(turned, other, start, window, lag)).max(axis=1) for turned in again])
    highest = size_of(value).max(axis=1)
    p = [p_value(float(high), null[:, w] if len(null) else null) for w, high in enumerate(highest)]
    return WindowedCorrelation(start, window, lag, value, np.where(highest >= 0, p, np.nan))


def _windowed(x: FloatArray, y: FloatArray, start: IntArray, window: int, lag: IntArray) -> FloatArray:
    out = np.full((len(start), len(lag)), np.nan)
    of_x = stretch_sums(x, start, window), stretch_sums(x * x, start, window)
    for j, by in enumerate(lag.tolist()):
        inside = np.flatnonzero((start + by >= 0) & (start + by + window <= len(y)))
        at = start[inside]
        one, other = shifted(x, y, by)
        product = stretch_sums(one * other, at + min(by, 0), window)
        of_y = stretch_sums(y, at + by, window), stretch_sums(y * y, at + by, window)
        out[inside, j] = pearson(product, of_x[0][inside], of_x[1][inside], *of_y, window)
    return out
