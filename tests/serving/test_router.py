"""Assignment: sticky, monotone in the share, independent between rollouts, by the key's one form."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import gonogo.serving.router as router_module
from gonogo.serving.router import NOBODY, Router, Slicer, arm, bucket, key_text, slice_text, threshold, unit
from gonogo.types.traffic import Arm

SHARES = (0.01, 0.05, 0.25, 0.5, 1.0)


def buckets(salt: str, n: int) -> np.ndarray[Any, Any]:
    router = Router(salt=salt, share=0.5)
    return np.fromiter((router.assign(f"user-{i}")[2] for i in range(n)), np.uint64, n)


@pytest.fixture(scope="module")
def many() -> np.ndarray[Any, Any]:
    return buckets("a", 200_000)


def test_nobody_leaves_the_canary_while_its_share_grows(many: np.ndarray[Any, Any]) -> None:
    inside = [set(np.flatnonzero([threshold(share) > int(place) for place in many[:20_000]])) for share in SHARES]
    assert all(fewer <= more for fewer, more in itertools.pairwise(inside))
    assert len(inside[-1]) == 20_000


def test_the_challenger_gets_its_share_and_no_more(many: np.ndarray[Any, Any]) -> None:
    for share in SHARES[:-1]:
        got = int((many < np.uint64(threshold(share))).sum())
        spread = (len(many) * share * (1 - share)) ** 0.5
        assert abs(got - len(many) * share) < 4.5 * spread, share


def test_two_rollouts_assign_independently_of_one_another(many: np.ndarray[Any, Any]) -> None:
    other = buckets("b", len(many))
    half = np.uint64(threshold(0.5))
    assert abs(float(np.corrcoef(many < half, other < half)[0, 1])) <= 4.5 / len(many) ** 0.5


def test_the_unit_tells_nothing_about_the_bucket(many: np.ndarray[Any, Any]) -> None:
    units = np.fromiter((unit(f"user-{i}") for i in range(50_000)), np.uint64, 50_000)
    half = np.uint64(2**63)
    assert abs(float(np.corrcoef(units < half, many[:50_000] < half)[0, 1])) <= 4.5 / 50_000**0.5


def test_the_same_key_is_always_assigned_alike() -> None:
    first = Router(salt="s", share=0.25)
    again = Router(salt="s", share=0.25)
    assert [first.assign(key) for key in range(1_000)] == [again.assign(key) for key in range(1_000)]
    assert first.assign("N1")[2] == bucket("s", "N1")
    assert first.assign("N1")[1] == unit("N1")


def test_what_is_remembered_of_a_key_is_what_its_hash_says() -> None:
    router = Router(salt="s", share=0.5)
    keys = ["", *(f"k{i}" for i in range(3 * router_module._PLACES)), "k" * 65, "k" * 100_000]
    for _ in range(2):  # more keys than places, so they take one another's
        for key in keys[::97] + keys[-3:] + keys[:3]:
            place = bucket("s", key)
            who = arm(place, 0.5)
            assert router.assign(key) == (who, unit(key), place, 0.5)


def test_long_keys_fill_no_memory() -> None:
    router = Router(salt="s", share=0.5)
    for i in range(1000):
        router.assign(f"{i:01000}")
    assert max(len(key) for key, _ in router._known) <= router_module._SHORT


def test_buckets_and_units_stay_what_they_are_from_version_to_version() -> None:
    assert (unit("N12345"), bucket("salt", "N12345")) == (6365075738594793903, 5645069530623481885)


@pytest.mark.parametrize(
    ("alike", "form"),
    [
        ((1, 1.0, "1", np.int32(1), np.float64(1.0), Decimal("1.00")), "1"),
        ((-7, -7.0, "-7"), "-7"),
        ((2**60, str(2**60), np.int64(2**60)), str(2**60)),
        ((0, 0.0, -0.0, "0"), "0"),
        ((0.5, "0.5", Decimal("0.50")), "0.5"),
        ((True, "true", np.True_), "true"),
        (("", ""), ""),
        (("é", b"\xc3\xa9"), "é"),
        ((date(2024, 3, 31), "2024-03-31"), "2024-03-31"),
        ((datetime(2024, 1, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=1)))), "2024-01-01T01:00:00+00:00"),
    ],
)
def test_keys_that_look_alike_are_one_key(alike: tuple[Any, ...], form: str) -> None:
    assert {key_text(key) for key in alike} == {form}
    assert len({bucket("s", key) for key in alike}) == 1


@pytest.mark.parametrize("key", [None, float("nan"), float("inf"), np.float64("nan"), Decimal("NaN"), object()])
def test_without_a_key_nobody_is_counted_and_the_champion_answers_even_at_full_share(key: Any) -> None:
    assert bucket("s", key) is None
    assert unit(key) == NOBODY
    assert Router(salt="s", share=1.0).assign(key) == (Arm.CHAMPION, NOBODY, 0, 1.0)


def test_no_key_is_nobody() -> None:
    assert unit("") != NOBODY


def test_texts_of_any_kind_are_keys() -> None:
    for text in ("\ud800", "\x00", "x" * 10_000, "🛫"):
        assert Router(salt="s", share=1.0).assign(text)[0] is Arm.CHALLENGER


@pytest.mark.parametrize(("share", "who"), [(0.0, Arm.CHAMPION), (float("nan"), Arm.CHAMPION), (-1.0, Arm.CHAMPION), (1.0, Arm.CHALLENGER)])
def test_shares_at_and_beyond_the_ends(share: float, who: Arm) -> None:
    assert {arm(place, share) for place in (0, 2**63, 2**64 - 1)} == {who}


def test_the_propensity_is_the_chance_of_the_arm_that_answers() -> None:
    router = Router(salt="s", share=0.25)
    assert {router.assign(i)[0]: router.assign(i)[3] for i in range(200)} == {Arm.CHALLENGER: 0.25, Arm.CHAMPION: 0.75}


def test_a_row_has_a_bit_for_each_slice_it_is_in() -> None:
    names = ("origin", "carrier", "distance", "late")
    slices = (
        "carrier=UA",
        "carrier=other (OO+HA)",
        "distance=below 500",
        "distance=[500, 1000)",
        "distance=1000 or more",
        "origin & carrier=JFK & UA",
        "origin=(null)",
        "late=true",
        "distance=(none)",
    )
    slicer = Slicer(slices, names=names)
    told = {row: [slices[i] for i in range(len(slices)) if slicer.of(row) >> i & 1] for row in ROWS}
    assert told == ROWS


ROWS: dict[tuple[Any, ...], list[str]] = {
    ("JFK", "UA", 500, True): ["carrier=UA", "distance=[500, 1000)", "origin & carrier=JFK & UA", "late=true"],
    ("JFK", "HA", 499.5, False): ["carrier=other (OO+HA)", "distance=below 500"],
    (None, "AA", 1000, None): ["distance=1000 or more", "origin=(null)"],
    ("EWR", "UA", None, False): ["carrier=UA", "distance=(none)"],
}


def test_a_slice_of_a_column_that_is_not_there_has_no_rows_and_is_named() -> None:
    slicer = Slicer(("dest=LAX", "origin & dest=JFK & LAX", "origin=JFK"), names=("origin",))
    assert (slicer.of(("JFK",)), slicer.missing) == (4, ("dest",))


def test_a_slice_of_a_binned_and_crossed_column() -> None:
    slicer = Slicer(("distance & origin=[500, 1000) & JFK",), names=("origin", "distance"))
    assert [slicer.of(row) for row in (("JFK", 700), ("EWR", 700), ("JFK", 1000))] == [1, 0, 0]


def test_more_slices_than_bits_are_refused() -> None:
    Slicer(tuple(f"a={i}" for i in range(64)), names=("a",))
    with pytest.raises(ValueError, match="64 bits"):
        Slicer(tuple(f"a={i}" for i in range(65)), names=("a",))


def test_values_have_the_names_that_a_snapshot_gives_them() -> None:
    pa = pytest.importorskip("pyarrow")
    for values in ([True, False, None], [1.0, 2.5, None, -3.0], [1, -2, None], ["a", "", None]):
        cast = pa.array(values).cast(pa.string()).fill_null("(null)").to_pylist()
        assert [slice_text(value) for value in values] == cast
