"""A fitted model: prediction, storage, the audit trail."""

from abc import ABC
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.clustering._audit import build_audit
from conv2d.clustering._check import Labels, Table, check_finite
from conv2d.clustering._components import Components
from conv2d.clustering._continuation import Continuation
from conv2d.clustering._matching import LabelMatch
from conv2d.clustering._merging import Merge
from conv2d.clustering._selection import Selection
from conv2d.clustering._storage import FORMAT, check_stored, read_json, write_json
from conv2d.clustering._untyped import BaseEstimator, ClusterMixin, check_is_fitted, validate_data

C = TypeVar("C", bound=Components)


@dataclass(frozen=True, slots=True, eq=False)
class Fit(Generic[C]):
    """Components, and the motifs made of them."""

    components: C
    motif: Labels  # of each component
    labels: Labels  # of each row
    merges: tuple[Merge, ...]
    match: LabelMatch | None
    next_id: int


class FittedMotifs(ClusterMixin, BaseEstimator, ABC, Generic[C]):
    """What `MotifClusterer` can do once it is fitted."""

    random_state: int

    labels_: Labels
    motif_ids_: Labels
    component_motifs_: Labels
    selection_: Selection
    merges_: tuple[Merge, ...]
    match_: LabelMatch | None
    continuation_: Continuation | None
    next_id_: int
    n_iter_: int
    converged_: bool
    n_features_in_: int

    _component_type: ClassVar[type[Components]]
    _components: C
    _call: dict[str, Any] | None

    def _checked(self, features: ArrayLike, *, reset: bool) -> Table:
        """Return the features as a table, or say what is wrong with them."""
        table = validate_data(self, features, reset=reset, dtype=np.float64, ensure_all_finite=False)
        check_finite(table)
        return table

    def _keep(self, found: Fit[C], selection: Selection, continuation: Continuation | None) -> None:
        self._components = found.components
        self.component_motifs_ = found.motif
        self.motif_ids_ = np.unique(found.motif)
        self.labels_ = found.labels
        self.selection_ = selection
        self.merges_ = found.merges
        self.match_ = found.match
        self.continuation_ = continuation
        self.next_id_ = found.next_id
        self.n_iter_ = found.components.n_iter
        self.converged_ = found.components.converged

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


def named(motif: Labels, assigned: NDArray[np.intp]) -> Labels:
    """Return the motif of each row from that of its component; noise stays noise."""
    return np.append(motif, np.int32(-1))[assigned]
