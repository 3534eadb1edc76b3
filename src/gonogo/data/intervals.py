"""Which stretches of time do windows cover, together, in common, or one without the other?

Windows are half-open [start, end) in int64 microseconds: two that touch share no moment, and no moment is lost between them. All
results are sorted and disjoint, neither touching nor empty, so one set of moments has one form.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gonogo.types.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Span:
    """A stretch of time from its first moment until the first moment after it."""

    start: int  # µs UTC
    end: int  # µs UTC, not part of it

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise UsageError("a window ends before it starts", found=f"{self.start} … {self.end}", expected="start at or before end")


def merge(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Every moment that lies in any of the spans. Spans that overlap or touch become one; empty ones vanish.

    >>> merge([Span(start=5, end=7), Span(start=1, end=3), Span(start=3, end=4)])
    (Span(start=1, end=4), Span(start=5, end=7))
    """
    merged: list[Span] = []
    for span in sorted(s for s in spans if s.start < s.end):
        if merged and span.start <= merged[-1].end:
            merged[-1] = Span(start=merged[-1].start, end=max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return tuple(merged)


def intersect(left: Iterable[Span], right: Iterable[Span]) -> tuple[Span, ...]:
    """Every moment that lies in both.

    >>> intersect([Span(start=0, end=10)], [Span(start=3, end=5), Span(start=8, end=12)])
    (Span(start=3, end=5), Span(start=8, end=10))
    """
    ours, theirs = merge(left), merge(right)
    common: list[Span] = []
    i = j = 0
    while i < len(ours) and j < len(theirs):
        start, end = max(ours[i].start, theirs[j].start), min(ours[i].end, theirs[j].end)
        if start < end:
            common.append(Span(start=start, end=end))
        # The one that ends first meets nothing further.
        if ours[i].end <= theirs[j].end:
            i += 1
        else:
            j += 1
    return tuple(common)


def subtract(spans: Iterable[Span], holes: Iterable[Span]) -> tuple[Span, ...]:
    """Every moment of the spans that lies in no hole.

    >>> subtract([Span(start=0, end=10)], [Span(start=3, end=5)])
    (Span(start=0, end=3), Span(start=5, end=10))
    """
    outage = merge(holes)
    left: list[Span] = []
    j = 0
    for span in merge(spans):
        start = span.start
        while j < len(outage) and outage[j].end <= start:
            j += 1
        k = j
        while k < len(outage) and outage[k].start < span.end:
            if start < outage[k].start:
                left.append(Span(start=start, end=outage[k].start))
            start = max(start, outage[k].end)
            k += 1
        if start < span.end:
            left.append(Span(start=start, end=span.end))
    return tuple(left)


def total(spans: Iterable[Span]) -> int:
    """How many microseconds the spans cover; a moment in several of them counts once.

    >>> total([Span(start=0, end=10), Span(start=5, end=12)])
    12
    """
    return sum(span.end - span.start for span in merge(spans))


def allocate(spans: Iterable[Span], buckets: Sequence[Span]) -> tuple[int, ...]:
    """For each bucket, how many of its microseconds the spans cover, e.g. minutes of outage per day.

    buckets: in any order; where two overlap, each gets what it covers. Buckets that tile the spans get total(spans) between them.

    >>> allocate([Span(start=2, end=7)], [Span(start=0, end=5), Span(start=5, end=10)])
    (3, 2)
    """
    covered = merge(spans)
    ends = [0]
    for span in covered:
        ends.append(ends[-1] + span.end - span.start)
    return tuple(_covered_until(covered, ends, b.end) - _covered_until(covered, ends, b.start) for b in buckets)


def _covered_until(covered: Sequence[Span], ends: Sequence[int], moment: int) -> int:
    """Microseconds before the moment that the sorted, disjoint spans cover."""
    low, high = 0, len(covered)
    while low < high:  # the first span that starts at or after the moment
        middle = (low + high) // 2
        if covered[middle].start < moment:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        return 0
    return ends[low - 1] + min(moment, covered[low - 1].end) - covered[low - 1].start
