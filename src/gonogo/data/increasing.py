"""Are a column's values seen to be all different, at a lower price than that of grouping them?

Ids and times mostly stand in a file in their order. Values that strictly increase from each row to the next are all different, whatever
order the rows are read in, and comparing neighbours costs a tenth of grouping. Others are sorted, which costs a quarter.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING

from gonogo.data.sql import failures_told, identifier, source_table

if TYPE_CHECKING:
    import numpy as np
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
TIMES = ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE")  # both are microseconds
ROWS_AT_ONCE = 500_000
SORTED_ROWS = 20_000_000  # 160 MB


def strictly_increases(connection: DuckDBPyConnection, name: str, column: str, kind: str, *, n_rows: int) -> bool:
    """Whether each of the n_rows values of a column of `src_<name>` is larger than the one read before it, none of them null.

    Only True tells something: that no value is there twice. False is also the answer for a type that is not compared here.
    Reading ends at the first value that is not larger.
    """
    if kind not in WHOLE + TIMES:
        return False
    n, last = 0, None
    with closing(_whole_numbers(connection, name, column)) as batches:
        for values in batches:
            if values is None or (last is not None and values[0] <= last) or not (values[1:] > values[:-1]).all():
                return False
            n, last = n + len(values), values[-1]
    return n == n_rows


def differ_when_sorted(connection: DuckDBPyConnection, name: str, column: str, kind: str, *, n_rows: int) -> bool:
    """The same proof for values in any order: all are brought into memory, 8 bytes each, and sorted.

    False is also the answer for more than SORTED_ROWS rows, which are grouped instead, on disk where memory does not suffice.
    """
    import numpy as np

    if kind not in WHOLE + TIMES or n_rows > SORTED_ROWS:
        return False
    n, gathered = 0, np.empty(n_rows, dtype=np.int64)
    with closing(_whole_numbers(connection, name, column)) as batches:
        for values in batches:
            if values is None or n + len(values) > n_rows:
                return False
            gathered[n : n + len(values)] = values
            n += len(values)
    gathered.sort()
    return n == n_rows and bool((gathered[1:] > gathered[:-1]).all())


def _whole_numbers(connection: DuckDBPyConnection, name: str, column: str) -> Generator[NDArray[np.int64] | None, None, None]:
    """The values of one column in batches; None where one has a null, or where it cannot be read: the grouping will say why."""
    import pyarrow as pa
    import pyarrow.compute as pc

    with failures_told(f"sources.{name}"):
        reader = connection.sql(f"SELECT {identifier(column)} FROM {source_table(name)}").to_arrow_reader(ROWS_AT_ONCE)
    with reader:
        try:
            for batch in reader:
                if batch.num_rows:
                    values = batch.column(0)
                    yield None if values.null_count else pc.cast(values, pa.int64()).to_numpy()
        except (pa.ArrowException, OSError):
            yield None
