"""The hidden semi-Markov model against enumeration, the reference vectors, and itself without numba."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from conv2d.temporal import HSMM, ImpossibleSequenceError, _kernels_numba, _kernels_numpy, _sequences, durations

Float = NDArray[np.float64]
Right = Literal["censored", "exact"]
Shared = Callable[..., Path]


@pytest.fixture(params=[_kernels_numba, _kernels_numpy], ids=["numba", "numpy"])
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with each set of kernels."""
    monkeypatch.setattr(_sequences, "kernels", lambda: request.param)


# --- oracle: every segmentation ------------------------------------------------------------------------------------


@dataclass
class Enumerated:
    path: list[int]
    score: float
    gap: float
    total: float
    state: Float
    start: Float
    end: Float
    transitions: Float
    durations: Float
    unfinished: Float


def segmentations(steps: int, states: int, longest: int, right: Right) -> Iterator[list[tuple[int, int]]]:
    """Every way to cut `steps` into segments (state, duration), states alternating."""

    def extend(done: list[tuple[int, int]], left: int) -> Iterator[list[tuple[int, int]]]:
        if left == 0:
            yield done
            return
        for k in range(states):
            if not done or done[-1][0] != k:
                for d in range(1, min(longest, left) + 1):
                    yield from extend([*done, (k, d)], left - d)

    yield from extend([], steps)


def borders(model: HSMM, stay: Float | None, steps: int) -> dict[tuple[bool, bool], Float]:
    """Log probabilities of seeing 1, 2, … steps of a segment, by whether its left and its right were cut off."""
    pmf = np.exp(model.log_duration)
    lasting = np.cumsum(pmf[:, ::-1], axis=1)[:, ::-1]
    remaining = lasting / lasting.sum(axis=1, keepdims=True)  # of a segment met under way
    still = np.cumsum(remaining[:, ::-1], axis=1)[:, ::-1]
    if stay is not None:  # without a longest duration, and without memory
        lasting = still = stay[:, None] ** np.arange(steps)
        pmf = remaining = lasting * (1 - stay)[:, None]
    tables = {(False, False): pmf, (False, True): lasting, (True, False): remaining, (True, True): still}
    with np.errstate(divide="ignore"):
        return {where: np.log(table) for where, table in tables.items()}


def every_segmentation(
    model: HSMM, evidence: Float, log_transitions: Float | None = None, stay: Float | None = None
) -> list[tuple[float, list[tuple[int, int]]]]:
    """All possible segmentations with their log weights, the best first."""
    steps, states = evidence.shape
    scored: list[tuple[float, list[tuple[int, int]]]] = []
    tables = borders(model, stay, steps)
    for cut in segmentations(steps, states, steps if stay is not None else model.max_duration, model.right):
        weight, t = model.log_initial[cut[0][0]], 0
        for i, (k, d) in enumerate(cut):
            last = i == len(cut) - 1
            weight += evidence[t : t + d, k].sum()
            weight += tables[i == 0 and model.left == "censored", last and model.right == "censored"][k, d - 1]
            t += d
            if not last:
                transition = model.log_transition if log_transitions is None else log_transitions[t]
                weight += transition[k, cut[i + 1][0]]
        if weight > -np.inf:
            scored.append((float(weight), cut))
    scored.sort(key=lambda pair: -pair[0])
    return scored


def labels_of(cut: list[tuple[int, int]]) -> list[int]:
    return [k for k, d in cut for _ in range(d)]


def enumerate_all(
    model: HSMM, evidence: Float, log_transitions: Float | None = None, stay: Float | None = None
) -> Enumerated | None:
    scored = every_segmentation(model, evidence, log_transitions, stay)
    states = model.n_states
    if not scored:
        return None
    best = scored[0][0]
    total = best + float(np.log(sum(np.exp(weight - best) for weight, _ in scored)))
    found = Enumerated(
        path=labels_of(scored[0][1]),
        score=best,
        gap=best - scored[1][0] if len(scored) > 1 else np.inf,
        total=total,
        state=np.zeros(evidence.shape),
        start=np.zeros(evidence.shape),
        end=np.zeros(evidence.shape),
        transitions=np.zeros((states, states)),
        durations=np.zeros(model.log_duration.shape),
        unfinished=np.zeros(model.log_duration.shape),
    )
    for weight, cut in scored:
        p, t = float(np.exp(weight - total)), 0
        for i, (k, d) in enumerate(cut):
            found.start[t, k] += p
            found.state[t : t + d, k] += p
            if i < len(cut) - 1:
                found.transitions[k, cut[i + 1][0]] += p
            if i < len(cut) - 1 or model.right == "exact":
                found.end[t + d - 1, k] += p
                if i > 0 or model.left == "exact":
                    found.durations[k, d - 1] += p
            elif i > 0 or model.left == "exact":
                found.unfinished[k, d - 1] += p
            t += d
    return found


def close(result: Float, expected: object) -> None:
    np.testing.assert_allclose(result, np.asarray(expected), rtol=1e-12, atol=1e-9)


def check(model: HSMM, evidence: Float, expected: Enumerated, counts: bool = True, **options: Any) -> None:
    best, smoothed = model.viterbi(evidence, **options), model.posteriors(evidence, **options)
    assert best.path.dtype == np.int32
    if expected.gap > 1e-9:
        assert best.path.tolist() == expected.path
    close(best.score, expected.score)
    for total in (smoothed.log_likelihood, model.log_likelihood(evidence, **options)):
        close(total, expected.total)
    close(smoothed.state, expected.state)
    close(smoothed.start, expected.start)
    close(smoothed.end, expected.end)
    if not counts:
        return
    counted = model.expected_counts(evidence, **options)
    close(counted.log_likelihood, expected.total)
    close(counted.initial, expected.start[0])
    close(counted.transitions, expected.transitions)
    close(counted.durations, expected.durations)
    close(counted.unfinished, expected.unfinished)


# --- random models -------------------------------------------------------------------------------------------------


def normalised(weight: Float) -> Float:
    with np.errstate(divide="ignore"):
        return np.log(weight / weight.sum(axis=-1, keepdims=True))


def random_model(rng: np.random.Generator, states: int, longest: int, right: Right, left: Right = "exact") -> HSMM:
    """Dense or sparse transitions; free durations with zeros, or one family per state."""
    transition = rng.dirichlet(np.ones(states), states)
    if states > 2 and rng.random() < 0.3:  # a cycle, as of a procedure
        transition = np.roll(np.eye(states), 1, axis=1)
    np.fill_diagonal(transition, 0.0)
    if states == 1:
        log_transition = np.full((1, 1), -np.inf)
    else:
        log_transition = normalised(transition)
    if rng.random() < 0.5:
        free = rng.dirichlet(np.ones(longest), states) * (rng.random((states, longest)) < 0.7)
        free[:, -1] += 0.1
        log_duration: Float | list[durations.Duration] = normalised(free)
    else:
        families: list[durations.Duration] = [
            durations.Poisson(1.5, max_duration=longest),
            durations.NegativeBinomial(2.0, 0.5, max_duration=longest),
            durations.Geometric(0.6, max_duration=longest),
            durations.LogNormal(0.7, 0.5, max_duration=longest),
            durations.Gamma(2.0, 1.0, max_duration=longest),
            durations.HeadTail((0.1, 0.3), 0.5, max_duration=longest),
            durations.MinimumDwell(durations.Poisson(1.0, max_duration=longest), steps=min(2, longest)),
            durations.Categorical((1.0,)),
        ]
        log_duration = [families[i] for i in rng.integers(0, len(families), states)]
    return HSMM(normalised(rng.dirichlet(np.ones(states))), log_transition, log_duration, right, left)


def random_transitions(rng: np.random.Generator, steps: int, states: int) -> Float:
    """Dense and sparse ones; a state that nothing follows now and then."""
    weight = rng.dirichlet(np.ones(states), (steps, states)) * (rng.random((steps, states, states)) < 0.8)
    weight[:, np.arange(states), np.arange(states)] = 0.0
    total = weight.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        return np.log(np.divide(weight, total, out=np.zeros_like(weight), where=total > 0))


def random_evidence(rng: np.random.Generator, steps: int, states: int) -> Float:
    evidence = rng.normal(size=(steps, states)) * rng.choice([1.0, 8.0, 400.0])
    evidence[rng.random(steps) < 0.15] = 0.0  # missing
    evidence[rng.random((steps, states)) < rng.choice([0.0, 0.1, 0.3])] = -np.inf
    return evidence


# --- tests ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("kernels")
def test_reference_cases_enumerated(shared: Shared) -> None:
    vectors = np.load(shared("vectors", "hsmm_brute.npz"))
    cases = json.loads(shared("vectors", "hsmm_brute_index.json").read_text())
    assert len(cases) == 62
    for case in cases:
        name = f"{case['name']}.{case['right']}"
        model = HSMM(*(vectors[f"{name}.{field}"] for field in ("log_pi", "log_A", "log_dur")), right=case["right"])
        evidence = vectors[f"{name}.log_lik"]
        best, smoothed = model.viterbi(evidence), model.posteriors(evidence)
        counted = model.expected_counts(evidence)
        if vectors[f"{name}.gap"] > 1e-9:
            assert np.array_equal(best.path, vectors[f"{name}.path"]), name
        for result, field in (
            (best.score, "score"),
            (smoothed.log_likelihood, "loglik"),
            (smoothed.state, "gamma"),
            (smoothed.start, "start"),
            (counted.transitions, "xi"),
            (counted.durations, "eta"),
        ):
            np.testing.assert_allclose(result, vectors[f"{name}.{field}"], rtol=1e-12, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(smoothed.end.sum(axis=0), counted.durations.sum(axis=1), atol=1e-9)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("family", ["nbinom", "nonparam", "poisson"])
@pytest.mark.parametrize("right", ["exact", "censored"])
def test_reference_cases_of_medium_size(shared: Shared, family: str, right: Right) -> None:
    vectors = np.load(shared("vectors", f"hsmm_medium_{family}.npz"))
    model = HSMM(vectors["log_pi"], vectors["log_A"], vectors["log_dur"], right=right)
    best, smoothed = model.viterbi(vectors["log_lik"]), model.posteriors(vectors["log_lik"])
    assert np.array_equal(best.path, vectors[f"{right}_path"])
    np.testing.assert_allclose(best.score, vectors[f"{right}_score"], rtol=1e-12)
    np.testing.assert_allclose(smoothed.log_likelihood, vectors[f"{right}_loglik"], rtol=1e-12)
    np.testing.assert_allclose(smoothed.state, vectors[f"{right}_gamma"], atol=1e-9)
    np.testing.assert_allclose(smoothed.start, vectors[f"{right}_start"], atol=1e-9)


CENSORING = [(left, right) for left in ("exact", "censored") for right in ("exact", "censored")]


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(("left", "right"), CENSORING)
@pytest.mark.parametrize("seed", range(4))
def test_random_tiny_models_against_enumeration(left: Right, right: Right, seed: int) -> None:
    """4 x 4 x at least 130 possible cases: more than 2,000, with each set of kernels."""
    rng = np.random.default_rng(seed)
    possible = 0
    while possible < 130:
        states, longest, steps = int(rng.integers(1, 4)), int(rng.integers(1, 5)), int(rng.integers(1, 7))
        model = random_model(rng, states, longest, right, left)
        evidence = random_evidence(rng, steps, states)
        options: dict[str, Any] = {}
        if rng.random() < 0.3:
            options["mask"] = rng.random(steps) < 0.7
            evidence[~options["mask"]] = 0.0
        if rng.random() < 0.3:
            options["log_transitions"] = random_transitions(rng, steps, states)
        expected = enumerate_all(model, evidence, options.get("log_transitions"))
        if "mask" in options:
            evidence[~options["mask"]] = np.nan  # not read
        if expected is None:
            for method in (model.viterbi, model.posteriors, model.log_likelihood, model.expected_counts):
                with pytest.raises(ImpossibleSequenceError, match=f"Sequence 0 of {steps} steps"):
                    method(evidence, **options)
        else:
            possible += 1
            check(model, evidence, expected, **options)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(("left", "right"), CENSORING)
def test_plain_markov_chains_against_enumeration(left: Right, right: Right) -> None:
    rng = np.random.default_rng(5)
    possible = 0
    while possible < 60:
        states, steps = int(rng.integers(1, 4)), int(rng.integers(1, 7))
        stay = rng.uniform(0.05, 0.95, states)
        transitions = random_transitions(rng, 1, states)[0]
        model = HSMM(
            normalised(rng.dirichlet(np.ones(states))), transitions, [durations.Geometric(s) for s in stay], right, left
        )
        evidence = random_evidence(rng, steps, states)
        options: dict[str, Any] = (
            {"log_transitions": random_transitions(rng, steps, states)} if rng.random() < 0.3 else {}
        )
        expected = enumerate_all(model, evidence, options.get("log_transitions"), stay)
        if expected is None:
            with pytest.raises(ImpossibleSequenceError):
                model.posteriors(evidence, **options)
            with pytest.raises(ImpossibleSequenceError):
                model.viterbi(evidence, **options)
        else:
            possible += 1
            check(model, evidence, expected, counts=False, **options)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(("left", "right"), CENSORING)
@pytest.mark.parametrize("plain", [False, True])
def test_k_best_against_enumeration(left: Right, right: Right, plain: bool) -> None:
    rng = np.random.default_rng(6)
    possible = 0
    while possible < 100:
        states, longest, steps = int(rng.integers(1, 4)), int(rng.integers(1, 5)), int(rng.integers(1, 7))
        model, stay = random_model(rng, states, longest, right, left), None
        if plain:
            stay = rng.uniform(0.05, 0.95, states)
            families = [durations.Geometric(s) for s in stay]
            model = HSMM(model.log_initial, model.log_transition, families, right, left)
        evidence = random_evidence(rng, steps, states)
        transitions = random_transitions(rng, steps, states) if rng.random() < 0.3 else None
        expected = every_segmentation(model, evidence, transitions, stay)
        if not expected:
            with pytest.raises(ImpossibleSequenceError):
                model.k_best(evidence, 3, log_transitions=transitions)
            continue
        possible += 1
        k = int(rng.integers(1, len(expected) + 4))
        found = model.k_best(evidence, k, log_transitions=transitions)
        assert found.paths.shape == (k, steps)
        close(found.scores[: len(expected)], [score for score, _ in expected[:k]])
        weights = {tuple(labels_of(cut)): score for score, cut in expected}
        paths = [tuple(path) for path in found.paths[: len(expected)].tolist()]
        assert len(set(paths)) == len(paths)
        close(found.scores[: len(expected)], [weights[path] for path in paths])
        assert (found.paths[len(expected) :] == -1).all()
        assert np.isneginf(found.scores[len(expected) :]).all()


def test_k_best_of_a_long_batch_begins_with_viterbi() -> None:
    rng = np.random.default_rng(7)
    model = random_model(rng, 3, 4, "censored")
    batch, lengths = rng.normal(size=(2, 2000, 3)), [2000, 700]
    best, found = model.viterbi(batch, lengths), model.k_best(batch, 5, lengths)
    assert np.array_equal(found.paths[:, 0], best.path)
    np.testing.assert_allclose(found.scores[:, 0], best.score, rtol=1e-12)
    assert (np.diff(found.scores, axis=1) <= 0).all()
    assert len({path.tobytes() for path in found.paths[0]}) == 5


@pytest.mark.parametrize("sharpness", [1.0, 8.0, 60.0, 400.0])
def test_plain_markov_kernels_agree(monkeypatch: pytest.MonkeyPatch, sharpness: float) -> None:
    rng = np.random.default_rng(int(sharpness))
    for states in (2, 5, 11):
        model = HSMM(
            normalised(np.ones(states)),
            random_transitions(rng, 1, states)[0],
            [durations.Geometric(stay) for stay in rng.uniform(0.01, 0.99, states)],
        )
        evidence = sharpness * rng.normal(size=(300, states))
        results = []
        for module in (_kernels_numba, _kernels_numpy):
            monkeypatch.setattr(_sequences, "kernels", lambda module=module: module)
            results.append((model.viterbi(evidence), model.posteriors(evidence), model.log_likelihood(evidence)))
        (best, smoothed, total), (best2, smoothed2, total2) = results
        assert np.array_equal(best.path, best2.path)
        np.testing.assert_allclose([best.score, total], [best2.score, total2], rtol=1e-12)
        for field in ("state", "start", "end"):
            np.testing.assert_allclose(getattr(smoothed, field), getattr(smoothed2, field), atol=1e-9)


@pytest.mark.parametrize("right", ["exact", "censored"])
@pytest.mark.parametrize("sharpness", [0.1, 1.0, 8.0, 400.0])
def test_kernels_agree_across_blocks(monkeypatch: pytest.MonkeyPatch, right: Right, sharpness: float) -> None:
    """Durations and sequences longer than the compiled kernels' blocks, with everything that breaks linear sums."""
    rng = np.random.default_rng(11)
    for longest in (3, 70, 200):
        rare = rng.dirichlet(np.full(longest, 0.2), 4) ** 3  # spans hundreds of orders of magnitude, with zeros
        rare[0, : longest // 2] = 0.0
        rare[1] = np.arange(longest) == longest - 1
        transition = rng.dirichlet(np.ones(4), 4)
        transition[3] = [0, 0, 1, 0]
        np.fill_diagonal(transition, 0.0)
        model = HSMM(normalised(np.ones(4)), normalised(transition), normalised(rare), right)
        evidence = rng.normal(size=(500, 4)) * sharpness
        evidence[rng.random(500) < 0.1] = 0.0
        impossible = rng.random((500, 4)) < 0.02
        impossible[:, 2:] = False
        evidence[impossible] = -np.inf
        results = []
        for module in (_kernels_numba, _kernels_numpy):
            monkeypatch.setattr(_sequences, "kernels", lambda module=module: module)
            best, smoothed = model.viterbi(evidence), model.posteriors(evidence)
            counted = model.expected_counts(evidence)
            assert np.abs(smoothed.state.sum(axis=1) - 1).max() < 1e-9
            results.append((best, smoothed, counted))
        (best, smoothed, counted), (best2, smoothed2, counted2) = results
        assert np.array_equal(best.path, best2.path)
        np.testing.assert_allclose(best.score, best2.score, rtol=1e-12)
        np.testing.assert_allclose(smoothed.log_likelihood, smoothed2.log_likelihood, rtol=1e-12)
        for field in ("state", "start", "end"):
            np.testing.assert_allclose(getattr(smoothed, field), getattr(smoothed2, field), atol=1e-9)
        for field in ("initial", "transitions", "durations"):
            np.testing.assert_allclose(getattr(counted, field), getattr(counted2, field), atol=1e-8)
        # Every change of segment is an end and a beginning.
        np.testing.assert_allclose(counted.transitions.sum(axis=1), smoothed.end[:-1].sum(axis=0), atol=1e-8)
        np.testing.assert_allclose(counted.transitions.sum(axis=0), smoothed.start[1:].sum(axis=0), atol=1e-8)


@pytest.mark.parametrize("longest", [200, None])
def test_geometric_durations_are_the_plain_markov_model(longest: int | None) -> None:
    rng = np.random.default_rng(5)
    stay, steps = 0.7, 200
    transition = np.array([[0.0, 0.4, 0.6], [0.5, 0.0, 0.5], [0.9, 0.1, 0.0]])
    evidence = rng.normal(size=(steps, 3))
    model = HSMM(np.log([0.2, 0.3, 0.5]), normalised(transition), [durations.Geometric(stay, longest)] * 3)
    # The usual scaled forward recursion; what the cut at 200 steps leaves out is 0.7 ** 200 = 1e-31.
    markov = stay * np.eye(3) + (1 - stay) * transition
    forward, total = np.array([0.2, 0.3, 0.5]), 0.0
    filtered = forward
    for t in range(steps):
        filtered = (forward if t == 0 else filtered @ markov) * np.exp(evidence[t])
        total += np.log(filtered.sum())
        filtered = filtered / filtered.sum()
    np.testing.assert_allclose(model.log_likelihood(evidence), total, rtol=1e-12)
    np.testing.assert_allclose(model.posteriors(evidence).state[-1], filtered, atol=1e-9)


def test_long_sequences_stay_normalised() -> None:
    rng = np.random.default_rng(6)
    model = HSMM(normalised(np.ones(3)), normalised(1 - np.eye(3)), [durations.Poisson(20.0)] * 3)
    evidence = 3 * rng.normal(size=(50_000, 3)) - 1000.0
    smoothed = model.posteriors(evidence)
    assert np.abs(smoothed.state.sum(axis=1) - 1).max() < 1e-9
    assert smoothed.state.min() >= 0
    assert smoothed.state.max() <= 1


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_batch_is_the_sequences(dtype: type[np.floating]) -> None:
    rng = np.random.default_rng(7)
    model = random_model(rng, 3, 4, "censored")
    batch = rng.normal(size=(4, 12, 3)).astype(dtype)
    lengths = np.array([12, 1, 7, 12])
    batch[2, 7:] = np.nan  # beyond its length: not read
    best, smoothed = model.viterbi(batch, lengths), model.posteriors(batch, lengths)
    counted, total = model.expected_counts(batch, lengths), model.log_likelihood(batch, lengths)
    assert (best.score.shape, total.shape, counted.durations.shape) == ((4,), (4,), (4, 3, model.max_duration))
    for b, steps in enumerate(lengths):
        alone = batch[b, :steps]
        assert model.viterbi(alone).score.shape == ()
        assert np.array_equal(best.path[b, :steps], model.viterbi(alone).path)
        assert (best.path[b, steps:] == -1).all()
        assert np.array_equal(smoothed.state[b, :steps], model.posteriors(alone).state)
        assert not smoothed.state[b, steps:].any()
        assert not smoothed.start[b, steps:].any()
        assert not smoothed.end[b, steps:].any()
        assert np.array_equal(counted.transitions[b], model.expected_counts(alone).transitions)
        assert total[b] == model.log_likelihood(alone)
    threaded = model.posteriors(batch, lengths, n_threads=3)
    assert np.array_equal(threaded.state, smoothed.state)
    assert np.array_equal(model.viterbi(batch, lengths, n_threads=2).path, best.path)
    with pytest.raises(ImpossibleSequenceError, match="Sequence 1 "):
        model.viterbi(np.stack([np.zeros((5, 3)), np.full((5, 3), -np.inf)]))


def test_input_is_left_as_it_was() -> None:
    model = random_model(np.random.default_rng(8), 3, 4, "exact")
    evidence = np.random.default_rng(8).normal(size=(9, 3))
    before = evidence.copy()
    model.viterbi(evidence)
    model.posteriors(evidence)
    assert np.array_equal(evidence, before)
    with pytest.raises(ValueError, match="read-only"):
        model.log_initial[0] = 0.0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"log_initial": np.log([0.5, 0.2])}, ValueError, "log_initial.*sum"),
        ({"log_initial": np.log([[0.5, 0.5]])}, ValueError, "1 dimension"),
        ({"log_initial": np.log([1 / 3] * 3)}, ValueError, r"\(3,\), \(2, 2\)"),
        ({"log_initial": np.array([0, 0])}, TypeError, "int64"),
        ({"log_initial": np.array([0.0, np.nan])}, ValueError, "NaN"),
        ({"log_transition": np.log([[0.5, 0.5], [0.5, 0.5]])}, ValueError, "diagonal"),
        ({"log_duration": np.log([[0.5, 0.2], [0.5, 0.5]])}, ValueError, "log_duration.*sum"),
        ({"log_duration": [durations.Poisson(2.0)]}, ValueError, "must agree"),
        ({"log_duration": [durations.Poisson(2.0), [0.0]]}, TypeError, "1 families among 2"),
        ({"right": "open"}, ValueError, "right"),
        ({"left": None}, ValueError, "left"),
    ],
)
def test_bad_models_are_named(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with np.errstate(divide="ignore"):
        swap = np.log(1 - np.eye(2))
    good: dict[str, Any] = {
        "log_initial": np.log([0.5, 0.5]),
        "log_transition": swap,
        "log_duration": np.log([[0.5, 0.5]] * 2),
    }
    HSMM(**good)
    with pytest.raises(error, match=message):
        HSMM(**{**good, **change})


@pytest.mark.parametrize(
    ("evidence", "lengths", "error", "message"),
    [
        (np.zeros((5, 2)), None, ValueError, "K=3"),
        (np.zeros(3), None, ValueError, r"\(3,\)"),
        (np.zeros((0, 3)), None, ValueError, "T >= 1"),
        (np.zeros((5, 3), dtype=np.int64), None, TypeError, "int64"),
        (np.full((5, 3), np.nan), None, ValueError, "NaN"),
        (np.full((5, 3), np.inf), None, ValueError, "inf"),
        (np.zeros((5, 3)), [5], ValueError, "batch"),
        (np.zeros((2, 5, 3)), [5], ValueError, r"shape \(2,\)"),
        (np.zeros((2, 5, 3)), [5.0, 5.0], ValueError, "integers"),
        (np.zeros((2, 5, 3)), [5, 6], ValueError, r"1\.\.5"),
        (np.zeros((2, 5, 3)), [0, 5], ValueError, r"1\.\.5"),
    ],
)
def test_bad_sequences_are_named(evidence: Float, lengths: object, error: type[Exception], message: str) -> None:
    model = HSMM(normalised(np.ones(3)), normalised(1 - np.eye(3)), [durations.Poisson(2.0)] * 3)
    for method in (model.viterbi, model.posteriors, model.log_likelihood, model.expected_counts):
        with pytest.raises(error, match=message):
            method(evidence, lengths)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("mask", "n_threads", "error", "message"),
    [
        (np.ones(4, dtype=np.bool_), 1, ValueError, r"\(5,\)"),
        (np.ones(5), 1, ValueError, "bool"),
        (None, 0, ValueError, "n_threads"),
        (None, 1.5, TypeError, "n_threads"),
    ],
)
def test_bad_masks_and_threads_are_named(mask: object, n_threads: Any, error: type[Exception], message: str) -> None:
    model = HSMM(normalised(np.ones(3)), normalised(1 - np.eye(3)), [durations.Poisson(2.0)] * 3)
    with pytest.raises(error, match=message):
        model.viterbi(np.zeros((5, 3)), mask=mask, n_threads=n_threads)  # pyright: ignore[reportArgumentType]


def run_python(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)


def test_import_does_not_load_numba() -> None:
    run_python("import sys, conv2d.temporal; assert 'numba' not in sys.modules, 'numba is loaded at import'")


def test_without_numba_numpy_takes_over() -> None:
    run_python(
        "import sys; sys.modules['numba'] = None\n"
        "import numpy as np; from conv2d.temporal import HSMM, durations, _backend\n"
        "with np.errstate(divide='ignore'): A = np.log(1 - np.eye(2))\n"
        "path = HSMM(np.log([.5, .5]), A, [durations.Poisson(2.0)] * 2).viterbi(np.log([[.9, .1]] * 3 + [[.1, .9]] * 3))\n"
        "assert path.path.tolist() == [0, 0, 0, 1, 1, 1]\n"
        "assert _backend.kernels().__name__ == 'conv2d.temporal._kernels_numpy'\n"
    )
