"""Which columns does a point-in-time join add to its labels?

The declaration of a join of files, and the step from gathered arrays to finished Arrow columns. The definitions are those of features.py,
bit for bit; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from gonogo.data import asof
from gonogo.data.asof import ALL, Flags, Ints
from gonogo.data.buffers import as_column
from gonogo.data.gather import Gathered, Values, gather_events, gather_labels
from gonogo.data.kernels import EMPTY
from gonogo.data.keys import NumberCodes
from gonogo.data.planning import Value
from gonogo.data.streams import Stream
from gonogo.data.values import check_load, held_ints
from gonogo.types.aggregate import Aggregate
from gonogo.types.errors import ColumnMistyped, ScaleRefused
from gonogo.types.time import window_us

if TYPE_CHECKING:
    import pyarrow as pa

Floats: TypeAlias = NDArray[np.float64]

BLOCK = 1 << 16  # values converted at a time: what lies between them stays in the processor's cache
ADDED = ("count", "sum", "mean", "share")  # everything that is a quotient of sums
OF_NUMBERS = ("sum", "mean", "share", "min", "max")


@dataclass(frozen=True, kw_only=True, slots=True)
class Join:
    """What is joined to what, and how: everything that the answer depends on besides the rows themselves."""

    by: tuple[str, ...]
    decided_at: str  # a column of the labels
    event_time: str
    known_at: str = ""  # empty: an event is known when it happens
    retracted_at: str = ""
    sequence: str = ""
    aggregates: tuple[Aggregate, ...] = ()
    windows: tuple[str, ...] = ("all",)
    decimals: Mapping[str, int] = field(default_factory=dict)
    boundary: str = "before"
    name: str = ""  # put before the names of the columns: "name__count__1h"

    @property
    def used(self) -> tuple[str, ...]:
        """Value columns, each once."""
        return tuple(dict.fromkeys(a.column for a in self.aggregates if a.column))

    @property
    def needs_order(self) -> bool:
        """True where the answer depends on which of two tied events is the later one."""
        return any(a.function == "last" for a in self.aggregates)

    @property
    def event_columns(self) -> tuple[str, ...]:
        """Every column of the events that is read."""
        times = (self.event_time, self.known_at, self.retracted_at, self.sequence)
        return tuple(dict.fromkeys((*self.by, *(name for name in times if name), *self.used)))

    def column(self, aggregate: Aggregate, window: str) -> str:
        """The name of one added column: "mean_amount__7d"."""
        return "__".join(part for part in (self.name, aggregate.slug, window.replace(" ", "")) if part)

    @property
    def columns(self) -> tuple[str, ...]:
        """The added columns, in their order."""
        return tuple(self.column(a, w) for a in self.aggregates for w in self.windows)


def added_schema(join: Join, events: pa.Schema) -> pa.Schema:
    """Names and types of the added columns. Raises ColumnMistyped and ScaleRefused for an aggregate that a column does not have."""
    import pyarrow as pa

    return pa.schema([(join.column(a, w), _type_of(a, events, join.decimals)) for a in join.aggregates for w in join.windows])


def _type_of(aggregate: Aggregate, events: pa.Schema, decimals: Mapping[str, int]) -> pa.DataType:
    import pyarrow as pa

    if aggregate.function in ("count", "distinct"):
        return pa.int64()
    if aggregate.function in ("age", "mean", "share"):
        _ = aggregate.column and _held(aggregate, events.field(aggregate.column).type, decimals)
        return pa.float64()
    kind = events.field(aggregate.column).type
    if aggregate.function == "last":
        return _kept_type(kind)
    value = _held(aggregate, kind, decimals)
    return pa.float64() if value.digits else pa.int64()


def _kept_type(kind: pa.DataType) -> pa.DataType:
    """The type in which the latest value is given: numbers as 64 bits, text as text, the rest as it is."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _kept_type(kind.value_type)
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return pa.int64() if pa.types.is_integer(kind) else kind


def _held(aggregate: Aggregate, kind: pa.DataType, decimals: Mapping[str, int]) -> Value:
    """How the column is held for sums, as in planning.py."""
    import pyarrow as pa

    column, function = aggregate.column, aggregate.function
    if pa.types.is_boolean(kind):
        return Value(sql=column, held="flag")
    if function == "share" or not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise ColumnMistyped(
            f"{function}({column}) of {kind} has no meaning",
            found=str(kind),
            expected="true and false" if function == "share" else "numbers",
            where=column,
        )
    if pa.types.is_integer(kind):
        return Value(sql=column, held="whole", digits=decimals.get(column, 0))
    if column not in decimals:
        raise ScaleRefused(
            f"{function}({column}) adds floats, and no number of decimals is declared for them",
            found=str(kind),
            expected=f"decimals = {{'{column}': 2}}, say: how many digits after the point are kept",
            where=column,
            next="declare decimals: sums of floats depend on the order of addition, sums of whole numbers do not",
        )
    return Value(sql=column, held="floating", digits=decimals[column])


@dataclass(frozen=True, kw_only=True, slots=True)
class Computed:
    """What is added to the labels, and what was seen on the way."""

    rows: Callable[[int, int], list[pa.Array]]  # (first, n) → the columns of these labels, in the order of `Join.columns`
    n_duplicates: int  # events that repeat another one in everything, counted once


def compute(join: Join, labels: Stream, events: Stream) -> Computed:
    """The added columns of these labels: the work of one bucket, or of a whole job that fits into memory."""
    keys, grouped, decided_at = gather_labels(labels, join.by, join.decided_at)
    gathered = gather_events(events, keys, join)
    makers = list(_Columns(join, gathered, grouped, decided_at).makers())

    def rows(first: int, n: int) -> list[pa.Array]:
        made = {name: column for maker in makers for name, column in maker(slice(first, first + n))}
        return [made[name] for name in join.columns]

    return Computed(rows=rows, n_duplicates=gathered.n_duplicates)


Maker: TypeAlias = "Callable[[slice], Iterable[tuple[str, pa.Array]]]"


class _Columns:
    """All windows of an aggregate in one pass over the events.

    What the kernels filled is made into columns a slab of labels at a time, when it is written: so no column is ever held whole.
    """

    def __init__(self, join: Join, gathered: Gathered, labels: asof.Labels, decided_at: Ints) -> None:
        self.join, self.events, self.values, self.labels, self.decided_at = join, gathered.events, gathered.values, labels, decided_at
        self.windows: Ints = np.array([ALL if us is None else us for us in map(window_us, join.windows)], np.int64)
        self._integers: dict[str, tuple[Ints, Value]] = {}

    def makers(self) -> Iterator[Maker]:
        """For each aggregate, or several of them, what makes the columns of a slab."""
        added = [a for a in self.join.aggregates if a.function in ADDED]
        if added:
            yield self._added(added)
        make = {"last": self._last, "age": self._age, "min": self._extreme, "max": self._extreme, "distinct": self._distinct}
        for aggregate in self.join.aggregates:
            if aggregate.function not in ADDED:
                yield self._named(aggregate, make[aggregate.function](aggregate))

    def _named(self, aggregate: Aggregate, make: Callable[[slice], Iterator[pa.Array]]) -> Maker:
        names = [self.join.column(aggregate, window) for window in self.join.windows]
        return lambda slab: zip(names, make(slab), strict=True)

    def _integers_of(self, aggregate: Aggregate) -> tuple[Ints, Value]:
        """The held integers of a column, 0 where null. They take the place of the words that they were made from, if nobody reads those."""
        if aggregate.column not in self._integers:
            column = self.values[aggregate.column]
            value = _held(aggregate, column.kind, self.join.decimals)
            words = column.words.view(np.float64) if value.held == "floating" else column.words
            held = column.words if self._spent(aggregate.column) else np.empty(words.size, np.int64)
            for at in range(0, words.size, BLOCK):
                held[at : at + BLOCK], _ = held_ints(as_column(words[at : at + BLOCK]), value, where=aggregate.column)
            self._integers[aggregate.column] = held, value
        return self._integers[aggregate.column]

    def _spent(self, column: str) -> bool:
        readers = {a.function for a in self.join.aggregates if a.column == column}
        times = (self.join.event_time, self.join.known_at, self.join.retracted_at)
        return column not in times and readers <= {*ADDED, "min", "max"}

    def _added(self, wanted: Sequence[Aggregate]) -> Maker:
        columns: dict[tuple[str, str], Ints] = {}  # what is added up, each once: a value, or how many events have it
        for aggregate in wanted:
            if not aggregate.column:
                continue
            held, value = self._integers_of(aggregate)
            check_load(held, self.events.starts, value, where=aggregate.column)
            columns["sum", aggregate.column] = held
            if self.values[aggregate.column].present.size:
                columns["number", aggregate.column] = self.values[aggregate.column].present.astype(np.int64)
        rounds = asof.sum_rows(self.events, self.labels, self.windows, tuple(columns.values()))
        at = {key: 1 + i for i, key in enumerate(columns)}

        def make(slab: slice) -> Iterator[tuple[str, pa.Array]]:
            sums = np.concatenate([asof.turned(by_row[slab]) for by_row in rounds]).reshape(self.windows.size, 1 + len(columns), -1)
            for aggregate in wanted:
                for w, window in enumerate(self.join.windows):
                    number = sums[w, at.get(("number", aggregate.column), 0)]
                    total = sums[w, at["sum", aggregate.column]] if aggregate.column else None
                    yield self.join.column(aggregate, window), self._quotient(aggregate, number, total)

        return make

    def _quotient(self, aggregate: Aggregate, number: Ints, total: Ints | None) -> pa.Array:
        """count: number. sum: total / scale. mean: total / number / scale, in this order. share: total / number. Null where number is 0."""
        if total is None:
            return as_column(number)
        digits = self._integers_of(aggregate)[1].digits
        if aggregate.function == "sum":
            return _scaled(total, digits, number == 0)
        quotient, none = np.empty(total.size, np.float64), np.empty(total.size, np.bool_)
        _divide(total, number, 10.0**digits if aggregate.function == "mean" else 1.0, quotient, none)
        return as_column(quotient, none)

    def _latest(self, usable: Flags | None) -> tuple[Ints, list[NDArray[np.bool_]]]:
        found = asof.latest(self.events, self.labels, usable)
        return found, [asof.within(self.events, found, self.decided_at, int(window)) for window in self.windows]

    def _age(self, aggregate: Aggregate) -> Callable[[slice], Iterator[pa.Array]]:
        found, inside = self._latest(None)

        def make(slab: slice) -> Iterator[pa.Array]:
            for known in (every[slab] for every in inside):
                when = self.events.event_time[np.where(known, found[slab], 0)] if self.events.order.size else found[slab]
                yield as_column((self.decided_at[slab] - np.where(known, when, 0)) / np.float64(1e6), ~known)

        return make

    def _last(self, aggregate: Aggregate) -> Callable[[slice], Iterator[pa.Array]]:
        column = self.values[aggregate.column]
        found, inside = self._latest(column.present if column.present.size else None)
        return lambda slab: (_picked(column, found[slab], known[slab]) for known in inside)

    def _extreme(self, aggregate: Aggregate) -> Callable[[slice], Iterator[pa.Array]]:
        held, value = self._integers_of(aggregate)
        sign = -1 if aggregate.function == "max" else 1
        present = self.values[aggregate.column].present
        signed = held if sign > 0 else -held
        found = asof.minima_rows(self.events, self.labels, self.windows, signed, present if present.size else None)

        def make(slab: slice) -> Iterator[pa.Array]:
            for smallest in asof.turned(found[slab]):
                none = np.empty(smallest.size, np.bool_)
                _turn_back(smallest, sign, none)
                yield _scaled(smallest, value.digits, none)

        return make

    def _distinct(self, aggregate: Aggregate) -> Callable[[slice], Iterator[pa.Array]]:
        column = self.values[aggregate.column]
        codes, n_codes = _codes(column)
        found = asof.window_distinct(self.events, self.labels, self.windows, codes, n_codes)
        return lambda slab: (as_column(number[slab]) for number in found)


def _codes(column: Values) -> tuple[NDArray[np.int32], int]:
    words, missing = column.words, column.present == 0
    if column.text is not None:
        encoded = column.text.dictionary_encode()
        words = np.asarray(encoded.indices.fill_null(-1)).astype(np.int64)[words]
    table = NumberCodes(words, missing)
    return table.look_up(words, missing), table.n_codes


def _picked(column: Values, found: Ints, known: NDArray[np.bool_]) -> pa.Array:
    """The values at these positions, null where none is known."""
    import pyarrow as pa

    kind = _kept_type(column.kind)
    words = column.words[np.where(known, found, 0)] if column.words.size else np.zeros(found.size, np.int64)
    if column.text is not None:
        return column.text.take(as_column(words, ~known)).cast(kind)
    if pa.types.is_floating(kind):
        return as_column(words.view(np.float64), ~known)
    numbers: Any = as_column(words, ~known)
    if pa.types.is_temporal(kind) and kind.bit_width == 32:
        return numbers.cast(pa.int32()).view(kind)
    return numbers.view(kind) if pa.types.is_temporal(kind) else numbers.cast(kind)


def _scaled(held: Ints, digits: int, none: NDArray[np.bool_]) -> pa.Array:
    """Held integers as numbers."""
    return as_column(np.divide(held, np.float64(10.0**digits)) if digits else held, none)


@numba.njit(cache=True, nogil=True)
def _divide(total: Ints, number: Ints, scale: float, out: Floats, none: NDArray[np.bool_]) -> None:
    for i in range(total.size):
        none[i] = number[i] == 0
        out[i] = 0.0 if none[i] else np.float64(total[i]) / np.float64(number[i]) / scale


@numba.njit(cache=True, nogil=True)
def _turn_back(smallest: Ints, sign: int, none: NDArray[np.bool_]) -> None:
    for i in range(smallest.size):
        none[i] = smallest[i] == EMPTY
        smallest[i] = 0 if none[i] else sign * smallest[i]
