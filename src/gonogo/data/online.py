"""What is every feature for one request, from events that came in one at a time, in any order?

The online side of the same plan: integers per entity, kept as events are applied and retracted. `row` gives the bits of the batch. An
entity's events lie in their total order with running sums beside them; an event that comes late only costs the sums after it. Events that
count not yet or no longer are few, are found through the longest delay seen, and are taken off the sums.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from gonogo.data.asof import ALWAYS, NEVER, SHIFTS
from gonogo.data.connection import open_connection
from gonogo.data.expressions import key_column, shape_events, value_column
from gonogo.data.planning import AWARE, EventFeature, EventSource, Measure, Plan, Stream, Value, column_name
from gonogo.data.request import RequestRow
from gonogo.data.values import held_int
from gonogo.types.errors import ColumnMissing, KeysRefused, ScaleRefused, TimeRefused, UsageError
from gonogo.types.time import EPOCH

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

Order = tuple[int, int, tuple[int, Any]]  # event_time, known_at, (0, 0) without a sequence or (1, sequence)


@dataclass(slots=True)
class Event:
    """One event as it is kept."""

    order: Order
    retracted_at: int
    identity: tuple[Any, ...]  # every key and value that any feature of the source uses
    values: tuple[Any, ...]  # the source's values, as they came

    @property
    def event_time(self) -> int:
        """When it happened."""
        return self.order[0]

    def counts_at(self, t: int) -> bool:
        """Whether it was known and not yet retracted."""
        return self.order[1] <= t < self.retracted_at


@dataclass(slots=True)
class Entity:
    """The events of one entity in their total order."""

    orders: list[Order] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    longest_delay: int = 0  # of known_at after event_time: who was later than this is not looked for
    retracted: list[Event] = field(default_factory=list)
    sums: dict[Any, list[int]] = field(default_factory=dict)  # what is added up → running sums; [0] is 0; may be shorter than the events

    def add(self, event: Event) -> None:
        """Put the event into its place."""
        at = bisect_left(self.orders, event.order)
        self.orders.insert(at, event.order)
        self.events.insert(at, event)
        for running in self.sums.values():
            del running[at + 1 :]
        if event.event_time != ALWAYS:
            self.longest_delay = max(self.longest_delay, event.order[1] - event.event_time)
        if event.retracted_at != NEVER:
            insort(self.retracted, event, key=lambda each: each.retracted_at)

    def twins(self, order: Order) -> Iterator[Event]:
        """The events that stand at that place of the order."""
        at = bisect_left(self.orders, order)
        while at < len(self.orders) and self.orders[at] == order:
            yield self.events[at]
            at += 1

    def position(self, event_time: int) -> int:
        """How many events happened before that moment."""
        return bisect_left(self.orders, (event_time,))

    def running(self, key: Any, of: Callable[[Event], int]) -> list[int]:
        """Running sums over the events, brought up to date."""
        running = self.sums.setdefault(key, [0])
        for event in self.events[len(running) - 1 :]:
            running.append(running[-1] + of(event))
        return running

    def void(self, low: int, high: int, t: int) -> Iterator[Event]:
        """The events at low … high - 1 that do not count at t."""
        for at in range(max(low, self.position(t - self.longest_delay)), high):
            event = self.events[at]
            if event.order[1] > t:
                yield event
        for event in self.retracted:
            if event.retracted_at > t:
                break
            if event.order[1] <= t and low <= self._place(event) < high:
                yield event

    def _place(self, event: Event) -> int:
        at = bisect_left(self.orders, event.order)
        while self.events[at] is not event:
            at += 1
        return at


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
        self._shift = SHIFTS[plan.boundary]
        self._places = {each.name: i for i, each in enumerate(plan.inputs)}
        self._entities: list[dict[tuple[Any, ...], Entity]] = [{} for _ in plan.streams]
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
        if all(_is_plain(value) for value in plan.values):
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
        """Take in many events in the form of `expressions.read_events`, each entity's when it is first asked for."""
        self.apply_shaped(source, events)

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
        for index, (stream, key) in enumerate(zip(self.plan.streams, keys, strict=True)):
            if t < self._evicted_before[index]:
                raise UsageError("the events that this row needs were evicted", found=str(t), where="decided_at")
            entity = None if None in key else self._entities[index].get(key)
            answer = _Answer(self.plan.source(stream.source), entity or Entity(), t, self._shift)
            for feature in stream.features:
                for name, value in answer.columns(feature):
                    row[self._places[name]] = value

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
            horizon = before - max(known)
            for entity in self._entities[index].values():
                gone += _forget(entity, entity.position(horizon))
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
            entity = self._entities[index].setdefault(key, Entity())
            if not self._is_there(entity, plan, stream, order, retracted_at, identity):
                entity.add(Event(order=order, retracted_at=retracted_at, identity=identity, values=values))
        return None if plan.timeless else (order[0], order[1])

    def _is_there(
        self, entity: Entity, plan: EventSource, stream: Stream, order: Order, retracted_at: int, identity: tuple[Any, ...]
    ) -> bool:
        for twin in entity.twins(order):
            if twin.identity == identity:
                self.n_duplicates += 1
                if retracted_at != NEVER and twin.retracted_at == NEVER:
                    twin.retracted_at = retracted_at
                    insort(entity.retracted, twin, key=lambda each: each.retracted_at)
                elif retracted_at not in (NEVER, twin.retracted_at):
                    raise _conflict(plan, order, "the same event, retracted at another time")
                return True
            if plan.sequence or any(measure.function == "last" for feature in stream.features for measure in feature.measures):
                raise _conflict(plan, order, "an event with other values")
        return False


class _Answer:
    """The columns of one entity at one moment."""

    def __init__(self, source: EventSource, entity: Entity, t: int, shift: int) -> None:
        self.source, self.entity, self.t, self.shift = source, entity, t, shift
        self.high = entity.position(t + shift)
        self.place = {value: i for i, value in enumerate(source.values)}

    def columns(self, feature: EventFeature) -> Iterator[tuple[str, Any]]:
        make = {"last": self._last, "age": self._age, "min": self._extreme, "max": self._extreme, "distinct": self._distinct}
        for span in feature.spans:
            # a timeless event stands before every lower end
            low = 0 if span.us is None else self.entity.position(self.t - span.us + self.shift)
            void = list(self.entity.void(low, self.high, self.t))
            for measure in feature.measures:
                answer = make.get(measure.function, self._added)(feature, measure, low, void)
                yield column_name(feature.name, measure, span), answer

    def _value(self, event: Event, value: Value | None) -> Any:
        return True if value is None else event.values[self.place[value]]

    def _is_used(self, feature: EventFeature, value: Value | None, event: Event) -> bool:
        met = feature.where is None or bool(self._value(event, feature.where))
        return met and self._value(event, value) is not None

    def _held(self, event: Event, value: Value) -> int:
        return held_int(self._value(event, value), value, where=f"sources.{self.source.name}")

    def _used(self, feature: EventFeature, value: Value | None, low: int) -> Iterator[Event]:
        """The events of a window that count and have the value, the latest first."""
        for at in range(self.high - 1, low - 1, -1):
            event = self.entity.events[at]
            if event.counts_at(self.t) and self._is_used(feature, value, event):
                yield event

    def _added(self, feature: EventFeature, measure: Measure, low: int, void: list[Event]) -> Any:
        value = measure.value
        number = self._sum(("number", feature.where, value), lambda event: int(self._is_used(feature, value, event)), low, void)
        if value is None:
            return number
        if number == 0:
            return None
        total = self._sum(
            ("sum", feature.where, value),
            lambda event: self._held(event, value) if self._is_used(feature, value, event) else 0,
            low,
            void,
        )
        if measure.function == "sum":
            return _number(total, value.digits)
        quotient = float(total) / float(number)
        return quotient / 10.0**value.digits if measure.function == "mean" else quotient

    def _sum(self, key: Any, of: Callable[[Event], int], low: int, void: list[Event]) -> int:
        if low >= self.high:
            return 0
        running = self.entity.running(key, of)
        return running[self.high] - running[low] - sum(of(event) for event in void)

    def _last(self, feature: EventFeature, measure: Measure, low: int, void: list[Event]) -> Any:
        for event in self._used(feature, measure.value, low):
            value = _of(measure)
            last = self._value(event, value)
            if value.held == "decimal":
                return float(self._held(event, value)) / 10.0**value.digits
            if isinstance(last, float) and last - last != 0.0:
                raise ScaleRefused(f"{value.sql} is {last}", where=f"sources.{self.source.name}", expected="a number or null")
            return last
        return None

    def _age(self, feature: EventFeature, measure: Measure, low: int, void: list[Event]) -> Any:
        for event in self._used(feature, None, low):
            return None if event.event_time == ALWAYS else float(self.t - event.event_time) / 1e6
        return None

    def _extreme(self, feature: EventFeature, measure: Measure, low: int, void: list[Event]) -> Any:
        value = _of(measure)
        held = [self._held(event, value) for event in self._used(feature, value, low)]
        if not held:
            return None
        return _number(min(held) if measure.function == "min" else max(held), value.digits)

    def _distinct(self, feature: EventFeature, measure: Measure, low: int, void: list[Event]) -> Any:
        return len({self._value(event, measure.value) for event in self._used(feature, measure.value, low)})


def _of(measure: Measure) -> Value:
    if measure.value is None:  # cannot happen: planning gives a value to every aggregate but count and age
        raise TypeError(f"{measure.slug} has no value")
    return measure.value


def _number(held: int, digits: int) -> int | float:
    return float(held) / 10.0**digits if digits else held


def _timed(events: pa.Table) -> pa.Table:
    """Times as integers: a datetime of Python costs more than the event itself."""
    import pyarrow as pa

    timed = ("event_time", "known_at", "retracted_at")
    return pa.table({name: events[name].cast(pa.int64()) if name in timed else events[name] for name in events.column_names})


def _forget(entity: Entity, n: int) -> int:
    gone = {id(event) for event in entity.events[:n]}
    del entity.orders[:n], entity.events[:n]
    entity.sums.clear()
    entity.retracted = [event for event in entity.retracted if id(event) not in gone]
    return n


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
        return moment
    if moment.tzinfo is None:
        raise TimeRefused("a naive time", found=moment.isoformat(), expected="an aware moment", next="say in which zone it is")
    passed = moment - EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def _plain(value: Any) -> Any:
    """A number of numpy as Python's own; -0.0 as 0.0."""
    if isinstance(value, float):
        return float(value) + 0.0
    return value.item() if hasattr(value, "item") else value


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
