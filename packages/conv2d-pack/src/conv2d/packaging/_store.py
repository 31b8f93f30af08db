"""A root folder with bundles in it: listing and finding."""

import re
from pathlib import Path

from conv2d.packaging._files import MANIFEST
from conv2d.packaging._findings import BundleNotFoundError

_ID = re.compile(r"[0-9a-f]{64}")
_SHORT = re.compile(r"[0-9a-f]{4,64}")


def list_bundles(root: str | Path) -> tuple[Path, ...]:
    """Return the folders in `root` that are named as bundles and hold a manifest, the oldest first.

    Parameters
    ----------
    root : str or Path
        The folder that `create_bundle` writes to; one that does not exist holds no bundles.

    Returns
    -------
    tuple of Path
        Folders by the time of their manifest, then by id. They are not verified here: `Bundle.open` does that.

    Examples
    --------
    >>> list_bundles("nowhere")
    ()
    """
    root = Path(root)
    if not root.is_dir():
        return ()
    found = [
        path
        for path in root.iterdir()
        if _ID.fullmatch(path.name) and not path.is_symlink() and (path / MANIFEST).is_file()
    ]
    return tuple(sorted(found, key=lambda path: ((path / MANIFEST).stat().st_mtime_ns, path.name)))


def find_bundle(root: str | Path, id_or_path: str | Path) -> Path:
    """Return the folder of a bundle, given by id, by the first digits of its id (four or more), or by path.

    Parameters
    ----------
    root : str or Path
        Where ids are looked up.
    id_or_path : str or Path
        An id is looked for first, then a folder of that name.

    Returns
    -------
    Path
        The folder; whether it is sound is for `Bundle.open` or `verify_bundle` to say.

    Raises
    ------
    BundleNotFoundError
        When nothing fits, or more than one bundle does.

    Examples
    --------
    >>> find_bundle("nowhere", "abcd")
    Traceback (most recent call last):
    ...
    conv2d.packaging._findings.BundleNotFoundError: no bundle 'abcd': ...
    """
    text = str(id_or_path)
    if _SHORT.fullmatch(text):
        fits = [path for path in list_bundles(root) if path.name.startswith(text)]
        if len(fits) == 1:
            return fits[0]
        if fits:
            names = ", ".join(path.name[: len(text) + 8] for path in fits)
            raise BundleNotFoundError(
                f"the id {text!r} fits {len(fits)} bundles in {root} ({names}); give more digits."
            )
    path = Path(id_or_path)
    if text.strip() and path.is_dir():
        return path
    raise BundleNotFoundError(
        f"no bundle {text!r}: neither an id in the folder {root} nor a folder of that name; `conv2d pack list --root "
        f"{root}` shows what is there."
    )
