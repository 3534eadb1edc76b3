"""Which SQL may a contract say, and what do its failures mean to its author?

A contract's SQL shapes rows and nothing else: it reads one named relation, opens no file, and gives the same answer on any day.
The statement is checked as DuckDB parsed it, so spelling, comments and quotes hide nothing.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gonogo.types.errors import ColumnMissing, ColumnMistyped, GonogoError, SourceUnreadable, SqlRefused, StorageFailed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE_FUNCTIONS = frozenset({"unnest", "range", "generate_series"})  # the ones that only make rows
TABLE_NODES = frozenset({"BASE_TABLE", "SUBQUERY", "JOIN", "EMPTY", "EXPRESSION_LIST", "COLUMN_DATA", "TABLE_FUNCTION"})
# Words without parentheses that the engine replaces by the clock, where no column has that name.
CLOCK_WORDS = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})
# Functions and macros over the clock of which the catalogue does not tell it.
CLOCK_FUNCTIONS = frozenset(
    {"ago", "current_localtime", "current_localtimestamp", "current_query", "pg_conf_load_time", "pg_postmaster_start_time", "pg_sleep"}
)
MAKES_ROWS = frozenset({"unnest", "unlist", "generate_subscripts"})  # one row of the table would become many, or none
NO_VALUE_OF_A_ROW = frozenset({"SUBQUERY", "WINDOW", "STAR", "POSITIONAL_REFERENCE", "PARAMETER", "DEFAULT"})


def identifier(name: str) -> str:
    """A name as SQL reads it, whatever it holds.

    >>> identifier('we "ird')
    '"we ""ird"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string as SQL reads it.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def source_table(name: str) -> str:
    """The quoted name of a source's table in the connection.

    >>> source_table("flights")
    '"src_flights"'
    """
    return identifier(f"src_{name}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Expression:
    """An expression over one row that passed the check."""

    sql: str
    columns: tuple[str, ...]  # the columns that it names, in the order of their first appearance


def check_select(sql: str, connection: DuckDBPyConnection, *, where: str, relation: str = "input") -> None:
    """Nothing, if the text is one SELECT that reads `relation` only and repeats; else SqlRefused says which part is not."""
    tree = _parse(sql, connection, where)
    _check_nodes(tree, relation=relation, where=where, sql=sql)


def check_expression(sql: str, connection: DuckDBPyConnection, *, where: str) -> Expression:
    """The expression, if its value follows from one row alone: no subquery, no aggregate, no window over other rows, no clock.

    >>> from gonogo.data.connection import open_connection
    >>> check_expression("hour(sent_at) + minute(sent_at) / 60.0", open_connection(), where="features.hour").columns
    ('sent_at',)
    """
    # The line break keeps a trailing comment from swallowing the parenthesis.
    tree = _parse(f"select (\n{sql}\n) as value from input", connection, where)
    _check_is_one_value(tree, where=where, sql=sql)
    _check_nodes(tree, relation="input", where=where, sql=sql)
    _, kinds = _catalogue()
    columns: dict[str, None] = {}
    for node in _walk(tree["node"]["select_list"]):
        if node.get("class") in NO_VALUE_OF_A_ROW:
            word = node["class"].lower().replace("_", " ")
            raise _refused(f"uses a {word}", "a value that follows from its own row alone", where=where, sql=sql)
        if node.get("class") == "FUNCTION" and kinds.get(node["function_name"]) == "aggregate":
            raise _refused(f"calls {node['function_name']}(), which looks at other rows", "one row alone", where=where, sql=sql)
        if node.get("class") == "FUNCTION" and node["function_name"].lower() in MAKES_ROWS:
            raise _refused(f"calls {node['function_name']}(), which makes other rows", "one value for one row", where=where, sql=sql)
        if node.get("type") == "COLUMN_REF":
            columns[node["column_names"][0]] = None  # of a column's field, a.b, the column: no table has a name in an expression
    return Expression(sql=sql, columns=tuple(columns))


@contextmanager
def failures_told(where: str, *, sql: str = "") -> Iterator[None]:
    """Turns the engine's failures into records that name the place in the contract."""
    import duckdb

    try:
        yield
    except GonogoError:
        raise
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        raise StorageFailed(
            "memory or disk did not suffice", where=where, found=first_line(error), next="give a workspace on a larger disk"
        ) from error
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        raise _unbound(error, where, sql) from error
    except (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.TypeMismatchException) as error:
        raise ColumnMistyped(
            "a value does not fit its type", where=where, found=first_line(error), expected=sql, next="use try_cast, or clean the source"
        ) from error
    except duckdb.Error as error:
        if "Failed to read file" in str(error):  # the SQL is the first to read what a damaged file holds
            raise SourceUnreadable("the source cannot be read", where=where, found=first_line(error), next="write the file anew") from error
        raise SqlRefused("the SQL does not run", where=where, found=first_line(error), expected=sql) from error


def column_types(connection: DuckDBPyConnection, query: str) -> dict[str, str]:
    """Column → DuckDB type of a query's result, without running it."""
    return {str(name): str(kind) for name, kind, *_ in connection.execute(f"DESCRIBE {query}").fetchall()}


def first_line(error: Exception) -> str:
    """What the engine said, without the picture of the statement."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def one_row(connection: DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """The first row of a query that always has one, such as an aggregate."""
    return tuple(connection.execute(query).fetchall()[0])


def _unbound(error: Exception, where: str, sql: str) -> GonogoError:
    text = first_line(error)
    if "not found in FROM clause" in text or "does not have a column" in text:
        return ColumnMissing("the SQL names a column that its table does not have", where=where, found=text, expected=sql)
    return SqlRefused("the SQL does not fit its table", where=where, found=text, expected=sql)


def _parse(sql: str, connection: DuckDBPyConnection, where: str) -> dict[str, Any]:
    import duckdb

    try:
        answer = json.loads(one_row(connection, f"select json_serialize_sql({literal(sql)})")[0])
    except duckdb.Error as error:
        raise SqlRefused("the SQL cannot be read", where=where, found=first_line(error), expected=sql) from error
    if answer["error"]:
        raise SqlRefused("the SQL cannot be read as a SELECT", where=where, found=answer["error_message"], expected="one SELECT statement")
    if len(answer["statements"]) != 1:
        raise _refused(f"holds {len(answer['statements'])} statements", "one SELECT statement", where=where, sql=sql)
    return dict(answer["statements"][0])


def _check_is_one_value(tree: Mapping[str, Any], *, where: str, sql: str) -> None:
    """An expression that closes its parenthesis and goes on would be a statement of its own."""
    node = tree["node"]
    plain = (
        node["type"] == "SELECT_NODE"
        and len(node["select_list"]) == 1
        and node["select_list"][0].get("alias") == "value"
        and node["from_table"].get("type") == "BASE_TABLE"
        and not (node["where_clause"] or node["group_expressions"] or node["having"] or node["qualify"] or node["modifiers"])
        and not node["cte_map"]["map"]
    )
    if not plain:
        raise _refused("is more than one value", "one expression over a row", where=where, sql=sql)


def _check_nodes(tree: Mapping[str, Any], *, relation: str, where: str, sql: str) -> None:
    named = {relation} | {entry["key"] for node in _walk(tree) for entry in _ctes(node)}
    unstable, _ = _catalogue()
    for node in _walk(tree):
        fault = _table_fault(node, named) or _function_fault(node, unstable)
        if fault:
            raise _refused(fault, f"only the table {relation}, and an answer that repeats on any day", where=where, sql=sql)


def _ctes(node: Mapping[str, Any]) -> list[Any]:
    found = node.get("cte_map")
    return found["map"] if isinstance(found, dict) else []


def _table_fault(node: Mapping[str, Any], named: set[str]) -> str:
    if node.get("sample"):
        return "takes a random sample"
    table = node.get("from_table")
    if not isinstance(table, dict):
        return ""
    return next((fault for ref in _table_refs(table) if (fault := _ref_fault(ref, named))), "")


def _table_refs(table: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield table
    for side in ("left", "right"):
        if isinstance(table.get(side), dict):
            yield from _table_refs(table[side])


def _ref_fault(ref: Mapping[str, Any], named: set[str]) -> str:
    kind = ref["type"]
    if kind not in TABLE_NODES:
        return f"uses {kind.lower().replace('_', ' ')}"
    if ref.get("sample"):
        return "takes a random sample"
    if kind == "TABLE_FUNCTION" and ref["function"]["function_name"] not in TABLE_FUNCTIONS:
        return f"calls {ref['function']['function_name']}()"
    if kind == "BASE_TABLE" and (len(ref["qualified_name"]["path"]) != 1 or ref["table_name"] not in named):
        return f"reads {'.'.join(ref['qualified_name']['path'])}"
    return ""


def _function_fault(node: Mapping[str, Any], unstable: frozenset[str]) -> str:
    if node.get("class") == "FUNCTION" and node["function_name"].lower() in unstable:
        return f"calls {node['function_name']}(), whose answer changes from run to run"
    if node.get("class") == "FUNCTION" and node["function_name"].lower() == "age" and len(node["arguments"]) == 1:
        return "calls age() of one time, which counts until today: name the other time, age(until, since)"
    if node.get("type") == "COLUMN_REF" and len(node["column_names"]) == 1 and node["column_names"][0].lower() in CLOCK_WORDS:
        return f"uses {node['column_names'][0]}, whose answer changes from run to run"
    return ""


def _refused(fault: str, expected: str, *, where: str, sql: str) -> SqlRefused:
    return SqlRefused(f"the SQL {fault}", where=where, found=" ".join(sql.split())[:200], expected=expected)


def _walk(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from _walk(value)


@functools.cache
def _catalogue() -> tuple[frozenset[str], Mapping[str, str]]:
    """The engine's unstable functions, and function → kind. The catalogue is the same for every connection of a version."""
    import duckdb

    with duckdb.connect(":memory:") as connection:
        rows = connection.execute("select distinct function_name, function_type, stability from duckdb_functions()").fetchall()
    unstable = frozenset(name for name, kind, stability in rows if kind == "scalar" and stability != "CONSISTENT")
    kinds: dict[str, str] = {}
    for name, kind, _ in sorted(rows, key=lambda row: (row[0], row[1] != "aggregate")):
        kinds.setdefault(name, kind)
    return unstable | CLOCK_FUNCTIONS, kinds
