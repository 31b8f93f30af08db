"""What all clusterers share: the choice of k, merging, stable ids, prediction, storage."""

import warnings
from abc import ABC, abstractmethod
from math import ceil
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.clustering._check import Features, Labels, check_count, check_finite, check_labels, count_distinct
from conv2d.clustering._matching import LabelMatch, match_labels
from conv2d.clustering._merging import Merge, merge_small
from conv2d.clustering._selection import Candidate, Selection
from conv2d.clustering._storage import FORMAT, check_stored, read_json, write_json
from conv2d.clustering._untyped import BaseEstimator, ClusterMixin, ConvergenceWarning, check_is_fitted, validate_data


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


class Components(Protocol):
    """Fitted parameters, one component after another."""

    @property
    def n_iter(self) -> int:
        """Iterations made."""
        ...

    @property
    def converged(self) -> bool:
        """Whether the fit reached its tolerance."""
        ...

    def assign(self, features: Features) -> NDArray[np.intp]:
        """Return the component of each row."""
        ...

    def distances(self) -> NDArray[np.float64]:
        """Return the distance of every two components, (C, C)."""
        ...

    def permuted(self, order: NDArray[np.intp]) -> "Components":
        """Return the components in another order."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as JSON values."""
        ...


class MotifClusterer(ClusterMixin, BaseEstimator, ABC):
    """Base of the clusterers; a subclass fits components and scores them.

    Attributes are those of the subclasses.
    """

    min_clusters: int
    max_clusters: int
    min_support: float
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

    _criterion: Literal["bic", "silhouette"]
    _components: Components

    @abstractmethod
    def _fit_components(self, features: Features, k: int) -> Components:
        """Fit `k` components to checked features."""

    @abstractmethod
    def _score(self, features: Features, components: Components) -> float:
        """Return how well the components fit, by the criterion of the class."""

    @abstractmethod
    def _check_parameters(self) -> None:
        """Refuse parameters that only this class has."""

    @staticmethod
    @abstractmethod
    def _components_from_dict(stored: dict[str, Any]) -> Components:
        """Rebuild what `Components.to_dict` returned."""

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
        table = self._checked_features(features, reset=True)
        self._check_common_parameters()
        self._check_parameters()
        before = None if prior_labels is None else _checked_prior(prior_labels, len(table))
        if next_id is not None and before is None:
            raise ValueError("next_id continues the numbering of earlier motifs: pass it together with prior_labels.")
        components, selection = self._select(table) if k is None else self._given(table, k)
        if not components.converged:
            warnings.warn(
                f"{type(self).__name__} stopped at max_iter before it converged (k={selection.k}); raise max_iter or "
                "tol, or scale the features.",
                ConvergenceWarning,
                stacklevel=2,
            )
        assigned = components.assign(table)
        support = np.bincount(assigned, minlength=selection.k)
        # A component without points is no motif, whatever the minimum support.
        least = max(1, ceil(self.min_support * len(table)))
        group, merges = merge_small(support, least, components.distances)
        group_motif, match = _name_groups(group, support, assigned, before, next_id)
        motif = group_motif[group]
        order = np.lexsort((-support, motif))

        self._components = components.permuted(order)
        self.component_motifs_ = motif[order]
        self.motif_ids_ = np.unique(motif)
        self.labels_ = motif[assigned]
        self.selection_ = selection
        self.merges_ = merges
        self.match_ = match
        self.next_id_ = int(motif.max()) + 1 if match is None else match.next_id
        self.n_iter_ = components.n_iter
        self.converged_ = components.converged
        return self

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
        return self.component_motifs_[self._components.assign(self._checked_features(features, reset=False))]

    def to_dict(self) -> dict[str, Any]:
        """Return the fitted model as JSON values, exact for float64.

        Parameters, components, ids and labels are in it: what `predict` and the next matching need. The records of
        the fit (`selection_`, `merges_`, `match_`) are not.
        """
        check_is_fitted(self)
        return {
            "format": FORMAT,
            "class": type(self).__name__,
            "params": self.get_params(),
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
        model._components = cls._components_from_dict(stored["components"])
        model.component_motifs_ = np.array(stored["component_motifs"], dtype=np.int32)
        model.motif_ids_ = np.unique(model.component_motifs_)
        model.labels_ = np.array(stored["labels"], dtype=np.int32)
        model.next_id_ = int(stored["next_id"])
        model.n_iter_ = model._components.n_iter
        model.converged_ = model._components.converged
        model.n_features_in_ = int(stored["n_features"])
        return model

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted model to a JSON file, whole or not at all; see `to_dict`."""
        write_json(Path(path), self.to_dict())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read a model that `save` wrote; see `from_dict`."""
        return cls.from_dict(read_json(Path(path)))

    def _checked_features(self, features: ArrayLike, *, reset: bool) -> Features:
        checked = validate_data(self, features, reset=reset, dtype=np.float64, ensure_all_finite=False)
        check_finite(checked)
        return checked

    def _check_common_parameters(self) -> None:
        least = check_count("min_clusters", self.min_clusters)
        if check_count("max_clusters", self.max_clusters) < least:
            raise ValueError(f"max_clusters must be at least min_clusters={least}, got {self.max_clusters}.")
        if not 0 <= self.min_support < 1:
            raise ValueError(
                f"min_support is a fraction of the points, 0 <= min_support < 1, got {self.min_support!r}."
            )
        check_count("random_state", self.random_state, least=0)

    def _given(self, features: Features, k: int) -> tuple[Components, Selection]:
        check_count("k", k)
        distinct = count_distinct(features, enough=k)
        if distinct < k:
            raise ValueError(
                f"k={k} components need at least {k} distinct points; features has {len(features)} rows (n_samples = "
                f"{len(features)}), of which {distinct} are distinct. Lower k or give more data."
            )
        return self._fit_components(features, k), Selection(k, "given", (), f"k={k} was given.")

    def _select(self, features: Features) -> tuple[Components, Selection]:
        """Fit every k in the range and take the best, the smaller of equals."""
        most = count_distinct(features, enough=self.max_clusters)
        if self._criterion == "silhouette":
            # The silhouette compares a cluster with another one, and says nothing where each point is its own.
            most = min(most, len(features) - 1)
        least = max(self.min_clusters, 2 if self._criterion == "silhouette" else 1)
        if most < least:
            raise ValueError(
                f"k is chosen within {least}…{self.max_clusters} by {self._criterion}, but features has {len(features)} "
                f"rows (n_samples = {len(features)}), enough for at most {most} clusters. Give k, lower min_clusters or "
                "give more data."
            )
        sign = 1.0 if self._criterion == "bic" else -1.0
        fits = [(k, self._fit_components(features, k)) for k in range(least, most + 1)]
        candidates = tuple(Candidate(k, self._score(features, components)) for k, components in fits)
        best = min(range(len(fits)), key=lambda i: sign * candidates[i].score)
        k, components = fits[best]
        which = "lowest BIC" if self._criterion == "bic" else "highest mean silhouette"
        reason = f"k={k} has the {which} ({candidates[best].score:.6g}) of k={least}…{most}."
        if most < self.max_clusters:
            reason += f" k>{most} was not tried: features has too few distinct points."
        return components, Selection(k, self._criterion, candidates, reason)


def _checked_prior(prior_labels: ArrayLike, rows: int) -> Labels:
    before = check_labels("prior_labels", prior_labels)
    if before.size != rows:
        raise ValueError(
            f"prior_labels must label the same points as features, got {before.size} labels for {rows} rows. Give rows "
            "that had no label yet the label -1."
        )
    return before


def _name_groups(
    group: NDArray[np.intp],
    support: NDArray[np.intp],
    assigned: NDArray[np.intp],
    before: Labels | None,
    next_id: int | None,
) -> tuple[Labels, LabelMatch | None]:
    """Return the motif id of each group (indexed by its head component), matched to earlier labels if there are any."""
    heads = np.unique(group)
    size = np.bincount(group, weights=support, minlength=group.size)[heads]
    motif = np.full(group.size, -1, dtype=np.int32)
    motif[heads[np.lexsort((heads, -size))]] = np.arange(heads.size)
    if before is None:
        return motif, None
    match = match_labels(before, motif[group][assigned], next_id)
    motif[heads] = [match.mapping[int(current)] for current in motif[heads]]
    return motif, match
