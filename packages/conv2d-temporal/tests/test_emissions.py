"""Emissions against scipy, and models learnt from observations without labels."""

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from conv2d.temporal import HSMM, durations, emissions, fit, fit_supervised, sample

Float = NDArray[np.float64]


def planted() -> HSMM:
    transition = np.array([[0.0, 0.7, 0.3], [0.4, 0.0, 0.6], [0.8, 0.2, 0.0]])
    with np.errstate(divide="ignore"):
        return HSMM(
            np.log(np.full(3, 1 / 3)), np.log(transition), [durations.Poisson(rate, 40) for rate in (6.0, 10.0, 15.0)]
        )


def blank(states: int = 3, longest: int = 40) -> HSMM:
    """Where nothing is known."""
    with np.errstate(divide="ignore"):
        transition = np.log((1 - np.eye(states)) / (states - 1))
    return HSMM(np.full(states, -np.log(states)), transition, np.full((states, longest), -np.log(longest)))


def agreement(truth: NDArray[np.int32], found: NDArray[np.int32]) -> float:
    """Share of steps that agree, under the best naming of the states."""
    return max(float(np.mean(np.array(names)[found] == truth)) for names in itertools.permutations(range(3)))


def test_gaussian_is_scipys() -> None:
    rng = np.random.default_rng(0)
    mean, root = rng.normal(size=(3, 4)), rng.normal(size=(3, 4, 4))
    covariance = root @ root.transpose(0, 2, 1) + np.eye(4)
    x = rng.normal(size=(2, 5, 4))
    found = emissions.Gaussian(mean, covariance).log_likelihood(x)
    for k in range(3):
        np.testing.assert_allclose(found[..., k], stats.multivariate_normal(mean[k], covariance[k]).logpdf(x))


def test_codes_and_counts_are_scipys() -> None:
    rng = np.random.default_rng(1)
    probability = rng.dirichlet(np.ones(5), 3)
    counts = rng.multinomial(7, probability[0], size=6)
    found = emissions.Multinomial(probability).log_likelihood(counts)
    expected = np.stack([stats.multinomial(7, p).logpmf(counts) for p in probability], axis=-1)
    np.testing.assert_allclose(found - found[:, :1], expected - expected[:, :1], atol=1e-9)
    codes = rng.integers(0, 5, size=(2, 9))
    np.testing.assert_allclose(
        emissions.Categorical(probability).log_likelihood(codes),
        emissions.Multinomial(probability).log_likelihood(np.eye(5)[codes]),
    )
    impossible = emissions.Multinomial(np.array([[1.0, 0.0], [0.5, 0.5]])).log_likelihood([[3, 0], [2, 1]])
    assert impossible[0, 0] == 0
    assert np.isneginf(impossible[1, 0])


def test_estimates_are_weighted_moments() -> None:
    rng = np.random.default_rng(2)
    x, weight = rng.normal(size=(50, 2)), rng.dirichlet(np.ones(3), 50)
    found = emissions.Gaussian(np.zeros((3, 2)), np.repeat(np.eye(2)[None], 3, axis=0), prior=0.0).estimate(x, weight)
    for k in range(3):
        np.testing.assert_allclose(found.mean[k], np.average(x, axis=0, weights=weight[:, k]))
        np.testing.assert_allclose(found.covariance[k], np.cov(x.T, aweights=weight[:, k], ddof=0))
    codes = rng.integers(0, 4, 50)
    table = emissions.Categorical(np.full((3, 4), 0.25), prior=0.0).estimate(codes, weight).probability
    np.testing.assert_allclose(table[1, 2], weight[codes == 2, 1].sum() / weight[:, 1].sum())


def observations(kind: str) -> tuple[NDArray[np.int32], NDArray[np.generic], emissions.Emission]:
    rng = np.random.default_rng(3)
    labels = np.stack([sample(planted(), 400, seed) for seed in range(4)])
    if kind == "gaussian":
        x = np.array([[0.0, 0.0], [2.5, 0.0], [0.0, 2.5]])[labels] + rng.normal(size=(4, 400, 2))
        return labels, x, emissions.Gaussian.start(x, 3, seed=0)
    probability = rng.dirichlet(np.full(12, 0.3), 3)
    if kind == "categorical":
        codes = np.array([[rng.choice(12, p=probability[k]) for k in row] for row in labels])
        return labels, codes, emissions.Categorical.start(codes, 3, 12, seed=0)
    counts = np.array([[rng.multinomial(3, probability[k]) for k in row] for row in labels])
    return labels, counts, emissions.Multinomial.start(counts, 3, seed=0)


@pytest.mark.parametrize("kind", ["gaussian", "categorical", "multinomial"])
def test_a_model_is_learnt_without_labels(kind: str) -> None:
    labels, data, start = observations(kind)
    mask = np.ones(labels.shape, dtype=np.bool_)
    mask[1, 50:60] = False
    lengths = [400, 400, 300, 400]
    found = fit(blank(), data, lengths, mask, max_iterations=80, tolerance=1e-4, emission=start)
    assert found.converged
    assert found.iterations == len(found.log_likelihood) - 1
    assert found.emission is not None
    # The penalised likelihood never falls; the priors are small beside 1,500 steps.
    assert (np.diff(found.log_likelihood) > -0.5).all()
    path = found.model.viterbi(found.emission.log_likelihood(data)).path
    single = start.log_likelihood(data).argmax(axis=-1).astype(np.int32)
    assert agreement(labels, path) > 0.9
    assert agreement(labels, path) > agreement(labels, single)


def test_what_is_masked_is_not_read() -> None:
    _, data, start = observations("gaussian")
    mask = np.ones(data.shape[:2], dtype=np.bool_)
    mask[:, 100:120] = False
    results = []
    for value in (0.0, np.nan):
        changed = np.array(data, dtype=np.float64)
        changed[:, 100:120] = value
        results.append(fit(blank(), changed, mask=mask, max_iterations=2, emission=start).log_likelihood)
    assert results[0] == results[1]


# --- priors --------------------------------------------------------------------------------------------------------


def test_sticky_prior_of_geometric_durations_counts_as_self_transitions() -> None:
    labels = np.repeat(np.tile([0, 1], 40), 5).astype(np.int32)
    stays = []
    for sticky in (0, 50):
        model = fit_supervised(labels, 2, "geometric", 500, duration_prior=1e-9, sticky=sticky)
        assert model.markov is not None
        stays.append(np.exp(model.markov.stay[1]))
    # State 1: 39 segments of 5 steps, the last one cut off; 4 steps of 5 are stays.
    stay_steps, ends = 39 * 4 + 4, 39
    np.testing.assert_allclose(stays, [(stay_steps + s) / (stay_steps + s + ends) for s in (0, 50)], rtol=1e-3)


def test_priors_of_every_transition_and_duration() -> None:
    labels = np.repeat([0, 1, 0, 1, 2, 0], 4).astype(np.int32)
    prior = np.array([[0.0, 1.0, 9.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    model = fit_supervised(labels, 3, "categorical", 6, transition_prior=prior, duration_prior=np.full((3, 6), 2.0))
    np.testing.assert_allclose(np.exp(model.log_transition[0]), [0, 3 / 12, 9 / 12])
    # Of 1: two segments of 4 steps, and two pseudo-segments of every length.
    np.testing.assert_allclose(np.exp(model.log_duration[1]), np.array([2, 2, 2, 4, 2, 2]) / 14)
    evidence = 2.0 * np.eye(3)[labels]
    found = fit(model, evidence, transition_prior=prior * 1e6, max_iterations=1)
    np.testing.assert_allclose(np.exp(found.model.log_transition[0]), [0, 0.1, 0.9], atol=1e-4)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: emissions.Gaussian(np.zeros((2, 1)), np.ones((2, 2, 2))), ValueError, "must agree"),
        (lambda: emissions.Gaussian(np.zeros((1, 2)), np.ones((1, 2, 2))), ValueError, "positive definite"),
        (lambda: emissions.Categorical(np.ones((1, 2))), ValueError, "sum to 1"),
        (lambda: emissions.Multinomial(np.ones((1, 1)), prior=-1.0), ValueError, "prior"),
        (lambda: emissions.Categorical(np.ones((1, 1))).log_likelihood([1]), ValueError, "mask missing"),
        (lambda: emissions.Categorical(np.ones((1, 1))).log_likelihood([0.0]), TypeError, "integer"),
        (lambda: emissions.Multinomial(np.ones((1, 1))).log_likelihood([[-1]]), ValueError, "counts"),
        (lambda: emissions.Gaussian.start(np.zeros((2, 1)), 3, 0), ValueError, "n_states=3"),
        (lambda: fit(blank(), np.zeros((3, 4, 5, 2)), emission=start()), ValueError, "observations of shape"),
        (lambda: fit(blank(), np.zeros((5, 2)), mask=np.zeros(5, bool), emission=start()), ValueError, "mask leaves"),
        (lambda: fit(blank(), np.zeros((5, 3)), sticky=40), ValueError, "sticky"),
        (lambda: fit(blank(), np.zeros((5, 3)), transition_prior=np.ones(3)), ValueError, "transition_prior"),
    ],
)
def test_bad_use_is_named(build: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build()


def start() -> emissions.Gaussian:
    return emissions.Gaussian(np.zeros((3, 2)), np.repeat(np.eye(2)[None], 3, axis=0))
