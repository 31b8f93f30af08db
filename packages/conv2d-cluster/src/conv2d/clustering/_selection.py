"""The choice of the number of components, on record."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Candidate:
    """One number of components that was tried.

    Attributes
    ----------
    k : int
        Number of components.
    score : float
        Its value under the criterion.
    """

    k: int
    score: float


@dataclass(frozen=True, slots=True)
class Selection:
    """Which number of components was taken, and why.

    Attributes
    ----------
    k : int
        The number taken.
    criterion : {"given", "bic", "silhouette"}
        "given" where the caller fixed k; "bic": lowest Bayesian information criterion; "silhouette": highest mean
        silhouette. Of equal scores the smaller k is taken.
    candidates : tuple of Candidate
        Every number tried, ascending; empty where k was given.
    reason : str
        One sentence for people.
    """

    k: int
    criterion: Literal["given", "bic", "silhouette"]
    candidates: tuple[Candidate, ...]
    reason: str
