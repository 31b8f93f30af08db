"""The one call that turns windows into codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conv2d.features._contract import N_DEVICES, check_windows
from conv2d.features._errors import ContractError
from conv2d.features._fixed import fixed_tokens
from conv2d.features._levels import check_levels
from conv2d.features.numpy import fsq_quantize

__all__ = ["Encoder", "FSQResult", "device_codes", "encode_fsq"]

Encoder = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Windows float32 (B, 9, 2, 100) to unbounded scalars float32 (B, embedding_dim, len(levels))."""


@dataclass(frozen=True, eq=False)
class FSQResult:
    """Codes of a batch of windows.

    Attributes
    ----------
    codes : ndarray of int32, shape (B, embedding_dim)
        One code per token, in ``[0, prod(levels))``.
    features : ndarray of float32, shape (B, embedding_dim * len(levels))
        The encoder's scalars before quantisation.
    embeddings : ndarray of float32, shape (B, embedding_dim)
        Mean of each token's quantised scalars, in [-1, 1]: a small vector for clustering.
    quantized : ndarray of float32, shape (B, embedding_dim, len(levels))
        The quantised scalars.
    """

    codes: NDArray[np.int32]
    features: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    quantized: NDArray[np.float32]


def encode_fsq(
    x: NDArray[np.float32],
    levels: Sequence[int] = (8, 6, 5),
    embedding_dim: int = 64,
    encoder: Encoder | None = None,
) -> FSQResult:
    """Encode windows to FSQ codes.

    Parameters
    ----------
    x : ndarray of float32, shape (B, 9, 2, 100)
        Batch, channel (accelerometer m/s², gyroscope rad/s, magnetometer µT), device, time; C-contiguous and finite.
        B may be 0.
    levels : sequence of int
        FSQ levels, one per scalar of a token.
    embedding_dim : int
        Tokens per window.
    encoder : callable, optional
        A trained encoder; it takes the windows as they are given here and must return float32
        (B, embedding_dim, len(levels)). Without it, a fixed training-free encoder is used that needs no normalisation and
        gives the same bytes on every machine.

    Returns
    -------
    FSQResult
        Frozen; a window's row does not depend on the rest of the batch.

    Raises
    ------
    ContractError
        A ``ValueError``: wrong shape, dtype, layout, NaN or Inf, levels or encoder output.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(2, 9, 2, 100)).astype(np.float32)
    >>> result = encode_fsq(x, levels=[8, 6, 5], embedding_dim=64)
    >>> result.codes.shape, result.codes.dtype, result.quantized.shape
    ((2, 64), dtype('int32'), (2, 64, 3))
    """
    check_windows(x)
    table = check_levels(levels)
    if isinstance(embedding_dim, bool) or embedding_dim < 1:
        raise ContractError(f"embedding_dim must be at least 1 token per window, got {embedding_dim!r}.")
    shape = (len(x), embedding_dim, len(table.levels))
    if encoder is None:
        tokens = fixed_tokens(x, embedding_dim, len(table.levels))
    else:
        tokens = encoder(x)
        if tokens.dtype != np.float32 or tokens.shape != shape:
            raise ContractError(
                f"encoder must return float32 {shape} = (windows, embedding_dim, len(levels)), "
                f"got {tokens.dtype} with shape {tokens.shape}."
            )
    quantized, codes = fsq_quantize(tokens, table.levels)
    return FSQResult(
        codes, tokens.reshape(len(x), shape[1] * shape[2]), quantized.mean(-1, dtype=np.float32), quantized
    )


def device_codes(
    x: NDArray[np.float32],
    levels: Sequence[int] = (8, 6, 5),
    embedding_dim: int = 64,
    encoder: Encoder | None = None,
) -> NDArray[np.int32]:
    """Encode each device alone, the other one masked with zeros: two streams of codes whose synchrony can be measured.

    Parameters
    ----------
    x : ndarray of float32, shape (B, 9, 2, 100)
        As for :func:`encode_fsq`; with a trained encoder, normalised, so that zero is a channel's mean.
    levels, embedding_dim, encoder
        As for :func:`encode_fsq`.

    Returns
    -------
    ndarray of int32, shape (B, 2, embedding_dim)
        Row ``[:, d]`` holds nothing of the other device. A network trained on both devices sees a masked one as an absent one;
        train with device dropout if that is to be in its experience.

    Raises
    ------
    ContractError
        As :func:`encode_fsq`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(4, 9, 2, 100)).astype(np.float32)
    >>> device_codes(x).shape
    (4, 2, 64)
    """
    check_windows(x)
    codes: list[NDArray[np.int32]] = []
    for device in range(N_DEVICES):
        alone = np.zeros_like(x)
        alone[:, :, device] = x[:, :, device]
        codes.append(encode_fsq(alone, levels, embedding_dim, encoder).codes)
    return np.stack(codes, 1)
