"""Does what was computed for training equal what will be served, and does it know nothing of the future?

Two proofs on a seeded sample of entities, drawn by the hash of their keys, so that an entity is followed through time. Replay: its events
are fed to the online state as they became known, and every row is asked for at its moment; the bits must be those of the batch.
Truncation: each row is computed again from a world that lacks everything that was not known at its moment; a changed bit is a leak.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.data.asof import NEVER, SHIFTS, Grouped, Ints, Labels, group_events, group_labels
from gonogo.data.buckets import key_hashes
from gonogo.data.columns import EventTable, Matched, StreamColumns, match_keys
from gonogo.data.features import read_tables
from gonogo.data.online import OnlineState
from gonogo.data.planning import Plan, Stream
from gonogo.types.snapshot import Finding, FindingStatus

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

REPLAY, TRUNCATION = "GNG-P101", "GNG-P102"
ENTITIES = 6  # of each stream: enough to differ, few enough to be followed through time
EVENTS = 4_000  # that a stream's replay may cost; windows that hold more are asked about in quiet times only, and named where none is left
REQUESTS = 48  # rows whose request-time features are evaluated one by one: each is a statement of its own
MOST_TOLD = 20  # findings of one kind; the rest are counted


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """What the proofs found, and their counts."""

    findings: tuple[Finding, ...]
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mismatch:
    """One value that came out in two ways."""

    column: str
    feature: str
    row: int
    batch: Any
    other: Any


@dataclass(kw_only=True, slots=True)
class Tally:
    """What was compared."""

    rows: set[int] = field(default_factory=set)
    columns: set[str] = field(default_factory=set)
    n_values: int = 0
    n_events: int = 0
    mismatches: list[Mismatch] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Follow:
    """One entity that is followed: some of its rows, in time order, and the events that their windows can see."""

    rows: Ints
    events: Ints


def prove(
    plan: Plan,
    connection: DuckDBPyConnection,
    rows: pa.Table,
    computed: pa.Table,
    *,
    seed: int,
    sample: int = 256,
    tables: Mapping[str, pa.Table] | None = None,
) -> Proof:
    """The values of a sample of about `sample` rows, found in two other ways, against those of the batch, bit for bit.

    rows, computed: what `features.compute` was given and what it returned. tables: the events if they are already read.
    A finding of each proof, always: CLEAN with its counts, OPEN for each column that differs, SKIPPED for what could not be sampled.
    """
    tables = read_tables(plan, connection) if tables is None else tables
    replayed, truncated, chosen = Tally(), Tally(), []
    for source in plan.sources:
        table = EventTable(source, tables[source.name])
        for stream in (stream for stream in plan.streams if stream.source == source.name):
            entities = _follow(plan, stream, table, rows, seed, sample)
            _replay_stream(plan, stream, entities, table, rows, computed, connection, replayed)
            _truncate_stream(plan, stream, entities, table, rows, computed, truncated)
            chosen += [entity.rows for entity in entities]
    _replay_requests(plan, rows, computed, connection, replayed, _asked(chosen, len(rows), seed))
    findings = (*_replay_findings(plan, replayed, rows), *_truncation_findings(plan, truncated, rows))
    return Proof(findings=findings, facts={"replay": _facts(replayed), "truncation": _facts(truncated)})


def _follow(plan: Plan, stream: Stream, table: EventTable, rows: pa.Table, seed: int, sample: int) -> tuple[Follow, ...]:
    """The entities of a stream with the smallest seeded hashes, each with a run of rows whose events are few enough."""
    candidates = _entity_rows(stream, rows, seed)
    if not candidates:
        return ()
    subset = np.concatenate(candidates)
    taken = rows.select([*stream.by, "gng_decided_at"]).take(subset)
    matched = match_keys(stream, table.table, taken)
    labels = group_labels(matched.rows, matched.n_entities, np.array(taken["gng_decided_at"].combine_chunks(), np.int64))
    events = group_events(matched.events, matched.n_entities, table.event_time, table.known_at)
    n_rows, n_events = max(1, sample // len(plan.streams) // len(candidates)), EVENTS // len(candidates)
    shift = SHIFTS[plan.boundary]
    found = (_follow_entity(stream, labels, events, e, n_rows, n_events, seed, shift) for e in range(matched.n_entities))
    return tuple(replace(follow, rows=subset[follow.rows]) for follow in found if follow is not None)


def _entity_rows(stream: Stream, rows: pa.Table, seed: int) -> list[Ints]:
    """The rows of each chosen entity."""
    if not stream.by:
        return [np.arange(len(rows))] if len(rows) else []
    parts = [rows[key].combine_chunks() for key in stream.by]
    some = np.logical_and.reduce([np.asarray(part.is_valid()) for part in parts])
    mixed = (key_hashes(parts) ^ np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)) * np.uint64(0xBF58476D1CE4E5B9)
    smallest = np.unique(mixed[some])[:ENTITIES]
    return [np.flatnonzero((mixed == each) & some) for each in smallest]


def _follow_entity(
    stream: Stream, labels: Labels, events: Grouped, entity: int, n_rows: int, n_events: int, seed: int, shift: int
) -> Follow | None:
    """A run of rows from a seeded start, among those whose windows hold few enough events."""
    a, z = int(labels.starts[entity]), int(labels.starts[entity + 1])
    first, last = int(events.starts[entity]), int(events.starts[entity + 1])
    when, times = events.event_time[first:last], labels.time[a:z]
    spans = [span.us for feature in stream.features for span in feature.spans]
    longest = max((us for us in spans if us is not None), default=0)
    low = np.zeros(times.size, np.int64) if None in spans else np.searchsorted(when, times - longest)
    high = np.searchsorted(when, times + shift)
    affordable = np.flatnonzero(high - low <= n_events)
    if not affordable.size:
        return None
    start = int(affordable[(seed * 7_919 + entity * 104_729) % affordable.size])
    run = np.arange(start, min(start + n_rows, times.size))
    run = run[high[run] - low[start] <= n_events]
    return Follow(rows=labels.order[a + run], events=events.order[first + low[start] : first + high[run[-1]]])


def _replay_stream(
    plan: Plan,
    stream: Stream,
    entities: tuple[Follow, ...],
    table: EventTable,
    rows: pa.Table,
    computed: pa.Table,
    connection: DuckDBPyConnection,
    tally: Tally,
) -> None:
    part = _only(plan, stream)
    for entity in entities:
        online = OnlineState(part, connection=connection)
        answers = {}
        for row, decided_at, request in _fed(online, part, entity, table, rows):
            answers[row] = online.row(request, decided_at)
        _compare(part, answers, computed, tally)
        tally.n_events += entity.events.size


def _fed(online: OnlineState, plan: Plan, entity: Follow, table: EventTable, rows: pa.Table) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Each row at its moment, after every event has been fed that was known by then, and no other."""
    moments = _moments(table, entity.events)
    fed = 0
    asked = rows.select([*plan.row_columns, "gng_decided_at"]).take(entity.rows).to_pylist()
    for row, request in zip(entity.rows.tolist(), asked, strict=True):
        decided_at = request.pop("gng_decided_at")
        while fed < len(moments) and moments[fed][0] <= decided_at:
            online.take(table.source.name, moments[fed][1])
            fed += 1
        yield row, decided_at, request


def _moments(table: EventTable, events: Ints) -> list[tuple[int, dict[str, Any]]]:
    """What was heard, and when: an event at its known_at, and again when it is retracted."""
    shaped = table.table.take(events).to_pylist()
    heard: list[tuple[int, dict[str, Any]]] = []
    for at, event in zip(events.tolist(), shaped, strict=True):
        event |= {"event_time": int(table.event_time[at]), "known_at": int(table.known_at[at])}
        heard.append((event["known_at"], {**event, "retracted_at": None}))
        retracted_at = NEVER if table.retracted_at is None else int(table.retracted_at[at])
        if retracted_at != NEVER:
            heard.append((max(retracted_at, event["known_at"]), {**event, "retracted_at": retracted_at}))
    return sorted(heard, key=lambda each: each[0])


def _only(plan: Plan, stream: Stream) -> Plan:
    names = {feature.name for feature in stream.features}
    return replace(
        plan,
        requests=(),
        streams=(stream,),
        sources=(plan.source(stream.source),),
        inputs=tuple(each for each in plan.inputs if each.feature in names),
        row_columns={column: kind for column, kind in plan.row_columns.items() if column in stream.by},
    )


def _asked(followed: list[Ints], n_rows: int, seed: int) -> Ints:
    """The rows whose request-time features are asked for: of those that are followed, or else a stride through all."""
    chosen = np.unique(np.concatenate([np.empty(0, np.int64), *followed]))
    if not chosen.size:
        chosen = np.arange(seed % max(1, n_rows // REQUESTS), n_rows, max(1, n_rows // REQUESTS))
    return chosen[:: max(1, -(-chosen.size // REQUESTS))]


def _replay_requests(plan: Plan, rows: pa.Table, computed: pa.Table, connection: DuckDBPyConnection, tally: Tally, chosen: Ints) -> None:
    names = {request.name for request in plan.requests}
    if not names:
        return
    part = replace(plan, streams=(), sources=(), inputs=tuple(each for each in plan.inputs if each.feature in names))
    online = OnlineState(part, connection=connection)
    asked = rows.select([*plan.row_columns, "gng_decided_at"]).take(chosen).to_pylist()
    answers = {row: online.row(request, request["gng_decided_at"]) for row, request in zip(chosen.tolist(), asked, strict=True)}
    _compare(part, answers, computed, tally)


def _truncate_stream(
    plan: Plan, stream: Stream, entities: tuple[Follow, ...], table: EventTable, rows: pa.Table, computed: pa.Table, tally: Tally
) -> None:
    """Computes the followed rows again, each from a world of its own that ends at its moment: all in one call, a world is an entity."""
    import pyarrow as pa

    if not entities:
        return
    followed = np.concatenate([entity.rows for entity in entities])
    decided_at = np.asarray(rows["gng_decided_at"].combine_chunks())[followed]
    seen = [(each, entity.events) for entity in entities for each in entity.rows]
    events = np.concatenate([each for _, each in seen])
    world = np.repeat(np.arange(len(seen)), [each.size for _, each in seen])
    until = decided_at[world]
    kept = (table.event_time[events] < until + SHIFTS[plan.boundary]) & (table.known_at[events] <= until)
    cut = EventTable(table.source, _unheard(table, events[kept], until[kept]))
    matched = Matched(rows=np.arange(len(seen), dtype=np.int32), events=world[kept].astype(np.int32), n_entities=len(seen))
    columns = StreamColumns(stream, cut, matched, decided_at, boundary=plan.boundary).columns()
    part = _only(plan, stream)
    answers = pa.table(columns).to_pylist()
    _compare(part, dict(zip(followed.tolist(), answers, strict=True)), computed, tally)
    tally.n_events += int((~kept).sum()) + len(table.table) - int(np.unique(events).size)


def _unheard(table: EventTable, events: Ints, until: Ints) -> pa.Table:
    """The events without the retractions of which nobody had heard."""
    import pyarrow as pa
    import pyarrow.compute as pc

    taken = table.table.take(events)
    if not table.source.retracted_at:
        return taken
    column = taken["retracted_at"]
    heard = pc.less_equal(column.cast(pa.int64()), pa.array(until))
    nothing = pa.scalar(None, column.type)
    return taken.set_column(taken.column_names.index("retracted_at"), "retracted_at", pc.if_else(heard, column, nothing))


def _compare(plan: Plan, answers: Mapping[int, Mapping[str, Any]], computed: pa.Table, tally: Tally) -> None:
    if not answers:
        return
    names = [each.name for each in plan.inputs]
    batch = computed.select(names).take(list(answers)).to_pylist()
    for (row, answer), expected in zip(answers.items(), batch, strict=True):
        for each in plan.inputs:
            if not _same_bits(expected[each.name], answer[each.name]):
                tally.mismatches.append(
                    Mismatch(column=each.name, feature=each.feature, row=row, batch=expected[each.name], other=answer[each.name])
                )
    tally.rows.update(answers)
    tally.columns.update(names)
    tally.n_values += len(answers) * len(names)


def _same_bits(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack("<d", one) == struct.pack("<d", other)
    return type(one) is type(other) and bool(one == other)


def _replay_findings(plan: Plan, tally: Tally, rows: pa.Table) -> Iterator[Finding]:
    yield from _differences(tally, rows, REPLAY, "replay", "the online state answers {other}, the batch computed {batch}")
    yield from _unsampled(plan.inputs, tally, REPLAY, "replay")
    if tally.columns and not tally.mismatches:
        yield Finding(
            code=REPLAY,
            check="replay",
            status=FindingStatus.CLEAN,
            where="features",
            sentence=f"{tally.n_values:,} values of {len(tally.rows):,} rows in {len(tally.columns):,} columns are the same to the last "
            f"bit, over the whole table and from {tally.n_events:,} events replayed as they became known.",
            evidence=_facts(tally),
        )


def _truncation_findings(plan: Plan, tally: Tally, rows: pa.Table) -> Iterator[Finding]:
    of_events = tuple(each for each in plan.inputs if each.feature not in plan.request_columns)
    if not of_events:
        yield Finding(
            code=TRUNCATION,
            check="truncation",
            status=FindingStatus.NOTE,
            where="features",
            sentence="No feature reads events: there is nothing to cut off.",
        )
        return
    yield from _differences(
        tally, rows, TRUNCATION, "truncation", "it is {other} once everything not known by then is removed, and was {batch} with it"
    )
    yield from _unsampled(of_events, tally, TRUNCATION, "truncation")
    if tally.columns and not tally.mismatches:
        yield Finding(
            code=TRUNCATION,
            check="truncation",
            status=FindingStatus.CLEAN,
            where="features",
            sentence=f"{tally.n_values:,} values of {len(tally.rows):,} rows stay the same to the last bit "
            "when everything that was not known at the row's own moment is removed.",
            evidence=_facts(tally),
        )


def _differences(tally: Tally, rows: pa.Table, code: str, check: str, told: str) -> Iterator[Finding]:
    by_column: dict[str, list[Mismatch]] = {}
    for mismatch in tally.mismatches:
        by_column.setdefault(mismatch.column, []).append(mismatch)
    for column, found in list(by_column.items())[:MOST_TOLD]:
        first = min(found, key=lambda each: each.row)
        decided_at = rows["gng_decided_at"][first.row].as_py()
        sentence = f"{column} of row {first.row} (decided at {decided_at} µs): " + told.format(other=first.other, batch=first.batch)
        yield Finding(
            code=code,
            check=check,
            status=FindingStatus.OPEN,
            where=f"features.{first.feature}",
            sentence=f"{sentence}; {len(found):,} of {len(tally.rows):,} sampled rows differ.",
            expected="equal to the last bit",
            next=f"gonogo explain {code}",
            evidence={"column": column, "row": first.row, "n_rows": len(found), "columns_that_differ": len(by_column)},
        )


def _unsampled(inputs: tuple[Any, ...], tally: Tally, code: str, check: str) -> Iterator[Finding]:
    missing = [each for each in inputs if each.name not in tally.columns]
    for feature in dict.fromkeys(each.feature for each in missing):
        yield Finding(
            code=code,
            check=check,
            status=FindingStatus.SKIPPED,
            where=f"features.{feature}",
            sentence="Not one row of it could be sampled: no row has its key, or the windows hold more events than a proof may cost.",
            expected="at least one row",
            next="give it a window that ends, or a key that rows have",
        )


def _facts(tally: Tally) -> dict[str, Any]:
    return {
        "rows": len(tally.rows),
        "columns": len(tally.columns),
        "values": tally.n_values,
        "events": tally.n_events,
        "differing": len(tally.mismatches),
    }
