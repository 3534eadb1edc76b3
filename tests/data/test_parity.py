"""Batch, online state, brute force, DuckDB and Polars: one definition, not one differing bit.

A case is one entity with its own generated history and its labels, every column of which is compared. `test_ten_thousand_histories…` alone
goes through CASES of them, WORLDS_PER_RUN at a time so that one computation serves many.
"""

from __future__ import annotations

import functools
import random
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gonogo.data import features
from gonogo.data.online import OnlineState
from tests.oracles import brute
from tests.oracles.worlds import (
    EVENT_TYPES,
    EVERY_AGGREGATE,
    FEWER_AGGREGATES,
    WINDOWS,
    World,
    connected,
    contract,
    differing,
    feature,
    fill,
    moment,
    same_bits,
    small_world,
)

CASES = 10_400
HISTORIES_PER_RUN = 100
CALM = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
DECLARED = {
    "one": feature(source="events", by=("uid",), aggregates=EVERY_AGGREGATE, windows=WINDOWS),
    "pair": feature(source="events", by=("a", "b"), aggregates=FEWER_AGGREGATES, windows=("1h", "all")),
    "met": feature(source="events", by=("uid",), aggregates=FEWER_AGGREGATES, windows=("3h",), where="n >= 0"),
    "hour": feature(sql="hour(timezone('Europe/Berlin', asked))"),
}


def expected(world: World, boundary: str) -> dict[str, list[object]]:
    berlin = ZoneInfo("Europe/Berlin")
    return {
        **brute.answers(world, "one", ("uid",), EVERY_AGGREGATE, WINDOWS, boundary=boundary),
        **brute.answers(world, "pair", ("a", "b"), FEWER_AGGREGATES, ("1h", "all"), boundary=boundary),
        **brute.answers(
            world, "met", ("uid",), FEWER_AGGREGATES, ("3h",), boundary=boundary, where=lambda e: e["n"] is not None and e["n"] >= 0
        ),
        "hour": [moment(label["gng_decided_at"]).astimezone(berlin).hour for label in world.labels],
    }


@functools.cache
def planned(boundary: str) -> tuple[Any, features.Plan]:
    """A connection to refill, and the plan, which does not depend on what stands in it."""
    connection = connected(events=World(events=[], labels=[]).event_table(), labels=World(events=[], labels=[]).label_table())
    return connection, features.plan(contract(DECLARED, boundary=boundary), connection)


def batch(world: World, boundary: str) -> pa.Table:
    connection, plan = planned(boundary)
    fill(connection, events=world.event_table())
    return features.compute(plan, connection, world.label_table())


def online(world: World, boundary: str) -> dict[str, list[object]]:
    """Every event fed one at a time, in the shuffled order of the world; some are retracted by word of mouth, before or after they come."""
    connection, plan = planned(boundary)
    fill(connection, events=world.event_table())
    state = OnlineState(plan, connection=connection)
    shaped = features.read_tables(plan, connection)["events"]
    rng = random.Random(len(world.events))
    for at in range(len(shaped)):
        one = shaped.slice(at, 1).to_pylist()[0]
        if one["retracted_at"] is not None and rng.random() < 0.5:
            told = [one, {**one, "retracted_at": None}]
            rng.shuffle(told)
            for each in told:
                state.take("events", each)
        else:
            state.take("events", one)
    rows = [state.row({**label, "asked": moment(label["gng_decided_at"])}, label["gng_decided_at"]) for label in world.labels]
    return {each.name: [row[each.name] for row in rows] for each in plan.inputs}


@settings(CALM, max_examples=CASES // HISTORIES_PER_RUN)
@given(seed=st.integers(0, 2**64), boundary=st.sampled_from(("before", "at")))
def test_ten_thousand_histories_come_out_as_counted_by_hand(seed: int, boundary: str) -> None:
    world = small_world(random.Random(seed), n_entities=HISTORIES_PER_RUN)
    assert differing(batch(world, boundary), expected(world, boundary)) == []


@settings(CALM, max_examples=20)
@given(seed=st.integers(0, 2**64), boundary=st.sampled_from(("before", "at")))
def test_the_online_state_fed_one_event_at_a_time_gives_the_bits_of_the_batch(seed: int, boundary: str) -> None:
    world = small_world(random.Random(seed), n_entities=40)
    assert differing(batch(world, boundary), online(world, boundary)) == []


times = st.integers(0, 8).map(lambda steps: 1_711_846_800_000_000 + steps * 1_800_000_000)
one_event = st.fixed_dictionaries(
    {
        "uid": st.sampled_from((2**53, 2**53 + 1, None)),
        "a": st.sampled_from((1, 12)),
        "b": st.sampled_from(("23", "3", "", None)),
        "at": times,
        "known": st.none() | times,
        "gone": st.none() | times,
        "n": st.none() | st.integers(-2, 2),
        "x": st.none() | st.sampled_from((-0.0, 0.005, 0.015, 1.1)),
        "flag": st.none() | st.booleans(),
        "s": st.none() | st.sampled_from(("", "a")),
    }
)
one_label = st.fixed_dictionaries(
    {
        "uid": st.sampled_from((2**53, 2**53 + 1, 5, None)),
        "a": st.sampled_from((1, 12)),
        "b": st.sampled_from(("23", "3", "", None)),
        "gng_decided_at": times,
    }
)


@settings(CALM, max_examples=120)
@given(
    events=st.lists(one_event, max_size=8), labels=st.lists(one_label, min_size=1, max_size=4), boundary=st.sampled_from(("before", "at"))
)
def test_any_small_world_comes_out_the_same_in_batch_online_and_by_hand(events: list, labels: list, boundary: str) -> None:
    numbered = [{**dict.fromkeys(EVENT_TYPES), **event, "seq": str(i)} for i, event in enumerate(events)]
    world = World(events=numbered, labels=labels)
    truth = expected(world, boundary)
    assert differing(batch(world, boundary), truth) == []
    fed = online(world, boundary)
    assert [name for name in truth if not all(map(same_bits, fed[name], truth[name]))] == []


@pytest.mark.parametrize("boundary", ["before", "at"])
def test_the_order_of_events_and_of_labels_changes_nothing(boundary: str) -> None:
    world = small_world(random.Random(5), n_entities=60)
    turned = World(events=world.events[::-1], labels=world.labels[::-1])
    one, other = batch(world, boundary), batch(turned, boundary)
    assert one.to_pylist() == other.to_pylist()[::-1]
