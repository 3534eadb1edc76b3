"""Which events does an online state begin with, without making any before somebody asks?

A table of events is grouped by key at once, which numpy does in milliseconds; an entity's events become Python's own when it is first
asked about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.data import buffers
from gonogo.data.expressions import key_column, value_column
from gonogo.data.onlinewindows import Event, Order
from gonogo.types.errors import TimeRefused
from gonogo.types.time import ALWAYS, NEVER

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from gonogo.data.planning import EventSource, Stream

    Places = NDArray[np.int64]

Lists = Callable[["Places"], list[Any]]


class Seeds:
    """The events of one stream, by entity. Each entity's are given once."""

    def __init__(self, source: EventSource, stream: Stream, events: pa.Table) -> None:
        """events: as `expressions.read_events` shapes them."""
        self._source = source
        self._spans: dict[tuple[Any, ...], tuple[int, int]] = {}
        self._places: Places = np.empty(0, np.int64)
        if not events.num_rows:
            return
        self._event_time = _times(events, "event_time", absent=ALWAYS)
        self._known_at = _times(events, "known_at", absent=None) if not source.timeless and "known_at" in events.column_names else None
        self._retracted_at = _times(events, "retracted_at", absent=NEVER) if "retracted_at" in events.column_names else None
        self._sequence = _lists(events.column("sequence"), times=True) if "sequence" in events.column_names else None
        self._keys = [_lists(events.column(key_column(key))) for key in source.keys]
        self._values = [_lists(events.column(value_column(i))) for i in range(len(source.values))]
        self._group([events.column(key_column(part)) for part in stream.by])

    def pop(self, key: tuple[Any, ...]) -> list[Event]:
        """The events of that entity in their order, duplicates included; nothing the second time."""
        span = self._spans.pop(key, None)
        if span is None:
            return []
        at = self._places[span[0] : span[1]]
        times = self._event_time(at)
        if not self._source.timeless and None in times:
            raise TimeRefused("an event has no event_time", where=f"sources.{self._source.name}", expected="a moment for every event")
        known = times if self._known_at is None else self._known_at(at)
        retracted = self._retracted_at(at) if self._retracted_at is not None else [NEVER] * len(at)
        sequence = self._sequence(at) if self._sequence is not None else [None] * len(at)
        keys = list(zip(*(lists(at) for lists in self._keys), strict=True))
        values = list(zip(*(lists(at) for lists in self._values), strict=True)) or [()] * len(at)
        events = [
            Event(_order(time, seen, number), NEVER if gone is None else gone, key + value, value)
            for time, seen, gone, number, key, value in zip(times, known, retracted, sequence, keys, values, strict=True)
            if seen is not None  # never known, so it never counts
        ]
        events.sort(key=lambda event: event.order)
        return events

    def _group(self, parts: list[pa.ChunkedArray]) -> None:
        code: Places = np.zeros(len(parts[0]), np.int64)
        names: list[list[Any]] = []
        for part in parts:
            words, own = _encoded(part.combine_chunks())
            names.append(words)
            code = np.where((code < 0) | (own < 0), -1, code * max(1, len(names[-1])) + own)
        order = np.argsort(code, kind="stable")
        ordered = code[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-2))
        ends = np.append(starts[1:], len(ordered))
        for start, end, combined in zip(starts.tolist(), ends.tolist(), ordered[starts].tolist(), strict=True):
            if combined < 0:
                continue  # null matches nothing
            key = []
            for of in reversed(names):
                combined, at = divmod(combined, max(1, len(of)))
                key.append(of[at])
            self._spans[tuple(reversed(key))] = (start, end)
        self._places = order


def rising(events: pa.Table, *, at_most: int) -> list[tuple[int, int]]:
    """(event_time, known_at) of the events that were newer than everything known before them, by when they were known; the last ones.

    events: as `expressions.read_events` shapes them. Those that were never known are left out.
    """
    at = np.arange(events.num_rows)
    times = np.array([NEVER if time is None else time for time in _times(events, "event_time", absent=NEVER)(at)], np.int64)
    known = times
    if "known_at" in events.column_names:
        known = np.array([NEVER if time is None else time for time in _times(events, "known_at", absent=NEVER)(at)], np.int64)
    order = np.lexsort((times, known))
    order = order[(known[order] < NEVER) & (times[order] < NEVER)]
    times, known = times[order], known[order]
    newest = np.maximum.accumulate(times) if times.size else times
    rises = np.concatenate([np.zeros(min(1, times.size), np.int64), np.flatnonzero(newest[1:] > newest[:-1]) + 1])[-at_most:]
    return list(zip(times[rises].tolist(), known[rises].tolist(), strict=True))


def _order(time: int, known: int, sequence: Any) -> Order:
    return time, known, (0, 0) if sequence is None else (1, sequence)


def _times(events: pa.Table, name: str, *, absent: int | None) -> Lists:
    """Times as integers; where the table has no such column, `absent` for all."""
    if name not in events.column_names:
        return lambda at: [absent] * len(at)
    return _lists(events.column(name), times=True)


def _lists(column: pa.ChunkedArray, *, times: bool = False) -> Lists:
    """A function from places to Python values, None for null; -0.0 as 0.0. times: aware moments as µs."""
    import pyarrow as pa

    array = column.combine_chunks()
    if times and pa.types.is_timestamp(array.type) and array.type.tz is not None:
        array = array.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        words, codes = _encoded(array)
        words.append(None)  # the word of code -1
        return lambda at: [words[code] for code in codes[at].tolist()]
    numbers = _numbers(array)
    if numbers is not None:
        if not array.null_count:
            return lambda at: numbers[at].tolist()
        null = _nulls(array)
        return lambda at: [None if no else number for number, no in zip(numbers[at].tolist(), null[at].tolist(), strict=True)]
    held = np.empty(len(array), object)
    held[:] = array.to_pylist()
    return lambda at: held[at].tolist()


def _numbers(array: pa.Array) -> NDArray[Any] | None:
    """The numbers or flags of a column, anything where null; None for what is neither."""
    import pyarrow as pa

    if pa.types.is_boolean(array.type):
        return buffers.words(array.cast(pa.int64())).astype(np.bool_)
    if pa.types.is_integer(array.type) and array.type != pa.uint64():
        return buffers.words(array.cast(pa.int64()))
    if pa.types.is_floating(array.type):
        return buffers.words(array.cast(pa.float64()), np.float64) + 0.0
    return None


def _encoded(array: pa.Array) -> tuple[list[Any], Places]:
    """Each distinct value once, and each row's place among them, -1 for null."""
    import pyarrow as pa

    encoded = array.dictionary_encode()
    codes = buffers.words(encoded.indices.cast(pa.int64()))
    return encoded.dictionary.to_pylist(), np.where(_nulls(encoded.indices), -1, codes) if encoded.indices.null_count else codes


def _nulls(array: pa.Array) -> NDArray[np.bool_]:
    """Not by way of fill_null, whose scalar makes Arrow import pandas, where it is installed: a second of a server's start."""
    import pyarrow as pa

    return buffers.words(array.is_null().cast(pa.int64())).astype(np.bool_)
