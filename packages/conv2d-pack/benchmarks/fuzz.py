"""Change a bundle at random, 2,400 times, and count what verification finds: python benchmarks/fuzz.py [CHANGES] [BUNDLE].

Single bytes, truncations, additions, renames, removals, swaps and links, over all files; a change counts as found when a
finding names the file. Without BUNDLE a small one with an int8 model is made; with one, that bundle is used.
"""

import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from conv2d.packaging import Bundle, verify_bundle
from conv2d.packaging.testing import edge_model, small_bundle, small_windows

KINDS = ("flip", "flip", "flip", "truncate", "append", "rename", "remove", "add", "swap", "link")


def change(rng: random.Random, folder: Path) -> tuple[str, str]:
    """Spoil one file; return what was done, and the file that must be named."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    name, kind = rng.choice(files), rng.choice(KINDS)
    path = folder / name
    data = bytearray(path.read_bytes())
    if kind == "flip":
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        path.write_bytes(data)
    elif kind == "truncate":
        path.write_bytes(data[: rng.randrange(len(data))])
    elif kind == "append":
        path.write_bytes(data + rng.randbytes(rng.randrange(1, 9)))
    elif kind == "rename":
        path.rename(path.with_name(path.name + rng.choice("abc")))
    elif kind == "remove":
        path.unlink()
    elif kind == "add":
        name = str(Path(name).parent / f"added{rng.randrange(100)}")
        (folder / name).write_bytes(rng.randbytes(rng.randrange(9)))
    elif kind == "swap":
        other = rng.choice([file for file in files if file != name])
        (folder / other).rename(folder / "aside")
        path.rename(folder / other)
        (folder / "aside").rename(path)
        name = "manifest.json" if other == "manifest.json" else name
    else:
        outside = folder.parent / "outside"
        path.rename(outside)
        path.symlink_to(outside)
    return kind, name


def main() -> None:
    changes = int(sys.argv[1]) if len(sys.argv) > 1 else 2400
    rng = random.Random(20261122)
    made, found, hit = Counter[str](), Counter[str](), set[str]()
    with tempfile.TemporaryDirectory() as place:
        if len(sys.argv) > 2:
            bundle = Bundle.open(sys.argv[2])
        else:
            more = {"targets": ("onnx", "onnx-int8", "hailo"), "calibration_windows": small_windows(60, 1)}
            bundle = small_bundle(Path(place) / "root", model=edge_model(), **more)
        for number in range(changes):
            folder = Path(place) / str(number) / bundle.id
            shutil.copytree(bundle.path, folder)
            kind, name = change(rng, folder)
            verdict = verify_bundle(folder)
            made[kind] += 1
            hit.add(name if kind == "flip" else "")
            if not verdict.ok and name in [finding.file for finding in verdict.findings]:
                found[kind] += 1
            else:
                print("NOT FOUND", kind, name, verdict.findings)
            shutil.rmtree(folder.parent)
        files = len(bundle.manifest["files"]) + 1
    print(f"{'change':<10}{'made':>6}{'found':>7}")
    for kind in sorted(made):
        print(f"{kind:<10}{made[kind]:>6}{found[kind]:>7}")
    print(f"{'all':<10}{sum(made.values()):>6}{sum(found.values()):>7}   flips hit {len(hit - {''})} of {files} files")
    sys.exit(int(made != found))


if __name__ == "__main__":
    main()
