"""Windows in SI units to labels, probabilities and codes: the one path that evaluation and serving share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from conv2d.data import Normaliser, check_windows
from conv2d.metrics import TemperatureScaler
from conv2d.packaging import Bundle, BundleError

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a bundle says about a batch of B windows.

    Attributes
    ----------
    labels : ndarray of int32, shape (B,)
        Index of the most probable label, into `Engine.labels`; the lowest of equals.
    probabilities : ndarray of float32, shape (B, K)
        Calibrated; rows sum to 1.
    logits : ndarray of float32, shape (B, K)
        The model's scores before the temperature.
    codes : ndarray of int32, shape (B, T)
        Codes of the window's tokens.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones((1, 1), np.float32)
    >>> Prediction(np.zeros(1, np.int32), one, one, np.zeros((1, 64), np.int32)).probabilities
    array([[1.]], dtype=float32)
    """

    labels: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    logits: NDArray[np.float32]
    codes: NDArray[np.int32]


class Engine:
    """Normaliser, model and temperature of one bundle, composed.

    A window's result is the same bytes alone and in any batch. Calls from several threads are safe.

    Parameters
    ----------
    bundle : Bundle
        Opened; its `preprocessing` has "normaliser", its `calibration` has "temperature".
    threads : int
        Threads within one operator of the model.

    Raises
    ------
    BundleError
        When the bundle lacks one of these parts, or a part cannot be read.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from conv2d.packaging.testing import small_bundle
    >>> with tempfile.TemporaryDirectory() as root:
    ...     engine = Engine(small_bundle(root))
    >>> engine.predict(np.zeros((2, 9, 2, 100), np.float32)).probabilities.shape
    (2, 3)
    """

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        self._bundle = bundle
        self._normaliser = _part(bundle.preprocessing, "preprocessing.json", "normaliser", Normaliser.from_dict)
        self._scaler = _part(bundle.calibration, "calibration.json", "temperature", TemperatureScaler.from_dict)
        self._model = bundle.session(threads)

    @property
    def bundle(self) -> Bundle:
        """The bundle that is run.

        Returns
        -------
        Bundle
            As given.
        """
        return self._bundle

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the K labels.

        Returns
        -------
        tuple of str
            In the order of the probabilities.
        """
        return self._bundle.labels

    def predict(self, windows: NDArray[np.float32]) -> Prediction:
        """Classify windows.

        Parameters
        ----------
        windows : ndarray of float32, shape (B, 9, 2, 100)
            Raw windows at the bundle's rate: m/s², rad/s, µT; C-contiguous and finite. B may be 0.

        Returns
        -------
        Prediction
            One row for each window.

        Raises
        ------
        conv2d.data.DataError
            When `windows` breaks the window contract; nothing is cast or filled in.
        """
        check_windows(windows)
        outputs = self._model.run(self._normaliser.transform(windows))
        probabilities = np.asarray(self._scaler.transform(outputs["logits"]), dtype=np.float32)
        labels = probabilities.argmax(axis=1).astype(np.int32)
        return Prediction(labels, probabilities, outputs["logits"], outputs["codes"])


def _part(values: Mapping[str, Any], file: str, key: str, read: Callable[[Mapping[str, Any]], T]) -> T:
    value = values.get(key)
    if not isinstance(value, Mapping):
        raise BundleError(f"{file} has no {key!r}, which serving needs; create the bundle from a trained model.")
    try:
        return read(cast("Mapping[str, Any]", value))
    except (ValueError, TypeError) as error:
        raise BundleError(f"{file}, {key!r}: {error}") from error
