"""How do events and labels that stream by become arrays in which the rows of an entity stand together?

Two passes over the events: the keys alone say how many events each entity has, so that every other column can be written straight
to its place while it streams by, and is never held twice. What comes out is what asof.py works on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numba
import numpy as np
from numpy.typing import NDArray

from gonogo.data import asof
from gonogo.data.asof import NEVER, Codes, Flags, Ints
from gonogo.data.buckets import whole_numbers
from gonogo.data.buffers import words as bits
from gonogo.data.columns import FARTHEST
from gonogo.data.keys import KeyTable, key_class
from gonogo.data.streams import Stream
from gonogo.types.errors import ColumnMistyped, KeysRefused, ScaleRefused, TimeRefused

if TYPE_CHECKING:
    import pyarrow as pa


class EventColumns(Protocol):
    """Which columns of the events say what; see joining.Join."""

    @property
    def by(self) -> tuple[str, ...]:
        """Key columns."""

    @property
    def event_time(self) -> str:
        """When it happened."""

    @property
    def known_at(self) -> str:
        """When it was known; empty: when it happened."""

    @property
    def retracted_at(self) -> str:
        """From when it no longer counts; empty: nothing is taken back."""

    @property
    def sequence(self) -> str:
        """What settles ties; empty: nothing does."""

    @property
    def boundary(self) -> str:
        """before or at."""

    @property
    def used(self) -> tuple[str, ...]:
        """Value columns."""

    @property
    def needs_order(self) -> bool:
        """True where the answer depends on which of two tied events is the later one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Values:
    """One value column of grouped events."""

    kind: pa.DataType
    words: Ints  # (m,) the value's 64 bits; false 0 and true 1; for text its place in `text`
    present: Flags  # (m,) 1 where it is not null; empty where nothing is null
    text: pa.Array | None  # the text column as it was read

    def reordered(self, order: Ints) -> Values:
        """The same values, those at order[0], order[1], …"""
        present = self.present[order] if self.present.size else self.present
        return Values(kind=self.kind, words=self.words[order], present=present, text=self.text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gathered:
    """Events in their total order with their values, each event once."""

    events: asof.Events
    values: dict[str, Values]
    n_duplicates: int


def learn_keys(labels: Stream, by: Sequence[str], memory: Ints) -> KeyTable:
    """The keys of the labels; events of other entities are of no use to anybody.

    memory: (labels,) written over. Fresh memory is the dearest part, and the labels' times find room in the same.
    """
    import pyarrow as pa

    kind = labels.schema.field(by[0]).type
    if len(by) == 1 and not (key_class(kind) == "text" or pa.types.is_dictionary(kind)):
        missing = np.empty(0, np.bool_)
        for at, batch in _placed(labels, by):
            column = batch.column(0)
            memory[at : at + batch.num_rows] = whole_numbers(column)
            if column.null_count:
                missing = missing if missing.size else np.zeros(memory.size, np.bool_)
                missing[at : at + batch.num_rows] = np.asarray(column.is_null())
        return KeyTable.of_numbers(memory, missing)
    batches = list(labels.batches(by))
    return KeyTable([pa.chunked_array([b.column(i) for b in batches], labels.schema.field(c).type) for i, c in enumerate(by)])


def check_keys(labels: Stream, events: Stream, by: Sequence[str]) -> None:
    """Raises ColumnMistyped where a key's two columns can never be equal."""
    for name in by:
        ours, theirs = labels.schema.field(name).type, events.schema.field(name).type
        if key_class(ours) != key_class(theirs):
            raise ColumnMistyped(
                f"{name} is {key_class(ours)} in the labels and {key_class(theirs)} in the events: they can never match",
                found=f"{ours} and {theirs}",
                expected="one type on both sides",
                where=name,
                next="cast one of the two",
            )


def gather_labels(labels: Stream, by: Sequence[str], decided_at: str) -> tuple[KeyTable, asof.Labels, Ints]:
    """The labels' keys, the labels by entity and time, and their times in the order in which they came."""
    times = np.empty(labels.n_rows, np.int64)
    keys = learn_keys(labels, by, times)
    for at, batch in _placed(labels, (decided_at,)):
        times[at : at + batch.num_rows] = microseconds(batch.column(0), decided_at)
    return keys, asof.group_labels(keys.learnt, keys.n_keys, times), times


def gather_events(stream: Stream, keys: KeyTable, columns: EventColumns) -> Gathered:
    """Every event of a known entity in its place.

    Raises KeysRefused where two events stand in the same place of the order and differ, TimeRefused for times that are null or naive.
    """
    codes = np.empty(stream.n_rows, np.int32)
    for at, batch in _placed(stream, columns.by):
        codes[at : at + batch.num_rows] = keys.codes(batch.columns)
    starts = np.zeros(keys.n_keys + 1, np.int64)
    _count(codes, starts)
    times = [name for name in (columns.event_time, columns.known_at, columns.retracted_at) if name]
    arrays = _scatter(stream, codes, starts, times, columns.used)
    event_time = arrays[columns.event_time].words
    known_at = arrays[columns.known_at].words if columns.known_at else event_time
    retracted_at = arrays[columns.retracted_at].words if columns.retracted_at else None
    order, n_moved = asof.sorted_groups(starts, event_time, known_at)
    # few events are out of order in most tables: those alone change places, and no column is copied
    moved = _out_of_place(order) if n_moved else np.empty(0, np.int64)
    moves = Moves(moved, order[moved])
    for column in arrays.values():
        moves.make(column)
    order[moved] = moved
    grouped = asof.Grouped(
        starts=starts, order=order, event_time=event_time, known_at=known_at, ties=asof._ties(starts, event_time, known_at)
    )
    values = {name: arrays[name] for name in columns.used}
    settled = _settle(grouped, stream, codes, columns, values, retracted_at, moves)
    own = bool(columns.known_at) and columns.known_at not in (columns.event_time, columns.retracted_at, *columns.used)
    events = asof.time_events(settled.events, retracted_at, boundary=columns.boundary, in_place=own)
    if settled.events is not grouped:
        values = {name: column.reordered(events.order) for name, column in values.items()}
    return Gathered(events=events, values=values, n_duplicates=settled.n_duplicates)


@dataclass(frozen=True, slots=True)
class Moves:
    """Which places of a column are filled from which others."""

    to: Ints
    source: Ints

    def make(self, column: Values) -> None:
        """Change places within the column's own memory."""
        column.words[self.to] = column.words[self.source]
        if column.present.size:
            column.present[self.to] = column.present[self.source]


def _settle(
    grouped: asof.Grouped,
    stream: Stream,
    codes: Codes,
    columns: EventColumns,
    values: dict[str, Values],
    retracted_at: Ints | None,
    moves: Moves,
) -> asof.Settled:
    if not grouped.ties.size:
        return asof.Settled(events=grouped, n_duplicates=0, conflicts=np.empty(0, np.int64))
    # the sequence is read only now: without ties nobody needs it
    sequence = _scatter(stream, codes, _starts_of(codes, grouped.starts.size), (), (columns.sequence,)) if columns.sequence else {}
    for column in sequence.values():
        moves.make(column)
    settled = asof.settle(
        grouped,
        sequence=(lambda rows: _ranks(sequence[columns.sequence], rows)) if sequence else None,
        likeness=lambda rows: _likeness(rows, values, retracted_at),
    )
    if settled.conflicts.size and (columns.sequence or columns.needs_order):
        raise KeysRefused(
            f"{settled.conflicts.size} events stand in the same place of the order as another one and differ from it",
            found=f"equal {', '.join((*columns.by, columns.event_time, columns.known_at or columns.event_time))}",
            expected=f"{columns.sequence or 'a sequence column'} settles every tie",
            where="events",
            next="give a sequence that is unique among events of one entity and time, or remove one of the two",
        )
    return settled


def _starts_of(codes: Codes, n_starts: int) -> Ints:
    starts = np.zeros(n_starts, np.int64)
    _count(codes, starts)
    return starts


def _ranks(sequence: Values, rows: Ints) -> Ints:
    """(rows,) ranks from 1 of these rows' sequences; none at all comes before any."""
    words = sequence.words[rows]
    keys = words if sequence.text is None else np.asarray(sequence.text.take(words).fill_null("").to_numpy(zero_copy_only=False), dtype=str)
    _, ranks = np.unique(keys, return_inverse=True)
    ranked: Ints = np.asarray(ranks, dtype=np.int64).reshape(-1) + 1
    if sequence.present.size:
        ranked[sequence.present[rows] == 0] = 0
    return ranked


def _likeness(rows: Ints, values: dict[str, Values], retracted_at: Ints | None) -> Ints:
    """Codes that are equal where rows are equal in retraction and every used value."""
    parts = [np.zeros(rows.size, np.int64)] if retracted_at is None else [retracted_at[rows]]
    for column in values.values():
        words = column.words[rows]
        if column.text is not None:
            words = np.asarray(column.text.take(words).dictionary_encode().indices.fill_null(-1), dtype=np.int64)
        if column.present.size:
            here = column.present[rows].astype(np.int64)
            parts += [here, words * here]
        else:
            parts.append(words)
    _, codes = np.unique(np.stack(parts), axis=1, return_inverse=True)
    return np.asarray(codes, dtype=np.int64).reshape(-1)


def _placed(stream: Stream, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    at = 0
    for batch in stream.batches(columns):
        yield at, batch
        at += batch.num_rows


def _scatter(stream: Stream, codes: Codes, starts: Ints, times: Sequence[str], used: Sequence[str]) -> dict[str, Values]:
    """Columns with the rows of an entity together, inside it in the order of the stream."""
    import pyarrow as pa

    names = tuple(dict.fromkeys((*times, *used)))
    m, free = int(starts[-1]), starts[:-1].copy()
    words = {name: np.empty(m, np.int64) for name in names}
    present: dict[str, Flags] = {}
    texts: dict[str, list[Any]] = {name: [] for name in names if name not in times and _is_text(stream.schema.field(name).type)}
    for at, batch in _placed(stream, names):
        places = np.empty(batch.num_rows, np.int64)
        _place(codes[at : at + batch.num_rows], free, places)
        for name, column in zip(names, batch.columns, strict=True):
            if name in times:
                _put(microseconds(column, name, or_never=name != times[0]), places, words[name])
                continue
            if name in texts:
                texts[name].append(column.cast(pa.large_string()))
                _put(np.arange(at, at + batch.num_rows), places, words[name])
            else:
                _put(as_words(column, name), places, words[name])
            if column.null_count:
                flags = present.setdefault(name, np.ones(m, np.uint8))
                _put_flags(np.asarray(column.is_null()), places, flags)
    return {
        name: Values(
            kind=stream.schema.field(name).type,
            words=words[name],
            present=present.get(name, np.empty(0, np.uint8)),
            text=pa.chunked_array(texts[name], pa.large_string()).combine_chunks() if name in texts else None,
        )
        for name in names
    }


def _is_text(kind: pa.DataType) -> bool:
    return _class_of(kind) == "text"


def _class_of(kind: pa.DataType) -> str:
    import pyarrow as pa

    return "number" if pa.types.is_floating(kind) else key_class(kind)


def microseconds(column: pa.Array, name: str, *, or_never: bool = False) -> Ints:
    """(n,) int64 microseconds UTC of an aware time column, or of one that holds them already.

    or_never: a null is the end of time. Raises TimeRefused for other nulls, naive times and times finer than a microsecond.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if not (pa.types.is_int64(kind) or (pa.types.is_timestamp(kind) and kind.tz)):
        raise TimeRefused(
            f"{name} is {kind}, which does not say when in the world it was", found=str(kind), expected="an aware time", where=name
        )
    if pa.types.is_timestamp(kind) and kind.unit != "us":
        try:
            column = column.cast(pa.timestamp("us", tz=kind.tz))
        except pa.ArrowInvalid as error:
            raise TimeRefused(f"{name} does not fit whole microseconds", found=str(error), where=name) from error
    if column.null_count:
        if not or_never:
            raise TimeRefused(f"{name} is null in {column.null_count} rows", expected="a time in every row", where=name)
        column = pc.fill_null(column.cast(pa.int64()), NEVER)
    return _believable(bits(column), name, or_never=or_never)


def _believable(times: Ints, name: str, *, or_never: bool) -> Ints:
    last = times[times != NEVER] if or_never and times.size and times.max() == NEVER else times
    if last.size and (int(last.max()) > FARTHEST or int(last.min()) < -FARTHEST):
        raise TimeRefused(f"{name} is absurd", expected="moments within 70,000 years", where=name)
    return times


def as_words(column: pa.Array, name: str) -> Ints:
    """(n,) the 64 bits of each number, time or boolean; nulls give 0. -0.0 comes as 0.0. Raises ScaleRefused for NaN and infinities."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_floating(kind):
        column = column.cast(pa.float64())
        numbers = bits(pc.fill_null(column, 0.0) if column.null_count else column, np.float64)
        return float_words(numbers, name)
    if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind)):
        raise ColumnMistyped(f"{name} of type {kind} cannot be aggregated", found=str(kind), expected="numbers, booleans, times or text")
    if not pa.types.is_temporal(kind):
        try:
            column = column.cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise ScaleRefused(f"{name} does not fit 64 bits with a sign", found=str(error), where=name) from error
    elif kind.bit_width != 64:
        column = column.cast(pa.int32()).cast(pa.int64())
    return bits(pc.fill_null(column.cast(pa.int64()), 0) if column.null_count else column)


def float_words(numbers: NDArray[np.float64], name: str) -> Ints:
    """The bits of finite numbers, with one zero only."""
    if not np.isfinite(numbers).all():
        raise ScaleRefused(f"{name} holds NaN or an infinity", expected="finite numbers, or null for unknown", where=name)
    return (numbers + 0.0).view(np.int64)  # -0.0 + 0.0 is 0.0


@numba.njit(cache=True, nogil=True)
def _count(codes: Codes, starts: Ints) -> None:
    for code in codes:
        if code >= 0:
            starts[code + 1] += 1
    for e in range(starts.size - 1):
        starts[e + 1] += starts[e]


@numba.njit(cache=True, nogil=True)
def _place(codes: Codes, free: Ints, places: Ints) -> None:
    for i in range(codes.size):
        code = codes[i]
        places[i] = -1
        if code >= 0:
            places[i] = free[code]
            free[code] += 1


@numba.njit(cache=True, nogil=True)
def _put(words: Ints, places: Ints, out: Ints) -> None:
    for i in range(words.size):
        if places[i] >= 0:
            out[places[i]] = words[i]


@numba.njit(cache=True, nogil=True)
def _put_flags(is_null: NDArray[np.bool_], places: Ints, out: Flags) -> None:
    for i in range(is_null.size):
        if places[i] >= 0 and is_null[i]:
            out[places[i]] = 0


@numba.njit(cache=True, nogil=True)
def _out_of_place(order: Ints) -> Ints:
    n = 0
    for i in range(order.size):
        n += order[i] != i
    moved = np.empty(n, np.int64)
    n = 0
    for i in range(order.size):
        if order[i] != i:
            moved[n] = i
            n += 1
    return moved
