"""How often intervals and sets hold the truth, on simulated data: `python benchmarks/coverage.py [repeats]`.

First, 95 % intervals of `bootstrap_ci` over 12 to 40 subjects who differ in skill, calibration, mix of classes and
number of windows; the truth is the figure of 20,000 subjects. Then conformal sets at nominal 90 %, for exchangeable
windows and for new subjects.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from conv2d.metrics import SplitConformal, bootstrap_ci, softmax

FIGURES = ("accuracy", "macro_f1", "mcc", "nll", "brier", "ece", "rmsce", "classwise_ece")


def subjects(rng: np.random.Generator, n_subjects: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sizes = rng.integers(30, 120, size=n_subjects)
    groups = np.repeat(np.arange(n_subjects), sizes)
    mix = rng.dirichlet(np.full(4, 2.0), size=n_subjects)[groups]
    y_true = (rng.random(len(groups))[:, None] > mix.cumsum(axis=1)).sum(axis=1).clip(0, 3)
    skill, heat = rng.normal(1.6, 0.6, size=n_subjects)[groups], rng.normal(0.25, 0.3, size=n_subjects)[groups]
    logits = rng.normal(size=(len(groups), 4))
    logits[np.arange(len(groups)), y_true] += skill
    return y_true, softmax(logits * np.exp(heat)[:, None]), groups


def intervals(repeats: int) -> None:
    y_true, y_prob, _ = subjects(np.random.default_rng(12345), 20_000)
    one = np.zeros_like(y_true)
    truth = {name: bootstrap_ci(name, y_true, y_prob=y_prob, groups=one).value for name in FIGURES}
    print(
        f"95 % intervals, {repeats} repeats: share that holds the truth\n{'':14}" + "".join(f"{n:>15}" for n in FIGURES)
    )
    for n_subjects in (12, 20, 40):
        rng = np.random.default_rng(n_subjects)
        held = dict.fromkeys(FIGURES, 0)
        for repeat in range(repeats):
            y_true, y_prob, groups = subjects(rng, n_subjects)
            for name in FIGURES:
                found = bootstrap_ci(name, y_true, y_prob=y_prob, groups=groups, seed=repeat)
                held[name] += found.low <= truth[name] <= found.high
        print(f"{n_subjects:3} subjects  " + "".join(f"{held[n] / repeats:15.3f}" for n in FIGURES), flush=True)


def windows(rng: np.random.Generator, n: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    y_true = rng.integers(0, 3, size=n)
    return y_true, softmax(rng.normal(size=(n, 3)) + (1.5 - shift) * np.eye(3)[y_true])


def covered(conformal: SplitConformal, y_true: np.ndarray, y_prob: np.ndarray) -> float:
    return float(conformal.predict(y_prob).sets[np.arange(len(y_true)), y_true].mean())


def sets(repeats: int) -> None:
    print(f"\nSets at nominal 90 %, {repeats} repeats: mean coverage")
    options: list[dict[str, Any]] = [
        {"method": "lac"},
        {"method": "aps"},
        {"method": "aps", "randomized": True},
        {"method": "raps"},
        {"method": "raps", "randomized": True},
        {"method": "lac", "within": "class"},
    ]
    for chosen in options:
        rng = np.random.default_rng(5)
        rates = []
        for repeat in range(repeats):
            fitted = SplitConformal(alpha=0.1, seed=repeat, **chosen).fit(*windows(rng, 500))
            rates.append(covered(fitted, *windows(rng, 200)))
        print(f"  exchangeable windows, {chosen!s:45} {np.mean(rates):.4f} ± {np.std(rates) / repeats**0.5:.4f}")
    rng = np.random.default_rng(6)
    rates = {"plain": [], "balanced": []}
    for _ in range(repeats):
        shifts = rng.normal(0.5, 1.0, size=20)
        sizes = np.where(shifts < 0.5, 200, 20)
        parts = [windows(rng, int(n), shift) for n, shift in zip(sizes, shifts, strict=True)]
        y_true, y_prob = (np.concatenate(column) for column in zip(*parts, strict=True))
        new = windows(rng, 100, rng.normal(0.5, 1.0))
        groups = np.repeat(np.arange(20), sizes)
        rates["plain"].append(covered(SplitConformal().fit(y_true, y_prob), *new))
        rates["balanced"].append(covered(SplitConformal(within="balanced").fit(y_true, y_prob, groups), *new))
    for name, found in rates.items():
        print(f"  new subjects, {name:53} {np.mean(found):.4f} ± {np.std(found) / repeats**0.5:.4f}")


if __name__ == "__main__":
    n_repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    intervals(n_repeats)
    sets(n_repeats)
