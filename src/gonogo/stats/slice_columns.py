"""Into which slices does a column cut the rows?

Every row is in exactly one slice of a column. Words and few numbers are slices as they stand; many numbers are cut into bins of about
equally many rows, at edges that a person can read. A missing value is a slice of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from gonogo.types.evidence import Array, IntArray

Columns: TypeAlias = Mapping[str, Any]  # name → (n,) values: an array, a list, a column of a data frame

ABSENT = "(none)"  # the slice of rows without a value
MOST_SLICES = 10_000  # of one column: more are names of rows, not groups of them
FEW_NUMBERS = 20  # so many distinct numbers stay as they are
_NARROW = 1 << 16  # whole numbers within so many of one another are counted rather than sorted
_MOST_CODES = (1 << 15) - 2  # that an int16 can number
_LOOKED_AT = 100_000  # rows that the edges of bins are read off
_MOVED = 0.02  # of the rows that rounding an edge may send to the neighbouring bin


@dataclass(frozen=True, kw_only=True, slots=True)
class Categories:
    """A column of words as numbers, as data frames hold one."""

    codes: IntArray  # (n,) places in `categories`; −1 is a missing value
    categories: Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """The rows told apart by one column, or by a pair of them."""

    labels: tuple[str, ...]  # "origin=JFK", "distance=[500, 1000)", "origin=JFK & carrier=AA"
    code: NDArray[np.int16]  # (n,) which of the labels each row has


def cut_columns(columns: Columns, n: int, *, bins: int = 5, pairs: bool = False) -> tuple[Cut, ...]:
    """A cut for each column, and after them one for each pair of columns where pairs are asked for. A column may be Categories.

    Raises ValueError for a column of another length, or of more than MOST_SLICES values.

    >>> [cut.labels for cut in cut_columns({"late": [True, False, True]}, 3)]
    [('late=False', 'late=True')]
    """
    if bins < 2:
        raise ValueError(f"{bins} bins: two are the least that tell rows apart")
    single = tuple(_cut(name, column, n, bins) for name, column in columns.items())
    return single + tuple(cross(a, b) for a, b in itertools.combinations(single, 2)) if pairs else single


def cross(a: Cut, b: Cut) -> Cut:
    """The rows told apart by two cuts at once; only what occurs becomes a slice."""
    code = a.code.astype(np.int64) * len(b.labels) + b.code
    present, code = _renumbered(code, len(a.labels) * len(b.labels))
    _require_few(len(present), "a pair of columns")
    labels = tuple(f"{a.labels[pair // len(b.labels)]} & {b.labels[pair % len(b.labels)]}" for pair in present.tolist())
    return Cut(labels=labels, code=code.astype(np.int16))


def bin_edges(numbers: Array, bins: int) -> Array:
    """At most bins − 1 edges, rising, between which about equally many of the numbers lie; rounded as far as few of them change sides.

    numbers: (n,) no NaN. The same numbers in the same order give the same edges.

    >>> bin_edges(np.arange(1003.0), 4)
    array([250., 500., 750.])
    """
    looked_at = np.sort(numbers[:: max(1, -(-len(numbers) // _LOOKED_AT))])
    looked_at = looked_at[np.isfinite(looked_at)]
    if not len(looked_at):
        return np.zeros(0)
    wanted = np.unique(looked_at[(np.arange(1, bins) * len(looked_at)) // bins])
    wanted = wanted[wanted > looked_at[0]]
    return next((edges for edges in _rounded(wanted) if _is_near(edges, wanted, looked_at)), wanted)


def cut_numbers(name: str, numbers: Array, bins: int) -> Cut:
    """The rows by bins of a number; NaN is a slice of its own. numbers: (n,) float64."""
    missing = np.isnan(numbers)
    edges = bin_edges(numbers[~missing] if missing.any() else numbers, bins)
    code: NDArray[np.signedinteger[Any]] = np.zeros(len(numbers), dtype=np.int8 if bins < 100 else np.int16)
    for edge in edges.tolist():
        code += (numbers >= edge).view(np.int8)
    labels = _bin_labels(name, edges)
    if missing.any():
        code[missing] = len(labels)
        labels = (*labels, f"{name}={ABSENT}")
    return Cut(labels=labels, code=code.astype(np.int16))


def _cut(name: str, column: Any, n: int, bins: int) -> Cut:
    column = getattr(column, "cat", column)  # a data frame's column of categories
    if hasattr(column, "codes") and hasattr(column, "categories"):
        return _cut_codes(name, np.asarray(column.codes), [str(one) for one in column.categories], n)
    values = np.asarray(column)
    if values.shape != (n,):
        raise ValueError(f"the column {name!r} has the shape {values.shape} for {n:,} rows")
    if values.dtype.kind in "iu" and n and int(values.max()) - (low := int(values.min())) < _NARROW:
        return _cut_whole_numbers(name, values, low, bins)
    if values.dtype.kind in "iuf" and not _are_few(values):
        return cut_numbers(name, values.astype(np.float64), bins)
    return _cut_values(name, values)


def _cut_whole_numbers(name: str, values: np.ndarray[Any, Any], low: int, bins: int) -> Cut:
    """Whole numbers that lie close together are counted, which is a tenth of the price of sorting them."""
    counted = np.subtract(values, low, dtype=np.int64)
    occurs = np.bincount(counted) > 0
    if int(occurs.sum()) > FEW_NUMBERS:
        return cut_numbers(name, values.astype(np.float64), bins)
    dense = counted.astype(np.int16) if occurs.all() else (np.cumsum(occurs) - 1).astype(np.int16)[counted]
    return Cut(labels=tuple(f"{name}={low + i}" for i in np.flatnonzero(occurs).tolist()), code=dense)


def _cut_codes(name: str, code: IntArray, names: Sequence[str], n: int) -> Cut:
    if code.shape != (n,):
        raise ValueError(f"the column {name!r} has the shape {code.shape} for {n:,} rows")
    present, dense = _renumbered(np.add(code, 1, dtype=np.int16 if len(names) < _MOST_CODES else np.int64), len(names) + 1)  # −1 is missing
    _require_few(len(present), f"the column {name!r}")
    return Cut(labels=tuple(f"{name}={ABSENT if i == 0 else names[i - 1]}" for i in present.tolist()), code=dense.astype(np.int16))


def _cut_values(name: str, values: np.ndarray[Any, Any]) -> Cut:
    """Each value a slice, in the order of the values where they have one, else of their names."""
    if values.dtype.kind == "b":
        return _cut_codes(name, values.astype(np.int64), ["False", "True"], len(values))
    if values.dtype.kind in "iuf":
        distinct, code = np.unique(values, return_inverse=True)
        return _cut_codes(
            name, np.where(np.isnan(distinct), -1, np.arange(len(distinct)))[code], [_number(v) for v in distinct], len(values)
        )
    numbers: dict[Any, int] = {}
    cells = values.tolist()
    code = np.fromiter((numbers.setdefault(cell, len(numbers)) for cell in cells), dtype=np.int64, count=len(cells))
    _require_few(len(numbers), f"the column {name!r}")
    names = [_name(cell) for cell in numbers]
    ordered = sorted(set(names) - {ABSENT})
    place = {one: i for i, one in enumerate(ordered)} | {ABSENT: -1}
    return _cut_codes(name, np.array([place[one] for one in names], dtype=np.int64)[code], ordered, len(values))


def _are_few(values: np.ndarray[Any, Any]) -> bool:
    head = values[:1000]
    if len(np.unique(head[head == head])) > FEW_NUMBERS:
        return False
    known = values[values == values]
    return len(np.unique(known)) <= FEW_NUMBERS


def _renumbered(code: np.ndarray[Any, Any], n_codes: int) -> tuple[IntArray, np.ndarray[Any, Any]]:
    """The codes that occur, and each row's place among them."""
    if n_codes > max(1 << 20, 4 * len(code)):
        present, dense = np.unique(code, return_inverse=True)
        return present.astype(np.int64), dense
    occurs = np.bincount(code, minlength=n_codes) > 0
    present = np.flatnonzero(occurs)
    if len(present) and present[-1] - present[0] == len(present) - 1:
        return present, code if present[0] == 0 else code - code.dtype.type(present[0])
    return present, (np.cumsum(occurs) - 1).astype(np.int32)[code]


def _rounded(edges: Array) -> Iterable[Array]:
    for digits in range(1, 16):
        yield np.array([float(f"{edge:.{digits}g}") for edge in edges.tolist()])


def _is_near(edges: Array, wanted: Array, looked_at: Array) -> bool:
    place = np.searchsorted(looked_at, edges)
    moved = place - np.searchsorted(looked_at, wanted)
    leaves_none_empty = (np.diff(np.concatenate([[0], place, [len(looked_at)]])) > 0).all()
    return bool(leaves_none_empty and (np.abs(moved) <= _MOVED * len(looked_at)).all())


def _bin_labels(name: str, edges: Array) -> tuple[str, ...]:
    if not len(edges):
        return (f"{name}=any",)
    said = _told_apart(edges.tolist())
    between = (f"[{low}, {high})" for low, high in itertools.pairwise(said))
    return tuple(f"{name}={words}" for words in (f"below {said[0]}", *between, f"{said[-1]} or more"))


def _told_apart(edges: list[float]) -> list[str]:
    """As few digits as tell them apart, four at least: a reader of 0.2917 does not miss that it is 7/24."""
    for digits in range(4, 16):
        said = [f"{edge:.{digits}g}" if abs(edge) < 10**digits else _number(edge) for edge in edges]
        if len(set(said)) == len(said):
            return said
    return [_number(edge) for edge in edges]


def _number(value: Any) -> str:
    return f"{value:.15g}"


def _name(cell: Any) -> str:
    return ABSENT if cell is None or cell != cell else str(cell)


def _require_few(n_slices: int, what: str) -> None:
    if n_slices > MOST_SLICES:
        raise ValueError(f"{what} has {n_slices:,} values: at most {MOST_SLICES:,} can be slices; cut them coarser")
