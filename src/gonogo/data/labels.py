"""Which outcome does each row have, and could anybody know it by now?

A row is kept only when its label window has closed by `as_of`. Taking the outcomes that came early and leaving out the windows still
open would favour whatever is known soon; counting an open window as a negative would be a lie. What is left out is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gonogo.data.sql import check_expression, column_types, failures_told, identifier, literal, one_row, source_table
from gonogo.data.times import check_times, refuse_unless_aware
from gonogo.types.errors import ColumnMissing, ColumnMistyped, KeysRefused, OutcomeRefused
from gonogo.types.snapshot import Dropped
from gonogo.types.time import duration_us, moment_us

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from gonogo.types.contract import Contract, Policy

KEPT = "kept"
AFTER_AS_OF = "decided after as_of"
EXCLUDED = "excluded window"
NOT_MATURE = "label not mature"
NO_OUTCOME = "no outcome in its window"
CAME_LATE = "outcome after its window"
SET_TO = {"positive": 1, "negative": 0}  # what a policy makes of an outcome
FLOATS = ("FLOAT", "DOUBLE")
# When the outcome of a kept row was known: at its moment if that lies in the window; an absence is known when the window closes.
KNOWN_AT = f"CASE WHEN gng_fate = {literal(KEPT)} THEN least(coalesce(gng_known_us, gng_close_us), gng_close_us) ELSE gng_known_us END"


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """What became of the rows."""

    n_rows: int  # all rows of the source
    dropped: tuple[Dropped, ...]  # every row that is not kept, by reason
    facts: Mapping[str, Any]  # maturity, and what a naive label would have said


def label(contract: Contract, connection: DuckDBPyConnection) -> Labelled:
    """Makes the table `rows`: the row source's columns with the row's moment, unit, outcome and fate.

    gng_row         0 … n-1 in the order (decided_at, key), which is total
    gng_decided_at  µs UTC              gng_known_at  µs UTC of the outcome; null where there is none
    gng_unit        dense codes of the unit's values in their sorted order
    gng_y_<name>    the outcome's columns, null unless the row is kept
    gng_fate        'kept', or the reason why the row is out
    Raises KeysRefused, TimeRefused, OutcomeRefused, ColumnMissing, SqlRefused.
    """
    _check_contract_sql(contract, connection)
    _make_moments(contract, connection)
    _check_keys(contract, connection)
    _make_rows(contract, connection)
    _check_outcomes(contract, connection)
    counts = dict(connection.execute("SELECT gng_fate, count(*) FROM rows GROUP BY ALL ORDER BY ALL").fetchall())
    n_rows = sum(counts.values())
    if not counts.get(KEPT):
        raise OutcomeRefused(
            f"none of {n_rows:,} rows has an outcome that is known",
            where="outcome",
            found=", ".join(f"{fate}: {n:,}" for fate, n in counts.items()),
            expected=f"rows whose label window closed by as_of ({contract.as_of})",
        )
    dropped = tuple(Dropped(reason=fate, n_rows=n) for fate, n in counts.items() if fate != KEPT)
    facts = _facts(contract, connection, counts)
    connection.execute("DROP TABLE gng_moments")
    return Labelled(n_rows=n_rows, dropped=dropped, facts=facts)


def _check_contract_sql(contract: Contract, connection: DuckDBPyConnection) -> None:
    outcome, table = contract.outcome, source_table(contract.rows.source)
    pieces = {"rows.decided_at": contract.rows.decided_at, "outcome.known_at": outcome.known_at}
    pieces |= {f"outcome.columns.{name}": sql for name, sql in outcome.columns.items()}
    conditions = {f"outcome.policies.{policy.name}.when": policy.when for policy in outcome.policies}
    for where, sql in (pieces | conditions).items():
        check_expression(sql, connection, where=where)
        with failures_told(where, sql=sql):
            (kind,) = column_types(connection, f"SELECT ({sql}\n) FROM {table}").values()
        if where in conditions and kind != "BOOLEAN":
            told = "a condition must be true or false"
            raise ColumnMistyped(told, where=where, found=kind, expected="BOOLEAN", next="write a comparison")
    there = column_types(connection, f"SELECT * FROM {table}")
    named = {"unit": contract.unit} | {f"rows.key[{i}]": key for i, key in enumerate(contract.rows.key)}
    named |= {f"rows.entities[{i}]": column for i, column in enumerate(contract.rows.entities)}
    for where, column in named.items():
        if column not in there:
            raise ColumnMissing(
                f"the source {contract.rows.source} has no column {column}", where=where, found=", ".join(there), expected=column
            )
    taken = sorted(column for column in there if column.startswith("gng_"))
    if taken:
        raise ColumnMistyped(
            "columns that start with gng_ are gonogo's own", where=f"sources.{contract.rows.source}", found=", ".join(taken)
        )


def _make_moments(contract: Contract, connection: DuckDBPyConnection) -> None:
    """The row source with its moments, its outcomes as the contract's SQL gives them, and each row's fate."""
    outcome, table = contract.outcome, source_table(contract.rows.source)
    for where, name, sql in (
        ("rows.decided_at", "decided_at", contract.rows.decided_at),
        ("outcome.known_at", "known_at", outcome.known_at),
    ):
        kind = column_types(connection, f"SELECT ({sql}\n) AS moment FROM {table}")["moment"]
        refuse_unless_aware(name, kind, where=where)
    columns = [f"({sql}\n) AS {identifier(f'gng_y_{name}')}" for name, sql in outcome.columns.items()]
    columns += [f"coalesce(({policy.when}\n), false) AS gng_policy_{i}" for i, policy in enumerate(outcome.policies)]
    query = f"""
        WITH moments AS (SELECT *, ({contract.rows.decided_at}
            ) AS gng_decided, ({outcome.known_at}
            ) AS gng_known, {", ".join(columns)} FROM {table}),
        timed AS (SELECT *, epoch_us(gng_decided) AS gng_decided_us, epoch_us(gng_known) AS gng_known_us,
            epoch_us(gng_decided) + {duration_us(outcome.window)} AS gng_close_us FROM moments)
        SELECT *, {_fate(contract)} AS gng_fate FROM timed"""
    with failures_told("rows and outcome"):
        connection.execute(f"CREATE OR REPLACE TABLE gng_moments AS {query}")
    check_times(connection, "gng_moments", required=("gng_decided",), optional=(), where="rows.decided_at", known_as="decided_at")
    check_times(connection, "gng_moments", required=(), optional=("gng_known",), where="outcome.known_at", known_as="known_at")


def _check_keys(contract: Contract, connection: DuckDBPyConnection) -> None:
    keys = [identifier(key) for key in contract.rows.key]
    shown = ", ".join(keys)
    for column in (*contract.rows.key, contract.unit):
        (nulls,) = one_row(connection, f"SELECT count(*) FROM gng_moments WHERE {identifier(column)} IS NULL")
        if nulls:
            raise KeysRefused(
                f"{nulls:,} rows have no {column}",
                where="rows.key" if column in contract.rows.key else "unit",
                expected="a value in every row: a row without one cannot be named or counted",
            )
    repeated = f"SELECT {shown}, count(*) AS n FROM gng_moments GROUP BY {shown} HAVING count(*) > 1"
    n_repeated, n_rows = one_row(connection, f"SELECT count(*), coalesce(sum(n), 0) FROM ({repeated})")
    if n_repeated:
        examples = connection.execute(f"SELECT * FROM ({repeated}) ORDER BY {shown} LIMIT 3").fetchall()
        raise KeysRefused(
            f"{n_repeated:,} keys stand in {int(n_rows):,} rows",
            where="rows.key",
            found="; ".join(f"{', '.join(map(str, row[:-1]))} ({row[-1]} times)" for row in examples),
            expected=f"{', '.join(contract.rows.key)} together name one row",
            next="add the column that tells them apart to rows.key, or keep one of them in the source's sql",
        )


def _make_rows(contract: Contract, connection: DuckDBPyConnection) -> None:
    """The rows in their total order, with dense unit codes and with outcomes only where the row is kept."""
    unit, keys = identifier(contract.unit), ", ".join(identifier(key) for key in contract.rows.key)
    policies = contract.outcome.policies
    types = column_types(connection, "SELECT * FROM gng_moments")
    outcomes = [f"gng_y_{name}" for name in contract.outcome.columns]
    hidden = ["gng_decided", "gng_known", "gng_decided_us", "gng_known_us", "gng_close_us", "gng_fate", *outcomes]
    hidden += [f"gng_policy_{i}" for i in range(len(policies))]
    values = ", ".join(f"{_outcome(name, types[name], policies)} AS {identifier(name)}" for name in outcomes)
    query = f"""
        WITH units AS (
          SELECT value, row_number() OVER (ORDER BY value) - 1 AS code FROM (SELECT DISTINCT {unit} AS value FROM gng_moments))
        SELECT row_number() OVER (ORDER BY gng_decided_us, {keys}) - 1 AS gng_row,
          gng_moments.* EXCLUDE ({", ".join(map(identifier, hidden))}),
          gng_decided_us AS gng_decided_at, {KNOWN_AT} AS gng_known_at, code AS gng_unit, {values}, gng_fate
        FROM gng_moments JOIN units ON {unit} = value ORDER BY gng_decided_us, {keys}"""
    with failures_told("rows and outcome"):
        connection.execute(f"CREATE OR REPLACE TABLE rows AS {query}")


def _fate(contract: Contract) -> str:
    """SQL: why a row is out, or 'kept'. The order of the cases is the order in which the reasons take precedence."""
    outcome, as_of = contract.outcome, moment_us(contract.as_of)
    cases = [f"WHEN gng_decided_us > {as_of} THEN {literal(AFTER_AS_OF)}"]
    for window in outcome.excluded:
        within = f"gng_decided_us >= {moment_us(window.start)} AND gng_decided_us < {moment_us(window.end)}"
        cases.append(f"WHEN {within} THEN {literal(EXCLUDED)}")
    for i, policy in enumerate(outcome.policies):  # the first that fits decides, as the contract lists them
        # A policy that sets the outcome says what is true once the window has closed; before, it is as open as any other.
        settled = f" AND gng_close_us <= {as_of}" if policy.do in SET_TO else ""
        reason = KEPT if policy.do in SET_TO else f"{policy.name} (policy)"
        cases.append(f"WHEN gng_policy_{i}{settled} THEN {literal(reason)}")
    cases.append(f"WHEN gng_close_us > {as_of} THEN {literal(NOT_MATURE)}")
    if outcome.absent == "censored":
        cases.append(f"WHEN gng_known_us IS NULL THEN {literal(NO_OUTCOME)}")
        cases.append(f"WHEN gng_known_us > gng_close_us THEN {literal(CAME_LATE)}")
    return f"CASE {' '.join(cases)} ELSE {literal(KEPT)} END"


def _outcome(name: str, kind: str, policies: tuple[Policy, ...]) -> str:
    """SQL: the outcome of a kept row; what a policy sets, then what came in the window, then the negative that absence is."""
    column = identifier(name)
    cases = [f"WHEN gng_fate <> {literal(KEPT)} THEN NULL"]
    cases += [f"WHEN gng_policy_{i} THEN {SET_TO[policy.do]}::{kind}" for i, policy in enumerate(policies) if policy.do in SET_TO]
    cases.append(f"WHEN gng_known_us IS NULL OR gng_known_us > gng_close_us THEN 0::{kind}")
    return f"CASE {' '.join(cases)} ELSE {column} END"


def _check_outcomes(contract: Contract, connection: DuckDBPyConnection) -> None:
    """Every kept row has a finite outcome: a null that is claimed known is no negative."""
    types = column_types(connection, "SELECT * FROM rows")
    for name, sql in contract.outcome.columns.items():
        column = identifier(f"gng_y_{name}")
        faults = {"null": f"{column} IS NULL"}
        if types[f"gng_y_{name}"] in FLOATS:
            faults |= {"not a number": f"isnan({column})", "infinite": f"isinf({column})"}
        for fault, test in faults.items():
            _refuse_outcome(contract, connection, name=name, sql=sql, fault=fault, test=f"gng_fate = {literal(KEPT)} AND {test}")


def _refuse_outcome(contract: Contract, connection: DuckDBPyConnection, *, name: str, sql: str, fault: str, test: str) -> None:
    (n_faults,) = one_row(connection, f"SELECT count(*) FROM rows WHERE {test}")
    if not n_faults:
        return
    keys = ", ".join(identifier(key) for key in contract.rows.key)
    example = one_row(connection, f"SELECT {keys} FROM rows WHERE {test} ORDER BY gng_row LIMIT 1")
    raise OutcomeRefused(
        f"the outcome {name} of {n_faults:,} rows is {fault} though it is claimed to be known",
        where=f"outcome.columns.{name}",
        found=f"for example {', '.join(contract.rows.key)} = {', '.join(map(str, example))}",
        expected=f"{sql} finite and there wherever outcome.known_at is",
        next="make outcome.known_at null for those rows, or add an [[outcome.policies]] that says what they are",
    )


def _facts(contract: Contract, connection: DuckDBPyConnection, counts: Mapping[str, int]) -> dict[str, Any]:
    """Maturity in numbers; for 0/1 outcomes also what a label that takes "not yet" for "no" would have said."""
    in_question = " AND ".join(f"gng_fate <> {literal(fate)}" for fate in counts if fate in (AFTER_AS_OF, EXCLUDED) or _is_policy(fate))
    n_before, n_late = one_row(
        connection,
        f"SELECT count(*) FILTER (gng_known_us <= gng_decided_us), count(*) FILTER (gng_known_us > gng_close_us) FROM gng_moments "
        f"WHERE gng_fate IN ({literal(KEPT)}, {literal(CAME_LATE)})",
    )
    facts: dict[str, Any] = {
        "n_rows": sum(counts.values()),
        "n_kept": counts[KEPT],
        "n_not_mature": counts.get(NOT_MATURE, 0),
        "n_no_outcome": counts.get(NO_OUTCOME, 0),
        "n_came_late": n_late,
        "n_known_before_decision": n_before,
        "absent": contract.outcome.absent,
        "outcomes": {},
    }
    for name in contract.outcome.columns:
        facts["outcomes"][name] = _bias(name, connection, where=in_question or "true", as_of=moment_us(contract.as_of))
    return facts


def _is_policy(fate: str) -> bool:
    return fate.endswith(" (policy)")


def _bias(name: str, connection: DuckDBPyConnection, *, where: str, as_of: int) -> dict[str, Any]:
    column = identifier(f"gng_y_{name}")
    value = f"try_cast({column} AS DOUBLE)"
    other = f"count(*) FILTER ({column} IS NOT NULL AND ({value} IS NULL OR {value} NOT IN (0, 1)))"
    n_mature, n_other, n_positive = one_row(connection, f"SELECT count({column}), {other}, count(*) FILTER ({value} = 1) FROM rows")
    if n_other or not n_mature:
        return {"is_binary": False}
    n_naive, naive_positive = one_row(
        connection, f"SELECT count(*), count(*) FILTER ({value} = 1 AND gng_known_us <= {as_of}) FROM gng_moments WHERE {where}"
    )
    mature, naive = n_positive / n_mature, naive_positive / n_naive
    return {"is_binary": True, "mature_rate": mature, "n_naive": n_naive, "naive_rate": naive, "naive_bias": naive - mature}
