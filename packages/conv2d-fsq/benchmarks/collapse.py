"""Does the codebook collapse? FSQ and VQ-EMA trained on the same windows from bad starts; perplexity over time.

    uv run --group bench python packages/conv2d-fsq/benchmarks/collapse.py [--steps 300] [--out FOLDER]

Both quantisers have 240 codes and stand between the same encoder (``Conv2dEncoder``, 16 tokens) and a linear decoder that rebuilds
the window, thinned to 25 steps. The windows are made up (swings of any strength and rhythm, drifts, noise), so the figures are the
same for everyone. The bad starts: the encoder's last weights 100 times too large or too small; for VQ-EMA also codes far from
all data, with and without k-means and revival. Writes ``collapse.png``. Errors are not for comparison: a token tells the decoder three
scalars with FSQ and 16 with VQ-EMA.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from conv2d.features import FSQ, Conv2dEncoder, VectorQuantizerEMA2D
from conv2d.features.codebook import code_usage

LEVELS, CODES, TOKENS, DIM, BATCH = [8, 6, 5], 240, 16, 16, 128


def motions(n: int, seed: int) -> Tensor:
    rng = np.random.default_rng(seed)
    t = np.arange(100) / 100
    strength = 2.0 ** rng.uniform(-4, 1, (n, 1, 1, 1))
    wave = np.sin(2 * np.pi * (2.0 ** rng.uniform(-1, 4, (n, 1, 1, 1)) * t + rng.random((n, 9, 2, 1))))
    drift = rng.normal(size=(n, 9, 2, 1)) * (t - 0.5)
    rest = rng.normal(size=(n, 9, 2, 1))
    return torch.from_numpy(
        (rest + strength * (wave + drift) + 0.05 * rng.normal(size=(n, 9, 2, 100))).astype(np.float32)
    )


class Rebuilder(nn.Module):
    """Encoder, quantiser, linear decoder."""

    def __init__(self, quantise: str, scale: float, far: bool) -> None:
        super().__init__()
        scalars = len(LEVELS) if quantise == "fsq" else DIM
        self.encoder = Conv2dEncoder(width=8, embedding_dim=TOKENS, n_scalars=scalars)
        with torch.no_grad():
            self.encoder.project.weight.mul_(scale)
        if quantise == "fsq":
            self.quantizer: nn.Module = FSQ(LEVELS)
        else:
            careful = quantise == "vq careful"
            vq = VectorQuantizerEMA2D(CODES, DIM, kmeans_init=careful, revive_below=0.05 if careful else 0.0)
            if far:
                vq.codebook.mul_(0.01).add_(10.0)
                vq.total.copy_(vq.codebook)
            self.quantizer = vq
        torch.manual_seed(1)
        self.decoder = nn.Linear(TOKENS * scalars, 9 * 2 * 25)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        tokens = self.encoder(x)
        if isinstance(self.quantizer, FSQ):
            quantized, codes = self.quantizer(tokens)
            return self.decoder(quantized.flatten(1)), codes, torch.zeros(())
        maps, losses, info = self.quantizer(tokens.permute(0, 2, 1)[:, :, None])
        return self.decoder(maps[:, :, 0].permute(0, 2, 1).flatten(1)), info["indices"][:, 0], losses["vq"]


def train(model: Rebuilder, windows: Tensor, held_out: Tensor, steps: int) -> dict[str, list[float]]:
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
    order = torch.Generator().manual_seed(2)
    at: list[float] = []
    perplexity: list[float] = []
    error: list[float] = []
    for step in range(steps + 1):
        if step % 10 == 0:
            model.eval()
            with torch.no_grad():
                rebuilt, codes, _ = model(held_out)
            at.append(step)
            perplexity.append(code_usage(codes.numpy(), CODES).perplexity)
            error.append(float(nn.functional.mse_loss(rebuilt, thinned(held_out))))
            model.train()
        x = windows[torch.randint(len(windows), (BATCH,), generator=order)]
        rebuilt, _, extra = model(x)
        loss = nn.functional.mse_loss(rebuilt, thinned(x)) + extra
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return {"step": at, "perplexity": perplexity, "error": error}


def thinned(x: Tensor) -> Tensor:
    return x.reshape(*x.shape[:3], 25, 4).mean(-1).flatten(1)


RUNS: dict[str, Callable[[], Rebuilder]] = {
    "FSQ": lambda: Rebuilder("fsq", 1, False),
    "FSQ, weights × 100": lambda: Rebuilder("fsq", 100, False),
    "FSQ, weights / 100": lambda: Rebuilder("fsq", 0.01, False),
    "VQ-EMA": lambda: Rebuilder("vq", 1, False),
    "VQ-EMA, codes far off": lambda: Rebuilder("vq", 1, True),
    "VQ-EMA, codes far off, k-means + revival": lambda: Rebuilder("vq careful", 1, True),
}


def draw(found: dict[str, dict[str, list[float]]], path: Path) -> None:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = cast("Any", figure.subplots())
    for name, curve in found.items():
        axes.plot(curve["step"], curve["perplexity"], label=name, linestyle="-" if name.startswith("FSQ") else "--")
    axes.axhline(CODES, color="grey", linewidth=0.5)
    axes.set(xlabel="training step", ylabel=f"perplexity of {CODES} codes, unseen windows", ylim=(0, CODES * 1.05))
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    windows, held_out = motions(4096, 0), motions(1024, 1)
    found = {name: train(make(), windows, held_out, arguments.steps) for name, make in RUNS.items()}
    for name, curve in found.items():
        print(
            f"{name:42s} lowest perplexity after step 50: {min(curve['perplexity'][5:]):6.1f}   "
            f"last: {curve['perplexity'][-1]:6.1f}   error: {curve['error'][-1]:.4f}"
        )
    draw(found, arguments.out / "collapse.png")


if __name__ == "__main__":
    main()
