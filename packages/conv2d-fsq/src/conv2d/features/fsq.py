"""Finite scalar quantisation as a torch module.

References
----------
.. [1] F. Mentzer, D. Minnen, E. Agustsson, M. Tschannen, "Finite Scalar Quantization: VQ-VAE Made Simple",
   arXiv:2309.15505, 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from conv2d.features._errors import ContractError
from conv2d.features._levels import check_levels


class FSQ(nn.Module):
    """Round every scalar of a vector to one of a few levels, with a straight-through gradient.

    No codebook is learnt, so none can collapse: the code of a vector is the mixed-radix number of its levels. The levels are
    decided by comparing with thresholds (see ``conv2d.features.numpy``), so torch, numpy and ONNX give bit-equal codes; the
    published ``tanh`` bound shapes the gradient.

    Parameters
    ----------
    levels : sequence of int
        Levels per scalar, each at least 2, with at most 2**31 - 1 codes; ``[8, 6, 5]`` gives 240.

    Attributes
    ----------
    levels : tuple of int
        As given.
    n_codes : int
        Product of the levels.

    Raises
    ------
    ContractError
        If the levels break their rule.

    References
    ----------
    .. [1] Mentzer et al. 2023, arXiv:2309.15505.

    Examples
    --------
    >>> import torch
    >>> quantized, indices = FSQ([8, 6, 5])(torch.zeros(2, 64, 3))
    >>> quantized.shape, indices.shape, indices.dtype
    (torch.Size([2, 64, 3]), torch.Size([2, 64]), torch.int32)
    """

    levels: tuple[int, ...]
    n_codes: int
    thresholds: Tensor
    half_width: Tensor
    basis: Tensor
    sizes: Tensor
    radius: Tensor
    offset: Tensor
    shift: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        table = check_levels(levels)
        self.levels = table.levels
        self.n_codes = table.n_codes
        # Derived from the levels, hence not in the state dict: a checkpoint cannot disagree with them.
        for name, array in (
            ("thresholds", table.thresholds),
            ("half_width", table.half_width),
            ("basis", table.basis),
            ("radius", table.radius.astype("float32")),
            ("offset", table.offset.astype("float32")),
            ("shift", table.shift.astype("float32")),
        ):
            self.register_buffer(name, torch.tensor(array), persistent=False)
        self.register_buffer("sizes", torch.tensor(table.levels, dtype=torch.int32), persistent=False)

    def extra_repr(self) -> str:
        """Return the levels, for ``print(module)``."""
        return f"levels={list(self.levels)}, n_codes={self.n_codes}"

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
        numbers = (z.unsqueeze(-1) > self.thresholds).to(torch.int32).sum(-1, dtype=torch.int32)
        quantized = (numbers.to(torch.float32) - self.half_width) / self.half_width
        bounded = (torch.tanh(z + self.shift) * self.radius - self.offset) / self.half_width
        quantized = quantized + (
            bounded - bounded.detach()
        )  # + 0 exactly: the value stays, the gradient is the bound's
        return quantized, (numbers * self.basis).sum(-1, dtype=torch.int32)

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
        numbers = torch.div(indices.unsqueeze(-1), self.basis, rounding_mode="floor") % self.sizes
        return (numbers.to(torch.float32) - self.half_width) / self.half_width

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
