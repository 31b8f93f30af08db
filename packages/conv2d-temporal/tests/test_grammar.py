"""Grammar: rules, learning, and exact decoding with contexts against enumeration."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from conv2d.temporal import HSMM, Grammar, ImpossibleSequenceError, OnlineHSMM, durations, sample

Float = NDArray[np.float64]
NAMES = ["pick", "place", "seal"]
RULES: dict[str, Any] = {
    "operations": NAMES,
    "start": ["pick", "place"],
    "allowed": {"pick": ["place"], "pick > place": ["seal"]},
    "discouraged": {"seal": {"place": 0.1}},
}


def planted(right: Any = "censored") -> HSMM:
    transition = np.array([[0.0, 0.6, 0.4], [0.5, 0.0, 0.5], [0.9, 0.1, 0.0]])
    with np.errstate(divide="ignore"):
        return HSMM(np.log([0.5, 0.3, 0.2]), np.log(transition), [durations.Poisson(1.5, 4)] * 3, right)


def by_enumeration(model: HSMM, grammar: Grammar, evidence: Float, strictness: float) -> dict[tuple[int, ...], float]:
    """Log weight of every label sequence; the weights of the next operation are normalised."""
    lasting = np.log(np.cumsum(np.exp(model.log_duration)[:, ::-1], axis=1)[:, ::-1])

    def dialled(weight: Float) -> Float:
        return np.where(weight > 0, weight, 1e-6 if strictness < 1 else 0.0) ** strictness

    initial = np.exp(model.log_initial) * dialled(grammar.start)
    found = {}
    for path in itertools.product(range(3), repeat=len(evidence)):
        runs = [(k, len(list(group))) for k, group in itertools.groupby(path)]
        if max(length for _, length in runs) > model.max_duration:
            continue
        chance, total = initial[runs[0][0]] / initial.sum(), evidence[np.arange(len(path)), list(path)].sum()
        for i, (k, length) in enumerate(runs):
            total += (lasting if i == len(runs) - 1 else model.log_duration)[k, length - 1]
            if i:
                before = [grammar.operations[j] for j, _ in runs[:i]]
                following = np.exp(model.log_transition[runs[i - 1][0]]) * dialled(grammar.after(before))
                chance *= following[k] / following.sum()
        if chance > 0:
            found[path] = float(total + np.log(chance))
    return found


@pytest.mark.parametrize("strictness", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_decoding_is_exact_with_contexts(strictness: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    evidence = 2.0 * rng.normal(size=(7, 3))
    grammar, model = Grammar.from_dict(RULES), planted()
    assert grammar.context == 2
    weights = by_enumeration(model, grammar, evidence, strictness)
    best = max(weights, key=weights.__getitem__)
    found = grammar.decode(model, evidence, strictness)
    assert tuple(found.path.tolist()) == best
    np.testing.assert_allclose(found.score, weights[best], rtol=1e-10)
    # Probabilities of operations fold those of contexts.
    applied = grammar.apply(model, strictness)
    state = applied.fold(applied.model.posteriors(applied.evidence(evidence)).state)
    total = np.logaddexp.reduce(list(weights.values()))
    expected = np.zeros((7, 3))
    for path, weight in weights.items():
        expected[np.arange(7), list(path)] += np.exp(weight - total)
    np.testing.assert_allclose(state, expected, atol=1e-9)
    if strictness == 0:
        np.testing.assert_allclose(found.score, model.viterbi(evidence).score, rtol=1e-10)
        assert found.overruled == ()
        assert found.overruled_share == 0


def test_report_tells_where_the_grammar_overruled() -> None:
    truth = np.array([0, 0, 0, 2, 2, 2, 0, 0, 1, 1, 1])
    found = Grammar.from_dict(RULES).decode(planted(), 2.0 * np.eye(3)[truth])
    free = planted().viterbi(2.0 * np.eye(3)[truth]).path
    assert free.tolist() == truth.tolist()
    assert found.forbidden == 1  # pick, then seal
    assert found.discouraged == 0
    changed = np.flatnonzero(found.path != free)
    assert sorted(t for o in found.overruled for t in range(o.start, o.stop)) == changed.tolist()
    assert found.overruled_share == len(changed) / len(truth) > 0
    for one in found.overruled:
        assert (found.path[one.start : one.stop] == one.label).all()
        assert (free[one.start : one.stop] == one.without).all()


def test_forbidden_is_possible_only_below_full_strictness() -> None:
    rules = {"operations": NAMES, "allowed": {name: [] for name in NAMES}}
    evidence = 9.0 * np.eye(3)[[0, 0, 1, 1, 2, 2]]
    with pytest.raises(ImpossibleSequenceError):
        Grammar.from_dict(rules).decode(planted(), evidence)
    assert Grammar.from_dict(rules).decode(planted(), evidence, 0.9).path.tolist() == [0, 0, 1, 1, 2, 2]


def test_learnt_grammar_is_the_shares_of_what_followed() -> None:
    labels = np.stack([sample(planted(), 400, seed) for seed in range(30)])
    grammar = Grammar.learn(labels, NAMES, context=2, smoothing=1.0)
    np.testing.assert_allclose(grammar.after(["seal"]), [0.9, 0.1, 0.0], atol=0.05)
    # The planted chain forgets, so longer contexts say the same.
    np.testing.assert_allclose(grammar.after(["seal", "pick"]), grammar.after(["pick"]), atol=0.05)
    assert grammar.after(["pick", "pick"])[1] == grammar.after(["pick"])[1]  # never seen: the shorter context
    hard = Grammar.learn([0, 1, -1, 1, 2], NAMES, smoothing=0.0)
    assert hard.after(["place"]).tolist() == [0, 0, 1]
    assert hard.after(["seal"]).tolist() == [0.5, 0.5, 0]  # nothing was seen after it: any other
    assert hard.start.tolist() == [0.5, 0.5, 0]


def test_a_context_tells_apart_what_one_step_cannot() -> None:
    """0 1 2 1 0 1 2 1 …: what follows 1 depends on what came before it."""
    labels = np.repeat(np.tile([0, 1, 2, 1], 30), 3).astype(np.int32)
    with np.errstate(divide="ignore"):
        free = HSMM(np.log(np.full(3, 1 / 3)), np.log((1 - np.eye(3)) / 2), [durations.Poisson(2.0)] * 3)
    found = []
    for context in (1, 2):
        applied = Grammar.learn(labels, NAMES, context, smoothing=0.01).apply(free)
        online = OnlineHSMM(applied.model)
        for row in applied.evidence(4.0 * np.eye(3)[labels[:48]]):  # ends in 1 after 2
            online.step(row)
        found.append(applied.anticipate(online))
    assert abs(found[0].probability[0] - 0.5) < 0.05
    assert found[1].probability[0] > 0.95
    assert 1 <= found[1].expected_steps[0] < 4


def test_yaml_is_the_dict(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    path = tmp_path / "grammar.yaml"
    path.write_text(yaml.safe_dump(RULES), encoding="utf-8")
    read, made = Grammar.from_yaml(path), Grammar.from_dict(RULES)
    assert read.operations == made.operations
    assert {c: w.tolist() for c, w in read.weights.items()} == {c: w.tolist() for c, w in made.weights.items()}
    for text, message in (
        ("- a\n", "mapping"),
        ("{a: b", "not YAML"),
        ("operations: [on, off]\n", "grammar.yaml.*quote"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            Grammar.from_yaml(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"operation": []}, r"\['operation'\]"),
        ({"operations": []}, "at least one"),
        ({"operations": ["a", "a", "b"]}, "different"),
        ({"start": ["pack"]}, "start: 'pack'"),
        ({"start": "pick"}, "list of names"),
        ({"allowed": {"pack": []}}, "'pack'"),
        ({"allowed": ["pick"]}, "mapping"),
        ({"discouraged": {"pick": {"place": 2}}}, "discouraged: pick: place"),
        ({"discouraged": {"pick": {"place": True}}}, "between 0 and 1"),
    ],
)
def test_bad_rules_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Grammar.from_dict({**RULES, **change})


def test_bad_use_is_named() -> None:
    grammar = Grammar.from_dict(RULES)
    with pytest.raises(ValueError, match="strictness"):
        grammar.apply(planted(), 1.5)
    with pytest.raises(ValueError, match="one sequence"):
        grammar.decode(planted(), np.zeros((2, 5, 3)))
    with pytest.raises(ValueError, match="2 operations"):
        Grammar.from_dict({"operations": ["a", "b"]}).apply(planted())
    with pytest.raises(ValueError, match="may start"):
        Grammar.from_dict({"operations": NAMES, "start": []}).apply(planted())
    for change in ({"labels": [3]}, {"context": 0}, {"smoothing": -1.0}):
        with pytest.raises(ValueError, match=next(iter(change))):
            Grammar.learn(**{"labels": [0, 1], "operations": NAMES, **change})  # pyright: ignore[reportArgumentType]
