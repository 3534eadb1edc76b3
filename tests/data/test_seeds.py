"""Events that an online state begins with: the same answers as if each had been applied."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from gonogo.data import features
from gonogo.data.expressions import shape_events
from gonogo.data.online import OnlineState
from gonogo.data.planning import Plan
from gonogo.data.seeds import rising
from gonogo.types.errors import KeysRefused
from tests.oracles.worlds import (
    EVENT_TYPES,
    EVERY_AGGREGATE,
    HALF_HOUR,
    SUMMER_TIME,
    WINDOWS,
    World,
    connected,
    contract,
    feature,
    small_world,
)


def plan_of(world: World, **said: Any) -> tuple[Plan, Any]:
    declared = {
        "one": feature(**{"source": "events", "by": ("uid",), "aggregates": EVERY_AGGREGATE, "windows": WINDOWS, **said}),
        "two": feature(source="events", by=("a", "b"), aggregates=("count", "last(s)"), windows=("3h", "all")),
    }
    connection = connected(events=world.event_table(), labels=world.label_table())
    return features.plan(contract(declared), connection), connection


def asked(state: OnlineState, world: World) -> list[str]:
    return [repr(state.row(label, label["gng_decided_at"])) for label in world.labels]


@pytest.mark.parametrize("seed", range(4))
def test_seeds_answer_as_events_that_were_applied_one_by_one(seed: int) -> None:
    world = small_world(random.Random(seed), n_entities=60)
    plan, connection = plan_of(world)
    shaped = shape_events(plan.sources[0], world.event_table(), connection)
    applied, seeded = OnlineState(plan, connection=connection), OnlineState(plan, connection=connection)
    applied.apply_shaped("events", shaped)
    seeded.seed("events", shaped)
    assert asked(seeded, world) == asked(applied, world)
    assert asked(seeded, world) == asked(applied, world), "each entity's seeds are taken in once"


def test_events_may_come_before_and_after_their_entity_is_first_asked_about() -> None:
    world = small_world(random.Random(7), n_entities=40)
    plan, connection = plan_of(world)
    half = len(world.events) // 2
    earlier, later = (replace(world, events=events) for events in (world.events[:half], world.events[half:]))
    applied, mixed = OnlineState(plan, connection=connection), OnlineState(plan, connection=connection)
    applied.apply_table("events", world.event_table())
    mixed.seed("events", shape_events(plan.sources[0], earlier.event_table(), connection))
    asked(mixed, replace(world, labels=world.labels[::3]))
    mixed.apply_table("events", later.event_table())
    mixed.seed("events", shape_events(plan.sources[0], world.event_table(), connection))  # all of them again
    assert asked(mixed, world) == asked(applied, world)


def test_what_was_evicted_is_not_brought_back_by_seeds() -> None:
    world = small_world(random.Random(3), n_entities=30)
    plan, connection = plan_of(world, windows=("3h",), aggregates=("count", "sum(n)"))
    plan = replace(plan, streams=plan.streams[:1], inputs=plan.inputs[:2])
    late = SUMMER_TIME + 8 * HALF_HOUR
    state, kept = OnlineState(plan, connection=connection), OnlineState(plan, connection=connection)
    for each in (state, kept):
        each.seed("events", shape_events(plan.sources[0], world.event_table(), connection))
    state.evict(late)
    uids = sorted({event["uid"] for event in world.events if event["uid"] is not None})
    rows = [({"uid": uid}, late + HALF_HOUR) for uid in uids]
    assert [state.row(*row) for row in rows] == [kept.row(*row) for row in rows]
    assert sum(len(entity.events) for entity in state._entities[0].values()) < sum(
        len(entity.events) for entity in kept._entities[0].values()
    )


def test_seeds_that_contradict_one_another_are_refused_when_they_are_asked_for() -> None:
    world = small_world(random.Random(1), n_entities=1)
    event = {**small_world(random.Random(2), n_entities=9).events[0], "uid": 1, "seq": "x", "known": SUMMER_TIME, "n": 1}
    plan, connection = plan_of(world)
    table = pa.table({name: pa.array([{**event, "n": n}[name] for n in (1, 2)], kind) for name, kind in EVENT_TYPES.items()})
    state = OnlineState(plan, connection=connection)
    state.seed("events", shape_events(plan.sources[0], table, connection))
    with pytest.raises(KeysRefused, match="one place of the order"):
        state.row({"uid": 1, "a": 0, "b": ""}, SUMMER_TIME)


def test_no_events_are_no_seeds() -> None:
    world = small_world(random.Random(5), n_entities=5)
    plan, connection = plan_of(world)
    state = OnlineState(plan, connection=connection)
    state.seed("events", shape_events(plan.sources[0], world.event_table().slice(0, 0), connection))
    assert set(asked(state, world)) == set(asked(OnlineState(plan, connection=connection), world))


def test_the_newest_event_is_known_for_any_moment() -> None:
    times = {"event_time": [5, 3, 9, 9, None, 1], "known_at": [6, 7, None, 20, 4, 2]}
    table = pa.table({name: pa.array(column, pa.timestamp("us", tz="UTC")) for name, column in times.items()})
    assert rising(table, at_most=10) == [(1, 2), (5, 6), (9, 20)]
    assert rising(table, at_most=1) == [(9, 20)]
    assert rising(table.slice(0, 0), at_most=1) == []
