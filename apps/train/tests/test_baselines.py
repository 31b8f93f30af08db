"""Hand-crafted features and the two baselines."""

from __future__ import annotations

import numpy as np

from conv2d.data import Windows
from conv2d_train.baselines import forest_probabilities, majority_probabilities, window_features


def test_features_are_finite_even_for_absent_channels(windows: Windows) -> None:
    x = windows.x[:8].copy()
    x[:, 6:] = 0
    found = window_features(x)
    assert found.shape == (8, 522)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:, 0], x[:, 0, 0].mean(-1), rtol=1e-5)


def test_majority_knows_only_the_training_shares(windows: Windows) -> None:
    train, test = windows.of_subjects(windows.subjects[:3]), windows.of_subjects(windows.subjects[3:])
    probabilities = majority_probabilities(train, test)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert (probabilities.argmax(1) == np.bincount(train.y).argmax()).all()


def test_forest_beats_majority_and_gives_unseen_classes_nothing(windows: Windows) -> None:
    train, test = windows.of_subjects(windows.subjects[:3]), windows.of_subjects(windows.subjects[3:])
    absent = int(np.bincount(train.y, minlength=len(windows.label_names)).argmin())
    kept = train.select(train.y != absent)
    probabilities = forest_probabilities(kept, test, seed=0)
    assert (probabilities[:, absent] == 0).all()
    np.testing.assert_allclose(probabilities.sum(1), 1)
    share = (test.y == np.bincount(train.y).argmax()).mean()
    assert (probabilities.argmax(1) == test.y).mean() > share
