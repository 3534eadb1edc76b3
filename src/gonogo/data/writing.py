"""How do computed columns come to disk beside the rows they belong to, whole or not at all?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from gonogo.data.streams import Stream
from gonogo.types.errors import StorageFailed

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 1 << 20  # rows of the output that are written at a time


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that stands under its name when everything is written and synced, and not before. Raises StorageFailed where it cannot."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise StorageFailed(f"{path.name} cannot be written", found=str(error), where=str(path)) from error
    finally:
        unfinished.unlink(missing_ok=True)


def write_joined(out: Path, labels: Stream, added: pa.Schema, slabs: Iterator[Sequence[pa.Array]], *, row_group: int = ROW_GROUP) -> None:
    """The labels' own columns, read again, beside the added ones, slab by slab.

    slabs: the added columns of row_group labels at a time; one slab of no rows where there are no labels.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([*labels.schema.remove_metadata(), *added])
    with whole_file(out) as file, pq.ParquetWriter(file, schema) as writer:
        for own, columns in zip(_slabs(labels, row_group), slabs, strict=True):
            writer.write_table(pa.Table.from_arrays([*own.columns, *columns], schema=schema), row_group_size=row_group)


def sliced(columns: Sequence[pa.Array], n_rows: int, row_group: int = ROW_GROUP) -> Iterator[list[pa.Array]]:
    """Whole columns as slabs."""
    for at in range(0, max(1, n_rows), row_group):
        yield [column.slice(at, row_group) for column in columns]


def _slabs(labels: Stream, row_group: int) -> Iterator[pa.Table]:
    """All columns of the labels, row_group rows at a time; one slab of no rows where there are none."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    n_held = 0
    for batch in labels.batches(labels.schema.names):
        held.append(batch)
        n_held += batch.num_rows
        while n_held >= row_group:
            whole = pa.Table.from_batches(held)
            yield whole.slice(0, row_group)
            held = whole.slice(row_group).to_batches()
            n_held -= row_group
    if n_held or not labels.n_rows:
        yield pa.Table.from_batches(held, schema=labels.schema)
