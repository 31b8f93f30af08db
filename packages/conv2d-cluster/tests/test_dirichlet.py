"""The Dirichlet process: scikit-learn's posterior, its prediction, and the conventions."""

import warnings
from typing import Literal

import numpy as np
import pytest
from sklearn.mixture import BayesianGaussianMixture
from sklearn.utils.estimator_checks import check_estimator

from conv2d.clustering import Clusterer, DirichletProcessClusterer, HDPClusterer, MotifClusterer

TRUNCATED = pytest.mark.parametrize("kind", [DirichletProcessClusterer, HDPClusterer])


def corpus(seed: int = 0, apart: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat([0, 1, 2], [150, 100, 50])).astype(np.int32)
    return apart * np.eye(3, 4)[truth] + rng.normal(size=(300, 4)), truth


@TRUNCATED
def test_the_number_of_motifs_is_found(kind: type[DirichletProcessClusterer | HDPClusterer]) -> None:
    features, truth = corpus()
    model = kind(random_state=3)
    assert np.array_equal(model.fit_predict(features), truth)
    assert np.array_equal(model.predict(features), truth)
    assert (model.selection_.k, model.selection_.criterion) == (3, "posterior")
    assert "3 of the" in model.selection_.reason
    assert isinstance(model, Clusterer)
    assert np.array_equal(
        model.fit_predict(features, prior_labels=np.array([7, 2, 4])[truth]), np.array([7, 2, 4])[truth]
    )
    assert np.array_equal(model.predict(features), model.labels_)
    model.fit(features, k=2)
    assert model.selection_.k == 2
    assert "too low" in model.selection_.reason


@pytest.mark.parametrize("covariance_type", ["full", "diag", "tied"])
def test_prediction_is_that_of_the_posterior(covariance_type: Literal["full", "diag", "tied"]) -> None:
    features, _ = corpus(1, apart=2.0)  # overlapping, so that weights and certainty matter
    model = DirichletProcessClusterer(covariance_type=covariance_type, max_clusters=6, random_state=4).fit(features)
    peer = BayesianGaussianMixture(
        n_components=6,
        covariance_type=covariance_type,
        weight_concentration_prior_type="dirichlet_process",
        weight_concentration_prior=1.0,
        max_iter=500,
        random_state=4,
    ).fit(features)
    # Points from all over, some far from every component.
    points = np.random.default_rng(5).normal(scale=4.0, size=(2000, 4))
    theirs = peer.predict(features)
    held = np.unique(theirs)
    far = peer.predict_proba(points)[:, held].argmax(axis=1)
    ours = model.predict(points)
    pairs = set(zip(far.tolist(), ours.tolist(), strict=True))
    assert len(pairs) == len({pair[0] for pair in pairs}) == len({pair[1] for pair in pairs}) == held.size
    assert sorted(model.weights_) == pytest.approx(sorted(peer.weights_[held]))


@TRUNCATED
def test_degenerate_input(kind: type[DirichletProcessClusterer | HDPClusterer]) -> None:
    assert kind().fit_predict(np.ones((10, 3))).tolist() == [0] * 10
    two = np.repeat([[0.0, 0.0], [1.0, 1.0]], [7, 3], axis=0)
    assert kind().fit(two).selection_.k <= 2
    with pytest.raises(ValueError, match="distinct"):
        kind().fit(two, k=3)
    with pytest.raises(ValueError, match="NaN"):
        kind().fit([[0.0], [np.nan]])
    features, truth = corpus()
    for value in (7.0, 1e9):
        assert np.array_equal(kind().fit_predict(np.hstack([features, np.full((300, 1), value)])), truth)
    assert np.array_equal(kind().fit_predict(features + 1e6), truth)
    assert np.array_equal(kind().fit_predict(features.astype(np.float32)), truth)
    assert np.array_equal(kind(max_fit_points=200).fit_predict(features), truth)
    for name, value in (("max_clusters", 0), ("max_iter", 0), ("tol", -1.0), ("merge_distance", "l2")):
        with pytest.raises(ValueError, match=name):
            kind().set_params(**{name: value}).fit(features)
    with pytest.raises(ValueError, match="concentration"):
        DirichletProcessClusterer(concentration=0.0).fit(features)
    with pytest.raises(ValueError, match="alpha"):
        HDPClusterer(alpha=float("inf")).fit(features)
    with pytest.raises(ValueError, match="2 points"):
        DirichletProcessClusterer().fit([[1.0]])


@TRUNCATED
def test_storage_and_refits(kind: type[MotifClusterer], tmp_path) -> None:
    features, _ = corpus(2, apart=2.0)
    model = kind().fit(features)
    model.save(tmp_path / "motifs.json")
    loaded = kind.load(tmp_path / "motifs.json")
    assert loaded.to_dict() == model.to_dict()
    assert np.array_equal(loaded.predict(features), model.labels_)
    again = kind().fit(features, prior_labels=model.labels_, next_id=model.next_id_)
    assert again.to_dict() == model.to_dict()


@TRUNCATED
def test_scikit_learn_conventions(kind: type[DirichletProcessClusterer | HDPClusterer]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(kind(max_clusters=2), on_fail=None, on_skip=None)
    failed = {result["check_name"] for result in results if result["status"] == "failed"}
    # The second positional argument of fit_predict is k, as the contract has it, and not y.
    assert failed == {"check_fit_score_takes_y"}
    assert sum(result["status"] == "passed" for result in results) > 30
