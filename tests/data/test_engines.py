"""What two other engines make of the same definition, over 100,000 rows: not one differing bit."""

from __future__ import annotations

import functools
import random

import numpy as np
import pyarrow as pa
import pytest

from gonogo.data import features
from gonogo.data.online import OnlineState
from tests.oracles import duck, polar
from tests.oracles.worlds import EVERY_AGGREGATE, connected, contract, differing, feature, large_world, moment

WINDOWS = ("3h", "7d", "all")
DECLARED = {"one": feature(source="events", by=("uid",), aggregates=EVERY_AGGREGATE, windows=WINDOWS)}


@functools.cache
def world() -> tuple:
    made = large_world(100_000, 15_000, 1_000, seed=3)
    events, labels = made.event_table(), made.label_table()
    connection = connected(events=events, labels=labels)
    plan = features.plan(contract(DECLARED), connection)
    return made, events, labels, connection, plan, features.compute(plan, connection, labels)


def differing_bits(one: pa.Table, other: pa.Table) -> dict[str, int]:
    """Column → rows that differ in a bit, nulls included."""
    assert set(one.column_names) == set(other.column_names)
    return {name: n for name in one.column_names if (n := _n_differing(one[name], other[name]))}


def _n_differing(one: pa.ChunkedArray, other: pa.ChunkedArray) -> int:
    kind = pa.large_string() if pa.types.is_string(one.type) else one.type
    ours, theirs = one.cast(kind).combine_chunks(), other.cast(kind, safe=True).combine_chunks()
    if kind == pa.large_string():
        return sum(a != b for a, b in zip(ours.to_pylist(), theirs.to_pylist(), strict=True))
    nulls = np.asarray(ours.is_null()) != np.asarray(theirs.is_null())
    bits = [np.asarray(each.fill_null(0)).view(np.int64) for each in (ours, theirs)]
    return int((nulls | (bits[0] != bits[1])).sum())


def test_duckdb_makes_the_same_bits_of_100_000_rows() -> None:
    _, events, labels, connection, _, computed = world()
    assert len(computed) == 100_000
    assert differing_bits(computed, duck.answers(events, labels, connection, windows=WINDOWS)) == {}


def test_polars_makes_the_same_bits_of_100_000_rows() -> None:
    pytest.importorskip("polars")
    _, events, labels, *_, computed = world()
    assert differing_bits(computed, polar.answers(events, labels, windows=WINDOWS)) == {}


def online_differs(n_labels: int) -> list[str]:
    made, events, labels, connection, plan, computed = world()
    state = OnlineState(plan, connection=connection)
    state.apply_table("events", events)
    chosen = sorted(random.Random(0).sample(range(len(labels)), n_labels))
    rows = [
        state.row({**made.labels[i], "asked": moment(made.labels[i]["gng_decided_at"])}, made.labels[i]["gng_decided_at"]) for i in chosen
    ]
    return differing(computed.take(chosen), {each.name: [row[each.name] for row in rows] for each in plan.inputs})


def test_the_online_state_makes_the_same_bits_of_a_sample_of_them() -> None:
    assert online_differs(1_500) == []


@pytest.mark.slow
def test_the_online_state_makes_the_same_bits_of_all_of_them() -> None:
    assert online_differs(100_000) == []
