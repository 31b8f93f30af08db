"""Speed on sequences of 1,000,000 steps against the MS-TCN evaluation and deeptime, and memory of recurrence.

    uv run --group bench python packages/conv2d-metrics/benchmarks/sequences.py

Ratios within one run, in CPU seconds of the thread, best of a few rounds that take turns; the slow peers run once. The
MS-TCN evaluation is written here from its definition, in the plain Python of the original: a loop over steps, a table
of edit distances filled cell by cell, and for each predicted segment its overlap with every true one.
"""

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from deeptime.markov import TransitionCountEstimator

from conv2d.metrics import cross_recurrence, edit_score, segment_f1, transfer_entropy, transition_matrix

STEPS = 1_000_000
COUNTING = TransitionCountEstimator(lagtime=1, count_mode="sliding")


def sequence(dwell: float, classes: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    changes = rng.random(STEPS) < 1 / dwell
    return (np.cumsum(np.where(changes, rng.integers(1, classes, STEPS), 0)) % classes).astype(np.int64)


def noisy(truth: np.ndarray, seed: int) -> np.ndarray:
    """A tenth of the sequence, in stretches of 100 steps, given to other classes."""
    rng = np.random.default_rng(seed)
    wrong = np.repeat(rng.random(STEPS // 100) < 0.1, 100)
    return np.where(wrong, (truth + np.repeat(rng.integers(1, 10, STEPS // 100), 100)) % 10, truth)


def segments_by_loop(labels: list[int]) -> tuple[list[int], list[int], list[int]]:
    names, starts, ends = [labels[0]], [0], []
    last = labels[0]
    for i in range(len(labels)):
        if labels[i] != last:
            names.append(labels[i])
            starts.append(i)
            ends.append(i)
            last = labels[i]
    ends.append(len(labels))
    return names, starts, ends


def mstcn_f1(true: list[int], pred: list[int], overlap: float) -> float:
    p_names, p_starts, p_ends = segments_by_loop(pred)
    t_names, t_starts, t_ends = segments_by_loop(true)
    starts, ends = np.array(t_starts), np.array(t_ends)
    tp = fp = 0
    hits = np.zeros(len(t_names))
    for j in range(len(p_names)):
        shared = np.minimum(p_ends[j], ends) - np.maximum(p_starts[j], starts)
        union = np.maximum(p_ends[j], ends) - np.minimum(p_starts[j], starts)
        iou = (shared / union) * np.array([p_names[j] == t_names[x] for x in range(len(t_names))])
        best = int(np.argmax(iou))
        if iou[best] >= overlap and not hits[best]:
            tp += 1
            hits[best] = 1
        else:
            fp += 1
    fn = len(t_names) - int(hits.sum())
    return 2 * tp / (2 * tp + fp + fn)


def mstcn_edit(true: list[int], pred: list[int]) -> float:
    one, other = segments_by_loop(pred)[0], segments_by_loop(true)[0]
    m, n = len(one), len(other)
    table = np.zeros([m + 1, n + 1])
    for i in range(m + 1):
        table[i, 0] = i
    for j in range(n + 1):
        table[0, j] = j
    for j in range(1, n + 1):
        for i in range(1, m + 1):
            if one[i - 1] == other[j - 1]:
                table[i, j] = table[i - 1, j - 1]
            else:
                table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + 1)
    return 1 - table[-1, -1] / max(m, n)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.thread_time()
    result = work()
    return time.thread_time() - start, result


def best(work: Callable[[], Any], rounds: int = 7) -> tuple[float, Any]:
    runs = [timed(work) for _ in range(rounds)]
    return min(seconds for seconds, _ in runs), runs[0][1]


def main() -> None:
    truth = sequence(dwell=150, classes=10, seed=0)
    pred = noisy(truth, seed=1)
    as_lists = truth.tolist(), pred.tolist()
    rows = []

    ours, score = best(lambda: segment_f1(truth, pred))
    peer, theirs = timed(lambda: mstcn_f1(*as_lists, 0.5))
    assert abs(score - theirs) < 1e-12
    rows.append(("F1@50", ours, "MS-TCN", peer, 500))

    ours, score = best(lambda: edit_score(truth, pred))
    peer, theirs = timed(lambda: mstcn_edit(*as_lists))
    assert abs(score - theirs) < 1e-12
    rows.append(("edit score", ours, "MS-TCN", peer, 5000))

    for name, labels in (
        ("transitions, dwell 150", truth),
        ("transitions, dwell 150, int32", truth.astype(np.int32)),
        ("transitions, dwell 5", sequence(dwell=5, classes=10, seed=2)),
        ("transitions, dwell 5, int32", sequence(dwell=5, classes=10, seed=2).astype(np.int32)),
        ("transitions, no dwelling", np.random.default_rng(3).integers(0, 10, STEPS)),
    ):
        pairs = [
            (timed(lambda x=labels: transition_matrix(x)), timed(lambda x=labels: COUNTING.fit_fetch(x)))
            for _ in range(9)
        ]
        assert (pairs[0][0][1].counts == pairs[0][1][1].count_matrix).all()
        rows.append((name, min(a[0] for a, _ in pairs), "deeptime", min(b[0] for _, b in pairs), 4))

    print("| 1,000,000 steps | ours s | peer | peer s | times | goal |\n|---|---|---|---|---|---|")
    for name, ours, who, peer, goal in rows:
        print(f"| {name} | {ours:.5f} | {who} | {peer:.3f} | {peer / ours:,.0f} | ≥ {goal:,} |")

    for classes in (3, 6, 12):
        x, y = (sequence(dwell=20, classes=classes, seed=seed) for seed in (4, 5))
        seconds, _ = best(lambda x=x, y=y: transfer_entropy(x, y, surrogates=199), rounds=2)
        print(f"| transfer entropy, 199 surrogates, {classes} classes | {seconds:.3f} | | | | ≤ 1.5 s |")
    for steps in (2000, 8000):
        x = np.random.default_rng(6).normal(size=steps)
        tracemalloc.start()
        seconds, _ = timed(lambda x=x: cross_recurrence(x, x, radius=0.2))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(
            f"| recurrence of {steps:,} steps, {peak / 1e6:.1f} MB (plot {steps**2 / 1e6:.0f} MB) | {seconds:.2f} | | | | O(T) |"
        )


if __name__ == "__main__":
    main()
