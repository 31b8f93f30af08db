"""Finite scalar quantisation as a torch module.

References
----------
.. [1] F. Mentzer, D. Minnen, E. Agustsson, M. Tschannen, "Finite Scalar Quantization: VQ-VAE Made Simple",
   arXiv:2309.15505, 2023.
.. [2] J. D. Parker et al., "Scaling Transformers for Low-Bitrate High-Quality Speech Coding", arXiv:2411.19842, 2024, section 3.2.
"""

# torch's own signatures are partly untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from conv2d.features._errors import ContractError
from conv2d.features._levels import check_levels
from conv2d.features._quantize import codebook, quantize

_TABLE_CODES = 2**16
"""Up to this many codes, quantised vectors are looked up in a table of them all; beyond, they are computed."""


class _StraightThrough(torch.autograd.Function):
    """Pass the quantised values on, and their gradient to the unbounded scalars through the published bound.

    The bound has no part in the values, so its ``tanh`` is taken in the backward pass alone, and only ``z`` is kept for it.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, quantized: Tensor, shift: Tensor, slope: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return quantized.view_as(quantized)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        z, _, shift, slope = inputs
        ctx.save_for_backward(z, shift, slope)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None]:
        z, shift, slope = cast("tuple[Tensor, Tensor, Tensor]", ctx.saved_tensors)
        # g * (1 - tanh²) in one pass
        return torch.ops.aten.tanh_backward(grad_outputs[0] * slope, torch.tanh(z + shift)), None, None, None


class FSQ(nn.Module):
    """Round every scalar of a vector to one of a few levels, with a straight-through gradient.

    No codebook is learnt, so none can collapse: the code of a vector is the mixed-radix number of its levels. The levels are
    decided by comparing with thresholds (see ``conv2d.features.numpy``), so torch, numpy and ONNX give bit-equal codes; the
    published ``tanh`` bound shapes the gradient.

    Parameters
    ----------
    levels : sequence of int
        Levels per scalar, each at least 2, with at most 2**31 - 1 codes; ``[8, 6, 5]`` gives 240.
    symmetric : bool
        The variant of [2]_: bounds with ``tanh(z)`` alone, and an even number of levels reaches +1 as well as -1. It divides the
        line otherwise than [1]_ for even levels: never mix the two in one codebook.
    noise_dropout : float
        In [0, 1), with ``symmetric`` only, as published: in training, each scalar is with this probability not rounded but given
        uniform noise one level wide, ``tanh(z) + U(-1, 1) / (L - 1)``, so that what follows learns to do without exact levels.
        The indices are those of the rounded scalars.

    Attributes
    ----------
    levels : tuple of int
        As given.
    n_codes : int
        Product of the levels.
    symmetric, noise_dropout
        As given.

    Raises
    ------
    ContractError
        If the levels break their rule.

    References
    ----------
    .. [1] Mentzer et al. 2023, arXiv:2309.15505.
    .. [2] Parker et al. 2024, arXiv:2411.19842.

    Examples
    --------
    >>> import torch
    >>> quantized, indices = FSQ([8, 6, 5])(torch.zeros(2, 64, 3))
    >>> quantized.shape, indices.shape, indices.dtype
    (torch.Size([2, 64, 3]), torch.Size([2, 64]), torch.int32)
    """

    levels: tuple[int, ...]
    n_codes: int
    symmetric: bool
    noise_dropout: float
    half_width: Tensor
    basis: Tensor
    sizes: Tensor
    shift: Tensor
    slope: Tensor
    table: Tensor | None

    def __init__(self, levels: Sequence[int], *, symmetric: bool = False, noise_dropout: float = 0.0) -> None:
        super().__init__()
        constants = check_levels(levels, symmetric)
        if not 0 <= noise_dropout < 1 or (noise_dropout > 0 and not symmetric):
            raise ContractError(
                f"noise_dropout must be in [0, 1), and goes with symmetric=True only, got {noise_dropout!r} with symmetric={symmetric}."
            )
        self.symmetric = constants.symmetric
        self.noise_dropout = noise_dropout
        self._constants = constants
        self.levels = constants.levels
        self.n_codes = constants.n_codes
        self._ends = [[float(end) for end in row if end < math.inf] for row in constants.thresholds]
        # Derived from the levels, hence not in the state dict: a checkpoint cannot disagree with them.
        for name, array in (
            ("half_width", constants.half_width),
            ("basis", constants.basis),
            ("sizes", np.array(constants.levels, np.int32)),
            ("shift", constants.shift.astype(np.float32)),
            ("slope", (constants.radius / constants.half_width).astype(np.float32)),
        ):
            self.register_buffer(name, torch.tensor(array), persistent=False)
        table = torch.tensor(codebook(constants)) if self.n_codes <= _TABLE_CODES else None
        self.register_buffer("table", table, persistent=False)

    def extra_repr(self) -> str:
        """Return the levels, for ``print(module)``."""
        variant = f", symmetric=True, noise_dropout={self.noise_dropout}" if self.symmetric else ""
        return f"levels={list(self.levels)}, n_codes={self.n_codes}{variant}"

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Quantise.

        Parameters
        ----------
        z : Tensor of float32, shape (..., n)
            Unbounded encoder outputs. A NaN stays NaN in ``quantized``, so it is seen downstream.

        Returns
        -------
        quantized : Tensor of float32, shape (..., n)
            Values in [-1, 1]; the gradient with respect to ``z`` is that of the published bound.
        indices : Tensor of int32, shape (...)
            Little-endian codes in ``[0, n_codes)``.

        Raises
        ------
        ContractError
            For a wrong dtype or last axis.
        """
        if z.dtype != torch.float32 or z.shape[-1] != len(self.levels):
            raise ContractError(
                f"z must be float32 with {len(self.levels)} scalars in its last axis, one for each of the levels "
                f"{list(self.levels)}, got {z.dtype} with shape {tuple(z.shape)}."
            )
        quantized, indices = self._quantize(z.detach())
        if self.training and self.noise_dropout > 0:
            noisy = torch.tanh(z.detach()) + (torch.rand_like(z) - 0.5) / self.half_width
            quantized = torch.where(torch.rand_like(z) < self.noise_dropout, noisy, quantized)
        if z.requires_grad and torch.is_grad_enabled():
            quantized = cast("Tensor", _StraightThrough.apply(z, quantized, self.shift, self.slope))
        return quantized, indices

    def indices_to_values(self, indices: Tensor) -> Tensor:
        """Return the quantised vectors behind codes.

        Parameters
        ----------
        indices : Tensor of int, shape (...)
            Codes in ``[0, n_codes)``.

        Returns
        -------
        Tensor of float32, shape (..., n)
            Values in [-1, 1].
        """
        return self._values(indices)

    def values_to_indices(self, values: Tensor) -> Tensor:
        """Return the codes of quantised vectors; the inverse of :meth:`indices_to_values`.

        Parameters
        ----------
        values : Tensor of float32, shape (..., n)
            Values as :meth:`forward` returns them.

        Returns
        -------
        Tensor of int32, shape (...)
            Codes in ``[0, n_codes)``.
        """
        numbers = torch.round(values * self.half_width + self.half_width).to(torch.int32)
        return (numbers * self.basis).sum(-1, dtype=torch.int32)

    def _quantize(self, z: Tensor) -> tuple[Tensor, Tensor]:
        array = _as_array(z)
        if array is not None:
            found = quantize(array, self._constants, values=True)
            values = torch.from_numpy(cast("NDArray[np.float32]", found.values))
            return values.masked_fill_(z.isnan(), math.nan) if found.n_nan else values, torch.from_numpy(found.codes)
        indices = _count_above(z[..., 0], self._ends[0])
        place = 1
        for i in range(1, len(self.levels)):
            place *= self.levels[i - 1]
            indices = indices + _count_above(z[..., i], self._ends[i]) * place
        return self._values(indices).masked_fill(z.isnan(), math.nan), indices

    def _values(self, indices: Tensor) -> Tensor:
        return self._computed(indices) if self.table is None else nn.functional.embedding(indices, self.table)

    def _computed(self, indices: Tensor) -> Tensor:
        numbers = torch.div(indices.unsqueeze(-1), self.basis, rounding_mode="floor") % self.sizes
        return (numbers.to(torch.float32) - self.half_width) / self.half_width


def _as_array(z: Tensor) -> NDArray[np.float32] | None:
    """Return the numbers of an ordinary CPU tensor; None on another device and while a graph is being recorded."""
    recorded = torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export() or cast("Any", torch.jit).is_tracing()
    if recorded or z.device.type != "cpu":
        return None
    try:
        return cast("NDArray[np.float32]", z.numpy())
    except RuntimeError:  # a stand-in without numbers, as in torch.func transforms
        return None


_MANY_LEVELS = 32
"""Levels from which the ends are compared in one operation, so that a graph stays small."""


def _count_above(scalar: Tensor, ends: list[float]) -> Tensor:
    """Return how many of the ends lie below each scalar, int32."""
    if len(ends) >= _MANY_LEVELS:
        return (
            (scalar.unsqueeze(-1) > torch.tensor(ends, device=scalar.device)).to(torch.int32).sum(-1, dtype=torch.int32)
        )
    count = (scalar > ends[0]).to(torch.int32)
    for end in ends[1:]:  # a chain that compilers fuse, where a reduction would hold all comparisons at once
        count = count + (scalar > end).to(torch.int32)
    return count
