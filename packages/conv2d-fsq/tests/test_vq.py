"""Vector quantisation with moving averages, against the paper's equations in numpy and against itself on two processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from conv2d.features import ContractError, VectorQuantizerEMA2D


def maps(n: int = 8, dim: int = 4, steps: int = 50, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, 1, steps, generator=torch.Generator().manual_seed(seed))


def clusters(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps (n, 2, 1, 60) of six well-separated clusters, and their centres."""
    angle = torch.arange(6) * torch.pi / 3
    centres = 5 * torch.stack([angle.cos(), angle.sin()], 1)
    generator = torch.Generator().manual_seed(seed)
    which = torch.randint(6, (n, 60), generator=generator)
    return (centres[which] + 0.1 * torch.randn(n, 60, 2, generator=generator)).permute(0, 2, 1)[:, :, None], centres


def test_the_contract_of_shapes() -> None:
    vq = VectorQuantizerEMA2D()
    zq, losses, info = vq(torch.randn(32, 64, 1, 100))
    assert zq.shape == (32, 64, 1, 100)
    assert losses["vq"].isfinite()
    assert info["indices"].shape == (32, 1, 100)
    assert info["indices"].dtype == torch.int32
    assert 0 < info["usage"] <= 1
    assert 1 <= info["perplexity"] <= 512


@pytest.mark.parametrize("cosine", [False, True])
def test_an_update_follows_the_papers_equations(cosine: bool) -> None:
    vq = VectorQuantizerEMA2D(7, 4, decay=0.9, epsilon=1e-3, kmeans_init=False, revive_below=0, cosine=cosine)
    codes, size, total = (v.double().numpy().copy() for v in (vq.codebook, vq.size, vq.total))
    for seed in range(3):
        z = maps(seed=seed)
        vectors = z.permute(0, 2, 3, 1).reshape(-1, 4).double().numpy()
        if cosine:
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        nearest = ((vectors[:, None] - codes) ** 2).sum(-1).argmin(1)
        zq, losses, info = vq(z)
        np.testing.assert_array_equal(info["indices"].flatten().numpy(), nearest)
        np.testing.assert_allclose(zq.permute(0, 2, 3, 1).reshape(-1, 4).numpy(), codes[nearest], atol=1e-5)
        assert losses["commitment"].item() == pytest.approx(((vectors - codes[nearest]) ** 2).mean(), rel=1e-5)
        assert losses["vq"].item() == pytest.approx(0.25 * losses["commitment"].item())
        share = np.bincount(nearest, minlength=7) / len(nearest)
        entropy = -(share[share > 0] * np.log(share[share > 0])).sum()
        assert info["perplexity"].item() == pytest.approx(np.exp(entropy), rel=1e-5)
        assert info["usage"].item() == pytest.approx((share > 0).mean())
        one_hot = np.eye(7)[nearest]
        size = 0.9 * size + 0.1 * one_hot.sum(0)
        total = 0.9 * total + 0.1 * one_hot.T @ vectors
        codes = total / ((size + 1e-3) / (size.sum() + 7e-3) * size.sum())[:, None]
        if cosine:
            codes = codes / np.linalg.norm(codes, axis=1, keepdims=True)
        np.testing.assert_allclose(vq.codebook.numpy(), codes, atol=1e-5)


def test_the_gradient_passes_straight_through_beside_that_of_the_commitment() -> None:
    vq = VectorQuantizerEMA2D(7, 4, commitment_cost=0.5, kmeans_init=False).eval()
    z = maps().requires_grad_()
    zq, losses, _ = vq(z)
    weight = maps(seed=9)
    ((zq * weight).sum() + losses["vq"]).backward()
    assert z.grad is not None
    expected = weight + 0.5 * 2 * (z - zq).detach() / z.numel()
    torch.testing.assert_close(z.grad, expected)


def test_evaluation_changes_nothing_and_decodes_what_it_encoded() -> None:
    vq = VectorQuantizerEMA2D(7, 4)
    vq(maps())
    vq.eval()
    before = {name: value.clone() for name, value in vq.state_dict().items()}
    zq, _, info = vq(maps(seed=1))
    assert all(torch.equal(before[name], value) for name, value in vq.state_dict().items())
    torch.testing.assert_close(vq.decode(info["indices"]), zq, rtol=0, atol=1e-6)
    empty, losses, _ = vq(maps(0))
    assert empty.shape == (0, 4, 1, 50)
    assert losses["vq"] == 0


@pytest.mark.parametrize("cosine", [False, True])
def test_micro_batches_count_like_one_batch(cosine: bool) -> None:
    options = {"kmeans_init": False, "revive_below": 0.0, "cosine": cosine}
    whole = VectorQuantizerEMA2D(7, 4, **options)
    parts = VectorQuantizerEMA2D(7, 4, accumulation_steps=4, **options)
    for seed in range(3):
        z = maps(seed=seed)
        expected = whole(z)[2]["indices"]
        found = torch.cat([parts(part)[2]["indices"] for part in z.split(2)])
        assert torch.equal(found, expected)
        torch.testing.assert_close(parts.codebook, whole.codebook)


def test_k_means_starts_at_the_data() -> None:
    z, centres = clusters(16)
    vq = VectorQuantizerEMA2D(64, 2)
    assert vq(z)[1]["commitment"] < 0.02  # 64 codes for six clusters of variance 0.01 a coordinate
    assert torch.cdist(centres, vq.codebook).min(1).values.max() < 0.2


def test_dead_codes_come_back() -> None:
    def train(revive_below: float) -> tuple[float, int]:
        vq = VectorQuantizerEMA2D(12, 2, decay=0.8, kmeans_init=False, revive_below=revive_below)
        vq.codebook.mul_(0.01).add_(100.0)  # far from all data, and one code is the nearest to everything
        vq.total.copy_(vq.codebook)
        found = [vq(clusters(16, seed)[0])[2] for seed in range(40)]
        return float(found[-1]["perplexity"]), sum(int(info["revived"]) for info in found)

    perplexity, revived = train(0.05)
    assert train(0.0) == (pytest.approx(1.0, abs=1.5), 0)  # collapsed: a code or two for six clusters
    assert perplexity > 5
    assert revived >= 5


def test_directions_alone_count_with_cosine() -> None:
    vq = VectorQuantizerEMA2D(16, 4, cosine=True)
    vq(maps())
    vq.eval()
    zq, _, info = vq(maps(seed=1))
    assert torch.equal(info["indices"], vq(maps(seed=1) * 7.0)[2]["indices"])
    torch.testing.assert_close(zq.norm(dim=1), torch.ones(8, 1, 50))


def test_a_checkpoint_goes_on_as_if_there_had_been_no_break() -> None:
    first = VectorQuantizerEMA2D(20, 4, decay=0.5, revive_below=0.9, accumulation_steps=2)
    for seed in range(5):  # ends in the middle of an accumulation
        first(maps(seed=seed))
    second = VectorQuantizerEMA2D(20, 4, decay=0.5, revive_below=0.9, accumulation_steps=2)
    second.load_state_dict(first.state_dict())
    torch.manual_seed(99)
    revived = 0
    for seed in range(5, 9):
        a, b = first(maps(seed=seed)), second(maps(seed=seed))
        assert torch.equal(a[0], b[0])
        revived += int(a[2]["revived"])
    assert torch.equal(first.codebook, second.codebook)
    assert revived > 0


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    vq = VectorQuantizerEMA2D(20, 4, revive_below=0.9)
    vq(maps())
    assert torch.equal(before, torch.random.get_rng_state())


PROCESS = """
import sys, torch, torch.distributed as dist
from conv2d.features import VectorQuantizerEMA2D
rank, folder = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
plain = VectorQuantizerEMA2D(7, 4, kmeans_init=False, revive_below=0.0)
drawn = VectorQuantizerEMA2D(7, 4, decay=0.5, revive_below=0.9)
for seed in range(4):
    z = torch.randn(8, 4, 1, 50, generator=torch.Generator().manual_seed(seed))
    for vq in (plain, drawn):
        vq(z[rank * 4 : rank * 4 + 4])
torch.save([plain.state_dict(), drawn.state_dict()], f"{folder}/{rank}.pt")
dist.destroy_process_group()
"""


def test_two_processes_learn_one_codebook(tmp_path: Path) -> None:
    running = [subprocess.Popen([sys.executable, "-c", PROCESS, str(rank), str(tmp_path)]) for rank in range(2)]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    for a, b in zip(first, second, strict=True):  # also where codes are drawn, by k-means and revival
        for name, value in a.items():
            assert torch.equal(value, b[name]), name
    alone = VectorQuantizerEMA2D(7, 4, kmeans_init=False, revive_below=0.0)
    for seed in range(4):
        alone(maps(seed=seed))
    torch.testing.assert_close(first[0]["codebook"], alone.codebook)
    torch.testing.assert_close(first[0]["size"], alone.size)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"num_codes": 1}, "num_codes"),
        ({"code_dim": 0}, "code_dim"),
        ({"accumulation_steps": True}, "accumulation_steps"),
        ({"decay": 1.0}, "decay"),
        ({"decay": float("nan")}, "decay"),
        ({"commitment_cost": -1.0}, "commitment_cost"),
        ({"revive_below": 1.0}, "revive_below"),
    ],
)
def test_bad_parameters_are_refused(options: dict[str, float], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        VectorQuantizerEMA2D(**options)  # type: ignore[arg-type] - some are wrong on purpose


@pytest.mark.parametrize(
    ("z", "says"),
    [
        (torch.zeros(2, 4, 1, 5, dtype=torch.float64), "float64"),
        (torch.zeros(2, 4, 5), r"\(2, 4, 5\)"),
        (torch.zeros(2, 5, 1, 5), r"\(2, 5, 1, 5\)"),
        (torch.full((2, 4, 1, 5), torch.nan), "40 of 40"),
        (torch.full((2, 4, 1, 5), torch.inf), "40 of 40"),
    ],
)
def test_bad_maps_are_refused_and_leave_no_trace(z: torch.Tensor, says: str) -> None:
    vq = VectorQuantizerEMA2D(7, 4)
    before = {name: value.clone() for name, value in vq.state_dict().items()}
    with pytest.raises(ContractError, match=says):
        vq(z)
    assert all(torch.equal(before[name], value) for name, value in vq.state_dict().items())
