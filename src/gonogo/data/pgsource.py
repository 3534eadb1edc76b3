"""What does a table of a PostgreSQL database hold, at one moment?

One repeatable-read transaction sees one state of the table; rows are streamed through a server-side cursor. Their order is not the
table's to promise, so the digest is taken over the rows sorted by all their columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gonogo.data.readers import Raw, digest_of_relation, read_batches, refuse_repeated, without_password
from gonogo.data.sql import first_line, identifier
from gonogo.types.errors import ExtraMissing, SourceUnreadable

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

FETCH_ROWS = 20_000


def read_postgres(read: str, relation: str, *, connection: DuckDBPyConnection, where: str) -> Raw:
    """A table `postgresql://…#TABLE` or `#SCHEMA.TABLE`, copied row by row."""
    url, _, table = read.partition("#")
    if not table:
        raise SourceUnreadable("no table is named", where=where, found=without_password(read), expected="postgresql://…#TABLE")
    try:
        import psycopg
    except ModuleNotFoundError as error:
        raise ExtraMissing("reading PostgreSQL needs psycopg", where=where, next="pip install 'gonogo[postgres]'") from error
    try:
        with psycopg.connect(url, connect_timeout=10) as server:
            server.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            server.read_only = True
            _copy(server, table, relation, connection, where)
    except (psycopg.Error, OverflowError, ValueError) as error:
        # The server's words may quote the address; a password must not reach a log.
        raise SourceUnreadable(
            f"{without_password(read)} cannot be read", where=where, found=first_line(error).replace(url, without_password(url))
        ) from error
    return Raw(relation=relation, digest=digest_of_relation(connection, relation, order="ORDER BY ALL"))


def _copy(server: psycopg.Connection[Any], table: str, relation: str, connection: DuckDBPyConnection, where: str) -> None:
    import pyarrow as pa

    name = ".".join(identifier(part) for part in table.split("."))
    server.execute("SET LOCAL TimeZone = 'UTC'")
    described = server.execute(f"SELECT * FROM {name} LIMIT 0").description or []
    refuse_repeated([column.name for column in described], table, where)
    kinds = [(column.name, _arrow_type(column)) for column in described]
    shown = ", ".join(f"{identifier(n)}{'::text' if kind is None else ''}" for n, kind in kinds)
    schema = pa.schema([(n, kind or pa.string()) for n, kind in kinds])
    with server.cursor(name="gonogo") as cursor:
        cursor.itersize = FETCH_ROWS
        cursor.execute(f"SELECT {shown} FROM {name}")
        read_batches(schema, _batches(cursor, schema), relation, connection)


def _batches(cursor: psycopg.ServerCursor[Any], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    while rows := cursor.fetchmany(FETCH_ROWS):
        columns = list(zip(*rows, strict=True))
        yield pa.record_batch([pa.array(c, type=f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def _arrow_type(column: psycopg.Column) -> pa.DataType | None:
    """The Arrow type that holds the column exactly; None for types that are taken as the server writes them."""
    import pyarrow as pa

    if column.type_code == 1700 and column.precision is not None and column.precision <= 38:
        return pa.decimal128(column.precision, column.scale or 0)
    return {
        16: pa.bool_(),
        20: pa.int64(),
        21: pa.int64(),
        23: pa.int64(),
        25: pa.string(),
        700: pa.float64(),
        701: pa.float64(),
        1043: pa.string(),
        1082: pa.date32(),
        1114: pa.timestamp("us"),
        1184: pa.timestamp("us", tz="UTC"),
        1700: pa.float64(),  # numeric without a declared precision
        17: pa.binary(),
    }.get(column.type_code)
