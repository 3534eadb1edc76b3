"""How does a table of a snapshot lie in a file, and come back told apart by role?

One Parquet file a table. A column's role stands before its name: `key:`, `input:`, `outcome:`, `slice:`. Rows are in the order of
(decided_at, key), so that the same rows give the same bytes.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gonogo.types.errors import ArtifactRefused
from gonogo.types.protocols import Examples

if TYPE_CHECKING:
    from pathlib import Path

    from gonogo.types.snapshot import Snapshot

ROLES = ("key", "input", "outcome", "slice")


def examples(*, keys: pa.Table, inputs: pa.Table, outcomes: pa.Table, slices: pa.Table) -> Examples:
    """The four parts of one table; refuses parts of different length."""
    lengths = {t.num_rows for t in (keys, inputs, outcomes) if t.num_columns} | ({slices.num_rows} if slices.num_columns else set())
    if len(lengths) > 1:
        raise ArtifactRefused("the parts of a table have different lengths", found=str(sorted(lengths)), expected="one row per decision")
    return Examples(keys=keys, inputs=inputs, outcomes=outcomes, slices=slices)


def to_parquet(table: Examples) -> bytes:
    """The file's bytes: same rows, same bytes."""
    parts = {"key": table.keys, "input": table.inputs, "outcome": table.outcomes, "slice": table.slices}
    columns = {f"{role}:{name}": part.column(name) for role, part in parts.items() for name in part.column_names}
    sink = io.BytesIO()
    # in one chunk and one size of row group, the bytes depend on the rows alone
    whole = pa.table(columns).combine_chunks()
    pq.write_table(whole, sink, compression="zstd", compression_level=1, row_group_size=1 << 20, write_statistics=False)
    return sink.getvalue()


def from_parquet(path: Path) -> Examples:
    """The table that `to_parquet` wrote."""
    whole = pq.read_table(path)
    parts: dict[str, dict[str, pa.ChunkedArray]] = {role: {} for role in ROLES}
    for name in whole.column_names:
        role, _, column = name.partition(":")
        if role not in parts or not column:
            raise ArtifactRefused("a stored table has a column without a role", found=name, expected=", ".join(f"{r}:…" for r in ROLES))
        parts[role][column] = whole.column(name)
    key, inputs, outcome, slices = (pa.table(parts[role]) for role in ROLES)
    return examples(keys=key, inputs=inputs, outcomes=outcome, slices=slices)


def read_examples(snapshot: Snapshot, table: str, open_path: object) -> Examples:
    """One table of a snapshot. open_path: digest → a verified file."""
    return from_parquet(open_path(snapshot.tables[table].blob))  # type: ignore[operator]


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column's values as text, for slicing; null becomes "(null)" and is a slice like any other."""
    return pc.fill_null(column.cast(pa.string()), "(null)")
