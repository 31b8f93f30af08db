"""Motifs that go on from earlier ones, where that costs little."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from conv2d.clustering._components import Scored

S = TypeVar("S", bound=Scored)

# Earlier motifs that go on changing for longer do not describe these points. On recordings they took 3 to 69 rounds.
_MOST_ROUNDS = 100
# One point has no spread.
_FEWEST_POINTS = 2


@dataclass(frozen=True, slots=True)
class Continuation:
    """Whether motifs go on from the earlier ones or were found afresh, and what decided it.

    With `prior_labels` there are two fits: a fresh one, which knows nothing of them, and one that goes on from the
    earlier motifs: components are estimated from their points and points given to the likelier component, in turn,
    until nothing changes. The loss is what the clusterer makes small, a mean over the points it learns from: the
    squared distance to the centroid, or the negative log-likelihood.

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


def settled(
    labels: NDArray[np.intp], components: S, reassigned: Callable[[S], tuple[NDArray[np.intp], S]]
) -> tuple[S | None, int, str]:
    """Return the components whose points they were estimated from, the rounds that took, or why there are none.

    This is classification expectation maximisation (Celeux and Govaert, "A classification EM algorithm for clustering
    and two stochastic versions", Computational Statistics & Data Analysis 14, 1992), of which k-means is a case. What
    it returns it returns again when it starts from there.
    """
    k = np.unique(labels[labels >= 0]).size
    for rounds in range(_MOST_ROUNDS):
        if np.bincount(labels[labels >= 0], minlength=k).min() < _FEWEST_POINTS:
            return None, rounds, f"one of them has fewer than {_FEWEST_POINTS} points"
        assigned, after = reassigned(components)
        if np.array_equal(assigned, labels):
            return replace(components, n_iter=rounds, converged=True), rounds, ""
        labels, components = assigned, after
    return None, _MOST_ROUNDS, f"they had not settled after {_MOST_ROUNDS} rounds"
