"""Fitted parameters of the components: one class for each kind of clusterer, all with the same few methods."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from conv2d.clustering._check import Table

# Rows are worked on in blocks that stay in the cache.
_BLOCK = 1024


def blocks(rows: int) -> Iterator[slice]:
    """Return the slices of the blocks of so many rows."""
    return (slice(at, at + _BLOCK) for at in range(0, rows, _BLOCK))


@dataclass(frozen=True, slots=True, eq=False)
class Components(ABC):
    """Fitted parameters, one component after another; −1 stands for noise."""

    n_iter: int
    converged: bool

    per_component: ClassVar[tuple[str, ...]]
    """Names of the arrays whose first axis is the component."""

    @abstractmethod
    def assign(self, table: Table) -> NDArray[np.intp]:
        """Return the component of each row."""

    @abstractmethod
    def distances(self) -> NDArray[np.float64]:
        """Return the distance of every two components, (C, C)."""

    def permuted(self, order: NDArray[np.intp]) -> Self:
        """Return the components in another order, or some of them."""
        return replace(self, **{name: getattr(self, name)[order] for name in self.per_component})

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """Rebuild what `to_dict` returned."""
        return cls(**{field.name: _rebuilt(stored[field.name]) for field in fields(cls)})


class Scored(Components):
    """Components that say how well they fit."""

    __slots__ = ()

    @abstractmethod
    def loss(self, table: Table) -> float:
        """Return what a fit makes small, as a mean over the rows."""


class Density(Scored):
    """Components that make up a probability density."""

    __slots__ = ()

    @abstractmethod
    def log_density(self, table: Table) -> NDArray[np.float64]:
        """Return the log density of each row, (N,)."""

    @abstractmethod
    def free_parameters(self, table: Table) -> int:
        """Return how many numbers were fitted to the table."""

    def loss(self, table: Table) -> float:
        """Return the mean negative log density."""
        return -float(self.log_density(table).mean())

    def bic(self, table: Table) -> float:
        """Return the Bayesian information criterion."""
        return 2 * len(table) * self.loss(table) + self.free_parameters(table) * float(np.log(len(table)))


def _rebuilt(value: Any) -> Any:
    """Return lists as they were: of text a tuple, of numbers a float64 array."""
    if not isinstance(value, list):
        return value
    items = cast("list[Any]", value)
    return tuple(items) if items and isinstance(items[0], str) else np.array(items, dtype=np.float64)
