"""What the codes of the training-free encoder are worth: a linear classifier on them, on whole held-out subjects.

    uv run --group bench python packages/conv2d-fsq/benchmarks/training_free.py --data FOLDER [--knots]

FOLDER holds ``spsw/`` and ``dsads/`` (see its README). Windows and folds are those of the baselines beside the data: 1 s at 100 Hz,
hop 0.25 s (SPSW); 4 s at 25 Hz, hop 2 s, right arm and leg (DSADS, whose magnetometer is told in units of the Earth's field
and is multiplied by 50 to give µT); GroupKFold over subjects. The classifier is a logistic regression on the one-hot level
numbers of the 64 × 3 scalars of ``encode_fsq(x, [8, 6, 5], 64)``: the codes and nothing else.

``--knots`` prints ``_fixed_knots.py`` instead: quantiles of the summaries, without any label.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from conv2d.features import encode_fsq
from conv2d.features._fixed import _TARGETS, GROUPS, _series, _summary

LEVELS, TOKENS = [8, 6, 5], 64
AXES = [f"{sensor}_{axis}" for sensor in ("acc", "gyro", "mag") for axis in "xyz"]
FOREST = {"spsw": 0.9090, "dsads": 0.9030}  # random forest on hand-crafted features, same windows and folds
FOLDS = {"spsw": 5, "dsads": 6}
EARTH_FIELD_UT = 50.0


def spsw(folder: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield subject, signal (channel, device, time) and labels; both devices interpolated to a common 100 Hz grid."""
    for path in sorted(folder.glob("*_phone.parquet")):
        both = [pl.read_parquet(path), pl.read_parquet(path.with_name(path.name.replace("_phone", "_watch")))]
        for run in sorted(both[0]["execution"].unique().to_list()):
            devices = [table.filter(pl.col("execution") == run) for table in both]
            times = [table["t"].to_numpy() for table in devices]
            grid = np.arange(max(t[0] for t in times), min(t[-1] for t in times), 0.01)
            signal = np.zeros((9, 2, len(grid)), np.float32)  # no magnetometer
            for d, (name, table) in enumerate(zip(("phone", "watch"), devices, strict=True)):
                for c, axis in enumerate(AXES[:6]):
                    signal[c, d] = np.interp(grid, times[d], table[f"{name}_{axis}"].to_numpy())
            nearest = np.clip(np.searchsorted(times[0], grid), 0, len(times[0]) - 1)
            yield path.name.removesuffix("_phone.parquet"), signal, devices[0]["label"].to_numpy()[nearest].astype(str)


def dsads(folder: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for path in sorted(folder.glob("*.parquet")):
        for _, block in pl.read_parquet(path).group_by("block", maintain_order=True):
            signal = np.stack([block.select([f"{d}_{a}" for a in AXES]).to_numpy().T for d in ("rarm", "rleg")], 1)
            signal[6:] *= EARTH_FIELD_UT
            yield path.stem, signal.astype(np.float32), block["label"].to_numpy().astype(str)


def windows(name: str, data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y, groups = [], [], []
    for subject, signal, labels in {"spsw": spsw, "dsads": dsads}[name](data / name):
        values, coded = np.unique(labels, return_inverse=True)
        for start in range(0, signal.shape[-1] - 99, 25 if name == "spsw" else 50):
            x.append(signal[..., start : start + 100])
            y.append(values[np.bincount(coded[start : start + 100]).argmax()])
            groups.append(subject)
    return np.ascontiguousarray(np.stack(x)), np.unique(y, return_inverse=True)[1], np.array(groups)


def one_hot(numbers: np.ndarray, sizes: np.ndarray) -> csr_matrix:
    n, scalars = numbers.shape
    columns = numbers + np.concatenate([[0], np.cumsum(sizes)[:-1]])
    shape = (n, int(sizes.sum()))
    return csr_matrix((np.ones(n * scalars), columns.ravel(), np.arange(0, n * scalars + 1, scalars)), shape=shape)


def score(name: str, data: Path) -> dict[str, Any]:
    x, y, groups = windows(name, data)
    codes = encode_fsq(x, LEVELS, TOKENS).codes
    place = np.array([1, LEVELS[0], LEVELS[0] * LEVELS[1]])
    numbers = (codes[..., None] // place % np.array(LEVELS)).reshape(len(x), -1)
    sizes = np.tile(LEVELS, TOKENS)
    inputs, predicted = one_hot(numbers, sizes), np.zeros(len(y), np.int64)
    for train, test in GroupKFold(FOLDS[name]).split(x, y, groups):
        predicted[test] = LogisticRegression(C=0.03, max_iter=300).fit(inputs[train], y[train]).predict(inputs[test])
    subject = np.unique(groups, return_inverse=True)[1]
    by_subject = np.bincount(subject, weights=predicted == y) / np.bincount(subject)
    recorded = [bool(x[:, 3 * sensor : 3 * sensor + 3].any()) for sensor in range(3)]
    present = np.repeat([recorded[sensor] for _, sensor in GROUPS], 8)[: numbers.shape[1]]
    used = np.array([len(np.unique(column)) for column in numbers.T])
    return {
        "windows": len(x),
        "subjects": len(by_subject),
        "accuracy": round(float(np.mean(predicted == y)), 4),
        "random forest": FOREST[name],
        "subject mean": round(float(by_subject.mean()), 4),
        "subject sd": round(float(by_subject.std()), 4),
        "levels used (of the recorded sensors)": f"{used[present].sum()} of {sizes[present].sum()}",
    }


def print_knots(data: Path) -> None:
    sets = [windows(name, data)[0] for name in FOLDS]
    sets = [x[np.linspace(0, len(x) - 1, 3000).astype(int)] for x in sets]
    series = [_series(x) for x in sets]
    for kind in dict.fromkeys(kind for kind, _ in GROUPS):
        summaries = [_summary(s, kind) for s in series]
        rows = []
        for sensor in range(3):
            having = [s[:, sensor] for s, x in zip(summaries, sets, strict=True) if x[:, 3 * sensor].any()]
            rows.append(tuple(knots([part(s).ravel() for s in having], kind, i == 1) for i, part in enumerate(PARTS)))
        print(f'    "{kind}": {tuple(rows)},')


PARTS = (lambda s: s[:, 0], lambda s: s[:, 1:])


def knots(values: list[np.ndarray], kind: str, axes: bool) -> tuple[float, ...]:
    """Quantiles of both sets in equal parts; symmetric where the sign of an axis is a matter of mounting."""
    pooled = np.concatenate([v[np.linspace(0, v.size - 1, 9000).astype(int)] for v in values])
    q = np.quantile(pooled, (np.tanh(_TARGETS) + 1) / 2)
    if axes and kind in ("mean", "slope", "bend"):
        q = (q - q[::-1]) / 2
    if axes and kind == "above":
        q = (q + 1 - q[::-1]) / 2
    gap = max((q[-1] - q[0]) * 0.03, 1e-6)
    for i in range(1, len(q)):
        q[i] = max(q[i], q[i - 1] + gap)
    return tuple(float(f"{v:.3g}") + 0.0 for v in q)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--knots", action="store_true", help="print the encoder's constants instead")
    arguments = parser.parse_args()
    if arguments.knots:
        print_knots(arguments.data)
    else:
        print(json.dumps({name: score(name, arguments.data) for name in FOLDS}, indent=2))


if __name__ == "__main__":
    main()
