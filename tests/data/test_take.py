"""A snapshot is put together from its parts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gonogo.data.take import repeated_events
from gonogo.types.contract import Source
from gonogo.types.snapshot import FindingStatus


def events(sequence: str) -> SimpleNamespace:
    return SimpleNamespace(sources={"sales": Source(read="sales.parquet", event_time="at", known_at="at", sequence=sequence)})


PLAN = SimpleNamespace(streams=(SimpleNamespace(source="sales", by=("shop",)),))


@pytest.mark.parametrize(
    ("sequence", "n", "status"),
    [
        ("", 0, FindingStatus.CLEAN),
        ("line", 0, FindingStatus.CLEAN),
        ("line", 3, FindingStatus.NOTE),
        ("", 3, FindingStatus.OPEN),
    ],
)
def test_alike_events_are_a_note_where_a_sequence_tells_them_apart_and_open_where_none_does(sequence, n, status):
    (finding,) = repeated_events(events(sequence), PLAN, {"sales by shop": n})
    assert (finding.status, finding.where, finding.evidence["repeated"]) == (status, "sources.sales", n)
    assert finding.code == "GNG-P103"
