"""Motifs that go on from earlier ones, where that costs little."""

from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from conv2d.clustering._components import Scored

S = TypeVar("S", bound=Scored)

# Earlier motifs that go on changing for longer do not describe these points. On recordings they took 3 to 69 rounds.
_MOST_ROUNDS = 75
# One point has no spread.
_FEWEST_POINTS = 2


@dataclass(frozen=True, slots=True)
class Continuation:
    """Whether motifs go on from the earlier ones or were found afresh, and what decided it.

    With `prior_labels` there are two fits: a fresh one, which knows nothing of them, and one that goes on from the
    earlier motifs: components are estimated from their points and points given to the likelier component, in turn,
    until nothing changes. The loss is what the clusterer makes small, a mean over the points it learns from: the
    squared distance to the centroid, or the negative log-likelihood. Above 20,000 points the earlier motifs settle
    on 20,000 drawn at random, and the losses compared are those of 20,000.

    Attributes
    ----------
    continued : bool
        Whether the earlier motifs go on.
    rounds : int
        Rounds until they settled; 0 where they were not tried or had settled before.
    loss : float or None
        Their loss; None where they were not tried or did not settle.
    fresh_loss : float or None
        Loss of the fresh fit; None where the earlier motifs have none to compare.
    given_up : float or None
        ``(loss - fresh_loss) / (loss of one component - fresh_loss)``: the share of what the fresh fit gains over one
        component for all points that is given up by going on. Negative where going on is better.
    margin : float
        The share that may be given up: the clusterer's `prior_margin`.
    reason : str
        One sentence for people.

    Examples
    --------
    >>> from conv2d.clustering import KMeansClusterer
    >>> model = KMeansClusterer().fit([[0.0], [0.1], [5.0], [5.2], [5.4]], k=2, prior_labels=[3, 3, 3, 1, 1])
    >>> model.continuation_.reason
    'The earlier motifs go on: they give up 0.0 % of what a fresh fit gains, at most 5.0 % are allowed.'
    """

    continued: bool
    rounds: int
    loss: float | None
    fresh_loss: float | None
    given_up: float | None
    margin: float
    reason: str


class Grouping(Protocol[S]):
    """Rows that can be grouped."""

    def estimated(self, labels: NDArray[np.intp], k: int) -> S:
        """Return the components of the groups 0 … k - 1 of rows; rows in group −1 are left out."""
        ...

    def reassigned(self, components: S) -> tuple[NDArray[np.intp], S]:
        """Return the component of each row, and the components of the groups that this makes."""
        ...


def settled(rows: Grouping[S], labels: NDArray[np.intp], k: int, least_kept: float) -> tuple[S | None, int, str]:
    """Return the components whose points they were estimated from, the rounds that took, or why there are none.

    Rows in group −1 have none yet. At least so large a part of the others must keep its group.

    This is classification expectation maximisation (Celeux and Govaert, "A classification EM algorithm for clustering
    and two stochastic versions", Computational Statistics & Data Analysis 14, 1992), of which k-means is a case. What
    it returns it returns again when it starts from there.
    """
    first, known, components = labels, labels >= 0, rows.estimated(labels, k)
    for rounds in range(_MOST_ROUNDS):
        if np.bincount(labels[labels >= 0], minlength=k).min() < _FEWEST_POINTS:
            return None, rounds, f"one of them has fewer than {_FEWEST_POINTS} points"
        if np.mean(labels[known] == first[known]) < least_kept:
            return None, rounds, "a fresh fit keeps the ids of more points"
        assigned, after = rows.reassigned(components)
        if np.array_equal(assigned, labels):
            return replace(components, n_iter=rounds, converged=True), rounds, ""
        labels, components = assigned, after
    return None, _MOST_ROUNDS, f"they had not settled after {_MOST_ROUNDS} rounds"
