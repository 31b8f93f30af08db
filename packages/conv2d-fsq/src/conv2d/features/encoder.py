"""The edge-safe encoder: 2-D convolutions with the kernel over time, and a learned fusion of the two devices."""

# torch's own signatures are partly untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import torch
from torch import Tensor, nn

from conv2d.features._contract import N_CHANNELS, N_DEVICES, WINDOW_STEPS


def _block(channels_in: int, channels_out: int, kernel: tuple[int, int], padding: tuple[int, int]) -> nn.Sequential:
    # The batch norm folds into the convolution on export, so the graph keeps Conv and ReLU only.
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, padding=padding, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


class Conv2dEncoder(nn.Module):
    """Encode a window of two devices into tokens.

    Two convolutions see each device alone with shared weights; a third spans both devices and fuses them; a fourth refines.
    Mean and maximum over time feed one linear layer. Only operators that accelerators compile are used: Conv2d, ReLU,
    pooling, Flatten and Gemm.

    Parameters
    ----------
    width : int
        Channels of the first block; the later ones have 2, 3 and 4 times as many.
    embedding_dim : int
        Tokens per window.
    n_scalars : int
        Scalars per token, one for each FSQ level.
    dropout : float
        Dropout before the linear layer, in training only.
    seed : int
        Seed of the initial weights; the global random state is left as it was.

    Examples
    --------
    >>> import torch
    >>> Conv2dEncoder(width=8)(torch.zeros(2, 9, 2, 100)).shape
    torch.Size([2, 64, 3])
    """

    embedding_dim: int
    n_scalars: int
    body: nn.Sequential
    mean: nn.AvgPool2d
    peak: nn.MaxPool2d
    dropout: nn.Dropout
    project: nn.Linear
    spread: nn.BatchNorm1d

    def __init__(
        self, width: int = 32, embedding_dim: int = 64, n_scalars: int = 3, dropout: float = 0.0, seed: int = 0
    ) -> None:
        super().__init__()
        self.embedding_dim = embedding_dim
        self.n_scalars = n_scalars
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.body = nn.Sequential(
                _block(N_CHANNELS, width, (1, 7), (0, 3)),
                nn.MaxPool2d((1, 2)),
                _block(width, 2 * width, (1, 5), (0, 2)),
                nn.MaxPool2d((1, 2)),
                _block(2 * width, 3 * width, (N_DEVICES, 5), (0, 2)),
                _block(3 * width, 4 * width, (1, 3), (0, 1)),
            )
            steps = WINDOW_STEPS // 4
            self.mean = nn.AvgPool2d((1, steps))
            self.peak = nn.MaxPool2d((1, steps))
            self.dropout = nn.Dropout(dropout)
            # The norm keeps every scalar spread over its levels from the first step on; it folds into the linear layer.
            self.project = nn.Linear(8 * width, embedding_dim * n_scalars, bias=False)
            self.spread = nn.BatchNorm1d(embedding_dim * n_scalars)

    def forward(self, x: Tensor) -> Tensor:
        """Encode normalised windows.

        Parameters
        ----------
        x : Tensor of float32, shape (B, 9, 2, 100)
            Normalised windows.

        Returns
        -------
        Tensor of float32, shape (B, embedding_dim, n_scalars)
            Unbounded scalars, ready for :class:`conv2d.features.FSQ`.
        """
        maps = self.body(x)
        pooled = torch.cat([self.mean(maps).flatten(1), self.peak(maps).flatten(1)], 1)
        return self.spread(self.project(self.dropout(pooled))).reshape(-1, self.embedding_dim, self.n_scalars)
