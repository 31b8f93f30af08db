"""Any scikit-learn clusterer with stable ids."""

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import (
    DBSCAN,
    HDBSCAN,
    AgglomerativeClustering,
    Birch,
    BisectingKMeans,
    KMeans,
    MeanShift,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.utils.estimator_checks import check_estimator

from conv2d.clustering import Clusterer, ScikitLearnClusterer


def made(kind: Any, **params: Any) -> Any:
    """scikit-learn's defaults are taken for its types, and are not."""
    return kind(**params)


def blobs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat([0, 1, 2], [60, 40, 20])).astype(np.int32)
    return 20.0 * np.eye(3, 4)[truth] + rng.normal(size=(120, 4)), truth


@pytest.mark.parametrize(
    "estimator",
    [
        AgglomerativeClustering(),
        Birch(threshold=3.0),
        BisectingKMeans(),
        GaussianMixture(covariance_type="diag"),
        made(KMeans, n_init=2),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_estimators_with_a_number_of_clusters(estimator: Any) -> None:
    features, truth = blobs()
    before = estimator.get_params()
    model = ScikitLearnClusterer(estimator, max_clusters=5)
    assert np.array_equal(model.fit_predict(features, k=3), truth)
    assert np.array_equal(model.fit_predict(features), truth)
    assert (model.selection_.k, model.selection_.criterion) == (3, "silhouette")
    assert np.array_equal(model.fit_predict(features, k=3, prior_labels=truth + 5), truth + 5)
    assert np.array_equal(model.predict(features), truth + 5)
    assert estimator.get_params() == before  # a clone was fitted
    assert isinstance(model, Clusterer)


@pytest.mark.parametrize(
    "estimator",
    [DBSCAN(eps=4.0), made(HDBSCAN, copy=True), MeanShift(bandwidth=8.0)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_estimators_that_find_the_number(estimator: Any) -> None:
    features, truth = blobs()
    features = np.concatenate([features, [[300.0, 300.0, 300.0, 300.0]]])
    prior = np.append(np.array([7, 2, 4])[truth], -1)
    model = ScikitLearnClusterer(estimator)
    labels = model.fit_predict(features, prior_labels=prior)
    assert np.mean(labels[:120] == prior[:120]) > 0.9  # HDBSCAN leaves out more
    assert labels[120] == (8 if isinstance(estimator, MeanShift) else -1)
    assert np.array_equal(model.predict(features), labels)
    assert model.selection_.criterion == "estimator"
    assert "itself" in model.selection_.reason
    with pytest.raises(ValueError, match="finds the number itself"):
        model.fit(features, k=3)
    assert set(ScikitLearnClusterer(estimator, min_support=0.4).fit_predict(features).tolist()) <= {-1, 0, 1}


def test_all_noise_is_no_motif() -> None:
    features, truth = blobs()
    model = ScikitLearnClusterer(DBSCAN(eps=1e-3))
    assert model.fit_predict(features, prior_labels=truth).tolist() == [-1] * 120
    assert model.motif_ids_.size == 0
    assert (model.next_id_, model.match_ and model.match_.retired) == (3, (0, 1, 2))
    assert model.predict(features[:3]).tolist() == [-1] * 3


def test_nothing_is_pickled_and_nothing_else_is_taken() -> None:
    features, _ = blobs()
    with pytest.raises(TypeError, match="audit"):
        ScikitLearnClusterer(KMeans()).fit(features, k=2).to_dict()
    with pytest.raises(TypeError, match="fit_predict"):
        ScikitLearnClusterer("kmeans").fit(features)


class Complaining(ClusterMixin, BaseEstimator):
    def __init__(self, n_clusters: int = 2) -> None:
        self.n_clusters = n_clusters

    def fit(self, features: np.ndarray, y: object = None) -> "Complaining":
        warnings.warn("look out", UserWarning, stacklevel=1)
        warnings.warn("not yet", ConvergenceWarning, stacklevel=1)
        self.labels_ = np.arange(len(features)) % self.n_clusters
        return self


def test_warnings_of_the_estimator_come_through() -> None:
    features, _ = blobs()
    with pytest.warns() as caught:
        model = ScikitLearnClusterer(Complaining()).fit(features, k=2)
    assert [warning.category for warning in caught] == [UserWarning, ConvergenceWarning]
    assert not model.converged_


def test_scikit_learn_conventions() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ScikitLearnClusterer(made(KMeans, n_init=1), min_clusters=2, max_clusters=2)
        results = check_estimator(model, on_fail=None, on_skip=None)
    failed = {result["check_name"] for result in results if result["status"] == "failed"}
    # The second positional argument of fit_predict is k, as the contract has it, and not y.
    assert failed == {"check_fit_score_takes_y"}
