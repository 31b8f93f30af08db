"""What smoothing gains on real recordings: frame and segment scores by cross-validation over subjects.

    CONV2D_TEST_DATA=… uv run --group bench python packages/conv2d-temporal/benchmarks/recordings.py hapt
    CONV2D_TEST_DATA=… uv run --group bench python packages/conv2d-temporal/benchmarks/recordings.py spsw

A light classifier on window statistics gives the probabilities of each subject from a fit on other subjects. Sequence
models are fitted to the labels of the training subjects only; family, weight of the evidence, power of the prior and
decision are chosen by `tune_policy`: cross-validation over the training subjects, on probabilities of a classifier that
did not see them. All steps are decoded, those without a label too; only labelled steps are scored. Intervals: 95 %
bootstrap over subjects, of the difference to raw.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import GroupKFold

from conv2d.temporal import HSMMPolicy, MedianHysteresisPolicy, SmoothingPolicy, Tuning, fit_supervised, tune_policy

SETS = {"hapt": {"rate": 50.0, "window_s": 2.0, "hop_s": 0.5}, "spsw": {"rate": 100.0, "window_s": 1.0, "hop_s": 0.1}}
PLAIN, EXPLICIT = ("geometric",), ("negative_binomial", "log_normal", "gamma")


def sequences(name: str) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return (subject, samples (T, C), label names (T,)) of each recording, on an even grid."""
    folder = Path(os.environ.get("CONV2D_TEST_DATA", "../shared")) / "data" / name
    found = []
    if name == "hapt":
        for path in sorted(folder.glob("*.parquet")):
            for _, part in pl.read_parquet(path).group_by("exp", maintain_order=True):
                found.append((path.stem, part.select(pl.col("^waist_.*$")).to_numpy(), part["label"].to_numpy()))
        return found
    for path in sorted(folder.glob("*_watch.parquet")):
        subject = path.stem.removesuffix("_watch")
        watch, phone = pl.read_parquet(path), pl.read_parquet(folder / f"{subject}_phone.parquet")
        for (execution,), one in watch.group_by("execution", maintain_order=True):
            two = phone.filter(pl.col("execution") == execution)
            grid = np.arange(max(one["t"].min(), two["t"].min()), min(one["t"].max(), two["t"].max()), 0.01)
            columns = [
                np.interp(grid, table["t"], table[column])
                for table in (one, two)
                for column in table.columns
                if "_acc_" in column or "_gyro_" in column
            ]
            nearest = np.searchsorted(one["t"].to_numpy(), grid).clip(0, len(one) - 1)
            found.append((subject, np.stack(columns, axis=1), one["label"].to_numpy()[nearest]))
    return found


def frames(samples: np.ndarray, labels: np.ndarray, rate: float, window_s: float, hop_s: float):
    """Return statistics of a window centred on each step, and the label of its centre."""
    half, hop = round(window_s * rate / 2), round(hop_s * rate)
    padded = np.pad(samples, ((half, half), (0, 0)), mode="edge")
    centres = np.arange(hop // 2, len(samples), hop)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half, axis=0)[centres]
    spectrum = np.abs(np.fft.rfft(windows - windows.mean(axis=-1, keepdims=True), axis=-1))
    bands = [part.sum(axis=-1) for part in np.array_split(spectrum[..., 1 : 2 * half // 4], 5, axis=-1)]
    slope = windows[..., half:].mean(axis=-1) - windows[..., :half].mean(axis=-1)
    quantiles = np.quantile(windows, [0.05, 0.25, 0.5, 0.75, 0.95], axis=-1)
    features = [windows.mean(axis=-1), windows.std(axis=-1), slope, *quantiles, *np.log1p(bands)]
    return np.concatenate(features, axis=1).astype(np.float32), labels[centres]


def runs(row: np.ndarray) -> list[tuple[int, int, int]]:
    edges = np.flatnonzero(np.diff(row)) + 1
    starts, stops = np.append(0, edges), np.append(edges, len(row))
    return [(int(row[a]), int(a), int(b)) for a, b in zip(starts, stops, strict=True) if row[a] >= 0]


def f1_at(truth: np.ndarray, guess: np.ndarray, overlap: float) -> tuple[int, int, int]:
    """Return true positives, false positives and false negatives of segments."""
    true, free, hits = runs(truth), set(range(len(runs(truth)))), 0
    guessed = runs(np.where(truth >= 0, guess, -1))
    for label, a, b in guessed:
        scored = [
            (max(0, min(b, d) - max(a, c)) / (max(b, d) - min(a, c)), i)
            for i, (other, c, d) in enumerate(true)
            if other == label
        ]
        iou, i = max(scored, default=(0.0, -1))
        if iou >= overlap and i in free:
            free.discard(i)
            hits += 1
    return hits, len(guessed) - hits, len(true) - hits


def edit_score(truth: np.ndarray, guess: np.ndarray) -> float:
    one = [label for label, _, _ in runs(truth)]
    two = [label for label, _, _ in runs(np.where(truth >= 0, guess, -1))]
    table = np.arange(len(two) + 1.0)
    for i, a in enumerate(one, 1):
        previous, table[0] = table.copy(), i
        for j, b in enumerate(two, 1):
            table[j] = min(previous[j] + 1, table[j - 1] + 1, previous[j - 1] + (a != b))
    return 1 - table[-1] / max(len(one), len(two), 1)


def stack(rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows as one array, padded by their last, and their lengths."""
    lengths = np.array([len(row) for row in rows])
    longest = lengths.max()
    return np.stack([np.concatenate([row, np.repeat(row[-1:], longest - len(row), axis=0)]) for row in rows]), lengths


def tuned(truth: list[np.ndarray], probabilities: list[np.ndarray], subject: list[str], families: Any) -> Tuning:
    (labels, lengths), (table, _) = stack(truth), stack(probabilities)
    return tune_policy(labels.astype(np.int32), table, np.array(subject), lengths, families)


def untuned(truth: list[np.ndarray], states: int) -> HSMMPolicy:
    """By the book: a plain Markov model, and Bayes' rule."""
    rows = np.concatenate([part for row in truth for part in (nearest(row), [-1])]).astype(np.int32)
    counts = 1.0 + np.bincount(np.concatenate([row[row >= 0] for row in truth]), minlength=states)
    return HSMMPolicy(fit_supervised(rows, states, "geometric"), tuple((counts / counts.sum()).tolist()))


def nearest(labels: np.ndarray) -> np.ndarray:
    """Give steps without a label the nearest one."""
    known = np.flatnonzero(labels >= 0)
    return labels[known[np.abs(known[:, None] - np.arange(len(labels))).argmin(axis=0)]]


def streamed(policy: SmoothingPolicy, raw: np.ndarray, probabilities: np.ndarray, lag: int) -> np.ndarray:
    if not isinstance(policy, HSMMPolicy):
        return raw
    stream = policy.stream(lag)
    labels = [stream.step(label, row) for label, row in zip(raw.tolist(), probabilities, strict=True)]
    return np.concatenate([*labels, stream.finish()])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=sorted(SETS))
    parser.add_argument("--shuffle", action="store_true", help="put the segments of each recording in random order")
    parser.add_argument("--cache", type=Path, help="keep the probabilities of the classifier here")
    options = parser.parse_args()
    setting = SETS[options.name]
    recordings = sequences(options.name)
    names = sorted({label for _, _, labels in recordings for label in np.unique(labels)} - {"null"})
    ids = {name: i for i, name in enumerate(names)} | {"null": -1}
    made = [frames(samples, labels, **setting) for _, samples, labels in recordings]
    truth = [np.array([ids[label] for label in labels]) for _, labels in made]
    subject = [subject for subject, _, _ in recordings]
    owner = np.concatenate([[s] * len(row) for s, row in zip(subject, truth, strict=True)])
    features, flat = np.concatenate([f for f, _ in made]), np.concatenate(truth)
    folds = list(GroupKFold(5).split(features, flat, owner))
    if options.cache and options.cache.exists():
        table = np.load(options.cache)
    else:
        table = np.zeros((len(flat), len(names)))
        for train, test in folds:
            train = train[flat[train] >= 0]
            forest = ExtraTreesClassifier(150, min_samples_leaf=5, random_state=0, n_jobs=2)
            table[test] = forest.fit(features[train], flat[train]).predict_proba(features[test])
        if options.cache:
            np.save(options.cache, table)
    probabilities = np.split(table, np.cumsum([len(row) for row in truth])[:-1])
    if options.shuffle:
        rng = np.random.default_rng(0)
        for i, row in enumerate(truth):
            parts = [np.arange(a, b) for _, a, b in runs(row + 1)]
            order = np.concatenate([parts[j] for j in rng.permutation(len(parts))])
            truth[i], probabilities[i] = row[order], probabilities[i][order]
    guesses: dict[str, list[Any]] = {}
    chosen: list[str] = []

    def put(name: str, i: int, guess: np.ndarray) -> None:
        guesses.setdefault(name, [None] * len(truth))[i] = guess

    for _, test in folds:
        held = set(owner[test])
        train = [i for i, s in enumerate(subject) if s not in held]
        known = [truth[i] for i in train], [probabilities[i] for i in train], [subject[i] for i in train]
        tunings = {
            "HMM": tuned(*known, PLAIN),
            "HSMM": tuned(*known, EXPLICIT),
            "default": tuned(*known, PLAIN + EXPLICIT),
        }
        chosen += [f"{name}: {tuning.chosen}" for name, tuning in tunings.items()]
        policies = {
            "median-hysteresis": MedianHysteresisPolicy(),
            "HMM, weight 1, divided by the prior": untuned(known[0], len(names)),
            **{name: tuning.policy for name, tuning in tunings.items()},
        }
        for i in (i for i, s in enumerate(subject) if s in held):
            raw = probabilities[i].argmax(axis=1).astype(np.int32)
            put("raw", i, raw)
            for name, policy in policies.items():
                put(name, i, policy.smooth(raw, probabilities[i]))
            for lag_s in (0.0, 1.0, 3.0):
                lag = round(lag_s / setting["hop_s"])
                put(f"HSMM online, lag {lag_s:g} s", i, streamed(policies["HSMM"], raw, probabilities[i], lag))
    table_of(guesses, truth, subject, len(names))
    print(f"\nSegments in truth: {sum(len(runs(row)) for row in truth)}. Chosen in each fold:")
    print("\n".join(chosen))


def table_of(guesses: dict[str, list[Any]], truth: list[np.ndarray], subject: list[str], states: int) -> None:
    people = sorted(set(subject))
    member = np.array([people.index(s) for s in subject])
    known = [row >= 0 for row in truth]

    def per_person(score: Callable[[int], float]) -> np.ndarray:
        values = np.array([score(i) for i in range(len(truth))])
        return np.array([values[member == p].sum() for p in range(len(people))])

    steps = per_person(lambda i: float(known[i].sum()))
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(people), (2000, len(people)))
    raw_hits = per_person(lambda i: float((guesses["raw"][i] == truth[i])[known[i]].sum()))
    print("| policy | accuracy | minus raw, 95 % | macro-F1 | F1@10 | F1@25 | F1@50 | edit | segments |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, rows in guesses.items():
        hits = per_person(lambda i, rows=rows: float((rows[i] == truth[i])[known[i]].sum()))
        gain = (hits - raw_hits)[draws].sum(axis=1) / steps[draws].sum(axis=1)
        low, high = np.quantile(gain, [0.025, 0.975])
        one = np.concatenate([row[k] for row, k in zip(truth, known, strict=True)])
        two = np.concatenate([row[k] for row, k in zip(rows, known, strict=True)])
        classes = [
            2 * np.sum((one == k) & (two == k)) / max(np.sum(one == k) + np.sum(two == k), 1) for k in range(states)
        ]
        segments = [
            np.sum([f1_at(t, g, at) for t, g in zip(truth, rows, strict=True)], axis=0) for at in (0.1, 0.25, 0.5)
        ]
        f1 = [2 * hit / (2 * hit + wrong + missed) for hit, wrong, missed in segments]
        edit = np.mean([edit_score(t, g) for t, g in zip(truth, rows, strict=True)])
        print(
            f"| {name} | {hits.sum() / steps.sum():.3f} | {low:+.3f} to {high:+.3f} | {np.mean(classes):.3f} | "
            + " | ".join(f"{value:.3f}" for value in f1)
            + f" | {edit:.3f} | {segments[0][0] + segments[0][1]} |"
        )


if __name__ == "__main__":
    main()
