"""Archives: the same bytes each time, and nothing hostile gets out of one."""

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from conv2d.packaging import Bundle, BundleError, archive_bundle, unpack_bundle, verify_bundle
from conv2d.packaging._archive import ArchiveFormat
from conv2d.packaging.testing import small_bundle

FORMATS: tuple[ArchiveFormat, ...] = get_args(ArchiveFormat)
CONTAINERS = ("zip", "tar.gz")  # what others may have packed


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("form", FORMATS)
def test_there_and_back(bundle: Bundle, tmp_path: Path, form: Any) -> None:
    file = archive_bundle(bundle, tmp_path / f"b.{form}", form)
    again = unpack_bundle(file, tmp_path / "other")
    assert again.id == bundle.id
    assert tree(again.path) == tree(bundle.path)
    assert verify_bundle(again.path).ok
    assert unpack_bundle(file, tmp_path / "other").path == again.path
    assert [p.name for p in (tmp_path / "other").iterdir()] == [bundle.id]


@pytest.mark.parametrize("form", FORMATS)
def test_same_bundle_same_bytes(bundle: Bundle, tmp_path: Path, form: Any) -> None:
    other = small_bundle(tmp_path / "later")
    for path in other.path.rglob("*"):
        os.utime(path, (1, 1))
    (other.path / "model.onnx").chmod(0o600)
    one = archive_bundle(bundle, tmp_path / f"1.{form}", form).read_bytes()
    assert one == archive_bundle(other, tmp_path / f"2.{form}", form).read_bytes()


def test_other_tools_can_read_them(bundle: Bundle, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive_bundle(bundle, tmp_path / "b.zip", "zip")) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == sorted(names)
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    with tarfile.open(archive_bundle(bundle, tmp_path / "b.tar.gz", "tar.gz")) as archive:
        assert archive.getnames() == names
        assert {(m.mtime, m.mode, m.uid, m.gid, m.uname) for m in archive} == {(0, 0o644, 0, 0, "")}


def test_an_existing_file_is_not_overwritten(bundle: Bundle, tmp_path: Path) -> None:
    file = archive_bundle(bundle, tmp_path / "b.zip")
    assert archive_bundle(bundle, file) == file
    with pytest.raises(BundleError, match="exists and is not this archive"):
        archive_bundle(bundle, file, "tar.gz")
    with pytest.raises(BundleError, match=r"archive_format is 'rar'"):
        archive_bundle(bundle, tmp_path / "b.rar", "rar")  # type: ignore[arg-type]


def test_every_flipped_byte_is_found_or_harmless(bundle: Bundle, tmp_path: Path) -> None:
    """A flip in an archive is refused, unless it is in a header field that changes no file (a time, a mode)."""
    import random

    rng = random.Random(7)
    expected = tree(bundle.path)
    for form in FORMATS:
        data = archive_bundle(bundle, tmp_path / f"b.{form}", form).read_bytes()
        refused = 0
        for number in range(100):
            changed = bytearray(data)
            changed[rng.randrange(len(data))] ^= rng.randrange(1, 256)
            file = tmp_path / "changed"
            file.write_bytes(changed)
            root = tmp_path / f"{form}{number}"
            try:
                assert tree(unpack_bundle(file, root).path) == expected
            except BundleError:
                refused += 1
                assert not root.exists()
        assert refused >= 80  # headers are less than a fifth of either archive


Members = list[tuple[str, bytes]]


def members(bundle: Bundle) -> Members:
    return [(f"{bundle.id}/{name}", data) for name, data in sorted(tree(bundle.path).items())]


def write_zip(
    file: Path, entries: Members, mode: int = stat.S_IFREG | 0o644, method: int = zipfile.ZIP_DEFLATED
) -> Path:
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, data, method)
    return file


def write_tar(file: Path, entries: Members, **last: Any) -> Path:
    with tarfile.open(file, "w:gz") as archive:
        for number, (name, data) in enumerate(entries, 1):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if number == len(entries):
                for key, value in last.items():
                    setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return file


def test_archives_made_by_other_tools_are_read(bundle: Bundle, tmp_path: Path) -> None:
    """Compressed, with folder entries and real times: as `zip -r` and `tar czf` write them."""
    one = write_zip(tmp_path / "b.zip", [(f"{bundle.id}/", b""), *members(bundle)])
    assert unpack_bundle(one, tmp_path / "zip").id == bundle.id
    two = tmp_path / "b.tar.gz"
    with tarfile.open(two, "w:gz") as archive:
        archive.add(bundle.path, bundle.id)
    assert unpack_bundle(two, tmp_path / "tar").id == bundle.id


NAMES = [
    "../escape",
    "{id}/../../escape",
    "/tmp/escape",
    "{id}/a\\..\\b",
    "{id}/sub//x",
    "{id}/./x",
    "C:/x",
    "plain",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", CONTAINERS)
def test_paths_that_lead_out(bundle: Bundle, tmp_path: Path, form: str, name: str) -> None:
    entries = [*members(bundle), (name.format(id=bundle.id), b"x")]
    write = write_zip if form == "zip" else write_tar
    with pytest.raises(BundleError, match=r"archive .*(refused|folders|not in the manifest)"):
        unpack_bundle(write(tmp_path / "b", entries), tmp_path / "root")
    assert not (tmp_path / "root").exists()
    assert not (tmp_path / "escape").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar(bundle: Bundle, tmp_path: Path, kind: bytes) -> None:
    entries = [*members(bundle), (f"{bundle.id}/link", b"")]
    file = write_tar(tmp_path / "b.tar.gz", entries, type=kind, linkname="../../etc/passwd")
    with pytest.raises(BundleError, match="link or a device"):
        unpack_bundle(file, tmp_path / "root")


def test_links_in_a_zip(bundle: Bundle, tmp_path: Path) -> None:
    file = write_zip(tmp_path / "b.zip", [(f"{bundle.id}/link", b"../../etc/passwd")], stat.S_IFLNK | 0o777)
    with pytest.raises(BundleError, match="link or a device"):
        unpack_bundle(file, tmp_path / "root")


def zip_bomb(file: Path, identity: str) -> Path:
    return write_zip(file, [(f"{identity}/zeros", bytes(20_000_000))])


def gzip_bomb(file: Path, identity: str) -> Path:
    return write_tar(file, [(f"{identity}/zeros", bytes(60_000_000))])


def many_files(file: Path, identity: str) -> Path:
    return write_zip(file, [(f"{identity}/{number}", b"") for number in range(10_001)])


def sparse_bomb(file: Path, identity: str) -> Path:
    """A regular file by its type, of 8 GB by its pax header, in a kilobyte."""
    info = tarfile.TarInfo(f"{identity}/zeros")
    info.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.size": str(8 * 2**30),
        "GNU.sparse.map": "0,0",
    }
    file.write_bytes(gzip.compress(info.tobuf(tarfile.PAX_FORMAT) + bytes(1024)))
    return file


@pytest.mark.parametrize("make", [zip_bomb, gzip_bomb, many_files, sparse_bomb])
def test_bombs(bundle: Bundle, tmp_path: Path, make: Callable[[Path, str], Path]) -> None:
    file = make(tmp_path / "bomb", bundle.id)
    assert file.stat().st_size < 3_000_000
    with pytest.raises(BundleError, match=r"unpacked; raise max_bytes|link or a device"):
        unpack_bundle(file, tmp_path / "root", max_bytes=1_000_000)
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("form", CONTAINERS)
def test_contents_that_are_not_the_bundle_s(bundle: Bundle, tmp_path: Path, form: str) -> None:
    write = write_zip if form == "zip" else write_tar
    good = members(bundle)
    model = f"{bundle.id}/model.onnx"
    cases: list[tuple[Members, str]] = [
        ([], "0 folders"),
        ([m for m in good if m[0] != model], r"model\.onnx is missing"),
        ([m for m in good if "manifest" not in m[0]], r"no manifest\.json"),
        ([*good, (f"{bundle.id}/more", b"")], "more is not in the manifest"),
        ([(n, b"" if n == model else d) for n, d in good], r"model\.onnx was changed"),
        ([(n, d.replace(b"0.1.0", b"0.1.1") if "manifest" in n else d) for n, d in good], "has the id"),
        ([(n.replace(bundle.id, "0" * 64), d) for n, d in good], "has the id"),
        ([*good, ("0" * 64 + "/x", b"")], "2 folders"),
    ]
    for number, (entries, text) in enumerate(cases):
        with pytest.raises(BundleError, match=text):
            unpack_bundle(write(tmp_path / f"{number}", entries), tmp_path / "root")
    assert not (tmp_path / "root").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # zipfile's, about what this test does on purpose
@pytest.mark.parametrize("form", CONTAINERS)
def test_the_same_name_twice(bundle: Bundle, tmp_path: Path, form: str) -> None:
    entries = [*members(bundle), members(bundle)[0]]
    write = write_zip if form == "zip" else write_tar
    with pytest.raises(BundleError, match="twice"):
        unpack_bundle(write(tmp_path / "b", entries), tmp_path / "root")


@pytest.mark.parametrize("data", [b"", b"junk", b"PK\x03\x04junk", b"\x1f\x8bjunk", b"\x1f\x8b\x08" + bytes(40)])
def test_not_an_archive(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(BundleError, match=r"archive .*x"):
        unpack_bundle(tmp_path / "x", tmp_path / "root")


def test_tar_zst_is_read_by_the_library_and_holds_the_tar(bundle: Bundle, tmp_path: Path) -> None:
    import zstandard

    data = archive_bundle(bundle, tmp_path / "b.tar.zst", "tar.zst").read_bytes()
    plain = zstandard.ZstdDecompressor().decompress(data)
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        assert archive.getnames() == sorted(name for name, _ in members(bundle))
    packed = tmp_path / "packed.tar.zst"  # as another tool compresses it, without the size in front
    packed.write_bytes(zstandard.ZstdCompressor(level=19, write_content_size=False).compress(plain))
    assert packed.stat().st_size < len(data)
    assert unpack_bundle(packed, tmp_path / "root").id == bundle.id


@pytest.mark.parametrize("size", [0, 1, 2**17 - 1, 2**17, 2**17 + 1, 300_000])
def test_stored_zstandard_frames(size: int) -> None:
    import zstandard

    from conv2d.packaging._zstd import read_at_most, stored_frame

    data = os.urandom(size)
    assert zstandard.ZstdDecompressor().decompress(stored_frame(data)) == data
    assert read_at_most(io.BytesIO(stored_frame(data)), size + 1) == data
    assert read_at_most(io.BytesIO(stored_frame(data)), size // 2) == data[: size // 2]


def test_zstandard_bomb(bundle: Bundle, tmp_path: Path) -> None:
    import zstandard

    (tmp_path / "bomb").write_bytes(zstandard.ZstdCompressor().compress(bytes(200_000_000)))
    assert (tmp_path / "bomb").stat().st_size < 100_000
    with pytest.raises(BundleError, match=r"unpacked; raise max_bytes"):
        unpack_bundle(tmp_path / "bomb", tmp_path / "root", max_bytes=1_000_000)


def oci(bundle: Bundle, tmp_path: Path) -> dict[str, bytes]:
    with tarfile.open(archive_bundle(bundle, tmp_path / "b.oci.tar", "oci")) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]


def test_oci_layout_is_what_the_specification_says(bundle: Bundle, tmp_path: Path) -> None:
    import hashlib
    import json

    layout = oci(bundle, tmp_path)
    assert json.loads(layout["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads(layout["index.json"])
    assert index["schemaVersion"] == 2
    (entry,) = index["manifests"]
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": bundle.id[:12]}
    for name, data in layout.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"
    manifest = json.loads(layout[f"blobs/sha256/{entry['digest'][7:]}"])
    assert manifest["mediaType"] == entry["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert manifest["artifactType"] == "application/vnd.conv2d.bundle.v1"
    assert layout[f"blobs/sha256/{manifest['config']['digest'][7:]}"] == b"{}"
    named = {layer["annotations"]["org.opencontainers.image.title"]: layer for layer in manifest["layers"]}
    assert set(named) == {name for name, _ in members(bundle)}
    for name, data in members(bundle):
        assert named[name]["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert named[name]["size"] == len(data)


def test_oci_layouts_that_lie(bundle: Bundle, tmp_path: Path) -> None:
    import json

    good = oci(bundle, tmp_path)
    cases: list[tuple[dict[str, bytes], str]] = [
        ({**good, "index.json": b"{}"}, "no OCI layout"),
        ({**good, "index.json": b"[]"}, "index.json holds a list"),
        (
            {**good, "index.json": json.dumps({"manifests": [{"digest": "md5:0", "size": 1}]}).encode()},
            "digests are sha256",
        ),
        (
            {**good, "index.json": json.dumps({"manifests": [{"digest": "sha256:../../x", "size": 1}]}).encode()},
            "names a blob",
        ),
    ]
    for name, data in good.items():
        if name.startswith("blobs/") and data != b"{}":
            cases.append(({**good, name: data[:-1] + b"?"}, "lacks the blob|no OCI layout|cannot be read"))
    for number, (layout, text) in enumerate(cases):
        file = write_tar(tmp_path / f"lie{number}", list(layout.items()))
        with pytest.raises(BundleError, match=text):
            unpack_bundle(file, tmp_path / "root")
    assert not (tmp_path / "root").exists()
