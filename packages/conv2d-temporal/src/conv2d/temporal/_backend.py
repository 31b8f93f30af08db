"""The choice of kernels: compiled where numba is installed, numpy otherwise. Made on first use."""

from functools import cache
from importlib import import_module
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


class Kernels(Protocol):
    """The recursions; `_kernels_numpy` explains the arguments."""

    def forward_max(
        self, log_initial: Float, log_transition: Float, log_first: Float, log_duration: Float, log_likelihood: Float
    ) -> tuple[Float, Float]:
        """Return `begin` and `end` of the best segmentation."""
        ...

    def forward_sum(
        self, log_initial: Float, log_transition: Float, log_first: Float, log_duration: Float, log_likelihood: Float
    ) -> tuple[Float, Float]:
        """Return `begin` and `end` of all segmentations."""
        ...

    def backtrace(
        self,
        begin: Float,
        end: Float,
        log_transition: Float,
        log_duration: Float,
        log_last: Float,
        log_likelihood: Float,
    ) -> tuple[NDArray[np.int32], float]:
        """Return the best path and its score."""
        ...

    def counts(
        self, begin: Float, log_after: Float, log_duration: Float, log_likelihood: Float, log_total: float
    ) -> Float:
        """Return the expected number of segments of each state and duration."""
        ...


@cache
def kernels() -> Kernels:
    """Return the kernel module in use."""
    try:
        module = import_module("conv2d.temporal._kernels_numba")
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("numba", "llvmlite"):
            raise
        module = import_module("conv2d.temporal._kernels_numpy")
    return cast("Kernels", module)
