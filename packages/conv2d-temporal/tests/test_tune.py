"""The choice of a policy: it helps where there is something to gain, and leaves alone where there is not."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from conv2d.temporal import HSMM, HSMMPolicy, Pipeline, durations, sample, tune_policy


def recordings(seed: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Bouts of three behaviours, and a classifier whose errors repeat for four steps, as overlapping windows do."""
    rng = np.random.default_rng(seed)
    transition = np.array([[0.0, 0.8, 0.2], [0.5, 0.0, 0.5], [0.9, 0.1, 0.0]])
    with np.errstate(divide="ignore"):
        model = HSMM(np.log([0.4, 0.3, 0.3]), np.log(transition), [durations.LogNormal(3.0, 0.4, 100)] * 3)
    labels = np.stack([sample(model, 240, 10 * seed + b) for b in range(8)])
    noise = np.repeat(rng.normal(size=(8, 60, 3)), 4, axis=1)
    logits = 1.5 * noise + 2.0 * np.eye(3)[labels]
    return labels, np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def test_tuned_policy_gains_on_new_sequences() -> None:
    labels, probabilities = recordings(1)
    given = labels.copy()
    given[:, 50:60] = -1
    tuned = tune_policy(
        given, probabilities, np.arange(8) // 2, weights=(0.1, 0.4, 1.0), families=("gamma", "geometric")
    )
    assert isinstance(tuned.policy, HSMMPolicy)
    assert tuned.chosen == tuned.candidates[0]
    assert tuned.gain > tuned.gain_error > 0
    scores = [candidate.score for candidate in tuned.candidates]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 2 * 3 * 3 * 2
    assert tuned.chosen is not None
    assert tuned.chosen.weight < 1  # errors that repeat count less
    truth, unseen = recordings(2)
    raw = unseen.argmax(axis=-1).astype(np.int32)
    assert np.mean(tuned.policy.smooth(raw, unseen) == truth) > np.mean(raw == truth) + 0.03


def test_where_nothing_is_to_gain_nothing_is_smoothed() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, (6, 80)).astype(np.int32)  # no durations to speak of
    probabilities = np.where(np.eye(3)[labels] > 0, 0.8, 0.1)  # and no errors
    tuned = tune_policy(labels, probabilities, np.arange(6), weights=(0.4, 1.0), families=("geometric",))
    assert tuned.policy == Pipeline()
    assert tuned.chosen is None
    assert tuned.raw_score == 1
    assert tuned.gain <= 0


def test_a_group_is_scored_by_models_that_did_not_see_it() -> None:
    """The score of one group does not change with what the model would learn from that group."""
    labels, probabilities = recordings(4)
    one = {"families": ("geometric",), "weights": (1.0,), "prior_powers": (0.0,), "n_folds": 2}
    whole = tune_policy(labels[:2], probabilities[:2], [0, 1], **one)
    by_hand = 0
    for held in (0, 1):
        other = tune_policy(labels[[1 - held, 1 - held]], probabilities[[1 - held, 1 - held]], [0, 1], **one)
        assert isinstance(other.policy, HSMMPolicy)
        raw = probabilities[held].argmax(axis=-1).astype(np.int32)
        fitted = HSMMPolicy(other.policy.model, other.policy.prior, 1.0, whole.candidates[0].decide)
        # Fitted to the other sequence twice: the priors weigh half, so scores agree but for a few steps.
        by_hand += int(np.sum(fitted.smooth(raw, probabilities[held]) == labels[held]))
    assert abs(by_hand / 480 - whole.candidates[0].score) < 0.05


def test_lengths_cut_what_lies_beyond() -> None:
    labels, probabilities = recordings(5)
    one: dict[str, Any] = {"families": ("geometric",), "weights": (0.4,), "prior_powers": (0.0,)}
    cut = tune_policy(labels[:, :200], probabilities[:, :200], np.arange(8), **one)
    labels[:, 200:] = 0
    assert tune_policy(labels, probabilities, np.arange(8), np.full(8, 200), **one).candidates == cut.candidates


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros(5, np.int32)}, r"\(B, T\)"),
        ({"labels": np.full((2, 5), 3, np.int32)}, "number of classes"),
        ({"groups": [0]}, "groups and lengths"),
        ({"groups": [0, 0]}, "two different"),
        ({"lengths": [5]}, "groups and lengths"),
        ({"n_folds": 1}, "n_folds"),
    ],
)
def test_bad_use_is_named(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"labels": np.zeros((2, 5), np.int32), "probabilities": np.full((2, 5, 2), 0.5)}
    with pytest.raises(ValueError, match=message):
        tune_policy(**{**good, "groups": [0, 1], **change})
