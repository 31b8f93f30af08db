"""Encoder, quantiser and head as one module: what is trained, exported and served."""

# torch's own signatures are partly untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from conv2d.features.encoder import Conv2dEncoder
from conv2d.features.fsq import FSQ


class WindowClassifier(nn.Module):
    """Classify windows from their FSQ codes.

    The head sees nothing but the quantised tokens, so a window's codes determine its class scores.

    Parameters
    ----------
    n_classes : int
        Classes.
    levels : sequence of int
        FSQ levels.
    embedding_dim : int
        Tokens per window.
    width : int
        Width of :class:`Conv2dEncoder`.
    dropout : float
        Dropout in the encoder and before the head, in training only.
    seed : int
        Seed of the initial weights.

    Examples
    --------
    >>> import torch
    >>> logits, codes = WindowClassifier(5, width=8).eval()(torch.zeros(2, 9, 2, 100))
    >>> logits.shape, codes.shape, codes.dtype
    (torch.Size([2, 5]), torch.Size([2, 64]), torch.int32)
    """

    encoder: Conv2dEncoder
    quantizer: FSQ
    head: nn.Sequential

    def __init__(
        self,
        n_classes: int,
        levels: Sequence[int] = (8, 6, 5),
        embedding_dim: int = 64,
        width: int = 32,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = Conv2dEncoder(width, embedding_dim, len(levels), dropout, seed)
        self.quantizer = FSQ(levels)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + 1)
            self.head = nn.Sequential(
                nn.Flatten(), nn.Dropout(dropout), nn.Linear(embedding_dim * len(levels), n_classes)
            )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return class scores and codes.

        Parameters
        ----------
        x : Tensor of float32, shape (B, 9, 2, 100)
            Normalised windows.

        Returns
        -------
        logits : Tensor of float32, shape (B, n_classes)
            Unnormalised scores; temperature and softmax come after the graph.
        codes : Tensor of int32, shape (B, embedding_dim)
            FSQ codes.
        """
        quantized, codes = self.quantizer(self.encoder(x))
        return self.head(quantized), codes

    def device_codes(self, x: Tensor) -> Tensor:
        """Return the codes of each device alone, the other one masked with zeros; for synchrony.

        Parameters
        ----------
        x : Tensor of float32, shape (B, 9, 2, 100)
            Normalised windows, so that zero is a channel's mean.

        Returns
        -------
        Tensor of int32, shape (B, 2, embedding_dim)
            Row ``[:, d]`` holds nothing of the other device.
        """
        only = torch.eye(x.shape[2], dtype=x.dtype, device=x.device)
        return torch.stack([self.quantizer(self.encoder(x * mask[:, None]))[1] for mask in only], 1)
