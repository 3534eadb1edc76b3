"""How does a column of numbers become integers that add up to the same bits in any order?

A number is held as round-half-even(value × 10^digits), an int64. The batch, the online state and the tests share this definition:
the product is one float64 multiplication, the rounding is to the nearest whole number, ties to even.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gonogo.data.buffers import words
from gonogo.data.planning import Value
from gonogo.types.errors import ScaleRefused

if TYPE_CHECKING:
    import pyarrow as pa

    from gonogo.data.asof import Flags, Ints

LIMIT = 2**62  # held values and the sum of their absolute values stay below it


def held_ints(column: pa.ChunkedArray, value: Value, *, where: str) -> tuple[Ints, Flags | None]:
    """(rows,) the held integers, 0 where null, and 1 where there is a value (None: everywhere).

    Raises ScaleRefused for NaN, infinities and what 62 bits cannot hold.
    """
    import pyarrow as pa

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    present = np.asarray(array.is_valid()).astype(np.uint8) if array.null_count else None
    if value.held == "floating":
        return _from_floats(_numbers(array, np.float64), present, value, where), present
    if value.held == "decimal":
        return _bounded(decimal_ints(array, where), value, where), present
    whole = _numbers(array, np.int64)
    if value.held == "flag":
        return whole, present
    return _scaled(whole, value, where), present


def held_int(number: Any, value: Value, *, where: str) -> int:
    """One held integer: the same as `held_ints` of one row.

    >>> held_int(2.675, Value(sql="x", held="floating", digits=2), where="")
    268
    """
    if value.held == "flag":
        return 1 if number else 0
    if value.held == "decimal":
        held = int(number.scaleb(value.digits))
    elif value.held == "whole":
        held = int(number) * 10**value.digits
    else:
        scaled = float(number) * 10.0**value.digits
        if not abs(scaled) < LIMIT:  # NaN included
            raise _refused(value, where, repr(number))
        held = round(scaled)
    if abs(held) >= LIMIT:
        raise _refused(value, where, str(number))
    return held


def check_load(values: Ints, starts: Ints, value: Value, *, where: str) -> None:
    """Nothing, if the absolute values of every entity add up to less than 2^62; else ScaleRefused.

    values: (m,) held integers in the order of the sorted events; starts: as in asof.Events.
    """
    if not values.size:
        return
    largest = max(abs(int(values.min())), abs(int(values.max())))
    if largest * int(np.diff(starts).max()) < LIMIT:
        return
    # exact in two halves of 31 bits: a sum of 2^32 of them still fits
    size = np.abs(values)
    sizes = size[:, None] >> np.array([31, 0]) & np.array([2**31 - 1, 2**31 - 1])
    upto = np.concatenate([np.zeros((1, 2), np.int64), np.cumsum(sizes, axis=0)])
    high, low = np.diff(upto[starts], axis=0).T
    if ((high + (low >> 31)) >= LIMIT >> 31).any():
        raise _refused(value, where, "a sum of absolute values at or above 2^62")


def decimal_ints(array: pa.Array, where: str) -> Ints:
    """(rows,) the unscaled integers of a decimal column, read from its 128 bits; 0 where null."""
    import pyarrow as pa

    wide = array.cast(pa.decimal128(38, array.type.scale))
    words = np.frombuffer(wide.buffers()[1], np.int64)[2 * wide.offset : 2 * (wide.offset + len(wide))].reshape(-1, 2)
    low = np.where(np.asarray(wide.is_valid()), words[:, 0], 0)
    high = np.where(np.asarray(wide.is_valid()), words[:, 1], 0)
    if (high != low >> 63).any():
        raise ScaleRefused("a decimal that 64 bits cannot hold", where=where, found=str(array.type), expected="at most 18 digits")
    return low


def check_finite(column: pa.ChunkedArray, *, where: str, name: str) -> None:
    """Nothing, if every float of the column is a number or null; else ScaleRefused with the count."""
    import pyarrow.compute as pc

    bad = pc.sum(pc.invert(pc.is_finite(column))).as_py() or 0
    if bad:
        raise ScaleRefused(
            f"{bad:,} values of {name} are NaN or infinite",
            where=where,
            found="NaN or infinity",
            expected="numbers, or null where there is none",
            next=f"in the source's sql: case when isfinite({name}) then {name} end",
        )


def _numbers(array: pa.Array, dtype: Any) -> NDArray[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    filled = pc.fill_null(array, 0) if array.null_count else array
    if filled.type in (pa.int64(), pa.float64()):
        return words(filled, np.int64 if filled.type == pa.int64() else np.float64).astype(dtype, copy=False)
    return np.asarray(filled).astype(dtype, copy=False)


def _from_floats(numbers: NDArray[np.float64], present: Flags | None, value: Value, where: str) -> Ints:
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = numbers * 10.0**value.digits
    bad = ~(np.abs(scaled) < LIMIT)  # NaN is not below anything
    if bad.any():
        raise _refused(value, where, f"{int(bad.sum()):,} values, the first {numbers[bad][0]!r}")
    return np.rint(scaled).astype(np.int64)


def _scaled(whole: Ints, value: Value, where: str) -> Ints:
    if value.digits and whole.size and max(abs(int(whole.min())), abs(int(whole.max()))) >= LIMIT // 10**value.digits:
        raise _refused(value, where, "a whole number that is too large for its decimals")
    return _bounded(whole * 10**value.digits if value.digits else whole, value, where)


def _bounded(held: Ints, value: Value, where: str) -> Ints:
    if held.size and (int(held.max()) >= LIMIT or int(held.min()) <= -LIMIT):
        raise _refused(value, where, f"{int(held.min())} to {int(held.max())}")
    return held


def _refused(value: Value, where: str, found: str) -> ScaleRefused:
    return ScaleRefused(
        f"{value.sql} cannot be added up exactly in 62 bits with {value.digits} decimals",
        where=where,
        found=found,
        expected=f"finite numbers whose absolute values, times 10^{value.digits}, add up to less than 2^62 per entity",
        next="declare fewer decimals, or turn NaN and infinities into null in the source's sql",
    )
