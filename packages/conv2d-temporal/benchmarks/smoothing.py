"""Speed of the smoothing policies on 64 x 100,000 labels against scipy and run-length numpy, one table of ratios.

    uv run --group bench python packages/conv2d-temporal/benchmarks/smoothing.py

Rounds are interleaved; the best of each is taken, in CPU seconds of the thread.
"""

import time
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from conv2d.temporal import MinDwellPolicy, ModeFilterPolicy, _backend


def labels(classes: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.integers(0, classes, (64, 2000)), 50, axis=1)
    return np.where(rng.random(truth.shape) < 0.1, rng.integers(0, classes, truth.shape), truth).astype(np.int32)


def by_scipy_mode(batch: np.ndarray, window: int) -> np.ndarray:
    """The mode as the largest of the smoothed indicators of all labels."""
    share = [
        ndimage.uniform_filter1d((batch == k).astype(np.float32), window, axis=1, mode="nearest") for k in range(6)
    ]
    return np.argmax(share, axis=0)


def without_numba(work: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        long, _backend._LONG = _backend._LONG, 1 << 62
        try:
            return work()
        finally:
            _backend._LONG = long

    return run


def main() -> None:
    many, two = labels(6), labels(2)
    mode, dwell = ModeFilterPolicy(7), MinDwellPolicy(5)
    cases = {
        "mode, 6 labels, window 7": {
            "conv2d.temporal": lambda: mode.smooth(many),
            "scipy uniform_filter1d per label": lambda: by_scipy_mode(many, 7),
            "numpy path": without_numba(lambda: mode.smooth(many)),
        },
        "median, 2 labels, window 7": {
            "conv2d.temporal": lambda: mode.smooth(two),
            "scipy median_filter": lambda: ndimage.median_filter(two, size=(1, 7), mode="nearest"),
        },
        "minimum dwell 5, 6 labels": {
            "conv2d.temporal": lambda: dwell.smooth(many),
            "numpy run lengths": without_numba(lambda: dwell.smooth(many)),
        },
    }
    print("| case | who | s | times ours |\n|---|---|---|---|")
    for title, contestants in cases.items():
        seconds = dict.fromkeys(contestants, np.inf)
        for _ in range(4):
            for name, work in contestants.items():
                started = time.thread_time()
                work()
                seconds[name] = min(seconds[name], time.thread_time() - started)
        for name, value in seconds.items():
            print(f"| {title} | {name} | {value:.3f} | {value / seconds['conv2d.temporal']:.2f} |")


if __name__ == "__main__":
    main()
