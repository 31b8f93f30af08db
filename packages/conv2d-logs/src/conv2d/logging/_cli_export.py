"""The commands ``sql``, ``export parquet`` and ``schema``: records for other tools, and whether they keep their form."""

import csv
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from conv2d.logging._encode import encode, plain
from conv2d.logging._options import Files, Since, TableStyle, Until, Window
from conv2d.logging._pretty import harmless
from conv2d.logging._show import cell, tell_damages
from conv2d.logging._sources import Damage, Damages, find_sources, read_blocks
from conv2d.logging._table import render
from conv2d.logging._write import aside

_ROWS = 1000

app: typer.Typer = typer.Typer(help="Write records for other tools.", no_args_is_help=True)
schema_app: typer.Typer = typer.Typer(help="The schema of the records.", no_args_is_help=True)


def sql(
    statement: Annotated[str, typer.Argument(metavar="SELECT", help="DuckDB's SQL over the view logs.")],
    files: Files = None,
    since: Since = None,
    until: Until = None,
    style: TableStyle = "table",
) -> None:
    """Ask in SQL: conv2d-logs sql 'select event, count(*) from logs group by event'; needs the extra sql."""
    from conv2d.logging._engine import records_in_duckdb

    damages = Damages()
    count = 0
    with records_in_duckdb(find_sources(files or []), Window(since, until), damages, "sql") as connection:
        if connection is not None:
            result: Any = connection.execute(statement)
            head = [column[0] for column in result.description or ()]
            while rows := result.fetchmany(_ROWS):
                _write_rows(head, rows, style, first=count == 0)
                count += len(rows)
    tell_damages(damages)
    raise typer.Exit(0 if count else 1)


@app.command()
def parquet(
    files: Files = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("logs.parquet"),
    since: Since = None,
    until: Until = None,
) -> None:
    """Write records as Parquet, a column for each field; needs the extra parquet."""
    from conv2d.logging._engine import records_in_duckdb

    damages = Damages()
    count = 0
    with records_in_duckdb(find_sources(files or []), Window(since, until), damages, "parquet") as connection:
        if connection is not None:
            with aside(output) as place:
                target = str(place).replace("'", "''")
                connection.execute(f"COPY logs TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
                count = connection.execute("SELECT count(*) FROM read_parquet(?)", [str(place)]).fetchone()[0]
    tell_damages(damages)
    sys.stderr.write(f"{count:,} records written to {output}\n" if count else "no records, so nothing is written\n")
    raise typer.Exit(0 if count else 1)


@app.callback()
def _group() -> None:
    """Write records for other tools."""


@schema_app.command()
def check(
    files: Files = None,
    most: Annotated[int, typer.Option(min=1, help="Faults to show.")] = 20,
) -> None:
    """Check each record against the schema; exit code 1 when one does not keep it."""
    from conv2d.logging._schema import fault

    faults = Damages()
    checked = 0
    for source in find_sources(files or []):
        for block in read_blocks(source, faults):
            offset = block.offset
            for number, text in enumerate(block.data.split(b"\n"), start=block.line):
                if text and not text.isspace():
                    checked += 1
                    wrong = fault(text)
                    if wrong is not None:
                        faults.add(Damage(source, number, offset, wrong))
                offset += len(text) + 1
    for one in faults.first[:most]:
        sys.stdout.write(f"{harmless(str(one))}\n")
    sys.stdout.write(f"{checked:,} records checked, {faults.count:,} against the schema\n")
    raise typer.Exit(1 if faults.count else 0)


@schema_app.command(name="print")
def print_() -> None:
    """Print the schema (JSON Schema 2020-12)."""
    from conv2d.logging._schema import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")


def _write_rows(head: list[str], rows: list[tuple[Any, ...]], style: str, first: bool) -> None:
    if style == "json":
        for row in rows:
            sys.stdout.write(encode(plain(dict(zip(head, row, strict=True)))).decode() + "\n")
    elif style == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        if first:
            writer.writerow([cell(name) for name in head])
        writer.writerows([[cell(plain(value)) for value in row] for row in rows])
    else:
        text = render(head, [[plain(value) for value in row] for row in rows], "table")
        sys.stdout.write(text if first else text.split("\n", 1)[1])
