"""One file that carries a bundle: the same bundle gives the same bytes, and unpacking trusts nothing in it."""

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, get_args

from conv2d.packaging._bundle import Bundle
from conv2d.packaging._files import MANIFEST, SIGNATURE, is_safe, publish, read_file, sha256, write_aside
from conv2d.packaging._findings import BundleError
from conv2d.packaging._manifest import parse_manifest
from conv2d.packaging._oci import LAYOUT, from_layout, to_layout
from conv2d.packaging._sign import check_bytes, check_form
from conv2d.packaging._zstd import MAGIC, read_at_most, stored_frame

ArchiveFormat = Literal["zip", "tar.gz", "tar.zst", "oci"]
MAX_BYTES = 2**30
_MAX_FILES = 10_000


def archive_bundle(bundle: Bundle, target: str | Path, archive_format: ArchiveFormat = "zip") -> Path:
    """Write a bundle as one file.

    Files are sorted, with time 0 and fixed modes. They are stored, not compressed: weights hardly compress, and
    compressed bytes differ between zlib versions.

    Parameters
    ----------
    bundle : Bundle
        Opened; every file is hashed once more while it is read.
    target : str or Path
        The file to write.
    archive_format : {"zip", "tar.gz", "tar.zst", "oci"}
        Of the archive; "oci" is a tar of an OCI image layout, which ORAS clients push to a registry.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    BundleError
        When the bundle was changed, the format is unknown, or another file is at `target` already.

    Examples
    --------
    >>> import tempfile
    >>> from conv2d.packaging.testing import small_bundle
    >>> with tempfile.TemporaryDirectory() as root:
    ...     file = archive_bundle(small_bundle(root), f"{root}/bundle.zip")
    ...     unpack_bundle(file, f"{root}/elsewhere").labels
    ('rest', 'walk', 'trot')
    """
    target = Path(target)
    contents = {name: bundle.read(name) for name in bundle.manifest["files"]} | {MANIFEST: bundle.manifest_bytes()}
    if (bundle.path / SIGNATURE).exists():
        findings = check_form(bundle.path, bundle.id)
        if findings:
            raise BundleError(f"bundle {bundle.path}: {findings[0]}")
        contents[SIGNATURE] = read_file(bundle.path, SIGNATURE)
    named = {f"{bundle.id}/{name}": contents[name] for name in sorted(contents)}
    if archive_format == "zip":
        data = _zip(named)
    elif archive_format == "tar.gz":
        data = _gzip(_tar(named))
    elif archive_format == "tar.zst":
        data = stored_frame(_tar(named))
    elif archive_format == "oci":
        data = _tar(dict(sorted(to_layout(bundle.id, named).items())))
    else:
        raise BundleError(f"archive_format is {archive_format!r}; it is one of {', '.join(get_args(ArchiveFormat))}.")
    if target.exists():
        if not target.is_file() or target.read_bytes() != data:
            raise BundleError(f"{target} exists and is not this archive; remove it, or choose another name.")
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    write_aside(target, data)
    return target


def unpack_bundle(file: str | Path, root: str | Path, *, max_bytes: int = MAX_BYTES) -> Bundle:
    """Read an archive, check everything in memory, and only then write the bundle.

    Parameters
    ----------
    file : str or Path
        A .zip, .tar, .tar.gz or .tar.zst that holds one bundle in a folder named by its id, or a .tar of an OCI layout.
    root : str or Path
        The folder that holds bundles.
    max_bytes : int
        Largest sum of the unpacked files.

    Returns
    -------
    Bundle
        The bundle, opened; one that was there already is verified and left as it is.

    Raises
    ------
    BundleError
        When the archive cannot be read, is larger than `max_bytes` unpacked, holds a link or a path that leads out of
        its folder, or when its files are not those of its manifest. Nothing is written then.

    Examples
    --------
    >>> unpack_bundle("nowhere.zip", "artifacts")
    Traceback (most recent call last):
    ...
    conv2d.packaging._findings.BundleError: archive nowhere.zip cannot be read: ...
    """
    contents: dict[str, bytes] = {}
    try:
        with Path(file).open("rb") as stream:
            for name, data in _members(stream, max_bytes):
                if name in contents:
                    raise BundleError(f"archive {file} holds {name!r} twice; make the archive again.")
                contents[name] = data
        if LAYOUT in contents:
            contents = from_layout(contents)
    except BundleError as error:
        raise BundleError(f"archive {file}: {error}") from error
    except (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BundleError(
            f"archive {file} cannot be read: {reason}; give a .zip, .tar.gz, .tar.zst or OCI layout of a bundle."
        ) from error
    identity, files = _one_folder(contents, str(file))
    _check_contents(identity, files, str(file))
    publish(Path(root), identity, files)
    return Bundle.open(Path(root) / identity)


def _zip(named: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in named.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # unix, on every system
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, data)
    return buffer.getvalue()


def _tar(named: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in named.items():
            info = tarfile.TarInfo(name)  # time 0, user and group 0, mode 644
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _gzip(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile("", "wb", compresslevel=0, fileobj=buffer, mtime=0) as stream:
        stream.write(data)
    return buffer.getvalue()


def _members(stream: io.BufferedReader, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Yield the plain files of an archive; refuse links, strange entries and bombs."""
    if stream.peek(2)[:2] == b"PK":
        members = _zip_members(stream, max_bytes)
    else:
        members = _tar_members(stream, max_bytes)
    total = 0
    for count, (name, data) in enumerate(members, 1):
        total += len(data)
        if count > _MAX_FILES or total > max_bytes:
            raise _bomb(max_bytes)
        yield name, data


def _zip_members(stream: io.BufferedReader, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            if info.is_dir():
                continue
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise BundleError(f"{info.filename!r} is a link or a device; a bundle holds plain files only.")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
                raise BundleError(f"{info.filename!r} is encrypted or compressed in a way that is not accepted.")
            with archive.open(info) as member:  # what the header says of the size is not believed
                data = member.read(max_bytes + 1)
            yield info.orig_filename, data


def _tar_members(stream: io.BufferedReader, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    room = max_bytes + 2**20 + 2048 * _MAX_FILES  # headers and padding
    if stream.peek(2)[:2] == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=stream) as unzipped:
            raw = unzipped.read(room + 1)
    elif stream.peek(4)[:4] == MAGIC:
        raw = read_at_most(stream, room + 1)
    else:
        raw = stream.read(room + 1)
    if len(raw) > room:
        raise _bomb(max_bytes)
    with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as archive:
        for info in archive:
            if info.isdir():
                continue
            # A sparse file may claim terabytes; its type is "regular" all the same.
            if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.issparse():
                raise BundleError(f"{info.name!r} is a link or a device; a bundle holds plain files only.")
            member = archive.extractfile(info)
            if member is None or info.size > max_bytes:
                raise _bomb(max_bytes)
            yield info.name, member.read()


def _bomb(max_bytes: int) -> BundleError:
    return BundleError(
        f"holds more than {max_bytes} bytes or {_MAX_FILES} files unpacked; raise max_bytes if you trust it."
    )


def _one_folder(contents: Mapping[str, bytes], file: str) -> tuple[str, dict[str, bytes]]:
    """Return the name of the one top folder and its files, after each path was checked."""
    files: dict[str, dict[str, bytes]] = {}
    for name, data in contents.items():
        top, _, rest = name.partition("/")
        if not is_safe(name) or not rest:
            raise BundleError(
                f"archive {file}: the path {name!r} may lead out of its folder or has strange letters; refused."
            )
        files.setdefault(top, {})[rest] = data
    if len(files) != 1:
        raise BundleError(
            f"archive {file} holds {len(files)} folders; it must hold one bundle in a folder named by its id."
        )
    return next(iter(files.items()))


def _check_contents(identity: str, files: Mapping[str, bytes], file: str) -> None:
    if MANIFEST not in files:
        raise BundleError(f"archive {file} has no {MANIFEST}, so it is no bundle.")
    manifest, findings = parse_manifest(files[MANIFEST])
    if findings:
        raise BundleError(f"archive {file}: {findings[0]}")
    if sha256(files[MANIFEST]) != identity:
        raise BundleError(
            f"archive {file}: {MANIFEST} has the id {sha256(files[MANIFEST])}, its folder is {identity!r}."
        )
    if SIGNATURE in files:
        for finding in check_bytes(files[SIGNATURE], identity):
            raise BundleError(f"archive {file}: {finding}")
    listed = manifest["files"]
    for name in sorted((files.keys() - {SIGNATURE}) ^ (listed.keys() | {MANIFEST})):
        problem = "is missing" if name in listed else "is not in the manifest"
        raise BundleError(f"archive {file}: {name} {problem}; make the archive again from the bundle.")
    for name, entry in listed.items():
        if sha256(files[name]) != entry["sha256"] or len(files[name]) != entry["size"]:
            raise BundleError(f"archive {file}: {name} was changed: its SHA-256 is not the manifest's.")
