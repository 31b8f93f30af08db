"""The audit trail: its schema, and fits made again from it."""

import copy
import json
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans

from conv2d.clustering import (
    CodeMixtureClusterer,
    DirichletProcessClusterer,
    GMMClusterer,
    HDPClusterer,
    KMeansClusterer,
    ScikitLearnClusterer,
    replay,
)

SCHEMA = json.loads(files("conv2d.clustering").joinpath("audit.schema.json").read_text(encoding="utf-8"))
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(240, 4)) + 3 * RNG.integers(0, 2, (240, 1))
CODES = RNG.integers(0, 5, (240, 6), dtype=np.int32)
PRIOR = RNG.integers(-1, 4, 240)
GOING_ON = KMeansClusterer(random_state=3).fit_predict(FEATURES + 0.2 * RNG.normal(size=FEATURES.shape), k=4)
SUBJECT = np.repeat(["ann", "bob", "cy"], 80)

CASES: dict[str, tuple[Any, np.ndarray, dict[str, Any]]] = {
    "kmeans": (KMeansClusterer(min_support=0.2), FEATURES, {"k": 6, "prior_labels": PRIOR, "next_id": 9}),
    "kmeans, k chosen": (KMeansClusterer(random_state=5), FEATURES, {}),
    "gmm": (
        GMMClusterer(matching="centroid", criterion="stability", max_clusters=4),
        FEATURES,
        {"prior_labels": PRIOR},
    ),
    "kmeans, going on": (KMeansClusterer(), FEATURES, {"k": 4, "prior_labels": GOING_ON}),
    "gmm, going on": (GMMClusterer(), FEATURES, {"k": 4, "prior_labels": GOING_ON}),
    "process": (DirichletProcessClusterer(), FEATURES, {"prior_labels": PRIOR}),
    "hierarchical": (HDPClusterer(matching="iou"), FEATURES, {"prior_labels": PRIOR, "groups": SUBJECT}),
    "hierarchical, no groups": (HDPClusterer(), FEATURES, {}),
    "codes": (CodeMixtureClusterer(min_support=0.2), CODES, {"k": 5, "prior_labels": PRIOR}),
    "adapter": (ScikitLearnClusterer(AgglomerativeClustering(linkage="average")), FEATURES, {"k": 3}),
    "adapter, noise": (ScikitLearnClusterer(DBSCAN(eps=0.8)), FEATURES, {"prior_labels": PRIOR}),
}


@pytest.mark.parametrize("case", CASES)
def test_an_audit_keeps_the_schema_and_replays(case: str) -> None:
    model, data, call = CASES[case]
    labels = model.fit_predict(data, **call)
    audit = json.loads(json.dumps(model.audit(data), allow_nan=False))
    Draft202012Validator.check_schema(SCHEMA)
    assert list(Draft202012Validator(SCHEMA).iter_errors(audit)) == []
    assert audit["result"]["labels"] == labels.tolist()
    assert audit["seed"] == model.random_state
    assert len(audit["merges"]) == len(model.merges_)
    assert (audit["match"] is None) == (call.get("prior_labels") is None)
    if "going on" in case:
        assert audit["continuation"]["continued"]
    again = replay(audit, data)
    assert (again.same, again.differences) == (True, ())
    assert again.labels is not None
    assert np.array_equal(again.labels, labels)
    # In another order, the data are other data.
    other = replay(audit, data[::-1])
    assert other.differences[0].startswith("data: ")


def test_batches_are_replayed_as_batches() -> None:
    model = KMeansClusterer()
    for batch in np.split(FEATURES, [100, 150]):
        model.partial_fit(batch, k=3)
    audit = model.audit(FEATURES)
    assert audit["call"]["rows"] == [100, 50, 90]
    assert replay(audit, FEATURES).same
    with pytest.raises(ValueError, match="240 rows"):
        model.audit(FEATURES[:100])


def test_a_replay_says_what_differs() -> None:
    model = KMeansClusterer(min_support=0.05)
    model.fit(FEATURES, k=6, prior_labels=PRIOR)
    audit = model.audit(FEATURES)
    told = copy.deepcopy(audit)
    told["versions"]["numpy"] = "1.0"
    told["threads"]["blas"] = 99
    found = replay(told, FEATURES)
    assert found.same
    assert [text.split(":")[0] for text in found.differences] == ["versions, numpy", "threads"]
    told = copy.deepcopy(audit)
    told["params"]["random_state"] = 1
    told["call"]["k"] = 4
    found = replay(told, FEATURES)
    assert not found.same
    assert {text.split(":")[0] for text in found.differences} >= {"selection", "match", "labels"}
    forged = copy.deepcopy(audit)
    forged["result"]["labels"][7] = 77
    assert replay(forged, FEATURES).differences == (
        f"labels: 1 of 240 differ, the first is row 7: 77 in the audit, {model.labels_[7]} now.",
    )
    short = replay(audit, FEATURES[:200])
    assert (short.same, short.labels) == (False, None)
    assert "[240, 4]" in short.differences[0]


def test_what_is_no_audit_is_refused() -> None:
    audit = ScikitLearnClusterer(KMeans()).fit(FEATURES, k=2).audit(FEATURES)
    with pytest.raises(ValueError, match="format"):
        replay({}, FEATURES)
    with pytest.raises(ValueError, match="call missing"):
        replay({name: value for name, value in audit.items() if name != "call"}, FEATURES)
    with pytest.raises(ValueError, match="'Thief'"):
        replay({**audit, "class": "Thief"}, FEATURES)
    # Importing runs code: only scikit-learn's is run.
    for name in ("os.system", "sklearn_evil.KMeans", "KMeans"):
        estimator = {"estimator": name, "params": {}}
        with pytest.raises(ValueError, match="Only estimators of scikit-learn"):
            replay({**audit, "params": {**audit["params"], "estimator": estimator}}, FEATURES)


def test_an_audit_is_of_the_rows_that_were_fitted() -> None:
    model = GMMClusterer().fit(FEATURES, k=3)
    with pytest.raises(ValueError, match="240 rows"):
        model.audit(FEATURES[:-1])
    with pytest.raises(ValueError, match="other labels"):
        model.audit(FEATURES[::-1])
    with pytest.raises(ValueError, match="no record of its fit"):
        GMMClusterer.from_dict(model.to_dict()).audit(FEATURES)
    with pytest.raises(TypeError, match="no form in JSON"):
        ScikitLearnClusterer(DBSCAN().set_params(metric=lambda a, b: abs(a - b).sum(), eps=1.0)).fit(FEATURES).audit(
            FEATURES
        )
