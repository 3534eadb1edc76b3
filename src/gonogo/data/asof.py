"""What did the events of an entity add up to, at the moment of each label, as far as it was known?

The array level of point-in-time features: plain numpy in, plain numpy out, one call for all windows of a feature. Times are int64
microseconds UTC. For a label at t and a window of length w an event counts if

    boundary "before":  t - w <= event_time < t        and  known_at <= t  and  t < retracted_at
    boundary "at":      t - w <  event_time <= t       and  known_at <= t  and  t < retracted_at

The order of use: `group_events` → `settle` (ties and duplicates) → `time_events`; `group_labels`; then `window_sums`, `latest`,
`window_minima`, `window_distinct`. Results stand in the order of the labels that came in, one for each, always.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gonogo.data import kernels as _kernels
from gonogo.data.planning import SHIFTS as SHIFTS
from gonogo.types.time import ALWAYS as ALWAYS
from gonogo.types.time import NEVER as NEVER

Ints: TypeAlias = NDArray[np.int64]
Codes: TypeAlias = NDArray[np.int32]
Flags: TypeAlias = NDArray[np.uint8]

kernels: Any = _kernels  # compiled functions have no types of their own

CACHE_LINE = 8  # numbers of 64 bits that memory moves at once
ALL = -1  # the window without a lower end
_NONE: Ints = np.empty(0, np.int64)
_NO_FLAGS: Flags = np.empty(0, np.uint8)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grouped:
    """Events brought together by entity, inside it by (event_time, known_at). Events without an entity (code < 0) are left out."""

    starts: Ints  # (entities + 1,)
    order: Ints  # (m,) where each sorted event stands in the table it came from
    event_time: Ints  # (m,)
    known_at: Ints  # (m,)
    ties: Ints  # positions whose event has the entity, event_time and known_at of the one before it


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """Events in their total order, each of them once."""

    events: Grouped
    n_duplicates: int  # rows equal in everything to one that stays
    conflicts: Ints  # rows (of the table) that stand in the same place of the order as another one and differ from it


@dataclass(frozen=True, kw_only=True, slots=True)
class Events:
    """Events in their total order with the stretch of time in which each counts. See kernels.py for the arrays."""

    starts: Ints
    order: Ints
    event_time: Ints
    valid_from: Ints
    valid_until: Ints  # empty where nothing is ever retracted
    steady: Flags
    arrivals: Ints
    leaving_starts: Ints
    leavings: Ints
    shift: int  # 0 for the boundary "before", 1 for "at"


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """Labels by entity, inside it by time."""

    starts: Ints
    time: Ints
    order: Ints
    n: int  # rows that came in, those without an entity included


def group_events(codes: Codes, n_entities: int, event_time: Ints, known_at: Ints) -> Grouped:
    """Events by entity and (event_time, known_at): a counting sort, then a sort of only those entities that are out of order.

    codes: (rows,) entity of each event, shared with the labels; below 0 matches nothing.
    """
    starts, order = _group(codes, n_entities)
    when, known = event_time[order], known_at[order]
    moved, n_moved = sorted_groups(starts, when, known)
    if n_moved:
        order, when, known = order[moved], when[moved], known[moved]
    return Grouped(starts=starts, order=order, event_time=when, known_at=known, ties=_ties(starts, when, known))


def sorted_groups(starts: Ints, first: Ints, second: Ints, wanted: Flags = _NO_FLAGS) -> tuple[Ints, int]:
    """Positions in the order (group, first, second), and how many groups moved; only groups that are wanted are looked at."""
    # the memory comes from numpy, which asks for large pages
    order = np.empty(first.size, np.int64)
    n_moved = int(kernels.sort_groups(starts, first, second, wanted, order))
    return order, n_moved


def _group(codes: Codes, n_entities: int) -> tuple[Ints, Ints]:
    order = np.empty(codes.size, np.int64)
    starts = kernels.group(_own(codes), n_entities, order)
    return starts, order[: int(starts[-1])]


def _own(codes: Codes) -> Codes:
    # a read-only array is another type to the compiler, and would cost a compilation of its own
    return np.require(codes, np.int32, ["C", "W"])


def _ties(starts: Ints, event_time: Ints, known_at: Ints) -> Ints:
    ties = np.flatnonzero(event_time[1:] == event_time[:-1]) + 1
    ties = ties[known_at[ties] == known_at[ties - 1]]
    firsts = starts[np.searchsorted(starts, ties)] == ties if ties.size else np.zeros(0, bool)
    strangers: Ints = ties[~firsts]
    return strangers


def settle(events: Grouped, *, sequence: Callable[[Ints], Ints] | None, likeness: Callable[[Ints], Ints]) -> Settled:
    """The total order (event_time, known_at, sequence), duplicates taken once.

    sequence: rows of the table → ranks of their sequence; None where the source has none. likeness: rows → codes that are equal where the
    rows are equal in sequence, retraction and every value that is used. Both are asked about tied rows only.
    """
    if not events.ties.size:
        return Settled(events=events, n_duplicates=0, conflicts=_NONE)
    tied = np.zeros(events.order.size, bool)
    tied[events.ties] = True
    heads = events.ties[~tied[events.ties - 1]] - 1
    members = np.sort(np.concatenate([events.ties, heads]))
    run = np.cumsum(~tied[members])
    rows = events.order[members]
    rank = np.zeros(rows.size, np.int64) if sequence is None else sequence(rows)
    by = np.lexsort((rank, run))
    rows, run, rank = rows[by], run[by], rank[by]
    same_place = (run[1:] == run[:-1]) & (rank[1:] == rank[:-1])
    order = events.order.copy()
    order[members] = rows
    if not same_place.any():
        return Settled(events=replace(events, order=order, ties=_NONE), n_duplicates=0, conflicts=_NONE)
    return _drop_duplicates(replace(events, order=order), members, same_place, likeness)


def _drop_duplicates(events: Grouped, members: Ints, same_place: NDArray[np.bool_], likeness: Callable[[Ints], Ints]) -> Settled:
    """members: tied positions, now in the order of their sequence; same_place: whether each, from the second on, shares its place."""
    doubtful = np.zeros(members.size, bool)
    doubtful[1:] = same_place
    doubtful[:-1] |= same_place
    places = members[doubtful]
    group = np.cumsum(~np.concatenate([[False], same_place])[doubtful])
    alike = likeness(events.order[places])
    by = np.lexsort((alike, group))
    order = events.order.copy()
    order[places] = order[places][by]
    again = group[by][1:] == group[by][:-1]
    same = again & (alike[by][1:] == alike[by][:-1])
    conflicts = order[places[1:][again & ~same]]
    kept = np.ones(order.size, bool)
    kept[places[1:][same]] = False
    return Settled(events=_keep(replace(events, order=order), kept), n_duplicates=int(same.sum()), conflicts=conflicts)


def _keep(events: Grouped, kept: NDArray[np.bool_]) -> Grouped:
    if kept.all():
        return events
    before = np.concatenate([[0], np.cumsum(kept)])
    return Grouped(
        starts=before[events.starts],
        order=events.order[kept],
        event_time=events.event_time[kept],
        known_at=events.known_at[kept],
        ties=_NONE,
    )


def time_events(events: Grouped, retracted_at: Ints | None, *, boundary: str, in_place: bool = False) -> Events:
    """The stretch of time in which each event counts; retracted_at is in the order of the table, NEVER where it is not retracted.

    in_place: the memory of known_at, which nobody reads afterwards, is written over.
    """
    shift = SHIFTS[boundary]
    until = _NONE if retracted_at is None else retracted_at[events.order]
    if until.size and (until == NEVER).all():
        until = _NONE
    valid_from = events.known_at if in_place else np.empty_like(events.event_time)
    steady = np.empty(events.starts.size - 1, np.uint8)
    n_unsteady = kernels.validity(events.starts, events.event_time, events.known_at, until, shift, valid_from, steady)
    arrivals, leavings, leaving_starts = _NONE, _NONE, events.starts
    if n_unsteady:
        arrivals, _ = sorted_groups(events.starts, valid_from, valid_from, 1 - steady)
    if until.size:
        leavings, leaving_starts = _leavings(events.starts, valid_from, until)
    return Events(
        starts=events.starts,
        order=events.order,
        event_time=events.event_time,
        valid_from=valid_from,
        valid_until=until,
        steady=steady,
        arrivals=arrivals,
        leaving_starts=leaving_starts if until.size else np.zeros_like(events.starts),
        leavings=leavings,
        shift=shift,
    )


def _leavings(starts: Ints, valid_from: Ints, until: Ints) -> tuple[Ints, Ints]:
    leaves = (until != NEVER) & (valid_from != NEVER)
    leaving_starts = np.concatenate([[0], np.cumsum(leaves)])[starts]
    positions = np.flatnonzero(leaves)
    by, _ = sorted_groups(leaving_starts, until[positions], until[positions])
    return positions[by], leaving_starts


def group_labels(codes: Codes, n_entities: int, decided_at: Ints) -> Labels:
    """Labels by entity and time; those without an entity (code < 0) get the answer of no events."""
    starts, order = _group(codes, n_entities)
    time = decided_at[order]
    if not kernels.in_order(starts, time):
        moved, _ = sorted_groups(starts, time, time)
        order, time = order[moved], time[moved]
    return Labels(starts=starts, time=time, order=order, n=codes.size)


def window_sums(events: Events, labels: Labels, windows: Ints, columns: tuple[Ints, ...]) -> tuple[Ints, Ints]:
    """Counts (windows, labels) of events, and totals (windows, columns, labels).

    windows: lengths in microseconds, ALL for no lower end. columns: each (m,) in the order of the sorted events; 0 where it adds nothing.
    Sums are exact if no window's sum of absolute values reaches 2^63: see values.check_load.
    """
    prefix = np.zeros((len(columns), events.order.size + 1), np.int64)
    for row, column in zip(prefix, columns, strict=True):
        np.cumsum(column, out=row[1:])
    width = 1 + len(columns)
    made = np.empty((windows.size, width, labels.n), np.int64)
    at_once = max(1, CACHE_LINE // width)
    memory = np.empty(labels.n * width * min(at_once, windows.size), np.int64)  # one for all rounds: fresh memory is the dearest part
    for w in range(0, windows.size, at_once):
        part = windows[w : w + at_once]
        by_row = memory[: labels.n * part.size * width].reshape(labels.n, part.size * width)
        by_row[:] = 0
        kernels.sums(*_windowed(events, labels, part), prefix, by_row)
        _turn(by_row, made[w : w + at_once].reshape(part.size * width, labels.n))
    return made[:, 0], made[:, 1:]


def sum_rows(events: Events, labels: Labels, windows: Ints, columns: tuple[Ints, ...]) -> list[Ints]:
    """What window_sums gives, as the rows that were filled: (labels, some windows × (1 + columns)), for all windows in turn."""
    prefix = np.zeros((len(columns), events.order.size + 1), np.int64)
    for row, column in zip(prefix, columns, strict=True):
        np.cumsum(column, out=row[1:])
    width = 1 + len(columns)
    at_once = max(1, CACHE_LINE // width)
    made = []
    for w in range(0, windows.size, at_once):
        part = windows[w : w + at_once]
        made.append(_lines(labels.n, part.size * width))
        kernels.sums(*_windowed(events, labels, part), prefix, made[-1])
    return made


def _lines(n: int, width: int) -> Ints:
    """(n, width) zeros; a row of CACHE_LINE numbers is one line of the cache, not parts of two."""
    memory = np.zeros(n * width + CACHE_LINE, np.int64)
    first = -(memory.ctypes.data // 8) % CACHE_LINE
    return memory[first : first + n * width].reshape(n, width)


def minima_rows(events: Events, labels: Labels, windows: Ints, values: Ints, usable: Flags | None = None) -> Ints:
    """What window_minima gives, as (labels, windows): an entity's labels stay in the cache from window to window."""
    out = _lines(labels.n, windows.size)
    out[:] = kernels.EMPTY
    kernels.minima(*_windowed(events, labels, windows), values, _NO_FLAGS if usable is None else usable, out.T)
    return out


def turned(by_row: Ints) -> Ints:
    """(columns, rows) of some (rows, columns), as memory of its own."""
    by_column = np.empty(by_row.shape[::-1], np.int64)
    _turn(by_row, by_column)
    return by_column


def _turn(by_row: Ints, by_column: Ints) -> None:
    # in blocks that fit into the processor's cache: eight times as fast as one transposition
    for row in range(0, by_row.shape[0], 4096):
        by_column[:, row : row + 4096] = by_row[row : row + 4096].T


def latest(events: Events, labels: Labels, usable: Flags | None = None) -> Ints:
    """(labels,) position among the sorted events of the latest one that counts and is usable, however old; -1 for none."""
    found = np.full(labels.n, -1, np.int64)
    kernels.latest(
        events.starts,
        events.valid_from,
        events.valid_until,
        events.steady,
        events.arrivals,
        events.leaving_starts,
        events.leavings,
        labels.starts,
        labels.time,
        labels.order,
        _NO_FLAGS if usable is None else usable,
        found,
    )
    return found


def within(events: Events, found: Ints, decided_at: Ints, window: int) -> NDArray[np.bool_]:
    """(labels,) whether the event that `latest` found lies inside the window."""
    some = found >= 0
    if window == ALL or not some.any():
        return some
    when = events.event_time[np.where(some, found, 0)]
    # a timeless event is older than any window; its time must not be subtracted from, it is the smallest number there is
    inside: NDArray[np.bool_] = some & (when != ALWAYS) & (when >= decided_at - window + events.shift)
    return inside


def window_minima(events: Events, labels: Labels, windows: Ints, values: Ints, usable: Flags | None = None) -> Ints:
    """(windows, labels) smallest usable value; kernels.EMPTY for none. For the largest, ask for the smallest of the negated values."""
    out = np.full((windows.size, labels.n), kernels.EMPTY, np.int64)
    kernels.minima(*_windowed(events, labels, windows), values, _NO_FLAGS if usable is None else usable, out)
    return out


def window_distinct(events: Events, labels: Labels, windows: Ints, codes: Codes, n_codes: int) -> Ints:
    """(windows, labels) number of different codes; events with a code below 0 are not counted."""
    out = np.zeros((windows.size, labels.n), np.int64)
    kernels.distinct(*_windowed(events, labels, windows), codes, n_codes, out)
    return out


def _windowed(events: Events, labels: Labels, windows: Ints) -> tuple[Any, ...]:
    return (
        events.starts,
        events.event_time,
        events.valid_from,
        events.valid_until,
        events.steady,
        events.arrivals,
        events.leaving_starts,
        events.leavings,
        labels.starts,
        labels.time,
        labels.order,
        windows,
        events.shift,
    )
