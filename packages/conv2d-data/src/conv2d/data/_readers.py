"""Readers by name: each is a function from a path to recordings."""

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from conv2d.data._datasets import read_dsads, read_hapt, read_spsw
from conv2d.data._errors import DataError
from conv2d.data._recording import Recording
from conv2d.data._table import read_table

READERS: Mapping[str, Callable[..., list[Recording]]] = MappingProxyType(
    {"dsads": read_dsads, "hapt": read_hapt, "spsw": read_spsw, "table": read_table}
)
"""The readers that come with the wheel. A reader is called with a `Path`, the vocabulary or None, and its options."""


def read_recordings(
    path: str | os.PathLike[str],
    reader: str | Callable[..., list[Recording]] = "table",
    *,
    label_names: Sequence[str] | None = None,
    **options: Any,
) -> list[Recording]:
    """Read every recording under a path.

    Parameters
    ----------
    path : path-like
        A folder, or a single file.
    reader : str or callable
        A name in `READERS`, or a function of your own: it is called as `reader(path, label_names, **options)`.
    label_names : sequence of str, optional
        The vocabulary; a label that is not in it is an error. By default the data set's own, or for "table" the labels
        that occur, sorted.
    **options
        The reader's own: `max_gap_s` (all), `rate_hz` and `max_clock_offset_s` (spsw), `devices` (dsads, table),
        `rate_hz` (table).

    Returns
    -------
    list of Recording
        At least one, sorted by subject and session.

    Raises
    ------
    DataError
        If the path, the reader or an option does not exist, or a file breaks a rule; it names file, row and column.

    Examples
    --------
    >>> import tempfile
    >>> from conv2d.data import simulate, write_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for recording in simulate(n_subjects=2, minutes=0.2):
    ...         _ = write_table(recording, folder)
    ...     recordings = read_recordings(folder)
    >>> len({recording.subject for recording in recordings})
    2
    """
    if not Path(path).exists():
        raise DataError(f"read_recordings: {os.fspath(path)} does not exist; check the path.")
    if isinstance(reader, str):
        if reader not in READERS:
            raise DataError(f"read_recordings: reader must be one of {', '.join(READERS)}, got {reader!r}.")
        known = list(inspect.signature(READERS[reader]).parameters)[2:]
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise DataError(
                f"read_recordings: the reader {reader!r} has no option {', '.join(unknown)}; it has {', '.join(known)}."
            )
        reader = READERS[reader]
    return reader(Path(path), label_names, **options)
