"""What was known about each row of a file, from events in other files, whatever their size?

A point-in-time join of Parquet to Parquet: every label row comes out once, in its place, with the aggregates of the events that were
known when it was decided. Small jobs run in memory. Larger ones go through buckets of entities on disk (spill.py): each bucket is
worked on alone, a kill loses at most the bucket in hand, and the bytes of the answer are the same either way, for any memory limit,
any number of buckets and any number of threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.data import joining, spill
from gonogo.data.buckets import buckets_for
from gonogo.data.content import digest_of_file
from gonogo.data.gather import check_keys
from gonogo.data.joining import Join
from gonogo.data.streams import ParquetStream, Stream, require
from gonogo.data.writing import ROW_GROUP, write_joined
from gonogo.types.aggregate import parse_aggregate
from gonogo.types.errors import UsageError
from gonogo.types.record import Digest
from gonogo.types.time import window_us

if TYPE_CHECKING:
    import pyarrow as pa

GIB = 1 << 30
LARGEST_SLAB = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """What was written."""

    out: Path
    digest: Digest  # of the file's bytes: the same for any memory limit, number of buckets and number of threads
    n_labels: int
    n_events: int
    n_buckets: int
    n_duplicates: int  # events that repeat another one in everything, counted once
    columns: tuple[str, ...]  # those that were added


def as_of_join(
    *,
    events: Path | Sequence[Path],
    labels: Path | Sequence[Path],
    out: Path,
    by: Sequence[str],
    decided_at: str,
    event_time: str,
    aggregates: Sequence[str],
    known_at: str = "",
    retracted_at: str = "",
    sequence: str = "",
    windows: Sequence[str] = ("all",),
    decimals: Mapping[str, int] | None = None,
    boundary: str = "before",
    name: str = "",
    workspace: Path | None = None,
    memory_limit: int = 4 * GIB,
    threads: int = 1,
    n_buckets: int | None = None,
) -> Joined:
    """Every label row once, in its place, with the aggregates of the events of its entity that were known when it was decided.

    events, labels: Parquet files, in any order of rows; `by` names the key columns of both. Times are aware, or int64 microseconds UTC.
    out:            the labels' columns, then one column per aggregate and window, "mean_amount__7d". Written whole or not at all.
    known_at:       without it an event counts as known when it happens, which real events hardly ever are.
    sequence:       settles events of one entity, event_time and known_at; asked for only where there are such.
    aggregates:     count, age, sum(x), mean(x), min(x), max(x), last(x), distinct(x), share(x), x a column of the events.
    windows:        durations, [t - w, t) for the boundary "before" and (t - w, t] for "at"; "all" has no lower end.
    decimals:       digits that a float column keeps in exact sums; needed for sum, mean, min and max of floats.
    workspace:      folder for buckets; beside `out` by default. A job that was killed goes on there; nothing stays when it ends.
    memory_limit:   bytes; decides how many buckets there are unless n_buckets, a power of two, does.

    Raises UsageError for a call that makes no sense, DataError (ColumnMissing, ColumnMistyped, TimeRefused, KeysRefused, ScaleRefused,
    SourceUnreadable) for data that has no exact answer, StorageFailed where the disk is full.
    """
    join = Join(
        by=tuple(by),
        decided_at=decided_at,
        event_time=event_time,
        known_at=known_at,
        retracted_at=retracted_at,
        sequence=sequence,
        aggregates=tuple(_understood(parse_aggregate, text) for text in aggregates),
        windows=tuple(windows),
        decimals=dict(decimals or {}),
        boundary=boundary,
        name=name,
    )
    _check_call(join, n_buckets, threads)
    label_stream, event_stream = ParquetStream.open(_paths(labels)), ParquetStream.open(_paths(events))
    added = _check_tables(join, label_stream, event_stream)
    share = memory_limit // threads
    n_buckets = n_buckets or buckets_for(_bytes_needed(join, label_stream.n_rows, event_stream.n_rows), share)
    if n_buckets == 1:
        n_duplicates = _join_in_memory(join, label_stream, event_stream, added, out)
    else:
        folder = Path(workspace or out.parent)
        n_duplicates = spill.join_by_buckets(
            join,
            label_stream,
            event_stream,
            added,
            out,
            folder=folder,
            n_buckets=n_buckets,
            threads=threads,
            slab=_slab_rows(join, label_stream, share),
        )
    return Joined(
        out=out,
        digest=digest_of_file(out),
        n_labels=label_stream.n_rows,
        n_events=event_stream.n_rows,
        n_buckets=n_buckets,
        n_duplicates=n_duplicates,
        columns=tuple(added.names),
    )


def _paths(given: Path | Sequence[Path]) -> tuple[Path, ...]:
    return (Path(given),) if isinstance(given, str | Path) else tuple(Path(path) for path in given)


def _understood(parse: Any, text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(str(error), where="as_of_join") from None


def _check_call(join: Join, n_buckets: int | None, threads: int) -> None:
    faults = []
    if not join.by:
        faults.append("by names no key column")
    if not join.aggregates or not join.windows:
        faults.append("there is no aggregate, or no window, to compute")
    if join.boundary not in ("before", "at"):
        faults.append(f"boundary is {join.boundary!r}, neither before nor at")
    if n_buckets is not None and (n_buckets < 1 or n_buckets & (n_buckets - 1)):
        faults.append(f"n_buckets is {n_buckets}, no power of two")
    if threads < 1:
        faults.append(f"threads is {threads}")
    for window in join.windows:
        _understood(window_us, window)
    if len(set(join.columns)) < len(join.columns):
        faults.append("two aggregates or windows give columns of one name")
    if faults:
        raise UsageError("the join makes no sense: " + "; ".join(faults), where="as_of_join")


def _check_tables(join: Join, labels: Stream, events: Stream) -> pa.Schema:
    """The schema of the added columns, if both tables have what the join asks for."""
    require(labels, (*join.by, join.decided_at), where="labels")
    require(events, join.event_columns, where="events")
    check_keys(labels, events, join.by)
    added = joining.added_schema(join, events.schema)
    taken = [name for name in added.names if name in labels.schema.names]
    if taken:
        raise UsageError(
            f"the labels have columns {', '.join(taken)} already",
            where="as_of_join",
            next="give a name=…, which is put before the added ones",
        )
    return added


def _bytes_needed(join: Join, n_labels: int, n_events: int) -> int:
    """What the job takes in one piece: arrays of 8 bytes a row that are alive at the same time."""
    per_event = 8 * (len(join.event_columns) + 3 * len(join.used) + 4)
    per_label = 8 * (len(join.by) + 5 + _numbers_per_label(join))
    return n_events * per_event + n_labels * per_label


def _numbers_per_label(join: Join) -> int:
    """What the kernels fill for each label before it becomes columns, slab by slab: never less than what they do."""
    summed = {a.column for a in join.aggregates if a.function in joining.ADDED}
    sums = 1 + 2 * len(summed - {""}) if summed else 0  # of a column with nulls, how many are not null as well
    return len(join.windows) * (sums + sum(a.function not in joining.ADDED for a in join.aggregates)) + 2


def _slab_rows(join: Join, labels: Stream, share: int) -> int:
    """Rows that are told apart, or merged, at a time: few enough to keep to an eighth of the memory with their copies."""
    per_row = 8 * 4 * max(len(join.event_columns), len(labels.schema) + len(join.columns))
    slab = ROW_GROUP
    while 2 * slab <= LARGEST_SLAB and 2 * slab * per_row <= share // 8:
        slab *= 2
    return slab


def _join_in_memory(join: Join, labels: Stream, events: Stream, added: pa.Schema, out: Path) -> int:
    computed = joining.compute(join, labels, events)
    slabs = (computed.rows(at, ROW_GROUP) for at in range(0, max(1, labels.n_rows), ROW_GROUP))
    write_joined(out, labels, added, slabs)
    return computed.n_duplicates
