"""How a dog holds itself in each behaviour: one random draw a bout, blended from bout to bout."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conv2d.data._simulator.ethogram import BEHAVIOURS, Bouts
from conv2d.data._simulator.tracks import blend
from conv2d.data._simulator.traits import Traits

Array = NDArray[np.float64]


class Style(NamedTuple):
    """One number a bout, or one a time step once blended. Angles in radians in the frame that faces forward.

    Attributes
    ----------
    height : float
        Height of the trunk in hip heights.
    pitch, roll : float
        Trunk, nose up and left side up.
    neck_pitch, neck_yaw : float
        Neck against the horizontal, and sideways against the trunk.
    sway : float
        Size of slow trunk movements and weight shifts.
    look : float
        Size of looks around with the head.
    sniff : float
        Size of the quick searching movements of a lowered head.
    turn : float
        Rate of turning, rad/s.
    step : float
        Share of time spent stepping, 0 … 1.
    breath, pant : float
        Weight of quiet breathing and of panting.
    heading : float
        Where the dog turned as the bout began, counter-clockwise from magnetic north.
    """

    height: Array
    pitch: Array
    roll: Array
    neck_pitch: Array
    neck_yaw: Array
    sway: Array
    look: Array
    sniff: Array
    turn: Array
    step: Array
    breath: Array
    pant: Array
    heading: Array


# (mean, standard deviation over bouts) for every field of Style; angles here in degrees. Wide on purpose: a head may
# hang while standing, a sit may be nearly upright or sloppy, and the distributions of neighbours overlap.
_TABLE: dict[str, tuple[tuple[float, float], ...]] = {
    #            height        pitch      roll      neck pitch  neck yaw   sway        look       sniff       turn
    "galloping": ((1.00, 0.02), (0, 2), (0, 1.5), (14, 7), (0, 4), (1.2, 0.2), (2, 1), (0.0, 0.0), (0.50, 0.1)),
    "lying": ((0.30, 0.03), (11, 4), (0, 8), (6, 11), (0, 15), (0.12, 0.05), (16, 5), (0.0, 0.0), (0.01, 0.0)),
    "sitting": ((0.75, 0.04), (38, 6), (0, 5), (48, 10), (0, 10), (0.6, 0.2), (22, 6), (0.0, 0.0), (0.03, 0.01)),
    "sniffing": ((0.97, 0.03), (-2, 3), (0, 2), (-38, 13), (0, 10), (1.3, 0.3), (5, 2), (13.0, 4.0), (0.50, 0.15)),
    "standing": ((1.00, 0.02), (0, 3), (0, 2), (38, 10), (0, 10), (1.3, 0.3), (22, 6), (0.0, 0.0), (0.06, 0.02)),
    "trotting": ((1.00, 0.02), (0, 2), (0, 1.5), (28, 8), (0, 5), (1.0, 0.2), (5, 2), (0.0, 0.0), (0.50, 0.15)),
    "walking": ((1.00, 0.02), (0, 2), (0, 1.5), (24, 10), (0, 6), (1.0, 0.2), (9, 3), (0.0, 0.0), (0.50, 0.15)),
}
_STEP = {
    "galloping": 1.0,
    "lying": 0.0,
    "sitting": 0.0,
    "sniffing": 0.4,
    "standing": 0.12,
    "trotting": 1.0,
    "walking": 1.0,
}
_ANGLES = [1, 2, 3, 4, 5, 6, 7]
_MEAN = np.array([[mean for mean, _ in _TABLE[b]] for b in BEHAVIOURS], dtype=np.float64)
_SD = np.array([[sd for _, sd in _TABLE[b]] for b in BEHAVIOURS], dtype=np.float64)
_MEAN[:, _ANGLES] = np.deg2rad(_MEAN[:, _ANGLES])
_SD[:, _ANGLES] = np.deg2rad(_SD[:, _ANGLES])
_STEPPING = np.array([_STEP[b] for b in BEHAVIOURS])
_LYING, _SITTING, _STANDING, _WALKING = (BEHAVIOURS.index(b) for b in ("lying", "sitting", "standing", "walking"))


def draw_style(rng: np.random.Generator, codes: NDArray[np.int64], traits: Traits) -> Style:
    """Draw how the dog holds itself in each bout; every field is (n,)."""
    n = len(codes)
    drawn = Style(
        *(_MEAN[codes] + _SD[codes] * rng.standard_normal((n, _MEAN.shape[1]))).T,
        step=_STEPPING[codes],
        breath=np.zeros(n),
        pant=np.zeros(n),
        # A dog also turns, by tens of degrees, as it changes what it does.
        heading=2.0 * np.pi * rng.random() + np.cumsum(0.7 * rng.standard_normal(n)),
    )
    static = (codes == _LYING) | (codes == _SITTING) | (codes == _STANDING)
    # What confuses: one time in eight a head hangs while standing or walking; a chin often rests on the floor.
    low = rng.random(n) < np.select([codes == _LYING, (codes == _STANDING) | (codes == _WALKING)], [0.45, 0.12], 0.0)
    # A lying dog rolls onto one hip, or flat onto its side.
    onto_side = np.select([rng.random(n) < 0.2, rng.random(n) < 0.7], [70.0, 32.0], 0.0) * (codes == _LYING)
    side = np.where(rng.random(n) < 0.5 + 0.4 * traits.lead, 1.0, -1.0)
    panting = static & (rng.random(n) < 0.35)
    restless = traits.restlessness
    return drawn._replace(
        pitch=drawn.pitch + traits.pitch + np.where(codes == _SITTING, traits.sit_pitch, 0.0),
        roll=drawn.roll + traits.roll + np.deg2rad(onto_side) * side,
        neck_pitch=drawn.neck_pitch + traits.neck_pitch - np.deg2rad(np.where(low, 30.0, 0.0)),
        sway=np.abs(drawn.sway) * restless**0.5,
        look=np.abs(drawn.look) * restless,
        turn=np.abs(drawn.turn),
        breath=np.where(static & ~panting, traits.breath_gain, 0.0),
        pant=np.where(panting, traits.breath_gain, 0.0),
    )


def blend_style(style: Style, bouts: Bouts, times_s: Array) -> Style:
    """Return the style at every time: fields of shape (T,)."""
    return Style(*blend(np.stack(style, axis=1), bouts.edges_s[1:-1], bouts.widths_s, times_s).T)
