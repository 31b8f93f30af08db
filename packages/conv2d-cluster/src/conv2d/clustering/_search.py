"""Clusterers that are told the number of components, or compare several."""

from abc import abstractmethod
from typing import ClassVar

from conv2d.clustering._base import MotifClusterer
from conv2d.clustering._check import Table, check_choice, check_count, count_distinct
from conv2d.clustering._components import Density
from conv2d.clustering._fitted import C
from conv2d.clustering._selection import Candidate, Criterion, Selection, bootstrap_stability, mean_silhouette

_BEST = {
    "bic": "lowest BIC",
    "silhouette": "highest mean silhouette",
    "stability": "highest mean adjusted Rand index of bootstrap refits",
}


class SearchingClusterer(MotifClusterer[C]):
    """Base of the clusterers with a number of components."""

    min_clusters: int
    max_clusters: int
    criterion: Criterion

    _criteria: ClassVar[tuple[Criterion, ...]]

    @abstractmethod
    def _fit_components(self, table: Table, k: int) -> C:
        """Fit `k` components."""

    def _check_range(self) -> None:
        least = check_count("min_clusters", self.min_clusters)
        if check_count("max_clusters", self.max_clusters) < least:
            raise ValueError(f"max_clusters must be at least min_clusters={least}, got {self.max_clusters}.")
        check_choice("criterion", self.criterion, self._criteria)

    def _choose(self, table: Table, k: int | None) -> tuple[C, Selection]:
        self._check_range()
        if k is None:
            return self._best(table)
        distinct = count_distinct(table, enough=k)
        if distinct < k:
            raise ValueError(
                f"k={k} components need at least {k} distinct points; features has {len(table)} rows (n_samples = "
                f"{len(table)}), of which {distinct} are distinct. Lower k or give more data."
            )
        return self._fit_components(table, k), Selection(k, "given", (), f"k={k} was given.")

    def _best(self, table: Table) -> tuple[C, Selection]:
        """Fit every k in the range and take the best, the smaller of equals."""
        most = count_distinct(table, enough=self.max_clusters)
        if self.criterion == "silhouette":
            # The silhouette compares a cluster with another one, and says nothing where each point is its own.
            most = min(most, len(table) - 1)
        # One cluster is as stable as can be, and has no silhouette.
        least = max(self.min_clusters, 1 if self.criterion == "bic" else 2)
        if most < least:
            raise ValueError(
                f"k is chosen within {least}…{self.max_clusters} by {self.criterion}, but features has {len(table)} "
                f"rows (n_samples = {len(table)}), enough for at most {most} clusters. Give k, lower min_clusters or "
                "give more data."
            )
        fits = {k: self._fit_components(table, k) for k in range(least, most + 1)}
        candidates = tuple(Candidate(k, self._score_of(table, k, components)) for k, components in fits.items())
        sign = 1.0 if self.criterion == "bic" else -1.0
        best = min(candidates, key=lambda candidate: sign * candidate.score)
        reason = f"k={best.k} has the {_BEST[self.criterion]} ({best.score:.6g}) of k={least}…{most}."
        if most < self.max_clusters:
            reason += f" k>{most} was not tried: features has too few distinct points."
        return fits[best.k], Selection(best.k, self.criterion, candidates, reason)

    def _score_of(self, table: Table, k: int, components: C) -> float:
        if self.criterion == "bic" and isinstance(components, Density):
            return components.bic(table)
        if self.criterion == "silhouette":
            return mean_silhouette(table, components, self.random_state)
        return bootstrap_stability(table, components, lambda rows: self._fit_components(rows, k), self.random_state)
