"""Compressed files by the end of their name: ``.gz``, and ``.zst`` where a zstd is installed."""

import gzip
import importlib
import zlib
from pathlib import Path
from typing import IO, Any, Literal, cast

Compression = Literal["gzip", "zstd", "none"]
SUFFIXES = {"gzip": ".gz", "zstd": ".zst", "none": ""}


def suffix_of(compress: str) -> str:
    """Return the end of the name that goes with a kind of compression.

    Raises
    ------
    ValueError
        If it is none.
    ModuleNotFoundError
        If zstd is asked for and not installed.
    """
    if compress not in SUFFIXES:
        raise ValueError(f"compress must be one of {', '.join(SUFFIXES)}; got {compress!r}")
    if compress == "zstd":
        _zstd()
    return SUFFIXES[compress]


def open_compressed(path: Path, suffix: str, mode: Literal["rb", "wb"]) -> IO[bytes]:
    """Open a file that is, or will be, compressed as `suffix` says."""
    if suffix == ".zst":
        return cast(IO[bytes], _zstd().open(path, mode))
    return cast(IO[bytes], gzip.open(path, mode, 6))


def damage_errors() -> tuple[type[Exception], ...]:
    """Return what reading a damaged compressed file raises."""
    try:
        return (EOFError, zlib.error, cast(type[Exception], _zstd().ZstdError))
    except ModuleNotFoundError:
        return (EOFError, zlib.error)


def _zstd() -> Any:
    """Python's own zstd module from 3.14 on, before that the one of the same interface."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError("zstd is not installed; install it with: pip install 'conv2d-logs[zstd]'")
