"""Small and large worlds of events and labels, and contracts that ask about them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from gonogo.data.connection import open_connection
from gonogo.types.contract import Contract, Cost, Decision, Feature, Gate, LearnerChoice, Outcome, Rows, Source, Split

HALF_HOUR = 1_800_000_000
SUMMER_TIME = 1_711_846_800_000_000  # 2024-03-31T01:00Z: clocks in Berlin leap from 2 to 3
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

NUMBERS = ("sum", "mean", "min", "max", "last", "distinct")
EVERY_AGGREGATE = (
    "count",
    "age",
    *(f"{function}({column})" for column in ("n", "x", "d") for function in NUMBERS),
    "share(flag)",
    "last(flag)",
    "last(s)",
    "distinct(s)",
    "sum(n * 2 + 1)",
)
FEWER_AGGREGATES = ("count", "mean(x)", "max(n)", "last(s)", "distinct(n)", "share(n > 1)", "age")
WINDOWS = ("30m", "1h", "3h", "all")
EVENT_TYPES = {
    "uid": pa.int64(),
    "a": pa.int64(),
    "b": pa.string(),
    "at": pa.timestamp("us", tz="UTC"),
    "known": pa.timestamp("us", tz="UTC"),
    "gone": pa.timestamp("us", tz="UTC"),
    "seq": pa.string(),
    "n": pa.int32(),
    "x": pa.float64(),
    "d": pa.decimal128(9, 3),
    "flag": pa.bool_(),
    "s": pa.string(),
}
LABEL_TYPES = {"uid": pa.int64(), "a": pa.int64(), "b": pa.string(), "gng_decided_at": pa.int64(), "asked": pa.timestamp("us", tz="UTC")}


@dataclass(frozen=True, kw_only=True)
class World:
    """Events, some of them twice, in no order; and labels."""

    events: list[dict[str, Any]]  # times are µs or None
    labels: list[dict[str, Any]]

    def event_table(self) -> pa.Table:
        return pa.table({name: pa.array([event[name] for event in self.events], kind) for name, kind in EVENT_TYPES.items()})

    def label_table(self) -> pa.Table:
        rows = [{**label, "asked": label["gng_decided_at"]} for label in self.labels]
        return pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in LABEL_TYPES.items()})


def small_world(rng: random.Random, *, n_entities: int) -> World:
    """Entities with a handful of events and labels each, on a grid of half hours around a change of clocks.

    Ids are neighbours above 2^53; composite keys read alike when written one after the other; some keys are null.
    """
    events: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    for entity in range(n_entities):
        keys = entity_keys(entity)
        if entity % 10 != 7:  # one entity in ten was never seen
            events += [_event(rng, keys, i) for i in range(rng.choice((0, 1, 3, 6, 10)))]
        labels += [_label(rng, keys) for _ in range(rng.choice((1, 1, 2, 3)))]
        if rng.random() < 0.2:
            labels.append(dict(labels[-1]))
    events += [dict(rng.choice(events)) for _ in range(len(events) // 6)] if events else []
    rng.shuffle(events)
    rng.shuffle(labels)
    return World(events=events, labels=labels)


def entity_keys(entity: int) -> dict[str, Any]:
    """A 64-bit id, and a pair whose parts, written one after the other, are those of other entities."""
    digits, split = f"{100 + entity // 4}23", 1 + entity % 4
    return {"uid": 2**53 + entity, "a": int(digits[:split]), "b": digits[split:] if entity % 4 != 3 else ""}


def _event(rng: random.Random, keys: dict[str, Any], i: int) -> dict[str, Any]:
    at = SUMMER_TIME + rng.randint(-6, 6) * HALF_HOUR
    known = rng.choice((at, at, at + HALF_HOUR, at + 10 * HALF_HOUR, at - HALF_HOUR, None))
    gone = at + rng.randint(0, 8) * HALF_HOUR if rng.random() < 0.2 else None
    hidden = rng.random() < 0.05
    return {
        **({"uid": None, "a": keys["a"], "b": None} if hidden else keys),
        "at": at,
        "known": known,
        "gone": gone,
        "seq": f"{rng.choice('éaZ')}{i}",
        **values(rng),
    }


def values(rng: random.Random) -> dict[str, Any]:
    """One value of every kind, each of them null now and then."""
    drawn = {
        "n": rng.randint(-3, 3),
        "x": rng.choice((-0.0, 0.1, 0.2, 0.345, 2.675, -7.005, 1e6, rng.uniform(-50, 50))),
        "d": Decimal(rng.randint(-99_999, 99_999)).scaleb(-3),
        "flag": rng.random() < 0.5,
        "s": rng.choice(("", "a", "b", "ä")),
    }
    return {name: None if rng.random() < 0.2 else value for name, value in drawn.items()}


def _label(rng: random.Random, keys: dict[str, Any]) -> dict[str, Any]:
    hidden = rng.random() < 0.05
    return {
        **(keys if not hidden else {"uid": None, "a": keys["a"], "b": None}),
        "gng_decided_at": SUMMER_TIME + rng.randint(-7, 8) * HALF_HOUR,
    }


def large_world(n_labels: int, n_events: int, n_entities: int, *, seed: int) -> World:
    """Enough for engines to differ where they can: late, retracted, tied, duplicated and shuffled events."""
    rng = random.Random(seed)
    keys = [entity_keys(entity) for entity in range(n_entities)]
    events = []
    for i in range(n_events):
        at = SUMMER_TIME + rng.randint(0, 2_000) * HALF_HOUR
        late = int(rng.expovariate(1) * HALF_HOUR)
        gone = at + rng.randint(1, 400) * HALF_HOUR if rng.random() < 0.05 else None
        events.append({**keys[rng.randrange(n_entities)], "at": at, "known": at + late, "gone": gone, "seq": str(i), **values(rng)})
    events += [dict(rng.choice(events)) for _ in range(n_events // 20)]
    rng.shuffle(events)
    labels = [
        {**keys[rng.randrange(n_entities)], "gng_decided_at": SUMMER_TIME + rng.randint(-10, 2_100) * HALF_HOUR} for _ in range(n_labels)
    ]
    return World(events=events, labels=labels)


def feature(**said: Any) -> Feature:
    """A feature whose nulls are left alone."""
    return Feature(missing="native", **said)


def contract(features: dict[str, Feature], *, boundary: str = "before", **sources: Source) -> Contract:
    """A contract with those features; everything else is the least that a contract needs."""
    events = Source(
        read="events.parquet", event_time="at", known_at="known", retracted_at="gone", sequence="seq", decimals={"x": 2, "n * 2 + 1": 0}
    )
    return Contract(
        gonogo=1,
        name="world",
        family="none",
        question="?",
        unit="uid",
        as_of="2030-01-01T00:00:00Z",
        select_by="loss",
        sources={"labels": Source(read="labels.parquet", known_at="asked"), "events": events, **sources},
        rows=Rows(source="labels", key=("uid",), decided_at="asked", boundary=boundary),
        outcome=Outcome(columns={"y": "1"}, known_at="asked", window="1h"),
        features=features,
        split=Split(by="time"),
        learners=(LearnerChoice(name="none"),),
        gates=(Gate(name="none", metric="loss"),),
        cost=Cost(false_positive_usd=1, false_negative_usd=1, machine_usd_per_hour=1),
        decision=Decision(owner="", reversible=True, assumptions=(), risks=(), fallback=""),
    )


def connected(**tables: pa.Table) -> Any:
    """A connection in which each table stands as a source."""
    connection = open_connection()
    fill(connection, **tables)
    return connection


def fill(connection: Any, **tables: pa.Table) -> None:
    """Each table as a source of the connection, in place of the one that was there."""
    for name, table in tables.items():
        connection.register(f"given_{name}", table)
        connection.execute(f'CREATE OR REPLACE TABLE "src_{name}" AS SELECT * FROM "given_{name}"')
        connection.unregister(f"given_{name}")


def moment(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def differing(one: pa.Table, other: dict[str, list[Any]]) -> list[str]:
    """Where a computed table differs in a bit from columns of Python values: "column, row: this, that"."""
    found = []
    for name, expected in other.items():
        for row, (ours, theirs) in enumerate(zip(one[name].to_pylist(), expected, strict=True)):
            if not same_bits(ours, theirs):
                found.append(f"{name}, row {row}: {ours!r}, expected {theirs!r}")
    return found


def same_bits(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return np.float64(one).tobytes() == np.float64(other).tobytes()
    return type(one) is type(other) and one == other
