"""What does a model see of rows that have no outcome yet?

The rows come from a file with the columns of the contract's row source (after its sql); events come from the contract's own sources. The
features are those of training: one declaration, one kernel.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gonogo.data import features, sources
from gonogo.data.connection import open_connection
from gonogo.data.expressions import read_events
from gonogo.data.sql import column_types, failures_told, identifier, one_row, source_table
from gonogo.data.times import check_times, refuse_unless_aware
from gonogo.types.contract import Contract, Source
from gonogo.types.errors import ColumnMissing, ContractRefused, DataError, KeysRefused

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from gonogo.types.record import Digest

_AS_TRAINED = "the columns of the contract's row source, as they are after its sql"
FRESH = "gng_fresh"  # the name under which the file stands among the sources
STRETCH_ROWS = 122_880  # one row group of DuckDB
MEMORY_LIMIT = "1GB"  # of the engine, where it may spill


@dataclass(frozen=True, kw_only=True, slots=True)
class Fresh:
    """A stretch of rows to score, in the order of their file."""

    first: int  # place of its first row in the file
    rows: pa.Table  # the columns that keys and features read, and those that were asked for beside them
    decided_at: pa.ChunkedArray  # int64 µs UTC
    inputs: pa.Table  # what the model sees


class FreshRows:
    """The rows of a file, read stretch by stretch: a file may be larger than memory. The events that features need are read once."""

    def __init__(self, *, plan: features.Plan, types: Mapping[str, str], digest: Digest, n_rows: int, threads: int, reads: _Reads) -> None:
        self.plan = plan
        self.types = types  # column of `Fresh.rows` → DuckDB type
        self.digest = digest  # of the file
        self.n_rows = n_rows
        self._threads = threads
        self._reads = reads

    def stretches(self, n_rows: int = STRETCH_ROWS) -> Iterator[Fresh]:
        """Every row once, at most so many at a time. Raises what the features raise, naming the file."""
        # Rows flow from the one connection while the other shapes what has arrived: a statement would end the flow.
        shaping = open_connection(threads=self._threads)
        first = 0
        with self._reads.told():
            for table in self._reads.tables(n_rows):
                inputs = features.compute_with(self.plan, shaping, table, self._reads.events).inputs
                yield Fresh(first=first, rows=table.select(list(self.types)), decided_at=table.column("gng_decided_at"), inputs=inputs)
                first += table.num_rows


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reads:
    """What stands behind the rows."""

    file: Path
    connection: DuckDBPyConnection  # holds `gng_fresh_rows`
    columns: tuple[str, ...]
    events: Mapping[str, pa.Table]

    def tables(self, n_rows: int) -> Iterator[pa.Table]:
        """The rows with `gng_decided_at`, in their order."""
        import pyarrow as pa

        named = ", ".join(map(identifier, self.columns))
        query = f"SELECT {named}, epoch_us(gng_decided) AS gng_decided_at FROM gng_fresh_rows"
        with failures_told("rows"):
            for batch in self.connection.sql(query).to_arrow_reader(n_rows):
                yield pa.Table.from_batches([batch])

    def told(self) -> AbstractContextManager[None]:
        """Failures name the file."""
        return _told_of(self.file)


def open_fresh(contract: Contract, file: Path, *, folder: Path, also: tuple[str, ...] = (), workspace: Path | None = None) -> FreshRows:
    """The rows of a file, checked as a whole before the first is given.

    also:      columns that are wanted beside those of keys and features, where the file has them.
    workspace: a folder for what does not fit into memory: formats without types of their own are read whole.
    Raises SourceEmpty for a file without rows: an upstream job that wrote nothing is told of, not passed on; ColumnMissing for a column
    that a key, a feature or the decided_at needs; KeysRefused for a null key. Extra columns are ignored.
    """
    connection = open_connection(threads=contract.threads, memory_limit=MEMORY_LIMIT if workspace else "", workspace=workspace)
    wanted = _with_fresh_rows(contract, file)
    with _told_of(file):
        pins = {pin.name: pin for pin in sources.read_sources(wanted, folder=folder, connection=connection)}
        _check_columns(contract, connection, file)
        plan = features.plan(wanted, connection)
        there = pins[FRESH].columns
        columns = tuple(dict.fromkeys([*contract.rows.key, *plan.row_columns, *(column for column in also if column in there)]))
        _check_rows(contract, connection, file)
        events = {source.name: read_events(source, connection) for source in plan.sources}
    return FreshRows(
        plan=plan,
        types={column: there[column] for column in columns},
        digest=pins[FRESH].digest,
        n_rows=pins[FRESH].n_rows,
        threads=contract.threads,
        reads=_Reads(file=file, connection=connection, columns=columns, events=events),
    )


@contextmanager
def _told_of(file: Path) -> Iterator[None]:
    """Failures of the file name it, and not the source that stands for it inside."""
    try:
        yield
    except ContractRefused as error:  # several features miss something; the contract was good enough to train by
        lacking = "; ".join(dict.fromkeys(problem.message.replace(f"source {FRESH}", "the source") for problem in error.problems))
        raise ColumnMissing(
            f"the rows are not what {len(error.problems)} features read", where=str(file), found=lacking, expected=_AS_TRAINED
        ) from error
    except DataError as error:
        error.where = re.sub(rf"sources\.{FRESH}[.\w]*", str(file), error.where)
        if isinstance(error, ColumnMissing):
            error.where = str(file) if str(file) in error.where else f"{file}, read by {error.where}"
            error.next = f"give the file {_AS_TRAINED}"
        raise


def _with_fresh_rows(contract: Contract, file: Path) -> Contract:
    """The contract whose rows come from the file, with those sources that features aggregate and no others."""
    aggregated = {feature.source for feature in contract.features.values() if feature.source}
    kept = {name: source for name, source in contract.sources.items() if name in aggregated}
    return dataclasses.replace(
        contract,
        sources={**kept, FRESH: Source(read=str(file.absolute()), timeless=True)},
        rows=dataclasses.replace(contract.rows, source=FRESH),
    )


def _check_columns(contract: Contract, connection: DuckDBPyConnection, file: Path) -> None:
    there = column_types(connection, f"SELECT * FROM {source_table(FRESH)}")
    missing = [key for key in contract.rows.key if key not in there]
    if missing:
        raise ColumnMissing(
            f"the rows have no column {', '.join(missing)}",
            where=str(file),
            found=", ".join(there),
            expected=f"the key of rows: {', '.join(contract.rows.key)}",
        )
    with failures_told("rows.decided_at"):
        kind = column_types(connection, f"SELECT ({contract.rows.decided_at}\n) AS moment FROM {source_table(FRESH)}")["moment"]
    refuse_unless_aware("decided_at", kind, where="rows.decided_at")


def _check_rows(contract: Contract, connection: DuckDBPyConnection, file: Path) -> None:
    """Makes `gng_fresh_rows`: the file's rows with the moment of each; refuses absurd moments and null keys."""
    decided = f"SELECT *, ({contract.rows.decided_at}\n) AS gng_decided FROM {source_table(FRESH)}"
    with failures_told("rows.decided_at"):
        connection.execute(f"CREATE OR REPLACE TEMP VIEW gng_fresh_rows AS {decided}")
    check_times(connection, "gng_fresh_rows", required=("gng_decided",), optional=(), where="rows.decided_at", known_as="decided_at")
    nulls = ", ".join(f"count(*) - count({identifier(key)})" for key in contract.rows.key)
    for key, n in zip(contract.rows.key, one_row(connection, f"SELECT {nulls} FROM gng_fresh_rows"), strict=True):
        if n:
            raise KeysRefused(f"{n:,} rows have no {identifier(key)}", where=str(file), expected="a key in every row")
