"""Speed of the hidden semi-Markov model against the numpy definition and hmmlearn, one table of ratios.

    uv run --group bench python packages/conv2d-temporal/benchmarks/hsmm.py

All rounds are interleaved and the best of each is taken, in CPU seconds of the thread (wall seconds for two threads).
Slow peers work on a shorter piece and are scaled up by its length, which favours none: all are linear in T.
"""

import argparse
import resource
import time
from collections.abc import Callable, Mapping

import numpy as np
from hmmlearn import _hmmc
from numpy.typing import NDArray

from conv2d.temporal import HSMM, _kernels_numpy, _sequences, durations
from conv2d.temporal._backend import kernels

Float = NDArray[np.float64]


def model(states: int, longest: int, seed: int = 0) -> HSMM:
    rng = np.random.default_rng(seed)
    transition = rng.dirichlet(np.ones(states), states)
    np.fill_diagonal(transition, 0.0)
    transition /= transition.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        log_transition = np.log(transition)
    families = [durations.Poisson(rate, longest) for rate in rng.uniform(0.1, 0.6, states) * longest]
    return HSMM(np.full(states, -np.log(states)), log_transition, families)


def with_numpy(work: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        setattr(_sequences, "kernels", lambda: _kernels_numpy)  # noqa: B010
        try:
            return work()
        finally:
            setattr(_sequences, "kernels", kernels)  # noqa: B010

    return run


def expanded(hsmm: HSMM) -> tuple[Float, Float]:
    """Return the plain Markov model over (state, steps lasted): start (K·D,) and transitions (K·D, K·D)."""
    states, longest = hsmm.log_duration.shape
    pmf = np.exp(hsmm.log_duration)
    lasting = np.cumsum(pmf[:, ::-1], axis=1)[:, ::-1]
    ends = np.divide(pmf, lasting, out=np.ones_like(pmf), where=lasting > 0)
    start = np.zeros((states, longest))
    start[:, 0] = np.exp(hsmm.log_initial)
    table = np.zeros((states, longest, states, longest))
    for k in range(states):
        for d in range(longest):
            table[k, d, :, 0] = ends[k, d] * np.exp(hsmm.log_transition[k])
            if d + 1 < longest:
                table[k, d, k, d + 1] = 1 - ends[k, d]
    return start.ravel(), table.reshape(states * longest, -1)


def best(
    contestants: Mapping[str, tuple[Callable[[], object], float]],
    rounds: int,
    clock: Callable[[], float] = time.thread_time,
) -> dict[str, float]:
    """Return the best scaled seconds of each contestant, over interleaved rounds."""
    seconds = dict.fromkeys(contestants, np.inf)
    for work, _ in contestants.values():
        work()
    for _ in range(rounds):
        for name, (work, scale) in contestants.items():
            started = clock()
            work()
            seconds[name] = min(seconds[name], (clock() - started) * scale)
    return seconds


def report(title: str, seconds: dict[str, float]) -> None:
    ours = next(iter(seconds.values()))
    for name, value in seconds.items():
        print(f"| {title} | {name} | {value:.4f} | {value / ours:.2f} |")


def compare(states: int, evidence: Float, rounds: int) -> None:
    hsmm = model(states, 100)
    steps = len(evidence)
    few = evidence[:1000]
    start, table = expanded(model(states, 20))
    spread = np.repeat(evidence[:200], 20, axis=1)
    for name, log_form in (("viterbi", hsmm.viterbi), ("posteriors", hsmm.posteriors)):

        def by_hmm(name: str = name) -> None:
            if name == "viterbi":
                _hmmc.viterbi(start, table, spread)
            else:
                _hmmc.backward_scaling(start, table, spread, _hmmc.forward_scaling(start, table, np.exp(spread))[2])

        contestants = {
            "conv2d.temporal": (lambda f=log_form: f(evidence), 1.0),
            "conv2d.temporal, evidence x 8": (lambda f=log_form: f(8 * evidence), 1.0),
            "numpy definition": (with_numpy(lambda f=log_form: f(few)), steps / len(few)),
            "hmmlearn, expanded, D=20 only": (by_hmm, steps / len(spread)),
        }
        report(f"{name} K={states} D=100 T={steps}", best(contestants, rounds))
    stay = 0.9
    hsmm = model(states, 1)
    plain = HSMM(hsmm.log_initial, hsmm.log_transition, [durations.Geometric(stay)] * states)
    plain_start = np.exp(plain.log_initial)
    plain_table = stay * np.eye(states) + (1 - stay) * np.exp(plain.log_transition)
    contestants = {
        "conv2d.temporal, geometric": (lambda: plain.viterbi(evidence), 1.0),
        "hmmlearn": (lambda: _hmmc.viterbi(plain_start, plain_table, evidence), 1.0),
    }
    report(f"plain HMM viterbi K={states}", best(contestants, rounds))

    def smooth_by_hmm() -> None:
        density = np.exp(evidence)
        _, forward, scale = _hmmc.forward_scaling(plain_start, plain_table, density)
        _ = forward * _hmmc.backward_scaling(plain_start, plain_table, density, scale)

    contestants = {
        "conv2d.temporal, geometric": (lambda: plain.posteriors(evidence), 1.0),
        "hmmlearn": (smooth_by_hmm, 1.0),
    }
    report(f"plain HMM posteriors K={states}", best(contestants, rounds))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    steps, rng = options.steps, np.random.default_rng(1)
    hsmm, evidence = model(20, 100), rng.normal(size=(steps, 20))
    hsmm.posteriors(evidence[:100])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    hsmm.posteriors(evidence)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"Growth of the peak memory by posteriors, K=20 D=100 T={steps}: {grown:.0f} MB\n")
    print("| case | who | s | times ours |\n|---|---|---|---|")
    for states in (20, 8):
        compare(states, rng.normal(size=(steps, states)), options.rounds)
    batch = rng.normal(size=(64, 4000, 8))
    hsmm = model(8, 100)
    contestants = {
        "two threads": (lambda: hsmm.viterbi(batch, n_threads=2), 1.0),
        "one thread": (lambda: hsmm.viterbi(batch), 1.0),
    }
    report("viterbi B=64 T=4000 K=8 D=100, wall", best(contestants, options.rounds, time.perf_counter))


if __name__ == "__main__":
    main()
