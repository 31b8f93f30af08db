"""One scale per channel or per sensor, fitted on training windows and carried unchanged to the edge."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from conv2d.data._checks import check_array
from conv2d.data._errors import DataError
from conv2d.data._recording import AXES, CHANNELS, N_DEVICES, SENSORS
from conv2d.data._windows import Windows, check_windows

# A channel that moves less than this (m/s², rad/s, µT) in all of training is constant: dividing by its spread would
# turn the first real movement into the clip limit, so it is centred and left at its own scale.
_CONSTANT = 1e-6

_CHUNK = 4096  # windows at a time in float64: 60 MB


@dataclass(frozen=True, eq=False)
class Normaliser:
    """`clip((x − mean) / scale)` per channel and device, 0 in absent channels.

    Attributes
    ----------
    mean, scale : numpy.ndarray
        float32 (9, 2), in the units of the channels; `scale` is positive.
    channel_mask : numpy.ndarray
        bool (9, 2); False = the channel is absent and becomes 0.
    clip : float
        Largest magnitude that comes out.

    Examples
    --------
    >>> from conv2d.data import make_windows, simulate
    >>> windows = make_windows(simulate(n_subjects=2, minutes=0.5), hop=50)
    >>> normaliser = Normaliser.fit(windows)
    >>> z = normaliser.transform(windows.x)
    >>> z.shape == windows.x.shape and float(abs(z).max()) <= normaliser.clip
    True
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    channel_mask: NDArray[np.bool_]
    clip: float = 8.0

    def __post_init__(self) -> None:
        """Refuse a normaliser that would divide by zero or make NaN."""
        shape = (len(CHANNELS), N_DEVICES)
        check_array(self.mean, "mean", shape, np.float32, "normaliser")
        check_array(self.scale, "scale", shape, np.float32, "normaliser")
        check_array(self.channel_mask, "channel_mask", shape, np.bool_, "normaliser")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.scale).all() and (self.scale > 0).all()):
            raise DataError("normaliser: mean must be finite, and scale finite and positive in every channel.")
        if not (np.isfinite(self.clip) and self.clip > 0):
            raise DataError(f"normaliser: clip must be a positive number, got {self.clip!r}.")

    @classmethod
    def fit(
        cls, windows: Windows, *, kind: Literal["channel", "sensor"] = "channel", clip: float = 8.0
    ) -> "Normaliser":
        """Fit on windows; pass those of the training subjects only.

        Parameters
        ----------
        windows : Windows
            At least one. Overlapping windows count every step as often as it occurs in them.
        kind : {"channel", "sensor"}
            "channel": mean and standard deviation of each channel and device. "sensor": mean 0, and one scale for the
            three axes of a sensor: the root of the mean of their variances. It keeps gravity and commutes with a
            rotation of the sensor.
        clip : float
            Largest magnitude after scaling.

        Returns
        -------
        Normaliser
            A channel (or sensor) that is constant in all windows gets scale 1.

        Raises
        ------
        DataError
            If there is no window, or `kind` or `clip` is not as above.

        Examples
        --------
        >>> from conv2d.data import make_windows, simulate
        >>> windows = make_windows(simulate(n_subjects=2, minutes=0.5), hop=50)
        >>> sensor = Normaliser.fit(windows, kind="sensor")
        >>> bool((sensor.scale[0] == sensor.scale[2]).all())
        True
        """
        if len(windows) == 0:
            raise DataError("Normaliser.fit: windows is empty; fit on at least one training window.")
        mean, variance = _moments(windows.x)
        if kind == "sensor":
            by_sensor = variance.reshape(len(SENSORS), len(AXES), N_DEVICES).mean(axis=1)
            mean, variance = np.zeros_like(mean), np.repeat(by_sensor, len(AXES), axis=0)
        elif kind != "channel":
            raise DataError(f"Normaliser.fit: kind must be 'channel' or 'sensor', got {kind!r}.")
        deviation = np.sqrt(variance)
        scale = np.where(deviation > _CONSTANT, deviation, 1.0)
        return cls(mean.astype(np.float32), scale.astype(np.float32), windows.channel_mask, float(clip))

    def transform(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normalise a batch of windows.

        Parameters
        ----------
        x : numpy.ndarray
            float32, C-contiguous, (B, 9, 2, 100), in the units of the recordings.

        Returns
        -------
        numpy.ndarray
            float32, C-contiguous, (B, 9, 2, 100), computed in float32; the input is left as it is.

        Raises
        ------
        DataError
            If `x` breaks the window contract (`check_windows`).

        Examples
        --------
        >>> import numpy as np
        >>> ones = np.ones((9, 2), np.float32)
        >>> normaliser = Normaliser(mean=ones, scale=2 * ones, channel_mask=ones > 0)
        >>> float(normaliser.transform(np.full((1, 9, 2, 100), 7, np.float32)).mean())
        3.0
        """
        check_windows(x)
        z = x - self.mean[:, :, None]
        z /= self.scale[:, :, None]
        np.clip(z, -self.clip, self.clip, out=z)
        z[:, ~self.channel_mask] = 0.0
        return z

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers for JSON; `from_dict` gives the same normaliser back, bit for bit.

        Returns
        -------
        dict
            Keys `mean`, `scale` and `channel_mask` (9 lists of 2) and `clip`.

        Examples
        --------
        >>> import numpy as np
        >>> ones = np.ones((9, 2), np.float32)
        >>> Normaliser(mean=ones, scale=ones, channel_mask=ones > 0).to_dict()["mean"][0]
        [1.0, 1.0]
        """
        return {
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "channel_mask": self.channel_mask.tolist(),
            "clip": self.clip,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Normaliser":
        """Rebuild a normaliser from what `to_dict` gave.

        Parameters
        ----------
        values : mapping
            Exactly the keys of `to_dict`.

        Returns
        -------
        Normaliser
            Equal to the one that was written.

        Raises
        ------
        DataError
            If a key is missing or unknown, or a value does not fit.

        Examples
        --------
        >>> import numpy as np
        >>> ones = np.ones((9, 2), np.float32)
        >>> normaliser = Normaliser(mean=ones, scale=ones / 3, channel_mask=ones > 0)
        >>> bool((Normaliser.from_dict(normaliser.to_dict()).scale == normaliser.scale).all())
        True
        """
        expected = {"mean", "scale", "channel_mask", "clip"}
        if set(values) != expected:
            raise DataError(
                f"Normaliser.from_dict: the keys must be {', '.join(sorted(expected))}; got {', '.join(values)}."
            )
        try:
            mean, scale = (np.asarray(values[key], dtype=np.float32) for key in ("mean", "scale"))
            mask, clip = np.asarray(values["channel_mask"]), float(values["clip"])
        except (TypeError, ValueError) as error:
            raise DataError(f"Normaliser.from_dict: mean, scale and clip must be numbers: {error}.") from error
        return cls(mean, scale, cast("NDArray[np.bool_]", mask), clip)


def _moments(x: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance over windows and time, (9, 2) each, in float64 by two passes over chunks."""
    steps = len(x) * x.shape[-1]
    chunks = range(0, len(x), _CHUNK)
    total = sum(x[i : i + _CHUNK].sum(axis=(0, 3), dtype=np.float64) for i in chunks)
    mean = np.asarray(total, dtype=np.float64) / steps
    squares = sum(((x[i : i + _CHUNK] - mean[:, :, None]) ** 2).sum(axis=(0, 3)) for i in chunks)
    return mean, np.asarray(squares, dtype=np.float64) / steps
