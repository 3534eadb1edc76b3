"""What did every feature of the contract look like for each row, as it could be known when that row was decided?

The batch side: whole tables, point-in-time correct, one read per source and one sort per key. `online.py` answers the same for one row
at a time, and `proof.py` holds the two against each other on every run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.data.asof import Ints
from gonogo.data.columns import EventTable, StreamColumns, match_keys, stream_name
from gonogo.data.expressions import read_events, shape_requests
from gonogo.data.planning import Plan, plan
from gonogo.types.errors import KeysRefused

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

__all__ = ["Computed", "Plan", "compute", "compute_with", "plan", "read_tables", "stream_name"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Computed:
    """The inputs of every row, and what was seen on the way."""

    inputs: pa.Table  # one column per Input, in the order of the plan; one row per row, in order
    duplicates: Mapping[str, int]  # stream "source by key" → rows that repeat another one, counted once


def compute(plan: Plan, connection: DuckDBPyConnection, rows: pa.Table, *, workspace: Path | None = None) -> pa.Table:
    """The inputs of the rows: one column per Input in the order of the plan, row for row.

    rows: `gng_decided_at` (int64 µs UTC) and the columns of the row source. workspace: unused while everything fits into memory.
    Raises TimeRefused, KeysRefused and ScaleRefused where the events cannot be ordered or added up exactly.
    """
    return compute_with(plan, connection, rows, read_tables(plan, connection)).inputs


def read_tables(plan: Plan, connection: DuckDBPyConnection) -> Mapping[str, pa.Table]:
    """Source → its events as the plan needs them, read each time it is asked for: only one source at a time takes memory."""
    return SourceTables(plan, connection)


class SourceTables(Mapping[str, "pa.Table"]):
    """The event tables of a plan, none of them kept."""

    def __init__(self, plan: Plan, connection: DuckDBPyConnection) -> None:
        self._sources = {source.name: source for source in plan.sources}
        self._connection = connection

    def __getitem__(self, name: str) -> pa.Table:
        return read_events(self._sources[name], self._connection)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


def compute_with(plan: Plan, connection: DuckDBPyConnection, rows: pa.Table, tables: Mapping[str, pa.Table]) -> Computed:
    """The inputs of the rows from events that are already read (or cut short, for a proof)."""
    import pyarrow as pa

    requests = shape_requests(plan, rows, connection)
    columns: dict[str, Any] = {request.name: requests[request.name] for request in plan.requests}
    duplicates: dict[str, int] = {}
    decided_at: Ints = np.array(rows["gng_decided_at"].combine_chunks(), np.int64)
    for source in plan.sources:
        table = EventTable(source, tables[source.name])
        for stream in (stream for stream in plan.streams if stream.source == source.name):
            matched = match_keys(stream, table.table, rows)
            computed = StreamColumns(stream, table, matched, decided_at, boundary=plan.boundary)
            columns.update(computed.columns())
            duplicates[stream_name(stream)] = computed.n_duplicates
    inputs = pa.table({each.name: columns[each.name] for each in plan.inputs})
    if plan.inputs and len(inputs) != len(rows):  # cannot happen: every column is made with one value per label
        raise KeysRefused("rows were lost on the way", found=f"{len(inputs):,} rows", expected=f"{len(rows):,} rows")
    return Computed(inputs=inputs, duplicates=duplicates)
