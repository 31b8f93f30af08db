"""Sample windows and what the model made of them: stored in the bundle, run again by every verification."""

import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conv2d.packaging._findings import BundleError

WINDOW = (9, 2, 100)
_DTYPES = ("float32", "int8", "int32", "int64", "uint8")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '([<|][fiu][1248])', 'fortran_order': False, 'shape': \(([0-9, ]{0,80})\), \} *\n",
    re.DOTALL,
)
INPUTS_FILE = "samples/inputs.npy"


@dataclass(frozen=True)
class Samples:
    """Windows as the model takes them, and the outputs it gave for them.

    Attributes
    ----------
    inputs : ndarray of float32, shape (n, 9, 2, 100)
        Normalised windows, n >= 1, finite.
    outputs : mapping of str to ndarray, each of shape (n, ...)
        One array for each output of the model, by its name: "logits" float32 (n, K), "codes" int32 (n, T).

    Raises
    ------
    BundleError
        When a shape or dtype is another, a number is not finite, or n is 0.

    Examples
    --------
    >>> import numpy as np
    >>> windows = np.zeros((4, 9, 2, 100), np.float32)
    >>> len(Samples(windows, {"logits": np.zeros((4, 3), np.float32), "codes": np.zeros((4, 64), np.int32)}))
    4
    """

    inputs: NDArray[np.float32]
    outputs: Mapping[str, NDArray[Any]]

    def __post_init__(self) -> None:
        check_windows(self.inputs, "samples.inputs")
        if len(self.inputs) == 0:
            raise BundleError("samples.inputs holds no window; at least one is needed, or verification proves nothing.")
        if not self.outputs:
            raise BundleError("samples.outputs is empty; give the model's outputs for samples.inputs, by name.")
        for name, array in self.outputs.items():
            if not _NAME.fullmatch(name):
                raise BundleError(f"samples.outputs has the name {name!r}; letters, digits and _ only.")
            if array.dtype.name not in _DTYPES:
                raise BundleError(f"samples.outputs[{name!r}] is {array.dtype}; allowed are {', '.join(_DTYPES)}.")
            if array.ndim < 1 or len(array) != len(self.inputs):
                raise BundleError(
                    f"samples.outputs[{name!r}] has shape {array.shape}; its first axis must be the "
                    f"{len(self.inputs)} windows of samples.inputs."
                )
            if not np.isfinite(array).all():
                raise BundleError(
                    f"samples.outputs[{name!r}] holds NaN or Inf; a model that gives those is not packed."
                )

    def __len__(self) -> int:
        return len(self.inputs)


def check_windows(windows: NDArray[np.float32], name: str) -> None:
    """Refuse anything but finite C-contiguous float32 windows (B, 9, 2, 100)."""
    if windows.dtype != np.float32:
        raise BundleError(f"{name} is {windows.dtype}; windows are float32 and are never cast in silence.")
    if windows.ndim != 4 or windows.shape[1:] != WINDOW:
        raise BundleError(f"{name} has shape {windows.shape}; windows are (B, 9, 2, 100): channel, device, time.")
    if not windows.flags.c_contiguous:
        raise BundleError(f"{name} is not C-contiguous; pass numpy.ascontiguousarray({name}).")
    if not np.isfinite(windows).all():
        raise BundleError(f"{name} holds NaN or Inf; windows are finite, repair the recording they come from.")


def samples_to_files(samples: Samples) -> dict[str, bytes]:
    """Return one .npy file for each array: no pickle, and the same array gives the same bytes."""
    files = {INPUTS_FILE: npy_bytes(samples.inputs)}
    for name, array in samples.outputs.items():
        files[f"samples/outputs/{name}.npy"] = npy_bytes(array)
    return files


def output_file(name: str) -> str:
    """Return the file that holds the stored output `name`."""
    return f"samples/outputs/{name}.npy"


def npy_bytes(array: NDArray[Any]) -> bytes:
    """Return `array` as a version 1.0 .npy file, little-endian and C-ordered."""
    buffer = io.BytesIO()
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    np.lib.format.write_array(buffer, little, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def parse_npy(data: bytes, file: str) -> NDArray[Any]:
    """Read what `npy_bytes` wrote; the size is checked before anything of that size is allocated."""
    # numpy's own reader evaluates the header as Python text; what we write needs one pattern only.
    header = _HEADER.match(data)
    if header is None:
        raise BundleError(f"{file} is not a .npy file of version 1.0 with C-ordered little-endian numbers.")
    length, code, sizes = header.groups()
    dtype = np.dtype(code.decode())
    shape = tuple(int(size) for size in sizes.split(b",") if size.strip())
    rest = len(data) - header.end()
    if int.from_bytes(length, "little") + 10 != header.end() or dtype.name not in _DTYPES:
        raise BundleError(f"{file} has a header of {dtype.name} that conv2d-pack does not write.")
    if math.prod(shape) * dtype.itemsize != rest:
        raise BundleError(f"{file} says shape {shape} of {dtype.name} but holds {rest} bytes of numbers.")
    return np.frombuffer(data, dtype, offset=header.end()).reshape(shape).copy()
