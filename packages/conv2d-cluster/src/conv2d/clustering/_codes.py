"""Motifs of discrete codes: mixtures of categorical or multinomial distributions."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.clustering._check import Table, check_choice, check_count, check_positive
from conv2d.clustering._components import Density
from conv2d.clustering._continuing import ContinuingClusterer
from conv2d.clustering._matching import Measure
from conv2d.clustering._selection import Criterion
from conv2d.clustering._starts import best_start
from conv2d.clustering._untyped import SparseRows, csr_array, logsumexp

Emission = Literal["categorical", "multinomial"]


@dataclass(frozen=True, slots=True, eq=False)
class CodeTables(Density):
    """Code probabilities of each component, one table for each position or one for all."""

    n_positions: int
    n_codes: int
    per_position: bool
    weights: NDArray[np.float64]
    log_probability: NDArray[np.float64]  # (C, positions * codes) or (C, codes)

    per_component: ClassVar[tuple[str, ...]] = ("weights", "log_probability")

    def assign(self, table: Table) -> NDArray[np.intp]:
        """Return the component with the highest posterior probability for each row."""
        return self.log_joint(self.counted(table)).argmax(axis=1)

    def counted(self, table: Table) -> SparseRows:
        """Return rows of ones, as many as positions, in the columns of the tables."""
        return counted(table, self.n_codes, self.per_position)

    def log_joint(self, rows: SparseRows) -> NDArray[np.float64]:
        """Return log weight plus log-likelihood of each row under each component, (N, C)."""
        return rows @ self.log_probability.T + np.log(self.weights)

    def log_density(self, table: Table) -> NDArray[np.float64]:
        """Return the log-likelihood of each row."""
        return logsumexp(self.log_joint(self.counted(table)), axis=1)

    def free_parameters(self, table: Table) -> int:
        """Return the number of weights, and of probabilities of the codes that were seen, that can be chosen freely."""
        seen = self.counted(table).T @ np.ones((len(table), 1)) > 0
        blocks, size = self.n_positions if self.per_position else 1, len(self.weights)
        return size * (int(np.count_nonzero(seen)) - blocks) + size - 1

    def distances(self) -> NDArray[np.float64]:
        """Return the Bhattacharyya distances of the components, summed over positions, (C, C)."""
        blocks = self.n_positions if self.per_position else 1
        roots = np.exp(self.log_probability / 2).reshape(len(self.weights), blocks, self.n_codes)
        coefficient = np.einsum("ibv,jbv->ijb", roots, roots)
        distance = -np.log(np.minimum(coefficient, 1.0)).sum(axis=2) * (self.n_positions / blocks)
        np.fill_diagonal(distance, 0.0)
        return distance


def counted(table: Table, n_codes: int, per_position: bool) -> SparseRows:
    """Return codes (N, P) as sparse counts: (N, P * n_codes), or (N, n_codes) where the position does not matter."""
    rows, positions = table.shape
    # scikit-learn wants 32-bit indices.
    shift = np.arange(positions, dtype=np.int32) * (n_codes if per_position else 0)
    columns = np.reshape(table + shift, -1).astype(np.int32)
    starts = np.arange(0, rows * positions + 1, positions, dtype=np.int32)
    width = positions * n_codes if per_position else n_codes
    return csr_array((np.ones(columns.size), columns, starts), shape=(rows, width))


class CodeMixtureClusterer(ContinuingClusterer[CodeTables]):
    """Mixture over the discrete codes of windows, whose motif ids do not change from one fit to the next.

    For what a quantiser emits: P codes for each window, without an order among code numbers. Distances of code
    numbers mean nothing, so that k-means on them would be wrong; here a motif is a distribution over codes (latent
    class analysis [1]_). Expectation maximisation of the posterior, from k-means on the codes one-hot.

    Parameters
    ----------
    n_codes : int, optional
        Size of the codebook: codes are ``0 … n_codes - 1``. By default one more than the largest code fitted; larger
        codes are then refused by `predict`.
    emission : {"categorical", "multinomial"}
        "categorical": each of the P positions has its own distribution; "multinomial": one for all, so that only the
        counts of the codes in a window matter.
    min_clusters, max_clusters : int
        Range in which k is chosen when `fit` is not given one.
    criterion : {"bic", "stability"}
        How k is chosen: by the lowest Bayesian information criterion, with as many parameters as codes were seen; or
        by the highest mean adjusted Rand index of 6 bootstrap refits with the fit to all points.
    min_support : float
        Fraction of the points that a motif must hold, ``0 <= min_support < 1``. A smaller one is merged into the
        nearest by Bhattacharyya distance, the smallest first, until none is left.
    matching : {"overlap", "iou"}
        How motifs are matched to earlier labels; see `match_labels`. Codes have no centroid.
    prior_margin : float
        Earlier motifs go on if that gives up at most this share of what a fresh fit gains over one component for all
        points, ``0 <= prior_margin < 1``; see `Continuation`.
    smoothing : float
        Strength of the prior, in codes per table: each table is drawn towards the frequencies of all points, so that
        no code is impossible.
    n_init : int
        k-means starts; the one with the least inertia is taken.
    max_iter : int
        Iterations.
    tol : float
        Gain of the log posterior per point at which the fit has converged, in nats.
    max_fit_points : int
        With more rows than this, so many are drawn at random and fitted; all are labelled.
    random_state : int
        Seed; the same seed gives the same result.

    Attributes
    ----------
    weights_ : float64, shape (C,)
        Mixture weights, by motif id.
    code_probabilities_ : float64, shape (C, P, n_codes) or (C, n_codes)
        Distribution of the codes in each component, by motif id; the latter for "multinomial".

    The others are those of `MotifClusterer`.

    References
    ----------
    .. [1] L. A. Goodman, "Exploratory latent structure analysis using both identifiable and unidentifiable models",
       Biometrika 61, 1974.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> codes = np.concatenate([rng.integers(0, 3, (30, 8)), rng.integers(3, 6, (20, 8))])
    >>> model = CodeMixtureClusterer(n_codes=6).fit(codes, k=2)
    >>> np.bincount(model.labels_).tolist(), model.code_probabilities_.shape
    ([30, 20], (2, 8, 6))
    """

    n_features_in_: int

    _component_type = CodeTables
    _criteria: ClassVar[tuple[Criterion, ...]] = ("bic", "stability")

    def __init__(
        self,
        *,
        n_codes: int | None = None,
        emission: Emission = "categorical",
        min_clusters: int = 1,
        max_clusters: int = 10,
        criterion: Criterion = "bic",
        min_support: float = 0.0,
        matching: Measure = "overlap",
        prior_margin: float = 0.05,
        smoothing: float = 1.0,
        n_init: int = 4,
        max_iter: int = 200,
        tol: float = 1e-4,
        max_fit_points: int = 200_000,
        random_state: int = 0,
    ) -> None:
        self.n_codes = n_codes
        self.emission: Emission = emission
        self.min_clusters = min_clusters
        self.max_clusters = max_clusters
        self.criterion: Criterion = criterion
        self.min_support = min_support
        self.matching: Measure = matching
        self.prior_margin = prior_margin
        self.smoothing = smoothing
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.max_fit_points = max_fit_points
        self.random_state = random_state

    @property
    def weights_(self) -> NDArray[np.float64]:
        """Mixture weights, float64 (C,), by motif id."""
        return self._components.weights

    @property
    def code_probabilities_(self) -> NDArray[np.float64]:
        """Distribution of the codes, float64 (C, P, n_codes), or (C, n_codes) for "multinomial"."""
        found = self._components
        table = np.exp(found.log_probability)
        return table.reshape(-1, found.n_positions, found.n_codes) if found.per_position else table

    def _checked(self, features: ArrayLike, *, reset: bool) -> Table:
        codes = np.asarray(features)
        if not np.issubdtype(codes.dtype, np.integer):
            raise TypeError(f"codes must be integers, got dtype {codes.dtype}. For float features take GMMClusterer.")
        if codes.ndim != 2 or 0 in codes.shape:
            raise ValueError(f"codes must have shape (N, P), P codes for each window, got {codes.shape}.")
        if reset:
            self.n_features_in_ = codes.shape[1]
        elif codes.shape[1] != self.n_features_in_:
            raise ValueError(f"codes have {codes.shape[1]} positions, but {self.n_features_in_} were fitted.")
        known = self.n_codes if reset else self._components.n_codes
        limit = np.iinfo(np.int32).max if known is None else check_count("n_codes", known)
        if codes.min() < 0 or codes.max() >= limit:
            rule = f"0 … {limit - 1}" + ("" if reset else ", as n_codes or the fitted codes say")
            raise ValueError(f"codes must be {rule}; got values from {codes.min()} to {codes.max()}.")
        if reset:
            self._n_codes = int(codes.max()) + 1 if self.n_codes is None else self.n_codes
        return codes.astype(np.int32)

    def _check_parameters(self) -> None:
        check_choice("emission", self.emission, ("categorical", "multinomial"))
        check_choice("matching", self.matching, ("overlap", "iou"))
        for name in ("n_init", "max_iter"):
            check_count(name, getattr(self, name))
        for name in ("smoothing", "tol"):
            check_positive(name, getattr(self, name))

    def _fit_components(self, table: Table, k: int) -> CodeTables:
        rows = self._grouping(table)
        start = best_start(rows.counts, k, n_init=self.n_init, seed=self.random_state)
        return rows.maximised(np.eye(k)[start.labels_], max_iter=self.max_iter, tol=self.tol)

    def _grouping(self, table: Table) -> "_CodeRows":
        return _CodeRows.of(table, self._n_codes, self.emission == "categorical", self.smoothing)


@dataclass(frozen=True, slots=True, eq=False)
class _CodeRows:
    """Rows of codes that tables are fitted to."""

    counts: SparseRows
    n_rows: int
    n_positions: int
    n_codes: int
    per_position: bool
    prior: NDArray[np.float64]  # pseudo-counts, which sum to the smoothing in each table

    @classmethod
    def of(cls, table: Table, n_codes: int, per_position: bool, smoothing: float) -> "_CodeRows":
        """Return the rows of a table."""
        counts, (n_rows, n_positions) = counted(table, n_codes, per_position), table.shape
        pooled = (counts.T @ np.ones((n_rows, 1))).reshape(n_positions if per_position else 1, n_codes) + 1.0
        prior = (smoothing * pooled / pooled.sum(axis=1, keepdims=True)).reshape(-1)
        return cls(counts, n_rows, n_positions, n_codes, per_position, prior)

    def estimated(self, labels: NDArray[np.intp], k: int) -> CodeTables:
        """Return the tables of the groups 0 … k - 1 of rows; rows in group −1 are left out."""
        return self._tables((labels[:, None] == np.arange(k)).astype(np.float64))

    def reassigned(self, components: CodeTables) -> tuple[NDArray[np.intp], CodeTables]:
        """Return the component of each row, and the tables of the groups that this makes."""
        labels = components.log_joint(self.counts).argmax(axis=1)
        return labels, self.estimated(labels, len(components.weights))

    def maximised(self, resp: NDArray[np.float64], *, max_iter: int, tol: float) -> CodeTables:
        """Return what expectation maximisation reaches from responsibilities (N, C)."""
        before, n_iter, converged = -np.inf, 0, False
        while True:
            fitted = self._tables(resp)
            if converged or n_iter == max_iter:
                return replace(fitted, n_iter=n_iter, converged=converged)
            joint = fitted.log_joint(self.counts)
            likelihood = logsumexp(joint, axis=1, keepdims=True)
            log_prior = (self.prior * fitted.log_probability).sum() + np.log(fitted.weights).sum()
            posterior = float(likelihood.sum() + log_prior)
            resp = np.exp(joint - likelihood)
            n_iter, converged, before = n_iter + 1, posterior - before < tol * self.n_rows, posterior

    def _tables(self, resp: NDArray[np.float64]) -> CodeTables:
        """Return the most probable tables given responsibilities."""
        k = resp.shape[1]
        counts = (self.counts.T @ resp).T + self.prior
        table_sums = counts.reshape(k, -1, self.n_codes).sum(axis=2)
        log_probability = np.log(counts) - np.log(np.repeat(table_sums, self.n_codes, axis=1))
        weights = (resp.sum(axis=0) + 1.0) / (resp.sum() + k)
        return CodeTables(0, True, self.n_positions, self.n_codes, self.per_position, weights, log_probability)
