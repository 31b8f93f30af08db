"""How kernels are compiled. Imported on first use only: numba takes a second to load."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:

    def njit(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Typed face of `numba.njit`."""
        ...
else:
    from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def compiled(**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function without the GIL, and keep the machine code where a folder for it can be written."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        try:
            return njit(cache=True, nogil=True, error_model="numpy", **options)(function)
        except RuntimeError:  # numba found no folder to write to
            return njit(nogil=True, error_model="numpy", **options)(function)

    return decorate
