"""Which motifs are real: how well each is found again without some of the points, or without a subject."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.clustering._base import MotifClusterer
from conv2d.clustering._check import Labels, check_count, check_groups
from conv2d.clustering._groups import run_all
from conv2d.clustering._hdp import HDPClusterer
from conv2d.clustering._matching import match_labels
from conv2d.clustering._untyped import adjusted_mutual_info_score, adjusted_rand_score, clone

Job = tuple[Any, NDArray[Any], NDArray[np.str_] | None, NDArray[np.intp], int | None, Labels]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well refits agree with the fit to all points; the labels of all points are compared.

    Attributes
    ----------
    ari : float
        Mean adjusted Rand index [1]_ over the refits: 1 is the same, 0 is chance.
    ari_low : float
        Its tenth percentile over the refits.
    ami : float
        Mean adjusted mutual information.
    jaccard : float
        Mean intersection over union of the motif's points [2]_; of all motifs, the fraction of points that keep their
        id.
    kept : float
        Fraction of the refits that had the motif, or all motifs.

    References
    ----------
    .. [1] L. Hubert and P. Arabie, "Comparing partitions", Journal of Classification 2, 1985.
    .. [2] C. Hennig, "Cluster-wise assessment of cluster stability", Computational Statistics & Data Analysis 52, 2007.
    """

    ari: float
    ari_low: float
    ami: float
    jaccard: float
    kept: float


@dataclass(frozen=True, slots=True)
class MotifStability:
    """How stable one motif is: its points against all others.

    Attributes
    ----------
    motif : int
        Its id.
    support : int
        Its points.
    bootstrap : Agreement
        With refits to points drawn with replacement.
    left_out : Agreement or None
        With refits without one group; None where no groups were given.
    """

    motif: int
    support: int
    bootstrap: Agreement
    left_out: Agreement | None


@dataclass(frozen=True, slots=True)
class StabilityReport:
    """What `stability_report` found.

    Attributes
    ----------
    motifs : tuple of MotifStability
        By id.
    bootstrap, left_out : Agreement
        Of the whole labelling; `left_out` is None where no groups were given.
    without : dict of str to float
        Adjusted Rand index of the refit without each group: a low one names a subject that carries motifs alone.
    refits : int
        Number of bootstrap refits.
    """

    motifs: tuple[MotifStability, ...]
    bootstrap: Agreement
    left_out: Agreement | None
    without: dict[str, float]
    refits: int

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the report as a table."""
        rows = [("all", sum(motif.support for motif in self.motifs), self.bootstrap, self.left_out)]
        rows += [(str(motif.motif), motif.support, motif.bootstrap, motif.left_out) for motif in self.motifs]
        lines = ["motif  points  bootstrap: ARI   AMI  Jaccard  kept   without one group: ARI   AMI  Jaccard  kept"]
        for name, support, one, two in rows:
            left = "" if two is None else f"{two.ari:24.2f}  {two.ami:.2f}     {two.jaccard:.2f}  {two.kept:.2f}"
            found = f"{one.ari:14.2f}  {one.ami:.2f}     {one.jaccard:.2f}  {one.kept:.2f}"
            lines.append(f"{name:>5}  {support:6d}  {found}  {left}".rstrip())
        return "\n".join(lines)


def stability_report(
    clusterer: MotifClusterer[Any],
    features: ArrayLike,
    k: int | None = None,
    *,
    groups: ArrayLike | None = None,
    n_bootstrap: int = 20,
    seed: int = 0,
    executor: Any = None,
) -> StabilityReport:
    """Tell how well each motif is found again on a part of the data.

    The clusterer is fitted to all points, then to as many points drawn with replacement, `n_bootstrap` times, and to
    all points but those of one group, for each group. Each refit labels all points, and its motifs are matched to the
    first fit.

    Parameters
    ----------
    clusterer : MotifClusterer
        It is cloned, never changed.
    features : float32, float64 or codes, shape (N, F)
        One point per row.
    k : int, optional
        As for `fit`; a k that is chosen is chosen once, on all points.
    groups : strings or integers, shape (N,), optional
        The group (subject) of each row: at least two.
    n_bootstrap : int
        Number of bootstrap refits.
    seed : int
        For the points drawn.
    executor : optional
        Runs the refits; see `fit_groups`. The results are the same.

    Returns
    -------
    StabilityReport
        Agreement of the refits for each motif and over all.

    Raises
    ------
    ValueError
        If there is only one group, or a fit refuses the data.

    Examples
    --------
    >>> import numpy as np
    >>> from conv2d.clustering import KMeansClusterer, stability_report
    >>> rng = np.random.default_rng(0)
    >>> features = np.concatenate([rng.normal(m, 0.1, (n, 2)) for m, n in ((0, 30), (5, 20))])
    >>> report = stability_report(KMeansClusterer(), features, k=2)
    >>> [(motif.motif, motif.support, motif.bootstrap.ari) for motif in report.motifs]
    [(0, 30, 1.0), (1, 20, 1.0)]
    """
    check_count("n_bootstrap", n_bootstrap)
    table = np.asarray(features)
    first: MotifClusterer[Any] = clone(clusterer)
    names, member = check_groups(np.zeros(len(table), dtype=np.int64) if groups is None else groups, len(table))
    if groups is not None and len(names) < 2:
        raise ValueError(f"Leaving out one group needs two groups or more, got only {names[0]!r}. Leave out groups.")
    group = np.array(names)[member] if groups is not None and isinstance(clusterer, HDPClusterer) else None
    _fit(first, table, group, k)
    # What the criterion chose is kept; what a process or an estimator finds by itself, each refit finds for itself.
    again = first.selection_.k if first.selection_.candidates else k
    reference = first.labels_

    draws = np.random.default_rng(seed).integers(0, len(table), (n_bootstrap, len(table)))
    rows = [*draws, *(np.flatnonzero(member != g) for g in range(len(names)) if groups is not None)]
    jobs: list[Job] = [(clone(clusterer), table, group, part, again, reference) for part in rows]
    refits = run_all(_refit, jobs, executor)
    drawn, left = refits[:n_bootstrap], refits[n_bootstrap:]
    motifs = tuple(
        MotifStability(
            motif=int(motif),
            support=int(np.sum(reference == motif)),
            bootstrap=_of_motif(reference, drawn, int(motif)),
            left_out=_of_motif(reference, left, int(motif)) if left else None,
        )
        for motif in first.motif_ids_
    )
    return StabilityReport(
        motifs=motifs,
        bootstrap=_of_all(reference, drawn),
        left_out=_of_all(reference, left) if left else None,
        without={
            name: float(adjusted_rand_score(reference, labels)) for name, labels in zip(names, left, strict=bool(left))
        },
        refits=n_bootstrap,
    )


def _fit(model: Any, table: NDArray[Any], group: NDArray[np.str_] | None, k: int | None) -> None:
    if group is None:
        model.fit(table, k=k)
    else:
        model.fit(table, k=k, groups=group)


def _refit(job: Job) -> Labels:
    """Return the labels of all points by a fit to some rows, matched to the reference."""
    model, table, group, rows, k, reference = job
    _fit(model, table[rows], None if group is None else group[rows], k)
    found = model.predict(table) if group is None else model.predict(table, groups=group)
    return match_labels(reference, found).labels


def _of_motif(reference: Labels, refits: list[Labels], motif: int) -> Agreement:
    return _agreement(
        [(reference == motif, labels == motif) for labels in refits],
        [bool((labels == motif).any()) for labels in refits],
    )


def _of_all(reference: Labels, refits: list[Labels]) -> Agreement:
    everything = set(reference[reference >= 0].tolist())
    return _agreement(
        [(reference, labels) for labels in refits], [everything <= set(labels.tolist()) for labels in refits]
    )


def _agreement(pairs: list[tuple[NDArray[Any], NDArray[Any]]], kept: list[bool]) -> Agreement:
    ari = [adjusted_rand_score(one, two) for one, two in pairs]
    return Agreement(
        ari=float(np.mean(ari)),
        ari_low=float(np.quantile(ari, 0.1)),
        ami=float(np.mean([adjusted_mutual_info_score(one, two) for one, two in pairs])),
        jaccard=float(np.mean([_shared(one, two) for one, two in pairs])),
        kept=float(np.mean(kept)),
    )


def _shared(one: NDArray[Any], two: NDArray[Any]) -> float:
    """Return the points in both of two sets over those in either; of two labellings, the share of equal labels."""
    if one.dtype != np.bool_:
        return float(np.count_nonzero(one == two)) / len(one)
    return np.count_nonzero(np.logical_and(one, two)) / np.count_nonzero(np.logical_or(one, two))
