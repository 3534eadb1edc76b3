"""Differ: do two files hold the same population?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.types.errors import SourceEmpty, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    from gonogo.stats.column_tests import Coded
    from gonogo.stats.differences import Differences, Margins

MOST_VALUES = 1 << 16  # text of more different values is compared by hash: ids fall evenly, whoever they are
BUCKETS = 1 << 11  # of that hash: so few that no bucket is too rare to be compared
MEMORY = "400MB"  # of the engine, which spills beyond it; the columns of the moment lie outside
_NUMBERS = ("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
_FLOATS = ("FLOAT", "DOUBLE")
_TIMES = ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE")


def differ(
    a: Path | str,
    b: Path | str,
    *,
    outcome: str | None = None,
    score: str | None = None,
    unit: str | None = None,
    columns: Sequence[str] | None = None,
    margins: Mapping[str, float] | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Differences:
    """What differs between two files, column by column and all together: beyond its margin, trivially, or it cannot be told.

    a, b: Parquet, CSV, JSON lines or Arrow, or a glob of one format. One column of both is in memory at a time, however many there are.
    outcome, score, unit, columns, level, seed: as for `gonogo.stats.differ`. margins: name → value, where other than usual.
    Raises SourceUnreadable, SourceEmpty, and UsageError for a column or a margin that does not exist.
    """
    from gonogo.data.connection import open_connection
    from gonogo.stats.populations import differ as compare

    chosen = _margins(margins or {})
    with tempfile.TemporaryDirectory() as spill, open_connection(memory_limit=MEMORY, workspace=Path(spill)) as connection:
        sides = [_opened(read, relation, connection) for read, relation in ((a, "a"), (b, "b"))]
        hashed = frozenset().union(*(_with_many_values(side) for side in sides))
        labelled = unit if unit in hashed or all(side.types.get(unit or "") in _NUMBERS for side in sides) else None
        table_a, table_b = (FileColumns(table=side, hashed=hashed, labelled=labelled) for side in sides)
        try:
            return compare(
                table_a, table_b, outcome=outcome, score=score, unit=unit, columns=columns, margins=chosen, level=level, seed=seed
            )
        except ValueError as error:
            raise UsageError(f"{error}.", where=f"{a}, {b}", next="gonogo differ --help") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A file as a relation of the connection."""

    connection: DuckDBPyConnection
    relation: str
    types: Mapping[str, str]  # column → type, as DuckDB calls it
    n_rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FileColumns(Mapping[str, Any]):
    """The columns of a file, each read when it is asked for."""

    table: Opened
    hashed: frozenset[str]  # text whose values are too many to keep
    labelled: str | None  # the column of the unit where its values are no floats, so that none of them may be rounded or share a bucket

    def __getitem__(self, name: str) -> NDArray[Any] | Coded:
        if name == self.labelled:
            return self._labels(name)
        kind = self.table.types[name]
        if kind in _NUMBERS or kind in _FLOATS or kind.startswith("DECIMAL"):
            return self._filled(f"CAST({_quoted(name)} AS DOUBLE)", "float64")
        if kind in _TIMES:
            return self._filled(f"CAST({_quoted(name)} AS TIMESTAMP)", "datetime64[us]")
        return self._by_hash(name) if name in self.hashed else self._coded(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.table.types)

    def __len__(self) -> int:
        return len(self.table.types)

    def _filled(self, expression: str, dtype: str) -> NDArray[Any]:
        import numpy as np

        column = np.empty(self.table.n_rows, dtype=dtype)
        at = 0
        for batch in self._batches(expression):
            column[at : at + len(batch)] = batch.to_numpy(zero_copy_only=False)
            at += len(batch)
        return column

    def _by_hash(self, name: str) -> Coded:
        import numpy as np

        from gonogo.stats.column_tests import Coded

        text = f"CAST({_quoted(name)} AS VARCHAR)"
        buckets = self._filled(f"CAST(CASE WHEN {text} IS NULL THEN -1 ELSE hash({text}) % {BUCKETS} END AS DOUBLE)", "float64")
        return Coded(codes=buckets.astype(np.int64), values=tuple(range(BUCKETS)))

    def _labels(self, name: str) -> NDArray[Any]:
        """64 bits for each value: of ten million units, no two share them with a probability of 99.9997 %."""
        from gonogo.data.sql import one_row

        (missing,) = one_row(
            self.table.connection, f"SELECT count(*) - count({_quoted(name)}) AS missing FROM {_quoted(self.table.relation)}"
        )
        if missing:
            raise ValueError(f"the unit {name!r} is missing in {missing:,} rows: whose they are must be known")
        return self._filled(f"hash(CAST({_quoted(name)} AS VARCHAR))", "uint64")

    def _coded(self, name: str) -> Coded:
        import numpy as np

        from gonogo.stats.column_tests import Coded

        known: dict[str, int] = {}
        codes = np.empty(self.table.n_rows, dtype=np.int64)
        at = 0
        for batch in self._batches(f"CAST({_quoted(name)} AS VARCHAR)"):
            encoded = batch.dictionary_encode()
            place = np.array([known.setdefault(value, len(known)) for value in encoded.dictionary.to_pylist()] + [-1], dtype=np.int64)
            codes[at : at + len(batch)] = place[encoded.indices.fill_null(len(place) - 1).to_numpy(zero_copy_only=False)]
            at += len(batch)
        return Coded(codes=codes, values=tuple(known))

    def _batches(self, expression: str) -> Iterator[Any]:
        from gonogo.data.readers import BATCH_ROWS, reading_told

        with reading_told(self.table.relation):
            query = f"SELECT {expression} AS value FROM {_quoted(self.table.relation)}"
            for batch in self.table.connection.sql(query).to_arrow_reader(BATCH_ROWS):
                yield batch.column(0)


def _opened(read: Path | str, relation: str, connection: DuckDBPyConnection) -> Opened:
    from gonogo.data.readers import count_rows, read_files
    from gonogo.data.sql import column_types

    raw = read_files(str(read), relation, folder=Path(), connection=connection, where=str(read))
    n_rows = count_rows(connection, raw.relation)
    if n_rows == 0:
        raise SourceEmpty(f"{read} has no rows", where=str(read), expected="at least one row", found="a header without any")
    types = column_types(connection, f"SELECT * FROM {_quoted(raw.relation)}")
    return Opened(connection=connection, relation=raw.relation, types=types, n_rows=n_rows)


def _with_many_values(table: Opened) -> frozenset[str]:
    """Columns that are neither numbers nor times and have more values than are kept."""
    from gonogo.data.sql import one_row

    names = [
        name
        for name, kind in table.types.items()
        if kind not in _NUMBERS and kind not in _FLOATS and kind not in _TIMES and not kind.startswith("DECIMAL")
    ]
    if not names:
        return frozenset()
    counts = ", ".join(f"approx_count_distinct(CAST({_quoted(name)} AS VARCHAR))" for name in names)
    found = one_row(table.connection, f"SELECT {counts} FROM {_quoted(table.relation)}")
    return frozenset(name for name, n in zip(names, found, strict=True) if n > MOST_VALUES)


def _margins(given: Mapping[str, float]) -> Margins:
    from gonogo.stats.differences import Margins

    known = [field.name for field in fields(Margins)]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UsageError(f"there is no margin {', '.join(unknown)}.", expected=", ".join(known), where="--margin")
    try:
        return Margins(**given)
    except ValueError as error:
        raise UsageError(f"{error}.", where="--margin") from error


def _quoted(name: str) -> str:
    from gonogo.data.sql import identifier

    return identifier(name)
