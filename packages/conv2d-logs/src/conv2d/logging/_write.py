"""Files that are whole or absent."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from conv2d.logging._errors import UserError


@contextmanager
def aside(path: Path) -> Generator[Path, None, None]:
    """Give a place beside `path` to write to; it takes the name when all went well.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    place = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield place
        place.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        place.unlink(missing_ok=True)
