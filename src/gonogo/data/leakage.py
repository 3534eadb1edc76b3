"""Does anything reach a model that nobody could have known, or one table what belongs to another?

These checks need only the contract and the rows. What a single input gives away about the outcome is judged by the family.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from gonogo.data.labels import KEPT
from gonogo.data.sql import check_expression, column_types, failures_told, identifier, literal, one_row, source_table
from gonogo.data.times import utc_text
from gonogo.data.wording import duration, percent
from gonogo.types.snapshot import Finding, FindingStatus
from gonogo.types.time import duration_us

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from gonogo.types.contract import Contract, Source

MISSING_OPEN, PRESENT_OPEN = 0.9, 0.1  # null in 9 of 10 rows without an outcome and in at most 1 of 10 with one: made by the outcome
MISSING_NOTE = 0.1  # a difference of null rates from here on is worth reading
UNHEARD_OPEN = 0.01  # a share of rows whose window closed after the last thing that was heard, from which on it is no matter of hours
FEWEST_ROWS = 10  # below so many rows without an outcome, their nulls say nothing

NAMES = {
    "GNG-K001": "known_after_decision",
    "GNG-K002": "row_known_after_decision",
    "GNG-K003": "known_before_it_happened",
    "GNG-K004": "timeless_source",
    "GNG-K005": "missing_with_the_outcome",
    "GNG-K006": "duplicates_across_tables",
    "GNG-K007": "entities_across_tables",
    "GNG-K008": "tables_apart_in_time",
    "GNG-K009": "labels_apart_in_time",
    "GNG-K010": "timed_data_split_by_time",
    "GNG-K011": "units_across_tables",
    "GNG-K012": "outcome_known_before_decision",
    "GNG-K013": "negatives_after_the_data",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _World:
    """What is looked at."""

    contract: Contract
    columns: Mapping[str, tuple[str, ...]]  # feature → the columns of its row that it reads
    connection: DuckDBPyConnection


def check_leakage(
    contract: Contract, request_columns: Mapping[str, tuple[str, ...]], connection: DuckDBPyConnection
) -> tuple[Finding, ...]:
    """A finding of every check: open where something leaks, with its share and an example; clean where it ran and found nothing.

    request_columns: feature → the columns of the row source that it reads when a request comes in.
    connection:      holds `rows` after `label` and `split`, and the sources.
    """
    columns = {name: tuple(dict.fromkeys((*request_columns.get(name, ()), *f.by))) for name, f in contract.features.items()}
    world = _World(contract=contract, columns=columns, connection=connection)
    findings: list[Finding] = []
    for code, check in CHECKS.items():
        found = list(check(world))
        findings += found or [_found(code, FindingStatus.CLEAN, "rows", CLEAN_WORDS[code])]
    return tuple(findings)


def _known_after_decision(world: _World) -> Iterator[Finding]:
    """Columns that a feature or decided_at reads and that are known later than their row, held against each row's own moment."""
    source = world.contract.sources[world.contract.rows.source]
    for feature, columns in world.columns.items():
        for column in columns:
            if column in source.known_later:
                advice = f"drop {feature}, or use the same value of earlier events as a window feature"
                yield from _late_column(world, feature, f"features.{feature}", column, source.known_later[column], advice)
    # What sets the moment itself must be known at it: at "an hour before they really left" nobody can answer.
    reads = {c.lower() for c in check_expression(world.contract.rows.decided_at, world.connection, where="rows.decided_at").columns}
    for column, moment in source.known_later.items():
        if column.lower() in reads:
            advice = "decide at a moment that is known by then, such as the scheduled one"
            yield from _late_column(world, "decided_at", "rows.decided_at", column, moment, advice)


def _late_column(world: _World, reader: str, where: str, column: str, moment: str, advice: str) -> Iterator[Finding]:
    c = identifier(column)
    late_by = f"epoch_us({moment}\n) - gng_decided_at"
    with failures_told(where, sql=moment):
        n_there, n_late, n_never, median = one_row(
            world.connection,
            f"SELECT count(*), count(*) FILTER (late_by > 0), count(*) FILTER (late_by IS NULL), "
            f"quantile_disc(late_by, 0.5) FILTER (late_by > 0) "
            f"FROM (SELECT {late_by} AS late_by FROM rows WHERE gng_fate = {literal(KEPT)} AND {c} IS NOT NULL)",
        )
    if not n_late + n_never:
        return
    share = (n_late + n_never) / n_there
    typical = f", typically {duration(median)} later" if n_late else ""
    never = f"; of {n_never:,} nobody can say when it was known" if n_never else ""
    yield _found(
        "GNG-K001",
        FindingStatus.OPEN,
        where,
        f"{reader} reads {column}, which is known at {moment}: after decided_at in {n_late:,} of {n_there:,} rows "
        f"({percent(n_late / n_there)}){typical}{never}",
        expected=f"known at or before decided_at ({world.contract.rows.decided_at})",
        next=advice,
        column=column,
        n=n_late + n_never,
        n_rows=n_there,
        share=share,
        median_us=median,
    )


def _row_known_after_decision(world: _World) -> Iterator[Finding]:
    name = world.contract.rows.source
    known_at = world.contract.sources[name].known_at
    if not known_at:
        return
    late_by = f"epoch_us({identifier(known_at)}) - gng_decided_at"
    n, n_late, median = one_row(
        world.connection,
        f"SELECT count(*), count(*) FILTER ({late_by} > 0), quantile_disc({late_by}, 0.5) FILTER ({late_by} > 0) FROM rows "
        f"WHERE gng_fate = {literal(KEPT)}",
    )
    if n_late:
        yield _found(
            "GNG-K002",
            FindingStatus.OPEN,
            f"sources.{name}.known_at",
            f"{n_late:,} of {n:,} rows ({percent(n_late / n)}) were known only after they had to be decided, "
            f"typically {duration(median)} later",
            expected="known_at at or before decided_at",
            next="decide later, or take the row from a source that knows it earlier",
            n=n_late,
            n_rows=n,
            median_us=median,
        )


def _known_before_it_happened(world: _World) -> Iterator[Finding]:
    """Events whose known_at lies before their event_time claim to know the future."""
    for name, source in world.contract.sources.items():
        if not (source.event_time and source.known_at) or source.event_time == source.known_at:
            continue
        early = f"epoch_us({identifier(source.event_time)}) - epoch_us({identifier(source.known_at)})"
        n, n_early, median, largest = one_row(
            world.connection,
            f"SELECT count(*), count(*) FILTER ({early} > 0), quantile_disc({early}, 0.5) FILTER ({early} > 0), max({early}) "
            f"FROM {source_table(name)}",
        )
        if n_early:
            yield _found(
                "GNG-K003",
                FindingStatus.OPEN,
                f"sources.{name}",
                f"{n_early:,} of {n:,} events of {name} ({percent(n_early / n)}) claim to be known at {source.known_at}, "
                f"before they happened at {source.event_time}: typically {duration(median)}, at most {duration(largest)} before",
                expected=f"{source.known_at} at or after {source.event_time}",
                next="correct known_at; of a forecast, event_time is when it was issued",
                n=n_early,
                n_rows=n,
                median_us=median,
            )


def _timeless_source(world: _World) -> Iterator[Finding]:
    for name, source in world.contract.sources.items():
        features = [f for f, feature in world.contract.features.items() if feature.source == name]
        if source.timeless and features:
            yield _found(
                "GNG-K004",
                FindingStatus.NOTE,
                f"sources.{name}",
                f"{name} has no time: its values are taken as known at every decision, by {', '.join(features)}",
                expected="attributes that never change and are known beforehand",
            )


def _missing_with_the_outcome(world: _World) -> Iterator[Finding]:
    """Null where the outcome never came, there where it did: such a column is written by what makes the outcome."""
    there = column_types(world.connection, "SELECT * FROM rows")
    columns = sorted({c for columns in world.columns.values() for c in columns if c in there})
    if not columns:
        return
    never, kept = "gng_known_at IS NULL", f"gng_fate = {literal(KEPT)}"
    tests = [f"{of} AND {identifier(c)} IS NULL" for c in columns for of in (never, kept)]
    parts = ", ".join(f"count(*) FILTER ({test})" for test in tests)
    n_never, n_kept, *nulls = one_row(world.connection, f"SELECT count(*) FILTER ({never}), count(*) FILTER ({kept}), {parts} FROM rows")
    if n_never < FEWEST_ROWS:
        return
    for i, column in enumerate(columns):
        without, within = nulls[2 * i] / n_never, nulls[2 * i + 1] / n_kept
        if without - within < MISSING_NOTE:
            continue
        readers = [feature for feature, read in world.columns.items() if column in read]
        yield _found(
            "GNG-K005",
            FindingStatus.OPEN if without >= MISSING_OPEN and within <= PRESENT_OPEN else FindingStatus.NOTE,
            f"features.{readers[0]}",
            f"{column}, read by {', '.join(readers)}, is null in {percent(without)} of the {n_never:,} rows whose "
            f"outcome never came and in {percent(within)} of the {n_kept:,} with one",
            expected="nulls that do not depend on what came of the row",
            next=f"find out when {column} is written; if by the outcome, drop it or state known_later.{column}",
            column=column,
            null_rate_without_outcome=without,
            null_rate_with_outcome=within,
        )


def _duplicates_across_tables(world: _World) -> Iterator[Finding]:
    """Rows that are alike in everything but their key."""
    keys = {*world.contract.rows.key}
    columns = [c for c in column_types(world.connection, f"SELECT * FROM {source_table(world.contract.rows.source)}") if c not in keys]
    if not columns:
        yield _found("GNG-K006", FindingStatus.SKIPPED, "rows", "rows have nothing but their key: whether one stands twice cannot be seen")
        return
    alike = f"hash({', '.join(map(identifier, columns))})"
    groups = (
        f"SELECT count(*) AS n, count(DISTINCT gng_table) AS tables, min(gng_row) AS first FROM rows "
        f"WHERE gng_table IS NOT NULL GROUP BY {alike} HAVING count(*) > 1"
    )
    n_groups, n_rows, n_across, example = one_row(
        world.connection,
        f"SELECT count(*), coalesce(sum(n), 0)::BIGINT, count(*) FILTER (tables > 1), min(first) FILTER (tables > 1) FROM ({groups})",
    )
    if not n_groups:
        return
    across = f", {n_across:,} of them in several tables, e.g. {_key_of(world, example)}" if n_across else ", none of them in several tables"
    yield _found(
        "GNG-K006",
        FindingStatus.OPEN if n_across else FindingStatus.NOTE,
        "rows",
        f"{n_groups:,} rows stand {n_rows:,} times under different keys{across}",
        expected="no row of one table in another",
        next="keep one of each in the source's sql, or split by what makes them alike",
        n=n_groups,
        n_across=n_across,
    )


def _key_of(world: _World, row: int) -> str:
    keys = ", ".join(f"{identifier(key)}::VARCHAR" for key in world.contract.rows.key)
    values = one_row(world.connection, f"SELECT {keys} FROM rows WHERE gng_row = {row}")
    return ", ".join(f"{key} = {value}" for key, value in zip(world.contract.rows.key, values, strict=True))


def _entities_across_tables(world: _World) -> Iterator[Finding]:
    by_value = world.contract.split.by in ("entity", "group")
    kept_whole = world.contract.split.column if by_value else ""
    for column in dict.fromkeys((*world.contract.rows.entities, *((kept_whole,) if kept_whole else ()))):
        c = identifier(column)
        seen = f"SELECT DISTINCT {c} FROM rows WHERE gng_table = 'train' AND {c} IS NOT NULL"
        n, n_seen = one_row(
            world.connection, f"SELECT count(*), count(*) FILTER ({c} IN ({seen})) FROM rows WHERE gng_table = 'test' AND {c} IS NOT NULL"
        )
        if not n_seen:
            continue
        yield _found(
            "GNG-K007",
            FindingStatus.OPEN if column == kept_whole else FindingStatus.NOTE,
            f"rows.{column}",
            f"{n_seen:,} of {n:,} test rows ({percent(n_seen / n)}) have a {column} that stands in train too"
            + ("" if column == kept_whole else ": the figures speak of such, and less of new ones"),
            expected="no value in two tables" if column == kept_whole else "",
            n=n_seen,
            n_rows=n,
            share=n_seen / n,
        )


def _tables_apart_in_time(world: _World) -> Iterator[Finding]:
    if world.contract.split.by != "time":
        return
    rows = world.connection.execute(
        "SELECT gng_table, min(gng_decided_at), max(gng_decided_at) FROM rows WHERE gng_table IS NOT NULL GROUP BY ALL ORDER BY 2"
    ).fetchall()
    for (before, _, last), (after, first, _) in pairwise(rows):
        if last >= first:
            yield _found(
                "GNG-K008",
                FindingStatus.OPEN,
                "split",
                f"{before} ends {duration(last - first)} after {after} begins",
                expected="every table decided before the next begins",
            )


def _labels_apart_in_time(world: _World) -> Iterator[Finding]:
    """Labels that came only when the next table had begun: a model fitted then could not have had them."""
    split = world.contract.split
    if split.by != "time":
        return
    (n_late,) = one_row(
        world.connection,
        "SELECT count(*) FROM rows JOIN (SELECT gng_table AS t, min(gng_decided_at) AS first FROM rows GROUP BY ALL) "
        "ON (gng_table = 'train' AND t = 'validate') OR (gng_table = 'validate' AND t = 'test') WHERE gng_known_at >= first",
    )
    if n_late:
        yield _found(
            "GNG-K009",
            FindingStatus.OPEN,
            "split.embargo",
            f"{n_late:,} rows have an outcome that was known only after the next table began",
            expected="every outcome of a table known before the next begins",
            n=n_late,
        )
    elif duration_us(split.embargo) < duration_us(world.contract.outcome.window):
        yield _found(
            "GNG-K009",
            FindingStatus.NOTE,
            "split.embargo",
            f"the embargo ({split.embargo}) is shorter than the outcome's window ({world.contract.outcome.window}): rows near a "
            "boundary are in only if their outcome came quickly",
            expected="an embargo at least as long as outcome.window",
            next=f'embargo = "{world.contract.outcome.window}"',
        )


def _timed_data_split_by_time(world: _World) -> Iterator[Finding]:
    by = world.contract.split.by
    if by == "time":
        return
    timed = [name for name, source in world.contract.sources.items() if _is_read(world, name, source)]
    (n_moments,) = one_row(world.connection, f"SELECT count(DISTINCT gng_decided_at) FROM rows WHERE gng_fate = {literal(KEPT)}")
    if n_moments > 1 and world.contract.rows.source not in timed:
        timed.insert(0, world.contract.rows.source)
    yield _found(
        "GNG-K010",
        FindingStatus.OPEN if timed else FindingStatus.NOTE,
        "split.by",
        f"the rows are split by {by}, so a model is fitted on rows later than those that judge it"
        + (f", and {', '.join(timed)} carr{'ies' if len(timed) == 1 else 'y'} the time" if timed else ""),
        expected='by = "time" where data has times: the model will answer for the future',
        next='split.by = "time", or waive this with the reason why time does not matter here',
        sources=timed,
    )


def _is_read(world: _World, name: str, source: Source) -> bool:
    return bool(source.event_time) and (
        name == world.contract.rows.source or any(f.source == name for f in world.contract.features.values())
    )


def _units_across_tables(world: _World) -> Iterator[Finding]:
    tables = "SELECT count(DISTINCT gng_table) AS n FROM rows WHERE gng_table IS NOT NULL GROUP BY gng_unit"
    n_units, n_across = one_row(world.connection, f"SELECT count(*), count(*) FILTER (n > 1) FROM ({tables})")
    if n_across:
        by_time = world.contract.split.by == "time"
        yield _found(
            "GNG-K011",
            FindingStatus.NOTE if by_time else FindingStatus.OPEN,
            "split",
            f"{n_across:,} of {n_units:,} units ({world.contract.unit}) have rows in several tables"
            + (": they recur over time" if by_time else ", so what judges is not independent of what trained"),
            expected="each unit in one table" if not by_time else "",
            next="" if by_time else f'split by = "group", column = "{world.contract.unit}"',
            n=n_across,
            n_units=n_units,
        )


def _outcome_known_before_decision(world: _World) -> Iterator[Finding]:
    n, n_early, example = one_row(
        world.connection,
        f"SELECT count(*), count(*) FILTER (gng_known_at <= gng_decided_at), min(gng_row) FILTER (gng_known_at <= gng_decided_at) "
        f"FROM rows WHERE gng_fate = {literal(KEPT)}",
    )
    if n_early:
        yield _found(
            "GNG-K012",
            FindingStatus.OPEN,
            "outcome.known_at",
            f"the outcome of {n_early:,} of {n:,} rows ({percent(n_early / n)}) was already known at decided_at, "
            f"e.g. {_key_of(world, example)}",
            expected="outcomes that come after the decision",
            next="drop those rows by a policy, or decide earlier",
            n=n_early,
            n_rows=n,
        )


def _negatives_after_the_data(world: _World) -> Iterator[Finding]:
    """Absences of which the data cannot tell, for they end before the window does: as_of lies after the day on which they were drawn."""
    contract = world.contract
    if contract.outcome.absent != "negative":
        return
    heard = [f"SELECT max({contract.outcome.known_at}\n) AS moment FROM {source_table(contract.rows.source)}"]
    heard += [f"SELECT max({identifier(s.known_at)}) FROM {source_table(name)}" for name, s in contract.sources.items() if s.known_at]
    n, n_unheard, last = one_row(
        world.connection,
        f"WITH heard AS (SELECT epoch_us(max(moment)) AS last FROM ({' UNION ALL '.join(heard)})) "
        f"SELECT count(*), count(*) FILTER (gng_known_at > last), max(last) FROM rows, heard WHERE gng_fate = {literal(KEPT)}",
    )
    if n_unheard:
        yield _found(
            "GNG-K013",
            FindingStatus.OPEN if n_unheard >= UNHEARD_OPEN * n else FindingStatus.NOTE,
            "as_of",
            f"{n_unheard:,} of {n:,} rows ({percent(n_unheard / n)}) are negative because nothing came until their window closed, "
            f"and the data end before that: the last thing that was heard is of {utc_text(last)}",
            expected="as_of at or before the moment at which the data were drawn",
            next=f'as_of = "{utc_text(last)}", or the moment at which the data were drawn',
            n=n_unheard,
            n_rows=n,
            heard_until=utc_text(last),
        )


CHECKS: Mapping[str, Callable[[_World], Iterator[Finding]]] = {
    "GNG-K001": _known_after_decision,
    "GNG-K002": _row_known_after_decision,
    "GNG-K003": _known_before_it_happened,
    "GNG-K004": _timeless_source,
    "GNG-K005": _missing_with_the_outcome,
    "GNG-K006": _duplicates_across_tables,
    "GNG-K007": _entities_across_tables,
    "GNG-K008": _tables_apart_in_time,
    "GNG-K009": _labels_apart_in_time,
    "GNG-K010": _timed_data_split_by_time,
    "GNG-K011": _units_across_tables,
    "GNG-K012": _outcome_known_before_decision,
    "GNG-K013": _negatives_after_the_data,
}
CLEAN_WORDS = {
    "GNG-K001": "neither a feature nor decided_at reads a column that is known only after decided_at",
    "GNG-K002": "every row was known when it had to be decided",
    "GNG-K003": "no event claims to be known before it happened",
    "GNG-K004": "no feature reads a source without time",
    "GNG-K005": "no column is missing where the outcome is",
    "GNG-K006": "no row stands in two tables under two keys",
    "GNG-K007": "no entity of test stands in train",
    "GNG-K008": "every table is decided before the next begins",
    "GNG-K009": "every outcome of a table was known before the next begins",
    "GNG-K010": "the rows are split by time",
    "GNG-K011": "each unit has its rows in one table",
    "GNG-K012": "every outcome came after its decision",
    "GNG-K013": "no outcome is taken as absent at a time of which the data know nothing",
}


def _found(
    code: str,
    status: FindingStatus,
    where: str,
    sentence: str,
    *,
    expected: str = "",
    next: str = "",  # noqa: A002
    **evidence: Any,
) -> Finding:
    return Finding(
        code=code, check=NAMES[code], status=status, where=where, sentence=sentence, expected=expected, next=next, evidence=evidence
    )
