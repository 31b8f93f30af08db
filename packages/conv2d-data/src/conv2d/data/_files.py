"""Files to checked columns: every cell that is not what it should be is named by file, row and column."""

import csv
import io
import re
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from conv2d.data._errors import DataError
from conv2d.data._recording import UNLABELLED

if TYPE_CHECKING:
    import polars as pl

# polars is imported where it is used: it takes longer to load than all the rest of this wheel.

Float = TypeVar("Float", np.float32, np.float64)


def find_files(path: Path, *patterns: str) -> list[Path]:
    """Return the file itself, or the folder's files that match, sorted by name."""
    if path.is_file():
        return [path]
    files = sorted({file for pattern in patterns for file in path.glob(pattern) if not file.name.startswith(".")})
    if not files:
        others = sorted(file.name for file in path.iterdir())
        holds = f"it holds {', '.join(others[:3])}{', …' if len(others) > 3 else ''}" if others else "it is empty"
        raise DataError(
            f"{path}: no file named {' or '.join(patterns)} in this folder ({holds}); check the path and the reader."
        )
    return files


def read_frame(file: Path) -> "pl.DataFrame":
    """Read a Parquet file with its types, or a CSV file with every cell as text (empty = null)."""
    import polars as pl

    if file.is_dir():
        raise DataError(f"{file}: is a folder, but named like a table; give the folder itself, or rename it.")
    try:
        if file.suffix == ".csv":
            return _read_csv(file)
        return pl.read_parquet(file, glob=False)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        kind = "CSV" if file.suffix == ".csv" else "Parquet"
        raise DataError(f"{file}: cannot be read as {kind}: {cause}. Write the file again, or leave it out.") from error


def _read_csv(file: Path) -> "pl.DataFrame":
    """Read text cells; what polars fills in, renames, or tells without its line is refused here."""
    import polars as pl

    data = _without_blank_end(file.read_bytes())
    first = re.match(rb"[^\r\n]*", data)
    try:
        (header,) = csv.reader([(first.group() if first else b"").decode("utf-8-sig")])
    except (UnicodeDecodeError, csv.Error):
        raise DataError(f"{file}: is not UTF-8 text; save it as CSV in UTF-8.") from None
    separator = next((mark for mark in ";\t|" if len(header) == 1 and mark in header[0]), None)
    if separator:
        raise DataError(
            f"{file}: its columns are separated by {separator!r}; save it with commas between columns and a point in numbers."
        )
    doubled = [name for name, count in Counter(header).items() if count > 1]
    if doubled:
        raise DataError(f"{file}: column {', '.join(map(repr, doubled))} stands twice in the header; keep one.")
    try:
        frame = pl.read_csv(data, infer_schema=False)
    except pl.exceptions.PolarsError:
        _check_fields(data, len(header), file)
        raise
    if frame.width and frame[:, -1].null_count():  # polars fills a line that is cut short with nulls
        _check_fields(data, len(header), file)
    while frame.height and all(value is None for value in frame.row(-1)):  # commas alone, as spreadsheets leave them
        frame = frame[:-1]
    return frame


def _without_blank_end(data: bytes) -> bytes:
    """Return the bytes without the blank lines after the last row."""
    end = len(data.rstrip())
    newline = data.find(b"\n", end)
    return data[: newline + 1] if newline >= 0 else data


def _check_fields(data: bytes, expected: int, file: Path) -> None:
    """Raise at the first line that has more or fewer cells than the header."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{file}: line {line} is not UTF-8 text; save the file as CSV in UTF-8.") from None
    for line, count in _cells(text):
        if count not in (0, expected):
            raise DataError(
                f"{file}: line {line} has {count} cells, but the header has {expected}; complete the line, close its quotes, or "
                f"remove it."
            )


def _cells(text: str) -> Generator[tuple[int, int]]:
    """Give each line's number and how many cells it has: 0 for an empty line, 1 for a quote that is never closed."""
    if '"' not in text:  # far faster
        yield from ((n, line.count(",") + 1 if line.strip("\r") else 0) for n, line in enumerate(text.split("\n"), 1))
        return
    n = 0
    try:
        for n, row in enumerate(csv.reader(io.StringIO(text, newline="")), 1):
            yield n, len(row)
    except csv.Error:  # the cell has swallowed more than any cell may hold
        yield n + 1, 1


@contextmanager
def naming(file: Path) -> Generator[None]:
    """Put the file's name before what is wrong with what was read from it."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{file}: {error}") from None


def require_columns(frame: "pl.DataFrame", columns: Sequence[str], file: Path) -> None:
    """Raise unless the table has all of these columns and at least one row."""
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        near = [name for name in frame.columns if name.strip().lower() in missing]
        meant = f" ({', '.join(map(repr, near))} is not taken for it)" if near else ""
        raise DataError(
            f"{file}: missing column {', '.join(missing)}{meant}; the file has {', '.join(frame.columns)}. Rename or add the "
            f"column, or choose another reader."
        )
    if frame.is_empty():
        raise DataError(f"{file}: the table has no rows; leave the file out.")


def numbers(
    frame: "pl.DataFrame", column: str, file: Path, dtype: type[Float], *, may_be_empty: bool = False
) -> NDArray[Float]:
    """Return a column as `dtype`, NaN where it is empty.

    Empty cells are refused unless `may_be_empty`; text that is no number, NaN and infinity always.
    """
    import polars as pl

    series = frame[column]
    if not (series.dtype.is_numeric() or series.dtype == pl.String):
        raise DataError(f"{file}: column {column} must hold numbers, but is of type {series.dtype}.")
    values = series.cast(pl.Float32 if dtype is np.float32 else pl.Float64, strict=False)
    empty = series.is_null()
    row = _first(~empty & ~values.is_finite().fill_null(value=False))
    if row is not None:
        raise DataError(
            f"{cell(file, row, column)} is {series[row]!r}; every value must be a finite number. Where a device did "
            f"not report, leave all of its cells empty."
        )
    row = None if may_be_empty else _first(empty)
    if row is not None:
        raise DataError(f"{cell(file, row, column)} is empty; this column needs a number in every row.")
    return cast("NDArray[Float]", values.to_numpy())


def label_text(frame: "pl.DataFrame", file: Path) -> "pl.Series":
    """Return the `label` column as text, null where it is empty."""
    import polars as pl

    labels = frame["label"]
    if not (labels.dtype.is_integer() or labels.dtype.base_type() in (pl.String, pl.Categorical, pl.Enum, pl.Null)):
        raise DataError(f"{file}: column label must hold names or whole numbers, but is of type {labels.dtype}.")
    text = labels.cast(pl.String)
    return text.set(text == "", None)


def label_codes(frame: "pl.DataFrame", file: Path, names: Sequence[str]) -> NDArray[np.int32]:
    """Return the `label` column as indices into `names`, −1 where it is empty."""
    import polars as pl

    labels = label_text(frame, file)
    row = _first(labels.is_not_null() & ~labels.is_in(list(names)))
    if row is not None:
        raise DataError(
            f"{cell(file, row, 'label')} is {labels[row]!r}, which is not among the known labels {', '.join(names)}; "
            f"correct it, or pass label_names with it."
        )
    codes = labels.cast(pl.Enum(list(names))).to_physical().cast(pl.Int32).fill_null(UNLABELLED)
    return cast("NDArray[np.int32]", codes.to_numpy())


def constant(frame: "pl.DataFrame", column: str, file: Path, default: str) -> str:
    """Return the one value of a text column, or `default` if the table lacks the column."""
    if column not in frame.columns:
        return default
    values: list[Any] = frame[column].unique().to_list()
    if len(values) != 1 or not values[0] or "/" in str(values[0]):
        raise DataError(
            f"{file}: column {column} must hold one value in all rows, without '/', got {sorted(map(str, values))[:5]}; one file "
            f"is one recording, so write each to a file of its own."
        )
    return str(values[0])


def cell(file: Path, row: int, column: str) -> str:
    """Say where a cell is."""
    return f"{file}: row {row + 1} (the first after the header is 1), column {column}"


def _first(flags: "pl.Series") -> int | None:
    """Return the first true row, if there is one."""
    rows = np.flatnonzero(flags.to_numpy())
    return int(rows[0]) if len(rows) else None
