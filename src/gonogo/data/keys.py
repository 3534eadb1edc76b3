"""Which rows of two tables speak of the same entity, without ever holding both key columns in memory?

A KeyTable learns the keys of one side (the labels) and gives each a dense code; the other side (the events) is looked up batch by
batch and gets the same code, or ABSENT where its key was never learnt. Keys are compared by value, part by part: (1, 23) is not
(12, 3), a null part matches nothing, and numbers above 2^53 keep every bit, for they never pass through float.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numpy.typing import NDArray

from gonogo.data.buckets import whole_numbers
from gonogo.types.errors import ColumnMistyped

if TYPE_CHECKING:
    import pyarrow as pa

Codes = NDArray[np.int32]
Integers = NDArray[np.int64]

ABSENT = -1
DENSE = 8  # a table of value → code is direct where the range of values is at most this many times the number of rows


def key_class(kind: pa.DataType) -> str:
    """Which keys can be equal to each other: columns of one class. Raises ColumnMistyped for types without exact equality.

    >>> import pyarrow as pa
    >>> key_class(pa.int32()) == key_class(pa.int64()), key_class(pa.string())
    (True, 'text')
    """
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return key_class(kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "text"
    if pa.types.is_integer(kind):
        # the upper half of uint64 has the bits of negative numbers, and must not match them
        return "unsigned 64-bit number" if pa.types.is_uint64(kind) else "whole number"
    if pa.types.is_boolean(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return str(kind)
    raise ColumnMistyped(
        f"a key of type {kind} has no exact equality",
        found=str(kind),
        expected="whole numbers, text, booleans, dates or times",
        next="cast it in the source's sql, e.g. to bigint or varchar",
    )


class KeyTable:
    """Dense codes of the composite keys that one side holds."""

    def __init__(self, columns: Sequence[pa.ChunkedArray]) -> None:
        """Learn these keys.

        columns: the parts of the key, of one length. Codes run from 0 to n_keys - 1; which key has which code means nothing.
        """
        self._parts = [_Text() if key_class(column.type) == "text" else _Whole() for column in columns]
        codes = [part.learn(column) for part, column in zip(self._parts, columns, strict=True)]
        self._joins: list[NumberCodes] = []
        self.learnt = codes[0]  # (n,) the codes of the keys it learnt from
        self.n_keys = self._parts[0].n_codes
        for part, more in zip(self._parts[1:], codes[1:], strict=True):
            pairs, missing = _pairs(self.learnt, more, part.n_codes)
            self._joins.append(NumberCodes(pairs, missing))
            self.learnt, self.n_keys = self._joins[-1].look_up(pairs, missing), self._joins[-1].n_codes

    @classmethod
    def of_numbers(cls, values: Integers, missing: NDArray[np.bool_]) -> KeyTable:
        """Learn keys of one part, the numbers that buckets.whole_numbers gives. `missing` may be empty: nothing is."""
        table, part = cls.__new__(cls), _Whole()
        table._parts, table._joins = [part], []
        table.learnt, table.n_keys = part.learn_numbers(values, missing), part.n_codes
        return table

    def codes(self, columns: Sequence[pa.Array]) -> Codes:
        """(n,) the code of each key, ABSENT where it was never learnt or has a null part."""
        codes = self._parts[0].codes(columns[0])
        for part, join, column in zip(self._parts[1:], self._joins, columns[1:], strict=True):
            codes = join.look_up(*_pairs(codes, part.codes(column), part.n_codes))
        return codes


def _pairs(first: Codes, second: Codes, n_second: int) -> tuple[Integers, NDArray[np.bool_]]:
    return first.astype(np.int64) * max(1, n_second) + second, (first == ABSENT) | (second == ABSENT)


class _Text:
    """Codes of one text part: its place among the distinct values."""

    n_codes: int

    def learn(self, column: pa.ChunkedArray) -> Codes:
        self._values = _plain_text(column).unique().drop_null()
        self.n_codes = len(self._values)
        return np.concatenate([np.empty(0, np.int32), *map(self.codes, column.chunks)])

    def codes(self, column: pa.Array) -> Codes:
        import pyarrow.compute as pc

        found = pc.index_in(_plain_text(column), value_set=self._values, skip_nulls=True)
        return np.asarray(pc.fill_null(found, ABSENT))


def _plain_text(column: Any) -> Any:
    import pyarrow as pa

    return column if pa.types.is_large_string(column.type) else column.cast(pa.large_string())


class _Whole:
    """Codes of one part of whole numbers, booleans or times."""

    n_codes: int

    def learn(self, column: pa.ChunkedArray) -> Codes:
        values = np.concatenate([np.empty(0, np.int64), *map(whole_numbers, column.chunks)])
        missing = np.concatenate([np.asarray(chunk.is_null()) for chunk in column.chunks]) if column.null_count else np.empty(0, np.bool_)
        return self.learn_numbers(values, missing)

    def learn_numbers(self, values: Integers, missing: NDArray[np.bool_]) -> Codes:
        self._numbers = NumberCodes(values, missing)
        self.n_codes = self._numbers.n_codes
        return self._numbers.look_up(values, missing)

    def codes(self, column: pa.Array) -> Codes:
        return self._numbers.look_up(whole_numbers(column), _missing(column))


def _missing(column: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(column.is_null()) if column.null_count else np.empty(0, np.bool_)


class NumberCodes:
    """Codes of 64-bit numbers: a direct table where they lie close together, else a hash table that holds the numbers themselves."""

    n_codes: int

    def __init__(self, values: Integers, missing: NDArray[np.bool_]) -> None:
        present = values[~missing] if missing.size else values
        self._low = int(present.min()) if present.size else 0
        extent = int(present.max()) - self._low + 1 if present.size else 1
        self._is_dense = extent <= max(1 << 16, DENSE * values.size)
        if self._is_dense:
            self._codes = np.full(extent, ABSENT, np.int32)
            self.n_codes = int(_learn_dense(present, self._low, self._codes))
        else:
            self.n_codes = self._learn_sparse(present)

    def _learn_sparse(self, values: Integers) -> int:
        size = 1 << 12
        self._keys, self._codes = np.empty(size, np.int64), np.full(size, ABSENT, np.int32)
        done, n = _learn_hashed(values, 0, 0, self._keys, self._codes)
        while done < values.size:
            size *= 4
            keys, codes = np.empty(size, np.int64), np.full(size, ABSENT, np.int32)
            _rehash(self._keys, self._codes, keys, codes)
            self._keys, self._codes = keys, codes
            done, n = _learn_hashed(values, done, n, keys, codes)
        return int(n)

    def look_up(self, values: Integers, missing: NDArray[np.bool_]) -> Codes:
        """(n,) the code of each number, ABSENT where it was not learnt or is missing. `missing` may be empty: nothing is."""
        found = np.empty(values.size, np.int32)
        if self._is_dense:
            _look_up_dense(values, self._low, self._codes, found)
        else:
            _look_up_hashed(values, self._keys, self._codes, found)
        if missing.size:
            found[missing] = ABSENT
        return found


@numba.njit(cache=True, nogil=True)
def _learn_dense(values: Integers, low: int, codes: Codes) -> int:
    n = 0
    for value in values:
        if codes[value - low] < 0:
            codes[value - low] = n
            n += 1
    return n


@numba.njit(cache=True, nogil=True)
def _look_up_dense(values: Integers, low: int, codes: Codes, found: Codes) -> None:
    high = low + (codes.size - 1)  # in this order: low + size may be one more than 64 bits hold
    for i in range(values.size):
        value = values[i]
        # compared before subtracting: the difference of two 64-bit numbers may not fit
        found[i] = codes[value - low] if low <= value <= high else ABSENT


@numba.njit(cache=True, nogil=True, inline="always")
def _slot(value: np.int64, mask: np.uint64) -> np.int64:
    x = np.uint64(value) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((x ^ (x >> np.uint64(32))) & mask)


@numba.njit(cache=True, nogil=True)
def _learn_hashed(values: Integers, start: int, n: int, keys: Integers, codes: Codes) -> tuple[int, int]:
    """Learn values[start:] until half of the slots are taken; how far it came, and how many codes there are."""
    mask = np.uint64(keys.size - 1)
    for i in range(start, values.size):
        if 2 * n >= keys.size:
            return i, n
        at = _slot(values[i], mask)
        while codes[at] >= 0 and keys[at] != values[i]:
            at = (at + 1) & (keys.size - 1)
        if codes[at] < 0:
            keys[at], codes[at] = values[i], n
            n += 1
    return values.size, n


@numba.njit(cache=True, nogil=True)
def _rehash(old_keys: Integers, old_codes: Codes, keys: Integers, codes: Codes) -> None:
    mask = np.uint64(keys.size - 1)
    for i in range(old_keys.size):
        if old_codes[i] >= 0:
            at = _slot(old_keys[i], mask)
            while codes[at] >= 0:
                at = (at + 1) & (keys.size - 1)
            keys[at], codes[at] = old_keys[i], old_codes[i]


@numba.njit(cache=True, nogil=True)
def _look_up_hashed(values: Integers, keys: Integers, codes: Codes, found: Codes) -> None:
    mask = np.uint64(keys.size - 1)
    for i in range(values.size):
        at = _slot(values[i], mask)
        while codes[at] >= 0 and keys[at] != values[i]:
            at = (at + 1) & (keys.size - 1)
        found[i] = codes[at]
