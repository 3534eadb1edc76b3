"""Records become bytes and come back."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest

from gonogo.types.errors import ArtifactRefused
from gonogo.types.evidence import Estimate, Interval, Of
from gonogo.types.record import canonical, digest, from_bytes, from_json, to_json


@dataclass(frozen=True, kw_only=True)
class Small:
    name: str
    n: int = 0
    tags: tuple[str, ...] = ()
    more: dict[str, float] = field(default_factory=dict)
    at: datetime | None = None


def test_a_record_comes_back_equal():
    record = Small(name="ä", n=2**60, tags=("a", "b"), more={"x": 0.1}, at=datetime(2024, 3, 10, 2, 30, tzinfo=UTC))
    assert from_bytes(Small, canonical(record)) == record


def test_nested_records_and_enumerations_come_back():
    estimate = Estimate(
        metric="m",
        of=Of.DIFFERENCE,
        value=0.5,
        interval=Interval(low=0.0, high=1.0, method="t"),
        n_units=3,
        n_rows=9,
        measured_in="",
        better="lower",
    )
    assert from_bytes(Estimate, canonical(estimate)) == estimate


def test_a_record_keeps_its_digest_when_a_later_version_adds_a_field_with_a_default():
    later = make_dataclass("Small", [("name", str), ("n", int, 0), ("new", str, "usual")], frozen=True, kw_only=True)
    assert canonical(Small(name="a", n=3)) == canonical(later(name="a", n=3))
    assert from_bytes(later, canonical(Small(name="a"))).new == "usual"


def test_what_a_reader_gets_has_every_field():
    assert to_json(Small(name="a")) == {"name": "a", "n": 0, "tags": [], "more": {}, "at": None}


def test_the_order_of_keys_leaves_no_trace():
    assert digest({"a": 1, "b": {"d": 1, "c": 2}}) == digest({"b": {"c": 2, "d": 1}, "a": 1})


def test_one_moment_has_one_text_in_every_zone():
    utc = datetime(2024, 1, 1, 12, tzinfo=UTC)
    assert canonical(utc) == canonical(utc.astimezone(timezone(timedelta(hours=-5))))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), datetime(2024, 1, 1), object(), {1, 2}])
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises((ValueError, TypeError)):
        canonical({"x": value})


@pytest.mark.parametrize(
    "plain",
    [{}, {"name": 1}, {"name": "a", "n": "1"}, {"name": "a", "n": True}, {"name": "a", "new": 1}, {"name": "a", "tags": "ab"}, []],
    ids=str,
)
def test_a_record_of_another_shape_is_refused(plain):
    with pytest.raises(ArtifactRefused):
        from_json(Small, plain)


def test_an_int_does_not_pass_for_a_bool_nor_a_bool_for_a_number():
    assert canonical({"x": True}) != canonical({"x": 1})
    with pytest.raises(ArtifactRefused):
        from_json(Small, {"name": "a", "more": {"x": True}})
