"""What do the events of one entity add up to, at one moment?

An entity's events lie in their total order with running sums beside them; an event that comes late only costs the sums after it. Events
that count not yet or no longer are few, are found through the longest delay seen, and are taken off the sums. Every number is the batch's:
integers until one division at the very end, in one written order.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gonogo.data.planning import SHIFTS, EventFeature, Measure, Plan, Stream, Value, column_name
from gonogo.data.values import held_int
from gonogo.types.errors import ScaleRefused
from gonogo.types.time import ALWAYS, NEVER

Order = tuple[int, int, tuple[int, Any]]  # event_time, known_at, (0, 0) without a sequence or (1, sequence)


@dataclass(slots=True)
class Event:
    """One event as it is kept. Positional: many are made at once."""

    order: Order
    retracted_at: int
    identity: tuple[Any, ...]  # every key and value that any feature of the source uses
    values: tuple[Any, ...]  # the source's values, as they came

    def counts_at(self, t: int) -> bool:
        """Whether it was known and not yet retracted."""
        return self.order[1] <= t < self.retracted_at


@dataclass(slots=True)
class Entity:
    """The events of one entity in their total order."""

    times: list[int] = field(default_factory=list)  # when each happened
    orders: list[Order] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    longest_delay: int = 0  # of known_at after event_time: who was later than this is not looked for
    retracted: list[Event] = field(default_factory=list)
    sums: dict[int, list[int]] = field(default_factory=dict)  # what is added up → running sums; [0] is 0; may be shorter than the events

    def add(self, event: Event) -> None:
        """Put the event into its place."""
        order = event.order
        if not self.orders or order > self.orders[-1]:
            self.orders.append(order)
            self.times.append(order[0])
            self.events.append(event)
        else:
            at = bisect_left(self.orders, order)
            self.orders.insert(at, order)
            self.times.insert(at, order[0])
            self.events.insert(at, event)
            for running in self.sums.values():
                del running[at + 1 :]
        if order[0] != ALWAYS:
            self.longest_delay = max(self.longest_delay, order[1] - order[0])
        if event.retracted_at != NEVER:
            insort(self.retracted, event, key=lambda each: each.retracted_at)

    def twins(self, order: Order) -> Iterator[Event]:
        """The events that stand at that place of the order."""
        if not self.orders or order > self.orders[-1]:
            return
        at = bisect_left(self.orders, order)
        while at < len(self.orders) and self.orders[at] == order:
            yield self.events[at]
            at += 1

    def position(self, event_time: int) -> int:
        """How many events happened before that moment."""
        return bisect_left(self.times, event_time)

    def running(self, key: int, of: Callable[[Event], int]) -> list[int]:
        """Running sums over the events, brought up to date."""
        running = self.sums.get(key)
        if running is None:
            running = self.sums[key] = [0]
        if len(running) <= len(self.events):
            for event in self.events[len(running) - 1 :]:
                running.append(running[-1] + of(event))
        return running

    def void(self, high: int, t: int) -> list[tuple[int, Event]]:
        """The events below the place `high` that do not count at t, with their places."""
        events = self.events
        found = [(at, events[at]) for at in range(self.position(t - self.longest_delay), high) if events[at].order[1] > t]
        for event in self.retracted:
            if event.retracted_at > t:
                break
            if event.order[1] <= t and (at := self._place(event)) < high:
                found.append((at, event))
        return found

    def _place(self, event: Event) -> int:
        at = bisect_left(self.orders, event.order)
        while self.events[at] is not event:
            at += 1
        return at

    def forget(self, n: int) -> int:
        """Forget the first n events; n."""
        if n:
            gone = {id(event) for event in self.events[:n]}
            del self.times[:n], self.orders[:n], self.events[:n]
            self.sums.clear()
            self.retracted = [event for event in self.retracted if id(event) not in gone]
        return n


class Windows:
    """The columns that one stream gives, ready to be filled for any entity and moment."""

    def __init__(self, plan: Plan, stream: Stream) -> None:
        source = plan.source(stream.source)
        place = {each.name: i for i, each in enumerate(plan.inputs)}
        value_at = {value: i for i, value in enumerate(source.values)}
        keys: dict[Any, int] = {}
        by_span: dict[int | None, list[_Column]] = {}
        for feature in stream.features:
            for measure in feature.measures:
                for span in feature.spans:
                    at = place[column_name(feature.name, measure, span)]
                    by_span.setdefault(span.us, []).append(_Column(at, feature, measure, value_at, keys, f"sources.{source.name}"))
        self._spans = tuple((us, tuple(columns)) for us, columns in by_span.items())
        self._shift = SHIFTS[plan.boundary]
        self._nothing = tuple((column.place, column.of_nothing) for _, columns in self._spans for column in columns)

    def fill(self, row: list[Any], entity: Entity | None, t: int) -> None:
        """Put each column into its place of the row. entity: None where nothing is known of it."""
        if entity is None:
            for place, value in self._nothing:
                row[place] = value
            return
        shift, high = self._shift, entity.position(t + self._shift)
        void = entity.void(high, t) if high else []
        for us, columns in self._spans:
            # a timeless event stands before every lower end
            low = 0 if us is None else min(entity.position(t - us + shift), high)
            # what lies below the window was never on its sums
            out = [event for at, event in void if at >= low] if void else void
            for column in columns:
                row[column.place] = column.make(entity, low, high, t, out)


class _Column:
    """One aggregate of one feature over one window."""

    __slots__ = ("_condition", "_number", "_of", "_spec", "_total", "_value", "_where", "function", "make", "of_nothing", "place")

    def __init__(
        self, place: int, feature: EventFeature, measure: Measure, value_at: dict[Value, int], keys: dict[Any, int], where: str
    ) -> None:
        self.place, self.function, self._where = place, measure.function, where
        self._condition = -1 if feature.where is None else value_at[feature.where]
        self._spec = measure.value
        self._value = -1 if measure.value is None else value_at[measure.value]
        # Two columns that add up the same have one running sum.
        self._number = keys.setdefault(("number", feature.where, measure.value), len(keys))
        self._total = keys.setdefault(("sum", feature.where, measure.value), len(keys))
        make = {"last": self._last, "age": self._age, "min": self._extreme, "max": self._extreme, "distinct": self._distinct}
        self.make: Callable[[Entity, int, int, int, Any], Any] = make.get(
            measure.function, self._count if measure.value is None else self._added
        )
        self.of_nothing = 0 if measure.function in ("count", "distinct") else None

    def _is_used(self, event: Event) -> bool:
        values = event.values
        if self._condition >= 0 and not values[self._condition]:
            return False
        return self._value < 0 or values[self._value] is not None

    def _held(self, event: Event) -> int:
        return held_int(event.values[self._value], self._stated, where=self._where)

    @property
    def _stated(self) -> Value:
        if self._spec is None:  # cannot happen: planning gives a value to every aggregate but count and age
            raise TypeError(f"{self.function} has no value")
        return self._spec

    def _one(self, event: Event) -> int:
        return 1 if self._is_used(event) else 0

    def _amount(self, event: Event) -> int:
        return self._held(event) if self._is_used(event) else 0

    def _sum(self, entity: Entity, key: int, of: Callable[[Event], int], low: int, high: int, out: list[Event]) -> int:
        if low >= high:
            return 0
        running = entity.running(key, of)
        total = running[high] - running[low]
        for event in out:
            total -= of(event)
        return total

    def _count(self, entity: Entity, low: int, high: int, t: int, out: list[Event]) -> int:
        if self._condition < 0:
            return high - low - len(out) if low < high else 0
        return self._sum(entity, self._number, self._one, low, high, out)

    def _added(self, entity: Entity, low: int, high: int, t: int, out: list[Event]) -> Any:
        number = self._sum(entity, self._number, self._one, low, high, out)
        if number == 0:
            return None
        total = self._sum(entity, self._total, self._amount, low, high, out)
        digits = self._stated.digits
        if self.function == "sum":
            return _number(total, digits)
        quotient = float(total) / float(number)
        return quotient / 10.0**digits if self.function == "mean" else quotient

    def _used(self, entity: Entity, low: int, high: int, t: int) -> Iterator[Event]:
        """The events of the window that count and have the value, the latest first."""
        events = entity.events
        for at in range(high - 1, low - 1, -1):
            event = events[at]
            if event.order[1] <= t < event.retracted_at and self._is_used(event):
                yield event

    def _last(self, entity: Entity, low: int, high: int, t: int, out: list[Event]) -> Any:
        for event in self._used(entity, low, high, t):
            value = self._stated
            last = event.values[self._value]
            if value.held == "decimal":
                return float(self._held(event)) / 10.0**value.digits
            if isinstance(last, float) and last - last != 0.0:
                raise ScaleRefused(f"{value.sql} is {last}", where=self._where, expected="a number or null")
            return last
        return None

    def _age(self, entity: Entity, low: int, high: int, t: int, out: list[Event]) -> Any:
        for event in self._used(entity, low, high, t):
            return None if event.order[0] == ALWAYS else float(t - event.order[0]) / 1e6
        return None

    def _extreme(self, entity: Entity, low: int, high: int, t: int, out: list[Event]) -> Any:
        held = [self._held(event) for event in self._used(entity, low, high, t)]
        if not held:
            return None
        return _number(min(held) if self.function == "min" else max(held), self._stated.digits)

    def _distinct(self, entity: Entity, low: int, high: int, t: int, out: list[Event]) -> Any:
        return len({event.values[self._value] for event in self._used(entity, low, high, t)})


def _number(held: int, digits: int) -> int | float:
    return float(held) / 10.0**digits if digits else held
