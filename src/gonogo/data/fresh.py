"""What does a model see of rows that have no outcome yet?

The rows come from a file with the columns of the contract's row source (after its sql); events come from the contract's own sources. The
features are those of training: one declaration, one kernel.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gonogo.data import features, sources
from gonogo.data.connection import open_connection
from gonogo.data.sql import column_types, failures_told, identifier, source_table
from gonogo.data.times import check_times, refuse_unless_aware
from gonogo.types.contract import Contract, Source
from gonogo.types.errors import ColumnMissing, ContractRefused, DataError, KeysRefused

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

_AS_TRAINED = "the columns of the contract's row source, as they are after its sql"
FRESH = "gng_fresh"  # the name under which the file stands among the sources


@dataclass(frozen=True, kw_only=True, slots=True)
class Fresh:
    """Rows to score, in the order of their file."""

    keys: pa.Table  # the contract's key columns
    inputs: pa.Table  # what the model sees


def read_fresh(contract: Contract, file: Path, *, folder: Path) -> Fresh:
    """The keys and inputs of a file's rows, in its order.

    Raises SourceEmpty for a file without rows: an upstream job that wrote nothing is told of, not passed on; ColumnMissing for a column
    that a key, a feature or the decided_at needs; KeysRefused for a null key. Extra columns are ignored.
    """
    connection = open_connection(threads=contract.threads)
    wanted = _with_fresh_rows(contract, file)
    with _told_of(file):
        sources.read_sources(wanted, folder=folder, connection=connection)
        _check_columns(contract, connection, file)
        plan = features.plan(wanted, connection)
        rows = _rows(contract, connection, file)
    return Fresh(keys=rows.select(list(contract.rows.key)), inputs=features.compute(plan, connection, rows))


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


def _rows(contract: Contract, connection: DuckDBPyConnection, file: Path) -> pa.Table:
    decided = f"SELECT *, ({contract.rows.decided_at}\n) AS gng_decided FROM {source_table(FRESH)}"
    with failures_told("rows.decided_at"):
        connection.execute(f"CREATE OR REPLACE TEMP TABLE gng_fresh_rows AS {decided}")
    check_times(connection, "gng_fresh_rows", required=("gng_decided",), optional=(), where="rows.decided_at", known_as="decided_at")
    rows = connection.sql("SELECT *, epoch_us(gng_decided) AS gng_decided_at FROM gng_fresh_rows").to_arrow_table()
    for key in contract.rows.key:
        if rows.column(key).null_count:
            raise KeysRefused(
                f"{rows.column(key).null_count:,} rows have no {identifier(key)}", where=str(file), expected="a key in every row"
            )
    return rows
