"""What stands in a file that nobody has described yet? Counts per column, enough to write a first contract."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.data.readers import count_rows
from gonogo.data.sources import read_raw
from gonogo.data.sql import CLOCK_WORDS, column_types, identifier, one_row
from gonogo.types.time import moment_us

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FEW = 12  # so many values are listed; a column with more is told by its counts
COLUMNS_AT_ONCE = 200  # in one query over a wide file
TIMES = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE")
PLAIN = re.compile(r"BOOLEAN|VARCHAR|DOUBLE|FLOAT|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL.*")
EARLIEST_US, LATEST_US = moment_us("1900-01-02T00:00:00Z"), moment_us("2100-01-01T00:00:00Z")  # what lies outside stands for "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """How the values of a time column lie, in µs; a time without a zone is taken as UTC."""

    first: int
    at_60: int  # three of five rows are before it
    at_80: int
    last: int
    n_days: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of a file."""

    name: str
    type: str  # as DuckDB calls it
    n_null: int
    n_distinct: int  # of values that are there: about, above FEW
    values: tuple[Any, ...] = ()  # the values themselves where they are few, sorted
    counts: tuple[int, ...] = ()  # how often each of them stands
    span: Span | None = None  # for times that nobody has to explain: none null, none absurd


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """One file."""

    path: Path
    relation: str  # its table in the connection
    n_rows: int
    columns: tuple[Column, ...]
    keywords: frozenset[str]  # words that SQL keeps for itself

    def sql(self, name: str) -> str:
        """The column as SQL reads it, in quotes only where it needs them."""
        is_plain = re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in self.keywords
        return name if is_plain else identifier(name)

    def column(self, name: str) -> Column:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)


def look_at(path: Path, relation: str, connection: DuckDBPyConnection) -> Look:
    """Every column of a file, counted. Raises SourceUnreadable or SourceEmpty."""
    read_raw(glob_free(str(path.resolve())), relation, folder=path.parent, connection=connection, where=path.name)
    types = column_types(connection, f"SELECT * FROM {identifier(relation)}")
    names = list(types)
    counted: dict[str, tuple[int, int]] = {}
    for start in range(0, len(names), COLUMNS_AT_ONCE):
        counted |= _count(names[start : start + COLUMNS_AT_ONCE], relation, connection)
    columns = tuple(_column(name, types[name], *counted[name], relation, connection) for name in names)
    kept = connection.execute("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'").fetchall()
    return Look(
        path=path,
        relation=relation,
        n_rows=count_rows(connection, relation),
        columns=columns,
        keywords=frozenset(word for (word,) in kept) | CLOCK_WORDS,
    )


def glob_free(path: str) -> str:
    """The path as a pattern that fits itself alone.

    >>> glob_free("a[1].csv")
    'a[[]1].csv'
    """
    return "".join(f"[{char}]" if char in "*?[" else char for char in path)


def is_unique(look: Look, names: tuple[str, ...], connection: DuckDBPyConnection) -> bool:
    """True where these columns together name each row: none null, none twice."""
    columns = ", ".join(map(identifier, names))
    distinct = f"SELECT count(*) FROM (SELECT DISTINCT {columns} FROM {identifier(look.relation)})"
    return not any(look.column(name).n_null for name in names) and one_row(connection, distinct)[0] == look.n_rows


def copies(look: Look, target: str, connection: DuckDBPyConnection) -> tuple[str, ...]:
    """Columns of few values each of which stands beside one value of the target only: they give it away."""
    found = []
    for column in look.columns:
        if column.name == target or not 2 <= len(column.values) <= FEW:
            continue
        pair = f"{identifier(column.name)}, {identifier(target)}"
        rows = f"SELECT DISTINCT {pair} FROM {identifier(look.relation)} WHERE {identifier(target)} IS NOT NULL"
        n_pairs, n_values = one_row(connection, f"SELECT count(*), count(DISTINCT {identifier(column.name)}) FROM ({rows})")
        n_with_null = n_values + (column.n_null > 0)
        if n_pairs == n_with_null and look.n_rows >= 10 * n_pairs:  # in few rows it may be chance
            found.append(column.name)
    return tuple(found)


def _count(names: list[str], relation: str, connection: DuckDBPyConnection) -> dict[str, tuple[int, int]]:
    parts = ", ".join(f"count(*) - count({c}), approx_count_distinct({c})" for c in map(identifier, names))
    row = one_row(connection, f"SELECT {parts} FROM {identifier(relation)}")
    return {name: (row[2 * i], row[2 * i + 1]) for i, name in enumerate(names)}


def _column(name: str, kind: str, n_null: int, n_about: int, relation: str, connection: DuckDBPyConnection) -> Column:
    values: list[tuple[Any, int]] = []
    if n_about <= 2 * FEW and not kind.startswith(("STRUCT", "MAP", "UNION", "BLOB")) and not kind.endswith("]"):
        # Times and the like are read as text: Python's own have fewer years.
        column = identifier(name) if PLAIN.fullmatch(kind) else f"{identifier(name)}::VARCHAR"
        query = f"SELECT v, count(*) FROM (SELECT {column} AS v FROM {identifier(relation)}) WHERE v IS NOT NULL GROUP BY v ORDER BY v"
        values = connection.execute(f"{query} LIMIT {FEW + 1}").fetchall()
    is_few = 0 < len(values) <= FEW
    span = _span(name, kind, relation, connection) if kind in TIMES and n_null == 0 else None
    return Column(
        name=name,
        type=kind,
        n_null=n_null,
        n_distinct=len(values) if is_few else n_about,
        values=tuple(value for value, _ in values) if is_few else (),
        counts=tuple(count for _, count in values) if is_few else (),
        span=span,
    )


def _span(name: str, kind: str, relation: str, connection: DuckDBPyConnection) -> Span | None:
    moment = f"epoch_us({aware(identifier(name), kind)})"
    row = one_row(
        connection,
        f"SELECT min(t), quantile_disc(t, 0.6), quantile_disc(t, 0.8), max(t), count(DISTINCT t // 86400000000) "
        f"FROM (SELECT {moment} AS t FROM {identifier(relation)})",
    )
    if row[0] is None or not EARLIEST_US <= row[0] <= row[3] < LATEST_US:
        return None
    return Span(first=row[0], at_60=row[1], at_80=row[2], last=row[3], n_days=row[4])


def aware(sql: str, kind: str) -> str:
    """SQL: a time of that type as an aware one; UTC where it does not say.

    >>> aware("day", "DATE")
    "timezone('UTC', day::timestamp)"
    """
    if kind == "TIMESTAMP WITH TIME ZONE":
        return sql
    return f"timezone('UTC', {sql})" if kind == "TIMESTAMP" else f"timezone('UTC', {sql}::timestamp)"
