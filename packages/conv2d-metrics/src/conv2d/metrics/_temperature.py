"""Temperature scaling, and the one softmax that training, evaluation and the edge share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from ._inputs import IGNORE, FloatArray, IntArray, Probabilities, class_labels, floats
from ._inverse_temperature import laplace_beta, newton_beta

Status = Literal["interior", "separable", "anticorrelated"]

_FLOAT64 = np.finfo(np.float64)


def softmax(logits: npt.ArrayLike, temperature: float = 1.0) -> Probabilities:
    """Probabilities exp(z/T) / Σ exp(z/T) over the last axis.

    The row maximum is subtracted first, so no logit overflows, and the sum runs in float64 whatever the input, so that
    one window alone and the same window in a batch agree to the last place of float32.

    Parameters
    ----------
    logits : array_like of float32 or float64, shape (..., K)
        Finite.
    temperature : float
        T > 0. Above 1 softens, below 1 sharpens.

    Returns
    -------
    ndarray of the dtype of `logits`, shape (..., K)
        Rows sum to 1 within K half-units of the dtype's last place.

    Raises
    ------
    TypeError
        `logits` are neither float32 nor float64.
    ValueError
        A logit is NaN or infinite, there is no class axis, or `temperature` is not a positive finite number.

    Examples
    --------
    >>> softmax([[0.0, 0.0], [1000.0, 0.0]])
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    z = finite_logits(logits)
    if not (np.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature: must be a positive finite number, got {temperature!r}.")
    scaled = z.astype(np.float64)
    with np.errstate(over="ignore"):  # a difference beyond the range of float64 is −∞, whose exponential is 0
        scaled -= scaled.max(axis=-1, keepdims=True)
        scaled /= temperature
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=-1, keepdims=True)
    return scaled.astype(z.dtype, copy=False)


class TemperatureScaler:
    """Divide logits by one temperature T, fitted by maximum likelihood on held-out windows.

    The mean NLL is convex in 1/T, so Newton steps inside a shrinking bracket always reach the optimum (LBFGS, as often
    used, can stop far from it). Two kinds of data have none, and T is then bounded and `status` says so:

    ``separable``
        Every window's true class is on top, so the likelihood grows for ever as T → 0. n right answers out of n support
        a confidence of (n + 1)/(n + 2) (Laplace's rule of succession), not 1: T is lowered from 1 until the mean
        confidence reaches that, and never raised.
    ``anticorrelated``
        The true class scores no better than average, so the best T is infinite. T is set to 1,000 times the largest
        logit: every row is uniform to three decimals, as it should be.

    Attributes
    ----------
    temperature : float
        T > 0, finite. Needs a fit.
    status : {"interior", "separable", "anticorrelated"}
        Needs a fit.
    n_windows : int
        Labelled windows of the fit.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> logits = np.array([[4.0, 0.0], [0.0, 4.0], [4.0, 0.0], [0.0, 4.0]])
    >>> scaler = TemperatureScaler().fit(logits, [0, 1, 0, 0])  # certain, and right 3 times of 4
    >>> scaler.status, round(scaler.temperature, 4)
    ('interior', 3.641)
    >>> scaler.transform(logits)[0].round(4)
    array([0.75, 0.25])
    """

    temperature: float
    status: Status
    n_windows: int

    def fit(self, logits: npt.ArrayLike, y_true: npt.ArrayLike) -> TemperatureScaler:
        """Find the temperature that minimises the mean NLL.

        Parameters
        ----------
        logits : array_like of float32 or float64, shape (..., K)
            Finite; of any size, since they enter through log-sum-exp in float64.
        y_true : array_like of int, shape (...)
            Class indices; windows labelled −1 are ignored.

        Returns
        -------
        TemperatureScaler
            This object.

        Raises
        ------
        TypeError, ValueError
            Wrong type, shape or range, a logit that is not finite, or no labelled window.
        """
        z, true = calibration_sample(logits, y_true)
        # Scaling by a power of two is exact; it makes one start and one bracket right for logits of any size.
        largest = max(float(z.max()), -float(z.min()), _FLOAT64.tiny)
        scale = float(2.0 ** np.floor(np.log2(largest)))
        columns = np.ascontiguousarray(z.T)
        columns /= scale
        columns -= columns.max(axis=0)
        z_true = np.take_along_axis(columns, true[None], axis=0)[0]

        # The slope of the NLL at 1/T = 0 is upward, or rounding.
        if z_true.mean() <= columns.mean() * (1 - 4 * _FLOAT64.eps):
            self.status, self.temperature = "anticorrelated", max(1.0, 1000.0 * largest)
        elif not z_true.any():
            self.status, self.temperature = "separable", 1.0 / laplace_beta(columns, scale)
        else:
            self.status, self.temperature = "interior", scale / newton_beta(columns, z_true)
        self.temperature = min(self.temperature, float(_FLOAT64.max))
        self.n_windows = len(true)
        return self

    def transform(self, logits: npt.ArrayLike) -> Probabilities:
        """Calibrated probabilities: `softmax` of `logits` at the fitted temperature.

        Parameters
        ----------
        logits : array_like of float32 or float64, shape (..., K)
            Finite.

        Returns
        -------
        ndarray of the dtype of `logits`, shape (..., K)

        Raises
        ------
        RuntimeError
            Called before `fit`.
        TypeError, ValueError
            As `softmax`.
        """
        self._require_fit()
        return softmax(logits, self.temperature)

    def to_dict(self) -> dict[str, float | int | str]:
        """Write the fitted state as JSON-safe values; `from_dict` reads it back."""
        self._require_fit()
        return {"temperature": self.temperature, "status": self.status, "n_windows": self.n_windows}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> TemperatureScaler:
        """Make a fitted scaler from `to_dict`.

        Raises
        ------
        ValueError
            A key is missing or unknown, or a value is out of range.
        """
        if set(state) != {"temperature", "status", "n_windows"}:
            raise ValueError(f"state: keys must be temperature, status and n_windows, got {sorted(state)}.")
        temperature, status, n_windows = state["temperature"], state["status"], state["n_windows"]
        number = isinstance(temperature, int | float) and not isinstance(temperature, bool)
        if not (number and np.isfinite(temperature) and temperature > 0):
            raise ValueError(f"state['temperature']: must be a positive finite number, got {temperature!r}.")
        if status not in get_args(Status):
            raise ValueError(f"state['status']: must be one of {', '.join(get_args(Status))}, got {status!r}.")
        if not isinstance(n_windows, int) or n_windows < 1:
            raise ValueError(f"state['n_windows']: must be a whole number of at least 1, got {n_windows!r}.")
        scaler = cls()
        scaler.temperature, scaler.status, scaler.n_windows = float(temperature), cast(Status, status), n_windows
        return scaler

    def __repr__(self) -> str:
        if not hasattr(self, "temperature"):
            return "TemperatureScaler()"
        return f"TemperatureScaler(temperature={self.temperature:.6g}, status={self.status!r})"

    def _require_fit(self) -> None:
        if not hasattr(self, "temperature"):
            raise RuntimeError(
                "TemperatureScaler: not fitted yet. Call fit(logits, y_true) on calibration windows first."
            )


def finite_logits(logits: npt.ArrayLike) -> Probabilities:
    z = floats("logits", logits)
    if z.ndim == 0 or z.shape[-1] == 0:
        raise ValueError(f"logits: the last axis holds the classes, got shape {z.shape}.")
    if not np.isfinite(z).all():
        raise ValueError(f"logits: must be finite, got {int((~np.isfinite(z)).sum())} NaN or infinite values.")
    return z


def calibration_sample(logits: npt.ArrayLike, y_true: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
    """Labelled rows as float64 ``(N, K)`` and their labels ``(N,)``."""
    z, true = floats("logits", logits), class_labels("y_true", y_true)
    if z.ndim != true.ndim + 1 or z.shape[:-1] != true.shape:
        raise ValueError(f"logits: must be y_true's shape plus a class axis, {(*true.shape, 'K')}, got {z.shape}.")
    n_classes, labelled = z.shape[-1], true != IGNORE
    rows, true = finite_logits(z[labelled]), true[labelled]
    if not true.size:
        raise ValueError("y_true: a temperature needs at least one labelled window, and there is none.")
    if true.max() >= n_classes:
        raise ValueError(f"y_true: label {true.max()} has no column in logits, which has {n_classes} classes.")
    return rows.astype(np.float64), true


TemperatureScaling = TemperatureScaler
"""`TemperatureScaler` by the name of the method."""
