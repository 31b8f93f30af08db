"""Shakes and scratches: what a dog does in between, whatever its label says."""

from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from conv2d.data._simulator.tracks import smoothstep
from conv2d.data._simulator.traits import Traits

Array = NDArray[np.float64]


class Events(NamedTuple):
    """Waves of unit size, (T,), and the envelope of the second, during which the dog also leans."""

    shake: Array
    scratch: Array
    scratching: Array


def draw_events(rng: np.random.Generator, traits: Traits, times_s: Array, moving: Array, height: Array) -> Events:
    """Draw shakes (standing or sitting) and scratches (sitting or lying); none while `moving` (T,) is 1.

    Shaking frequency falls with mass to the power 0.22 (Dickerson, Mills and Hu 2012); a Labrador of 30 kg shakes at
    4.3 Hz. A hind leg scratches a little faster.
    """
    shake_hz = 4.3 * (traits.mass_kg / 30.0) ** -0.22
    scratch_hz = float(rng.uniform(5.0, 7.0))
    calm, often = 1.0 - moving, 0.4 * traits.restlessness
    shaking = _bursts(rng, times_s, often, (0.8, 1.6)) * calm * smoothstep((height - 0.55) / 0.3)
    scratching = _bursts(rng, times_s, often, (1.5, 3.5)) * calm * smoothstep((0.9 - height) / 0.1)
    return Events(
        shake=shaking * np.sin(2.0 * np.pi * shake_hz * times_s),
        scratch=scratching * np.sin(2.0 * np.pi * scratch_hz * times_s),
        scratching=scratching,
    )


def _bursts(rng: np.random.Generator, times_s: Array, per_minute: float, length_s: tuple[float, float]) -> Array:
    """Return an envelope (T,) that rises to 1 and falls again at random times."""
    envelope = np.zeros(len(times_s))
    span = times_s[-1] - times_s[0]
    count = cast("int", rng.poisson(per_minute * span / 60.0))
    for _ in range(count):
        middle, half = times_s[0] + rng.random() * span, 0.5 * rng.uniform(*length_s)
        begin, end = np.searchsorted(times_s, [middle - half, middle + half])
        # The fourth power keeps two derivatives continuous at the ends.
        envelope[begin:end] = np.cos(0.5 * np.pi * (times_s[begin:end] - middle) / half) ** 4
    return envelope
