"""A snapshot is put together from its parts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gonogo.data.opened import Opened
from gonogo.data.take import repeated_events, take
from gonogo.types.contract import Slicing, Source
from gonogo.types.errors import ColumnMistyped, DataError
from gonogo.types.snapshot import FindingStatus
from tests.data.small_contract import contract, visits


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


def test_a_column_of_lists_is_nothing_to_slice_by():
    said = contract(slices=(Slicing(column="tags"),))
    connection = visits(replace="[person] AS person")
    connection.execute("CREATE OR REPLACE TABLE src_visits AS SELECT * REPLACE (person[1] AS person), person AS tags FROM src_visits")
    connection.execute("CREATE TABLE raw_0 AS FROM src_visits")
    raws = {"visits.csv": SimpleNamespace(relation="raw_0", digest="sha256:0", is_scan=False)}
    with pytest.raises(ColumnMistyped, match="several values"):
        take(said, Opened(connection=connection, raws=raws, digests={}), contract_part="sha256:0", put=lambda data: "sha256:0", last=None)


@pytest.mark.parametrize(
    ("slicing", "where"),
    [
        (Slicing(column="person", bins=3), "slices[0].bins"),
        (Slicing(column="person", crossed_with="nothing"), "slices[0].crossed_with"),
    ],
)
def test_words_are_not_cut_into_bins_and_a_second_column_must_be_there(slicing, where):
    said = contract(slices=(slicing,))
    connection = visits()
    connection.execute("CREATE TABLE raw_0 AS FROM src_visits")
    raws = {"visits.csv": SimpleNamespace(relation="raw_0", digest="sha256:0", is_scan=False)}
    with pytest.raises(DataError) as refused:
        take(said, Opened(connection=connection, raws=raws, digests={}), contract_part="sha256:0", put=lambda data: "sha256:0", last=None)
    assert refused.value.where == where
