"""To which bucket does an entity belong, and how is a batch of rows told apart by bucket?

A bucket is the unit of work, memory and retry: every row of an entity, event or label, is in the same one. Which one follows from
the value of its key alone, by a hash of our own, so that it is the same on every machine and in every year. The hash only chooses
the bucket: inside it entities are told apart by their keys, so two entities of one hash stay two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numpy.typing import NDArray

from gonogo.data.buffers import words
from gonogo.types.errors import ColumnMistyped

if TYPE_CHECKING:
    import pyarrow as pa

Hashes = NDArray[np.uint64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: the step of splitmix64
NULL_PART = np.uint64(0xD1B54A32D192ED03)  # what a null part of a key hashes to: any fixed odd number
MOST_BUCKETS = 4096  # of one job: their open batches must fit in memory


def key_hashes(columns: Sequence[pa.Array]) -> Hashes:
    """(n,) a hash for each composite key; equal keys have equal hashes, whatever the machine.

    columns: the parts of the key, each an Arrow array of whole numbers, booleans, times or text, of one length.
    Every part is mixed with its place and its length, so that (1, 23) and (12, 3), ("ab", "c") and ("a", "bc"), null and "" differ.
    Raises ColumnMistyped for parts that have no exact equality: floats, decimals, nested values.
    Source: splitmix64, Steele, Lea & Flood (2014), Fast splittable pseudorandom number generators, OOPSLA.

    >>> import pyarrow as pa
    >>> one, other = key_hashes([pa.array([1, 12]), pa.array([23, 3])])
    >>> bool(one == other)
    False
    """
    hashes = np.full(len(columns[0]), np.uint64(len(columns)))
    for place, column in enumerate(columns):
        _mix(hashes, _part_hashes(column), np.uint64((place + 1) * int(GOLDEN) % 2**64))
    return hashes


def bucket_of(hashes: Hashes, n_buckets: int) -> NDArray[np.uint16]:
    """(n,) bucket numbers below n_buckets, a power of two: the top bits of the hash.

    >>> bucket_of(np.array([0, 2**63, 2**64 - 1], dtype=np.uint64), 4).tolist()
    [0, 2, 3]
    """
    if n_buckets == 1:
        return np.zeros(len(hashes), dtype=np.uint16)
    return (hashes >> np.uint64(65 - n_buckets.bit_length())).astype(np.uint16)


def bucket_order(buckets: NDArray[np.uint16], n_buckets: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(order, starts): rows of bucket b are order[starts[b]:starts[b + 1]], in the order in which they came.

    >>> order, starts = bucket_order(np.array([1, 0, 1], dtype=np.uint16), 2)
    >>> order.tolist(), starts.tolist()
    ([1, 0, 2], [0, 1, 3])
    """
    starts = np.zeros(n_buckets + 1, dtype=np.int64)
    np.cumsum(np.bincount(buckets, minlength=n_buckets), out=starts[1:])
    order = np.empty(len(buckets), dtype=np.int64)
    _fill_order(buckets, starts[:-1].copy(), order)
    return order, starts


def buckets_for(n_bytes: int, memory_limit: int) -> int:
    """How many buckets keep one bucket's work within the limit: the least power of two, from the sizes alone.

    n_bytes: what the work would take if all of it were one bucket.

    >>> buckets_for(10 << 30, 4 << 30), buckets_for(1 << 20, 4 << 30)
    (8, 1)
    """
    if n_bytes <= memory_limit:
        return 1
    # half of the limit: hashing spreads entities, not their sizes, so some buckets are larger than the mean
    wanted = -(-n_bytes // max(1, memory_limit // 2))
    return min(MOST_BUCKETS, 1 << (wanted - 1).bit_length())


def _part_hashes(column: pa.Array) -> Hashes:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        text = column.cast(pa.large_string())
        hashes = np.empty(len(text), dtype=np.uint64)
        _, offsets, data = text.buffers()
        bounds = np.frombuffer(offsets, dtype=np.int64)[text.offset : text.offset + len(text) + 1]
        _hash_text(bounds, np.frombuffer(data, dtype=np.uint8) if data else np.empty(0, np.uint8), hashes)
    else:
        hashes = np.empty(len(column), dtype=np.uint64)
        _hash_integers(whole_numbers(column), hashes)
    if column.null_count:
        hashes[np.asarray(pc.is_null(column))] = NULL_PART
    return hashes


def whole_numbers(column: pa.Array) -> NDArray[np.int64]:
    """(n,) the 64 bits of each value; nulls come as 0. Without a copy where the column holds 64 bits and no null.

    Raises ColumnMistyped for a column that is not of whole numbers, booleans or times.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_uint64(kind):
        return np.asarray(pc.fill_null(column, 0)).view(np.int64)
    if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind)):
        raise ColumnMistyped(
            f"a key of type {kind} has no exact equality",
            found=str(kind),
            expected="whole numbers, text, booleans or times",
            next="cast it in the source's sql, e.g. to bigint or varchar",
        )
    if pa.types.is_date(kind):
        column = column.cast(pa.date32()).cast(pa.int32())
    elif pa.types.is_temporal(kind):
        column = column.view(pa.int64()) if kind.bit_width == 64 else column.view(pa.int32())
    numbers: Any = column.cast(pa.int64())
    if numbers.null_count:
        numbers = pc.fill_null(numbers, 0)
    return words(numbers)


@numba.njit(cache=True, nogil=True, inline="always")
def _splitmix(x: np.uint64) -> np.uint64:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@numba.njit(cache=True, nogil=True)
def _hash_integers(values: NDArray[np.int64], hashes: Hashes) -> None:
    for i in range(values.size):
        hashes[i] = _splitmix(np.uint64(values[i]) + GOLDEN)


@numba.njit(cache=True, nogil=True)
def _hash_text(bounds: NDArray[np.int64], data: NDArray[np.uint8], hashes: Hashes) -> None:
    for i in range(bounds.size - 1):
        start, stop = bounds[i], bounds[i + 1]
        state = np.uint64(stop - start) * GOLDEN
        for at in range(start, stop, 8):
            word = np.uint64(0)
            for k in range(min(8, stop - at)):
                word |= np.uint64(data[at + k]) << np.uint64(8 * k)
            state = _splitmix((state ^ word) + GOLDEN)
        hashes[i] = _splitmix(state ^ np.uint64(0xA5A5A5A5A5A5A5A5))


@numba.njit(cache=True, nogil=True)
def _mix(hashes: Hashes, part: Hashes, place: np.uint64) -> None:
    for i in range(hashes.size):
        hashes[i] = _splitmix((hashes[i] ^ part[i]) + place)


@numba.njit(cache=True, nogil=True)
def _fill_order(buckets: NDArray[np.uint16], cursors: NDArray[np.int64], order: NDArray[np.int64]) -> None:
    for i in range(buckets.size):
        bucket = buckets[i]
        order[cursors[bucket]] = i
        cursors[bucket] += 1
