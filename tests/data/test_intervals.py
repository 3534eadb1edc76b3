from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonogo.data.intervals import Span, allocate, intersect, merge, subtract, total
from gonogo.types.errors import UsageError

moments = st.integers(0, 40)
spans = st.lists(st.tuples(moments, moments).map(lambda pair: Span(start=min(pair), end=max(pair))), max_size=8)


def covered(some: list[Span]) -> set[int]:
    """The oracle: every moment, one by one."""
    return {moment for span in some for moment in range(span.start, span.end)}


def is_canonical(some: tuple[Span, ...]) -> bool:
    return all(s.start < s.end for s in some) and all(a.end < b.start for a, b in pairwise(some))


@given(spans)
def test_merging_keeps_every_moment_once(some: list[Span]) -> None:
    assert covered(list(merge(some))) == covered(some)
    assert is_canonical(merge(some))
    assert total(some) == len(covered(some))


@given(spans, spans)
def test_intersecting_keeps_the_moments_of_both(left: list[Span], right: list[Span]) -> None:
    assert covered(list(intersect(left, right))) == covered(left) & covered(right)
    assert is_canonical(intersect(left, right))


@given(spans, spans)
def test_subtracting_keeps_the_moments_outside_the_holes(some: list[Span], holes: list[Span]) -> None:
    assert covered(list(subtract(some, holes))) == covered(some) - covered(holes)
    assert is_canonical(subtract(some, holes))


@given(spans, spans)
def test_each_bucket_gets_what_it_covers(some: list[Span], buckets: list[Span]) -> None:
    assert list(allocate(some, buckets)) == [len(covered(some) & covered([bucket])) for bucket in buckets]


@given(spans)
def test_buckets_that_tile_the_time_share_out_the_whole(some: list[Span]) -> None:
    tiles = [Span(start=start, end=start + 7) for start in range(0, 42, 7)]
    assert sum(allocate(some, tiles)) == total(some)


def test_windows_that_touch_become_one_and_lose_no_moment() -> None:
    assert merge([Span(start=0, end=5), Span(start=5, end=9)]) == (Span(start=0, end=9),)


def test_microseconds_of_this_century_stay_exact() -> None:
    start = 1_700_000_000_000_001
    assert total([Span(start=start, end=start + 1)]) == 1


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(UsageError):
        Span(start=2, end=1)
