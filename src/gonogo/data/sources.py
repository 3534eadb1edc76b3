"""How do the contract's sources become tables of the connection, pinned by their content?

Afterwards the connection holds one table or view `src_<name>` per source, after the source's own SQL, with aware times in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gonogo.data.readers import Raw, count_rows, read_duckdb, read_files, reading_told, without_password
from gonogo.data.sql import check_expression, check_select, column_types, failures_told, first_line, identifier, literal, source_table
from gonogo.data.times import check_time_expression, check_times
from gonogo.types.errors import ColumnMissing, SourceEmpty, SourceUnreadable
from gonogo.types.snapshot import SourcePin

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from gonogo.types.contract import Contract, Source

MATERIALISED_ROWS = 5_000_000  # above it the SQL over a Parquet file runs again for each reader, who then reads few columns


def read_sources(contract: Contract, *, folder: Path, connection: DuckDBPyConnection) -> tuple[SourcePin, ...]:
    """Every source of the contract, read once per distinct `read`, shaped, checked for its times, and pinned.

    folder:     the contract's; relative paths start there.
    connection: from `open_connection`; gets `src_<name>` for every source.
    Raises SourceUnreadable, SourceEmpty, SqlRefused, ColumnMissing, ColumnMistyped or TimeRefused, naming source and place.
    """
    return shape_sources(contract, read_raws(contract, folder=folder, connection=connection), connection=connection)


def read_raws(contract: Contract, *, folder: Path, connection: DuckDBPyConnection) -> Mapping[str, Raw]:
    """`read` → what it holds now, with its digest, before any SQL. All that is needed to see whether anything changed."""
    for name, source in contract.sources.items():
        _check_sql(name, source, connection)
    return _read_all(contract.sources, folder, connection)


def shape_sources(contract: Contract, raws: Mapping[str, Raw], *, connection: DuckDBPyConnection) -> tuple[SourcePin, ...]:
    """Every source of the contract made from what was read: `src_<name>` in the connection, and its pin."""
    pins = tuple(_shape(name, source, raws[source.read], connection) for name, source in contract.sources.items())
    for name, source in contract.sources.items():
        _check_columns(name, source, connection)
        check_source_times(name, source, connection)
    return pins


def check_source_times(name: str, source: Source, connection: DuckDBPyConnection) -> None:
    """Nothing, if every time that the contract names is aware, there where it must be, and in the years that times lie in."""
    where = f"sources.{name}"
    required = tuple(column for column in (source.event_time, source.known_at) if column)
    optional = (source.retracted_at,) if source.retracted_at else ()
    check_times(connection, source_table(name), required=required, optional=optional, where=where)
    for column, moment in source.known_later.items():
        place = f"{where}.known_later.{column}"
        check_expression(moment, connection, where=place)
        check_time_expression(connection, source_table(name), moment, where=place)


def read_raw(read: str, relation: str, *, folder: Path, connection: DuckDBPyConnection, where: str) -> Raw:
    """What a `read` names, as a relation of the connection. Raises SourceEmpty without a row."""
    if read.startswith("python:"):
        from gonogo.data.pysource import read_python

        raw = read_python(read, relation, folder=folder, connection=connection, where=where)
    elif read.startswith(("postgresql://", "postgres://")):
        from gonogo.data.pgsource import read_postgres

        raw = read_postgres(read, relation, connection=connection, where=where)
    elif read.startswith("duckdb:"):
        raw = read_duckdb(read, relation, folder=folder, connection=connection, where=where)
    else:
        raw = read_files(read, relation, folder=folder, connection=connection, where=where)
    with reading_told(where):
        if count_rows(connection, relation) == 0:
            raise SourceEmpty(f"{without_password(read)} has no row", where=where, expected="at least one row")
    return raw


def _read_all(sources: Mapping[str, Source], folder: Path, connection: DuckDBPyConnection) -> dict[str, Raw]:
    raws: dict[str, Raw] = {}
    for name, source in sources.items():
        if source.read not in raws:
            where = f"sources.{name}.read"
            raws[source.read] = read_raw(source.read, f"raw_{len(raws)}", folder=folder, connection=connection, where=where)
    return raws


def _check_sql(name: str, source: Source, connection: DuckDBPyConnection) -> None:
    if source.sql:
        check_select(_statement(source), connection, where=f"sources.{name}.sql")


def _shape(name: str, source: Source, raw: Raw, connection: DuckDBPyConnection) -> SourcePin:
    where, table, relation = f"sources.{name}", source_table(name), identifier(raw.relation)
    query = f"SELECT * FROM {relation}"
    if source.sql:
        query = f"WITH input AS NOT MATERIALIZED (SELECT * FROM {relation}) SELECT * FROM (\n{_statement(source)}\n)"
    kept_as = "VIEW" if raw.is_scan and (not source.sql or count_rows(connection, raw.relation) > MATERIALISED_ROWS) else "TABLE"
    with failures_told(f"{where}.sql", sql=" ".join(source.sql.split())[:200]), _scanning_told(where, raw):
        connection.execute(f"CREATE OR REPLACE {kept_as} {table} AS {query}")
    n_rows = count_rows(connection, f"src_{name}")
    if n_rows == 0:
        raise SourceEmpty(f"the SQL of {name} leaves no row", where=f"{where}.sql", expected="at least one row")
    return SourcePin(name=name, digest=raw.digest, n_rows=n_rows, columns=column_types(connection, f"SELECT * FROM {table}"))


@contextmanager
def _scanning_told(where: str, raw: Raw) -> Iterator[None]:
    """While a file is read by the SQL itself, what is neither the SQL's fault nor a value's is the file's."""
    import duckdb

    try:
        yield
    except (
        duckdb.BinderException,
        duckdb.CatalogException,
        duckdb.ConversionException,
        duckdb.OutOfRangeException,
        duckdb.OutOfMemoryException,
    ):
        raise
    except duckdb.Error as error:
        if not raw.is_scan:
            raise
        raise SourceUnreadable("the file cannot be read to its end", where=f"{where}.read", found=first_line(error)) from error


def _statement(source: Source) -> str:
    return source.sql.strip().removesuffix(";")


def _check_columns(name: str, source: Source, connection: DuckDBPyConnection) -> None:
    """Columns that the contract names of this source; those of [checks] are findings, not refusals."""
    there = column_types(connection, f"SELECT * FROM {source_table(name)}")
    named = {"event_time": source.event_time, "known_at": source.known_at, "retracted_at": source.retracted_at, "sequence": source.sequence}
    named |= {f"unique[{i}]": column for i, column in enumerate(source.unique)}
    named |= {f"decimals.{column}": column for column in source.decimals} | {
        f"known_later.{column}": column for column in source.known_later
    }
    for key, column in named.items():
        if column and column not in there:
            raise ColumnMissing(
                f"the source {name} has no column {column}",
                where=f"sources.{name}.{key}",
                found=", ".join(there),
                expected=f"{literal(column)} among the columns after the source's SQL",
            )
