"""Clusterers that can go on from earlier motifs."""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from conv2d.clustering._check import Labels, Table
from conv2d.clustering._continuation import Continuation, Grouping, S, settled
from conv2d.clustering._fitted import Fit
from conv2d.clustering._search import SearchingClusterer
from conv2d.clustering._starts import MANY_ROWS, drawn_rows


class ContinuingClusterer(SearchingClusterer[S]):
    """Base of the clusterers whose components can be estimated from the points of earlier motifs."""

    prior_margin: float

    @abstractmethod
    def _grouping(self, table: Table) -> Grouping[S]:
        """Return the rows of a checked table as they are grouped."""

    def _check_range(self) -> None:
        super()._check_range()
        if not 0 <= self.prior_margin < 1:
            raise ValueError(
                f"prior_margin is a share of what a fit gains, 0 <= prior_margin < 1, got {self.prior_margin!r}."
            )

    def _continued(
        self, table: Table, learnt: NDArray[np.intp] | slice, fresh: Fit[S], before: Labels, next_id: int | None
    ) -> tuple[Fit[S], Continuation]:
        known, same = before >= 0, fresh.labels == before
        if same[known].all():
            return fresh, self._afresh("A fresh fit repeats the earlier labels.")
        k, rows = len(fresh.motif), table[learnt]
        part = drawn_rows(len(rows), MANY_ROWS, self.random_state)
        rows, known, same = rows[part], known[learnt][part], same[learnt][part]
        ids, start = np.unique(_start(before, fresh, k)[learnt][part], return_inverse=True)
        start, motifs = start - np.count_nonzero(ids < 0), np.count_nonzero(ids >= 0)
        if motifs != k:
            return fresh, self._afresh(f"The earlier labels have {motifs} motifs here, the fit {k} components.")
        grouping, kept = self._grouping(rows), np.count_nonzero(same & known) / max(1, np.count_nonzero(known))
        components, rounds, trouble = settled(grouping, start, k, kept)
        if components is None:
            return fresh, self._afresh(f"The earlier motifs do not go on: {trouble}.", rounds)
        going_on = self._named(components, table, before, next_id)
        if going_on.merges:
            return fresh, self._afresh("The earlier motifs do not go on: one of them has lost its support.", rounds)
        loss, fresh_loss = components.loss(rows), fresh.components.loss(rows)
        gain = grouping.estimated(np.zeros(len(rows), dtype=np.intp), 1).loss(rows) - fresh_loss
        given_up = (loss - fresh_loss) / gain if gain > 0 else float(loss > fresh_loss)
        continued = given_up <= self.prior_margin
        share = round(100 * given_up, 1) + 0.0  # no minus sign before a nought
        reason = (
            f"The earlier motifs {'go on' if continued else 'do not go on'}: they give up {share} % of "
            f"what a fresh fit gains, at most {100 * self.prior_margin:.1f} % are allowed."
        )
        told = Continuation(continued, rounds, loss, fresh_loss, given_up, float(self.prior_margin), reason)
        return (going_on if continued else fresh), told

    def _afresh(self, reason: str, rounds: int = 0) -> Continuation:
        return Continuation(False, rounds, None, None, None, float(self.prior_margin), reason)


def _start(before: Labels, fresh: Fit[S], k: int) -> Labels:
    """Return the labels to go on from, −1 where there are none."""
    if np.unique(before[before >= 0]).size == k:
        return before
    # With more motifs than before, those that the fresh fit found are new; with fewer, those that it lost are gone.
    assert fresh.match is not None  # there are earlier labels
    stays = np.isin(before, fresh.motif) & ~np.isin(fresh.labels, fresh.match.new)
    return np.where(stays, before, fresh.labels)
