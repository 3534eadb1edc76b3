"""How do computed columns come to disk beside the rows they belong to, whole or not at all?"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from gonogo.data.streams import Stream
from gonogo.types.errors import StorageFailed

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 1 << 17  # rows of the output; fixed, so that its bytes do not depend on how much memory there was

SAMPLE = 1 << 12  # rows from which a column's encoding is chosen


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


def write_joined(out: Path, labels: Stream, added: pa.Schema, slabs: Iterator[Sequence[pa.Array]], *, slab: int = ROW_GROUP) -> None:
    """The labels' own columns, read again, beside the added ones.

    slabs: the added columns of `slab` labels at a time, a multiple of ROW_GROUP; one slab of no rows where there are no labels.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([*labels.schema.remove_metadata(), *added])
    first = next(slabs)
    with whole_file(out) as file, pq.ParquetWriter(file, schema, **_encodings(schema, added, first)) as writer:
        for own, columns in zip(cut(labels, labels.schema.names, slab), itertools.chain([first], slabs), strict=True):
            writer.write_table(pa.Table.from_arrays([*own.columns, *columns], schema=schema), row_group_size=ROW_GROUP)


def _encodings(schema: pa.Schema, added: pa.Schema, first: Sequence[pa.Array]) -> dict[str, Any]:
    """Differences for whole numbers and times; plain numbers, not compressed, for floats that hardly repeat; a dictionary for the rest.

    The writer's own choice, a dictionary for everything, takes five times as long on columns that hardly repeat, and twice the room.
    """
    import pyarrow as pa

    packed = [f.name for f in schema if pa.types.is_integer(f.type) or pa.types.is_timestamp(f.type)]
    looks = dict(zip(added.names, first, strict=True))
    plain = [f.name for f in schema if pa.types.is_floating(f.type) and (f.name not in looks or _hardly_repeats(looks[f.name]))]
    return {
        "compression": {f.name: "none" if f.name in plain else "snappy" for f in schema},
        "use_dictionary": [f.name for f in schema if f.name not in plain and f.name not in packed],
        "column_encoding": dict.fromkeys(packed, "DELTA_BINARY_PACKED"),
    }


def _hardly_repeats(column: pa.Array) -> bool:
    sample = column.slice(0, SAMPLE).drop_null()
    return 2 * len(sample.unique()) > len(sample)


def cut(stream: Stream, columns: Sequence[str], slab: int, *, first: int = 0) -> Iterator[pa.Table]:
    """Slabs of a stream, from number `first` on: `slab` rows each, the last one what is left; one of no rows where the stream has none."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    n_held = 0
    for batch in stream.batches(columns, start=first * slab):
        held.append(batch)
        n_held += batch.num_rows
        while n_held >= slab:
            whole = pa.Table.from_batches(held)
            yield whole.slice(0, slab)
            held, n_held = whole.slice(slab).to_batches(), n_held - slab
    if n_held or (not stream.n_rows and first == 0):
        yield pa.Table.from_batches(held, schema=pa.schema([stream.schema.field(name) for name in columns]))
