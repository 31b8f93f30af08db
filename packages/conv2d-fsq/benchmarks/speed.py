"""Throughput of the quantiser beside vector-quantize-pytorch, one thread, CPU: ratios of the best of interleaved runs.

    uv run --group bench python packages/conv2d-fsq/benchmarks/speed.py [--json FILE]

Batches of 256 and 4,096 windows of 64 tokens, and 256 × 4,096 tokens, levels 8, 6, 5. Speeds depend on the machine; the ratios,
measured in one run, are what carries over.
"""

from __future__ import annotations

import argparse
import json
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from vector_quantize_pytorch import FSQ as PeerFSQ

from conv2d.features import FSQ, encode_fsq
from conv2d.features.numpy import fsq_indices, fsq_quantize, indices_to_values

LEVELS = [8, 6, 5]


def best_of(jobs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Run the jobs in turn, so that a slow moment of the machine hits all, and return the best seconds of each."""
    best = dict.fromkeys(jobs, float("inf"))
    for job in jobs.values():
        job()
    for _ in range(rounds):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def throughput(shape: tuple[int, int], rounds: int) -> dict[str, float]:
    z = torch.randn(*shape, len(LEVELS), generator=torch.Generator().manual_seed(0)) * 2
    array = z.numpy()
    maps = np.ascontiguousarray(array.reshape(-1, len(LEVELS)).T)
    ours, peer = FSQ(LEVELS), PeerFSQ(LEVELS)
    with torch.no_grad():
        codes = ours(z)[1]
    numbers, out = codes.numpy(), np.empty(codes.numel(), np.int32)
    gradient = torch.ones_like(z)

    def forward(module: torch.nn.Module) -> Callable[[], object]:
        def run() -> None:
            with torch.no_grad():
                module(z)

        return run

    def backward(module: torch.nn.Module) -> Callable[[], object]:
        leaf = z.clone().requires_grad_()

        def run() -> None:
            leaf.grad = None
            module(leaf)[0].backward(gradient)

        return run

    seconds = best_of(
        {
            "peer forward": forward(peer),
            "torch forward": forward(ours),
            "peer forward+backward": backward(peer),
            "torch forward+backward": backward(ours),
            "numpy codes, channels last": lambda: fsq_indices(array.reshape(-1, len(LEVELS)), LEVELS, out=out),
            "numpy codes, channels first": lambda: fsq_indices(maps, LEVELS, axis=0, out=out),
            "numpy values and codes": lambda: fsq_quantize(array, LEVELS),
            "peer decode": lambda: peer.indices_to_codes(codes),
            "torch decode": lambda: ours.indices_to_values(codes),
            "numpy decode": lambda: indices_to_values(numbers, LEVELS),
        },
        rounds,
    )
    peer_of = {
        "torch forward+backward": "peer forward+backward",
        "torch decode": "peer decode",
        "numpy decode": "peer decode",
    }
    return {
        f"{name} (x peer)": round(seconds[peer_of.get(name, "peer forward")] / value, 2)
        for name, value in seconds.items()
        if not name.startswith("peer")
    } | {"peer forward (million codes/s)": round(codes.numel() / seconds["peer forward"] / 1e6, 1)}


def peak_memory() -> dict[str, float]:
    """Most bytes held at once by one forward + backward, as torch's allocator reports them, over the peer's."""

    def peak(module: torch.nn.Module) -> int:
        z = torch.randn(4096, 64, len(LEVELS), requires_grad=True)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
            module(z)[0].sum().backward()
        held = most = 0
        for event in cast("Any", profile).profiler.kineto_results.events():
            if event.name() == "[memory]":
                held += event.nbytes()
                most = max(most, held)
        return most

    tracemalloc.start()  # numpy's arrays are not torch's: count them as well
    peak(FSQ(LEVELS))
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    ours = peak(FSQ(LEVELS))
    numpy_part = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return {"memory forward+backward (x peer)": round((ours + numpy_part) / peak(PeerFSQ(LEVELS)), 2)}


def latency() -> dict[str, float]:
    """Time of windows through the training-free encoder and the quantiser."""
    x = np.random.default_rng(0).normal(size=(4096, 9, 2, 100)).astype(np.float32)
    encode_fsq(x)
    start = time.perf_counter()
    encode_fsq(x)
    batch = time.perf_counter() - start
    times = []
    for i in range(2000):
        one = x[i : i + 1]
        start = time.thread_time()  # of this core, whatever else the machine does
        encode_fsq(one)
        times.append(time.thread_time() - start)
    return {
        "encode_fsq, one window, p50 (ms)": round(float(np.quantile(times, 0.5)) * 1e3, 3),
        "encode_fsq, one window, p99 (ms)": round(float(np.quantile(times, 0.99)) * 1e3, 3),
        "encode_fsq, 4096 windows in one call (s)": round(batch, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    figures: dict[str, object] = {
        f"{b} x {t} tokens": throughput((b, t), arguments.rounds) for b, t in ((256, 64), (4096, 64), (256, 4096))
    }
    figures |= peak_memory()
    figures |= latency()
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.json:
        aside = arguments.json.with_suffix(".partial")
        aside.write_text(text + "\n", encoding="utf-8")
        aside.replace(arguments.json)


if __name__ == "__main__":
    main()
