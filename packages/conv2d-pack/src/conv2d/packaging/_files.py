"""A folder that is whole or absent: hashing, strict listing, and writing aside then renaming."""

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from conv2d.packaging._findings import BundleError, Finding

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"  # the one file that the manifest cannot list: it is made of the manifest
TEMPORARY = ".conv2d-pack-"
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+\-]{0,127}")


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def is_safe(name: str) -> bool:
    """Tell whether `name` is a relative path of plain parts: nothing in it can leave the folder it is put in."""
    parts = name.split("/")
    return len(parts) <= 16 and all(_PART.fullmatch(part) for part in parts)


def read_file(folder: Path, name: str) -> bytes:
    """Read one plain file of a bundle; a link is never followed."""
    # O_NONBLOCK: a pipe put in the file's place must not hang the reader.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(folder / name, flags), "rb") as stream:
        return stream.read()


def list_files(folder: Path) -> tuple[set[str], list[Finding]]:
    """Return all plain files below `folder`, and a finding for whatever else lies there."""
    files: set[str] = set()
    findings: list[Finding] = []
    waiting = [(folder, "")]
    while waiting:
        place, prefix = waiting.pop()
        try:
            with os.scandir(place) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            findings.append(
                Finding(prefix.rstrip("/") or ".", f"cannot be listed ({error.strerror})", "check the permissions")
            )
            continue
        if not entries and prefix:
            findings.append(
                Finding(prefix.rstrip("/"), "is an empty folder that the manifest does not know", "remove it")
            )
        for entry in entries:
            name = prefix + entry.name
            if entry.is_symlink():
                findings.append(Finding(name, "is a link; a bundle holds plain files only", "remove it"))
            elif entry.is_dir(follow_symlinks=False):
                waiting.append((Path(entry.path), name + "/"))
            elif entry.is_file(follow_symlinks=False):
                files.add(name)
            else:
                findings.append(Finding(name, "is neither a plain file nor a folder", "remove it"))
    return files, findings


def publish(root: Path, name: str, contents: Mapping[str, bytes]) -> bool:
    """Write `contents` as the folder `root/name`, whole or not at all.

    Returns
    -------
    bool
        False when a folder of that name was there already; it is left as it is.
    """
    root.mkdir(parents=True, exist_ok=True)
    aside = root / f"{TEMPORARY}{secrets.token_hex(8)}"
    try:
        folders = {aside}
        aside.mkdir()
        for file, data in contents.items():
            if not is_safe(file):
                raise BundleError(f"the file name {file!r} may not stand in a bundle; letters, digits and _.+- only.")
            target = aside / file
            target.parent.mkdir(parents=True, exist_ok=True)
            folders.update(p for p in target.parents if p.is_relative_to(aside))
            _write(target, data)
        for folder in folders:
            folder.chmod(0o755)
            _sync(folder)
        try:
            aside.rename(root / name)  # fails where a folder with content is: the first of two writers wins
        except OSError:
            if not (root / name).is_dir():
                raise
            return False
        _sync(root)
        return True
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_aside(target: Path, data: bytes, folder: Path | None = None) -> None:
    """Write a single file aside, in `folder` or beside it, then rename it into place."""
    aside = (folder or target.parent) / f"{TEMPORARY}{secrets.token_hex(8)}"
    try:
        _write(aside, data)
        aside.replace(target)
        _sync(target.parent)
    finally:
        aside.unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    path.chmod(0o644)


def _sync(folder: Path) -> None:
    if os.name != "posix":  # other systems cannot open a folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
