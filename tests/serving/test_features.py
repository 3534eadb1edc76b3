"""What a model sees of one request: the bits of the batch, and no stale ones."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gonogo.data import features as batch
from gonogo.data.expressions import shape_events
from gonogo.data.planning import Plan, RequestFeature, field_type
from gonogo.serving.features import Features, Heard
from gonogo.types.errors import ColumnMissing, ScaleRefused, TimeRefused, UsageError
from gonogo.types.package import Field
from gonogo.types.snapshot import Input, Kind, Missing
from tests.oracles.worlds import FEWER_AGGREGATES, HALF_HOUR, SUMMER_TIME, connected, contract, feature, small_world

NOON = datetime(2024, 3, 31, 12, tzinfo=UTC)
FIELDS = (
    Field(name="at", type="time", needed=True),
    Field(name="x", type="number", needed=True),
    Field(name="n", type="integer", needed=True),
)
PLAIN = Plan(
    boundary="before",
    row_source="rows",
    row_columns={"x": "DOUBLE", "n": "BIGINT"},
    requests=tuple(RequestFeature(name=name, sql=name, held=held, columns=(name,)) for name, held in (("n", "whole"), ("x", "floating"))),
    streams=(),
    sources=(),
    inputs=tuple(Input(name=name, kind=Kind.NUMBER, missing=Missing.NATIVE, feature=name) for name in ("x", "n")),
)


def test_a_row_stands_in_the_order_of_the_inputs_whatever_the_order_of_the_plan() -> None:
    read = Features(PLAIN, fields=FIELDS, decided_at="at").reader(("n", "unused", "at", "x"))
    row, stale, decided = read((3, "?", NOON, -0.0))
    assert (repr(list(row)), stale, decided) == ("[0.0, 3]", "", int(NOON.timestamp() * 1e6))


def test_the_moment_of_the_decision_may_be_an_expression_of_the_request() -> None:
    for sql, expected in (("at - interval 2 hours", NOON - timedelta(hours=2)), ("date_trunc('day', \"at\")", NOON.replace(hour=0))):
        read = Features(PLAIN, fields=FIELDS, decided_at=sql).reader(("at", "x", "n"))
        assert read((NOON, 1.0, 1))[2] == int(expected.timestamp() * 1e6), sql


@pytest.mark.parametrize("said", ["2024-03-31 08:00:00", "2024-03-31T08:00:00"])
def test_a_clock_s_time_without_a_zone_is_read_as_the_batch_reads_it(said: str) -> None:
    fields = (Field(name="clock", type="text", needed=True), *FIELDS[1:])
    read = Features(PLAIN, fields=fields, decided_at="timezone('America/New_York', clock)").reader(("clock", "x", "n"))
    assert read((said, 1.0, 1))[2] == int(NOON.timestamp() * 1e6)


def test_a_moment_that_is_none_by_any_reading_is_refused_at_once() -> None:
    with pytest.raises(TimeRefused, match="no aware moment"):
        Features(PLAIN, fields=FIELDS, decided_at="x + 1")


def test_a_field_that_is_missing_is_named_before_the_first_request() -> None:
    with pytest.raises(UsageError, match="no x, at"):
        Features(PLAIN, fields=FIELDS, decided_at="at").reader(("n",))


def test_a_plan_of_plain_columns_needs_neither_the_engine_nor_arrow() -> None:
    code = (
        "import sys, tests.serving.plain_plan as light; light.check()\n"
        "assert not {'duckdb', 'pyarrow', 'numba', 'scipy', 'pandas', 'xgboost'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize("seed", range(3))
def test_with_the_same_events_a_row_has_the_bits_of_the_batch(seed: int) -> None:
    world = small_world(random.Random(seed), n_entities=40)
    plan, connection = _plan(world)
    expected = batch.compute(plan, connection, world.label_table()).to_pylist()
    seeded = Features(
        plan, fields=ASKING, decided_at="asked", seeds={"events": shape_events(plan.sources[0], world.event_table(), connection)}
    )
    told = Features(plan, fields=ASKING, decided_at="asked")
    for event in world.event_table().to_pylist():
        told.take("events", event)
    names = tuple(field.name for field in ASKING)
    for label, row in zip(world.label_table().to_pylist(), expected, strict=True):
        question = tuple(label[name] for name in names)
        for features in (seeded, told):
            assert repr(list(features.reader(names)(question)[0])) == repr([row[name] for name in features.inputs])


ASKING = (
    Field(name="asked", type="time", needed=True),
    Field(name="uid", type="integer", needed=False),
    Field(name="a", type="integer", needed=False),
    Field(name="b", type="text", needed=False),
)


def _plan(world: Any, **sources: Any) -> tuple[Plan, Any]:
    declared = {
        "half": feature(sql="a / 2.0"),
        "one": feature(source="events", by=("uid",), aggregates=FEWER_AGGREGATES, windows=("1h", "all")),
        "two": feature(source="events", by=("a", "b"), aggregates=("count", "sum(n)"), windows=("3h",)),
        "a": feature(sql="a"),
    }
    connection = connected(events=world.event_table(), labels=world.label_table())
    return batch.plan(contract(declared, **sources), connection), connection


def _asked_of(features: Features, at_us: int) -> tuple[Any, str, int | None]:
    names = tuple(field.name for field in ASKING)
    return features.reader(names)((datetime.fromtimestamp(at_us / 1e6, UTC), 1, 1, "x"))


def _event(world: Any, at: int, known: int) -> dict[str, Any]:
    return {**world.events[0], "uid": 1, "at": at, "known": known, "gone": None, "seq": f"{at} {known}", "d": None}


def test_a_source_that_was_silent_for_longer_than_the_freshness_makes_a_row_stale() -> None:
    world = small_world(random.Random(1), n_entities=5)
    features = Features(_plan(world)[0], fields=ASKING, decided_at="asked", freshness="1h")
    t = SUMMER_TIME
    assert "nothing was known of events" in _asked_of(features, t)[1]
    features.take("events", _event(world, t, t + HALF_HOUR))
    assert "nothing was known" in _asked_of(features, t + HALF_HOUR - 1)[1]
    assert _asked_of(features, t + HALF_HOUR)[1] == ""
    assert _asked_of(features, t + 2 * HALF_HOUR)[1] == ""
    stale = _asked_of(features, t + 2 * HALF_HOUR + 1)[1]
    assert "the newest event of events" in stale
    assert "1:00:00 old" in stale
    features.take("events", _event(world, t + 4 * HALF_HOUR, t + 4 * HALF_HOUR))
    assert _asked_of(features, t + 2 * HALF_HOUR + 1)[1] == stale, "what came later was not known then"
    assert _asked_of(features, t + 5 * HALF_HOUR)[1] == ""


def test_without_a_freshness_nothing_is_stale() -> None:
    features = Features(_plan(small_world(random.Random(1), n_entities=5))[0], fields=ASKING, decided_at="asked")
    assert _asked_of(features, SUMMER_TIME)[1] == ""


def test_what_was_heard_agrees_with_looking_at_every_event() -> None:
    rng = random.Random(4)
    for _ in range(200):
        heard, events = Heard(), []
        for _ in range(rng.randint(0, 12)):
            events.append((rng.randint(0, 9), rng.randint(0, 9)))
            heard.add(*events[-1])
        for t in range(-1, 11):
            assert heard.newest(t) == max((event for event, known in events if known <= t), default=None)


def test_a_row_that_is_decided_at_no_moment_is_refused_where_events_are_asked_for() -> None:
    features = Features(_plan(small_world(random.Random(1), n_entities=5))[0], fields=ASKING, decided_at="asked")
    with pytest.raises(TimeRefused, match="no moment"):
        features.reader(tuple(field.name for field in ASKING))((None, 1, 1, "x"))


def test_a_day_as_a_key_is_the_same_day_in_a_request_that_says_it_as_text() -> None:
    types = {"day": pa.date32(), "at": pa.timestamp("us", tz="UTC"), "n": pa.int64()}
    rows = [{"day": date(2024, 3, d), "at": NOON - timedelta(days=1), "n": d} for d in (1, 2)]
    events = pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()})
    labels = pa.table({"day": pa.array([date(2024, 3, 1)]), "asked": pa.array([NOON], types["at"])})
    from gonogo.types.contract import Source

    source = Source(read="e", event_time="at", known_at="at", sequence="n")
    connection = connected(events=events, labels=labels)
    plan = batch.plan(contract({"f": feature(source="events", by=("day",), aggregates=("sum(n)",))}, events=source), connection)
    fields = (Field(name="asked", type="time", needed=True), Field(name="day", type=field_type(plan.row_columns["day"]), needed=True))
    features = Features(plan, fields=fields, decided_at="asked", seeds={"events": shape_events(plan.sources[0], events, connection)})
    read = features.reader(("asked", "day"))
    assert read((NOON, "2024-03-01"))[0] == [1]
    features.take("events", {"day": "2024-03-01", "at": NOON - timedelta(hours=1), "n": 40})  # as JSON says it
    assert read((NOON, "2024-03-01"))[0] == [41]
    assert read((NOON, None))[0] == [None]


def test_events_of_a_source_that_no_feature_reads_are_nobody_s() -> None:
    Features(PLAIN, fields=FIELDS, decided_at="at").take("events", {"x": 1})


def test_an_event_that_lacks_a_column_is_refused() -> None:
    features = Features(_plan(small_world(random.Random(1), n_entities=5))[0], fields=ASKING, decided_at="asked")
    with pytest.raises(ColumnMissing):
        features.take("events", {"uid": 1})


def test_a_number_that_is_none_is_refused() -> None:
    read = Features(PLAIN, fields=FIELDS, decided_at="at").reader(("at", "x", "n"))
    with pytest.raises(ScaleRefused):
        read((NOON, float("nan"), 1))


def test_memory_of_events_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gonogo.serving.features._EVICT_EVERY", 20)
    monkeypatch.setattr("gonogo.serving.features._ASKED", 2)
    world = small_world(random.Random(1), n_entities=5)
    plan, _ = _plan(world)
    plan = replace(plan, streams=plan.streams[1:], inputs=(*plan.inputs[:1], *plan.inputs[-3:]))
    features = Features(plan, fields=ASKING, decided_at="asked")
    day = 86_400_000_000
    for i in range(10):
        _asked_of(features, SUMMER_TIME + i * day)
        for j in range(20):
            features.take("events", {**_event(world, SUMMER_TIME + i * day + j, SUMMER_TIME + i * day + j), "a": 1, "b": "x"})
    assert sum(len(entity.events) for entity in features._online._entities[0].values()) == 60  # type: ignore[union-attr]
