"""How a quantiser uses its codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._inputs import IGNORE, IntArray, class_labels, whole
from ._results import record


@dataclass(frozen=True)
class CodebookUsage:
    """How evenly the codes of a codebook are used. Usages of shards add.

    Attributes
    ----------
    counts : ndarray of int64, shape (C,)
        How often each code occurs.

    Examples
    --------
    >>> usage = CodebookUsage(np.array([2, 2, 0, 0]))
    >>> usage.perplexity, usage.dead
    (2.0, array([2, 3]))
    """

    counts: IntArray

    @property
    def used(self) -> int:
        """Number of codes that occur."""
        return int((self.counts > 0).sum())

    @property
    def dead(self) -> IntArray:
        """The codes that never occur."""
        return np.flatnonzero(self.counts == 0)

    @property
    def usage_fraction(self) -> float:
        """Share of the codes that occur."""
        return self.used / len(self.counts)

    @property
    def entropy_bits(self) -> float:
        """Plug-in entropy of the codes, bits per token; NaN without tokens."""
        total = self.counts.sum()
        if not total:
            return np.nan
        p = self.counts[self.counts > 0] / total
        return float(-(p * np.log2(p)).sum()) + 0.0  # not −0

    @property
    def perplexity(self) -> float:
        """2 to the entropy: as many codes used evenly carry as much."""
        return float(2.0**self.entropy_bits)

    @property
    def normalised_perplexity(self) -> float:
        """Perplexity over the size of the codebook."""
        return self.perplexity / len(self.counts)

    @property
    def top_share(self) -> float:
        """Share of the tokens that the commonest code takes; NaN without tokens."""
        total = int(self.counts.sum())
        return float(self.counts.max() / total) if total else np.nan

    @property
    def gini(self) -> float:
        """Gini coefficient of the counts: 0 when all codes occur equally often; NaN without tokens."""
        total, size = int(self.counts.sum()), len(self.counts)
        if not total:
            return np.nan
        ranks = 2 * np.arange(1, size + 1) - size - 1
        return float((ranks * np.sort(self.counts)).sum() / (size * total))

    def __add__(self, other: CodebookUsage) -> CodebookUsage:
        """Pool the counts of two shards of one codebook."""
        if len(self.counts) != len(other.counts):
            raise ValueError(
                f"CodebookUsage: only usages of one codebook add, got {len(self.counts)} and {len(other.counts)} codes."
            )
        return CodebookUsage(self.counts + other.counts)

    def to_dict(self) -> dict[str, Any]:
        """Write the figures, JSON-safe, without the counts."""
        fields = {
            "codebook_size": len(self.counts),
            "n_tokens": self.counts.sum(),
            "used": self.used,
            "usage_fraction": self.usage_fraction,
            "entropy_bits": self.entropy_bits,
            "perplexity": self.perplexity,
            "normalised_perplexity": self.normalised_perplexity,
            "top_share": self.top_share,
            "gini": self.gini,
        }
        return record(fields, "" if self.counts.any() else "no tokens")


def codebook_usage(codes: npt.ArrayLike, codebook_size: int) -> CodebookUsage:
    """Count how often each code of a codebook occurs.

    Parameters
    ----------
    codes : array_like of int, any shape
        Code indices, as (B, 64) tokens of windows; −1 is ignored.
    codebook_size : int
        C; 240 for levels [8, 6, 5].

    Returns
    -------
    CodebookUsage

    Raises
    ------
    TypeError, ValueError
        Codes are not integers, or lie outside −1..C − 1.

    Examples
    --------
    >>> usage = codebook_usage([[0, 1], [0, 1]], codebook_size=4)
    >>> usage.entropy_bits, usage.usage_fraction
    (1.0, 0.5)
    """
    whole("codebook_size", codebook_size, 1)
    tokens = class_labels("codes", codes).ravel()
    tokens = tokens[tokens != IGNORE]
    if tokens.size and tokens.max() >= codebook_size:
        raise ValueError(f"codes: must be below codebook_size={codebook_size}, but {tokens.max()} occurs.")
    return CodebookUsage(np.bincount(tokens, minlength=codebook_size))
