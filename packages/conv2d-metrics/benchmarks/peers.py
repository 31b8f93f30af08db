"""Speed and memory against the peers, one table: `python benchmarks/peers.py [n_windows]`.

Each pair runs interleaved in one process on one thread; the best CPU time of several rounds counts. Memory is the peak
that the call allocates (tracemalloc, which numpy reports to). Peers are in the wheel's `bench` group.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torchmetrics.functional as torch_functional
from mapie.classification import SplitConformalClassifier
from mapie.metrics.calibration import expected_calibration_error as mapie_ece
from netcal.metrics import ECE
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import f1_score as peer_f1

from conv2d import metrics

torch.set_num_threads(1)
N_CLASSES, N_BINS, N_SUBJECTS = 10, 15, 40


class Given(ClassifierMixin, BaseEstimator):
    """A "classifier" whose input are the probabilities: what the peers want to wrap."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> Given:
        self.classes_ = np.arange(N_CLASSES)
        self.n_features_in_ = X.shape[1]
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return X

    def predict(self, X: np.ndarray) -> np.ndarray:
        return X.argmax(axis=1)

    def __sklearn_is_fitted__(self) -> bool:
        return True


class GivenLogits(ClassifierMixin, BaseEstimator):
    """The same for logits, which scikit-learn takes from a decision function."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> GivenLogits:
        self.classes_ = np.arange(N_CLASSES)
        self.n_features_in_ = X.shape[1]
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        return X

    def predict(self, X: np.ndarray) -> np.ndarray:
        return X.argmax(axis=1)


def seconds(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def peak(call: Callable[[], Any]) -> float:
    tracemalloc.start()
    call()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 2**20


def race(name: str, peer: str, goal: str, ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int) -> None:
    best = [min(column) for column in zip(*[(seconds(ours), seconds(theirs)) for _ in range(rounds)], strict=True)]
    memory = [peak(ours), peak(theirs)]
    print(
        f"{name:28} {1e3 * best[0]:9.1f} ms  {peer:13} {1e3 * best[1]:9.1f} ms  {best[1] / best[0]:7.1f} x  "
        f"goal {goal:>4} x   peak {memory[0]:7.0f} MB  {memory[1]:7.0f} MB",
        flush=True,
    )


def main(n: int) -> None:
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    y = rng.integers(0, N_CLASSES, size=n)
    logits = 2 * rng.normal(size=(n, N_CLASSES))
    logits[np.arange(n), y] += 2
    prob = metrics.softmax(logits)
    prob32, pred = prob.astype(np.float32), prob.argmax(axis=1)
    torch_prob, torch_y = torch.from_numpy(prob32), torch.from_numpy(y)
    print(f"{n:,} windows of {N_CLASSES} classes, one thread\n")

    def torch_ece() -> Any:
        return torch_functional.calibration_error(
            torch_prob, torch_y, task="multiclass", num_classes=N_CLASSES, n_bins=N_BINS
        )

    race(
        "ECE, float32", "torchmetrics", "2", lambda: metrics.expected_calibration_error(y, prob32), torch_ece, rounds=9
    )
    race(
        "ECE, float64",
        "netcal",
        "5",
        lambda: metrics.expected_calibration_error(y, prob),
        lambda: ECE(N_BINS).measure(prob, y),
        rounds=7,
    )

    def mapie_classwise() -> float:
        parts = [mapie_ece(y == k, prob[:, k], num_bins=N_BINS + 1) for k in range(N_CLASSES)]
        return float(np.mean(parts))

    assert abs(mapie_classwise() - metrics.classwise_ece(y, prob)) < 1e-9
    race("class-wise ECE", "MAPIE", "15", lambda: metrics.classwise_ece(y, prob), mapie_classwise, rounds=3)
    race(
        "macro-F1",
        "scikit-learn",
        "50",
        lambda: metrics.f1_score(y, pred),
        lambda: peer_f1(y, pred, average="macro"),
        rounds=15,
    )
    for method, goal in (("lac", "10"), ("aps", "3")):

        def ours(method: Any = method) -> Any:
            return metrics.SplitConformal(method, 0.1).fit(y, prob).predict(prob)

        def theirs(method: str = method) -> Any:
            split = SplitConformalClassifier(
                Given().fit(prob, y), confidence_level=0.9, conformity_score=method, prefit=True
            )
            return split.conformalize(prob, y).predict_set(prob)

        race(f"{method.upper()}, fit and predict", "MAPIE", goal, ours, theirs, rounds=2)
    frozen = FrozenEstimator(GivenLogits().fit(logits, y))
    race(
        "temperature",
        "scikit-learn",
        "1.5",
        lambda: metrics.TemperatureScaler().fit(logits, y),
        lambda: CalibratedClassifierCV(frozen, method="temperature").fit(logits, y),
        rounds=2,
    )
    groups = np.repeat(np.arange(N_SUBJECTS), n // N_SUBJECTS)
    y_some, prob_some = y[: len(groups)], prob32[: len(groups)]
    whole = [seconds(lambda: metrics.bootstrap_ci("ece", y_some, y_prob=prob_some, groups=groups)) for _ in range(5)]
    sums = metrics.MetricAccumulator(N_CLASSES).update(y_some, y_prob=prob_some, groups=groups)
    alone = [seconds(lambda: sums.interval("ece")) for _ in range(5)]
    print(
        f"\n1,000 resamples of the ECE over {N_SUBJECTS} subjects: {1e3 * min(alone):.1f} ms from the sums, "
        f"{1e3 * min(whole):.1f} ms from the windows (goal 100 ms)"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
