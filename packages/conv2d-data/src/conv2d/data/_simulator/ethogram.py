"""What a dog does and for how long: a semi-Markov chain over seven behaviours."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BEHAVIOURS: tuple[str, ...] = ("galloping", "lying", "sitting", "sniffing", "standing", "trotting", "walking")
"""The seven behaviours, alphabetical; a label is an index into this tuple."""

MIN_DWELL_S = 1.5
"""No bout is shorter, so that two transitions of at most `MAX_TRANSITION_S` never overlap."""

MIN_TRANSITION_S, MAX_TRANSITION_S = 0.5, 1.2

# The part of a bout beyond MIN_DWELL_S is log-normal. Real dogs lie for tens of minutes; these medians are scaled down
# so that a few minutes hold every behaviour, and only their order and their long tails are lifelike.
MEDIAN_DWELL_S = np.array([5.0, 12.0, 8.0, 6.0, 6.0, 5.5, 6.0])
SIGMA_DWELL = np.array([0.4, 0.6, 0.5, 0.5, 0.5, 0.5, 0.5])

# Rows: from, columns: to, both in the order of BEHAVIOURS. A dog gets up before it walks, trots before it gallops, and
# slows down before it sits.
TRANSITIONS = np.array(
    [
        # gallop  lie   sit   sniff stand trot  walk
        [0.00, 0.00, 0.00, 0.00, 0.25, 0.45, 0.30],
        [0.00, 0.00, 0.50, 0.00, 0.50, 0.00, 0.00],
        [0.00, 0.45, 0.00, 0.00, 0.35, 0.00, 0.20],
        [0.00, 0.00, 0.00, 0.00, 0.35, 0.15, 0.50],
        [0.00, 0.20, 0.22, 0.22, 0.00, 0.16, 0.20],
        [0.65, 0.00, 0.00, 0.05, 0.10, 0.00, 0.20],
        [0.00, 0.00, 0.16, 0.30, 0.20, 0.34, 0.00],
    ]
)


@dataclass(frozen=True)
class Bouts:
    """Behaviours in the order in which they happen.

    Attributes
    ----------
    codes : numpy.ndarray
        int64 (n,), indices into `BEHAVIOURS`; neighbours differ.
    edges_s : numpy.ndarray
        float64 (n + 1,), where each bout begins and the last one ends, in seconds; the first bout began at or before
        time 0.
    widths_s : numpy.ndarray
        float64 (n - 1,), how long the change from each bout to the next takes; the label switches at its mid-point.
    """

    codes: NDArray[np.int64]
    edges_s: NDArray[np.float64]
    widths_s: NDArray[np.float64]

    def labels_at(self, times_s: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return the behaviour's code at each time, int32."""
        return self.codes[self._index(times_s)].astype(np.int32)

    def _index(self, times_s: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.searchsorted(self.edges_s[1:-1], times_s, side="right").astype(np.int64)


def draw_bouts(rng: np.random.Generator, end_s: float, tempo: float) -> Bouts:
    """Draw bouts until `end_s` is covered.

    Parameters
    ----------
    rng : numpy.random.Generator
    end_s : float
        Seconds to cover from time 0.
    tempo : float
        Factor on the log-normal part of every dwell time: below 1 for a dog that changes its mind often.
    """
    codes = [int(rng.integers(len(BEHAVIOURS)))]
    dwells = [draw_dwell(rng, codes[0], tempo)]
    # The recording starts somewhere inside the first bout, not always at the moment the dog lay down.
    edges = [-float(rng.uniform(0.0, 0.5)) * dwells[0]]
    while edges[-1] + dwells[-1] < end_s + MAX_TRANSITION_S:
        edges.append(edges[-1] + dwells[-1])
        codes.append(int(rng.choice(len(BEHAVIOURS), p=TRANSITIONS[codes[-1]])))
        dwells.append(draw_dwell(rng, codes[-1], tempo))
    edges.append(edges[-1] + dwells[-1])
    widths = rng.uniform(MIN_TRANSITION_S, MAX_TRANSITION_S, size=len(codes) - 1)
    return Bouts(np.array(codes, dtype=np.int64), np.array(edges), widths)


def subdivide(rng: np.random.Generator, bouts: Bouts) -> Bouts:
    """Split long bouts into stretches of 4 … 8 s in which posture and speed stay about the same.

    Neighbours may then share a behaviour; labels are not changed.
    """
    dwells = np.diff(bouts.edges_s)
    parts = np.maximum(1, (dwells / 6.0).astype(np.int64))
    edges, widths = [float(bouts.edges_s[0])], list[float]()
    for k, n in enumerate(map(int, parts)):
        inner = np.arange(1, n, dtype=np.float64) + rng.uniform(-0.15, 0.15, size=n - 1)
        edges.extend(bouts.edges_s[k] + inner * dwells[k] / n)
        widths.extend(rng.uniform(MIN_TRANSITION_S, MAX_TRANSITION_S, size=n - 1))
        edges.append(float(bouts.edges_s[k + 1]))
        widths.extend(bouts.widths_s[k : k + 1])
    return Bouts(np.repeat(bouts.codes, parts), np.array(edges), np.array(widths))


def draw_dwell(rng: np.random.Generator, code: int, tempo: float) -> float:
    """Draw one dwell time in seconds: `MIN_DWELL_S` plus a log-normal part scaled by `tempo`."""
    scale = (MEDIAN_DWELL_S[code] - MIN_DWELL_S) * tempo
    return MIN_DWELL_S + float(scale * np.exp(SIGMA_DWELL[code] * rng.standard_normal()))
