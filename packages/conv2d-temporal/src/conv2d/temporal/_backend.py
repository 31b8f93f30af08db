"""The choice of kernels: compiled where numba is installed, numpy otherwise. Made on first use."""

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal._chain import Chain, Markov

Float = NDArray[np.float64]
Labels = NDArray[np.int32]

# Loading numba takes a second; numpy smooths this many steps in a fraction of that.
_LONG = 1 << 18


class Kernels(Protocol):
    """The recursions; `_kernels_numpy` explains the arguments."""

    def level(self, log_likelihood: NDArray[np.floating], known: NDArray[np.bool_], target: Float) -> float:
        """Fill `target` with the rows less their maximum, and return the sum of the maxima or NaN."""
        ...

    def forward_max(self, chain: Chain, log_likelihood: Float, begin: Float, end: Float) -> None:
        """Fill `begin` and `end` of the best segmentation."""
        ...

    def forward_sum(
        self, chain: Chain, log_likelihood: Float, begin: Float, end: Float, exponent: NDArray[np.int64]
    ) -> int:
        """Fill `begin` and `end` of all segmentations."""
        ...

    def backtrace(
        self, chain: Chain, log_last: Float, log_only: Float, log_likelihood: Float, begin: Float, end: Float
    ) -> tuple[Labels, float]:
        """Return the best path and its score."""
        ...

    def markov_max(self, markov: Markov, log_likelihood: Float, best: Float, path: Labels) -> float:
        """Fill `path` with the most probable states of a plain Markov chain and return their score."""
        ...

    def markov_sum(
        self,
        markov: Markov,
        log_likelihood: Float,
        state: Float,
        start: Float,
        end: Float,
        smooth: bool,
    ) -> float:
        """Fill the probabilities of a plain Markov chain; return the log probability of all, or NaN."""
        ...

    def combine(
        self,
        begin: Float,
        later_begin: Float,
        begin_shift: Float,
        end: Float,
        later_end: Float,
        end_shift: Float,
        state: Float,
    ) -> None:
        """Turn `begin` and `end` into probabilities in place, and fill `state` from them."""
        ...

    def counts(
        self, begin: Float, log_after: Float, probable: Float, log_duration: Float, log_likelihood: Float
    ) -> Float:
        """Return the expected number of segments of each state and duration."""
        ...


class SmoothingKernels(Protocol):
    """The smoothing of long batches."""

    def mode(self, flat: Labels, row_length: int, window: int, top: int, target: Labels) -> None:
        """Fill `target` with the mode filter of the rows."""
        ...

    def dwell(self, flat: Labels, row_length: int, shortest: int, target: Labels) -> None:
        """Fill `target` with the rows without short inner runs."""
        ...


@cache
def kernels() -> Kernels:
    """Return the kernel module in use."""
    module = _compiled("_kernels_numba") or import_module("conv2d.temporal._kernels_numpy")
    return cast("Kernels", module)


def smoothing_kernels(steps: int) -> SmoothingKernels | None:
    """Return the compiled smoothing, where it is installed and `steps` are enough to repay loading it."""
    return _compiled_smoothing() if steps >= _LONG else None


@cache
def _compiled_smoothing() -> SmoothingKernels | None:
    return cast("SmoothingKernels | None", _compiled("_smooth_numba"))


def _compiled(name: str) -> ModuleType | None:
    try:
        return import_module(f"conv2d.temporal.{name}")
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("numba", "llvmlite"):
            raise
        return None
