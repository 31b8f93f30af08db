"""What all clusterers share: from components to motifs with stable ids."""

import warnings
from abc import abstractmethod
from dataclasses import replace
from math import ceil
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.clustering._check import Labels, Table, check_choice, check_count, check_labels
from conv2d.clustering._continuation import Continuation
from conv2d.clustering._fitted import C, Fit, FittedMotifs, named
from conv2d.clustering._matching import MEASURES, Measure, match_labels
from conv2d.clustering._merging import merge_small
from conv2d.clustering._selection import Selection
from conv2d.clustering._starts import drawn_rows
from conv2d.clustering._untyped import ConvergenceWarning


@runtime_checkable
class Clusterer(Protocol):
    """Anything that gives points motif ids and keeps the ids over refits.

    Examples
    --------
    >>> from conv2d.clustering import Clusterer, KMeansClusterer
    >>> isinstance(KMeansClusterer(), Clusterer)
    True
    """

    def fit_predict(self, features: ArrayLike, k: int | None = None, prior_labels: ArrayLike | None = None) -> Labels:
        """Fit motifs to `features` (N, F) and return the motif id of each row, int32 (N,)."""
        ...

    def predict(self, features: ArrayLike) -> Labels:
        """Return the motif id of each row of `features` (N, F), int32 (N,)."""
        ...


class MotifClusterer(FittedMotifs[C]):
    """What all clusterers of this wheel have; make one of the subclasses.

    A subclass fits components. This class merges those that hold too few points, names the motifs, matches the names
    to earlier labels, and permutes the parameters with them.

    Attributes
    ----------
    labels_ : int32, shape (N,)
        Motif ids of the fitted points, equal to `predict` of them; -1 is noise, which only some clusterers know.
    motif_ids_ : int32, shape (M,)
        Ids of the motifs, ascending.
    component_motifs_ : int32, shape (C,)
        Motif of each component: after merges a motif has several.
    selection_ : Selection
        Which number of components was taken, and why.
    merges_ : tuple of Merge
        Merges for minimum support, in order.
    match_ : LabelMatch or None
        How motifs were matched to `prior_labels`.
    continuation_ : Continuation or None
        Whether motifs go on from those of `prior_labels` or were found afresh, and what decided it; None without prior
        labels, and for the clusterers that only match.
    next_id_ : int
        First id never used, for the next refit.
    n_iter_ : int
        Iterations of the fit that was kept.
    converged_ : bool
        Whether the fit reached `tol`.
    n_features_in_ : int
        Number of columns fitted.

    Examples
    --------
    >>> from conv2d.clustering import KMeansClusterer, MotifClusterer
    >>> model = KMeansClusterer().fit([[0.0], [0.1], [5.0]], k=2)
    >>> isinstance(model, MotifClusterer), model.motif_ids_.tolist()
    (True, [0, 1])
    """

    min_support: float
    matching: Measure
    max_fit_points: int
    random_state: int

    @abstractmethod
    def _choose(self, table: Table, k: int | None) -> tuple[C, Selection]:
        """Fit components to a checked table: `k` of them, or as many as suit."""

    @abstractmethod
    def _check_parameters(self) -> None:
        """Refuse parameters that only the subclass has."""

    def _points(self, table: Table) -> Table:
        """Return the columns of a checked table that are coordinates."""
        return table

    def _distances(self, components: C) -> NDArray[np.float64]:
        """Return the distances by which small motifs find the nearest."""
        return components.distances()

    def fit(
        self,
        features: ArrayLike,
        y: object = None,
        *,
        k: int | None = None,
        prior_labels: ArrayLike | None = None,
        next_id: int | None = None,
    ) -> Self:
        """Fit motifs.

        Parameters
        ----------
        features : float32 or float64, shape (N, F)
            One point per row, finite. The fit is computed in float64.
        y : object
            Ignored; here so that scikit-learn pipelines can call `fit`.
        k : int, optional
            Number of components. By default chosen within ``min_clusters…max_clusters``; `selection_` says how.
        prior_labels : int32, shape (N,), optional
            Earlier motif ids of the same points, -1 where there is none. Motifs keep these ids (see `match_labels`).
            Without prior labels, ids are 0, 1, … from the largest motif to the smallest.
        next_id : int, optional
            First id for new motifs; see `match_labels`. Needs `prior_labels`.

        Returns
        -------
        self
            The fitted clusterer.

        Raises
        ------
        TypeError
            If a count is not an integer or labels are not integers.
        ValueError
            If features are not a finite (N, F) table, there are fewer distinct points than components, or a parameter
            breaks its rule.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If the fit stopped at `max_iter`; `converged_` is then False.
        """
        return self._fit(self._checked(features, reset=True), k, prior_labels, next_id)

    def _fit(self, table: Table, k: int | None, prior_labels: ArrayLike | None, next_id: int | None) -> Self:
        self._check_common_parameters()
        self._check_parameters()
        if k is not None:
            check_count("k", k)
        before = None if prior_labels is None else _checked_prior(prior_labels, len(table))
        if next_id is not None and before is None:
            raise ValueError("next_id continues the numbering of earlier motifs: pass it together with prior_labels.")
        learnt = self._learnt_rows(len(table))
        components, selection = self._choose(table[learnt], k)
        found, continuation = self._named(components, table, before, next_id), None
        if before is not None:
            found, continuation = self._continued(table, learnt, found, before, next_id)
        if not found.components.converged:
            warnings.warn(
                f"{type(self).__name__} stopped at max_iter before it converged (k={selection.k}); raise max_iter or "
                "tol, or scale the features.",
                ConvergenceWarning,
                stacklevel=3,
            )
        self._keep(found, selection, continuation)
        self._call = {
            "k": k,
            "prior_labels": None if before is None else before.tolist(),
            "next_id": next_id,
            "rows": [len(table)],
        }
        return self

    def _named(self, components: C, table: Table, before: Labels | None, next_id: int | None) -> Fit[C]:
        """Merge components that hold too few points, and name the motifs, as before where they were there before."""
        assigned = components.assign(table)
        size = len(getattr(components, components.per_component[0]))
        support = np.bincount(assigned[assigned >= 0], minlength=size)
        # A component without points is no motif, whatever the minimum support.
        least = max(1, ceil(self.min_support * len(table)))
        group, merges = merge_small(support, least, lambda: self._distances(components))
        motif = _motifs_by_size(group, support)
        match = None
        if before is not None:
            points = self._points(table) if self.matching == "centroid" else None
            match = match_labels(before, named(motif, assigned), next_id, by=self.matching, features=points)
            motif = np.array([match.mapping[int(current)] for current in motif], dtype=np.int32)
        order = np.lexsort((-support, motif))
        position = np.argsort(order)
        return Fit(
            components=components.permuted(order),
            motif=motif[order],
            labels=named(motif, assigned),
            merges=tuple(
                replace(merge, component=int(position[merge.component]), into=int(position[merge.into]))
                for merge in merges
            ),
            match=match,
            next_id=int(motif.max(initial=-1)) + 1 if match is None else match.next_id,
        )

    def _continued(
        self, table: Table, learnt: NDArray[np.intp] | slice, fresh: Fit[C], before: Labels, next_id: int | None
    ) -> tuple[Fit[C], Continuation | None]:
        """Return motifs that go on from the earlier ones, where the clusterer can and they suit the data."""
        return fresh, None

    def _learnt_rows(self, rows: int) -> NDArray[np.intp] | slice:
        """Return the rows that components are fitted to: of very many, as many as `max_fit_points`."""
        return drawn_rows(rows, self.max_fit_points, self.random_state)

    def fit_predict(
        self,
        features: ArrayLike,
        k: int | None = None,
        prior_labels: ArrayLike | None = None,
        *,
        next_id: int | None = None,
    ) -> Labels:
        """Fit motifs and return the motif id of each row; see `fit`.

        Parameters
        ----------
        features : float32 or float64, shape (N, F)
            One point per row, finite.
        k : int, optional
            Number of components; chosen when absent.
        prior_labels : int32, shape (N,), optional
            Earlier motif ids of the same points, -1 where there is none.
        next_id : int, optional
            First id for new motifs. Needs `prior_labels`.

        Returns
        -------
        int32, shape (N,)
            Motif ids, the same that `predict` returns for these rows.
        """
        return self.fit(features, k=k, prior_labels=prior_labels, next_id=next_id).labels_

    def _check_common_parameters(self) -> None:
        if not 0 <= self.min_support < 1:
            raise ValueError(
                f"min_support is a fraction of the points, 0 <= min_support < 1, got {self.min_support!r}."
            )
        check_choice("matching", self.matching, MEASURES)
        check_count("max_fit_points", self.max_fit_points)
        check_count("random_state", self.random_state, least=0)


def _checked_prior(prior_labels: ArrayLike, rows: int) -> Labels:
    before = check_labels("prior_labels", prior_labels)
    if before.size != rows:
        raise ValueError(
            f"prior_labels must label the same points as features, got {before.size} labels for {rows} rows. Give rows "
            "that had no label yet the label -1."
        )
    return before


def _motifs_by_size(group: NDArray[np.intp], support: NDArray[np.intp]) -> Labels:
    """Return the motif of each component: groups are numbered from the largest to the smallest."""
    heads, member = np.unique(group, return_inverse=True)
    size = np.bincount(member, weights=support, minlength=heads.size)
    rank = np.argsort(np.lexsort((heads, -size)))
    return rank[member].astype(np.int32)
