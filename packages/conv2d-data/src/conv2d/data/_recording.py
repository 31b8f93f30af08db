"""One continuous recording of two devices, and what every array in it must look like."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from conv2d.data._checks import check_array, check_names
from conv2d.data._errors import DataError

SENSORS: tuple[str, ...] = ("acc", "gyro", "mag")
"""Accelerometer (m/s²), gyroscope (rad/s) and magnetometer (µT)."""

AXES: tuple[str, ...] = ("x", "y", "z")

CHANNELS: tuple[str, ...] = tuple(f"{sensor}_{axis}" for sensor in SENSORS for axis in AXES)
"""The nine channels of a device, in the order of every signal and window."""

N_DEVICES = 2
"""Devices in every recording; a data set with one fills the second with an absent one."""

ABSENT = "absent"
"""Name of the second device of a recording that has only one."""

UNLABELLED = -1
"""The label code of a step without a label."""


@dataclass(frozen=True)
class Repairs:
    """What was repaired to make a recording, counted; the first number of a pair is device 0.

    Attributes
    ----------
    interpolated : tuple of int
        Steps filled by linear interpolation across missing samples, in gaps no longer than the gap limit.
    gaps : tuple of int
        Gaps longer than the gap limit; their steps are False in `Recording.valid`.
    doubled : tuple of int
        Samples with the same time as the one before; all are kept, the last holds at that instant.
    trimmed_s : tuple of float
        Seconds cut from each device because the other was not recording yet or no longer.

    Examples
    --------
    >>> Repairs(interpolated=(3, 0)).gaps
    (0, 0)
    """

    interpolated: tuple[int, int] = (0, 0)
    gaps: tuple[int, int] = (0, 0)
    doubled: tuple[int, int] = (0, 0)
    trimmed_s: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Recording:
    """One continuous recording of two devices on a common clock.

    Attributes
    ----------
    subject, session : str
        Who, and which recording of theirs; together they name the recording. Without "/".
    devices : tuple of str
        Names of device 0 and 1, e.g. ("collar", "harness").
    signal : numpy.ndarray
        float32, C-contiguous, (9, 2, T): `CHANNELS`, device, step; m/s², rad/s, µT. Finite everywhere, 0 in an
        absent channel.
    channel_mask : numpy.ndarray
        bool (9, 2); False = the channel is absent.
    rate_hz : float
        Steps a second; step k is at `start_s + k / rate_hz` seconds.
    labels : numpy.ndarray
        int32 (T,), an index into `label_names`, −1 = unlabelled.
    label_names : tuple of str
        The vocabulary, in the order of the codes.
    valid : numpy.ndarray
        bool (2, T); False = that device reported nothing there for longer than the gap limit, and the signal is only a
        filler that never reaches a window. All True for an absent device.
    start_s : float
        Time of the first step on the recording's own clock, in seconds.
    mag_unit : {"uT", "earth_field"}
        µT, or multiples of the local earth field for a data set that gives nothing else.
    repairs : Repairs
        What was repaired on the way, counted.

    Raises
    ------
    DataError
        If an array has another shape or dtype, is not finite or not C-contiguous, or a label has no name.

    Examples
    --------
    >>> import numpy as np
    >>> recording = Recording(
    ...     subject="rex", session="walk1", devices=("collar", "harness"),
    ...     signal=np.zeros((9, 2, 500), np.float32), channel_mask=np.ones((9, 2), bool), rate_hz=100.0,
    ...     labels=np.zeros(500, np.int32), label_names=("walk",), valid=np.ones((2, 500), bool))
    >>> recording.name, recording.n_steps, recording.duration_s
    ('rex/walk1', 500, 5.0)
    """

    subject: str
    session: str
    devices: tuple[str, str]
    signal: NDArray[np.float32]
    channel_mask: NDArray[np.bool_]
    rate_hz: float
    labels: NDArray[np.int32]
    label_names: tuple[str, ...]
    valid: NDArray[np.bool_]
    start_s: float = 0.0
    mag_unit: Literal["uT", "earth_field"] = "uT"
    repairs: Repairs = field(default_factory=Repairs)

    def __post_init__(self) -> None:
        """Refuse whatever breaks the contract above."""
        self._check_names()
        where = f"recording {self.name}"
        if not (np.isfinite(self.rate_hz) and self.rate_hz > 0 and np.isfinite(self.start_s)):
            raise DataError(
                f"{where}: rate_hz must be a positive number of steps a second and start_s a finite number of seconds, "
                f"got rate_hz={self.rate_hz!r} and start_s={self.start_s!r}."
            )
        n_channels, n_steps = len(CHANNELS), int(np.shape(self.signal)[-1]) if np.ndim(self.signal) else 0
        if n_steps == 0:
            raise DataError(f"{where}: signal must be (9, 2, T) with at least one step, got {np.shape(self.signal)}.")
        check_array(self.signal, "signal", (n_channels, N_DEVICES, n_steps), np.float32, where)
        check_array(self.channel_mask, "channel_mask", (n_channels, N_DEVICES), np.bool_, where)
        check_array(self.labels, "labels", (n_steps,), np.int32, where)
        check_array(self.valid, "valid", (N_DEVICES, n_steps), np.bool_, where)
        if not self.signal.flags.c_contiguous:
            raise DataError(f"{where}: signal must be C-contiguous; pass np.ascontiguousarray(signal).")
        self._check_values(where)

    def _check_names(self) -> None:
        for argument in ("subject", "session"):
            name = getattr(self, argument)
            if not isinstance(name, str) or not name or "/" in name:
                raise DataError(f"recording: {argument} must be a non-empty string without '/', got {name!r}.")
        where = f"recording {self.name}"
        check_names(self.devices, "devices", where)
        check_names(self.label_names, "label_names", where)
        if len(self.devices) != N_DEVICES:
            raise DataError(
                f"{where}: devices must name {N_DEVICES}, got {self.devices!r}; call the second device of a "
                f"single-device recording {ABSENT!r} and set its channel_mask to False."
            )
        if self.mag_unit not in ("uT", "earth_field"):
            raise DataError(f"{where}: mag_unit must be 'uT' or 'earth_field', got {self.mag_unit!r}.")

    def _check_values(self, where: str) -> None:
        finite = np.isfinite(self.signal)
        if not finite.all():
            channel, device, step = (int(i) for i in np.argwhere(~finite)[0])
            raise DataError(
                f"{where}: signal must be finite, but {self.devices[device]} {CHANNELS[channel]} is "
                f"{self.signal[channel, device, step]} at step {step}; fill a gap with any finite value and mark it "
                f"False in valid."
            )
        stray = np.argwhere(self.signal.any(axis=-1) & ~self.channel_mask)
        if len(stray):
            channel, device = (int(i) for i in stray[0])
            raise DataError(
                f"{where}: channel_mask says that {self.devices[device]} {CHANNELS[channel]} is absent, but its signal "
                f"is not 0; an absent channel is 0 everywhere."
            )
        lowest, highest = int(self.labels.min()), int(self.labels.max())
        if lowest < UNLABELLED or highest >= len(self.label_names):
            raise DataError(
                f"{where}: labels must lie in −1 … {len(self.label_names) - 1} (−1 = unlabelled, else an index into "
                f"label_names), got {lowest} … {highest}."
            )

    @property
    def name(self) -> str:
        """Name of the recording: `subject/session`."""
        return f"{self.subject}/{self.session}"

    @property
    def n_steps(self) -> int:
        """Number of steps T."""
        return self.signal.shape[-1]

    @property
    def duration_s(self) -> float:
        """Length in seconds: `n_steps / rate_hz`."""
        return self.n_steps / self.rate_hz

    def with_label_names(self, names: Sequence[str]) -> "Recording":
        """Return the same recording with its codes pointing into another vocabulary.

        Parameters
        ----------
        names : sequence of str
            The new vocabulary, in the order of the new codes.

        Returns
        -------
        Recording
            A new recording that shares the signal.

        Raises
        ------
        DataError
            If a label that occurs in the recording is not in `names`.

        Examples
        --------
        >>> import numpy as np
        >>> recording = Recording(
        ...     subject="rex", session="1", devices=("collar", "harness"),
        ...     signal=np.zeros((9, 2, 3), np.float32), channel_mask=np.ones((9, 2), bool), rate_hz=100.0,
        ...     labels=np.array([0, 1, -1], np.int32), label_names=("trot", "walk"), valid=np.ones((2, 3), bool))
        >>> recording.with_label_names(["sit", "walk", "trot"]).labels.tolist()
        [2, 1, -1]
        """
        known = {name: code for code, name in enumerate(names)}
        used = np.unique(self.labels[self.labels != UNLABELLED])
        # One more entry than names: the code −1 indexes the last and stays −1.
        new_codes = np.full(len(self.label_names) + 1, UNLABELLED, dtype=np.int32)
        for code in map(int, used):
            label = self.label_names[code]
            if label not in known:
                step = int(np.argmax(self.labels == code))
                raise DataError(
                    f"recording {self.name}: the label {label!r} at step {step} is not among the known labels "
                    f"{', '.join(known)}; add it to label_names or relabel the recording."
                )
            new_codes[code] = known[label]
        return replace(self, labels=new_codes[self.labels], label_names=tuple(names))
