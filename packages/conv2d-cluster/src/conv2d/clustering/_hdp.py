"""Motifs shared between groups: a hierarchical Dirichlet-process mixture."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.clustering._check import Labels, Table, check_choice, check_count, check_groups, check_positive
from conv2d.clustering._dirichlet import TruncatedClusterer
from conv2d.clustering._fitted import named
from conv2d.clustering._gaussians import MERGE_DISTANCES, MergeDistance
from conv2d.clustering._hdp_posterior import infer
from conv2d.clustering._matching import Measure
from conv2d.clustering._shared_atoms import UNKNOWN, SharedAtoms
from conv2d.clustering._starts import best_start, start_rows
from conv2d.clustering._untyped import check_is_fitted, pairwise_distances_argmin


class HDPClusterer(TruncatedClusterer[SharedAtoms]):
    """Hierarchical Dirichlet-process mixture: groups share motifs, each with its own weights.

    Where groups are subjects, a motif that only one of them shows does not pull at the points of the others. The model
    is that of Teh et al. [1]_ with diagonal Gaussians, truncated by direct assignment; the posterior is variational,
    with a point estimate of the global weights [2]_, k-means as the start, and merges of components that raise the
    bound [3]_. `k` is the truncation: at most so many motifs are found. Without groups all rows are one group.

    Parameters
    ----------
    max_clusters : int
        Truncation when `fit` is not given k.
    alpha : float
        Concentration of a group's weights around the global ones: low values let groups differ, high values make them
        alike.
    min_support, merge_distance, matching
        As for `GMMClusterer`.
    n_init : int
        k-means starts; the one with the least inertia is taken.
    max_iter : int
        Sweeps.
    tol : float
        Gain of the bound per point at which the fit has converged, in nats.
    max_fit_points : int
        With more rows than this, so many are drawn at random and fitted; all are labelled.
    random_state : int
        Seed; the same seed gives the same result.

    Attributes
    ----------
    groups_ : tuple of str
        Names of the groups, in order.
    weights_ : float64, shape (J, C)
        Expected weights of the components in each group, by group and motif id.
    global_weights_ : float64, shape (C,)
        Weights of the components over all groups.
    means_, variances_ : float64, shape (C, F)
        Expected parameters of the components, in units of the features.
    bounds_ : tuple of float
        The evidence lower bound after each sweep, of the scaled features; it never falls.

    The others are those of `MotifClusterer`.

    References
    ----------
    .. [1] Y. W. Teh, M. I. Jordan, M. J. Beal and D. M. Blei, "Hierarchical Dirichlet processes", Journal of the
       American Statistical Association 101, 2006.
    .. [2] P. Liang, S. Petrov, M. I. Jordan and D. Klein, "The infinite PCFG using hierarchical Dirichlet processes",
       EMNLP-CoNLL 2007.
    .. [3] M. Bryant and E. B. Sudderth, "Truly nonparametric online variational inference for hierarchical Dirichlet
       processes", NIPS 2012.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> features = np.concatenate([rng.normal(m, 0.1, (n, 2)) for m, n in ((0, 60), (2, 40), (4, 20))])
    >>> subject = np.repeat(["ann", "bob", "ann"], [60, 40, 20])
    >>> model = HDPClusterer().fit(features, groups=subject)
    >>> model.groups_, model.weights_.round(2).tolist()
    (('ann', 'bob'), [[0.75, 0.0, 0.25], [0.01, 0.98, 0.01]])
    """

    _component_type = SharedAtoms

    bounds_: tuple[float, ...]

    def __init__(
        self,
        *,
        max_clusters: int = 20,
        alpha: float = 1.0,
        min_support: float = 0.0,
        merge_distance: MergeDistance = "bhattacharyya",
        matching: Measure = "overlap",
        n_init: int = 4,
        max_iter: int = 500,
        tol: float = 1e-5,
        max_fit_points: int = 200_000,
        random_state: int = 0,
    ) -> None:
        self.max_clusters = max_clusters
        self.alpha = alpha
        self.min_support = min_support
        self.merge_distance: MergeDistance = merge_distance
        self.matching: Measure = matching
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.max_fit_points = max_fit_points
        self.random_state = random_state

    @property
    def groups_(self) -> tuple[str, ...]:
        """Names of the groups, in order."""
        return self._components.groups

    @property
    def weights_(self) -> NDArray[np.float64]:
        """Expected weights, float64 (J, C), by group and motif id."""
        return self._components.weights()

    @property
    def global_weights_(self) -> NDArray[np.float64]:
        """Weights over all groups, float64 (C,), by motif id."""
        return self._components.beta

    @property
    def means_(self) -> NDArray[np.float64]:
        """Expected means, float64 (C, F), by motif id."""
        found = self._components
        return found.in_all_columns(found.mean * found.scale + found.shift, found.constant)

    @property
    def variances_(self) -> NDArray[np.float64]:
        """Expected variances, float64 (C, F), by motif id: one over the expected precision."""
        found = self._components
        return found.in_all_columns(found.b / found.a[:, None] * found.scale**2, np.zeros_like(found.constant))

    def fit(
        self,
        features: ArrayLike,
        y: object = None,
        *,
        k: int | None = None,
        prior_labels: ArrayLike | None = None,
        next_id: int | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit motifs; as `GMMClusterer.fit`, with one more parameter.

        Parameters
        ----------
        features, y, k, prior_labels, next_id
            As for `GMMClusterer.fit`; `k` is the truncation.
        groups : strings or integers, shape (N,), optional
            The group (subject) of each row. By default all rows are one group.

        Returns
        -------
        self
            The fitted clusterer.

        Raises
        ------
        TypeError
            If groups are neither strings nor integers; see also `GMMClusterer.fit`.
        ValueError
            If there is not one group per row; see also `GMMClusterer.fit`.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If the fit stopped at `max_iter`; `converged_` is then False.
        """
        table = self._checked(features, reset=True)
        names, codes = check_groups(np.zeros(len(table), dtype=np.int64) if groups is None else groups, len(table))
        self._group_names = tuple(names)
        self._fit(np.column_stack([codes, table]), k, prior_labels, next_id)
        if self._call is not None and groups is not None:
            self._call["groups"] = {"names": names, "codes": codes.tolist()}
        return self

    def fit_predict(
        self,
        features: ArrayLike,
        k: int | None = None,
        prior_labels: ArrayLike | None = None,
        *,
        next_id: int | None = None,
        groups: ArrayLike | None = None,
    ) -> Labels:
        """Fit motifs and return the motif id of each row, int32 (N,); see `fit`."""
        return self.fit(features, k=k, prior_labels=prior_labels, next_id=next_id, groups=groups).labels_

    def predict(self, features: ArrayLike, *, groups: ArrayLike | None = None) -> Labels:
        """Return the motif id of each row.

        Parameters
        ----------
        features : float32 or float64, shape (N, F)
            One point per row, finite, with as many columns as were fitted.
        groups : strings or integers, shape (N,), optional
            The group of each row, whose weights count. Rows of a group that was not fitted, and rows without a group
            where groups were fitted, are labelled by the global weights.

        Returns
        -------
        int32, shape (N,)
            Motif ids.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the clusterer was not fitted.
        ValueError
            If features are not a finite (N, F) table.
        """
        table = self._grouped(features, groups)
        return named(self.component_motifs_, self._components.assign(table))

    def score(self, features: ArrayLike, y: object = None, *, groups: ArrayLike | None = None) -> float:
        """Return the mean log predictive density of the rows, in nats per point: the held-out likelihood.

        Parameters
        ----------
        features : float32 or float64, shape (N, F)
            Points that were not fitted.
        y : object
            Ignored.
        groups : strings or integers, shape (N,), optional
            The group of each row; see `predict`.

        Returns
        -------
        float
            Mean over the points of the log density with all parameters integrated out (a mixture of products of
            Student's t). Features that were constant in the fit do not count.
        """
        table = self._grouped(features, groups)
        return float(self._components.log_predictive(table).mean())

    def audit(self, features: ArrayLike) -> dict[str, Any]:
        """Return the record of the fit, as JSON values, the groups with it; see `GMMClusterer.audit`."""
        check_is_fitted(self)
        groups = None if self._call is None else self._call.get("groups")
        codes = np.zeros(len(self.labels_)) if groups is None else np.array(groups["codes"], dtype=np.float64)
        table = self._checked(features, reset=False)
        if len(table) != len(codes):
            raise ValueError(f"audit needs the {len(codes)} rows that were fitted, got {len(table)}.")
        return self._audit(np.column_stack([codes, table]))

    def _grouped(self, features: ArrayLike, groups: ArrayLike | None) -> Table:
        check_is_fitted(self)
        table = self._checked(features, reset=False)
        known = self._components.groups
        if groups is None:
            codes = np.full(len(table), 0.0 if len(known) == 1 else UNKNOWN)
        else:
            names, member = check_groups(groups, len(table))
            codes = np.array([known.index(name) if name in known else UNKNOWN for name in names])[member]
        return np.column_stack([codes, table])

    def _points(self, table: Table) -> Table:
        return table[:, 1:]

    def _check_parameters(self) -> None:
        for name in ("n_init", "max_iter"):
            check_count(name, getattr(self, name))
        for name in ("alpha", "tol"):
            check_positive(name, getattr(self, name))
        check_choice("merge_distance", self.merge_distance, MERGE_DISTANCES)

    def _distances(self, components: SharedAtoms) -> NDArray[np.float64]:
        return components.distances(self.merge_distance)

    def _fit_components(self, table: Table, truncation: int) -> SharedAtoms:
        group, points = table[:, 0].astype(np.intp), table[:, 1:]
        mean, spread = points.mean(axis=0), points.std(axis=0)
        # A spread that is only rounding is none.
        varying = np.flatnonzero(spread > 1e-12 * np.abs(mean))
        if not varying.size:  # all points are one, and any column tells that
            varying, spread = np.array([0]), np.ones_like(spread)
        shift, scale = mean[varying], spread[varying]
        scaled = (points[:, varying] - shift) / scale
        start = best_start(
            start_rows(scaled, self.random_state), truncation, n_init=self.n_init, seed=self.random_state
        )
        resp = np.eye(truncation)[pairwise_distances_argmin(scaled, start.cluster_centers_)]
        found = infer(scaled, group, resp, alpha=self.alpha, max_iter=self.max_iter, tol=self.tol)
        self.bounds_ = found.bounds
        used = np.zeros((len(found.beta), len(self._group_names)))
        used[:, : len(found.counts)] = found.counts.T
        return SharedAtoms(
            n_iter=len(found.bounds),
            converged=found.converged,
            alpha=float(self.alpha),
            groups=self._group_names,
            varying=varying.astype(np.float64),
            constant=mean,
            shift=shift,
            scale=scale,
            mean=found.atoms.mean,
            kappa=found.atoms.kappa,
            a=found.atoms.a,
            b=found.atoms.b,
            beta=found.beta,
            used=used,
        )
