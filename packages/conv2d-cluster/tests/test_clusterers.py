"""k-means and Gaussian mixtures: stable ids, merging, selection, storage, degenerate input."""

import json
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import check_estimator

from conv2d.clustering import Clusterer, GMMClusterer, KMeansClusterer

BOTH = pytest.mark.parametrize("kind", [KMeansClusterer, GMMClusterer])
EVERY = pytest.mark.parametrize(
    "model",
    [KMeansClusterer(), *(GMMClusterer(covariance_type=c) for c in ("full", "diag", "tied"))],
    ids=["kmeans", "full", "diag", "tied"],
)


def blobs(sizes: tuple[int, ...] = (120, 90, 60, 30), seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Clusters 20 standard deviations apart, in random order, with their true ids (largest first)."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centers = 20.0 * np.eye(len(sizes), 5)
    return centers[truth] + rng.normal(size=(truth.size, 5)), truth.astype(np.int32)


@EVERY
def test_planted_clusters_are_found_largest_first(model: KMeansClusterer | GMMClusterer) -> None:
    features, truth = blobs()
    labels = model.fit_predict(features, k=4)
    assert labels.dtype == np.int32
    assert np.array_equal(labels, truth)
    assert np.array_equal(model.labels_, labels)
    assert np.array_equal(model.predict(features), labels)
    assert model.motif_ids_.tolist() == model.component_motifs_.tolist() == [0, 1, 2, 3]
    assert (model.next_id_, model.match_, model.merges_, model.converged_) == (4, None, (), True)
    assert isinstance(model, Clusterer)


@EVERY
def test_ids_and_parameters_follow_prior_labels(model: KMeansClusterer | GMMClusterer) -> None:
    features, truth = blobs()
    previous = np.array([8, 3, 11, 0])[truth]
    previous[::7] = -1
    labels = model.fit_predict(features, k=4, prior_labels=previous)
    assert np.array_equal(labels, np.array([8, 3, 11, 0])[truth])
    assert np.array_equal(model.predict(features), labels)
    assert model.motif_ids_.tolist() == [0, 3, 8, 11]
    assert model.next_id_ == 12
    centers = model.cluster_centers_ if isinstance(model, KMeansClusterer) else model.means_
    for motif, center in zip(model.component_motifs_, centers, strict=True):
        assert center == pytest.approx(features[labels == motif].mean(axis=0), abs=1e-3)
    again = model.fit_predict(features, k=4, prior_labels=labels, next_id=model.next_id_)
    assert np.array_equal(again, labels)
    assert model.next_id_ == 12


def test_the_call_of_the_contract_works_as_written() -> None:
    features, truth = blobs(seed=5)
    previous = (3 - truth).astype(np.int32)
    labels = GMMClusterer(random_state=42).fit_predict(features, k=4, prior_labels=previous)
    assert np.array_equal(labels, previous)


@BOTH
def test_more_and_fewer_motifs_than_before(kind: type[KMeansClusterer | GMMClusterer]) -> None:
    features, truth = blobs()
    model = kind()
    labels = model.fit_predict(features, k=4, prior_labels=np.minimum(truth, 2))
    assert model.match_ is not None
    assert model.match_.new == (3,)
    assert np.array_equal(labels, truth)  # motif 2 keeps the larger share of what it was
    labels = model.fit_predict(features, k=3, prior_labels=truth)
    assert model.match_.retired != ()
    assert set(labels.tolist()) == {0, 1, 2, 3} - set(model.match_.retired)
    assert model.next_id_ == 4
    # The retired id was the largest: only next_id keeps it from coming back.
    model.fit(features, k=4, prior_labels=np.where(truth == 3, -1, truth), next_id=4)
    assert model.motif_ids_.tolist() == [0, 1, 2, 4]


@EVERY
def test_small_motifs_are_merged_into_the_nearest(model: KMeansClusterer | GMMClusterer) -> None:
    rng = np.random.default_rng(1)
    # Two small clusters near the second large one: the smallest goes first, then the pair is still too small.
    parts = [(0.0, 200), (100.0, 200), (140.0, 6), (160.0, 4)]
    features = np.concatenate([rng.normal([m, 0.0], 1.0, (n, 2)) for m, n in parts])
    truth = np.repeat([0, 1, 1, 1], [n for _, n in parts])
    merging = type(model)(**{**model.get_params(), "min_support": 0.05})
    labels = merging.fit_predict(features, k=4)
    assert len(set(zip(labels.tolist(), truth.tolist(), strict=True))) == len(set(labels.tolist())) == 2
    assert [(merge.support, merge.into_support) for merge in merging.merges_] == [(4, 6), (10, 200)]
    assert all(merge.distance > 0 for merge in merging.merges_)
    assert np.array_equal(merging.predict(features), labels)
    assert np.bincount(merging.component_motifs_).tolist() in ([1, 3], [3, 1])
    # With prior labels the survivors keep their ids, and nothing is renumbered.
    kept = merging.fit_predict(features, k=4, prior_labels=np.where(truth == 0, 9, 4))
    assert np.array_equal(kept, np.where(truth == 0, 9, 4))
    assert merging.motif_ids_.tolist() == [4, 9]


@EVERY
def test_refits_on_the_same_data_change_nothing(model: KMeansClusterer | GMMClusterer) -> None:
    features = np.random.default_rng(3).normal(size=(300, 4))  # no structure: ids could go anywhere
    merging = type(model)(**{**model.get_params(), "min_support": 0.1})
    labels, next_id = merging.fit_predict(features, k=8), merging.next_id_
    stored = merging.to_dict()
    for matching in ("overlap", "iou", "centroid"):
        again = type(model)(**{**merging.get_params(), "matching": matching})
        assert np.array_equal(again.fit_predict(features, k=8, prior_labels=labels, next_id=next_id), labels)
        assert again.to_dict() == {**stored, "params": again.get_params()}
        assert again.match_ is not None
        assert (again.match_.new, again.match_.retired) == ((), ())


@BOTH
def test_merging_ends_with_one_motif_at_the_latest(kind: type[KMeansClusterer | GMMClusterer]) -> None:
    features, _ = blobs()
    model = kind(min_support=0.99)
    assert set(model.fit_predict(features, k=4).tolist()) == {0}
    assert len(model.merges_) == 3


@BOTH
def test_k_is_selected_on_record(kind: type[KMeansClusterer | GMMClusterer]) -> None:
    features, truth = blobs()
    model = kind(min_clusters=2, max_clusters=7)
    assert np.array_equal(model.fit_predict(features), truth)
    chosen = model.selection_
    assert chosen.k == 4
    assert [candidate.k for candidate in chosen.candidates] == [2, 3, 4, 5, 6, 7]
    scores = [candidate.score for candidate in chosen.candidates]
    best = min(scores) if chosen.criterion == "bic" else max(scores)
    assert scores.index(best) == 2
    assert "k=4" in chosen.reason
    model.fit(features, k=3)
    assert (model.selection_.criterion, model.selection_.candidates) == ("given", ())


@BOTH
def test_k_is_selected_by_stability(kind: type[KMeansClusterer | GMMClusterer]) -> None:
    features, truth = blobs()
    model = kind(min_clusters=1, max_clusters=7, criterion="stability")
    assert np.array_equal(model.fit_predict(features), truth)
    assert [candidate.k for candidate in model.selection_.candidates] == [2, 3, 4, 5, 6, 7]
    assert model.selection_.candidates[2].score == 1.0
    assert "bootstrap" in model.selection_.reason


def test_scores_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import silhouette_score
    from sklearn.mixture import GaussianMixture

    features, _ = blobs()
    gmm = GMMClusterer(min_clusters=3, max_clusters=3).fit(features)
    peer = GaussianMixture(3, covariance_type="diag", n_init=4, max_iter=200, random_state=0).fit(features)
    assert gmm.selection_.candidates[0].score == pytest.approx(peer.bic(features))
    kmeans = KMeansClusterer(min_clusters=3, max_clusters=3).fit(features)
    assert kmeans.selection_.candidates[0].score == pytest.approx(silhouette_score(features, kmeans.labels_))


@pytest.mark.parametrize("covariance_type", ["full", "diag", "tied"])
def test_distance_of_gaussians_is_the_bhattacharyya_integral(covariance_type: Literal["full", "diag", "tied"]) -> None:
    features, _ = blobs((40, 40))
    features = features[:, :1] / 8  # one feature, so that the integral can be taken; overlapping enough to matter
    model = GMMClusterer(covariance_type=covariance_type).fit(features, k=2)
    grid = np.linspace(-10, 10, 200_001)
    variance = np.broadcast_to(model.covariances_.reshape(-1), (2,))
    one, two = (
        np.exp(-((grid - m) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v)
        for m, v in zip(model.means_[:, 0], variance, strict=True)
    )
    expected = -np.log(np.sum(np.sqrt(one * two)) * (grid[1] - grid[0]))
    # A minimum support above one half merges the two, and records their distance.
    apart = GMMClusterer(covariance_type=covariance_type, min_support=0.9, merge_distance="mahalanobis").fit(
        features, k=2
    )
    gap = abs(model.means_[0, 0] - model.means_[1, 0])
    assert apart.merges_[0].distance == pytest.approx(gap / np.sqrt(variance.mean()))
    merged = GMMClusterer(covariance_type=covariance_type, min_support=0.9).fit(features, k=2)
    assert merged.merges_[0].distance == pytest.approx(expected, rel=1e-6)


@EVERY
def test_save_and_load_are_exact(model: KMeansClusterer | GMMClusterer, tmp_path: Path) -> None:
    features, truth = blobs()
    model.fit(features, k=4, prior_labels=truth + 5)
    model.save(tmp_path / "motifs.json")
    loaded = type(model).load(tmp_path / "motifs.json")
    assert loaded.to_dict() == model.to_dict()
    assert loaded.get_params() == model.get_params()
    assert np.array_equal(loaded.predict(features), model.labels_)
    assert (loaded.next_id_, loaded.n_iter_, loaded.converged_) == (model.next_id_, model.n_iter_, model.converged_)
    assert [path.name for path in tmp_path.iterdir()] == ["motifs.json"]
    other = GMMClusterer if isinstance(model, KMeansClusterer) else KMeansClusterer
    with pytest.raises(ValueError, match="load it with that class"):
        other.load(tmp_path / "motifs.json")


@pytest.mark.parametrize("text", ["", "[1]", '{"format": "other"}', "\ufffe"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "motifs.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"model|format"):
        KMeansClusterer.load(path)
    stored = KMeansClusterer().fit(blobs()[0], k=2).to_dict()
    del stored["components"]
    path.write_text(json.dumps(stored), encoding="utf-8")
    with pytest.raises(ValueError, match="components missing"):
        KMeansClusterer.load(path)


@EVERY
def test_the_same_seed_gives_the_same_model(model: KMeansClusterer | GMMClusterer) -> None:
    rng = np.random.default_rng(2)
    features = rng.normal(size=(120, 4))  # no structure: many equally good optima
    first = model.fit(features, k=5).to_dict()
    assert model.fit(features, k=5).to_dict() == first
    other = type(model)(**{**model.get_params(), "random_state": 1}).fit(features, k=5).to_dict()
    assert other["components"] != first["components"]


@EVERY
def test_float32_is_computed_in_float64(model: KMeansClusterer | GMMClusterer) -> None:
    features = blobs()[0].astype(np.float32)
    narrow = model.fit(features, k=4).to_dict()
    assert model.fit(features.astype(np.float64), k=4).to_dict() == narrow


@EVERY
def test_a_constant_feature_changes_no_label(model: KMeansClusterer | GMMClusterer) -> None:
    features, truth = blobs()
    for value in (7.0, 1e9):
        assert np.array_equal(model.fit_predict(np.hstack([features, np.full((len(features), 1), value)]), k=4), truth)
    assert np.array_equal(model.fit_predict(features + 1e6, k=4), truth)


@EVERY
def test_duplicate_points_and_one_cluster(model: KMeansClusterer | GMMClusterer) -> None:
    same = np.ones((10, 3))
    assert model.fit_predict(same, k=1).tolist() == [0] * 10
    two = np.repeat([[0.0, 0.0], [1.0, 1.0]], [7, 3], axis=0)
    assert model.fit_predict(two, k=2).tolist() == [0] * 7 + [1] * 3
    with pytest.raises(ValueError, match="distinct"):
        model.fit(two, k=3)
    with pytest.raises(ValueError, match="at most 2 clusters"):
        model.fit(two)


@BOTH
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"features": np.ones((3, 2, 2)), "k": 1}, ValueError, "dim"),
        ({"features": [[0.0], [np.nan], [1.0]], "k": 1}, ValueError, "NaN in 1 of 3 rows, the first is row 1"),
        ({"features": [[0.0], [np.inf], [1.0]], "k": 1}, ValueError, "infinity"),
        ({"features": [[0.0], [1.0]], "k": 3}, ValueError, "2 rows"),
        ({"features": [[0.0], [1.0]], "k": 0}, ValueError, "k must be at least 1"),
        ({"features": [[0.0], [1.0]], "k": 1.5}, TypeError, "k must be an integer"),
        ({"features": [[0.0], [1.0]], "k": 1, "prior_labels": [0]}, ValueError, "1 labels for 2 rows"),
        ({"features": [[0.0], [1.0]], "k": 1, "prior_labels": [0.5, 1]}, TypeError, "prior_labels"),
        ({"features": [[0.0], [1.0]], "k": 1, "next_id": 3}, ValueError, "together with prior_labels"),
    ],
)
def test_bad_input_is_named(
    kind: type[KMeansClusterer | GMMClusterer], arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        kind().fit_predict(**arguments)


@BOTH
@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"min_clusters": 0}, ValueError, "min_clusters"),
        ({"min_clusters": 5, "max_clusters": 4}, ValueError, "max_clusters"),
        ({"min_support": 1.0}, ValueError, "min_support"),
        ({"min_support": float("nan")}, ValueError, "min_support"),
        ({"n_init": 0}, ValueError, "n_init"),
        ({"criterion": "elbow"}, ValueError, "criterion"),
        ({"matching": "dice"}, ValueError, "matching"),
        ({"tol": -1.0}, ValueError, "tol"),
        ({"max_fit_points": 0}, ValueError, "max_fit_points"),
        ({"max_iter": 2.5}, TypeError, "max_iter"),
        ({"random_state": None}, TypeError, "random_state"),
    ],
)
def test_bad_parameters_are_named(
    kind: type[KMeansClusterer | GMMClusterer], parameters: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        kind(**parameters).fit(blobs()[0])


def test_bad_gmm_parameters_are_named() -> None:
    with pytest.raises(ValueError, match="merge_distance"):
        GMMClusterer().set_params(merge_distance="euclidean").fit(blobs()[0])
    with pytest.raises(ValueError, match="covariance_type"):
        GMMClusterer().set_params(covariance_type="spherical").fit(blobs()[0])
    with pytest.raises(ValueError, match="reg_covar"):
        GMMClusterer(reg_covar=0.0).fit(blobs()[0])
    with pytest.raises(ValueError, match="2 points"):
        GMMClusterer().fit([[1.0]], k=1)


@BOTH
def test_predict_needs_a_fit_and_the_same_columns(kind: type[KMeansClusterer | GMMClusterer]) -> None:
    features, _ = blobs()
    with pytest.raises(NotFittedError):
        kind().predict(features)
    with pytest.raises(NotFittedError):
        kind().to_dict()
    with pytest.raises(ValueError, match="5 features"):
        kind().fit(features, k=2).predict(features[:, :3])


def test_an_unconverged_fit_says_so_once() -> None:
    features = np.random.default_rng(0).normal(size=(300, 6))
    for model in (GMMClusterer(max_iter=2, max_clusters=4), KMeansClusterer(max_iter=1, max_clusters=4)):
        with pytest.warns(ConvergenceWarning, match="max_iter") as caught:
            model.fit(features)
        assert len(caught) == 1
        assert not model.converged_


@BOTH
def test_scikit_learn_conventions(kind: type[KMeansClusterer | GMMClusterer]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(kind(min_clusters=2, max_clusters=2, n_init=1), on_fail=None, on_skip=None)
    failed = {result["check_name"] for result in results if result["status"] == "failed"}
    # The second positional argument of fit_predict is k, as the contract has it, and not y.
    assert failed == {"check_fit_score_takes_y"}
    assert sum(result["status"] == "passed" for result in results) > 30


def test_batches_move_centroids_to_the_mean_of_all_points() -> None:
    features, _ = blobs((500, 400, 300))
    batches = np.split(features, 6)
    model = KMeansClusterer().partial_fit(batches[0], k=3)
    names = model.component_motifs_.tolist()
    given_to = [model.labels_]
    for batch in batches[1:]:
        given_to.append(model.predict(batch))
        model.partial_fit(batch)
        assert np.array_equal(model.labels_, model.predict(batch))
    assert model.component_motifs_.tolist() == names
    motif = np.concatenate(given_to)
    for name, center in zip(names, model.cluster_centers_, strict=True):
        assert center == pytest.approx(features[motif == name].mean(axis=0))
    # A model that was stored goes on as the one in memory, and merged components stay merged.
    loaded = KMeansClusterer.from_dict(model.to_dict())
    assert np.array_equal(
        loaded.partial_fit(batches[0]).cluster_centers_, model.partial_fit(batches[0]).cluster_centers_
    )
    with pytest.raises(ValueError, match="5 features"):
        model.partial_fit(batches[0][:, :2])
    with pytest.raises(ValueError, match="distinct"):
        KMeansClusterer().partial_fit([[0.0], [0.0]], k=2)


@BOTH
def test_very_many_points_take_the_shorter_way(kind: type[KMeansClusterer | GMMClusterer]) -> None:
    features, truth = blobs((12_000, 9_000, 6_000, 3_000))
    model = kind(max_fit_points=10_000)  # k-means by mini-batches, mixtures by a sample
    assert np.array_equal(model.fit_predict(features, k=4), truth)
    full = kind().fit(features, k=4)  # the starts compete on some of the rows, and all are fitted
    assert np.array_equal(full.labels_, truth)
    peer = np.array([features[truth == c].mean(axis=0) for c in range(4)])
    centers = full.cluster_centers_ if isinstance(full, KMeansClusterer) else full.means_
    assert centers == pytest.approx(peer, abs=1e-9)
