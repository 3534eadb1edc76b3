"""Which engine reads and shapes the data, and what may it reach?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# DuckDB 2.0 believes the largest value in a Parquet footer, where NaN has no place: it folds isnan(x) and x > 10 to false, and passes over
# row groups that hold NaN. Without these two it looks at every value.
BELIEVES_FOOTERS = "statistics_propagation,filter_pushdown"


def open_connection(*, threads: int = 2, memory_limit: str = "", workspace: Path | None = None) -> DuckDBPyConnection:
    """An empty DuckDB in memory whose clock runs in UTC, which loads no extension and asks no network.

    threads:      results do not depend on it.
    memory_limit: such as "1GB"; empty for DuckDB's own. Beyond it, work spills into workspace.
    workspace:    folder for what does not fit into memory; without it nothing is written to disk.
    """
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": threads,
        "autoinstall_known_extensions": False,  # an answer must not depend on what a network offers today
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "allow_persistent_secrets": False,
        "python_enable_replacements": False,  # `from flights` must not find a variable of the caller's
        "preserve_insertion_order": True,  # content hashes are taken in the order of the file
        "temp_directory": "" if workspace is None else str(workspace),
    }
    if memory_limit:
        config["memory_limit"] = memory_limit
    connection = duckdb.connect(":memory:", config=config)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"SET disabled_optimizers = '{BELIEVES_FOOTERS}'")
    return connection


@contextmanager
def believing_footers(connection: DuckDBPyConnection) -> Iterator[None]:
    """Queries run with every optimizer: only for those that heed NaN themselves, and never for SQL of a contract."""
    connection.execute("SET disabled_optimizers = ''")
    try:
        yield
    finally:
        connection.execute(f"SET disabled_optimizers = '{BELIEVES_FOOTERS}'")
