"""How do the input columns of a table become the numbers that a learner reads?

Numbers become float64 with NaN for null. Categories become the place of their text among the sorted texts that train held; null becomes
NaN and a text that train did not hold becomes UNKNOWN, so that every learner can tell the two apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gonogo.types.errors import ColumnMissing, ColumnMistyped, DataError
from gonogo.types.snapshot import Input, Kind, Missing

if TYPE_CHECKING:
    import pyarrow as pa

    from gonogo.types.evidence import Array

UNKNOWN = -1.0  # the code of a category that train did not hold


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One input as train showed it."""

    name: str
    kind: Kind
    missing: Missing
    categories: tuple[str, ...] = ()  # sorted; empty for a number


@dataclass(frozen=True, kw_only=True)
class Codec:
    """The columns that a model reads, in the order of its matrix."""

    columns: tuple[Column, ...]

    def encode(self, inputs: pa.Table) -> Array:
        """(n, columns) float64: NaN for null, UNKNOWN for a category that train did not hold. Extra columns are ignored.

        Raises ColumnMissing, ColumnMistyped, and DataError for an infinite number.
        """
        matrix = np.empty((inputs.num_rows, len(self.columns)), dtype=np.float64)
        names = set(inputs.schema.names)
        for i, column in enumerate(self.columns):
            if column.name not in names:
                raise _missing(column.name, inputs.schema.names)
            values = inputs.column(column.name)
            if column.kind is Kind.CATEGORY:
                matrix[:, i] = _codes(values, self._value_sets[i], column.name)
            else:
                matrix[:, i] = _numbers(values, column.name)
        self._check_finite(matrix)
        return matrix

    def encode_strictly(self, inputs: pa.Table) -> Array:
        """`encode`, and DataError where a column whose policy is to refuse holds a null."""
        matrix = self.encode(inputs)
        self.check(matrix)
        return matrix

    def check(self, matrix: Array) -> None:
        """Raises DataError where an encoded number is infinite, or null in a column whose policy is to refuse that."""
        self._check_finite(matrix)
        for i in self._refusing:
            null = np.isnan(matrix[:, i])
            if null.any():
                raise _null(self.columns[i].name, int(np.argmax(null)), int(null.sum()))

    def _check_finite(self, matrix: Array) -> None:
        if np.isinf(matrix).any():
            raise self._infinite(matrix)

    def _infinite(self, matrix: Array) -> DataError:
        row, place = (int(at) for at in np.argwhere(np.isinf(matrix))[0])
        name, n = self.columns[place].name, int(np.isinf(matrix[:, place]).sum())
        return DataError(
            f"{n:,} of {len(matrix):,} values of '{name}' are infinite",
            found=f"{matrix[row, place]} in row {row}",
            expected="a finite number or null",
            where=f"inputs.{name}, row {row}",
            next="guard the expression of the feature, e.g. nullif(denominator, 0)",
        )

    @cached_property
    def _value_sets(self) -> tuple[pa.Array, ...]:
        import pyarrow as pa

        return tuple(pa.array(column.categories, type=pa.string()) for column in self.columns)

    @cached_property
    def _refusing(self) -> tuple[int, ...]:
        return tuple(i for i, column in enumerate(self.columns) if column.missing is Missing.REFUSE)


def fit_codec(table: pa.Table, inputs: tuple[Input, ...]) -> Codec:
    """The codec of these inputs, with the categories that the table holds."""
    return Codec(columns=tuple(_column(table, one) for one in inputs))


def _column(table: pa.Table, one: Input) -> Column:
    if one.name not in table.schema.names:
        raise _missing(one.name, table.schema.names)
    if one.kind is Kind.TEXT:
        raise ColumnMistyped(
            f"'{one.name}' is free text, which no learner of this family reads",
            found="kind = text",
            expected="kind = number or category",
            where=f"features.{one.feature}.kind",
            next="declare it as a category, or compute numbers from it",
        )
    categories: tuple[str, ...] = ()
    if one.kind is Kind.CATEGORY:
        import pyarrow.compute as pc

        seen = pc.unique(_texts(table.column(one.name), one.name)).to_pylist()
        categories = tuple(sorted(text for text in seen if text is not None))
    return Column(name=one.name, kind=one.kind, missing=one.missing, categories=categories)


def _numbers(values: pa.ChunkedArray, name: str) -> Array:
    """(n,) of any number type; null becomes NaN."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_null(kind):
        return np.full(len(values), np.nan)
    if pa.types.is_boolean(kind):
        values = pc.cast(values, pa.int8())
    elif pa.types.is_decimal(kind):
        values = pc.cast(values, pa.float64())
    elif not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise _mistyped(name, str(kind), "a number or a boolean")
    numbers: Array = values.to_numpy()
    return numbers


def _codes(values: pa.ChunkedArray, categories: pa.Array, name: str) -> Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = _texts(values, name)
    found = pc.index_in(texts, value_set=categories, skip_nulls=True)
    codes: Array = pc.cast(found, pa.float64()).to_numpy()
    if found.null_count:
        codes = np.where(np.isnan(codes) & ~texts.is_null().to_numpy(), UNKNOWN, codes)
    return codes


def _texts(values: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_dictionary(kind):
        values, kind = pc.cast(values, kind.value_type), kind.value_type
    if pa.types.is_string(kind):
        return values
    if not (pa.types.is_large_string(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
        raise _mistyped(name, str(kind), "text, a whole number or a boolean")
    return pc.cast(values, pa.string())


def _missing(name: str, present: list[str]) -> ColumnMissing:
    shown = ", ".join(present[:12]) + (", …" if len(present) > 12 else "")
    return ColumnMissing(
        f"the input '{name}' is not there",
        found=shown or "no columns",
        expected=name,
        where=f"inputs.{name}",
        next="give every column that the model was fitted on; further ones are ignored",
    )


def _mistyped(name: str, found: str, expected: str) -> ColumnMistyped:
    return ColumnMistyped(
        f"the input '{name}' has the wrong type",
        found=found,
        expected=expected,
        where=f"inputs.{name}",
        next="cast it in the feature's sql",
    )


def _null(name: str, row: int, n: int) -> DataError:
    return DataError(
        f"'{name}' is null, and the contract refuses that",
        found=f"{n:,} null{'s' if n > 1 else ''}, the first in row {row}",
        expected=f'no null (missing = "refuse" for {name})',
        where=f"inputs.{name}, row {row}",
        next='give the value, or state another policy in the contract: missing = "native" or "indicate"',
    )
