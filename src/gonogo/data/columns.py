"""What are the columns of one stream: the events of a source by one key, against the rows?

Between Arrow and the arrays of `asof.py`: keys become codes, values become integers, counts and totals become numbers and nulls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gonogo.data import asof
from gonogo.data.asof import ALL, ALWAYS, NEVER, Codes, Events, Flags, Grouped, Ints, Labels
from gonogo.data.expressions import key_column, value_column
from gonogo.data.kernels import EMPTY
from gonogo.data.keys import KeyTable
from gonogo.data.planning import EventFeature, EventSource, Measure, Stream, Value, column_name
from gonogo.data.values import check_finite, check_load, decimal_ints, held_ints
from gonogo.types.errors import KeysRefused, TimeRefused

if TYPE_CHECKING:
    import pyarrow as pa

FARTHEST = 2**61  # microseconds, some 73,000 years: a sum of a time and a window stays inside 64 bits


def stream_name(stream: Stream) -> str:
    """What a person calls the stream: "departures by carrier, origin"."""
    return f"{stream.source} by {', '.join(stream.by)}" if stream.by else stream.source


class EventTable:
    """The events of one source, their times as integers, each value converted once."""

    def __init__(self, source: EventSource, table: pa.Table) -> None:
        self.source = source
        self.table = table
        self.event_time = self._times("event_time", missing=None)
        self.known_at = self._times("known_at", missing=NEVER)
        self.retracted_at = self._times("retracted_at", missing=NEVER) if source.retracted_at else None
        self._held: dict[Value, tuple[Ints, Flags | None]] = {}

    def held(self, value: Value) -> tuple[Ints, Flags | None]:
        """The held integers of a value, and 1 where there is one (None: everywhere)."""
        if value not in self._held:
            self._held[value] = held_ints(self.column(value), value, where=self.where)
        return self._held[value]

    def column(self, value: Value) -> pa.ChunkedArray:
        """The value as it was read."""
        return self.table[value_column(self.source.values.index(value))]

    @property
    def where(self) -> str:
        """The place for errors."""
        return f"sources.{self.source.name}"

    def _times(self, name: str, *, missing: int | None) -> Ints:
        if self.source.timeless:
            return np.full(len(self.table), ALWAYS, np.int64)
        column = self.table[name if name in self.table.column_names else "event_time"].combine_chunks()
        if column.null_count and missing is None:
            raise TimeRefused(
                f"{column.null_count:,} of {len(column):,} events of {self.source.name} have no {name}",
                where=self.where,
                expected="a moment for every event",
                next=f"in the source's sql: where {self.source.event_time} is not null",
            )
        times = np.asarray(_int64(column, missing))
        last = times[times != NEVER] if missing == NEVER else times
        if last.size and (int(last.max()) > FARTHEST or int(last.min()) < -FARTHEST):
            raise TimeRefused(f"{name} of {self.source.name} is absurd", where=self.where, expected="moments within 70,000 years")
        return times


def _int64(column: pa.Array, missing: int | None) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    times = column.view(pa.int64())
    return pc.fill_null(times, missing) if times.null_count else times


@dataclass(frozen=True, kw_only=True, slots=True)
class Matched:
    """Which entity each row and each event belongs to: shared codes from 0, -1 where nothing can match."""

    rows: Codes
    events: Codes
    n_entities: int


class StreamColumns:
    """One stream against the rows: events and labels matched and sorted once, then a column at a time."""

    def __init__(self, stream: Stream, table: EventTable, matched: Matched, decided_at: Ints, *, boundary: str) -> None:
        self.stream, self.table, self.decided_at = stream, table, decided_at
        self.labels: Labels = asof.group_labels(matched.rows, matched.n_entities, decided_at)
        grouped = asof.group_events(matched.events, matched.n_entities, table.event_time, table.known_at)
        settled = asof.settle(grouped, sequence=self._sequence(), likeness=self._likeness)
        self.n_duplicates = settled.n_duplicates
        if settled.conflicts.size:
            self._refuse_conflicts(settled.conflicts, is_half_retracted=self._is_half_retracted(grouped, settled.n_duplicates))
        self.events: Events = asof.time_events(settled.events, table.retracted_at, boundary=boundary)

    def columns(self) -> dict[str, pa.Array]:
        """Column name → its values."""
        made: dict[str, pa.Array] = {}
        for feature in self.stream.features:
            made.update(FeatureColumns(self, feature).columns())
        return made

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values of the table in the order of the sorted events."""
        return values[self.events.order]

    def _sequence(self) -> Callable[[Ints], Ints] | None:
        return self._ranks if self.table.source.sequence else None

    def _ranks(self, events: Ints) -> Ints:
        import pyarrow as pa
        import pyarrow.compute as pc

        taken = self.table.table["sequence"].take(events).combine_chunks()
        if not _uses_last(self.stream):  # nothing asks who came first: which are equal is enough, and costs no sort
            return _codes_with_nulls(taken)
        if pa.types.is_dictionary(taken.type):
            taken = taken.cast(pa.string())
        ranks = np.array(pc.rank(taken, sort_keys="ascending", tiebreaker="dense"), np.int64)
        ranks[np.asarray(taken.is_null())] = 0  # no sequence comes before any
        return ranks

    def _is_half_retracted(self, grouped: Grouped, n_duplicates: int) -> bool:
        """Whether an event stands there twice and only one of the two is retracted, or each at another time."""
        if self.table.retracted_at is None:
            return False
        settled = asof.settle(grouped, sequence=self._sequence(), likeness=lambda events: self._likeness(events, but="retracted_at"))
        return settled.n_duplicates > n_duplicates

    def _likeness(self, events: Ints, but: str = "") -> Ints:
        """Codes that are equal where two rows are equal in everything that any feature of the source uses, but for one column."""
        taken = self.table.table.select([name for name in self.table.table.column_names if name != but]).take(events)
        unlike = np.zeros(len(taken), np.int64)
        for column in taken.columns:
            codes = _codes_with_nulls(column.combine_chunks())
            _, unlike = np.unique(unlike * (int(codes.max()) + 1) + codes, return_inverse=True)
        return unlike

    def _refuse_conflicts(self, conflicts: Ints, *, is_half_retracted: bool) -> None:
        source = self.table.source
        if not source.sequence and not _uses_last(self.stream) and not is_half_retracted:
            return  # nothing that is asked depends on which of them came first
        row = self.table.table.slice(int(conflicts.min()), 1).to_pylist()[0]
        told = ", ".join(f"{name.removeprefix('key ')} = {value}" for name, value in row.items() if not name.startswith("value "))
        raise KeysRefused(
            f"{conflicts.size:,} events of {source.name} stand at one place of the order as another one and differ from it",
            where=f"sources.{source.name}, row with {told or 'the same key'}",
            found="equal key, event_time, known_at"
            + (f" and {source.sequence}" if source.sequence else ", and no sequence to settle them"),
            expected="a total order (event_time, known_at, sequence): which one is the last is otherwise a matter of luck",
            next="keep one row of each event, with its retracted_at, in the source's sql"
            if is_half_retracted
            else "declare a sequence column that is unique among them, or take one of them in the source's sql",
        )


def _uses_last(stream: Stream) -> bool:
    return any(measure.function == "last" for feature in stream.features for measure in feature.measures)


def _codes_with_nulls(column: pa.Array) -> Ints:
    """Codes from 0 that are equal where the values are; null is a value of its own."""
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
    return np.asarray(pc.fill_null(encoded.indices.cast(pa.int64()), -1)) + 1


def match_keys(stream: Stream, events: pa.Table, rows: pa.Table) -> Matched:
    """The entities of rows and events. A key with a null part matches nothing."""
    import pyarrow as pa

    if not stream.by:
        return Matched(rows=np.zeros(len(rows), np.int32), events=np.zeros(len(events), np.int32), n_entities=1)
    theirs = [events[key_column(key)].combine_chunks() for key in stream.by]
    ours = [_alike(rows[key].combine_chunks(), their.type) for key, their in zip(stream.by, theirs, strict=True)]
    keys = KeyTable([pa.chunked_array([column]) for column in ours])
    return Matched(rows=keys.learnt, events=keys.codes([_alike(column, column.type) for column in theirs]), n_entities=keys.n_keys)


def _alike(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Text as text, whatever its encoding; other keys as they are on the side of the events."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return column if is_text or pa.types.is_dictionary(kind) or pa.types.is_integer(kind) else column.cast(kind)


class FeatureColumns:
    """The columns of one feature: all windows of an aggregate in one pass."""

    def __init__(self, stream: StreamColumns, feature: EventFeature) -> None:
        self.stream, self.feature = stream, feature
        self.windows: Ints = np.array([ALL if span.us is None else span.us for span in feature.spans], np.int64)
        self.met: Flags | None = None  # 1 where the feature's condition holds
        if feature.where is not None:
            holds, present = stream.table.held(feature.where)
            self.met = stream.gather(holds if present is None else holds * present).astype(np.uint8)

    def columns(self) -> dict[str, pa.Array]:
        """Column name → its values."""
        made: dict[str, pa.Array] = dict(self._added())
        for measure in self.feature.measures:
            make = {"last": self._last, "age": self._age, "min": self._extreme, "max": self._extreme, "distinct": self._distinct}
            if measure.function in make:
                made.update(
                    zip(
                        (column_name(self.feature.name, measure, s) for s in self.feature.spans),
                        make[measure.function](measure),
                        strict=True,
                    )
                )
        return made

    def usable(self, value: Value) -> Flags | None:
        """1 for the events, as sorted, that have the value and meet the condition; None: all."""
        _, present = self.stream.table.held(value)
        return self._both(None if present is None else self.stream.gather(present))

    def _both(self, present: Flags | None) -> Flags | None:
        if present is None or self.met is None:
            return self.met if present is None else present
        return present & self.met

    def held(self, value: Value, usable: Flags | None) -> Ints:
        """The held integers as sorted, 0 where not usable."""
        values, _ = self.stream.table.held(value)
        gathered: Ints = self.stream.gather(values)
        if usable is not None:
            gathered *= usable
        check_load(gathered, self.stream.events.starts, value, where=self.stream.table.where)
        return gathered

    def _added(self) -> Iterator[tuple[str, pa.Array]]:
        """count, sum, mean and share: everything that is a quotient of sums."""
        measures = [measure for measure in self.feature.measures if measure.function in ("count", "sum", "mean", "share")]
        if not measures:
            return
        columns: dict[Any, Ints] = {}  # what is added up, each once: a value, or how many events have it
        for measure in measures:
            usable = self.met if measure.value is None else self.usable(measure.value)
            if measure.value is not None and ("sum", measure.value) not in columns:
                columns["sum", measure.value] = self.held(measure.value, usable)
            if usable is not None and ("number", measure.value) not in columns:
                columns["number", measure.value] = usable.astype(np.int64)
        counts, totals = asof.window_sums(self.stream.events, self.stream.labels, self.windows, tuple(columns.values()))
        at = {key: i for i, key in enumerate(columns)}
        for measure in measures:
            for w, span in enumerate(self.feature.spans):
                number = totals[w, at["number", measure.value]] if ("number", measure.value) in at else counts[w]
                total = None if measure.value is None else totals[w, at["sum", measure.value]]
                yield column_name(self.feature.name, measure, span), _quotient(measure, number, total)

    def _latest(self, value: Value | None) -> tuple[Ints, list[NDArray[np.bool_]]]:
        found = asof.latest(self.stream.events, self.stream.labels, self.met if value is None else self._present(value))
        inside = [asof.within(self.stream.events, found, self.stream.decided_at, int(window)) for window in self.windows]
        return found, inside

    def _present(self, value: Value) -> Flags | None:
        column = self.stream.table.column(value)
        present = np.asarray(column.combine_chunks().is_valid()).astype(np.uint8) if column.null_count else None
        return self._both(None if present is None else self.stream.gather(present))

    def _age(self, measure: Measure) -> Iterator[pa.Array]:
        import pyarrow as pa

        found, inside = self._latest(None)
        for known in inside:
            when = self.stream.events.event_time[np.where(known, found, 0)] if self.stream.events.order.size else found
            known = known & (when != ALWAYS)  # a timeless row has no age
            ages = (self.stream.decided_at - np.where(known, when, 0)) / np.float64(1e6)
            yield pa.array(ages, mask=~known)

    def _last(self, measure: Measure) -> Iterator[pa.Array]:
        import pyarrow as pa

        value = _of(measure)
        column = self._output(value)
        found, inside = self._latest(value)
        for known in inside:
            rows = self.stream.events.order[np.where(known, found, 0)] if self.stream.events.order.size else found
            yield column.take(pa.array(rows, mask=~known))

    def _output(self, value: Value) -> pa.Array:
        """The value in the type of an input: int64, float64 or text."""
        import pyarrow as pa

        column = self.stream.table.column(value).combine_chunks()
        if value.held == "floating":
            check_finite(column, where=self.stream.table.where, name=value.sql)
        if value.held == "decimal":
            scaled = decimal_ints(column, self.stream.table.where) / np.float64(10.0**value.digits)
            return pa.array(scaled, mask=np.asarray(column.is_null()))
        return column

    def _extreme(self, measure: Measure) -> Iterator[pa.Array]:
        value = _of(measure)
        usable = self.usable(value)
        sign = -1 if measure.function == "max" else 1
        values = sign * self.stream.gather(self.stream.table.held(value)[0])
        for smallest in asof.window_minima(self.stream.events, self.stream.labels, self.windows, values, usable):
            none = smallest == EMPTY
            yield _number(np.where(none, 0, sign * smallest), value.digits, none)

    def _distinct(self, measure: Measure) -> Iterator[pa.Array]:
        import pyarrow as pa

        value = _of(measure)
        codes, n_codes = self._codes(value)
        if self.met is not None:
            codes = np.where(self.met == 1, codes, -1).astype(np.int32)
        for number in asof.window_distinct(self.stream.events, self.stream.labels, self.windows, codes, n_codes):
            yield pa.array(number)

    def _codes(self, value: Value) -> tuple[Codes, int]:
        import pyarrow.compute as pc

        column = self.stream.table.column(value).combine_chunks()
        if value.held == "floating":
            check_finite(column, where=self.stream.table.where, name=value.sql)
        encoded = pc.dictionary_encode(column)
        codes: Codes = np.asarray(pc.fill_null(encoded.indices, -1)).astype(np.int32)
        return self.stream.gather(codes), len(encoded.dictionary)


def _of(measure: Measure) -> Value:
    if measure.value is None:  # cannot happen: planning gives a value to every aggregate but count and age
        raise TypeError(f"{measure.slug} has no value")
    return measure.value


def _quotient(measure: Measure, number: Ints, total: Ints | None) -> pa.Array:
    """count: number. sum: total / scale. mean: total / number / scale, in this order. share: total / number. Null where number is 0."""
    import pyarrow as pa

    if total is None:
        return pa.array(number)
    none = number == 0
    if measure.function == "sum":
        return _number(total, _of(measure).digits, none)
    quotient = total / np.where(none, 1, number).astype(np.float64)
    if measure.function == "mean":
        quotient = quotient / np.float64(10.0 ** _of(measure).digits)
    return pa.array(quotient, mask=none)


def _number(held: Ints, digits: int, none: NDArray[np.bool_]) -> pa.Array:
    import pyarrow as pa

    return pa.array(held / np.float64(10.0**digits) if digits else held, mask=none)
