"""What the radio loses: short gaps are bridged and counted, long ones are marked."""

from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

MAX_GAP_S = 0.25
SHORTEST_S, LONGEST_S = 0.05, 3.0


class Received(NamedTuple):
    """One device's signal (9, T) after repair, where it is valid (T,), and the counts of bridged steps and long gaps."""

    signal: NDArray[np.float64]
    valid: NDArray[np.bool_]
    interpolated: int
    gaps: int


def lose(rng: np.random.Generator, signal: NDArray[np.float64], rate_hz: float, per_minute: float) -> Received:
    """Drop stretches of one device's signal, then repair it as a receiver would.

    Lengths are log-normal (median 0.2 s, σ 1), cut to 0.05 … 3 s. Gaps up to 0.25 s are bridged by straight lines and
    counted; in longer ones the line is only a filler and `valid` is False.
    """
    n = signal.shape[1]
    lost = np.zeros(n, dtype=np.bool_)
    count = cast("int", rng.poisson(per_minute * n / rate_hz / 60.0))
    for _ in range(count):
        length_s = float(np.clip(0.2 * np.exp(rng.standard_normal()), SHORTEST_S, LONGEST_S))
        begin = int(n * rng.random())
        lost[begin : begin + max(1, round(length_s * rate_hz))] = True
    if lost.all():
        lost[0] = False
    kept = np.flatnonzero(~lost)
    steps = np.arange(n, dtype=np.int64)
    repaired = signal.copy()
    for channel in repaired:
        channel[lost] = np.interp(steps[lost], kept, channel[kept])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], lost, [False]]).astype(np.int8)))
    valid, interpolated, gaps = np.ones(n, dtype=np.bool_), 0, 0
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        # A gap at an end of the recording has nothing on its other side to be bridged to.
        if end - begin <= MAX_GAP_S * rate_hz and begin > 0 and end < n:
            interpolated += int(end - begin)
        else:
            valid[begin:end] = False
            gaps += 1
    return Received(repaired, valid, interpolated, gaps)
