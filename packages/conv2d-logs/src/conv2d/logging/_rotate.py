"""Rotation of a log file that many processes write: by size or by time, compressed, every line kept once."""

import os
import re
import shutil
import threading
import time
from pathlib import Path

from conv2d.logging._compress import Compression, open_compressed, suffix_of
from conv2d.logging._sink import FileSink

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None

_RULE = re.compile(r"\s*(\d+)\s*([A-Za-z]+)\s*")
_BYTES = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_SECONDS = {"h": 3600, "d": 86_400, "w": 604_800}


def parse_rotation(rule: str) -> tuple[int | None, int | None]:
    """Return bytes or seconds after which a file is rotated.

    Raises
    ------
    ValueError
        If `rule` is neither a size nor a span.

    Example
    -------
    >>> parse_rotation("100MB"), parse_rotation("1d")
    ((100000000, None), (None, 86400))
    """
    found = _RULE.fullmatch(rule)
    unit = found[2].lower() if found else ""
    if found and int(found[1]) and unit in _BYTES:
        return int(found[1]) * _BYTES[unit], None
    if found and int(found[1]) and unit in _SECONDS:
        return None, int(found[1]) * _SECONDS[unit]
    raise ValueError(f"rotate must be a size, such as 100MB or 1GiB, or a span, such as 1h, 1d or 1w; got {rule!r}")


class RotatingFile(FileSink):
    """Append to a file, and rename it away when it is full or its time is over.

    Every writer holds a shared lock on the file it writes and looks whether it still bears the name; who renames it
    holds the exclusive lock. So nobody writes to a renamed file any more, and it can be compressed in peace. Without
    a lock file, nothing is left behind by a killed process. A file exceeds its size by at most one line of each other
    process.

    Parameters
    ----------
    path
        The file. Renamed ones get the time (UTC) as a suffix: ``training.log.20261121143000123456.gz``.
    rule
        "100MB", "1d" …; a span ends where the clock (UTC) begins a new one.
    keep
        Renamed files to keep; None for all.
    compress
        How renamed files are compressed: "gzip", "zstd" or "none".

    Raises
    ------
    ValueError
        If `rule` is neither size nor span, `keep` below 1, or `compress` none of its values.
    NotImplementedError
        Where the system has no file locks.
    ModuleNotFoundError
        If zstd is asked for and not installed.
    """

    def __init__(self, path: Path, rule: str, keep: int | None = None, compress: Compression = "gzip") -> None:
        super().__init__(path)
        self._bytes, self._seconds = parse_rotation(rule)
        if keep is not None and keep < 1:
            raise ValueError(f"keep must be at least 1, or None to keep all; got {keep}")
        if fcntl is None:
            raise NotImplementedError("rotate needs the file locks of a POSIX system; leave it out on this one")
        self._keep = keep
        self._suffix = suffix_of(compress)

    def put(self, line: bytes) -> None:
        """Append one line, to the file that bears the name."""
        assert fcntl is not None
        while True:
            if self.fd < 0:
                self.open()
            fcntl.flock(self.fd, fcntl.LOCK_SH)
            try:
                status = self._status()
                if status is not None and not self._due(status, len(line)):
                    self.append(line)
                    return
            finally:
                fcntl.flock(self.fd, fcntl.LOCK_UN)
            self._rotate(len(line))

    def _rotate(self, coming: int) -> None:
        assert fcntl is not None
        renamed: Path | None = None
        fcntl.flock(self.fd, fcntl.LOCK_EX)
        try:
            # Another process may have been first.
            status = self._status()
            if status is not None and self._due(status, coming):
                renamed = self._free_name()
                self.path.rename(renamed)
        finally:
            fcntl.flock(self.fd, fcntl.LOCK_UN)
            self.close()
        if renamed is not None:
            finish = threading.Thread(target=self._finish, args=(renamed,), name="conv2d-logs-rotate")
            try:
                finish.start()
            except RuntimeError:
                # The interpreter is shutting down.
                self._finish(renamed)

    def _status(self) -> os.stat_result | None:
        """Size and times of the file that bears the name, None when that is another than ours."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status if status.st_ino == self._inode else None

    def _due(self, status: os.stat_result, coming: int) -> bool:
        if not status.st_size:
            return False
        if self._bytes is not None:
            return status.st_size + coming > self._bytes
        # The last write was in an earlier span: that needs no memory of when the file began, and all agree on it.
        return int(status.st_mtime) // (self._seconds or 1) < int(time.time()) // (self._seconds or 1)

    def _free_name(self) -> Path:
        moment = time.time_ns() // 1000
        while True:
            second, micro = divmod(moment, 1_000_000)
            stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(second))
            name = self.path.with_name(f"{self.path.name}.{stamp}{micro:06d}")
            if not name.exists() and not name.with_name(name.name + self._suffix).exists():
                return name
            moment += 1

    def _finish(self, renamed: Path) -> None:
        """Compress a renamed file, and remove the oldest; a failure leaves it as it is, readable all the same."""
        aside = renamed.with_name(renamed.name + ".tmp")
        try:
            if self._suffix:
                with renamed.open("rb") as source, open_compressed(aside, self._suffix, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                aside.replace(renamed.with_name(renamed.name + self._suffix))
                renamed.unlink()
            if self._keep is not None:
                pattern = re.compile(re.escape(self.path.name) + r"\.\d{20}(\.gz|\.zst)?")
                old = sorted(one for one in self.path.parent.iterdir() if pattern.fullmatch(one.name))
                for one in old[: -self._keep]:
                    one.unlink(missing_ok=True)
        except OSError:
            aside.unlink(missing_ok=True)
