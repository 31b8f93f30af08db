"""How a quantiser uses its codes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._discrete import Correction
from ._information import Information, pooled_information
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

    def bits_per_window(self, tokens: int) -> float:
        """Bits that a window of so many tokens takes when each is coded by itself; NaN without tokens.

        Tokens of a window depend on each other, so its information is at most this.
        """
        whole("tokens", tokens, 1)
        return tokens * self.entropy_bits

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


@dataclass(frozen=True)
class CodeBehaviour:
    """What codes tell of behaviour.

    Attributes
    ----------
    information : Information
        I(code; behaviour) in bits, freed of its bias.
    behaviour_entropy : float
        H(behaviour) in bits, plug-in: what there is to be told.
    purity : float
        Share of the tokens whose behaviour is the commonest one of their code: the accuracy, on these very tokens, of
        reading behaviour off the code. 1 when every code occurs once, so read it beside `information`.
    code_behaviour : ndarray of int64, shape (C,)
        The commonest behaviour of each code (ties: the lowest), −1 for a code that does not occur.

    Examples
    --------
    >>> found = code_behaviour_information([0, 0, 1, 1], [0, 0, 1, 1], codebook_size=3)
    >>> found.purity, found.code_behaviour
    (1.0, array([ 0,  1, -1]))
    """

    information: Information
    behaviour_entropy: float
    purity: float
    code_behaviour: IntArray

    @property
    def explained(self) -> float:
        """Share of the behaviour's entropy that the code tells; NaN when there is one behaviour only."""
        return self.information.value / self.behaviour_entropy if self.behaviour_entropy > 0 else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Write the fields and the share explained, JSON-safe."""
        fields = {**vars(self), "information": self.information.to_dict(), "explained": self.explained}
        return record(fields, "" if self.behaviour_entropy > 0 else "fewer than two behaviours")


def code_behaviour_information(
    codes: npt.ArrayLike,
    behaviour: npt.ArrayLike,
    *,
    codebook_size: int,
    correction: Correction | None = "miller-madow",
    surrogates: int = 0,
    seed: int = 0,
) -> CodeBehaviour:
    """Measure what the codes of a quantiser tell of behaviour.

    Parameters
    ----------
    codes : array_like of int, shape (N,) or (N, tokens)
        Codes of each window, in order of time; −1 is ignored. Tokens of a window are pooled.
    behaviour : array_like of int, shape (N,)
        Behaviour in each window; −1 is ignored.
    codebook_size : int
        C.
    correction, surrogates, seed
        As in `mutual_information`; surrogates turn whole windows round the circle.

    Returns
    -------
    CodeBehaviour

    Raises
    ------
    TypeError, ValueError
        As `codebook_usage`; shapes that do not fit.

    Examples
    --------
    >>> code_behaviour_information([[0, 1], [2, 3]], [0, 1], codebook_size=4, correction=None).explained
    1.0
    """
    codebook_usage(codes, codebook_size)  # for its checks
    tokens, labels = class_labels("codes", codes), class_labels("behaviour", behaviour)
    if tokens.ndim not in (1, 2) or labels.shape != tokens.shape[:1]:
        raise ValueError(
            f"behaviour: one a window, {tokens.shape[:1]}, is needed for codes {tokens.shape}, got {labels.shape}."
        )
    tokens = tokens.reshape(len(tokens), -1)
    information = pooled_information(tokens, labels, correction, surrogates, seed)
    code, label = tokens.ravel(), np.repeat(labels, tokens.shape[1])
    kept = (code != IGNORE) & (label != IGNORE)
    code, label = code[kept], label[kept]
    if not len(code):
        return CodeBehaviour(information, math.nan, math.nan, np.full(codebook_size, IGNORE))
    table = np.zeros((codebook_size, int(label.max()) + 1), dtype=np.int64)
    np.add.at(table, (code, label), 1)
    commonest = np.where(table.any(axis=1), table.argmax(axis=1), IGNORE)
    entropy = CodebookUsage(table.sum(axis=0)).entropy_bits
    return CodeBehaviour(information, entropy, float(table.max(axis=1).sum() / table.sum()), commonest)
