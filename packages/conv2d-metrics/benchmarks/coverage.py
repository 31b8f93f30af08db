"""How often intervals and sets hold the truth, on simulated data: `python benchmarks/coverage.py [repeats] [figure ...]`.

First, 95 % intervals of `bootstrap_ci` over 12, 20 and 40 subjects who differ in skill, calibration, mix of classes and
number of windows, drawn from three populations; the truth is the figure of 20,000 subjects of the population. Then
conformal sets at nominal 90 %, for exchangeable windows and for new subjects.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from conv2d.metrics import SplitConformal, bootstrap_ci, softmax

FIGURES = ("accuracy", "macro_f1", "mcc", "nll", "brier", "ece", "mce", "rmsce", "classwise_ece")
POPULATIONS = {
    "mixed": {"skill": (1.6, 0.6), "heat": (0.25, 0.3)},
    "nearly always right": {"skill": (3.4, 0.8), "heat": (0.3, 0.3)},
    "nearly calibrated": {"skill": (2.0, 0.3), "heat": (0.6, 0.05)},
}
"""Mean and spread over the subjects: how far the true class stands out, and the logarithm of the over-confidence."""


def subjects(
    rng: np.random.Generator, n_subjects: int, skill: tuple[float, float], heat: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sizes = rng.integers(30, 120, size=n_subjects)
    groups = np.repeat(np.arange(n_subjects), sizes)
    mix = rng.dirichlet(np.full(4, 2.0), size=n_subjects)[groups]
    y_true = (rng.random(len(groups))[:, None] > mix.cumsum(axis=1)).sum(axis=1).clip(0, 3)
    skills, heats = rng.normal(*skill, size=n_subjects)[groups], rng.normal(*heat, size=n_subjects)[groups]
    logits = rng.normal(size=(len(groups), 4))
    logits[np.arange(len(groups)), y_true] += skills
    return y_true, softmax(logits * np.exp(heats)[:, None]), groups


def intervals(population: str, repeats: int, figures: Sequence[str]) -> None:
    options = POPULATIONS[population]
    y_true, y_prob, _ = subjects(np.random.default_rng(12345), 20_000, **options)
    one = np.zeros_like(y_true)
    truth = {name: bootstrap_ci(name, y_true, y_prob=y_prob, groups=one).value for name in figures}
    print(f"\n{population + ', truth':22}" + "".join(f"{truth[name]:15.4f}" for name in figures))
    for n_subjects in (12, 20, 40):
        rng = np.random.default_rng(n_subjects)
        held = dict.fromkeys(figures, 0)
        for repeat in range(repeats):
            y_true, y_prob, groups = subjects(rng, n_subjects, **options)
            for name in figures:
                found = bootstrap_ci(name, y_true, y_prob=y_prob, groups=groups, seed=repeat)
                held[name] += found.low <= truth[name] <= found.high
        print(f"{n_subjects:13} subjects" + "".join(f"{held[n] / repeats:15.3f}" for n in figures), flush=True)


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
    chosen = sys.argv[2:] or FIGURES
    print(
        f"95 % intervals, {n_repeats} repeats: share that holds the truth\n{'':22}"
        + "".join(f"{n:>15}" for n in chosen)
    )
    for each in POPULATIONS:
        intervals(each, n_repeats, chosen)
    if not sys.argv[2:]:
        sets(n_repeats)
