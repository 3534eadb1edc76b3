"""What is a SQL expression of the contract for given rows: a whole table, or the one that is asked about now?

Batch and online evaluate the same text, over columns of the same types, in the same engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gonogo.data.planning import AWARE_NS, EventSource, Plan
from gonogo.data.request import held_sql
from gonogo.data.sql import failures_told, identifier, source_table
from gonogo.data.values import check_finite
from gonogo.types.errors import ColumnMissing

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection


def value_column(index: int) -> str:
    """The name, in a table that was read, of the source's value of that index."""
    return f"value {index}"


def key_column(key: str) -> str:
    """The name, in a table that was read, of a part of a key."""
    return f"key {key}"


def read_events(source: EventSource, connection: DuckDBPyConnection) -> pa.Table:
    """The source as its streams need it: `event_time`, `known_at`, `retracted_at`, `sequence` where declared, keys and values."""
    return _select(_event_items(source), source_table(source.name), connection, f"sources.{source.name}")


def shape_events(source: EventSource, events: pa.Table, connection: DuckDBPyConnection) -> pa.Table:
    """The same columns of events that are given as a table with the source's own columns."""
    return _over_given(_event_items(source), source.columns, events, connection, f"sources.{source.name}")


def shape_requests(plan: Plan, rows: pa.Table, connection: DuckDBPyConnection) -> pa.Table:
    """One column per request-time feature, row for row.

    Raises ScaleRefused where one is NaN or infinite: that is no value, and null is the word for none.
    """
    items = {request.name: held_sql(request) for request in plan.requests}
    wanted = [column for request in plan.requests for column in request.columns]
    shaped = _over_given(items, {column: plan.row_columns[column] for column in dict.fromkeys(wanted)}, rows, connection, "features")
    for request in plan.requests:
        if request.held == "floating":
            check_finite(shaped[request.name], where=f"features.{request.name}", name=request.name)
    return shaped


def _event_items(source: EventSource) -> dict[str, str]:
    named = {"event_time": source.event_time, "known_at": source.known_at, "retracted_at": source.retracted_at, "sequence": source.sequence}
    items = {name: identifier(column) for name, column in named.items() if column}
    items |= {name: f"CAST({item} AS TIMESTAMPTZ)" for name, item in items.items() if source.columns[named[name]] == AWARE_NS}
    items |= {key_column(key): identifier(key) for key in source.keys}
    return items | {value_column(i): held_sql(value) for i, value in enumerate(source.values)}


def _over_given(items: Mapping[str, str], types: Mapping[str, str], rows: pa.Table, connection: DuckDBPyConnection, where: str) -> pa.Table:
    import pyarrow as pa

    if not items:
        return pa.table({})
    missing = [column for column in types if column not in rows.column_names]
    if missing:
        raise ColumnMissing(f"the rows have no {', '.join(missing)}", where=where, expected=", ".join(types))
    given = rows.select(list(types)).append_column("gng_place", pa.array(np.arange(len(rows))))
    connection.register("gng_given", given)
    try:
        cast = ", ".join(f"CAST({identifier(c)} AS {kind}) AS {identifier(c)}" for c, kind in types.items())
        table = f"(SELECT gng_place{', ' if cast else ''}{cast} FROM gng_given)"
        shaped = _select({**items, "gng_place": "gng_place"}, table, connection, where)
    finally:
        connection.unregister("gng_given")
    place = np.asarray(shaped["gng_place"].combine_chunks())
    if place.size and not (place[1:] > place[:-1]).all():  # the engine promises no order unless asked
        shaped = shaped.take(np.argsort(place))
    return shaped.drop_columns(["gng_place"])


def _select(items: Mapping[str, str], table: str, connection: DuckDBPyConnection, where: str) -> pa.Table:
    sql = f"SELECT {', '.join(f'{expression} AS {identifier(name)}' for name, expression in items.items())} FROM {table}"
    with failures_told(where, sql=sql):
        return connection.sql(sql).to_arrow_table()
