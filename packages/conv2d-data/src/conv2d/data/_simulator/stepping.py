"""All the steps of a session: which gait when, how fast, and what they do to trunk and neck."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conv2d.data._simulator import gait as gaits
from conv2d.data._simulator.ethogram import BEHAVIOURS, Bouts
from conv2d.data._simulator.tracks import blend, gate, smooth_noise, smoothstep
from conv2d.data._simulator.traits import Traits

Array = NDArray[np.float64]

# Gait, median Froude number, and its log-normal spread over bouts. They overlap: dogs break into a gallop anywhere in
# their trotting range (Błaszczyk), and a slow trot is slower than a brisk walk. A sniffing or standing dog takes slow
# steps now and then; one that sits or lies takes none, and its row is never used.
_GAIT_OF_BEHAVIOUR = {
    "galloping": (gaits.GALLOP, 2.2, 0.50),
    "lying": (gaits.WALK, 0.03, 0.50),
    "sitting": (gaits.WALK, 0.03, 0.50),
    "sniffing": (gaits.WALK, 0.06, 0.50),
    "standing": (gaits.WALK, 0.03, 0.50),
    "trotting": (gaits.TROT, 0.85, 0.50),
    "walking": (gaits.WALK, 0.28, 0.45),
}
_GAITS: list[gaits.Gait] = [_GAIT_OF_BEHAVIOUR[b][0] for b in BEHAVIOURS]
_MEDIAN_FROUDE = np.array([_GAIT_OF_BEHAVIOUR[b][1] for b in BEHAVIOURS])
_SIGMA_FROUDE = np.array([_GAIT_OF_BEHAVIOUR[b][2] for b in BEHAVIOURS])
_PAUSE_PERIOD_S = 2.5


class Steps(NamedTuple):
    """What stepping does: movements as in `gait.trunk_harmonics` (T, 7), speed in m/s (T,), and its share, 0 … 1 (T,)."""

    movement: Array
    speed: Array
    share: Array


def draw_steps(rng: np.random.Generator, traits: Traits, bouts: Bouts, stepping: Array, times_s: Array) -> Steps:
    """Draw the steps of all bouts and add them up; in a transition both gaits run, one fading into the other.

    Parameters
    ----------
    rng : numpy.random.Generator
    traits : Traits
    bouts : Bouts
        n of them.
    stepping : numpy.ndarray
        (n,), the share of each bout that is spent stepping: 0 never, 1 always.
    times_s : numpy.ndarray
        (T,), evenly spaced.
    """
    n, codes = len(bouts.codes), bouts.codes
    froude = _MEDIAN_FROUDE[codes] * np.exp(_SIGMA_FROUDE[codes] * rng.standard_normal(n))
    lead = np.where(rng.random(n) < 0.75, traits.lead, -traits.lead)
    gait_of_bout = [_GAITS[int(code)] for code in codes]
    typical = [
        (gaits.stride_hz(gait, float(fr), traits), gaits.speed_mps(float(fr), traits))
        for gait, fr in zip(gait_of_bout, froude, strict=True)
    ]
    stride, speed = blend(np.array(typical), bouts.edges_s[1:-1], bouts.widths_s, times_s).T
    # Speed wanders by a seventh inside a bout; stride frequency follows with about the power of gait.stride_hz.
    pace, size = np.exp(smooth_noise(rng, times_s, 0.4, 2) * [0.14, 0.10]).T
    stride = stride * pace**0.25
    phase = 2.0 * np.pi * (rng.random() + np.cumsum(stride) * (times_s[1] - times_s[0]))
    movement, share = np.zeros((len(times_s), 7)), np.zeros(len(times_s))
    for k in map(int, np.flatnonzero(stepping)):
        here, weight = _presence(bouts, k, times_s)
        if len(weight) == 0:
            continue
        if stepping[k] < 1.0:
            weight = weight * gate(rng, times_s[here], float(stepping[k]), _PAUSE_PERIOD_S)
        harmonics = gaits.trunk_harmonics(gait_of_bout[k], float(froude[k]), traits, float(lead[k]))
        movement[here] += (weight * size[here])[:, None] * gaits.oscillation(harmonics, phase[here], stride[here])
        share[here] += weight
    return Steps(movement, speed * pace * share, share)


def _presence(bouts: Bouts, k: int, times_s: Array) -> tuple[slice, Array]:
    """Return where bout `k` is felt, with its transitions, and how much there: weights of all bouts add up to 1."""
    first, last = k == 0, k == len(bouts.codes) - 1
    start, stop = bouts.edges_s[k : k + 2]
    rise = 0.0 if first else bouts.widths_s[k - 1]
    fall = 0.0 if last else bouts.widths_s[k]
    begin, end = np.searchsorted(times_s, [start - 0.5 * rise, stop + 0.5 * fall])
    here = times_s[begin:end]
    weight = np.ones(len(here))
    if not first:
        weight *= smoothstep((here - start) / rise)
    if not last:
        weight *= 1.0 - smoothstep((here - stop) / fall)
    return slice(int(begin), int(end)), weight
