"""What is the digest of a source's content, whatever its path, its chunks and its engine?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.types.record import Digest, digest

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 1 << 20


def digest_of_files(paths: Sequence[Path]) -> Digest:
    """The digest of the files' bytes in this order; of one file, the digest of its bytes."""
    digests = [digest_of_file(path) for path in paths]
    return digests[0] if len(digests) == 1 else digest({"files": digests})


def digest_of_file(path: Path) -> Digest:
    """sha256 of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_batches(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Digest:
    """The digest of column names, types, values and nulls in row order, however the rows are cut into batches.

    >>> import pyarrow as pa
    >>> whole, half = pa.table({"a": [1, None]}), pa.table({"a": [1]})
    >>> cut = pa.concat_tables([half, pa.table({"a": pa.array([None], pa.int64())})])
    >>> digest_of_batches(whole.schema, whole.to_batches()) == digest_of_batches(cut.schema, cut.to_batches())
    True
    """
    content = ContentHash(schema)
    for batch in batches:
        content.update(batch)
    return content.digest()


class ContentHash:
    """A digest of a table that is fed batch by batch."""

    def __init__(self, schema: pa.Schema) -> None:
        self._names = list(schema.names)
        self._columns = [_ColumnHash(field.type) for field in schema]
        self._rows = 0

    def update(self, batch: pa.RecordBatch) -> None:
        """Adds the rows of one batch, in their order."""
        self._rows += batch.num_rows
        for column, values in zip(self._columns, batch.columns, strict=True):
            column.update(values)

    def digest(self) -> Digest:
        """The digest of all rows so far."""
        columns = [[name, *column.parts()] for name, column in zip(self._names, self._columns, strict=True)]
        return digest({"rows": self._rows, "columns": columns})


class _ColumnHash:
    """Nulls, lengths and values of one column, each a stream of fixed-width bytes: so cuts between batches leave no trace."""

    def __init__(self, kind: pa.DataType) -> None:
        import pyarrow as pa

        self._kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        self._nulls, self._lengths, self._values = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
        self._children: list[_ColumnHash] = []
        if pa.types.is_struct(kind):
            self._children = [_ColumnHash(kind.field(i).type) for i in range(kind.num_fields)]
        elif _is_list(kind):
            self._children = [_ColumnHash(kind.value_type)]

    def parts(self) -> list[Any]:
        kind = "text" if _is_text(self._kind) else str(self._kind)  # how text is laid out in memory is no part of it
        own = [kind, self._nulls.hexdigest(), self._lengths.hexdigest(), self._values.hexdigest()]
        return [*own, *(child.parts() for child in self._children)]

    def update(self, values: pa.Array) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        self._nulls.update(_bytes(pc.cast(values.is_null(), pa.uint8())))
        if pa.types.is_null(self._kind):
            return
        if pa.types.is_struct(self._kind):
            for child, part in zip(self._children, values.flatten(), strict=True):
                child.update(part)
        elif _is_list(self._kind):
            self._lengths.update(_bytes(pc.cast(pc.fill_null(pc.list_value_length(values), 0), pa.int64())))
            self._children[0].update(values.flatten())
        elif _is_text(self._kind):
            self._update_text(values)
        else:
            self._values.update(_fixed_width_bytes(values))

    def _update_text(self, values: pa.Array) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        binary = pc.cast(values, pa.large_binary())
        filled = pc.fill_null(binary, b"")
        self._lengths.update(_bytes(pc.cast(pc.binary_length(filled), pa.int64())))
        self._values.update(_text_bytes(filled))


def _bytes(array: pa.Array) -> memoryview:
    """The bytes of a fixed-width array without nulls. Not by way of NumPy: Arrow would import pandas for that, where it is installed."""
    if not len(array):
        return memoryview(b"")
    width = array.type.bit_width // 8
    return memoryview(array.buffers()[1])[array.offset * width : (array.offset + len(array)) * width]


def _text_bytes(array: pa.Array) -> memoryview:
    """The letters of a large_binary array without nulls, one value after the other."""
    import numpy as np

    if not len(array):
        return memoryview(b"")
    _, offsets, letters = array.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    return memoryview(letters or b"")[int(bounds[0]) : int(bounds[-1])]


def _fixed_width_bytes(values: pa.Array) -> memoryview:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_boolean(kind):
        return _bytes(pc.fill_null(pc.cast(values, pa.uint8()), 0))
    if pa.types.is_decimal(kind):
        # The text of a decimal names its digits exactly, at any width of the engine's own representation.
        return memoryview("\0".join("" if v is None else str(v) for v in values.to_pylist()).encode() + b"\0")
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        values = values.view(pa.int32())
    elif pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        values = values.view(pa.int64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return memoryview("\0".join(repr(v) for v in values.to_pylist()).encode() + b"\0")
    return _bytes(pc.fill_null(values, 0))


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    is_string = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    is_binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
    return bool(is_string or is_binary)
