"""How do the plain values of one row become the numbers that a learner reads?

What `Codec` does for a table, without its columns: float64 with NaN for null, categories as the place of their text. What a codec refuses
is refused here, by the codec itself, so that one mistake has one message.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from gonogo.families.tabular.table import UNKNOWN
from gonogo.types.errors import ColumnMissing, ColumnMistyped
from gonogo.types.snapshot import Input, Kind, Missing

if TYPE_CHECKING:
    from gonogo.families.tabular.table import Codec

NAN = float("nan")
INFINITE = float("inf")  # stands for a null that the contract refuses: no row that holds it gets an answer


class RowCodec:
    """The codec of single rows, which are sequences of values in the order of its columns."""

    def __init__(self, codec: Codec, *, null_codes: Sequence[float] = (), unknown: float = UNKNOWN) -> None:
        """null_codes: of each column, what a null category becomes, by default NaN. unknown: what one that train did not hold becomes."""
        self.codec = codec
        self.inputs = tuple(Input(name=c.name, kind=c.kind, missing=c.missing, feature=c.name) for c in codec.columns)
        self._form = struct.Struct(f"{len(codec.columns)}d")
        self._pack = self._form.pack
        self._categories = tuple(
            (place, Codes(column.categories, null=_null(column.missing, null_codes[place] if null_codes else NAN), unknown=unknown))
            for place, column in enumerate(codec.columns)
            if column.kind is Kind.CATEGORY
        )

    def encode(self, row: Sequence[Any]) -> bytes:
        """The row as float64 side by side. Raises ColumnMistyped and ColumnMissing; what is infinite or refused is left for `refuse`."""
        values = row
        try:
            if self._categories:
                values = list(row)
                for place, codes in self._categories:
                    values[place] = codes[row[place]]
            return self._pack(*values)
        except struct.error:  # a null, or what is refused
            return self._encode_nulls(row, values)
        except (TypeError, OverflowError, IndexError):
            self._refuse_types(row)

    def _encode_nulls(self, row: Sequence[Any], values: Sequence[Any]) -> bytes:
        try:
            return self._pack(*[NAN if value is None else value for value in values])
        except (struct.error, TypeError, OverflowError):
            self._refuse_types(row)

    def encode_rows(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """All rows behind one another."""
        return b"".join([self.encode(row) for row in rows])

    def numbers(self, row: Sequence[Any]) -> tuple[float, ...]:
        """`encode`, as floats of Python."""
        return self._form.unpack(self.encode(row))

    def refuse(self, row: Sequence[Any]) -> None:
        """Raises DataError where a number is infinite, or null against the contract; returns where nothing is wrong with the row."""
        matrix = np.frombuffer(self.encode(row)).reshape(1, -1).copy()
        for place, _ in self._categories:
            matrix[0, place] = NAN if row[place] is None else UNKNOWN
        self.codec.check(matrix)

    def _refuse_types(self, row: Sequence[Any]) -> NoReturn:
        if len(row) != len(self.inputs):
            raise ColumnMissing(
                f"a row of {len(row)} values, for {len(self.inputs)} inputs",
                found=f"{len(row)} values",
                expected=", ".join(one.name for one in self.inputs),
                where="row",
            )
        for one, value in zip(self.inputs, row, strict=True):
            is_known = isinstance(value, str | int) if one.kind is Kind.CATEGORY else _is_number(value)
            if value is not None and not is_known:
                raise ColumnMistyped(
                    f"the input '{one.name}' has the wrong type",
                    found=f"{type(value).__name__} {value!r}"[:80],
                    expected="text, a whole number or a boolean" if one.kind is Kind.CATEGORY else "a number or a boolean",
                    where=f"inputs.{one.name}",
                )
        raise TypeError(f"a row that cannot be encoded: {row!r}"[:400])  # cannot happen: one of the above is what was wrong


class Codes(dict[Any, float]):
    """Category → its code; whole numbers and booleans count as their text."""

    def __init__(self, categories: Sequence[str], *, null: float, unknown: float) -> None:
        super().__init__({text: float(code) for code, text in enumerate(categories)})
        self[None] = null
        self._unknown = unknown

    def __missing__(self, value: Any) -> float:
        if isinstance(value, str):
            return self._unknown
        if isinstance(value, int):
            return self.get(as_text(value), self._unknown)
        raise TypeError(f"{type(value).__name__} is no category")


def as_text(value: str | int) -> str:
    """A category's value as text, as a column of its type is cast: 1 → "1", True → "true"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _null(missing: Missing, code: float) -> float:
    return INFINITE if missing is Missing.REFUSE else code


def _is_number(value: Any) -> bool:
    try:
        struct.pack("d", value)
    except (struct.error, TypeError, OverflowError):
        return False
    return True
