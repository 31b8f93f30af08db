"""When they are in step: any measure of two sequences in windows, of one length or as long as it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ._inputs import FloatArray, IntArray, integers, whole
from ._results import record
from ._significance import Adjustment, adjust_p_values


class Tested(Protocol):
    """What a measure gives: a value, and a p-value or NaN; `Information` and `PhaseLocking` do."""

    @property
    def value(self) -> float:
        """The measure."""
        ...

    @property
    def p(self) -> float:
        """Its p-value."""
        ...


@dataclass(frozen=True)
class Windowed:
    """A measure of two sequences in each window.

    Attributes
    ----------
    start, end : ndarray of int64, shape (W,)
        Half-open, in steps.
    value, p : ndarray of float64, shape (W,)
    adjusted : ndarray of float64, shape (W,)
        p-values corrected for the number of windows by `method`.
    method : str

    Examples
    --------
    >>> from conv2d.metrics import mutual_information
    >>> rng = np.random.default_rng(0)
    >>> x = rng.integers(0, 2, 600)
    >>> y = np.where(np.arange(600) < 300, x, rng.integers(0, 2, 600))
    >>> found = windowed(lambda a, b: mutual_information(a, b, surrogates=99), x, y, sliding_windows(600, 300, 300))
    >>> found.adjusted < 0.05
    array([ True, False])
    """

    start: IntArray
    end: IntArray
    value: FloatArray
    p: FloatArray
    adjusted: FloatArray
    method: str

    def to_dict(self) -> dict[str, Any]:
        """Write the columns, JSON-safe."""
        undefined = bool(np.isnan(self.value).any() or np.isnan(self.p).any())
        return record(vars(self), "null where the measure is undefined or was not tested" if undefined else "")


def sliding_windows(length: int, window: int, hop: int) -> IntArray:
    """Lay windows of one length over a sequence.

    Parameters
    ----------
    length : int
        Steps of the sequence.
    window, hop : int
        Steps of a window, and from one to the next. What is left at the end makes no window.

    Returns
    -------
    ndarray of int64, shape (W, 2)
        Start and end, half-open.

    Raises
    ------
    ValueError
        A window or hop below 1, or a window longer than the sequence.

    Examples
    --------
    >>> sliding_windows(10, 4, 3)
    array([[ 0,  4],
           [ 3,  7],
           [ 6, 10]])
    """
    whole("window", window, 1)
    whole("hop", hop, 1)
    if window > length:
        raise ValueError(f"window={window}: longer than the sequence ({length} steps).")
    start = np.arange(0, length - window + 1, hop)
    return np.stack([start, start + window], axis=1)


def dynamic_windows(x: npt.ArrayLike, y: npt.ArrayLike, *, changes: int) -> IntArray:
    """Lay windows end to end, each as long as it takes for both sequences to change a number of times.

    In a window of fixed length an animal at rest changes nothing and nothing can be learnt, while one at play is
    averaged over many bouts. Windows of as many changes hold about as much to learn from.

    Parameters
    ----------
    x, y : array_like of int, shape (T,)
        Classes; −1 counts as a class of its own.
    changes : int
        Changes of class that each of the two makes within a window, at least.

    Returns
    -------
    ndarray of int64, shape (W, 2)
        Start and end, half-open; a window ends with the step at which the slower one's last change shows. What is left
        at the end makes no window; there may be none.

    Raises
    ------
    TypeError, ValueError
        Not two sequences of integers of one length; `changes` below 1.

    Examples
    --------
    >>> dynamic_windows([0, 1, 0, 1, 1, 1, 0, 1], [0, 0, 1, 0, 0, 1, 1, 0], changes=2)
    array([[0, 4],
           [4, 8]])
    """
    whole("changes", changes, 1)
    one, other = integers("x", x), integers("y", y)
    if one.ndim != 1 or one.shape != other.shape:
        raise ValueError(f"y: must be (T,) like x {one.shape}, got {other.shape}.")
    at = [np.flatnonzero(labels[1:] != labels[:-1]) + 1 for labels in (one, other)]
    edges = [0]
    while True:
        # A change at the first step of a window happened on entering it, not within.
        wanted = [int(np.searchsorted(change, edges[-1], "right")) + changes - 1 for change in at]
        if any(i >= len(change) for i, change in zip(wanted, at, strict=True)):
            return np.stack([edges[:-1], edges[1:]], axis=1).astype(np.int64)
        edges.append(1 + max(int(change[i]) for i, change in zip(wanted, at, strict=True)))


def windowed(
    measure: Callable[[npt.NDArray[Any], npt.NDArray[Any]], Tested],
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    windows: npt.ArrayLike,
    *,
    method: Adjustment = "holm",
) -> Windowed:
    """Apply a measure of two sequences in each window, and correct its p-values for their number.

    Parameters
    ----------
    measure : callable (x, y) -> Information, PhaseLocking or alike
        Something with ``value`` and ``p``. With few surrogates the least p-value is 1 / (surrogates + 1), and no
        correction for many windows can leave it significant.
    x, y : array_like, shape (T, ...)
    windows : array_like of int, shape (W, 2)
        Start and end, half-open: of `sliding_windows`, `dynamic_windows`, or segments of one's own.
    method
        As in `adjust_p_values`.

    Returns
    -------
    Windowed

    Raises
    ------
    TypeError, ValueError
        Windows that are not integers, are empty or reach beyond the sequences; what the measure raises.

    Examples
    --------
    >>> x = np.array([0, 1, 0, 1, 0, 0, 0, 0])
    >>> from conv2d.metrics import mutual_information
    >>> windowed(lambda a, b: mutual_information(a, b, correction=None), x, x, [[0, 4], [4, 8]]).value
    array([1., 0.])
    """
    one, other = np.asarray(x), np.asarray(y)
    edges = integers("windows", windows)
    if edges.ndim != 2 or edges.shape[1] != 2:
        raise ValueError(f"windows: must be (W, 2), start and end, got shape {edges.shape}.")
    start, end = edges[:, 0], edges[:, 1]
    if len(one) != len(other):
        raise ValueError(f"y: must be as long as x ({len(one)} steps), got {len(other)}.")
    if len(edges) and not (start.min() >= 0 and end.max() <= len(one) and (end > start).all()):
        raise ValueError(f"windows: each must lie within the {len(one)} steps and end after it starts.")
    found = [measure(one[a:b], other[a:b]) for a, b in edges.tolist()]
    p = np.array([each.p for each in found], dtype=np.float64)
    value = np.array([each.value for each in found], dtype=np.float64)
    return Windowed(start, end, value, p, adjust_p_values(p, method=method), method)
