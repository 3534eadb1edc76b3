"""The online state: events one at a time, late, twice, retracted, forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from gonogo.data import features
from gonogo.data.online import OnlineState
from gonogo.types.contract import Source
from gonogo.types.errors import ColumnMissing, KeysRefused, ScaleRefused, TimeRefused, UsageError
from tests.data.test_features import HOUR, NOON, event, tables
from tests.oracles.worlds import connected, contract, feature, moment


def state(sources: Any = None, boundary: str = "before", **said: Any) -> OnlineState:
    given, rows = tables([], [])
    declared = feature(**{"source": "events", "by": ("uid",), **said})
    plan = features.plan(contract({"f": declared}, boundary=boundary, **(sources or {})), connected(events=given, labels=rows))
    return OnlineState(plan)


def asked(online: OnlineState, hours: int, uid: Any = 1) -> list[Any]:
    return list(online.row({"uid": uid}, NOON + hours * HOUR).values())


def test_an_event_counts_from_the_moment_it_is_known() -> None:
    online = state(aggregates=("count", "last(n)"))
    online.apply("events", event(0, known=3, n=4))
    assert [asked(online, hours) for hours in (2, 3)] == [[0, None], [1, 4]]


def test_a_late_event_takes_its_place_in_the_order() -> None:
    online = state(aggregates=("last(n)", "sum(n)"))
    online.apply("events", event(5, n=5))
    assert asked(online, 6) == [5, 5]
    online.apply("events", event(2, n=2, seq="1"))
    assert asked(online, 6) == [5, 7]
    assert asked(online, 4) == [2, 2]


def test_the_same_event_twice_changes_nothing() -> None:
    online = state(aggregates=("count",))
    for _ in range(3):
        online.apply("events", event(0, n=1))
    assert asked(online, 1) == [1]
    assert online.n_duplicates == 2


def test_another_event_at_the_same_place_is_refused() -> None:
    online = state(aggregates=("sum(n)",))
    online.apply("events", event(0, n=1))
    with pytest.raises(KeysRefused, match="one place of the order"):
        online.apply("events", event(0, n=2))


@pytest.mark.parametrize("first", ["apply", "retract"])
def test_a_retraction_may_come_before_its_event(first: str) -> None:
    online = state(aggregates=("count", "max(n)"))
    deeds = {
        "apply": lambda: online.apply("events", event(0, n=1)),
        "retract": lambda: online.retract("events", event(0, n=1), moment(NOON + 5 * HOUR)),
    }
    deeds[first]()
    deeds["retract" if first == "apply" else "apply"]()
    assert [asked(online, hours) for hours in (4, 5)] == [[1, 1], [0, None]]


def test_a_second_retraction_at_another_time_is_refused() -> None:
    online = state(aggregates=("count",))
    online.retract("events", event(0), NOON + HOUR)
    with pytest.raises(KeysRefused, match="one place"):
        online.retract("events", event(0), NOON + 2 * HOUR)


def test_a_source_without_retracted_at_has_nothing_to_retract() -> None:
    online = state(sources={"events": Source(read="e", event_time="at", known_at="known", sequence="seq")}, aggregates=("count",))
    with pytest.raises(UsageError, match="no retracted_at"):
        online.retract("events", event(0), NOON)


def test_expressions_and_conditions_are_evaluated_as_in_the_batch() -> None:
    online = state(aggregates=("sum(n * 2 + 1)", "share(n > 1)"), where="s = 'a'")
    for i, (n, s) in enumerate([(1, "a"), (2, "a"), (None, "a"), (9, "b"), (9, None)]):
        online.apply("events", event(i, n=n, s=s, seq=str(i)))
    assert asked(online, 9) == [8, 0.5]


def test_times_may_be_datetimes_or_microseconds_and_never_naive() -> None:
    online = state(aggregates=("count",))
    online.apply("events", {**event(0), "at": moment(NOON), "known": datetime(2023, 11, 14, 23, 13, 20, tzinfo=UTC) - timedelta(hours=1)})
    assert online.row({"uid": 1}, moment(NOON + 1)) == {"f__count__all": 1}
    with pytest.raises(TimeRefused, match="naive"):
        online.apply("events", {**event(1), "at": datetime(2024, 1, 1)})


def test_numbers_of_numpy_are_numbers() -> None:
    given, rows = tables([], [])
    declared = {"half": feature(sql="a / 2.0"), "f": feature(source="events", by=("uid",), aggregates=("last(n)",))}
    online = OnlineState(features.plan(contract(declared), connected(events=given, labels=rows)))
    online.apply("events", event(0, uid=np.int64(2**53 + 1), n=np.int32(4)))
    assert online.row({"uid": np.int64(2**53 + 1), "a": np.int64(3)}, np.int64(NOON + HOUR)) == {"half": 1.5, "f__last_n__all": 4}


def test_forgetting_what_no_window_reaches_changes_no_answer() -> None:
    online = state(aggregates=("count", "mean(n)", "last(n)"), windows=("3h", "1h"))
    for i in range(50):
        online.apply("events", event(i, n=i, seq=str(i)))
    before = asked(online, 50)
    assert online.evict(NOON + 50 * HOUR) == 47
    assert asked(online, 50) == before == [3, 1, 48.0, 49.0, 49, 49]
    with pytest.raises(UsageError, match="evicted"):
        asked(online, 49)


def test_a_window_without_an_end_forgets_nothing() -> None:
    online = state(aggregates=("last(n)",), windows=("1h", "all"))
    online.apply("events", event(0, n=1))
    assert online.evict(NOON + 1_000 * HOUR) == 0
    assert asked(online, 1_000) == [None, 1]


def test_null_and_unknown_keys_match_nothing() -> None:
    online = state(aggregates=("count",))
    online.apply("events", event(0, uid=None))
    online.apply("events", event(0, uid=2**53))
    assert [asked(online, 1, uid) for uid in (None, 2**53, 2**53 + 1)] == [[0], [1], [0]]


def test_what_is_missing_is_named() -> None:
    online = state(aggregates=("sum(n)",))
    with pytest.raises(ColumnMissing, match="lacks n"):
        online.apply("events", {name: value for name, value in event(0).items() if name != "n"})
    with pytest.raises(ColumnMissing, match="no uid"):
        online.row({}, NOON)
    with pytest.raises(UsageError, match="no feature reads"):
        online.apply("weather", {})


def test_a_value_that_is_no_number_is_refused_when_it_is_asked_for() -> None:
    online = state(aggregates=("mean(x)",))
    online.apply("events", event(0, x=float("nan")))
    with pytest.raises(ScaleRefused):
        asked(online, 1)
