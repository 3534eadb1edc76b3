"""How are the columns of a table read batch by batch, so that the table itself is never held?

Reading in batches that fit the processor's cache costs a quarter of reading whole columns: memory that is used again needs no new pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gonogo.types.errors import ColumnMissing, SourceUnreadable
from gonogo.types.record import Json, digest_of_bytes

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 1 << 17  # rows: a column of a batch is 1 MiB, so that a few of them stay in the second-level cache


class Stream(Protocol):
    """A table that can be read more than once, always in the same order."""

    @property
    def n_rows(self) -> int:
        """How many rows there are."""

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""

    def batches(self, columns: Sequence[str], *, start: int = 0, size: int = BATCH) -> Iterator[pa.RecordBatch]:
        """Rows from `start` on, at most `size` at a time, with these columns in this order."""


@dataclass(frozen=True, slots=True)
class ParquetStream:
    """One or more Parquet files of one schema, end to end."""

    paths: tuple[Path, ...]
    schema: pa.Schema
    n_rows: int

    @classmethod
    def open(cls, paths: Sequence[Path]) -> ParquetStream:
        """Raises SourceUnreadable for a file that is missing or no Parquet, and where two files disagree on their columns."""
        files = [_open(path) for path in paths]
        if not files:
            raise SourceUnreadable("no file to read", expected="one or more Parquet files")
        schema = files[0].schema_arrow
        for path, file in zip(paths, files, strict=True):
            if not file.schema_arrow.equals(schema):
                raise SourceUnreadable(
                    f"{path.name} has other columns than {paths[0].name}",
                    found=", ".join(f"{f.name} {f.type}" for f in file.schema_arrow),
                    expected=", ".join(f"{f.name} {f.type}" for f in schema),
                    where=str(path),
                )
        return cls(tuple(paths), schema, sum(file.metadata.num_rows for file in files))

    def batches(self, columns: Sequence[str], *, start: int = 0, size: int = BATCH) -> Iterator[pa.RecordBatch]:
        """Rows from `start` on; only row groups that hold any of them are read."""
        import pyarrow as pa

        for path in self.paths:
            file = _open(path)
            groups, skip = _groups_from(file, start)
            start = max(0, start - file.metadata.num_rows)
            if not groups:
                continue
            try:
                for batch in file.iter_batches(batch_size=size, row_groups=groups, columns=list(columns), use_threads=False):
                    if skip < batch.num_rows:
                        yield batch.slice(skip).select(list(columns))
                    skip = max(0, skip - batch.num_rows)
            except (pa.ArrowInvalid, OSError) as error:
                raise SourceUnreadable(f"{path.name} breaks off while it is read", found=str(error), where=str(path)) from error

    def identity(self) -> Json:
        """What tells these files from others without reading them: sizes, times of change, and the digests of their footers."""
        return [[path.stat().st_size, path.stat().st_mtime_ns, digest_of_bytes(_footer(path))] for path in self.paths]


@dataclass(frozen=True, slots=True)
class HeldStream:
    """Batches that are in memory already."""

    held: tuple[pa.RecordBatch, ...]
    schema: pa.Schema
    n_rows: int

    @classmethod
    def of(cls, batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> HeldStream:
        """These batches, all of one schema, end to end."""
        return cls(tuple(batches), schema, sum(batch.num_rows for batch in batches))

    def batches(self, columns: Sequence[str], *, start: int = 0, size: int = BATCH) -> Iterator[pa.RecordBatch]:
        """Rows from `start` on; nothing is copied."""
        for batch in self.held:
            for at in range(min(start, batch.num_rows), batch.num_rows, size):
                yield batch.slice(at, size).select(list(columns))
            start = max(0, start - batch.num_rows)


def require(stream: Stream, columns: Sequence[str], *, where: str) -> None:
    """Raises ColumnMissing with every column that is not there."""
    absent = [name for name in columns if name not in stream.schema.names]
    if absent:
        raise ColumnMissing(
            f"{where} have no column {', '.join(absent)}",
            found=", ".join(stream.schema.names),
            expected=", ".join(columns),
            where=where,
        )


def _open(path: Path):  # type: ignore[no-untyped-def]
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, memory_map=False, pre_buffer=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceUnreadable(f"{path.name} cannot be read as Parquet", found=str(error), where=str(path)) from error


def _footer(path: Path) -> bytes:
    """The bytes of a Parquet file that tell of its row groups: their sizes, places and least and largest values."""
    with path.open("rb") as file:
        file.seek(-8, 2)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, 2)
        return file.read(length)


def _groups_from(file, start: int) -> tuple[list[int], int]:  # type: ignore[no-untyped-def]
    """The row groups that hold rows from `start` on, and how many rows of the first one come before it."""
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    for first, rows in enumerate(sizes):
        if start < rows:
            return list(range(first, len(sizes))), start
        start -= rows
    return [], 0
