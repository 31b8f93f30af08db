"""Files to checked columns: every cell that is not what it should be is named by file, row and column."""

from collections.abc import Sequence
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
        raise DataError(f"{path}: no file named {' or '.join(patterns)} in this folder; check the path and the reader.")
    return files


def read_frame(file: Path) -> "pl.DataFrame":
    """Read a Parquet file with its types, or a CSV file with every cell as text (empty = null)."""
    import polars as pl

    try:
        if file.suffix == ".csv":
            return pl.read_csv(file, infer_schema=False)
        return pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        kind = "CSV" if file.suffix == ".csv" else "Parquet"
        raise DataError(f"{file}: cannot be read as {kind}: {cause}. Write the file again, or leave it out.") from error


def require_columns(frame: "pl.DataFrame", columns: Sequence[str], file: Path) -> None:
    """Raise unless the table has all of these columns and at least one row."""
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise DataError(
            f"{file}: missing column {', '.join(missing)}; the file has {', '.join(frame.columns)}. Rename or add the "
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
