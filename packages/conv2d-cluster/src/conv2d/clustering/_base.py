"""What all clusterers share: merging, stable ids, prediction, storage, the audit trail."""

import warnings
from abc import ABC, abstractmethod
from dataclasses import replace
from math import ceil
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar, cast, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.clustering._audit import build_audit
from conv2d.clustering._check import Labels, Table, check_choice, check_count, check_finite, check_labels
from conv2d.clustering._components import Components
from conv2d.clustering._matching import MEASURES, LabelMatch, Measure, match_labels
from conv2d.clustering._merging import Merge, merge_small
from conv2d.clustering._selection import Selection
from conv2d.clustering._storage import FORMAT, check_stored, read_json, write_json
from conv2d.clustering._untyped import BaseEstimator, ClusterMixin, ConvergenceWarning, check_is_fitted, validate_data

C = TypeVar("C", bound=Components)


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


class MotifClusterer(ClusterMixin, BaseEstimator, ABC, Generic[C]):
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

    labels_: Labels
    motif_ids_: Labels
    component_motifs_: Labels
    selection_: Selection
    merges_: tuple[Merge, ...]
    match_: LabelMatch | None
    next_id_: int
    n_iter_: int
    converged_: bool
    n_features_in_: int

    _component_type: ClassVar[type[Components]]
    _components: C
    _call: dict[str, Any] | None

    @abstractmethod
    def _choose(self, table: Table, k: int | None) -> tuple[C, Selection]:
        """Fit components to a checked table: `k` of them, or as many as suit."""

    @abstractmethod
    def _check_parameters(self) -> None:
        """Refuse parameters that only the subclass has."""

    def _checked(self, features: ArrayLike, *, reset: bool) -> Table:
        """Return the features as a table, or say what is wrong with them."""
        table = validate_data(self, features, reset=reset, dtype=np.float64, ensure_all_finite=False)
        check_finite(table)
        return table

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
        components, selection = self._choose(self._learnt_from(table), k)
        if not components.converged:
            warnings.warn(
                f"{type(self).__name__} stopped at max_iter before it converged (k={selection.k}); raise max_iter or "
                "tol, or scale the features.",
                ConvergenceWarning,
                stacklevel=3,
            )
        assigned = components.assign(table)
        support = np.bincount(assigned[assigned >= 0], minlength=selection.k)
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

        self._components = components.permuted(order)
        self.component_motifs_ = motif[order]
        self.motif_ids_ = np.unique(motif)
        self.labels_ = named(motif, assigned)
        self.selection_ = selection
        self.merges_ = tuple(
            replace(merge, component=int(position[merge.component]), into=int(position[merge.into])) for merge in merges
        )
        self.match_ = match
        self.next_id_ = int(motif.max(initial=-1)) + 1 if match is None else match.next_id
        self.n_iter_ = components.n_iter
        self.converged_ = components.converged
        self._call = {
            "k": k,
            "prior_labels": None if before is None else before.tolist(),
            "next_id": next_id,
            "rows": [len(table)],
        }
        return self

    def _learnt_from(self, table: Table) -> Table:
        """Return the rows that components are fitted to: of very many, as many as `max_fit_points`."""
        if len(table) <= self.max_fit_points:
            return table
        rows = np.random.default_rng(self.random_state).choice(len(table), self.max_fit_points, replace=False)
        return table[np.sort(rows)]

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

    def predict(self, features: ArrayLike) -> Labels:
        """Return the motif id of each row.

        Parameters
        ----------
        features : float32 or float64, shape (N, F)
            One point per row, finite, with as many columns as were fitted.

        Returns
        -------
        int32, shape (N,)
            Motif ids.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the clusterer was not fitted; a ValueError and an AttributeError.
        ValueError
            If features are not a finite (N, F) table.
        """
        check_is_fitted(self)
        return named(self.component_motifs_, self._components.assign(self._checked(features, reset=False)))

    def to_dict(self) -> dict[str, Any]:
        """Return the fitted model as JSON values, exact for float64.

        Parameters, components, ids and labels are in it: what `predict` and the next matching need. The records of
        the fit (`selection_`, `merges_`, `match_`) are not.
        """
        check_is_fitted(self)
        return {
            "format": FORMAT,
            "class": type(self).__name__,
            "params": self.get_params(deep=False),
            "n_features": self.n_features_in_,
            "components": self._components.to_dict(),
            "component_motifs": self.component_motifs_.tolist(),
            "labels": self.labels_.tolist(),
            "next_id": self.next_id_,
        }

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """Rebuild a model from `to_dict`.

        Raises
        ------
        ValueError
            If `stored` is of another format or class, or incomplete.
        """
        check_stored(stored, cls.__name__)
        model = cls(**stored["params"])
        model._components = cast("C", cls._component_type.from_dict(stored["components"]))
        model.component_motifs_ = np.array(stored["component_motifs"], dtype=np.int32)
        model.motif_ids_ = np.unique(model.component_motifs_)
        model.labels_ = np.array(stored["labels"], dtype=np.int32)
        model.next_id_ = int(stored["next_id"])
        model.n_iter_ = model._components.n_iter
        model.converged_ = model._components.converged
        model.n_features_in_ = int(stored["n_features"])
        model._call = None
        return model

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted model to a JSON file, whole or not at all; see `to_dict`."""
        write_json(Path(path), self.to_dict())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read a model that `save` wrote; see `from_dict`."""
        return cls.from_dict(read_json(Path(path)))

    def audit(self, features: ArrayLike) -> dict[str, Any]:
        """Return the record of the fit, as JSON values: what came in, what was decided by which numbers, what came out.

        `replay` repeats the fit from it. The schema is ``audit.schema.json`` in this package.

        Parameters
        ----------
        features : float32 or float64, shape (N, F)
            The rows that were fitted; after `partial_fit`, those of all batches, one after another.

        Returns
        -------
        dict
            Hash and shape of the data, parameters and seed, earlier labels, versions and threads, every candidate k,
            merge and match with its numbers, and the labels.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the clusterer was not fitted.
        ValueError
            If the model was loaded from a file, which holds no record of its fit, or `features` are not the rows that
            were fitted: their number differs, or `predict` of them is not `labels_`.
        """
        check_is_fitted(self)
        return self._audit(self._checked(features, reset=False))

    def _audit(self, table: Table) -> dict[str, Any]:
        if self._call is None:
            raise ValueError("A stored model has no record of its fit. Make the audit where the model is fitted.")
        rows = sum(self._call["rows"])
        if len(table) != rows:
            raise ValueError(f"audit needs the {rows} rows that were fitted, got {len(table)}.")
        last = table[len(table) - len(self.labels_) :]
        if not np.array_equal(named(self.component_motifs_, self._components.assign(last)), self.labels_):
            raise ValueError("audit needs the rows that were fitted, in their order: these get other labels.")
        return build_audit(self, table, self._call)

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


def named(motif: Labels, assigned: NDArray[np.intp]) -> Labels:
    """Return the motif of each row from that of its component; noise stays noise."""
    return np.append(motif, np.int32(-1))[assigned]
