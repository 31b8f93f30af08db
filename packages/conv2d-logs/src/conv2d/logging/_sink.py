"""Where lines go: a file shared by many threads and processes, and standard error when the file fails."""

import os
import sys
import time
from pathlib import Path

RETRY_S = 5.0
LOOK_S = 0.1
TORN_S = 0.005
# In a burst, one look at the file serves so many lines; a burst is so many looks in succession, none later than that.
BURST_LINES = 16
BURST_LOOKS = 64
BURST_S = 0.001


class FileSink:
    """Append whole lines to a file, one ``write`` each, so that many processes share it without torn lines.

    A line is in the operating system's hands when `write` returns: the program may be killed afterwards and the line
    is there. A file that was removed or replaced is opened anew. When the file cannot be written, one warning and then
    the lines themselves go to standard error; the file is tried again every 5 seconds.

    Asking the system whether the file is still in place costs as much as the write, so in a burst of lines it is asked
    once for many; what was written to a removed file meanwhile is written again to the new one.

    Parameters
    ----------
    path
        The file; missing parent folders are made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._name = os.fspath(path)
        self.fd = -1
        self._inode = -1
        self._torn = False
        self._warned = False
        self._retry_at = 0.0
        self._look_at = 0.0
        self._looked = 0.0
        self._looks = 0
        self._unseen: list[bytes] = []

    def write(self, line: bytes, durable: bool = False) -> None:
        """Append `line`, which ends in a newline; with `durable`, wait until the disk has it. Never raises."""
        if self._retry_at and time.monotonic() < self._retry_at:
            to_stderr(line)
            return
        try:
            self.put(line)
            if durable:
                os.fsync(self.fd)
            self._retry_at = 0.0
        except OSError as error:
            self._retry_at = time.monotonic() + RETRY_S
            if not self._warned:
                self._warned = True
                reason = error.strerror or str(error)
                to_stderr(f"conv2d.logging: cannot write {self._name}: {reason}; lines follow here\n".encode())
            to_stderr(line)

    def put(self, line: bytes) -> None:
        """Append one line, to the file that bears the name."""
        if self.fd < 0:
            self.open()
        elif self._looks < BURST_LOOKS or len(self._unseen) >= BURST_LINES or time.monotonic() > self._looked + BURST_S:
            self._look()
        self.append(line)
        if self._looks >= BURST_LOOKS:
            self._unseen.append(line)

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        if self.fd >= 0 and self._unseen:
            self._look()
        self.drop()

    def drop(self) -> None:
        """Close the file without a look at it."""
        fd, self.fd = self.fd, -1
        self._looks = 0
        self._unseen.clear()
        if fd >= 0:
            os.close(fd)

    def _look(self) -> None:
        """Open the file anew if it is no longer in place."""
        if not self._in_place():
            lost = b"".join(self._unseen) if os.fstat(self.fd).st_nlink == 0 else b""
            self.open()
            if lost:
                self.append(lost)
        self._unseen.clear()
        now = time.monotonic()
        self._looks = self._looks + 1 if now < self._looked + BURST_S else 0
        self._looked = now

    def _ends_torn(self) -> bool:
        """Whether the file ends in half a line, as a killed process or a full disk leaves it; ours must not grow on to it.

        Another process's write in progress looks the same, but not for long.
        """
        if not hasattr(os, "pread"):
            return False
        seen = -1
        for _ in range(10):
            size = os.fstat(self.fd).st_size
            if size == 0 or os.pread(self.fd, 1, size - 1) == b"\n":
                return False
            if size == seen:
                return True
            seen = size
            time.sleep(TORN_S)
        return False

    def _in_place(self) -> bool:
        if os.fstat(self.fd).st_nlink == 0:
            return False
        now = time.monotonic()
        if now < self._look_at:
            return True
        # Renamed, as by logrotate: what is written meanwhile is in the renamed file, so a look now and then is enough.
        self._look_at = now + LOOK_S
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def open(self) -> None:
        """Open the file, and look whether its last line is whole."""
        self.drop()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        try:
            self.fd = os.open(self._name, flags, 0o644)
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.fd = os.open(self._name, flags, 0o644)
        self._inode = os.fstat(self.fd).st_ino
        self._torn = self._ends_torn()

    def append(self, line: bytes) -> None:
        """Write to the open file."""
        data = b"\n" + line if self._torn else line
        written = os.write(self.fd, data)
        self._torn = written < len(data)
        if self._torn:
            # A nearly full disk takes part of a line: the rest cannot follow atomically, so say it whole elsewhere.
            raise OSError(28, f"only {written} of {len(data)} bytes were taken")


def to_stderr(line: bytes) -> None:
    """Write bytes to standard error; when even that is closed, there is nobody left to tell."""
    try:
        stream = sys.stderr
        buffer = getattr(stream, "buffer", None)
        if buffer is None:
            stream.write(line.decode("utf-8", "replace"))
        else:
            stream.flush()
            buffer.write(line)
            buffer.flush()
    except (OSError, ValueError, AttributeError):
        return
