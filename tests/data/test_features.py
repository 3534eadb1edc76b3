"""Point-in-time features over whole tables: what counts, what is refused, and the nine probes that other feature stores fail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gonogo.data import features
from gonogo.data.online import OnlineState
from gonogo.types.contract import Source
from gonogo.types.errors import (
    ColumnMissing,
    ColumnMistyped,
    ContractRefused,
    DataError,
    GonogoError,
    KeysRefused,
    ScaleRefused,
    TimeRefused,
)
from gonogo.types.snapshot import Kind, Missing
from tests.oracles.worlds import EVENT_TYPES, LABEL_TYPES, connected, contract, feature

HOUR = 3_600_000_000
NOON = 1_700_000_000_000_000


def event(at: int, *, known: int | None = None, **said: Any) -> dict[str, Any]:
    """An event of uid 1, known at once, unless said otherwise; times in hours after NOON."""
    given = {**dict.fromkeys(EVENT_TYPES), "uid": 1, "seq": "0", **said}
    return {**given, "at": NOON + at * HOUR, "known": NOON + (at if known is None else known) * HOUR}


def label(at: int, **said: Any) -> dict[str, Any]:
    return {**dict.fromkeys(LABEL_TYPES), "uid": 1, **said, "gng_decided_at": NOON + at * HOUR, "asked": NOON + at * HOUR}


def tables(events: list[dict[str, Any]], labels: list[dict[str, Any]], **types: pa.DataType) -> tuple[pa.Table, pa.Table]:
    kinds = {**EVENT_TYPES, **types}
    return (
        pa.table({name: pa.array([each.get(name) for each in events], kind) for name, kind in kinds.items()}),
        pa.table({name: pa.array([each.get(name) for each in labels], types.get(name, kind)) for name, kind in LABEL_TYPES.items()}),
    )


def computed(
    events: list[dict[str, Any]], labels: list[dict[str, Any]], boundary: str = "before", sources: Any = None, **said: Any
) -> pa.Table:
    """The columns of one feature over `events`, by uid unless said otherwise."""
    given, rows = tables(events, labels)
    connection = connected(events=given, labels=rows)
    declared = feature(**{"source": "events", "by": ("uid",), **said})
    plan = features.plan(contract({"f": declared}, boundary=boundary, **(sources or {})), connection)
    return features.compute(plan, connection, rows)


def planned(declared: dict[str, Any], *, sources: Any = None, **types: pa.DataType) -> features.Plan:
    given, rows = tables([], [], **types)
    return features.plan(contract(declared, **(sources or {})), connected(events=given, labels=rows))


# ── the nine probes of anchors/data.md, section 2 ───────────────────────────────────────────────────────────────────────────────


def test_probe_1_a_label_whose_entity_has_only_later_events_keeps_its_row() -> None:
    made = computed([event(5, n=1)], [label(1), label(9)], aggregates=("last(n)", "count"))
    assert made.to_pylist() == [{"f__last_n__all": None, "f__count__all": 0}, {"f__last_n__all": 1, "f__count__all": 1}]


def test_probe_2_two_labels_of_one_key_and_time_stay_two() -> None:
    made = computed([event(0, n=4)], [label(1), label(1), label(2)], aggregates=("last(n)",))
    assert made["f__last_n__all"].to_pylist() == [4, 4, 4]


def test_probe_3_a_value_that_was_backfilled_later_is_not_seen() -> None:
    made = computed([event(0, n=1), event(1, known=30, n=2)], [label(2), label(30)], aggregates=("last(n)", "sum(n)"))
    assert made.to_pylist() == [{"f__last_n__all": 1, "f__sum_n__all": 1}, {"f__last_n__all": 2, "f__sum_n__all": 3}]


@pytest.mark.parametrize(("boundary", "seen"), [("before", None), ("at", 7)])
def test_probe_4_an_event_at_the_very_moment_is_seen_only_where_the_contract_says_so(boundary: str, seen: int | None) -> None:
    assert computed([event(3, n=7)], [label(3)], boundary, aggregates=("last(n)",))["f__last_n__all"].to_pylist() == [seen]


def test_probe_5_ids_above_two_to_the_53_keep_every_bit_beside_missing_ones() -> None:
    odd = 2**53 + 1
    events = [event(0, uid=odd, a=odd), event(0, uid=odd - 1, a=odd - 1)]
    made = computed(events, [label(1, uid=odd), label(1, uid=None), label(1, uid=odd - 1)], aggregates=("last(a)",))
    assert made["f__last_a__all"].to_pylist() == [odd, None, odd - 1]


def test_probe_6_a_value_older_than_its_window_is_stale_in_batch_and_online_alike() -> None:
    given, rows = tables([event(0, n=1)], [label(48)])
    connection = connected(events=given, labels=rows)
    plan = features.plan(contract({"f": feature(source="events", by=("uid",), aggregates=("last(n)", "age"), windows=("1h",))}), connection)
    online = OnlineState(plan)
    online.apply_table("events", given)
    nothing = {"f__last_n__1h": None, "f__age__1h": None}
    assert features.compute(plan, connection, rows).to_pylist() == [nothing]
    assert online.row({"uid": 1}, NOON + 48 * HOUR) == nothing


def test_probe_7_composite_keys_that_concatenate_alike_are_two() -> None:
    events = [event(0, a=1, b="23", n=1), event(0, a=12, b="3", n=2), event(0, a=123, b="", n=3), event(0, a=123, b=None, n=4)]
    labels = [label(1, a=1, b="23"), label(1, a=12, b="3"), label(1, a=123, b=""), label(1, a=123, b=None)]
    assert computed(events, labels, by=("a", "b"), aggregates=("sum(n)",))["f__sum_n__all"].to_pylist() == [1, 2, 3, None]


def test_probe_8_nanosecond_parquet_is_read_to_the_microsecond(tmp_path: Any) -> None:
    given, rows = tables([event(0, n=5), event(2, n=6)], [label(1), label(3)])
    fine = pa.array([NOON * 1000, (NOON + 2 * HOUR) * 1000], pa.timestamp("ns", tz="UTC"))
    pq.write_table(given.set_column(3, "at", fine), tmp_path / "events.parquet")
    connection = connected(labels=rows)
    connection.execute(f"CREATE VIEW src_events AS SELECT * FROM '{tmp_path / 'events.parquet'}'")
    plan = features.plan(contract({"f": feature(source="events", by=("uid",), aggregates=("last(n)",))}), connection)
    assert features.compute(plan, connection, rows)["f__last_n__all"].to_pylist() == [5, 6]


def test_probe_9_two_events_at_one_time_are_settled_by_their_sequence_whatever_their_order() -> None:
    one, other = event(0, seq="a", n=1), event(0, seq="b", n=2)
    for events in ([one, other], [other, one]):
        assert computed(events, [label(1)], aggregates=("last(n)",))["f__last_n__all"].to_pylist() == [2]


def test_probe_9_without_a_sequence_the_last_of_two_is_refused() -> None:
    unsettled = {"events": Source(read="e", event_time="at", known_at="known")}
    with pytest.raises(KeysRefused, match="stand at one place") as refused:
        computed([event(0, n=1), event(0, n=2)], [label(1)], sources=unsettled, aggregates=("last(n)",))
    assert "uid = 1" in refused.value.where
    assert "sequence" in refused.value.next


# ── what counts ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_a_sequence_sums_do_not_ask_who_came_first() -> None:
    unsettled = {"events": Source(read="e", event_time="at", known_at="known")}
    made = computed([event(0, n=1), event(0, n=2)], [label(1)], sources=unsettled, aggregates=("sum(n)", "count", "age"))
    assert made.to_pylist() == [{"f__sum_n__all": 3, "f__count__all": 2, "f__age__all": 3600.0}]


def test_a_row_that_stands_twice_counts_once_and_is_reported() -> None:
    twice = [event(0, n=1, seq="a"), event(0, n=1, seq="a"), event(0, n=5, seq="b")]
    given, rows = tables(twice, [label(1)])
    connection = connected(events=given, labels=rows)
    plan = features.plan(contract({"f": feature(source="events", by=("uid",), aggregates=("count", "sum(n)"))}), connection)
    made = features.compute_with(plan, connection, rows, features.read_tables(plan, connection))
    assert made.inputs.to_pylist() == [{"f__count__all": 2, "f__sum_n__all": 6}]
    assert made.duplicates == {"events by uid": 1}


def test_a_row_that_repeats_the_sequence_of_another_and_differs_is_refused() -> None:
    with pytest.raises(KeysRefused, match="differ from it"):
        computed([event(0, n=1, seq="a"), event(0, n=2, seq="a")], [label(1)], aggregates=("count", "sum(n)"))


def test_a_retracted_event_counts_until_it_is_taken_back() -> None:
    events = [event(0, n=1, seq="a"), event(1, n=2, seq="b", gone=NOON + 5 * HOUR)]
    made = computed(events, [label(4), label(5)], aggregates=("last(n)", "count"))
    assert made.to_pylist() == [{"f__last_n__all": 2, "f__count__all": 2}, {"f__last_n__all": 1, "f__count__all": 1}]


def test_an_event_that_stands_there_retracted_and_not_retracted_is_refused_though_nothing_asks_for_an_order() -> None:
    taken_back = {**event(0, n=1), "gone": NOON + 5 * HOUR}
    unordered = {"events": Source(read="events.parquet", event_time="at", known_at="known", retracted_at="gone")}
    with pytest.raises(KeysRefused, match="differ") as refused:
        computed([event(0, n=1), taken_back], [label(2)], aggregates=("count",), sources=unordered)
    assert "retracted_at" in refused.value.next
    two = computed([event(0, n=1), {**taken_back, "n": 2}], [label(2), label(9)], aggregates=("sum(n)",), sources=unordered)
    assert two["f__sum_n__all"].to_pylist() == [3, 1]


def test_an_event_with_no_known_at_never_counts() -> None:
    assert computed([{**event(0, n=1), "known": None}], [label(9)], aggregates=("count",))["f__count__all"].to_pylist() == [0]


def test_attributes_without_a_time_are_always_known_and_in_no_window_that_ends() -> None:
    attributes = {"events": Source(read="e", timeless=True)}
    made = computed([event(5, s="A320")], [label(0)], sources=attributes, aggregates=("last(s)", "count", "age"), windows=("all", "1h"))
    assert made.to_pylist() == [
        {"f__last_s__all": "A320", "f__last_s__1h": None, "f__count__all": 1, "f__count__1h": 0, "f__age__all": None, "f__age__1h": None}
    ]


def test_floats_are_added_up_as_integers_so_that_no_order_changes_a_bit() -> None:
    events = [event(i, x=x, seq=str(i)) for i, x in enumerate((0.1, 0.2, 0.3, 1e9, -1e9))]
    made = computed(events, [label(9)], aggregates=("sum(x)", "mean(x)"))
    assert made.to_pylist() == [{"f__sum_x__all": 0.6, "f__mean_x__all": 0.12}]


def test_minus_zero_is_zero() -> None:
    made = computed([event(0, x=-0.0)], [label(1)], aggregates=("last(x)", "min(x)", "sum(x)"))
    assert [str(value) for value in made.to_pylist()[0].values()] == ["0.0", "0.0", "0.0"]


def test_a_feature_without_a_key_looks_at_every_event() -> None:
    made = computed([event(0, uid=1), event(0, uid=2, seq="b")], [label(1), label(1, uid=None)], by=(), aggregates=("count",))
    assert made["f__count__all"].to_pylist() == [2, 2]


def test_no_events_make_nulls_and_zeros_and_no_rows_make_no_rows() -> None:
    nothing = computed([], [label(1)], aggregates=("count", "last(s)", "max(n)", "distinct(n)", "age", "mean(x)"))
    assert list(nothing.to_pylist()[0].values()) == [0, None, None, 0, None, None]
    assert len(computed([event(0, n=1)], [], aggregates=("count", "last(n)"))) == 0


def test_request_time_features_are_expressions_over_the_row() -> None:
    declared = {
        "weekday": feature(sql="dayofweek(asked)"),
        "early": feature(sql="hour(asked) < 6"),
        "group": feature(sql="a", kind="category"),
        "half": feature(sql="a / 2.0"),
    }
    given, rows = tables([], [label(0, a=3), label(0, a=None)])
    connection = connected(events=given, labels=rows)
    plan = features.plan(contract(declared), connection)
    assert features.compute(plan, connection, rows).to_pylist() == [
        {"weekday": 2, "early": 0, "group": "3", "half": 1.5},
        {"weekday": 2, "early": 0, "group": None, "half": None},
    ]
    assert [each.kind for each in plan.inputs] == [Kind.NUMBER, Kind.NUMBER, Kind.CATEGORY, Kind.NUMBER]
    assert plan.request_columns == {"weekday": ("asked",), "early": ("asked",), "group": ("a",), "half": ("a",)}


def test_columns_are_named_by_feature_aggregate_and_window() -> None:
    plan = planned({"deps": feature(source="events", by=("uid",), aggregates=("mean(x)", "share(n > 1)", "age"), windows=("3h", "7d"))})
    assert [each.name for each in plan.inputs] == [
        "deps__mean_x__3h",
        "deps__mean_x__7d",
        "deps__share_n_1__3h",
        "deps__share_n_1__7d",
        "deps__age__3h",
        "deps__age__7d",
    ]
    assert {each.missing for each in plan.inputs} == {Missing.NATIVE}


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_everything_that_is_wrong_is_said_at_once_with_the_nearest_name() -> None:
    declared = {
        "one": feature(source="evnts", by=("uid",), aggregates=("count",)),
        "two": feature(source="events", by=("uidd",), aggregates=("count",)),
        "three": feature(source="events", by=("uid",), aggregates=("median(n)",)),
        "four": feature(sql="askd"),
        "five": feature(source="events", by=("uid",), aggregates=("sum(s)",)),
        "good": feature(source="events", by=("uid",), aggregates=("count",)),
    }
    with pytest.raises(ContractRefused) as refused:
        planned(declared)
    assert [problem.key for problem in refused.value.problems] == [f"features.{name}" for name in ("one", "two", "three", "four", "five")]
    assert [problem.next for problem in refused.value.problems][:2] == ["did you mean events?", "did you mean uid?"]


@pytest.mark.parametrize(
    ("refusal", "declared"),
    [
        (ColumnMissing, feature(source="events", by=("x",), aggregates=("count",))),
        (ColumnMistyped, feature(source="events", by=("uid",), aggregates=("mean(s)",))),
        (ColumnMistyped, feature(source="events", by=("uid",), aggregates=("last(at)",))),
        (ColumnMistyped, feature(source="events", by=("uid",), aggregates=("count",), where="n + 1")),
        (ColumnMissing, feature(source="events", by=("uid",), aggregates=("sum(nn)",))),
        (ScaleRefused, feature(source="events", by=("uid",), aggregates=("mean(x * 2)",))),
        (ColumnMistyped, feature(source="events", by=("uid",), aggregates=("distinct([n])",))),
        (ColumnMistyped, feature(source="events", by=("uid",), aggregates=("distinct({'a': n})",))),
        (GonogoError, feature(source="events", by=("uid",), aggregates=("sum(unnest([n, n]))",))),
        (DataError, feature(source="events", by=("uid",), aggregates=("count",), windows=("soon",))),
        (DataError, feature(source="events", by=("uid",), aggregates=("count", "count"))),
        (ColumnMistyped, feature(sql="asked")),
        (GonogoError, feature(sql="random()")),
        (GonogoError, feature(sql="now() - asked")),
        (GonogoError, feature(sql="avg(a) over ()")),
        (GonogoError, feature(sql="(select max(a) from labels)")),
    ],
)
def test_a_feature_that_cannot_be_computed_exactly_is_refused(refusal: type[GonogoError], declared: Any) -> None:
    with pytest.raises(refusal):
        planned({"f": declared})


@pytest.mark.parametrize(("kind", "told"), [(pa.string(), "two types"), (pa.float64(), "exact equality")])
def test_keys_that_could_match_nothing_are_refused(kind: pa.DataType, told: str) -> None:
    given, rows = tables([], [])
    connection = connected(events=given.set_column(0, "uid", pa.array([], kind)), labels=rows)
    asked = contract({"f": feature(source="events", by=("uid",), aggregates=("count",))})
    with pytest.raises(ColumnMistyped, match=told):
        features.plan(asked, connection)


def test_keys_of_two_widths_are_one_type() -> None:
    given, rows = tables([event(0, n=1)], [label(1)])
    given = given.set_column(0, "uid", pa.array([1], pa.int16()))
    connection = connected(events=given, labels=rows)
    plan = features.plan(contract({"f": feature(source="events", by=("uid",), aggregates=("count",))}), connection)
    assert features.compute(plan, connection, rows)["f__count__all"].to_pylist() == [1]


def test_naive_event_times_are_refused_with_the_fix() -> None:
    given, rows = tables([], [])
    given = given.set_column(3, "at", pa.array([], pa.timestamp("us")))
    with pytest.raises(TimeRefused) as refused:
        features.plan(contract({"f": feature(source="events", by=("uid",), aggregates=("count",))}), connected(events=given, labels=rows))
    assert "timezone(" in refused.value.next


def test_an_event_without_a_time_is_refused() -> None:
    with pytest.raises(TimeRefused, match="1 of 1 events"):
        computed([{**event(0), "at": None}], [label(1)], aggregates=("count",))


def test_a_value_that_is_known_later_than_its_event_is_refused_in_an_aggregate() -> None:
    late = {"events": Source(read="e", event_time="at", known_at="known", sequence="seq", known_later={"n": "gone"})}
    with pytest.raises(DataError, match="known later than its row"):
        planned({"f": feature(source="events", by=("uid",), aggregates=("last(n)",))}, sources=late)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e300])
@pytest.mark.parametrize("aggregate", ["mean(x)", "max(x)", "last(x)", "distinct(x)"])
def test_values_that_are_no_numbers_are_refused(bad: float, aggregate: str) -> None:
    if bad == 1e300 and aggregate in ("last(x)", "distinct(x)"):
        assert len(computed([event(0, x=bad)], [label(1)], aggregates=(aggregate,))) == 1
        return
    with pytest.raises(ScaleRefused):
        computed([event(0, x=bad)], [label(1)], aggregates=(aggregate,))


def test_a_sum_that_could_leave_62_bits_is_refused_and_one_that_cannot_is_exact() -> None:
    fits = [event(i, a=2**60 + i, seq=str(i)) for i in range(3)]
    assert computed(fits, [label(9)], aggregates=("sum(a)",))["f__sum_a__all"].to_pylist() == [3 * 2**60 + 3]
    with pytest.raises(ScaleRefused, match="62 bits"):
        computed([*fits, event(3, a=2**60, seq="3")], [label(9)], aggregates=("sum(a)",))


def test_a_request_time_feature_that_is_no_number_is_refused() -> None:
    given, rows = tables([], [label(0, a=0)])
    connection = connected(events=given, labels=rows)
    plan = features.plan(contract({"f": feature(sql="1.0::double / a")}), connection)
    with pytest.raises(ScaleRefused, match="NaN or infinite"):
        features.compute(plan, connection, rows)


def test_moments_of_the_world_are_what_the_tests_take_them_for() -> None:
    assert datetime.fromtimestamp(NOON / 1e6, UTC).isoformat() == "2023-11-14T22:13:20+00:00"
