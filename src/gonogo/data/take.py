"""What did the data look like, as it could be known at that time?

Sources are read and pinned, rows labelled, split and given their features; every check leaves a finding. Nothing here knows what kind of
problem it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from gonogo.data import features, labels, leakage, proof, schema, splits, tables
from gonogo.data.opened import Opened
from gonogo.data.readers import refuse_changed
from gonogo.data.sources import shape_sources
from gonogo.types.contract import Contract
from gonogo.types.errors import ColumnMissing, ColumnMistyped, DataError
from gonogo.types.protocols import Examples
from gonogo.types.record import Digest
from gonogo.types.snapshot import Dropped, Finding, FindingStatus, Input, Kind, Missing, Snapshot, TablePin

if TYPE_CHECKING:
    import duckdb

TABLES = ("train", "validate", "test")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """A snapshot before it is stored: the record without its findings' last word, and its tables."""

    snapshot: Snapshot
    tables: Mapping[str, Examples] = field(repr=False)


def take(
    contract: Contract,
    opened: Opened,
    *,
    contract_part: Digest,
    put: Callable[[bytes], Digest],
    last: Snapshot | None,
    progress: Callable[[str], None] = lambda doing: None,
) -> Taken:
    """The snapshot of what was read, its tables stored through `put`."""
    connection = opened.connection
    pins = shape_sources(contract, opened.raws, connection=connection)
    progress("checks the sources")
    checked = schema.check_sources(contract, connection, last=last)
    progress("labels and splits the rows")
    labelled = labels.label(contract, connection)
    split_dropped = splits.split(contract, connection)
    progress("computes the features")
    plan = features.plan(contract, connection)
    rows = _rows(connection)
    _check_slices(contract, rows, plan.inputs)
    events = features.read_tables(plan, connection)
    computed = features.compute_with(plan, connection, rows, events)
    _check_nulls(plan.inputs, computed.inputs)
    progress("proves them against the online state")
    proved = proof.prove(plan, connection, rows, computed.inputs, seed=contract.seed, tables=events)
    progress("looks for leaks")
    leaks = leakage.check_leakage(contract, plan.request_columns, connection)
    for name, source in contract.sources.items():
        refuse_changed(opened.raws[source.read], f"sources.{name}.read")
    parts = {name: _examples(contract, rows, computed.inputs, name) for name in TABLES}
    snapshot = Snapshot(
        contract_part=contract_part,
        as_of=contract.as_of,
        sources=pins,
        inputs=plan.inputs,
        keys=contract.rows.key,
        slices=_slice_names(contract),
        tables={name: _pin(part, put) for name, part in parts.items()},
        dropped=_merged(labelled.dropped, split_dropped),
        findings=(*checked.findings, *proved.findings, *repeated_events(contract, plan, computed.duplicates), *leaks),
        facts={"labels": labelled.facts, "proof": proved.facts, "duplicates": computed.duplicates, "profile": checked.profile},
    )
    return Taken(snapshot=snapshot, tables=parts)


def repeated_events(contract: Contract, plan: features.Plan, duplicates: Mapping[str, int]) -> tuple[Finding, ...]:
    """Events that repeat another one in everything that is used: told, and open where no sequence says that they are the same event.

    duplicates: stream → repeated rows, as `features.Computed` has them.
    """
    findings = []
    for stream in plan.streams:
        name, n = features.stream_name(stream), duplicates.get(features.stream_name(stream), 0)
        told_apart = bool(contract.sources[stream.source].sequence)
        status = FindingStatus.CLEAN if not n else FindingStatus.NOTE if told_apart else FindingStatus.OPEN
        findings.append(
            Finding(
                code="GNG-P103",
                check="repeated_events",
                status=status,
                where=f"sources.{stream.source}",
                sentence=f"{n:,} events of {name} repeat another one in everything that is used, and count once",
                expected="each event once, or a sequence that tells two alike events apart",
                next="" if told_apart else f"name a column in sources.{stream.source}.sequence",
                evidence={"repeated": n},
            )
        )
    return tuple(findings)


def _rows(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """The rows that fell into a table, in their order; the others were counted and need no features."""
    return connection.sql("select * from rows where gng_table is not null order by gng_row").to_arrow_table()


def _examples(contract: Contract, rows: pa.Table, inputs: pa.Table, name: str) -> Examples:
    at = pc.equal(rows.column("gng_table"), name)
    rows, inputs = rows.filter(at), inputs.filter(at)
    outcomes = {"unit": rows.column("gng_unit"), "decided_at": rows.column("gng_decided_at")}
    outcomes |= {column: rows.column(f"gng_y_{column}") for column in sorted(contract.outcome.columns)}
    sliced = {
        column: tables.as_text(rows.column(column) if column in rows.column_names else inputs.column(column))
        for column in _slice_names(contract)
    }
    return tables.examples(keys=rows.select(list(contract.rows.key)), inputs=inputs, outcomes=pa.table(outcomes), slices=pa.table(sliced))


def _check_slices(contract: Contract, rows: pa.Table, inputs: Sequence[Input]) -> None:
    """Refuses columns that are not there, that hold several values in one, or that are to be cut into bins and hold no numbers."""
    kinds = {spec.name: spec.kind for spec in inputs}
    there = (*(column for column in rows.column_names if not column.startswith("gng_")), *kinds)
    for place, slicing in enumerate(contract.slices):
        for key, column in zip(("column", "crossed_with"), slicing.columns, strict=False):
            where = f"slices[{place}].{key}"
            if column not in there:
                near = get_close_matches(column, there, 1)
                raise ColumnMissing(
                    f"there is no column {column} to slice by",
                    where=where,
                    found=", ".join(there[:30]),
                    expected="a column of the row's source or an input",
                    next=f"did you mean {near[0]}?" if near else "name one that is there",
                )
            kind = rows.schema.field(column).type if column in rows.column_names else None
            if kind is not None and pa.types.is_nested(kind):
                raise ColumnMistyped(
                    f"{column} holds several values in one",
                    where=where,
                    found=str(kind),
                    expected="a column whose values are single",
                    next="give the part that is meant a name in the source's sql",
                )
            is_number = kinds[column] is Kind.NUMBER if kind is None else _is_number(kind)
            if slicing.bins and key == "column" and not is_number:
                raise ColumnMistyped(
                    f"{column} is to be cut into {slicing.bins} bins and holds no numbers",
                    where=f"slices[{place}].bins",
                    found=str(kind or kinds[column].value),
                    expected="a column of numbers",
                    next="delete bins: each value is then a slice",
                )


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _check_nulls(specs: Sequence[Input], inputs: pa.Table) -> None:
    """Refuses what the contract refuses before anything is recorded: fitted or measured later, it would fail there, half way."""
    nulls = {spec.feature: inputs.column(spec.name).null_count for spec in specs if spec.missing is Missing.REFUSE}
    told = [f"{feature}: {n:,} of {inputs.num_rows:,} rows" for feature, n in nulls.items() if n]
    if told:
        first = next(feature for feature, n in nulls.items() if n)
        raise DataError(
            f"{first!r} is null, and the contract refuses that",
            where=f"features.{first}",
            found="; ".join(told),
            expected=f'no null (missing = "refuse" for {first})',
            next='give the value, or state another policy in the contract: missing = "native" or "indicate"',
        )


def _slice_names(contract: Contract) -> tuple[str, ...]:
    return tuple(dict.fromkeys(column for slicing in contract.slices for column in slicing.columns))


def _pin(part: Examples, put: Callable[[bytes], Digest]) -> TablePin:
    decided = part.outcomes.column("decided_at")
    ends: Any = pc.min_max(decided).as_py()
    return TablePin(
        blob=put(tables.to_parquet(part)),
        n_rows=part.outcomes.num_rows,
        n_units=pc.count_distinct(part.outcomes.column("unit")).as_py(),
        decided_from=_moment(ends["min"]),
        decided_until=_moment(ends["max"]),
    )


def _moment(us: int) -> str:
    return (_EPOCH + timedelta(microseconds=us)).isoformat().replace("+00:00", "Z")


def _merged(*many: tuple[Dropped, ...]) -> tuple[Dropped, ...]:
    """One line per reason, in the order in which the reasons came up."""
    counts: dict[str, int] = {}
    for dropped in (d for group in many for d in group):
        counts[dropped.reason] = counts.get(dropped.reason, 0) + dropped.n_rows
    return tuple(Dropped(reason=reason, n_rows=n) for reason, n in counts.items() if n)
