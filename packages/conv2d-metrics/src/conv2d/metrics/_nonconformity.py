"""How badly a class fits a window: the scores behind prediction sets, in blocks of rows, without sorting classes.

APS and RAPS add up the probabilities from the largest down. That needs the sorted values but not the order itself: a
set is the classes at least as probable as the last one added, so rows are sorted in place and no index is carried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np

from ._inputs import BoolArray, FloatArray, IntArray, Probabilities, choice, whole
from ._ranking import true_rank
from ._rows import BLOCK, at_label

Method = Literal["lac", "aps", "raps"]


@dataclass(frozen=True)
class Score:
    """A nonconformity score; higher conforms less."""

    method: Method
    penalty: float
    free_rank: int

    def __post_init__(self) -> None:
        choice("method", self.method, get_args(Method))
        whole("free_rank", self.free_rank, 0)
        if self.penalty < 0:
            raise ValueError(f"penalty: must be at least 0, got {self.penalty}.")

    def of_true(self, prob: Probabilities, y_true: IntArray, draws: FloatArray | None = None) -> FloatArray:
        """Score the true class of each row ``(N,)``."""
        if self.method == "lac":
            return 1.0 - at_label(prob, y_true)
        scores = np.empty(len(prob))
        for start in range(0, len(prob), BLOCK):
            rows = slice(start, start + BLOCK)
            rank = true_rank(prob[rows], y_true[rows])
            for place, (_, reached) in enumerate(self._descent(prob[rows], None if draws is None else draws[rows])):
                np.copyto(scores[rows], reached, where=rank == place)
        return scores

    def sets(self, prob: Probabilities, limit: FloatArray, draws: FloatArray | None = None) -> BoolArray:
        """Find the classes whose score is within the limit ``(N, K)``; limits are one, one a row or one a class.

        ``limit`` is of shape (), (N, 1) or (1, K).
        """
        sets = np.empty(prob.shape, dtype=np.bool_)
        least = _least_probable(float(limit), prob.dtype) if self.method == "lac" and not limit.ndim else 0.0
        by_class, by_row = limit.ndim == 2 and limit.shape[0] == 1, limit.ndim == 2 and limit.shape[1] == 1
        for start in range(0, len(prob), BLOCK):
            rows = slice(start, start + BLOCK)
            block, drawn = prob[rows], None if draws is None else draws[rows]
            # One row with K limits and K rows with one: a single row of a single class is both, and either way is right.
            bound = limit[rows] if by_row and not by_class else limit
            if self.method == "lac":
                if bound.ndim:
                    np.less_equal(np.subtract(1.0, block, dtype=np.float64), bound, out=sets[rows])
                else:
                    np.greater_equal(block, least, out=sets[rows])
            elif by_class:
                np.less_equal(self.of_all(block, drawn), bound, out=sets[rows])
            else:
                sets[rows] = self._descend(block, bound.reshape(-1) if bound.ndim else bound, drawn)
        return sets

    def of_all(self, prob: Probabilities, draws: FloatArray | None = None) -> FloatArray:
        """Score every class ``(N, K)``."""
        if self.method == "lac":
            return 1.0 - prob.astype(np.float64, copy=False)
        order = np.argsort(-prob, axis=1, kind="stable")
        ranked = np.stack([reached for _, reached in self._descent(prob, draws)], axis=1)
        scores = np.empty_like(ranked)
        np.put_along_axis(scores, order, ranked, axis=1)
        return scores

    def _descent(self, prob: Probabilities, draws: FloatArray | None) -> list[tuple[FloatArray, FloatArray]]:
        """Probability and score of the class at each rank, from the most probable down, ``(N,)`` each."""
        columns = np.sort(prob, axis=1)[:, ::-1].T.astype(np.float64)
        found: list[tuple[FloatArray, FloatArray]] = []
        total = np.zeros(len(prob))
        for rank, column in enumerate(columns, start=1):
            total = total + column
            reached = total if draws is None else total - draws * column
            if self.method == "raps":
                reached = reached + self.penalty * max(0, rank - self.free_rank)
            found.append((column, reached))
        return found

    def _descend(self, prob: Probabilities, limit: FloatArray, draws: FloatArray | None) -> BoolArray:
        """Add classes from the most probable down while the score, which never falls, stays within the limit."""
        size, least = np.zeros(len(prob), dtype=np.int64), np.full(len(prob), np.inf)
        for column, reached in self._descent(prob, draws):
            inside = reached <= limit
            size += inside
            np.copyto(least, column, where=inside)
        members = prob >= least[:, None]
        tied = np.flatnonzero(members.sum(axis=1) != size)  # more classes are as probable as the last one added
        order = np.argsort(-prob[tied], axis=1, kind="stable")
        place = cast(BoolArray, np.arange(prob.shape[1]) < size[tied, None])
        found = np.empty(place.shape, dtype=np.bool_)
        np.put_along_axis(found, order, place, axis=1)
        members[tied] = found
        return members


def _least_probable(limit: float, dtype: np.dtype[Any]) -> float:
    """Find the smallest probability of this type whose score 1 − p, rounded to float64, is within the limit.

    2 if there is none. The score never grows with p, so comparing probabilities with this one is comparing scores.
    Halving works on the bits of the floats, which from 0 upwards are in the order of the floats.
    """
    if limit < 0:
        return 2.0
    bits = np.dtype(f"u{dtype.itemsize}")
    low, high = -1, int(np.ones(1, dtype).view(bits)[0])  # at 1 the score is 0, within the limit
    while high - low > 1:
        middle = (low + high) // 2
        probability = float(np.array([middle], bits).view(dtype)[0])
        low, high = (low, middle) if 1.0 - probability <= limit else (middle, high)
    return float(np.array([high], bits).view(dtype)[0])
