"""Which rows belong to which slice?

Every row belongs to exactly one slice of each column, so the rows of a column's slices add up to the table: a gate can see that none is
missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gonogo.stats.slice_columns import ABSENT, cut_numbers

if TYPE_CHECKING:
    from gonogo.types.contract import Slicing
    from gonogo.types.evidence import IntArray
    from gonogo.types.protocols import Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    """The rows of a table told apart by one column, or by two at once."""

    column: str  # "origin", "origin & carrier"
    labels: tuple[str, ...]  # "origin=JFK", "carrier=other (OO+HA)"
    group: IntArray  # (n,) code of each row's label
    n_rows: tuple[int, ...]  # by label
    n_units: tuple[int, ...]  # by label
    min_units: int
    min_rows: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Values:
    """The values of a column as they stand, before pooling."""

    names: tuple[str, ...]
    codes: IntArray
    seen: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]  # (values, units): the unit has a row of that value


def partition(slices: Table, unit: IntArray, slicing: Slicing) -> Partition:
    """The rows by the values of that column; values of few units or rows refused or pooled as the contract says.

    unit: (n,) codes 0 … n_units − 1. Where pooled, every value below min_units or min_rows goes into one slice, and after them the next
    smallest ones until that slice has both. No outcome is looked at, so pooling bends no figure. Raises KeyError where the table has no
    such column.
    """
    values = _values(_cells(slices, slicing), unit)
    pooled = _pool(values, slicing) if slicing.small == "pool" else ()
    kept = tuple(v for v in range(len(values.names)) if v not in pooled)
    names = [values.names[v] for v in kept]
    target = np.full(len(values.names), len(kept), dtype=np.int64)
    target[list(kept)] = np.arange(len(kept))
    seen = [values.seen[v] for v in kept]
    if pooled:
        names.append(f"other ({'+'.join(values.names[v] for v in pooled)})")
        seen.append(values.seen[list(pooled)].any(axis=0))
    group = target[values.codes]
    return Partition(
        column=slicing.name,
        labels=tuple(f"{slicing.name}={name}" for name in names),
        group=group,
        n_rows=tuple(np.bincount(group, minlength=len(names)).tolist()),
        n_units=tuple(int(s.sum()) for s in seen),
        min_units=slicing.min_units,
        min_rows=slicing.min_rows,
    )


def _cells(slices: Table, slicing: Slicing) -> pa.Array:
    """(n,) the name of each row's slice; null where it has none."""
    first, *second = (slices.column(column).combine_chunks() for column in slicing.columns)
    names = _bins(first, slicing) if slicing.bins else first
    for other in second:
        filled = (pc.fill_null(part, ABSENT) for part in (names, other))
        names = pc.binary_join_element_wise(*filled, " & ")
    return names


def _bins(cells: pa.Array, slicing: Slicing) -> pa.Array:
    """The bin of each number, by name. A snapshot holds numbers of slices as text, and null as a word."""
    is_number = pc.fill_null(pc.match_substring_regex(cells, r"^[-+0-9.]|^nan|^inf"), fill_value=False)
    numbers = pc.cast(pc.if_else(is_number, cells, pa.scalar(None, cells.type)), pa.float64())
    cut = cut_numbers("", np.asarray(pc.fill_null(numbers, float("nan"))), slicing.bins)
    names = pa.array([label.removeprefix("=") for label in cut.labels], pa.string())
    return names.take(pa.array(cut.code))


def _values(cells: pa.Array, unit: IntArray) -> _Values:
    encoded = cells.dictionary_encode(null_encoding="encode")
    found = [ABSENT if cell is None else str(cell) for cell in encoded.dictionary.to_pylist()]
    order = sorted(range(len(found)), key=found.__getitem__)
    place = np.empty(len(found), dtype=np.int64)
    place[order] = np.arange(len(found))
    codes = place[np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)] if len(found) else np.zeros(0, dtype=np.int64)
    n_units = int(unit.max(initial=-1)) + 1
    seen = np.bincount(codes * n_units + unit, minlength=len(found) * n_units).reshape(len(found), n_units) > 0
    return _Values(names=tuple(found[i] for i in order), codes=codes, seen=seen)


def _pool(values: _Values, slicing: Slicing) -> tuple[int, ...]:
    """The values to pool, smallest first; none where every value stands on its own."""
    n_rows = np.bincount(values.codes, minlength=len(values.names))
    n_units = values.seen.sum(axis=1)
    pooled: list[int] = []
    for value in sorted(range(len(values.names)), key=lambda v: (int(n_rows[v]), v)):
        alone = n_units[value] >= slicing.min_units and n_rows[value] >= slicing.min_rows
        enough = values.seen[pooled].any(axis=0).sum() >= slicing.min_units and n_rows[pooled].sum() >= slicing.min_rows
        if not alone or (pooled and not enough):
            pooled.append(value)
    return tuple(pooled)
