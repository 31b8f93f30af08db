"""DuckDB over log files, for questions in SQL and for Parquet; an optional library."""

import importlib
import re
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conv2d.logging._encode import encode
from conv2d.logging._errors import MissingToolError, UserError
from conv2d.logging._frames import FrameReader
from conv2d.logging._options import Window
from conv2d.logging._read import read_lines
from conv2d.logging._sources import Damages, read_blocks

# DuckDB's times have microseconds, and a column of texts that look like times is made one: they stay text here.
_TIMES = re.compile(r'(?<!")\b(?:TIMESTAMP(?:_NS|_MS|_S)?(?: WITH TIME ZONE)?|DATE|TIME|UUID)\b(?!")')


@contextmanager
def records_in_duckdb(
    sources: Sequence[str], window: Window, damages: Damages, extra: str
) -> Generator[Any, None, None]:
    """Give a connection in which ``logs`` is a view of all records, or None when there are no records.

    ``ts`` is a TIMESTAMP_NS. The records are copied to a temporary folder first: whole lines under our names, whatever
    their producer and however they are compressed.

    Raises
    ------
    MissingToolError
        If DuckDB is not installed.
    UserError
        If it refuses a statement.
    """
    try:
        duckdb: Any = importlib.import_module("duckdb")
    except ModuleNotFoundError:
        raise MissingToolError(f"DuckDB is not installed; pip install 'conv2d-logs[{extra}]'") from None
    with tempfile.TemporaryDirectory(prefix="conv2d-logs-") as folder:
        spool = Path(folder) / "records.ndjson"
        _spool(sources, window, damages, spool)
        if not spool.stat().st_size:
            yield None
            return
        with duckdb.connect(":memory:", config={"temp_directory": folder}) as connection:
            try:
                _create_view(connection, str(spool))
                yield connection
            except duckdb.Error as error:
                raise UserError(str(error)) from None


def _spool(sources: Sequence[str], window: Window, damages: Damages, spool: Path) -> None:
    with spool.open("wb") as target:
        for source in sources:
            reader = FrameReader()
            for block in read_blocks(source, damages):
                if window.everything and reader.is_our_own(block):
                    target.write(block.data if block.data.endswith(b"\n") else block.data + b"\n")
                    continue
                for _, _, record in read_lines(block, damages):
                    if window.holds(record):
                        target.write(encode(record) + b"\n")


def _create_view(connection: Any, spool: str) -> None:
    shape = "format='newline_delimited', maximum_object_size=33554432"
    described = connection.execute(f"DESCRIBE SELECT * FROM read_json(?, {shape}, sample_size=-1)", [spool]).fetchall()
    columns = {row[0]: _TIMES.sub("VARCHAR", row[1]) for row in described}
    types = ", ".join(f"{_quoted(name)}: {_quoted(kind)}" for name, kind in columns.items())
    stamp = "* REPLACE (try_cast(ts AS TIMESTAMP_NS) AS ts)" if columns.get("ts") == "VARCHAR" else "*"
    connection.execute(
        f"CREATE VIEW logs AS SELECT {stamp} FROM read_json({_quoted(spool)}, {shape}, columns={{{types}}})"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
