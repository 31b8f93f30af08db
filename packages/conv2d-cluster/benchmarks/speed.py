"""Fits with matching, against scikit-learn alone: CPU time of one thread, interleaved, the best of several.

    OMP_NUM_THREADS=1 uv run python packages/conv2d-cluster/benchmarks/speed.py

"same" is scikit-learn with the same number of starts; "default" is scikit-learn as it comes (one start of k-means).
"""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from conv2d.clustering import GMMClusterer, KMeansClusterer

SIZES = ((1_000, 4, 15), (50_000, 8, 4))  # points, motifs, repeats


def best(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    found = dict.fromkeys(calls, np.inf)
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.process_time()
            call()
            found[name] = min(found[name], time.process_time() - start)
    return found


def kmeans(x: np.ndarray, k: int, before: np.ndarray) -> dict[str, Callable[[], object]]:
    four: dict[str, Any] = {"n_init": 4}  # scikit-learn ships no types, and text is what pyright reads from "auto"
    return {
        "ours": lambda: KMeansClusterer().fit_predict(x, k=k, prior_labels=before),
        "same": lambda: KMeans(k, **four, random_state=0).fit_predict(x),
        "default": lambda: KMeans(k, random_state=0).fit_predict(x),
    }


def gmm(x: np.ndarray, k: int, before: np.ndarray) -> dict[str, Callable[[], object]]:
    peer = {"covariance_type": "diag", "max_iter": 200, "random_state": 0}
    return {
        "ours": lambda: GMMClusterer().fit_predict(x, k=k, prior_labels=before),
        "same": lambda: GaussianMixture(k, n_init=4, **peer).fit_predict(x),
        "default": lambda: GaussianMixture(k, **peer).fit_predict(x),
    }


def main() -> None:
    print("| clusterer | data | N | k | ours with matching, ms | same, ms | ratio | default, ms | ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    for n, k, repeats in SIZES:
        rng = np.random.default_rng(0)
        truth = rng.integers(0, k, n)
        clear = 2 * rng.normal(size=(k, 64))[truth] + rng.normal(size=(n, 64))
        unclear = 0.3 * rng.normal(size=(k, 64))[truth] + rng.normal(size=(n, 64))
        for data, x in (("clear", clear), ("overlapping", unclear), ("noise", rng.normal(size=(n, 64)))):
            before = KMeansClusterer(random_state=1).fit_predict(x, k=k)
            for name, calls in (("k-means", kmeans(x, k, before)), ("GMM, diag", gmm(x, k, before))):
                found = best(calls, repeats)
                mine, one, two = (1000 * found[key] for key in ("ours", "same", "default"))
                print(
                    f"| {name} | {data} | {n:,} | {k} | {mine:.1f} | {one:.1f} | {mine / one:.2f} | {two:.1f} | "
                    f"{mine / two:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # a fit to noise need not converge
    with threadpool_limits(1):
        main()
