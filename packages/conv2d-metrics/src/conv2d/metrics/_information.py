"""Information between two sequences: how much one tells of the other, now or of its next step, and by chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ._discrete import Correction, Counts, Table, coded
from ._inputs import BoolArray, FloatArray, IntArray, choice, class_labels, rectangular, whole
from ._ksg import ksg, standardised
from ._results import record
from ._sequences import LabelSequences, runs
from ._significance import SurrogateKind, p_value, surrogates_of

_CORRECTIONS = ("miller-madow", "panzeri-treves")


@dataclass(frozen=True)
class Information:
    """An amount of information, its bias, and whether chance explains it.

    Attributes
    ----------
    value : float
        The estimate, freed of `bias`; it can come out below 0 when the truth is about 0.
    bias : float
        What was taken from the plug-in estimate; 0 without a correction.
    p : float
        Share of surrogates with at least as much information, the sequence itself counted as one; NaN without.
    units : {"bits", "nats"}
        Bits for classes, nats for continuous values.
    n : int
        Steps (or pairs of steps) that the estimate is made of.
    null : float
        Mean plug-in information of the surrogates, which dwelling makes larger than any formula for the bias; NaN
        without.
    n_surrogates : int
    reason : str
        Why the value is NaN, or empty.

    Examples
    --------
    >>> found = mutual_information([0, 0, 1, 1], [0, 0, 1, 1], correction=None)
    >>> found.value, found.units
    (1.0, 'bits')
    """

    value: float
    bias: float
    p: float
    units: Literal["bits", "nats"]
    n: int
    null: float = np.nan
    n_surrogates: int = 0
    reason: str = ""

    @property
    def plugin(self) -> float:
        """The estimate before the bias was taken away."""
        return self.value + self.bias

    def __float__(self) -> float:
        return self.value

    def to_dict(self) -> dict[str, Any]:
        """Write the fields, JSON-safe."""
        return record(vars(self), self.reason or ("" if self.n_surrogates else "p and null: no surrogates"))


def mutual_information(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    lag: int = 0,
    correction: Correction | None = "miller-madow",
    neighbors: int = 4,
    standardise: bool = True,
    surrogates: int = 0,
    kind: SurrogateKind = "circular",
    block: int | None = None,
    seed: int = 0,
) -> Information:
    """Estimate the mutual information of two sequences: how much x(t) tells of y(t + lag).

    Classes are counted (plug-in, bits, freed of its bias to first order); continuous values go by nearest neighbours
    (Kraskov's first estimator, nats). No formula for the bias knows of dwelling: two independent sequences of 3,000
    steps that seldom change can share 0.3 bit. Whether there is anything is for the surrogates to say.

    Parameters
    ----------
    x, y : array_like, shape (T,); continuous also (T, d)
        Classes as integers, where steps labelled −1 in either are left out; or continuous values as floats.
    lag : int
        Steps that x leads by; negative when y leads.
    correction : {"miller-madow", "panzeri-treves", None}
        For classes. Miller–Madow counts the outcomes seen, Panzeri–Treves estimates how many there can be, which takes
        away more when steps are few.
    neighbors, standardise
        For continuous values: k, and whether to bring each column to unit variance first. The estimate does not depend
        on scales in theory; in practice it is better when they are alike.
    surrogates : int
        How many to compare with; 0 makes no test. There can be fewer when a short sequence has no more turns.
    kind : {"circular", "block"}
        Turn x round the circle, or put its blocks in another order, as for sequences that drift.
    block : int, optional
        Steps of a block, by default ten times what x remembers (its mean bout, or the steps until its autocorrelation
        falls below 1/e); shorter ones find too much. At least four must fit.
    seed : int

    Returns
    -------
    Information

    Raises
    ------
    TypeError, ValueError
        Shapes differ, one is of classes and the other continuous, values are not finite, `lag` leaves no step.

    References
    ----------
    S. Panzeri, A. Treves, "Analytical estimates of limited sampling biases in different information measures",
    Network 7, 1996.
    A. Kraskov, H. Stögbauer, P. Grassberger, "Estimating mutual information", Phys. Rev. E 69, 2004.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.integers(0, 2, 2000)
    >>> follows = mutual_information(x, np.roll(x, 3), lag=3, surrogates=99)
    >>> round(follows.value, 2), follows.p
    (1.0, 0.01)
    """
    lead, late = _aligned(x, y, lag)
    if lead.dtype.kind == "f":
        return _continuous(lead, late, None, neighbors, standardise, (surrogates, kind, seed, block))
    return _discrete(late[:, 0], None, lead[:, 0], correction, (surrogates, kind, seed, block))


def transfer_entropy(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    lag: int = 1,
    k: int = 1,
    correction: Correction | None = "miller-madow",
    neighbors: int = 4,
    standardise: bool = True,
    surrogates: int = 0,
    kind: SurrogateKind = "circular",
    block: int | None = None,
    seed: int = 0,
) -> Information:
    """Estimate the transfer entropy from x to y: how much x(t − lag) tells of y(t) beyond y's own past.

    That is I(y(t); x(t − lag) | y(t − 1), …, y(t − k)): bits for classes, nats for continuous values.

    Parameters
    ----------
    x, y : array_like, shape (T,); continuous also (T, d)
        Source and target, as in `mutual_information`.
    lag : int
        Steps that the source leads by, at least 1.
    k : int
        Steps of the target's own past. Too few let its own memory pass for influence; many leave few steps for each
        past, which the bias shows.
    correction, neighbors, standardise, surrogates, kind, block, seed
        As in `mutual_information`; surrogates are of the source.

    Returns
    -------
    Information

    Raises
    ------
    TypeError, ValueError
        As `mutual_information`.

    References
    ----------
    T. Schreiber, "Measuring information transfer", Phys. Rev. Lett. 85, 2000.
    S. Frenzel, B. Pompe, "Partial mutual information for coupling analysis of multivariate time series", Phys. Rev.
    Lett. 99, 2007.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.integers(0, 2, 2000)
    >>> y = np.roll(x, 1)
    >>> round(transfer_entropy(x, y).value, 2), abs(round(transfer_entropy(y, x).value, 2))
    (1.0, 0.0)
    """
    whole("lag", lag, 1)
    whole("k", k, 1)
    source, target = _aligned(x, y, 0)
    first = max(lag, k)
    n = len(target)
    if n <= first:
        raise ValueError(f"lag={lag}, k={k}: leave no step of a sequence of {n}.")
    now, lead = target[first:], source[first - lag : n - lag]
    past = [target[first - i : n - i] for i in range(1, k + 1)]
    if now.dtype.kind == "f":
        return _continuous(
            lead, now, np.concatenate(past, axis=1), neighbors, standardise, (surrogates, kind, seed, block)
        )
    return _discrete(now[:, 0], [p[:, 0] for p in past], lead[:, 0], correction, (surrogates, kind, seed, block))


def entropy_rate(labels: LabelSequences, *, correction: Correction | None = None) -> Information:
    """Estimate the entropy rate of label sequences: how uncertain the next step is when the present one is known.

    The conditional entropy H(next | present) of a first-order Markov chain, bits a step. Of codes, it is their
    transition entropy.

    Parameters
    ----------
    labels : array_like of int, (T,), (B, T) or a list of sequences
        Nothing is counted across steps labelled −1, or from one sequence to the next.
    correction : {"miller-madow", "panzeri-treves", None}
        As in `mutual_information`. The plug-in is too low, so `bias` is negative or 0.

    Returns
    -------
    Information
        ``n`` is the number of pairs of steps; NaN when there is none.

    Raises
    ------
    TypeError, ValueError
        Labels are not integers from −1, or no such correction.

    References
    ----------
    T. Cover, J. Thomas, "Elements of information theory", 2nd ed., 2006, section 4.2.

    Examples
    --------
    >>> entropy_rate([0, 0, 1, 1, 0, 0, 1, 1, 0]).value
    1.0
    """
    _check(correction)
    found = runs("labels", labels)
    stays, opens = found.length - 1, found.opens[1:]
    here = np.concatenate([found.label, found.label[:-1][~opens]])
    there = np.concatenate([found.label, found.label[1:][~opens]])
    count = np.concatenate([stays, np.ones(int((~opens).sum()), dtype=np.int64)])
    here, there, count = here[count > 0], there[count > 0], count[count > 0]
    if not len(count):
        return Information(np.nan, 0.0, np.nan, "bits", 0, reason="no step follows another")
    size = int(max(here.max(), there.max())) + 1
    pair, inverse = np.unique(here * size + there, return_inverse=True)
    total = np.bincount(inverse, weights=count).astype(np.int64)
    table = Counts(pair // size, pair % size, np.zeros_like(pair), total, (size, size, 1))
    bias = 0.0 if correction is None else -table.entropy_deficit(correction)
    return Information(table.conditional_entropy() - bias, bias, np.nan, "bits", table.n)


def pooled_information(
    codes: IntArray, labels: IntArray, correction: Correction | None, surrogates: int, seed: int
) -> Information:
    """I(code; label) of windows of several codes ``(N, tokens)``, pooled; surrogates turn the windows' labels."""
    _check(correction)
    tokens = codes.shape[1]
    context = coded(np.zeros(codes.size, dtype=np.int64))
    # The codes are the target here: information is symmetric, and the labels are what is turned.
    table = Table(coded(codes.ravel()), context, coded(np.repeat(labels, tokens)))
    return _of_table(table, correction, (surrogates, "circular", seed, None), tokens)


_Surrogates = tuple[int, SurrogateKind, int, int | None]


def _discrete(
    target: IntArray, past: list[IntArray] | None, source: IntArray, correction: Correction | None, plan: _Surrogates
) -> Information:
    _check(correction)
    context = coded(*past) if past else coded(np.zeros(len(target), dtype=np.int64))
    return _of_table(Table(coded(target), context, coded(source)), correction, plan)


def _of_table(table: Table, correction: Correction | None, plan: _Surrogates, repeat: int = 1) -> Information:
    """Estimate from a table whose source came ``repeat`` times a step."""
    counts = table.with_source(table.source)
    if not counts.n:
        return Information(np.nan, 0.0, np.nan, "bits", 0, reason="no step is labelled in both sequences")
    plugin = counts.information()
    bias = 0.0 if correction is None else counts.bias(correction)

    def shuffled(other: npt.NDArray[Any]) -> float:
        again = table.with_source(np.repeat(other, repeat) if repeat > 1 else other)
        return again.information() if again.n else 0.0

    p, null, n_surrogates = _tested(plugin, table.source[::repeat], shuffled, plan)
    return Information(plugin - bias, bias, p, "bits", counts.n, null, n_surrogates)


def _continuous(
    lead: FloatArray, late: FloatArray, past: FloatArray | None, neighbors: int, standardise: bool, plan: _Surrogates
) -> Information:
    whole("neighbors", neighbors, 1)
    if len(late) <= neighbors:
        raise ValueError(f"neighbors={neighbors}: must be fewer than the {len(late)} steps.")
    if standardise:
        lead, late, past = standardised(lead), standardised(late), None if past is None else standardised(past)
    value = ksg(lead, late, past, neighbors)
    if np.isnan(value):
        reason = f"more than {neighbors} equal points: values are not continuous"
        return Information(np.nan, 0.0, np.nan, "nats", len(late), reason=reason)
    p, null, n = _tested(value, lead, lambda other: ksg(other, late, past, neighbors), plan)
    return Information(value, 0.0, p, "nats", len(late), null, n)


def _tested(
    observed: float, source: npt.NDArray[Any], again: Callable[[npt.NDArray[Any]], float], plan: _Surrogates
) -> tuple[float, float, int]:
    """p-value, mean of the surrogates, and their number."""
    count, kind, seed, block = plan
    null = np.array([again(other) for other in surrogates_of(source, count, kind, seed, block=block)])
    return p_value(observed, null), float(null.mean()) if len(null) else np.nan, len(null)


def _check(correction: Correction | None) -> None:
    if correction is not None:
        choice("correction", correction, _CORRECTIONS)


def _aligned(x: npt.ArrayLike, y: npt.ArrayLike, lag: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Take x(t) and y(t + lag) as ``(N, d)`` columns, both of classes or both continuous."""
    one, other = _column("x", x), _column("y", y)
    if len(one) != len(other):
        raise ValueError(f"y: must be as long as x ({len(one)} steps), got {len(other)}.")
    if one.dtype.kind != other.dtype.kind:
        raise TypeError(
            "x, y: must both be classes (integers) or both continuous (floats); bin the continuous one first."
        )
    if abs(lag) >= max(1, len(one)):
        raise ValueError(f"lag={lag}: leaves no step of a sequence of {len(one)}.")
    if lag < 0:
        other, one = _leading(other, one, -lag)
        return one, other
    return _leading(one, other, lag)


def _leading(lead: npt.NDArray[Any], late: npt.NDArray[Any], lag: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    return lead[: len(lead) - lag], late[lag:]


def _column(name: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    array = rectangular(name, values)
    if array.dtype.kind != "f" or (not array.size and not isinstance(values, np.ndarray)):
        array = class_labels(name, values)
        if array.ndim != 1:
            raise ValueError(f"{name}: classes must be (T,), got shape {array.shape}.")
        return array[:, None]
    if array.ndim not in (1, 2):
        raise ValueError(f"{name}: continuous values must be (T,) or (T, d), got shape {array.shape}.")
    finite: BoolArray = np.isfinite(array)
    if not finite.all():
        raise ValueError(f"{name}: {(~finite).sum()} values are not finite; leave those steps out of both sequences.")
    return (array[:, None] if array.ndim == 1 else array).astype(np.float64)
