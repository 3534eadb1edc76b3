"""Request-time features of one row: the bits of the engine, mostly without asking it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from gonogo.data.connection import open_connection
from gonogo.data.planning import RequestFeature
from gonogo.data.request import MOMENT, RequestRow, is_moment_of
from gonogo.types.errors import ColumnMissing, ColumnMistyped, ScaleRefused

CONNECTION = open_connection(threads=1)
NOON = datetime(2024, 3, 31, 12, tzinfo=UTC)
VALUES: dict[str, tuple[Any, ...]] = {
    "TINYINT": (None, 0, -128, 127),
    "INTEGER": (None, 0, -(2**31), 2**31 - 1, True),
    "BIGINT": (None, 0, 7, -(2**63), 2**63 - 1, 3.0, 2.5),
    "DOUBLE": (None, 0.0, -0.0, 0.1, 1e300, 5e-324, 3, 2**53 + 1, True),
    "FLOAT": (None, 0.0, -0.0, 0.1, 3.4028235e38, 1e-46, 3),
    "BOOLEAN": (None, True, False),
    "VARCHAR": (None, "", "é", "1", 1, 1.5, True),
    "DECIMAL(9,3)": (None, 1.5, 2),
}
HELD = {"TINYINT": "whole", "INTEGER": "whole", "BIGINT": "whole", "BOOLEAN": "whole", "VARCHAR": "text"}


def request(sql: str, *columns: str, held: str = "floating", name: str = "f") -> RequestFeature:
    return RequestFeature(name=name, sql=sql, held=held, columns=columns)


def engines_own(feature: RequestFeature, kind: str, value: Any) -> Any:
    """What the engine says, asked through an expression that no shortcut knows."""
    roundabout = RequestFeature(name="f", sql=f"({feature.sql})", held=feature.held, columns=feature.columns)
    row = RequestRow([roundabout], {"x": kind}, lambda: CONNECTION)
    assert row.needs_engine
    return row([value])[0]


@pytest.mark.parametrize("kind", VALUES)
def test_a_plain_column_has_the_bits_that_the_engine_gives_it(kind: str) -> None:
    for held in {HELD.get(kind, "floating"), "text"}:
        feature = request("x", "x", held=held)
        row = RequestRow([feature], {"x": kind}, lambda: CONNECTION)
        for value in VALUES[kind]:
            ours, theirs = row([value])[0], engines_own(feature, kind, value)
            assert (type(ours), repr(ours)) == (type(theirs), repr(theirs)), (kind, held, value)


@pytest.mark.parametrize(
    "sql",
    [
        "x",
        '"x"',
        "X",
        "x - interval 2 hours",
        "x + INTERVAL '90' minutes",
        "x - interval 1 day",
        "x - interval 2 week",
        "x + interval 5 second",
    ],
)
def test_a_moment_moved_by_a_fixed_time_is_the_engine_s(sql: str) -> None:
    feature = request(sql, "x", held=MOMENT)
    kind = "TIMESTAMP WITH TIME ZONE"
    assert is_moment_of(sql, "x")
    row = RequestRow([feature], {"x": kind}, _no_engine)
    for moment in (
        NOON,
        NOON - timedelta(hours=11),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
        NOON.astimezone(timezone(timedelta(hours=-5))),
    ):
        assert row([moment]) == [engines_own(feature, kind, moment)]
    assert row([None]) == [None]


@pytest.mark.parametrize("sql", ["x - interval 1 month", "y", "x - interval 2 hours - interval 1 hour", "x::date", "greatest(x, x)"])
def test_what_is_no_fixed_shift_is_left_to_the_engine(sql: str) -> None:
    assert not is_moment_of(sql, "x")


def test_plain_columns_never_open_the_engine() -> None:
    kinds = {"n": "BIGINT", "x": "DOUBLE", "s": "VARCHAR", "b": "BOOLEAN"}
    features = [request(c, c, held=h, name=c) for c, h in (("x", "floating"), ("n", "whole"), ("s", "text"), ("b", "whole"))]
    row = RequestRow(features, kinds, _no_engine)
    assert not row.needs_engine
    assert row.of({"s": "a", "n": 3, "x": -0.0, "b": True, "other": 1}) == {"x": 0.0, "n": 3, "s": "a", "b": 1}
    assert str(row.of({"s": "a", "n": 3, "x": -0.0, "b": True})["x"]) == "0.0"


def test_the_engine_is_asked_once_for_what_it_said_before() -> None:
    asked = _Counting()
    features = [
        request("hour(t)", "t", held="whole", name="hour"),
        request("x", "x", name="x"),
        request("upper(s)", "s", held="text", name="s"),
    ]
    row = RequestRow(features, {"t": "TIMESTAMP", "x": "DOUBLE", "s": "VARCHAR"}, lambda: asked)  # type: ignore[arg-type, return-value]
    naive = NOON.replace(tzinfo=None)
    assert row([naive, 1.0, "a"]) == [12, 1.0, "A"]
    assert row([naive, 2.0, "a"]) == [12, 2.0, "A"]
    assert asked.n == 1
    assert row([naive, 2.0, "b"]) == [12, 2.0, "B"]
    assert asked.n == 2


def test_values_that_only_look_equal_are_not_remembered_as_one() -> None:
    row = RequestRow([request("1 / x", "x")], {"x": "DOUBLE"}, lambda: CONNECTION)
    told = request("x::varchar", "x", held="text")
    as_text = RequestRow([told], {"x": "VARCHAR"}, lambda: CONNECTION)
    assert [as_text([value]) for value in (1, 1.0, True, "1")] == [["1"], ["1.0"], ["true"], ["1"]]
    assert row([4.0]) == [0.25]


def test_memory_of_what_the_engine_said_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gonogo.data.request._MOST_REMEMBERED", 4)
    row = RequestRow([request("x + 1", "x")], {"x": "DOUBLE"}, lambda: CONNECTION)
    for value in itertools.chain(range(20), range(20)):
        assert row([float(value)]) == [value + 1.0]
    assert len(row._remembered[0]) <= 4


def test_a_column_without_a_zone_takes_the_wall_clock_as_it_was_written() -> None:
    row = RequestRow([request("hour(t)", "t", held="whole")], {"t": "TIMESTAMP"}, lambda: CONNECTION)
    in_new_york = datetime(2024, 1, 1, 7, tzinfo=timezone(timedelta(hours=-5)))
    assert row([in_new_york]) == row([in_new_york.replace(tzinfo=None)]) == row(["2024-01-01 07:00:00"]) == [7]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("n", [1, 3])
def test_a_number_that_is_none_is_refused(bad: float, n: int) -> None:
    names = [f"x{i}" for i in range(n)]
    row = RequestRow([request(c, c, name=c) for c in names], dict.fromkeys(names, "DOUBLE"), _no_engine)
    with pytest.raises(ScaleRefused, match=f"x{n - 1} is"):
        row([1.0] * (n - 1) + [bad])


def test_a_sum_beyond_a_float_refuses_no_row() -> None:
    row = RequestRow([request("a", "a", name="a"), request("b", "b", name="b")], {"a": "DOUBLE", "b": "DOUBLE"}, _no_engine)
    assert row([1.7e308, 1.7e308]) == [1.7e308, 1.7e308]


def test_a_value_that_its_column_cannot_hold_is_refused() -> None:
    row = RequestRow([request("x", "x", held="whole")], {"x": "TINYINT"}, lambda: CONNECTION)
    with pytest.raises(ColumnMistyped):
        row([128])


def test_a_column_that_the_request_lacks_is_named() -> None:
    with pytest.raises(ColumnMissing, match="no x"):
        RequestRow([request("x", "x")], {"x": "DOUBLE"}, _no_engine).of({"y": 1.0})


def test_no_features_are_no_values() -> None:
    assert RequestRow([], {}, _no_engine)([]) == []


def test_a_constant_is_what_the_engine_says() -> None:
    assert RequestRow([request("1 + 1", held="whole")], {}, lambda: CONNECTION)([]) == [2]


def _no_engine() -> Any:
    raise AssertionError("nobody needs the engine here")


class _Counting:
    def __init__(self) -> None:
        self.n = 0

    def execute(self, sql: str, given: list[Any]) -> Any:
        self.n += 1
        return CONNECTION.execute(sql, given)
