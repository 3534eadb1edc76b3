"""Samples that are there, whatever the columns hold."""

from __future__ import annotations

import pytest

from gonogo.data.connection import open_connection
from gonogo.data.profile import MOST_SAMPLED, SAMPLE_ROWS, population_stability_index, sample_rows, stability_limit
from gonogo.data.sql import column_types
from gonogo.types.contract import Source

N = 250_000
BY_KNOWN_AT = Source(read="t.csv", known_at="known_at", timeless=False)
TIMELESS = Source(read="t.csv", timeless=True)


def sampled(columns: str, source: Source, *, threads: int = 2) -> list[tuple[object, ...]]:
    with open_connection(threads=threads) as connection:
        connection.execute(f"CREATE TABLE src_t AS SELECT {columns} FROM range({N}) r(i)")
        return [*zip(*sample_rows(connection, "t", source, column_types(connection, "FROM src_t"), N).to_pydict().values(), strict=True)]


@pytest.mark.parametrize("place", range(4))  # of four constants the hash of some falls into the sample and of others does not
@pytest.mark.parametrize(
    ("columns", "source"),
    [
        ("'DE{place}' AS country, 2024 AS year, 'web' AS channel, i AS x", TIMELESS),
        ("timestamptz '2024-01-01 0{place}:00:00+00' AS known_at, i AS x", BY_KNOWN_AT),
        ("'DE{place}' AS country", TIMELESS),
    ],
)
def test_a_source_whose_names_are_constant_still_has_a_sample(columns: str, source: Source, place: int) -> None:
    assert SAMPLE_ROWS // 2 <= len(sampled(columns.format(place=place), source)) <= MOST_SAMPLED


def test_a_sample_is_the_same_for_any_number_of_threads() -> None:
    columns = "'DE' AS country, 2024 AS year, 'web' AS channel, i AS x"
    assert sampled(columns, TIMELESS, threads=1) == sampled(columns, TIMELESS, threads=2)


def test_nothing_is_a_shift_beside_no_rows_at_all() -> None:
    assert not population_stability_index([0, 0], [5, 5]) > stability_limit(0, 10, bins=2)
