"""Mixtures over codes: against dense arithmetic, planted motifs, and bad input."""

from typing import Literal

import numpy as np
import pytest
from scipy.special import logsumexp

from conv2d.clustering import Clusterer, CodeMixtureClusterer

Emission = Literal["categorical", "multinomial"]
EMISSIONS = pytest.mark.parametrize("emission", ["categorical", "multinomial"])


def windows(seed: int = 0, positions: int = 12, codes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Codes of three motifs, each with its own distribution at each position."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat([0, 1, 2], [90, 60, 30])).astype(np.int32)
    tables = rng.dirichlet(np.full(codes, 0.3), (3, positions))
    drawn = [[rng.choice(codes, p=tables[motif, at]) for at in range(positions)] for motif in truth]
    return np.array(drawn, dtype=np.int32), truth


@EMISSIONS
def test_planted_motifs_are_found(emission: Emission) -> None:
    codes, truth = windows()
    if emission == "multinomial":  # only how often each code occurs tells the motifs apart
        rng = np.random.default_rng(1)
        tables = np.array([[6, 1, 1, 1, 1, 1], [1, 1, 6, 1, 1, 1], [1, 1, 1, 1, 1, 6]]) / 11
        codes = np.array([rng.choice(6, 40, p=tables[motif]) for motif in truth])
    model = CodeMixtureClusterer(emission=emission, max_clusters=5)
    assert np.array_equal(model.fit_predict(codes), truth)
    assert model.selection_.k == 3
    assert model.converged_
    assert np.array_equal(model.predict(codes), truth)
    assert isinstance(model, Clusterer)
    assert np.array_equal(model.fit_predict(codes, k=3, prior_labels=truth + 4), truth + 4)
    stored = CodeMixtureClusterer.from_dict(model.to_dict())
    assert stored.to_dict() == model.to_dict()
    assert np.array_equal(stored.predict(codes), model.labels_)


@EMISSIONS
def test_the_fit_is_a_fixed_point_of_dense_arithmetic(emission: Emission) -> None:
    codes, _ = windows(1)
    model = CodeMixtureClusterer(emission=emission, n_codes=7, tol=1e-12, max_iter=5000, smoothing=2.0).fit(codes, k=3)
    dense = np.eye(7)[codes]  # (N, P, V)
    if emission == "multinomial":
        dense = dense.sum(axis=1, keepdims=True)
    table = np.log(model.code_probabilities_).reshape(3, -1, 7)
    joint = np.einsum("npv,kpv->nk", dense, table) + np.log(model.weights_)
    assert np.array_equal(joint.argmax(axis=1), [model.component_motifs_.tolist().index(m) for m in model.labels_])
    resp = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    pooled = dense.sum(axis=0) + 1
    counts = np.einsum("nk,npv->kpv", resp, dense) + 2.0 * pooled / pooled.sum(axis=1, keepdims=True)
    assert np.exp(table) == pytest.approx(counts / counts.sum(axis=2, keepdims=True), abs=1e-5)
    assert model.weights_ == pytest.approx((resp.sum(axis=0) + 1) / (len(codes) + 3), abs=1e-5)
    chosen = CodeMixtureClusterer(emission=emission, n_codes=7, min_clusters=3, max_clusters=3, smoothing=2.0).fit(
        codes
    )
    likelihood = float(np.logaddexp.reduce(joint, axis=1).sum())
    free = 3 * ((dense.sum(axis=0) > 0).sum() - dense.shape[1]) + 2
    bic = free * np.log(len(codes)) - 2 * likelihood
    assert chosen.selection_.candidates[0].score == pytest.approx(bic, rel=1e-3)


def test_order_of_code_numbers_does_not_matter() -> None:
    codes, _ = windows(2)
    shuffled = np.random.default_rng(0).permutation(6)[codes]
    one, two = (CodeMixtureClusterer(n_codes=6).fit_predict(rows, k=3) for rows in (codes, shuffled))
    assert np.array_equal(one, two)


@EMISSIONS
def test_small_motifs_merge_by_bhattacharyya(emission: Emission) -> None:
    codes, truth = windows()
    model = CodeMixtureClusterer(emission=emission, min_support=0.3)
    labels = model.fit_predict(codes, k=3)
    assert len(model.merges_) >= 1
    assert np.unique(labels, return_counts=True)[1].min() >= 0.3 * len(truth)
    assert np.array_equal(model.predict(codes), labels)
    merge = model.merges_[0]
    pair = np.sqrt(model.code_probabilities_[[merge.component, merge.into]]).reshape(2, -1, 6)
    expected = -np.log((pair[0] * pair[1]).sum(axis=1)).sum() * (12 / pair.shape[1])
    assert merge.distance == pytest.approx(expected)


def test_bad_codes_are_named() -> None:
    codes, _ = windows()
    with pytest.raises(TypeError, match="GMMClusterer"):
        CodeMixtureClusterer().fit(codes.astype(float))
    with pytest.raises(ValueError, match=r"\(N, P\)"):
        CodeMixtureClusterer().fit(codes[0])
    with pytest.raises(ValueError, match="-1 to 5"):
        CodeMixtureClusterer().fit(np.where(codes == 0, -1, codes))
    with pytest.raises(ValueError, match="0 … 3"):
        CodeMixtureClusterer(n_codes=4).fit(codes)
    with pytest.raises(ValueError, match="fitted codes"):
        CodeMixtureClusterer().fit(codes, k=2).predict(codes + 1)
    with pytest.raises(ValueError, match="12 were fitted"):
        CodeMixtureClusterer().fit(codes, k=2).predict(codes[:, :3])
    with pytest.raises(ValueError, match="distinct"):
        CodeMixtureClusterer().fit(np.zeros((5, 3), dtype=np.int32), k=2)
    with pytest.raises(ValueError, match="matching"):
        CodeMixtureClusterer(matching="centroid").fit(codes, k=2)
    with pytest.raises(ValueError, match="emission"):
        CodeMixtureClusterer().set_params(emission="gaussian").fit(codes, k=2)
    # A code that the book has but the fit never saw is unlikely, not impossible.
    assert CodeMixtureClusterer(n_codes=9).fit(codes, k=2).predict(np.full((1, 12), 8)).shape == (1,)
