"""Is this a time that can be trusted: aware, there, and in the years that times lie in?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gonogo.data.sql import column_types, failures_told, identifier, one_row
from gonogo.types.errors import ColumnMistyped, TimeRefused
from gonogo.types.time import moment_us

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

AWARE = "TIMESTAMP WITH TIME ZONE"
NAIVE = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE")

# 1900-01-01 and the years from 2100 on stand for "unknown" or "for ever" in many systems; in any zone of the world they lie outside.
EARLIEST_US = moment_us("1900-01-02T00:00:00Z")
LATEST_US = moment_us("2099-12-31T00:00:00Z")


def check_times(
    connection: DuckDBPyConnection, table: str, *, required: Sequence[str], optional: Sequence[str], where: str, known_as: str = ""
) -> None:
    """Nothing, if these columns hold aware times between 1900-01-02 and 2099-12-31; the required ones without a null.

    Raises TimeRefused or ColumnMistyped; known_as is what the contract calls the column, where it is a computed one.
    """
    if not (required or optional):
        return
    columns = list(dict.fromkeys((*required, *optional)))
    types = column_types(connection, f"SELECT {', '.join(map(identifier, columns))} FROM {table}")
    for column in columns:
        refuse_unless_aware(known_as or column, types[column], where=where)
    parts = ", ".join(f"count(*) - count({c}), epoch_us(min({c})), epoch_us(max({c}))" for c in map(identifier, columns))
    with failures_told(where):
        found = one_row(connection, f"SELECT {parts}, count(*) FROM {table}")
    for i, column in enumerate(columns):
        nulls, earliest, latest = found[3 * i : 3 * i + 3]
        if nulls and column in required:
            raise TimeRefused(
                f"{nulls:,} of {found[-1]:,} times in {known_as or column} are null",
                where=where,
                expected="a moment for every row",
                next=f"leave those rows out in the source's sql: where {column} is not null",
            )
        _refuse_absurd(known_as or column, earliest, latest, where=where)


def check_time_expression(connection: DuckDBPyConnection, table: str, sql: str, *, where: str) -> None:
    """Nothing, if the expression over the table's rows is an aware time in the years that times lie in; nulls may be."""
    query = f"(SELECT ({sql}\n) AS moment FROM {table})"
    with failures_told(where, sql=sql):
        kind = column_types(connection, f"SELECT moment FROM {query}")["moment"]
        refuse_unless_aware(sql, kind, where=where)
        earliest, latest = one_row(connection, f"SELECT epoch_us(min(moment)), epoch_us(max(moment)) FROM {query}")
    _refuse_absurd(sql, earliest, latest, where=where)


def refuse_unless_aware(name: str, kind: str, *, where: str) -> None:
    """Nothing, if the type is a timestamp with a zone."""
    if kind == AWARE:
        return
    if kind in NAIVE:
        raise TimeRefused(
            f"{name} is naive: it does not say in which zone its clock stands",
            where=where,
            found=kind,
            expected=AWARE,
            next=f"in the source's sql: timezone('America/New_York', {name}::timestamp) with the zone in which it was written, or 'UTC'",
        )
    fix = f"make_timestamptz({name} * 1000000) for seconds since 1970" if "INT" in kind else f"{name}::timestamptz for text with a zone"
    raise ColumnMistyped(f"{name} is no time", where=where, found=kind, expected=AWARE, next=f"in the source's sql: {fix}")


def utc_text(moment_of_us: int) -> str:
    """A moment as a person reads it.

    >>> utc_text(0)
    '1970-01-01T00:00:00Z'
    """
    seconds, us = divmod(moment_of_us, 1_000_000)
    text = datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=us).isoformat()
    return text.replace("+00:00", "Z")


def _refuse_absurd(name: str, earliest: int | None, latest: int | None, *, where: str) -> None:
    for moment in (earliest, latest):
        if moment is not None and not EARLIEST_US <= moment < LATEST_US:
            raise TimeRefused(
                f"{name} holds a time that stands for something else",
                where=where,
                found=_any_year(moment),
                expected=f"from {utc_text(EARLIEST_US)} until before {utc_text(LATEST_US)}: earlier and later ones are placeholders",
                next=f"say what it stands for: nullif, or leave those rows out in the source's sql ({name})",
            )


def _any_year(moment: int) -> str:
    """DuckDB keeps years that Python's calendar does not."""
    try:
        return utc_text(moment)
    except (ValueError, OverflowError, OSError):
        return f"{moment} microseconds after 1970"
