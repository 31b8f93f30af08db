"""Do motif ids survive a refit? Twenty refits on encodings of real recordings.

    CONV2D_TEST_DATA=… uv run python packages/conv2d-cluster/benchmarks/stability.py [--cache FOLDER] [--report]

A clusterer is fitted, then fitted again to other windows, twenty times:

windows   fitted to all windows, then to as many drawn with replacement
subjects  fitted to all windows, then to those of as many subjects drawn with replacement
growth    fitted to half of the subjects, then to three quarters, the half among them; the last quarter is held out

"ids kept": motifs of the first fit most of whose windows carry the same id after the refit, in per cent of motifs and
refits. "windows kept": windows with the same id, of those that had one. "ARI": agreement of the two groupings whatever
their ids are, which no matching can raise. "gain": what the refit gains over one component on the windows it was
fitted to (inertia or log-likelihood), in per cent of the best that any fit here gains, a fresh one with 20 starts among
them. "held out": the same on subjects that neither fit saw.

raw: scikit-learn, the same seed each time. matched: the same, with labels of the refit put in the order that overlaps
most with the first fit (scipy.optimize.linear_sum_assignment). ours: fit(…, prior_labels=first labels), windows without
a first label given -1. All with 4 starts.
"""

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _encodings import HOPS, Encoding, encoding
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from conv2d.clustering import GMMClusterer, KMeansClusterer, stability_report

REFITS, K = 20, 8


class Refit(NamedTuple):
    first: np.ndarray  # rows of the first fit
    again: np.ndarray  # rows of the refit
    held: np.ndarray  # rows of neither


def draws(subject: np.ndarray, kind: str) -> Iterator[Refit]:
    rng = np.random.default_rng(0)
    rows, people = np.arange(len(subject)), np.unique(subject)
    of = {person: np.flatnonzero(subject == person) for person in people}
    for _ in range(REFITS):
        if kind == "windows":
            yield Refit(rows, rng.integers(0, len(rows), len(rows)), rows[:0])
        elif kind == "subjects":
            yield Refit(rows, np.concatenate([of[p] for p in rng.choice(people, len(people))]), rows[:0])
        else:
            half, quarter, rest = np.split(rng.permutation(people), [len(people) // 2, 3 * len(people) // 4])
            first = np.concatenate([of[p] for p in half])
            yield Refit(
                first,
                np.concatenate([first, *(of[p] for p in quarter)]),
                np.concatenate([of[p] for p in rest]),
            )


def peer(kind: str, x: np.ndarray) -> Any:
    if kind == "k-means":
        four: dict[str, Any] = {"n_init": 4}
        return KMeans(K, **four, random_state=0).fit(x)
    return GaussianMixture(K, covariance_type="diag", n_init=4, max_iter=200, random_state=0).fit(x)


def ours(kind: str, x: np.ndarray, prior: np.ndarray | None = None, n_init: int = 4) -> Any:
    model = KMeansClusterer(n_init=n_init) if kind == "k-means" else GMMClusterer(n_init=n_init)
    return model.fit(x, k=K, prior_labels=prior)


def loss(model: Any, x: np.ndarray) -> float:
    """Return the mean squared distance to the centroid, or the mean negative log-likelihood."""
    if hasattr(model, "cluster_centers_"):
        centers = model.cluster_centers_
        return float(np.mean([((part[:, None] - centers) ** 2).sum(axis=2).min(axis=1).mean() for part in chunks(x)]))
    mixture = GaussianMixture(len(model.weights_), covariance_type="diag")
    mixture.weights_, mixture.means_, mixture.covariances_ = model.weights_, model.means_, model.covariances_
    mixture.precisions_cholesky_ = 1 / np.sqrt(model.covariances_)
    return -float(mixture.score(x))


def chunks(x: np.ndarray) -> list[np.ndarray]:
    return np.array_split(x, max(1, len(x) // 2000))


def loss_of_one(kind: str, known: np.ndarray, x: np.ndarray) -> float:
    """Return the loss, on x, of one component fitted to the known rows."""
    mean, variance = known.mean(axis=0), known.var(axis=0) + 1e-6
    squares = (x - mean) ** 2
    if kind == "k-means":
        return float(squares.sum(axis=1).mean())
    return float((squares / variance + np.log(2 * np.pi * variance)).sum(axis=1).mean() / 2)


def matched(first: np.ndarray, labels: np.ndarray) -> np.ndarray:
    table = np.zeros((max(first.max(), labels.max()) + 1,) * 2, dtype=int)
    np.add.at(table, (first, labels), 1)
    return linear_sum_assignment(table.T, maximize=True)[1]


def kept(first: np.ndarray, labels: np.ndarray) -> list[float]:
    same = [np.mean(labels[first == motif] == motif) > 0.5 for motif in np.unique(first)]
    return [
        100 * float(np.mean(same)),
        100 * float(np.mean(labels == first)),
        float(adjusted_rand_score(first, labels)),
    ]


def lines(name: str, data: Encoding, drawn: str, kind: str) -> None:
    x = data.embeddings
    found: dict[str, list[list[float]]] = {"raw": [], "matched": [], "ours": []}
    continued, before = 0, {}
    for refit in draws(data.subject, drawn):
        one, two, held = x[refit.first], x[refit.again], x[refit.held]
        if drawn == "growth" or not before:
            before = {"peer": peer(kind, one).predict(one), "ours": ours(kind, one).predict(one)}
        prior = np.full(len(x), -1)
        prior[refit.first] = before["ours"]
        theirs, mine, best = peer(kind, two), ours(kind, two, prior[refit.again]), ours(kind, two, n_init=20)
        continued += mine.continuation_.continued
        losses = [
            [loss_of_one(kind, two, rows), *(loss(model, rows) for model in (theirs, mine, best))]
            for rows in (two, held)
            if len(rows)
        ]
        gains = [100 * (values[0] - np.array(values[1:3])) / (values[0] - min(values[1:])) for values in losses]
        gains = [*gains, np.full(2, np.nan)][:2]
        labels = theirs.predict(one)
        found["raw"].append([*kept(before["peer"], labels), *(gain[0] for gain in gains)])
        order = matched(before["peer"], labels)
        found["matched"].append([*kept(before["peer"], order[labels]), *(gain[0] for gain in gains)])
        found["ours"].append([*kept(before["ours"], mine.predict(one)), *(gain[1] for gain in gains)])
    for labels, rows in found.items():
        ids, windows, ari, gain, unseen = np.mean(rows, axis=0)
        held_out = "–" if np.isnan(unseen) else f"{unseen:.1f}"
        went_on = f"{continued} of {REFITS}" if labels == "ours" else "–"
        print(
            f"| {name} | {drawn} | {kind} | {labels} | {ids:.0f} | {windows:.0f} | {ari:.2f} | {gain:.1f} | {held_out} "
            f"| {went_on} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path, help="keep the encodings here")
    parser.add_argument("--report", action="store_true", help="print the stability report of each clustering instead")
    options = parser.parse_args()
    begun = time.monotonic()
    if not options.report:
        print("| data | drawn | clusterer | labels | ids kept | windows kept | ARI | gain | held out | went on |")
        print("|---|---|---|---|---|---|---|---|---|---|")
    for name in HOPS:
        data = encoding(name, options.cache)
        if options.report:
            print(f"\n{name}, k-means, k={K}")
            print(stability_report(KMeansClusterer(), data.embeddings, K, groups=data.subject), flush=True)
            continue
        for drawn in ("windows", "subjects", "growth"):
            for kind in ("k-means", "GMM"):
                lines(name, data, drawn, kind)
    print(f"\n{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of fits that stop at max_iter
    main()
