"""Remove old bundles, and nothing else."""

import re
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from conv2d.packaging._bundle import Bundle
from conv2d.packaging._files import TEMPORARY
from conv2d.packaging._findings import BundleError
from conv2d.packaging._store import list_bundles

_LEFTOVER = re.compile(re.escape(TEMPORARY) + r"[0-9a-f]{16}")
_LEFTOVER_AGE_S = 3600.0  # a creation that still writes is far younger


@dataclass(frozen=True)
class Cleaning:
    """What `clean_bundles` did, or would do.

    Attributes
    ----------
    kept : tuple of Path
        The newest sound bundles.
    removed : tuple of Path
        Older sound bundles, and leftovers of interrupted creations.
    left : tuple of str
        Folders named as bundles that are not sound, each with its first finding; they are never removed.

    Examples
    --------
    >>> Cleaning((), (), ()).removed
    ()
    """

    kept: tuple[Path, ...]
    removed: tuple[Path, ...]
    left: tuple[str, ...]


def clean_bundles(root: str | Path, *, keep: int, dry_run: bool = False) -> Cleaning:
    """Remove all but the newest bundles of a folder.

    Only what this package made is removed: bundles whose every hash is right and which hold no other file, and folders
    that an interrupted creation left more than an hour ago. A bundle disappears whole.

    Parameters
    ----------
    root : str or Path
        The folder that holds bundles.
    keep : int
        How many of the newest sound bundles stay, by the time of their manifest; 0 or more.
    dry_run : bool
        Only say what would be removed.

    Returns
    -------
    Cleaning
        What was kept, removed, and left because it is not sound.

    Raises
    ------
    ValueError
        When `keep` is negative.
    OSError
        When something cannot be removed.

    Examples
    --------
    >>> import tempfile
    >>> from conv2d.packaging.testing import small_bundle
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for version in ("1", "2", "3"):
    ...         newest = small_bundle(root, version=version)
    ...     cleaning = clean_bundles(root, keep=1)
    >>> len(cleaning.removed), cleaning.kept == (newest.path,)
    (2, True)
    """
    if keep < 0:
        raise ValueError(f"keep is {keep}; it is the number of bundles that stay, 0 or more.")
    sound: list[Path] = []
    left: list[str] = []
    root = Path(root).resolve()
    for path in list_bundles(root):
        try:
            sound.append(Bundle.open(path).path)
        except BundleError as error:
            left.append(str(error))
    old = sound[: max(len(sound) - keep, 0)]
    leftovers = _leftovers(root)
    if not dry_run:
        for path in old:
            aside = root / f"{TEMPORARY}{secrets.token_hex(8)}"
            path.rename(aside)  # gone at once: nobody sees a bundle with half of its files
            shutil.rmtree(aside)
        for path in leftovers:
            if path.is_dir():
                shutil.rmtree(path)
            else:  # a signature that was being written
                path.unlink()
    return Cleaning(tuple(sound[len(old) :]), (*old, *leftovers), tuple(left))


def _leftovers(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    limit = time.time() - _LEFTOVER_AGE_S
    found = [p for p in root.iterdir() if _LEFTOVER.fullmatch(p.name) and not p.is_symlink()]
    return sorted(p for p in found if p.stat().st_mtime < limit)
