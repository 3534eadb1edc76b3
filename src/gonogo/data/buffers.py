"""How do 64-bit numbers pass between NumPy and Arrow without a copy?

Not by way of pa.array and np.asarray: Arrow imports pandas for both, where it is installed, which takes longer than a million rows do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa


def words(column: pa.Array, dtype: Any = np.int64) -> NDArray[Any]:
    """(n,) the values of a column of 64 bits without nulls, read-only."""
    if not len(column):
        return np.empty(0, dtype)
    return np.frombuffer(column.buffers()[1], dtype=dtype)[column.offset : column.offset + len(column)]


def as_column(numbers: NDArray[Any], none: NDArray[np.bool_] | None = None) -> pa.Array:
    """(n,) int64 or float64 numbers as a column of the same memory, null where `none` says so.

    >>> as_column(np.array([1, 2]), np.array([False, True])).to_pylist()
    [1, None]
    """
    import pyarrow as pa

    kind = pa.float64() if numbers.dtype == np.float64 else pa.int64()
    numbers = np.ascontiguousarray(numbers)
    valid = None if none is None or not none.any() else pa.py_buffer(np.packbits(~none, bitorder="little"))
    return pa.Array.from_buffers(kind, numbers.size, [valid, pa.py_buffer(numbers)])
