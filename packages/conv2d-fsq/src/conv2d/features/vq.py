"""Vector quantisation with a learnt codebook: the classic that FSQ is measured against.

References
----------
.. [1] A. van den Oord, O. Vinyals, K. Kavukcuoglu, "Neural Discrete Representation Learning", NeurIPS 2017, arXiv:1711.00937
   (appendix A.1: exponential moving averages).
.. [2] J. Yu et al., "Vector-quantized Image Modeling with Improved VQGAN", ICLR 2022, arXiv:2110.04627 (cosine codes).
.. [3] W. Williams et al., "Hierarchical Quantized Autoencoders", NeurIPS 2020, arXiv:2002.08111 (revival of dead codes).
"""

# torch's own signatures are partly untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from conv2d.features._errors import ContractError

_ROWS = 2**14  # vectors whose distances are held at once
_KMEANS_ITERATIONS = 10
_KMEANS_VECTORS = 2**16


class VectorQuantizerEMA2D(nn.Module):
    """Replace every vector of a feature map by its nearest code; the codes follow the data as moving averages.

    Parameters
    ----------
    num_codes : int
        Codes, K.
    code_dim : int
        Size of a code, D.
    decay : float
        In [0, 1): how much of the old average an update keeps.
    commitment_cost : float
        Weight of the loss that pulls the encoder to its codes.
    epsilon : float
        Laplace smoothing of the codes' sizes.
    cosine : bool
        Compare directions: vectors and codes are scaled to unit length, and so is the result.
    kmeans_init : bool
        Start from k-means on the first training batch instead of random codes.
    revive_below : float
        A code whose average share falls below this part of an even share is dead and starts anew at a vector of the batch;
        0 switches revival off.
    accumulation_steps : int
        Training batches whose statistics make one update: the same number as for gradients, so that the codebook stands
        still between optimiser steps and micro-batches count like one batch.
    seed : int
        Of the initial codes, k-means and revival; the global random state is left as it was.

    Notes
    -----
    With an initialised process group, statistics are summed over all processes, and what is drawn is drawn by the first, so
    all hold the same codebook; each must bring a batch that is not empty. Everything that is not a parameter is a buffer and
    travels in the checkpoint.

    Raises
    ------
    ContractError
        If a parameter breaks its rule.

    References
    ----------
    .. [1] van den Oord et al. 2017, arXiv:1711.00937.

    Examples
    --------
    >>> import torch
    >>> vq = VectorQuantizerEMA2D(num_codes=32, code_dim=8)
    >>> zq, losses, info = vq(torch.randn(4, 8, 1, 100))
    >>> zq.shape, bool(losses["vq"].isfinite()), info["indices"].shape
    (torch.Size([4, 8, 1, 100]), True, torch.Size([4, 1, 100]))
    """

    codebook: Tensor
    size: Tensor
    total: Tensor
    pending_size: Tensor
    pending_total: Tensor
    pending_batches: Tensor
    updates: Tensor
    started: Tensor
    num_codes: int
    code_dim: int
    decay: float
    commitment_cost: float
    epsilon: float
    cosine: bool
    revive_below: float
    accumulation_steps: int
    seed: int

    def __init__(
        self,
        num_codes: int = 512,
        code_dim: int = 64,
        decay: float = 0.99,
        commitment_cost: float = 0.25,
        *,
        epsilon: float = 1e-5,
        cosine: bool = False,
        kmeans_init: bool = True,
        revive_below: float = 0.05,
        accumulation_steps: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for name, value, low in (
            ("num_codes", num_codes, 2),
            ("code_dim", code_dim, 1),
            ("accumulation_steps", accumulation_steps, 1),
        ):
            if isinstance(value, bool) or value < low:
                raise ContractError(f"{name} must be an integer of at least {low}, got {value!r}.")
        if not 0 <= decay < 1:
            raise ContractError(
                f"decay must be in [0, 1): the part of the old average that an update keeps, got {decay!r}."
            )
        if not (commitment_cost >= 0 and epsilon > 0 and 0 <= revive_below < 1):
            raise ContractError(
                "commitment_cost must not be negative, epsilon must be positive and revive_below in [0, 1), got "
                f"{commitment_cost!r}, {epsilon!r} and {revive_below!r}."
            )
        self.num_codes = num_codes
        self.code_dim = code_dim
        self.decay = decay
        self.commitment_cost = commitment_cost
        self.epsilon = epsilon
        self.cosine = cosine
        self.revive_below = revive_below
        self.accumulation_steps = accumulation_steps
        self.seed = seed
        codes = torch.randn(num_codes, code_dim, generator=torch.Generator().manual_seed(seed))
        codes = F.normalize(codes, dim=1) if cosine else codes
        for name, tensor in (
            ("codebook", codes),
            ("size", torch.ones(num_codes)),
            ("total", codes.clone()),
            ("pending_size", torch.zeros(num_codes)),
            ("pending_total", torch.zeros(num_codes, code_dim)),
            ("pending_batches", torch.zeros((), dtype=torch.int64)),
            ("updates", torch.zeros((), dtype=torch.int64)),
            ("started", torch.tensor(not kmeans_init)),
        ):
            self.register_buffer(name, tensor)

    def extra_repr(self) -> str:
        """Return the sizes, for ``print(module)``."""
        return f"num_codes={self.num_codes}, code_dim={self.code_dim}, decay={self.decay}, cosine={self.cosine}"

    def forward(self, z: Tensor) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """Quantise a feature map, and in training mode let the codes follow it.

        Parameters
        ----------
        z : Tensor of float32, shape (B, D, H, T)
            Encoder outputs; H is 1 for windows.

        Returns
        -------
        quantized : Tensor of float32, shape (B, D, H, T)
            Nearest codes; the gradient passes straight through.
        losses : dict
            ``"vq"``, the weighted loss to add to the task's, and ``"commitment"``, the mean squared error without weight.
        info : dict
            ``"indices"`` int32 (B, H, T); ``"usage"``, the fraction of the codes in this batch; ``"perplexity"``, in
            [1, num_codes]; ``"revived"``, how many codes started anew.

        Raises
        ------
        ContractError
            For a wrong dtype or shape, or, in training, NaN or Inf, which would stay in the averages for ever.
        """
        if z.dtype != torch.float32 or z.ndim != 4 or z.shape[1] != self.code_dim:
            raise ContractError(
                f"z must be float32 with shape (B, {self.code_dim}, H, T) = batch, code_dim, height, time; "
                f"got {z.dtype} with shape {tuple(z.shape)}."
            )
        batch, _, height, steps = z.shape
        vectors = z.permute(0, 2, 3, 1).reshape(-1, self.code_dim)
        if self.cosine:
            vectors = F.normalize(vectors, dim=1)
        fixed = vectors.detach()
        if self.training:
            self._check_finite(fixed)
            self._start(fixed)
        indices = _nearest(fixed, self.codebook)
        codes = self.codebook[indices]  # before the update: what the loss and the result speak of
        revived = self._learn(fixed, indices) if self.training else 0
        commitment = F.mse_loss(vectors, codes) if len(vectors) else vectors.sum()
        quantized = (vectors + (codes - fixed)).reshape(batch, height, steps, self.code_dim).permute(0, 3, 1, 2)
        share = torch.bincount(indices, minlength=self.num_codes) / max(len(indices), 1)
        losses = {"vq": self.commitment_cost * commitment, "commitment": commitment}
        info = {
            "indices": indices.to(torch.int32).reshape(batch, height, steps),
            "usage": (share > 0).float().mean(),
            "perplexity": torch.exp(-torch.xlogy(share, share).sum()),
            "revived": torch.tensor(revived),
        }
        return quantized, losses, info

    def decode(self, indices: Tensor) -> Tensor:
        """Return the codes behind indices.

        Parameters
        ----------
        indices : Tensor of int, shape (B, H, T)
            As ``info["indices"]``.

        Returns
        -------
        Tensor of float32, shape (B, D, H, T)
            Their codes.
        """
        return self.codebook[indices.long()].permute(0, 3, 1, 2)

    def _check_finite(self, vectors: Tensor) -> None:
        if not bool(vectors.isfinite().all()):
            count = int((~vectors.isfinite()).sum())
            raise ContractError(
                f"z must be finite in training; {count} of {vectors.numel()} values are NaN or Inf and would stay in the codebook's "
                "averages. Look for their source: the learning rate, or windows that were not checked."
            )

    @torch.no_grad()
    def _learn(self, vectors: Tensor, indices: Tensor) -> int:
        """Add a batch to the statistics; at the end of an accumulation, update the codes. Return how many were revived."""
        self.pending_size += torch.bincount(indices, minlength=self.num_codes)
        self.pending_total.index_add_(0, indices, vectors)
        self.pending_batches += 1
        if int(self.pending_batches) < self.accumulation_steps:
            return 0
        _sum_over_processes(self.pending_size)
        _sum_over_processes(self.pending_total)
        self.size.mul_(self.decay).add_(self.pending_size, alpha=1 - self.decay)
        self.total.mul_(self.decay).add_(self.pending_total, alpha=1 - self.decay)
        for pending in (self.pending_size, self.pending_total, self.pending_batches):
            pending.zero_()
        self.updates += 1
        revived = self._revive(vectors)
        everything = self.size.sum()
        smoothed = (self.size + self.epsilon) / (everything + self.num_codes * self.epsilon) * everything
        codes = self.total / smoothed[:, None]
        self.codebook.copy_(F.normalize(codes, dim=1) if self.cosine else codes)
        return revived

    def _revive(self, vectors: Tensor) -> int:
        share = self.size.sum() / self.num_codes
        dead = (self.size < self.revive_below * share).nonzero()[:, 0]
        if not len(dead) or not len(vectors):
            return 0
        self.total[dead] = _from_first_process(_draw(vectors, len(dead), self._generator())) * share
        self.size[dead] = share
        return len(dead)

    @torch.no_grad()
    def _start(self, vectors: Tensor) -> None:
        """Place the codes by k-means on the first batch (of the first process)."""
        if bool(self.started) or not len(vectors):
            return
        generator = self._generator()
        sample = _draw(vectors, min(len(vectors), _KMEANS_VECTORS), generator)
        codes = _draw(sample, self.num_codes, generator)
        for _ in range(_KMEANS_ITERATIONS):
            nearest = _nearest(sample, codes)
            count = torch.bincount(nearest, minlength=self.num_codes)
            mean = torch.zeros_like(codes).index_add_(0, nearest, sample) / count.clamp(min=1)[:, None]
            codes = torch.where((count > 0)[:, None], F.normalize(mean, dim=1) if self.cosine else mean, codes)
        self.codebook.copy_(_from_first_process(codes))
        self.size.fill_(len(vectors) / self.num_codes)
        _sum_over_processes(self.size)
        self.total.copy_(self.codebook * self.size[:, None])
        self.started.fill_(True)

    def _generator(self) -> torch.Generator:
        """Return a generator that depends on the seed and the number of updates alone, so that a resumed run draws the same."""
        return torch.Generator().manual_seed(self.seed * 1_000_003 + int(self.updates) + 1)


def _nearest(vectors: Tensor, codes: Tensor) -> Tensor:
    """Return the nearest of the codes (K, D) of each vector (N, D), int64 (N,)."""
    squares = codes.square().sum(1)  # the vectors' own squares do not change the order
    parts = cast("tuple[Tensor, ...]", vectors.split(_ROWS))
    return torch.cat([torch.addmm(squares, part, codes.T, alpha=-2).argmin(1) for part in parts])


def _draw(vectors: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw ``count`` vectors, none twice as long as there are enough."""
    order = torch.randperm(len(vectors), generator=generator)
    return vectors[order.repeat(-(-count // len(vectors)))[:count].to(vectors.device)]


def _many_processes() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _sum_over_processes(tensor: Tensor) -> None:
    if _many_processes():
        dist.all_reduce(tensor)


def _from_first_process(tensor: Tensor) -> Tensor:
    if _many_processes():
        tensor = tensor.contiguous()
        dist.broadcast(tensor, 0)
    return tensor
