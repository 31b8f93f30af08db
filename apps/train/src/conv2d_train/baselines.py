"""What a user would try first: the majority class, and a forest on hand-crafted features. Every figure stands beside them."""

# scikit-learn ships no types: what it returns is cast where it enters.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from conv2d.data import Windows

_BANDS = ((1, 3), (3, 5), (5, 9), (9, 17), (17, 51))
_CHUNK = 4096


def window_features(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the classic activity-recognition features of windows.

    Per axis and per magnitude of each sensor triad: moments, quantiles, differences, zero crossings and spectrum; per triad
    the correlations of its axes.

    Parameters
    ----------
    x : ndarray of float32, shape (N, 9, 2, 100)
        Raw windows.

    Returns
    -------
    ndarray of float32, shape (N, 522)
        Channels that are absent give constant columns.
    """
    return np.concatenate([_features(x[i : i + _CHUNK]) for i in range(0, len(x), _CHUNK)])


def _features(x: NDArray[np.float32]) -> NDArray[np.float32]:
    n, _, devices, steps = x.shape
    triads = x.reshape(n, 3, 3, devices, steps)
    series = np.concatenate([triads, np.linalg.norm(triads, axis=2, keepdims=True)], 2).reshape(n, -1, steps)
    centred = series - series.mean(-1, keepdims=True)
    spread = centred.std(-1) + 1e-6
    step = np.diff(series, axis=-1)
    power = np.abs(np.fft.rfft(centred, axis=-1)) ** 2
    total = power.sum(-1) + 1e-9
    share = power / total[..., None]
    columns = [
        series.mean(-1),
        spread,
        series.min(-1),
        series.max(-1),
        *np.percentile(series, [25, 50, 75], axis=-1),
        np.abs(step).mean(-1),
        step.std(-1),
        (centred**3).mean(-1) / spread**3,
        (centred**4).mean(-1) / spread**4,
        (centred[..., 1:] * centred[..., :-1] < 0).mean(-1),
        np.log(total),
        -(share * np.log(share + 1e-12)).sum(-1),
        power.argmax(-1),
        share.max(-1),
        *(share[..., low:high].sum(-1) for low, high in _BANDS),
    ]
    axes = triads - triads.mean(-1, keepdims=True)
    sd = axes.std(-1) + 1e-6
    for i, j in ((0, 1), (0, 2), (1, 2)):
        columns.append(((axes[:, :, i] * axes[:, :, j]).mean(-1) / (sd[:, :, i] * sd[:, :, j])).reshape(n, -1))
    return np.concatenate([column.reshape(n, -1) for column in columns], 1).astype(np.float32)


def majority_probabilities(train: Windows, test: Windows) -> NDArray[np.float64]:
    """Give every test window the class shares of the training windows: the best that knows nothing of the window.

    Parameters
    ----------
    train, test : Windows
        Of disjoint subjects.

    Returns
    -------
    ndarray of float64, shape (len(test), K)
        Rows sum to 1; the arg-max is the majority class.
    """
    share = np.bincount(train.y, minlength=len(train.label_names)) / len(train)
    return np.tile(share, (len(test), 1))


def forest_probabilities(train: Windows, test: Windows, seed: int) -> NDArray[np.float64]:
    """Fit 300 trees on :func:`window_features` of the training windows and score the test windows.

    Parameters
    ----------
    train, test : Windows
        Of disjoint subjects.
    seed : int
        Seed of the forest.

    Returns
    -------
    ndarray of float64, shape (len(test), K)
        A class that the training subjects lack has probability 0.
    """
    forest = RandomForestClassifier(300, min_samples_leaf=2, n_jobs=-1, random_state=seed)
    forest.fit(window_features(train.x), train.y)
    found = cast("NDArray[np.float64]", forest.predict_proba(window_features(test.x)))
    probabilities = np.zeros((len(test), len(train.label_names)))
    probabilities[:, cast("NDArray[np.int32]", forest.classes_)] = found
    return probabilities
