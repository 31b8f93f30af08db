"""The stability report, fits through executors, and fits that repeat."""

import json
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
from joblib import Parallel
from threadpoolctl import threadpool_limits

from conv2d.clustering import (
    CodeMixtureClusterer,
    DirichletProcessClusterer,
    GMMClusterer,
    HDPClusterer,
    KMeansClusterer,
    fit_groups,
    stability_report,
)

RNG = np.random.default_rng(0)
SUBJECT = np.repeat(["ann", "bob", "cy"], 80)
# Two clear motifs, and a cloud that only k = 3 or more cuts in two, never the same way.
CLEAR = np.repeat([0, 1, 2], [60, 60, 120])
FEATURES = np.array([[0.0, 0.0], [40.0, 0.0], [0.0, 60.0]])[CLEAR] + RNG.normal(scale=[1, 6], size=(240, 2))[:, [0, 1]]
FEATURES[CLEAR == 2] = [0.0, 100.0] + 8 * RNG.normal(size=(120, 2))


def test_the_report_tells_real_motifs_from_cut_ones() -> None:
    order = np.random.default_rng(1).permutation(240)  # so that every subject shows every motif
    features, truth = FEATURES[order], CLEAR[order]
    report = stability_report(KMeansClusterer(), features, k=4, groups=SUBJECT, n_bootstrap=10)
    model = KMeansClusterer().fit(features, k=4)
    real = {int(model.labels_[truth == motif][0]) for motif in (0, 1)}
    assert [motif.motif for motif in report.motifs] == model.motif_ids_.tolist()
    for motif in report.motifs:
        assert motif.support == np.sum(model.labels_ == motif.motif)
        assert motif.left_out is not None
        assert (motif.bootstrap.ari > 0.99) == (motif.motif in real)
        assert motif.bootstrap.ari_low <= motif.bootstrap.ari
    assert report.bootstrap.kept == 1
    assert set(report.without) == {"ann", "bob", "cy"}
    assert json.loads(json.dumps(report.to_dict()))["refits"] == 10
    assert len(str(report).splitlines()) == 6


def test_a_motif_of_one_subject_is_lost_without_it() -> None:
    features = np.array([[0.0], [10.0], [20.0]])[CLEAR] + RNG.normal(size=(240, 1))
    subject = np.where(CLEAR == 1, "odd", np.where(np.arange(240) % 2, "one", "two"))
    for model in (GMMClusterer(max_clusters=4), DirichletProcessClusterer(), HDPClusterer()):
        report = stability_report(model, features, groups=subject, n_bootstrap=2)
        found = {round(float(features[model.fit(features).labels_ == m.motif].mean()), -1): m for m in report.motifs}
        lost = found[10.0].left_out
        assert lost is not None
        assert lost.ari_low < 0.5 < found[10.0].bootstrap.ari_low
        assert min(report.without, key=report.without.__getitem__) == "odd"
    with pytest.raises(ValueError, match="two groups"):
        stability_report(KMeansClusterer(), features, k=2, groups=["one"] * 240)
    with pytest.raises(ValueError, match="n_bootstrap"):
        stability_report(KMeansClusterer(), features, k=2, n_bootstrap=0)


def test_executors_change_nothing() -> None:
    codes = RNG.integers(0, 5, (240, 4), dtype=np.int32)
    prior = RNG.integers(-1, 3, 240)
    serial = fit_groups(GMMClusterer(), FEATURES, SUBJECT, k=3, prior_labels=prior)
    assert list(serial) == ["ann", "bob", "cy"]
    assert np.array_equal(
        serial["bob"].labels_, GMMClusterer().fit_predict(FEATURES[80:160], k=3, prior_labels=prior[80:160])
    )
    report = stability_report(CodeMixtureClusterer(), codes, k=2, n_bootstrap=3)
    processes = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    with ThreadPoolExecutor(2) as threads, processes:
        for executor in (threads, processes, Parallel(n_jobs=2, backend="threading")):
            other = fit_groups(GMMClusterer(), FEATURES, SUBJECT, k=3, prior_labels=prior, executor=executor)
            assert {name: model.to_dict() for name, model in other.items()} == {
                name: model.to_dict() for name, model in serial.items()
            }
            assert stability_report(CodeMixtureClusterer(), codes, k=2, n_bootstrap=3, executor=executor) == report


def test_bad_groups_are_named() -> None:
    with pytest.raises(TypeError, match="joblib"):
        fit_groups(GMMClusterer(), FEATURES, SUBJECT, k=2, executor=3)
    with pytest.raises(ValueError, match="one group per row"):
        fit_groups(GMMClusterer(), FEATURES, SUBJECT[:3], k=2)
    with pytest.raises(ValueError, match="prior_labels"):
        fit_groups(GMMClusterer(), FEATURES, SUBJECT, k=2, prior_labels=[1])
    with pytest.raises(ValueError, match=r"Group 'ann'.*distinct"):
        fit_groups(GMMClusterer(), np.where((SUBJECT == "ann")[:, None], 0.0, FEATURES), SUBJECT, k=2)


# Noise without structure: the hardest case, for any difference in rounding could tip a point.
REPEATED = """
import json, sys
import numpy as np
from conv2d.clustering import *
features = np.random.default_rng(7).normal(size=(1000, 8))
codes = np.random.default_rng(8).integers(0, 9, (400, 6))
subject = np.arange(1000) % 3
found = [
    KMeansClusterer(random_state=1).fit_predict(features, k=5),
    GMMClusterer(random_state=1).fit_predict(features, k=5),
    DirichletProcessClusterer(random_state=1, max_clusters=4).fit_predict(features),
    HDPClusterer(random_state=1, max_clusters=5).fit_predict(features, groups=subject),
    CodeMixtureClusterer(random_state=1).fit_predict(codes, k=3),
]
json.dump([labels.tolist() for labels in found], sys.stdout)
"""


def test_labels_repeat_in_another_process_with_other_threads() -> None:
    here: dict[str, Any] = {}
    with threadpool_limits(1):
        exec(REPEATED[: REPEATED.index("json.dump")], here)
    # Passive: threads that wait for each other on a busy machine shall not spin.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "2")
    environment = {**os.environ, **threads, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONHASHSEED": "2"}
    run = subprocess.run([sys.executable, "-c", REPEATED], env=environment, check=True, capture_output=True, text=True)
    assert json.loads(run.stdout) == [found.tolist() for found in here["found"]]
