"""Release gates: figures held against limits, with a verdict a machine can read."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ._inputs import choice
from ._intervals import Interval
from ._results import record

Comparison = Literal["<=", "<", ">=", ">"]
At = Literal["value", "lower_ci", "upper_ci"]

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
}


@dataclass(frozen=True)
class Gate:
    """One limit on one figure.

    Parameters
    ----------
    name : str
        Of the figure, as ``"ece"``.
    comparison : {"<=", "<", ">=", ">"}
    limit : float
        Finite.
    at : {"value", "lower_ci", "upper_ci"}
        What is compared: the figure itself, or the end of its interval. The careful end is ``upper_ci`` of what shall
        be small and ``lower_ci`` of what shall be large.

    Raises
    ------
    ValueError
        An unknown comparison or `at`, or a limit that is not finite.

    Examples
    --------
    >>> str(Gate("ece", "<=", 0.03, at="upper_ci"))
    'ece (upper_ci) <= 0.03'
    """

    name: str
    comparison: Comparison
    limit: float
    at: At = "value"

    def __post_init__(self) -> None:
        choice("comparison", self.comparison, get_args(Comparison))
        choice("at", self.at, get_args(At))
        if not math.isfinite(self.limit):
            raise ValueError(f"limit: must be finite, got {self.limit} for {self.name!r}.")

    def to_dict(self) -> dict[str, Any]:
        """Write the fields, JSON-safe: ``Gate(**fields)`` makes the gate again."""
        return record(vars(self))

    def __str__(self) -> str:
        at = "" if self.at == "value" else f" ({self.at})"
        return f"{self.name}{at} {self.comparison} {self.limit:g}"


@dataclass(frozen=True)
class GateResult:
    """What became of one gate.

    Attributes
    ----------
    gate : Gate
    figure : float
        What was compared; NaN when there was nothing to compare.
    passed : bool
    reason : str
        Why nothing could be compared, else empty.

    Examples
    --------
    >>> GateResult(Gate("ece", "<=", 0.03), 0.02, True).passed
    True
    """

    gate: Gate
    figure: float
    passed: bool
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Write the gate's fields, the figure and the verdict, JSON-safe: null beside a ``reason``."""
        return record({**self.gate.to_dict(), "figure": self.figure, "passed": self.passed}, self.reason)


@dataclass(frozen=True)
class GateVerdict:
    """What became of all gates.

    Attributes
    ----------
    results : tuple of GateResult

    Examples
    --------
    >>> check_gates([Gate("accuracy", ">=", 0.9)], {"accuracy": 0.93}).passed
    True
    """

    results: tuple[GateResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return all(result.passed for result in self.results)

    def to_dict(self) -> dict[str, Any]:
        """Write the verdict, JSON-safe; a figure that is missing or not finite is null beside a ``reason``."""
        return {"passed": self.passed, "gates": [result.to_dict() for result in self.results]}


def check_gates(gates: Sequence[Gate], figures: Mapping[str, float | Interval]) -> GateVerdict:
    """Hold figures against gates. A figure that is missing, NaN or without the interval asked for fails its gate.

    Parameters
    ----------
    gates : sequence of Gate
        At least one: no gates would pass anything.
    figures : mapping of str to float or Interval
        As ``{"ece": evaluation.ece}`` or ``vars(metrics)``.

    Returns
    -------
    GateVerdict

    Raises
    ------
    ValueError
        There are no gates.

    Examples
    --------
    >>> verdict = check_gates([Gate("accuracy", ">=", 0.9), Gate("ece", "<=", 0.03)], {"accuracy": 0.93})
    >>> verdict.passed, verdict.results[1].reason
    (False, 'ece is missing')
    """
    if not gates:
        raise ValueError("gates: at least one is needed; no gates would pass anything.")
    return GateVerdict(tuple(_check(gate, figures.get(gate.name)) for gate in gates))


def _check(gate: Gate, found: float | Interval | None) -> GateResult:
    if found is None:
        return GateResult(gate, math.nan, False, f"{gate.name} is missing")
    if isinstance(found, Interval):
        figure = {"value": found.value, "lower_ci": found.low, "upper_ci": found.high}[gate.at]
        undefined = found.reason or "undefined"
    elif gate.at == "value":
        figure, undefined = float(found), "undefined"
    else:
        return GateResult(gate, math.nan, False, f"{gate.name} has no confidence interval")
    if math.isnan(figure):
        return GateResult(gate, figure, False, f"{gate.name}: {undefined}")
    reason = "" if math.isfinite(figure) else f"{gate.name} is infinite"
    return GateResult(gate, figure, _COMPARE[gate.comparison](figure, gate.limit), reason)
