"""Learning and sampling: what is planted comes back, and EM never loses likelihood."""

import itertools
import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from conv2d.temporal import (
    HSMM,
    HSMMPolicy,
    ImpossibleSequenceError,
    OnlineHSMM,
    durations,
    fit,
    fit_supervised,
    sample,
    score,
)

Float = NDArray[np.float64]


def normalised(weight: Float) -> Float:
    with np.errstate(divide="ignore"):
        return np.log(weight / weight.sum(axis=-1, keepdims=True))


def planted(left: Any = "exact", right: Any = "censored") -> HSMM:
    transition = np.array([[0.0, 0.7, 0.3], [0.2, 0.0, 0.8], [1.0, 0.0, 0.0]])
    families = [
        durations.Poisson(6.0, max_duration=30),
        durations.NegativeBinomial(3.0, 0.4, max_duration=30),
        durations.Geometric(0.7, max_duration=30),
    ]
    return HSMM(normalised(np.array([0.5, 0.3, 0.2])), normalised(transition), families, right, left)


def mean_durations(model: HSMM) -> Float:
    return np.exp(model.log_duration) @ np.arange(1.0, model.max_duration + 1)


# --- sampling and supervised fit -----------------------------------------------------------------------------------


def test_sample_has_the_durations_and_transitions_of_the_model() -> None:
    model = planted()
    labels = sample(model, 200_000, seed=1)
    assert np.array_equal(labels, sample(model, 200_000, seed=1))
    runs = [(int(k), len(list(group))) for k, group in itertools.groupby(labels.tolist())][1:-1]
    for k in range(3):
        lengths = np.array([length for label, length in runs if label == k])
        spread = np.sqrt(np.exp(model.log_duration[k]) @ np.arange(1, 31) ** 2 - mean_durations(model)[k] ** 2)
        # Five standard errors: one failure in a million seeds, and the seed is fixed.
        assert abs(lengths.mean() - mean_durations(model)[k]) < 5 * spread / np.sqrt(lengths.size)
        after = np.array([b for (a, _), (b, _) in itertools.pairwise(runs) if a == k])
        for j in range(3):
            p = np.exp(model.log_transition[k, j])
            assert abs(np.mean(after == j) - p) <= 5 * np.sqrt(p * (1 - p) / after.size)


# The planted Poisson, negative binomial and geometric durations are all of, or limits of, the second family.
@pytest.mark.parametrize("family", ["categorical", "negative_binomial"])
def test_supervised_fit_finds_the_durations_in_spite_of_cut_sequences(family: Any) -> None:
    model = planted(left="censored")
    # Many short sequences: most long bouts are cut off by an end, which a naive count would take for their length.
    labels = np.stack([sample(model, 40, seed) for seed in range(1500)])
    fitted = fit_supervised(labels, 3, family, max_duration=30)
    naive = fit_naively(labels)
    error, naive_error = abs(mean_durations(fitted) - mean_durations(model)), abs(naive - mean_durations(model))
    assert (error < 0.06 * mean_durations(model)).all()
    assert error.sum() < naive_error.sum()
    np.testing.assert_allclose(np.exp(fitted.log_transition), np.exp(model.log_transition), atol=0.02)
    assert (fitted.left, fitted.right) == ("censored", "censored")


def fit_naively(labels: NDArray[np.int32]) -> Float:
    runs = [(int(k), len(list(group))) for row in labels for k, group in itertools.groupby(row.tolist())]
    return np.array([np.mean([length for label, length in runs if label == k]) for k in range(3)], dtype=np.float64)


def test_supervised_fit_cuts_at_ignored_steps() -> None:
    labels = np.array([0, 0, 1, 1, 1, 0, 0, -1, 1, 1, 0, 0, 0, 0, 1], dtype=np.int32)
    model = fit_supervised(labels, 2, "categorical", max_duration=5, duration_prior=1e-9, transition_prior=0.0)
    # Complete: 1 for 3 steps, 0 for 4. Cut off at the right: 0 after at least 2 (so 4), 1 after at least 1 (so 3).
    np.testing.assert_allclose(np.exp(model.log_duration), [[0, 0, 0, 1, 0], [0, 0, 1, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(np.exp(model.log_initial), [0.5, 0.5])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n_states": 1}, ValueError, "n_states=1"),
        ({"family": "normal"}, ValueError, "family"),
        ({"max_duration": 2}, ValueError, "longest run of 3"),
        ({"transition_prior": -1.0}, ValueError, "transition_prior"),
        ({"duration_prior": 0.0}, ValueError, "duration_prior"),
        ({"labels": [-1, -1]}, ValueError, "nothing to fit"),
    ],
)
def test_bad_supervised_fits_are_named(change: dict[str, Any], error: type[Exception], message: str) -> None:
    good: dict[str, Any] = {"labels": [0, 0, 1, 1, 1, 0], "n_states": 2}
    with pytest.raises(error, match=message):
        fit_supervised(**{**good, **change})


# --- EM ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("right", ["exact", "censored"])
def test_em_never_loses_likelihood_and_finds_the_durations(right: Any) -> None:
    rng = np.random.default_rng(3)
    truth = planted(right=right)
    labels = np.stack([sample(truth, 120, seed) for seed in range(20)])
    evidence = rng.normal(size=(20, 120, 3)) + 3.0 * np.eye(3)[labels]
    flat = np.full((3, 30), 1 / 30)
    begin = HSMM(np.log(np.full(3, 1 / 3)), normalised(1 - np.eye(3)), np.log(flat), right)
    # With next to no prior, the penalised likelihood is the likelihood.
    found = fit(begin, evidence, transition_prior=1e-9, duration_prior=1e-9, max_iterations=25)
    gains = np.diff(found.log_likelihood)
    assert (gains > -1e-6).all()
    assert found.log_likelihood[-1] > found.log_likelihood[0] + 100
    assert found.model.right == right
    np.testing.assert_allclose(mean_durations(found.model), mean_durations(truth), rtol=0.25)
    assert abs(score(found.model, evidence) - found.log_likelihood[-1] / evidence[..., 0].size) < 1e-9


def test_em_reports_convergence_and_keeps_impossible_transitions() -> None:
    labels = sample(planted(), 400, seed=5)
    evidence = 2.0 * np.eye(3)[labels]
    found = fit(planted(), evidence, tolerance=1e-2)
    assert found.converged
    assert np.isneginf(found.model.log_transition[2, 1])
    assert not fit(planted(), evidence, max_iterations=1, tolerance=0.0).converged
    with pytest.raises(ImpossibleSequenceError):
        fit(planted(), np.full((4, 3), -np.inf))


# --- online --------------------------------------------------------------------------------------------------------


def plain(left: Any) -> HSMM:
    model = planted(left)
    return HSMM(model.log_initial, model.log_transition, [durations.Geometric(s) for s in (0.9, 0.5, 0.2)], left=left)


@pytest.mark.parametrize("build", [planted, plain])
@pytest.mark.parametrize("left", ["exact", "censored"])
@pytest.mark.parametrize("lag", [0, 1, 5])
@pytest.mark.parametrize("varying", [False, True])
def test_online_is_the_offline_filter_and_smoother(build: Any, left: Any, lag: int, varying: bool) -> None:
    rng = np.random.default_rng(7)
    model = build(left)
    weight = rng.dirichlet(np.ones(3), (60, 3))
    weight[:, np.arange(3), np.arange(3)] = 0.0
    transitions = normalised(weight) if varying else None
    evidence = rng.normal(size=(60, 3)) * 4.0
    evidence[rng.random((60, 3)) < 0.1] = -np.inf
    evidence[np.isneginf(evidence).all(axis=1)] = 0.0
    evidence[20:23] = 0.0
    online = OnlineHSMM(model, lag)
    for t, row in enumerate(evidence):
        if t == 30:  # written out, read in, and gone on from there
            stored = json.dumps(online.state_dict())
            online = OnlineHSMM(model, lag)
            online.load_state_dict(json.loads(stored))
        now = online.step(None if 20 <= t < 23 else row, None if transitions is None else transitions[t])
        offline = model.posteriors(
            evidence[: t + 1], log_transitions=None if transitions is None else transitions[: t + 1]
        )
        np.testing.assert_allclose(now.filtered, offline.state[-1], atol=1e-9)
        np.testing.assert_allclose(now.log_likelihood, offline.log_likelihood, rtol=1e-12)
        if t < lag:
            assert now.lagged is None
        else:
            assert now.lagged is not None
            np.testing.assert_allclose(now.lagged, offline.state[t - lag], atol=1e-9)


def test_remaining_dwell_is_what_unseen_steps_would_show() -> None:
    model = planted()
    rng = np.random.default_rng(8)
    evidence = rng.normal(size=(25, 3))
    online = OnlineHSMM(model)
    for row in evidence:
        online.step(row)
    remaining = online.remaining()
    np.testing.assert_allclose(remaining.sum(), 1.0, atol=1e-12)
    # With steps unseen ahead, a segment that lasts r more steps ends at step 24 + r. Of all segments ending there,
    # those begun by step 24 are the ones; the first of them is all that ends at step 24.
    ahead = np.concatenate([evidence, np.zeros((31, 3))])
    np.testing.assert_allclose(remaining[:, 0], model.posteriors(ahead).end[24], atol=1e-9)


def test_anticipation_is_what_samples_do_next() -> None:
    model = planted()
    evidence = np.random.default_rng(11).normal(size=(12, 3))
    online = OnlineHSMM(model)
    for row in evidence:
        online.step(row)
    # All ways to go on from the filtered state, drawn at length: likelihood weighting with the evidence.
    next_states, waits, weights = [], [], []
    for seed in range(4000):
        labels = sample(model, 60, seed)
        change = 12 + int(np.argmax(labels[12:] != labels[11]))
        next_states.append(labels[change])
        waits.append(change - 11)
        weights.append(np.exp(evidence[np.arange(12), labels[:12]].sum()))
    found, total = online.anticipate(), np.sum(weights)
    for k in range(3):
        hits = np.array(weights) * (np.array(next_states) == k)
        # Effective samples number about a fifth of the draws: three standard errors of a share are below 0.06.
        assert abs(hits.sum() / total - found.probability[k]) < 0.06
        assert abs(hits @ np.array(waits) / hits.sum() - found.expected_steps[k]) < 1.0


def test_online_errors_are_named() -> None:
    online = OnlineHSMM(planted())
    with pytest.raises(RuntimeError, match="step"):
        online.remaining()
    for row, error in ((np.zeros(2), ValueError), (np.full(3, np.nan), ValueError), (np.zeros(3, np.int64), TypeError)):
        with pytest.raises(error):
            online.step(row)
    with pytest.raises(ImpossibleSequenceError):
        online.step(np.full(3, -np.inf))
    other = OnlineHSMM(HSMM(np.log([1.0]), np.array([[-np.inf]]), np.log([[1.0]])))
    other.step(np.zeros(1))
    with pytest.raises(ValueError, match=r"\(1, 1\)"):
        online.load_state_dict(other.state_dict())


# --- policy --------------------------------------------------------------------------------------------------------


def test_policy_keeps_the_promises_and_beats_the_classifier() -> None:
    rng = np.random.default_rng(9)
    model = planted()
    truth = np.stack([sample(model, 300, seed) for seed in (20, 21)])
    logits = rng.normal(size=(2, 300, 3)) + 2.0 * np.eye(3)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    labels = probabilities.argmax(axis=-1).astype(np.int32)
    labels[:, 100:105] = -1
    probabilities[:, 100:105] = np.nan
    policy = HSMMPolicy(model, prior=(1 / 3, 1 / 3, 1 / 3))
    smoothed = policy.smooth(labels, probabilities)
    assert np.array_equal(smoothed == -1, labels == -1)
    known = labels >= 0
    assert np.mean(smoothed[known] == truth[known]) > np.mean(labels[known] == truth[known]) + 0.02
    for b in range(2):
        assert np.array_equal(policy.smooth(labels[b], probabilities[b]), smoothed[b])
        for piece in (slice(0, 100), slice(105, 300)):
            assert set(smoothed[b, piece]) <= set(labels[b, piece])
            assert np.count_nonzero(np.diff(smoothed[b, piece])) <= np.count_nonzero(np.diff(labels[b, piece]))


def test_policy_divides_by_the_prior() -> None:
    model = planted()
    evidence = HSMMPolicy(model, prior=(0.5, 0.25, 0.25), weight=2.0).evidence(np.array([[0.5, 0.25, 0.25]]))
    np.testing.assert_allclose(evidence, 0.0, atol=1e-12)
    # Of one label only, and longer than any of its durations: not to be explained, so it comes back.
    labels = np.full(40, 2, dtype=np.int32)
    assert HSMMPolicy(model, (1 / 3,) * 3).smooth(labels, np.eye(3)[labels]).tolist() == labels.tolist()


@pytest.mark.parametrize(
    ("prior", "weight", "message"),
    [((0.5, 0.5), 1.0, "3 positive"), ((1.0, 0.0, 0.0), 1.0, "3 positive"), ((1 / 3,) * 3, 0.0, "weight")],
)
def test_bad_policies_are_named(prior: tuple[float, ...], weight: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HSMMPolicy(planted(), prior, weight)
    good = HSMMPolicy(planted(), (1 / 3,) * 3)
    with pytest.raises(ValueError, match="weighs probabilities"):
        good.smooth([0, 1])
    with pytest.raises(ValueError, match="K=4"):
        good.smooth([0, 1], np.full((2, 4), 0.25))


def test_policy_stream_is_the_fixed_lag_smoother() -> None:
    rng = np.random.default_rng(10)
    model, lag = planted(), 3
    truth = sample(model, 120, 30)
    logits = rng.normal(size=(120, 3)) + 2.0 * np.eye(3)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    labels = probabilities.argmax(axis=-1).astype(np.int32)
    labels[[50, 51, 53]] = -1
    policy = HSMMPolicy(model, prior=(1 / 3,) * 3)
    stream, decided = policy.stream(lag), []
    for t, (label, row) in enumerate(zip(labels.tolist(), probabilities, strict=True)):
        if t == 60:
            stored = json.dumps(stream.state_dict())
            stream = policy.stream(lag)
            stream.load_state_dict(json.loads(stored))
        decided.extend(stream.step(label, row).tolist())
        assert t + 1 - stream.delay <= len(decided) <= t + 1
    decided.extend(stream.finish().tolist())
    assert np.array_equal(np.array(decided) == -1, labels == -1)
    for first, stop in ((0, 50), (52, 53), (54, 120)):
        evidence = policy.evidence(probabilities[first:stop])
        for t in range(stop - first):
            state = model.posteriors(evidence[: t + lag + 1]).state[t]
            assert decided[first + t] == state.argmax()
    with pytest.raises(ValueError, match="step"):
        policy.stream().step(0)
