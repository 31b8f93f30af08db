"""Do motif ids survive a refit? Twenty bootstrap refits on encodings of real recordings.

    CONV2D_TEST_DATA=… uv run python packages/conv2d-cluster/benchmarks/stability.py [--cache FOLDER] [--report]

A clusterer is fitted to all windows; then it is fitted again, twenty times, to windows (or whole subjects) drawn with
replacement, and labels all windows. "ids kept": motifs of the first fit most of whose windows carry the same id after
the refit, in per cent of motifs and refits. "windows kept": windows with the same id. "ARI": agreement of the two
groupings whatever their ids are, which no matching can raise.

raw: scikit-learn, the same seed each time. matched: the same, with labels of the refit put in the order that overlaps
most with the first fit (scipy.optimize.linear_sum_assignment). ours: fit_predict(…, prior_labels=first labels).
"""

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _encodings import HOPS, encoding
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from conv2d.clustering import GMMClusterer, KMeansClusterer, stability_report

REFITS = 20
Fit = Callable[[np.ndarray, np.ndarray | None], Callable[[np.ndarray], np.ndarray]]


def draws(subject: np.ndarray, whole_subjects: bool) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    if not whole_subjects:
        return list(rng.integers(0, len(subject), (REFITS, len(subject))))
    people = np.unique(subject)
    return [
        np.concatenate([np.flatnonzero(subject == p) for p in rng.choice(people, len(people))]) for _ in range(REFITS)
    ]


def kept(first: np.ndarray, refits: list[np.ndarray]) -> tuple[float, float, float]:
    ids = np.unique(first)
    same = [[np.mean(labels[first == motif] == motif) > 0.5 for motif in ids] for labels in refits]
    points = [np.mean(labels == first) for labels in refits]
    return (
        100 * np.mean(same),
        100 * np.mean(points),
        np.mean([adjusted_rand_score(first, labels) for labels in refits]),
    )


def matched(first: np.ndarray, labels: np.ndarray) -> np.ndarray:
    table = np.zeros((max(first.max(), labels.max()) + 1,) * 2, dtype=int)
    np.add.at(table, (first, labels), 1)
    return linear_sum_assignment(table.T, maximize=True)[1][labels]


def peer(kind: str, k: int) -> Fit:
    def fit(x: np.ndarray, prior: np.ndarray | None) -> Callable[[np.ndarray], np.ndarray]:
        model = (
            KMeans(k, n_init=4, random_state=0)
            if kind == "k-means"
            else GaussianMixture(k, covariance_type="diag", n_init=4, max_iter=200, random_state=0)
        )
        return model.fit(x).predict

    return fit


def ours(kind: str, k: int) -> Fit:
    def fit(x: np.ndarray, prior: np.ndarray | None) -> Callable[[np.ndarray], np.ndarray]:
        model = KMeansClusterer() if kind == "k-means" else GMMClusterer()
        return model.fit(x, k=k, prior_labels=prior).predict

    return fit


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path, help="keep the encodings here")
    parser.add_argument("--report", action="store_true", help="print the stability report of each clustering instead")
    options = parser.parse_args()
    if not options.report:
        print("| data | drawn | clusterer | k | labels | ids kept, % | windows kept, % | ARI |")
        print("|---|---|---|---|---|---|---|---|")
    for name in HOPS:
        data = encoding(name, options.cache)
        x = data.embeddings
        if options.report:
            print(f"\n{name}, k-means, k=8")
            print(stability_report(KMeansClusterer(), x, 8, groups=data.subject), flush=True)
            continue
        for whole in (False, True):
            parts = draws(data.subject, whole)
            for kind in ("k-means", "GMM"):
                for k in (8,):
                    theirs, mine = peer(kind, k), ours(kind, k)
                    start, first = theirs(x, None)(x), mine(x, None)(x)
                    raw = [theirs(x[rows], None)(x) for rows in parts]
                    table = {
                        "raw": kept(start, raw),
                        "matched": kept(start, [matched(start, labels) for labels in raw]),
                        "ours": kept(first, [mine(x[rows], first[rows])(x) for rows in parts]),
                    }
                    for labels, (ids, points, ari) in table.items():
                        drawn = "subjects" if whole else "windows"
                        print(
                            f"| {name} | {drawn} | {kind} | {k} | {labels} | {ids:.0f} | {points:.0f} | {ari:.2f} |",
                            flush=True,
                        )


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of fits that stop at max_iter
    main()
