"""The hierarchical process: its bound and densities against brute force, and what sharing motifs gains."""

import itertools

import numpy as np
import pytest
from scipy.special import gammaln
from scipy.stats import t as student
from sklearn.metrics import adjusted_rand_score

from conv2d.clustering import DirichletProcessClusterer, HDPClusterer, fit_groups
from conv2d.clustering._hdp_posterior import BLUR, Atoms, infer, statistics


def shared_and_private(seed: int, apart: float = 2.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eight subjects of 120 points: three states that all share, and one of its own for each."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(11, 8)) * apart / np.sqrt(2)
    weights = np.hstack([0.65 * rng.dirichlet([2, 2, 2], 8), 0.35 * np.eye(8)])
    truth = np.array([rng.choice(11, 120, p=w) for w in weights]).reshape(-1)
    return means[truth] + rng.normal(size=(960, 8)), truth, np.repeat([f"s{j}" for j in range(8)], 120)


def of(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.array([float(len(points))]), points.sum(axis=0, keepdims=True), (points**2).sum(axis=0, keepdims=True)


def test_evidence_and_predictive_are_those_of_the_normal_gamma() -> None:
    points = np.random.default_rng(0).normal(size=(7, 3))
    chained = 0.0
    for n in range(7):
        atoms = Atoms.given(*of(points[:n]))
        scale = np.sqrt(atoms.b[0] * (1 + 1 / atoms.kappa[0]) / atoms.a[0])
        expected = student.logpdf(points[n], 2 * atoms.a[0], atoms.mean[0], scale).sum()
        assert atoms.log_predictive(points[n : n + 1])[0, 0] == pytest.approx(expected)
        chained += expected
    assert Atoms.given(*of(points)).log_evidence()[0] == pytest.approx(chained)


def test_expected_log_density_is_the_mean_over_the_posterior() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(5, 2))
    atoms = Atoms.given(*of(points))
    precision = rng.gamma(atoms.a[0], 1 / atoms.b[0], (400_000, 2))
    mean = rng.normal(atoms.mean[0], 1 / np.sqrt(atoms.kappa[0] * precision))
    drawn = (np.log(precision / (2 * np.pi)) - precision * ((points[0] - mean) ** 2 + BLUR)).sum(axis=1) / 2
    assert atoms.expected_log_density(points[:1])[0, 0] == pytest.approx(drawn.mean(), abs=4 * drawn.std() / 632)


def test_the_bound_never_falls_and_stays_below_the_evidence() -> None:
    rng = np.random.default_rng(2)
    side = np.array([0, 0, 0, 0, 1, 1, 1])
    points = rng.normal([-1.0, 1.0], 0.5, (7, 2)) * np.where(side, 1, -1)[:, None]
    group, alpha = np.array([0, 0, 0, 1, 1, 1, 0]), 1.5
    found = infer(points, group, np.eye(2)[side] * 0.6 + 0.2, alpha=alpha, max_iter=100, tol=1e-9)
    assert len(found.beta) == 2
    assert np.diff(found.bounds).min() >= -1e-9
    # The evidence given the global weights: every assignment of the points to the two components.
    terms = []
    for z in itertools.product(range(2), repeat=7):
        counts, first, second = statistics(points, group, 2, np.eye(2)[list(z)])
        prior = alpha * found.beta
        weights = 2 * gammaln(alpha) - gammaln(alpha + counts.sum(axis=1)).sum()
        weights += (gammaln(prior + counts) - gammaln(prior)).sum()
        terms.append(weights + Atoms.given(counts.sum(axis=0), first, second).log_evidence().sum())
    evidence = float(np.logaddexp.reduce(terms))
    assert evidence - 3.0 < found.bounds[-1] <= evidence


def test_the_bound_never_falls_on_a_corpus() -> None:
    features, _, subject = shared_and_private(0)
    model = HDPClusterer().fit(features, groups=subject)
    assert len(model.bounds_) > 3
    assert np.diff(model.bounds_).min() >= -1e-6


@pytest.mark.parametrize("seed", range(3))
def test_shared_and_private_states_are_recovered(seed: int) -> None:
    features, truth, subject = shared_and_private(seed)
    model = HDPClusterer(random_state=seed).fit(features, groups=subject)
    pooled = DirichletProcessClusterer(max_clusters=20, random_state=seed).fit(features)
    alone = fit_groups(DirichletProcessClusterer(random_state=seed), features, subject)
    apart = np.concatenate([100 * j + alone[name].labels_ for j, name in enumerate(np.unique(subject))])
    ours = adjusted_rand_score(truth, model.labels_)
    assert ours > adjusted_rand_score(truth, pooled.labels_)
    assert ours > adjusted_rand_score(truth, apart)
    assert np.array_equal(model.predict(features, groups=subject), model.labels_)
    assert model.weights_.shape == (8, model.selection_.k)
    assert model.weights_.sum(axis=1) == pytest.approx(1)
    # A motif of one subject weighs nothing with the others.
    mine = np.array([np.bincount(model.labels_[subject == s], minlength=model.next_id_) for s in model.groups_])
    private = [m for m in range(model.next_id_) if (mine[:, m] > 20).sum() == 1 and mine[:, m].sum() < 60]
    assert len(private) >= 3
    for motif in private:
        owner = int(mine[:, motif].argmax())
        assert model.weights_[owner, motif] > 5 * np.delete(model.weights_[:, motif], owner).max()


def test_held_out_likelihood_is_higher_with_groups() -> None:
    features, _, subject = shared_and_private(5)
    held = np.arange(len(features)) % 4 == 0
    model = HDPClusterer().fit(features[~held], groups=subject[~held])
    pooled = HDPClusterer().fit(features[~held])
    assert model.score(features[held], groups=subject[held]) > pooled.score(features[held]) + 0.05
    # Without its group, or as an unknown one, a point is only judged by the weights of all.
    assert model.score(features[held]) == model.score(features[held], groups=np.full(held.sum(), "stranger"))
    assert model.score(features[held]) < model.score(features[held], groups=subject[held])


def test_the_density_sums_to_one_in_units_of_the_features() -> None:
    rng = np.random.default_rng(0)
    model = HDPClusterer().fit(100 + 5 * np.concatenate([rng.normal(-2, 0.3, 60), rng.normal(2, 0.3, 40)])[:, None])
    grid = np.linspace(0, 200, 20_001)[:, None]
    density = [np.exp(model.score(point[None])) for point in grid[::20]]
    assert np.trapezoid(density, grid[::20, 0]) == pytest.approx(1, abs=0.02)
    assert sorted(model.means_[:, 0]) == pytest.approx([90, 110], abs=1)
    assert model.variances_ == pytest.approx(np.full_like(model.variances_, 1.5**2), rel=0.5)


def test_groups_are_checked() -> None:
    features, _, subject = shared_and_private(0)
    with pytest.raises(ValueError, match="one group per row"):
        HDPClusterer().fit(features, groups=subject[:5])
    with pytest.raises(TypeError, match="strings or integers"):
        HDPClusterer().fit(features, groups=np.zeros(960))
    by_number = HDPClusterer().fit(features, groups=np.repeat(np.arange(8), 120))
    assert np.array_equal(by_number.labels_, HDPClusterer().fit(features, groups=subject).labels_)
    stored = HDPClusterer.from_dict(by_number.to_dict())
    assert np.array_equal(stored.predict(features, groups=np.repeat(np.arange(8), 120)), by_number.labels_)
    prior = np.where(by_number.labels_ == 0, 9, by_number.labels_)
    again = HDPClusterer(matching="centroid", min_support=0.01)
    assert again.fit_predict(features, prior_labels=prior, groups=subject).max() >= 9


def test_units_and_constant_features_change_nothing() -> None:
    features, _, subject = shared_and_private(1)
    model = HDPClusterer().fit(features, groups=subject)
    units = np.array([1e-3, 1, 10, 1e4, 2, 4, 8, 16])
    wide = np.insert(features * units, 3, 5.0, axis=1)
    other = HDPClusterer().fit(wide, groups=subject)
    assert np.array_equal(other.labels_, model.labels_)
    assert other.bounds_ == pytest.approx(model.bounds_)
    assert other.means_ == pytest.approx(np.insert(model.means_ * units, 3, 5.0, axis=1), rel=1e-6)
    assert other.variances_ == pytest.approx(np.insert(model.variances_ * units**2, 3, 0.0, axis=1), rel=1e-6)
    assert other.score(wide) == pytest.approx(model.score(features) - np.log(units).sum())
