"""Single-window latency on one thread, as a ratio to eager torch: python benchmarks/latency.py BUNDLE [CALLS].

BUNDLE is one that holds onnx and onnx-int8, as `conv2d pack create --targets onnx,onnx-int8` writes it. The same weights are
run by eager torch: a module is built from the ONNX graph's own weights, without any other wheel. Calls are interleaved, and
CPU time of the calling thread is counted, so that a busy machine does not decide.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from conv2d.packaging import Bundle, OnnxModel

LIMIT_MS = 1.0


class Eager(torch.nn.Module):
    """The accelerator's part and the head of the bundle's graph, in torch: convolutions, pooling, codes, look-up, head."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        graph = onnx.load_model_from_string(data).graph
        stored = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
        layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
        *self.convolutions, self.project, self.head = [(stored[n.input[1]], stored[n.input[2]]) for n in layers]
        axes = {
            n.output[0]: int(stored[n.input[1]]) for n in graph.node if n.op_type == "Gather" and n.input[1] in stored
        }
        edges: dict[int, list[float]] = {}
        for node in graph.node:
            if node.op_type == "Greater":
                edges.setdefault(axes[node.input[0]], []).append(float(stored[node.input[1]]))
        self.edges = [torch.tensor(sorted(edges[axis])) for axis in sorted(edges)]
        (self.book,) = [
            stored[n.input[0]]
            for n in graph.node
            if n.op_type == "Gather" and n.input[0] in stored and n.input[1] == "codes"
        ]

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        run = torch.nn.functional
        for number, (weight, bias) in enumerate(self.convolutions):
            x = torch.relu(run.conv2d(x, weight, bias, padding=(0, weight.shape[3] // 2)))
            if number < 2:
                x = run.max_pool2d(x, (1, 2))
        x = torch.cat([x.mean(3).flatten(1), x.amax(3).flatten(1)], 1)
        z = run.linear(x, *self.project).reshape(len(x), -1, len(self.edges))
        codes, unit = torch.zeros(z.shape[:2], dtype=torch.int64), 1
        for axis, edges in enumerate(self.edges):
            codes = codes + unit * torch.bucketize(z[..., axis].contiguous(), edges)
            unit *= len(edges) + 1
        return run.linear(self.book[codes].flatten(1), *self.head), codes


def main() -> None:
    bundle = Bundle.open(sys.argv[1])
    calls = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    torch.set_num_threads(1)
    windows = bundle.samples().inputs
    data = bundle.read("model.onnx")
    eager = Eager(data).eval()
    models = {"onnx float": OnnxModel(data), "onnx int8": OnnxModel(bundle.read("model.int8.onnx"))}
    expected = models["onnx float"].run(windows)
    with torch.no_grad():
        logits, codes = eager(torch.from_numpy(windows))
    assert np.array_equal(codes.numpy(), expected["codes"]), "the torch module is not this model"
    assert np.abs(logits.numpy() - expected["logits"]).max() < 1e-4

    def torch_call(window: np.ndarray) -> object:
        with torch.no_grad():
            return eager(torch.from_numpy(window))

    runs: dict[str, Callable[[np.ndarray], object]] = {
        "torch eager": torch_call,
        **{k: m.run for k, m in models.items()},
    }
    times: dict[str, list[int]] = {name: [] for name in runs}
    for call in range(calls + 50):
        window = windows[call % len(windows)][None]
        for name, run in runs.items():
            start = time.thread_time_ns()
            run(window)
            times[name].append(time.thread_time_ns() - start)
    print(
        f"{calls} calls each, one thread, CPU time\n{'':<14}{'p50 ms':>9}{'p99 ms':>9}{'p50 : torch':>13}{'p99 : torch':>13}"
    )
    base = np.percentile(times["torch eager"][50:], (50, 99))
    slow = False
    for name, values in times.items():
        p50, p99 = np.percentile(values[50:], (50, 99)) / 1e6
        slow |= name != "torch eager" and p99 >= LIMIT_MS
        print(f"{name:<14}{p50:>9.3f}{p99:>9.3f}{p50 * 1e6 / base[0]:>13.2f}{p99 * 1e6 / base[1]:>13.2f}")
    sys.exit(int(slow))


if __name__ == "__main__":
    main()
