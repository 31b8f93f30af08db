"""Simulated dogs: recordings of a collar and a harness whose every sample follows from a moving body.

A dog is a trunk and a neck. Legs push on the ground in the footfall pattern of its gait; Newton's and Euler's equations
turn the forces into movements of the trunk, to which posture, breathing, looks around, shakes and uneven ground are
added. The devices sit on trunk and neck, tilted and on springy straps, and report what a consumer sensor would report
there: specific force, angular rate and the earth's field in their own frame, with bias, scale error, noise, limited
range and radio gaps. What the dog does follows a semi-Markov chain over the seven behaviours of Vehkaoja et al. [1]_.

What it is not
--------------
It is a source of test data: known truth, the right physics, and the difficulties of the field (dogs that differ, tilted
devices, speeds that overlap, heads that move on their own). It was not fitted to recordings of real dogs. Dwell times
are shortened so that a few minutes hold every behaviour, there are no pups, no dachshunds, no play, no swimming and no
annotator's mistakes. **A score on it says nothing about real dogs**, and a model trained on it alone should not be used
on them.

References
----------
.. [1] A. Vehkaoja et al., "Description of movement sensor dataset for dog behavior classification", Data in Brief 40,
   107822, 2022: the behaviours, and one device on the collar and one on the back.
.. [2] R. McN. Alexander and A. S. Jayes, "A dynamic similarity hypothesis for the gaits of quadrupedal mammals", Journal
   of Zoology 201, 135-152, 1983: relative stride length as a power of the Froude number.
.. [3] R. McN. Alexander and A. S. Jayes, "Vertical movements in walking and running", Journal of Zoology 185, 27-40,
   1978: the shape of a leg's force on the ground.
.. [4] N. C. Heglund, C. R. Taylor and T. A. McMahon, "Scaling stride frequency and gait to animal size: mice to horses",
   Science 186, 1112-1113, 1974.
.. [5] N. C. Heglund and C. R. Taylor, "Speed, stride frequency and energy cost per stride: how do they change with body
   size and gait?", Journal of Experimental Biology 138, 301-318, 1988: frequencies scale with about mass^-0.15.
.. [6] L. D. Maes et al., "Steady locomotion in dogs: temporal and associated spatial coordination patterns and the
   effect of speed", Journal of Experimental Biology 211, 138-149, 2008: footfalls and duty factors.
.. [7] J. W. Błaszczyk, "Gait transitions during unrestrained locomotion in dogs", Equine Veterinary Journal Supplement
   33, 112-115, 2001: phases of walk and trot, overlapping speeds.
.. [8] W. T. Kano et al., "Kinetic and temporospatial gait parameters in a heterogeneous group of dogs", BMC Veterinary
   Research 12:2, 2016: 60 % of the weight on the forelegs.
.. [9] A. K. Dickerson, Z. G. Mills and D. L. Hu, "Wet mammals shake at tuned frequencies to dry", Journal of the Royal
   Society Interface 9, 3208-3218, 2012.
.. [10] TDK InvenSense, ICM-20948 data sheet DS-000189, revision 1.3: noise, range, resolution, tolerances.
"""

import math
from dataclasses import dataclass, fields
from typing import cast

import numpy as np

from conv2d.data._errors import DataError
from conv2d.data._recording import CHANNELS, N_DEVICES, Recording, Repairs
from conv2d.data._simulator.dropout import lose
from conv2d.data._simulator.ethogram import BEHAVIOURS, draw_bouts
from conv2d.data._simulator.imu import EARTH_FIELD, ideal_imu
from conv2d.data._simulator.motion import device_poses
from conv2d.data._simulator.rotation import from_rotvec
from conv2d.data._simulator.sensor import draw_errors, half_filter, measure
from conv2d.data._simulator.tracks import smooth_noise
from conv2d.data._simulator.traits import draw_traits, random_rotation

__all__ = ["DEVICES", "SIMULATED_LABELS", "SimulatorConfig", "simulate"]

SIMULATED_LABELS: tuple[str, ...] = BEHAVIOURS
"""The seven behaviours, alphabetical: the label names of every simulated recording."""

DEVICES: tuple[str, str] = ("collar", "harness")
"""Device 0 hangs below the neck, device 1 sits on the back behind the withers."""

_LOWEST_RATE_HZ, _HIGHEST_RATE_HZ = 10.0, 1000.0

# Motion is computed at least this often and then low-pass filtered by the sensor, so that a shake or a footfall does
# not fold down into a slow recording.
_LOWEST_FINE_HZ = 200.0
# The field indoors is bent by some microtesla from one place to the next.
_FIELD_SD_UT, _FIELD_BANDWIDTH_HZ = 1.5, 0.1


@dataclass(frozen=True)
class SimulatorConfig:
    """How hard the recordings are; the defaults are what the project's figures are measured on.

    Attributes
    ----------
    mounting_deg : float
        Each collar is tilted by up to this many degrees about a random axis, the same in all sessions of a dog; each
        harness by up to half of it.
    session_shift_deg : float
        Both devices sit up to this many degrees differently in each session.
    noise : float
        Factor on white noise, bias and scale error of the sensors; 0 makes them ideal but for range and resolution.
    dropouts_per_minute : float
        How often each device's radio fails, for 0.05 to 3 s (median 0.2 s).
    dwell_scale : float
        Factor on the part of a bout beyond its shortest 1.5 s; above 1 for calmer dogs in longer recordings.

    Raises
    ------
    DataError
        If a field is negative or not finite, or `dwell_scale` is 0.

    Examples
    --------
    >>> SimulatorConfig(mounting_deg=0.0).noise
    1.0
    """

    mounting_deg: float = 25.0
    session_shift_deg: float = 5.0
    noise: float = 1.0
    dropouts_per_minute: float = 0.6
    dwell_scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not (_is_number(value) and value >= 0.0):
                raise DataError(f"SimulatorConfig: {field.name} must be a finite number from 0 up, got {value!r}.")
        if self.dwell_scale == 0.0:
            raise DataError("SimulatorConfig: dwell_scale must be above 0, got 0; use 1 for the usual dwell times.")


def simulate(
    n_subjects: int = 12,
    minutes: float = 4.0,
    seed: int = 0,
    rate_hz: float = 100.0,
    *,
    sessions: int = 1,
    config: SimulatorConfig | None = None,
) -> list[Recording]:
    """Simulate dogs that wear a collar and a harness.

    The same arguments give the same bytes (with the same versions of numpy and scipy on the same kind of machine), and a
    dog stays the same when more dogs or sessions are asked for. What it does and when does not depend on `rate_hz`.

    Parameters
    ----------
    n_subjects : int
        Number of dogs, at least 1.
    minutes : float
        Length of each recording; above 0, at least one step.
    seed : int
        At least 0.
    rate_hz : float
        Steps a second, 10 … 1000.
    sessions : int
        Recordings of each dog, at least 1; devices are put on anew for each.
    config : SimulatorConfig, optional
        How hard the recordings are.

    Returns
    -------
    list of Recording
        Subjects "dog001", "dog002", …, each with sessions "s1", "s2", …; in m/s², rad/s and µT. Every step has a label
        out of `SIMULATED_LABELS`, which changes at the mid-point of a movement of 0.5 … 1.2 s. A recording of a few
        minutes holds most behaviours, not always all seven. Accelerometers saturate at ±16 g, gyroscopes at ±2000 °/s.
        Radio gaps up to 0.25 s are bridged by straight lines and counted in `repairs`; in longer ones `valid` is False.

    Raises
    ------
    DataError
        If an argument is out of its range.

    See Also
    --------
    conv2d.data.simulator : What is simulated, from which sources, and what is not.

    Examples
    --------
    >>> recording, = simulate(n_subjects=1, minutes=0.5, seed=7)
    >>> recording.name, recording.devices, recording.signal.shape, recording.signal.dtype.name
    ('dog001/s1', ('collar', 'harness'), (9, 2, 3000), 'float32')
    >>> recording.label_names
    ('galloping', 'lying', 'sitting', 'sniffing', 'standing', 'trotting', 'walking')
    """
    for name, count, lowest in (("n_subjects", n_subjects, 1), ("seed", seed, 0), ("sessions", sessions, 1)):
        if not (_is_number(count) and count == int(count) and count >= lowest):
            raise DataError(f"simulate: {name} must be a whole number from {lowest} up, got {count!r}.")
    if not (_is_number(rate_hz) and _LOWEST_RATE_HZ <= rate_hz <= _HIGHEST_RATE_HZ):
        raise DataError(
            f"simulate: rate_hz must lie in {_LOWEST_RATE_HZ:g} … {_HIGHEST_RATE_HZ:g} steps a second, got {rate_hz!r}."
        )
    if not (_is_number(minutes) and round(minutes * 60.0 * rate_hz) >= 1):
        raise DataError(f"simulate: minutes must be a finite number that holds at least one step, got {minutes!r}.")
    n_steps = round(minutes * 60.0 * rate_hz)
    config = config or SimulatorConfig()
    return [
        _record(int(seed), subject, session, n_steps, float(rate_hz), config)
        for subject in range(int(n_subjects))
        for session in range(int(sessions))
    ]


def _record(seed: int, subject: int, session: int, n_steps: int, rate_hz: float, config: SimulatorConfig) -> Recording:
    """Simulate one session of one dog."""
    of_dog = _generator(seed, subject)
    traits = draw_traits(of_dog, config.mounting_deg)
    errors = [draw_errors(of_dog, config.noise) for _ in DEVICES]

    of_body = _generator(seed, subject, session, 1)
    bouts = draw_bouts(_generator(seed, subject, session, 0), n_steps / rate_hz, traits.tempo * config.dwell_scale)
    factor = max(1, math.ceil(_LOWEST_FINE_HZ / rate_hz))
    fine_hz = factor * rate_hz
    # Differentiation and filter each need some samples before the first step and after the last.
    margin = half_filter(factor) + 1
    fine_s = np.arange(-margin, (n_steps - 1) * factor + margin + 1) / fine_hz
    shift = np.stack([random_rotation(of_body, config.session_shift_deg) for _ in DEVICES])
    mounting = from_rotvec(traits.mounting) @ from_rotvec(shift)
    poses = device_poses(of_body, traits, bouts, fine_s, mounting)
    field = EARTH_FIELD + _FIELD_SD_UT * smooth_noise(of_body, fine_s, _FIELD_BANDWIDTH_HZ, 3)

    of_sensor = _generator(seed, subject, session, 2)
    received = [
        lose(
            of_sensor,
            measure(
                of_sensor,
                ideal_imu(*pose, 1.0 / fine_hz, field),
                error,
                fine_hz=fine_hz,
                factor=factor,
                noise=config.noise,
            ),
            rate_hz,
            config.dropouts_per_minute,
        )
        for pose, error in zip(poses, errors, strict=True)
    ]
    collar, harness = received
    return Recording(
        subject=f"dog{subject + 1:03d}",
        session=f"s{session + 1}",
        devices=DEVICES,
        signal=np.stack([collar.signal, harness.signal], axis=1).astype(np.float32),
        channel_mask=np.ones((len(CHANNELS), N_DEVICES), dtype=np.bool_),
        rate_hz=rate_hz,
        labels=bouts.labels_at(np.arange(n_steps) / rate_hz),
        label_names=SIMULATED_LABELS,
        valid=np.stack([collar.valid, harness.valid]),
        repairs=Repairs(
            interpolated=(collar.interpolated, harness.interpolated),
            gaps=(collar.gaps, harness.gaps),
        ),
    )


def _generator(seed: int, *key: int) -> np.random.Generator:
    """Return the random numbers of one dog, or of one part of one session: the same whatever else is drawn."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _is_number(value: object) -> bool:
    """Return whether a value is a finite number (text and True are not)."""
    is_real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return is_real and math.isfinite(cast("float", value))
