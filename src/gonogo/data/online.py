"""What is every feature for one request, from events that came in one at a time, in any order?

The online side of the same plan: integers per entity, kept as events are applied and retracted. `row` gives the bits of the batch. An
entity's events lie in their total order with running sums beside them; an event that comes late only costs the sums after it. Events that
count not yet or no longer are few, are found through the longest delay seen, and are taken off the sums.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from gonogo.data.connection import open_connection
from gonogo.data.expressions import key_column, shape_events, value_column
from gonogo.data.onlinewindows import Entity, Event, Order, Windows
from gonogo.data.planning import AWARE, WHOLE, EventSource, Plan, Stream, Value
from gonogo.data.request import RequestRow
from gonogo.data.seeds import Seeds
from gonogo.types.errors import ColumnMissing, KeysRefused, TimeRefused, UsageError
from gonogo.types.time import ALWAYS, EPOCH, NEVER

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection


class OnlineState:
    """The events of every stream of a plan, fed as they arrive; `row` answers as the batch would."""

    def __init__(
        self, plan: Plan, *, connection: DuckDBPyConnection | None = None, connect: Callable[[], DuckDBPyConnection] | None = None
    ) -> None:
        """An empty state. connection, or connect: for SQL expressions; by default one of its own, opened once it is needed."""
        self.plan = plan
        self.n_duplicates = 0
        self._given_connection = connection
        self._connect = connect or (lambda: open_connection(threads=1))
        self._request = RequestRow(plan.requests, plan.row_columns, lambda: self._connection)
        self._is_plain = {source.name: _are_plain(source) for source in plan.sources}
        self._windows = tuple(Windows(plan, stream) for stream in plan.streams)
        self._entities: list[dict[tuple[Any, ...], Entity]] = [{} for _ in plan.streams]
        self._seeds: list[list[Seeds]] = [[] for _ in plan.streams]
        self._horizons: list[int] = [ALWAYS] * len(plan.streams)
        self._evicted_before: list[int] = [ALWAYS] * len(plan.streams)

    @property
    def _connection(self) -> DuckDBPyConnection:
        """Opened once something needs it: a plan of plain columns never does."""
        if self._given_connection is None:
            self._given_connection = self._connect()
        return self._given_connection

    def apply(self, source: str, event: Mapping[str, Any]) -> tuple[int, int] | None:
        """Take in one event: the source's columns by name, times as aware datetimes or int microseconds.

        When it happened and when it was known; None where it has no time, or is never known.

        An event that is already there changes nothing. Raises KeysRefused where another one stands at its place of the order.
        """
        import pyarrow as pa

        plan = self._source(source)
        missing = [column for column in plan.columns if column not in event]
        if missing:
            raise ColumnMissing(f"the event lacks {', '.join(missing)}", where=f"sources.{source}", expected=", ".join(plan.columns))
        if self._is_plain[source]:
            shaped = {key_column(key): event[key] for key in plan.keys}
            shaped |= {value_column(i): _as_held(event[value.columns[0]], value) for i, value in enumerate(plan.values)}
            shaped |= {name: event[column] for name, column in _time_columns(plan).items()}
            return self.take(source, shaped)
        given = pa.table({column: [_aware(event[column], kind)] for column, kind in plan.columns.items()})
        return self.take(source, _timed(shape_events(plan, given, self._connection)).to_pylist()[0])

    def apply_table(self, source: str, events: pa.Table) -> None:
        """Take in many events in the order of the table, which has the source's columns."""
        plan = self._source(source)
        self.apply_shaped(source, shape_events(plan, events, self._connection))

    def apply_shaped(self, source: str, events: pa.Table) -> None:
        """Take in events in the form of `expressions.read_events`."""
        for event in _timed(events).to_pylist():
            self.take(source, event)

    def seed(self, source: str, events: pa.Table) -> None:
        """Take in many events in the form of `expressions.read_events`, each entity's when it is first asked for.

        KeysRefused for events that contradict one another is raised then.
        """
        plan = self._source(source)
        for index, stream in enumerate(self.plan.streams):
            if stream.source == source:
                self._seeds[index].append(Seeds(plan, stream, events))

    def retract(self, source: str, event: Mapping[str, Any], at: int | datetime) -> None:
        """From `at` on the event no longer counts; it may be retracted before it is applied."""
        plan = self._source(source)
        if not plan.retracted_at:
            raise UsageError(f"{source} declares no retracted_at", where=f"sources.{source}", next="declare retracted_at in the contract")
        self.apply(source, {**event, plan.retracted_at: at})

    def row(self, request: Mapping[str, Any], decided_at: int | datetime) -> dict[str, Any]:
        """Input → value for one request, in the order of the plan; None where there is none.

        request: the row source's columns that features read. Raises UsageError where events that it needs were evicted.
        """
        t = _us(decided_at)
        if t is None:
            raise TimeRefused("a row is decided at some moment", where="decided_at")
        made = self._request.of(request)
        row = [made.get(each.name) for each in self.plan.inputs]
        self.fill(row, [self._key(stream, request) for stream in self.plan.streams], t)
        return dict(zip((each.name for each in self.plan.inputs), row, strict=True))

    def fill(self, row: list[Any], keys: Sequence[tuple[Any, ...]], t: int) -> None:
        """Put what events say at t into their places of a row of inputs. keys: one per stream of the plan.

        Raises UsageError where events that the row needs were evicted.
        """
        for index, key in enumerate(keys):
            if t < self._evicted_before[index]:
                raise UsageError("the events that this row needs were evicted", found=str(t), where="decided_at")
            entity = None if None in key else self._entity(index, key)
            self._windows[index].fill(row, entity, t)

    def _key(self, stream: Stream, request: Mapping[str, Any]) -> tuple[Any, ...]:
        missing = [part for part in stream.by if part not in request]
        if missing:
            raise ColumnMissing(f"the request has no {', '.join(missing)}", where="request", expected=", ".join(stream.by))
        return tuple(_plain(request[part]) for part in stream.by)

    def evict(self, now: int | datetime) -> int:
        """Forget what no row decided at `now` or later can need; how many events went. Windows without a lower end keep everything."""
        before, gone = _us(now), 0
        if before is None:
            raise TimeRefused("nothing can be evicted before no moment", where="now")
        for index, stream in enumerate(self.plan.streams):
            spans = [span.us for feature in stream.features for span in feature.spans]
            known = [us for us in spans if us is not None]
            if len(known) < len(spans):
                continue
            self._horizons[index] = max(self._horizons[index], before - max(known))
            for entity in self._entities[index].values():
                gone += entity.forget(entity.position(self._horizons[index]))
            self._evicted_before[index] = max(self._evicted_before[index], before)
        return gone

    def _source(self, name: str) -> EventSource:
        if name not in {source.name for source in self.plan.sources}:
            raise UsageError(f"no feature reads the source {name}", expected=", ".join(source.name for source in self.plan.sources))
        return self.plan.source(name)

    def take(self, source: str, shaped: Mapping[str, Any]) -> tuple[int, int] | None:
        """Take in one event in the form of a row of `expressions.read_events`; what `apply` returns."""
        plan = self._source(source)
        order, retracted_at = _order(plan, shaped)
        if order[1] == NEVER:
            return None  # never known, so it never counts
        values = tuple(_plain(shaped[value_column(i)]) for i in range(len(plan.values)))
        keys = {key: _plain(shaped[key_column(key)]) for key in plan.keys}
        identity = (*keys.values(), *values)
        for index, stream in enumerate(self.plan.streams):
            if stream.source != plan.name:
                continue
            key = tuple(keys[part] for part in stream.by)
            if None in key:
                continue
            entity = self._entity(index, key)
            if entity is None:
                entity = self._entities[index][key] = Entity()
            self._put(entity, plan, stream, Event(order, retracted_at, identity, values))
        return None if plan.timeless else (order[0], order[1])

    def _entity(self, index: int, key: tuple[Any, ...]) -> Entity | None:
        """What is known of the entity; its seeds are taken in now. None where nothing is."""
        entity = self._entities[index].get(key)
        for seeds in self._seeds[index]:
            events = seeds.pop(key)
            if not events:
                continue
            if entity is None:
                entity = self._entities[index][key] = Entity()
            stream = self.plan.streams[index]
            plan = self.plan.source(stream.source)
            for event in events:
                self._put(entity, plan, stream, event)
            entity.forget(entity.position(self._horizons[index]))
        return entity

    def _put(self, entity: Entity, plan: EventSource, stream: Stream, event: Event) -> None:
        if not self._is_there(entity, plan, stream, event):
            entity.add(event)

    def _is_there(self, entity: Entity, plan: EventSource, stream: Stream, event: Event) -> bool:
        for twin in entity.twins(event.order):
            if twin.identity == event.identity:
                self.n_duplicates += 1
                if event.retracted_at != NEVER and twin.retracted_at == NEVER:
                    twin.retracted_at = event.retracted_at
                    insort(entity.retracted, twin, key=lambda each: each.retracted_at)
                elif event.retracted_at not in (NEVER, twin.retracted_at):
                    raise _conflict(plan, event.order, "the same event, retracted at another time")
                return True
            if plan.sequence or any(measure.function == "last" for feature in stream.features for measure in feature.measures):
                raise _conflict(plan, event.order, "an event with other values")
        return False


def _timed(events: pa.Table) -> pa.Table:
    """Times as integers: a datetime of Python costs more than the event itself."""
    import pyarrow as pa

    timed = ("event_time", "known_at", "retracted_at")
    return pa.table({name: events[name].cast(pa.int64()) if name in timed else events[name] for name in events.column_names})


def _order(plan: EventSource, shaped: Mapping[str, Any]) -> tuple[Order, int]:
    if plan.timeless:
        event_time: int | None = ALWAYS
        known_at: int | None = ALWAYS
    else:
        event_time = _us(shaped["event_time"])
        known_at = _us(shaped["known_at"]) if "known_at" in shaped else event_time
    if event_time is None:
        raise TimeRefused("an event has no event_time", where=f"sources.{plan.name}", expected="a moment for every event")
    sequence = _plain(shaped.get("sequence"))
    if isinstance(sequence, datetime) and sequence.tzinfo is not None:
        sequence = _us(sequence)
    retracted_at = _us(shaped.get("retracted_at"))
    order = (event_time, NEVER if known_at is None else known_at, (0, 0) if sequence is None else (1, sequence))
    return order, NEVER if retracted_at is None else retracted_at


def _us(moment: int | datetime | None) -> int | None:
    """Microseconds since 1970; integers are taken as such."""
    if not isinstance(moment, datetime):
        if moment is None or hasattr(moment, "__index__"):
            return moment
        raise TimeRefused("a time that is none", found=repr(moment)[:60], expected="an aware moment, or microseconds since 1970")
    if moment.tzinfo is None:
        raise TimeRefused("a naive time", found=moment.isoformat(), expected="an aware moment", next="say in which zone it is")
    passed = moment - EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def _plain(value: Any) -> Any:
    """A number of numpy as Python's own; -0.0 as 0.0."""
    if isinstance(value, float):
        return float(value) + 0.0
    return value.item() if hasattr(value, "item") else value


def _are_plain(source: EventSource) -> bool:
    """Whether Python holds an event's keys, values and sequence as SQL does, so that nothing need ask the engine."""
    told_alike = (*WHOLE, "BOOLEAN", "VARCHAR", "DOUBLE", AWARE)
    kinds = [source.columns[column] for column in (*source.keys, *([source.sequence] if source.sequence else []))]
    return all(kind in told_alike for kind in kinds) and all(
        _is_plain(value) and (source.columns[value.columns[0]] in told_alike or value.held == "floating") for value in source.values
    )


def _is_plain(value: Value) -> bool:
    """Whether the value is a column as it stands, which Python holds as SQL does."""
    return len(value.columns) == 1 and value.sql == '"' + value.columns[0].replace('"', '""') + '"' and value.held != "decimal"


def _as_held(given: Any, value: Value) -> Any:
    if given is None:
        return None
    if value.held == "whole":
        return int(given)
    if value.held == "flag":
        return bool(given)
    return float(given) if value.held == "floating" else given


def _time_columns(plan: EventSource) -> dict[str, str]:
    named = {"event_time": plan.event_time, "known_at": plan.known_at, "retracted_at": plan.retracted_at, "sequence": plan.sequence}
    return {name: column for name, column in named.items() if column}


def _aware(given: Any, kind: str) -> Any:
    """A moment that is given as microseconds, as the datetime that SQL understands."""
    return EPOCH + timedelta(microseconds=given) if kind == AWARE and isinstance(given, int) else given


def _conflict(plan: EventSource, order: Order, found: str) -> KeysRefused:
    return KeysRefused(
        f"two events of {plan.name} stand at one place of the order",
        where=f"sources.{plan.name}, event_time {order[0]}, known_at {order[1]}, sequence {order[2][1] if order[2][0] else None}",
        found=found,
        expected="a total order (event_time, known_at, sequence)",
        next="give the source a sequence that is unique among ties",
    )
