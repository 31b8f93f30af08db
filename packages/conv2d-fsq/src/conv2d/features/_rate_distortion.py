"""What a set of levels costs in bits and keeps of the scalars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conv2d.features._code_usage import dead_levels, entropy_bits
from conv2d.features._errors import ContractError
from conv2d.features._levels import Levels, check_levels
from conv2d.features._quantize import quantize


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
    entropies = [float(entropy_bits(np.unique(column, return_counts=True)[1])) for column in found.codes.T]
    return RatePoint(
        table.levels,
        table.n_codes,
        float(np.mean(entropies)),
        float(np.mean(error * error)),
        2.0 ** float(entropy_bits(np.unique(found.codes, return_counts=True)[1])),
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
