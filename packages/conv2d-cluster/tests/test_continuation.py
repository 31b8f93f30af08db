"""Motifs that go on from earlier ones: against brute force and scikit-learn, and what decides it."""

import warnings
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from conv2d.clustering import (
    CodeMixtureClusterer,
    DirichletProcessClusterer,
    GMMClusterer,
    KMeansClusterer,
    match_labels,
)

Floats = NDArray[np.float64]
NOISE = np.random.default_rng(0).normal(size=(400, 3))  # no structure: motifs could go anywhere
CODES = np.random.default_rng(0).integers(0, 4, (400, 5), dtype=np.int32)
CASES: dict[str, tuple[Any, NDArray[Any]]] = {
    "kmeans": (KMeansClusterer(), NOISE),
    "diag": (GMMClusterer(), NOISE),
    "full": (GMMClusterer(covariance_type="full"), NOISE),
    "tied": (GMMClusterer(covariance_type="tied"), NOISE),
    "codes": (CodeMixtureClusterer(), CODES),
}
EVERY = pytest.mark.parametrize("case", CASES)


def anew(model: Any, **changed: Any) -> Any:
    return type(model)(**{**model.get_params(), **changed})


@EVERY
@pytest.mark.parametrize("margin", [0.0, 0.05, 0.99])
@pytest.mark.parametrize("k", [3, 5])
def test_a_refit_on_the_same_data_changes_nothing(case: str, margin: float, k: int) -> None:
    model, data = CASES[case]
    # Whatever the first labels were, and however the fit took them up, what it returns it returns again.
    for seed in range(4):
        prior = np.random.default_rng(seed).integers(0, 4, len(data))
        prior = anew(model, random_state=seed).fit_predict(data, k=4) if seed % 2 else prior
        first = anew(model, prior_margin=margin, random_state=9)
        labels = first.fit_predict(data, k=k, prior_labels=prior)
        again = anew(first)
        assert np.array_equal(again.fit_predict(data, k=k, prior_labels=labels, next_id=first.next_id_), labels)
        assert {**again.to_dict(), "components": 0} == {**first.to_dict(), "components": 0}
        assert again.match_ is not None
        assert (again.match_.new, again.match_.retired, again.next_id_) == ((), (), first.next_id_)


def test_k_means_goes_on_as_lloyd_does_from_the_earlier_means() -> None:
    rng = np.random.default_rng(1)
    for seed in range(5):
        prior = rng.integers(0, 5, len(NOISE))
        means = np.array([NOISE[prior == c].mean(axis=0) for c in range(5)])
        peer = KMeans(**cast("Any", {"n_clusters": 5, "init": means, "n_init": 1, "tol": 0, "max_iter": 1000})).fit(
            NOISE
        )
        model = KMeansClusterer(prior_margin=0.99, random_state=seed).fit(NOISE, k=5, prior_labels=prior)
        assert model.continuation_ is not None
        if not model.continuation_.continued:
            assert "keeps the ids of more points" in model.continuation_.reason
            continue
        assert adjusted_rand_score(peer.labels_, model.labels_) == 1.0
        assert model.continuation_.loss == pytest.approx(cast("float", peer.inertia_) / len(NOISE))


def by_hand(x: Floats, labels: NDArray[np.intp], k: int) -> tuple[Floats, Floats, Floats]:
    weights = np.array([np.mean(labels == c) for c in range(k)])
    means = np.array([x[labels == c].mean(axis=0) for c in range(k)])
    return weights, means, np.array([x[labels == c].var(axis=0) for c in range(k)]) + 1e-6


def test_a_mixture_goes_on_by_classification() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, 300)
    x = 2.5 * np.eye(3)[truth] + rng.normal(size=(300, 3))
    prior = x.argmax(axis=1)  # the nearest mean, but without regard to weights and variances
    labels, before = prior, np.zeros_like(prior)
    weights, means, variances, joint = (np.empty(0),) * 4
    while not np.array_equal(labels, before):
        weights, means, variances = by_hand(x, labels, 3)
        joint = np.log(weights) - 0.5 * (
            ((x[:, None] - means) ** 2 / variances).sum(axis=2) + np.log(2 * np.pi * variances).sum(axis=1)
        )
        labels, before = joint.argmax(axis=1), labels
    model = GMMClusterer(prior_margin=0.99).fit(x, k=3, prior_labels=prior)
    told = model.continuation_
    assert told is not None
    assert told.continued
    assert told.loss is not None and told.fresh_loss is not None and told.given_up is not None
    assert np.array_equal(model.labels_, labels)
    assert model.means_ == pytest.approx(means)
    assert model.covariances_ == pytest.approx(variances)
    assert told.loss == pytest.approx(-np.log(np.exp(joint).sum(axis=1)).mean())
    # What it gives up is what the record says, with the loss of one Gaussian for all points as the other end.
    fresh = GMMClusterer().fit(x, k=3)
    peer = GaussianMixture(3, covariance_type="diag")
    peer.weights_, peer.means_, peer.covariances_ = fresh.weights_, fresh.means_, fresh.covariances_
    peer.precisions_cholesky_ = 1 / np.sqrt(fresh.covariances_)
    alone = -GaussianMixture(1, covariance_type="diag").fit(x).score(x)
    assert told.fresh_loss == pytest.approx(-peer.score(x))
    assert told.given_up == pytest.approx((told.loss - told.fresh_loss) / (alone - told.fresh_loss))
    # The margin, and nothing else, decides.
    assert told.given_up > 0
    for factor in (0.99, 1.01):
        close = GMMClusterer(prior_margin=factor * told.given_up).fit(x, k=3, prior_labels=prior)
        assert close.continuation_ is not None
        assert close.continuation_.continued == (factor > 1)
        assert np.array_equal(close.labels_, labels if factor > 1 else match_labels(prior, fresh.labels_).labels)


def moved(seed: int) -> tuple[Floats, NDArray[np.intp], Floats, NDArray[np.intp]]:
    """Four clusters last week; this week they have moved, and there is a fifth."""
    rng = np.random.default_rng(seed)
    means = 8 * rng.normal(size=(5, 8)) / np.sqrt(8)
    was, now = rng.integers(0, 4, 800), np.concatenate([rng.integers(0, 4, 800), np.full(120, 4)])
    x = means[was] + rng.normal(size=(800, 8))
    means += 0.5 * rng.normal(size=means.shape)
    return x, was, means[now] + rng.normal(size=(920, 8)), now


@pytest.mark.parametrize("kind", [KMeansClusterer, GMMClusterer])
def test_data_that_moved_keep_their_ids_and_a_new_cluster_gets_a_new_one(
    kind: type[KMeansClusterer | GMMClusterer],
) -> None:
    ours, fresh = [], []
    for seed in range(6):
        before, _, x, truth = moved(seed)
        old = kind().fit(before, k=4)
        prior = old.predict(x)
        model = kind(random_state=seed + 1).fit(x, k=5, prior_labels=prior, next_id=old.next_id_)
        assert model.match_ is not None
        assert (model.match_.new, model.match_.retired) == ((4,), ())
        assert np.mean(model.labels_[truth == 4] == 4) > 0.9
        for c in range(4):  # each old cluster has mostly the id that the old model gave it
            assert np.bincount(model.labels_[truth == c]).argmax() == np.bincount(prior[truth == c]).argmax()
        ours.append(adjusted_rand_score(truth, model.labels_))
        fresh.append(adjusted_rand_score(truth, kind(random_state=seed + 1).fit_predict(x, k=5)))
    # Ids are not bought with a worse clustering.
    assert np.mean(ours) > np.mean(fresh) - 0.01


def test_labels_that_say_nothing_of_the_data_do_not_stay() -> None:
    _, _, x, truth = moved(0)
    prior = np.random.default_rng(0).integers(0, 5, len(x))
    for model in (KMeansClusterer(), GMMClusterer()):
        labels = model.fit_predict(x, k=5, prior_labels=prior)
        assert adjusted_rand_score(truth, labels) > 0.9


def test_fewer_motifs_than_before_go_on_too() -> None:
    _, _, x, truth = moved(1)
    model = KMeansClusterer().fit(x, k=4, prior_labels=truth + 10)
    assert model.continuation_ is not None
    assert model.continuation_.loss is not None
    assert model.match_ is not None
    assert len(model.match_.retired) == 1
    assert set(model.motif_ids_.tolist()) == set(range(10, 15)) - set(model.match_.retired)


@pytest.mark.parametrize("kind", [KMeansClusterer, GMMClusterer])
def test_points_without_an_earlier_label_join(kind: type[KMeansClusterer | GMMClusterer]) -> None:
    _, _, x, truth = moved(2)
    prior = np.where(np.arange(len(x)) % 3 == 0, truth + 1000, -1)
    labels = kind(random_state=3).fit_predict(x, k=5, prior_labels=prior)
    assert np.mean(labels == truth + 1000) > 0.95
    nobody = kind().fit(x, k=5, prior_labels=np.full(len(x), -1))
    assert nobody.continuation_ is not None
    assert not nobody.continuation_.continued
    assert nobody.next_id_ == 5


def test_what_cannot_go_on_says_why() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(c, 0.1, (40, 2)) for c in (0, 4, 8)])
    prior = np.repeat([0, 1, 2], 40)
    prior[0] = 3  # a motif of one point
    few = KMeansClusterer().fit(x, k=4, prior_labels=prior).continuation_
    assert few is not None
    assert "fewer than 2 points" in few.reason
    # Two motifs out of four components: small ones are merged, and there are not as many motifs as components.
    merged = KMeansClusterer(min_support=0.3).fit(x, k=5, prior_labels=np.minimum(prior, 1)).continuation_
    assert merged is not None
    assert "components" in merged.reason
    uneven = np.concatenate([rng.normal(c, 0.1, (n, 2)) for c, n in ((0, 57), (4, 57), (8, 6))])
    lost = GMMClusterer(min_support=0.1).fit(uneven, k=3, prior_labels=np.repeat([0, 1, 2], [56, 57, 7])).continuation_
    assert lost is not None
    assert "lost its support" in lost.reason
    assert KMeansClusterer().fit(x, k=3).continuation_ is None
    process = DirichletProcessClusterer().fit(x, prior_labels=np.repeat([0, 1, 2], 40))
    assert process.continuation_ is None  # it only matches
    for wrong in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match="prior_margin"):
            GMMClusterer(prior_margin=wrong).fit(x, k=3)


@pytest.mark.parametrize("covariance_type", ["diag", "full", "tied"])
def test_expectation_maximisation_is_that_of_scikit_learn(covariance_type: Any) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2500, 4)) + 3 * rng.integers(0, 2, (2500, 1)) + 50  # more than one block of rows
    model = GMMClusterer(covariance_type=covariance_type, max_iter=3000, tol=1e-12).fit(x, k=3)
    precisions = 1 / model.covariances_ if covariance_type == "diag" else np.linalg.inv(model.covariances_)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = GaussianMixture(
            3,
            covariance_type=covariance_type,
            weights_init=model.weights_,
            means_init=model.means_,
            precisions_init=precisions,
            max_iter=1,
        ).fit(x)
    # One more step by scikit-learn stays where ours has converged.
    assert peer.means_ == pytest.approx(model.means_, abs=1e-5)
    assert peer.covariances_ == pytest.approx(model.covariances_, abs=1e-5)
    assert peer.weights_ == pytest.approx(model.weights_, abs=1e-5)
    assert np.array_equal(peer.predict(x), model.predict(x))


def test_ids_are_never_reused_over_a_chain_of_stored_models(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    used: set[int] = set()
    before: GMMClusterer | None = None
    for week in range(8):
        k = (4, 2, 5, 3, 6, 3, 5, 4)[week]
        x = 8 * rng.normal(size=(k, 3))[rng.integers(0, k, 300)] + rng.normal(size=(300, 3))
        model = GMMClusterer(random_state=week)
        if before is None:
            model.fit(x, k=k)
        else:
            model.fit(x, k=k, prior_labels=before.predict(x), next_id=before.next_id_)
            assert model.match_ is not None
            assert not used & set(model.match_.new)
            assert set(model.motif_ids_.tolist()) <= set(before.motif_ids_.tolist()) | set(model.match_.new)
        assert model.next_id_ > max(used | set(model.motif_ids_.tolist()))
        used |= set(model.motif_ids_.tolist())
        model.save(tmp_path / f"{week}.json")
        before = GMMClusterer.load(tmp_path / f"{week}.json")
        assert before.next_id_ == model.next_id_
    assert len(used) > 6
