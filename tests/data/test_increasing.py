"""A proof that values are all different, which may say too little and never too much."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gonogo.data.connection import open_connection
from gonogo.data.increasing import ROWS_AT_ONCE, SORTED_ROWS, differ_when_sorted, strictly_increases
from gonogo.data.sql import column_types
from gonogo.types.errors import GonogoError


def increases(x: str, *, n: int = 100, n_rows: int | None = None, threads: int = 2) -> bool:
    """Of a table of n rows whose column x is SQL over i."""
    with open_connection(threads=threads) as connection:
        connection.execute(f"CREATE TABLE src_t AS SELECT {x} AS x FROM range({n}) r(i)")
        kind = column_types(connection, "FROM src_t")["x"]
        return strictly_increases(connection, "t", "x", kind, n_rows=n if n_rows is None else n_rows)


def differ(x: str, *, n: int = 100, n_rows: int | None = None) -> bool:
    with open_connection() as connection:
        connection.execute(f"CREATE TABLE src_t AS SELECT {x} AS x FROM range({n}) r(i)")
        kind = column_types(connection, "FROM src_t")["x"]
        return differ_when_sorted(connection, "t", "x", kind, n_rows=n if n_rows is None else n_rows)


@pytest.mark.parametrize("x", ["i", "-i", "i * 37 % 101", "(i - 50)::TINYINT", "make_timestamptz(-i)"])
def test_values_in_any_order_are_all_different_when_sorted(x: str) -> None:
    assert differ(x)


@pytest.mark.parametrize("x", ["i % 99", "-(i // 2)", "CASE WHEN i <> 50 THEN i END", "i::DOUBLE", "'a' || i", "i::UBIGINT"])
def test_sorting_what_repeats_is_null_or_of_another_type_proves_nothing(x: str) -> None:
    assert not differ(x)


def test_sorting_sees_one_value_twice_however_far_apart() -> None:
    n = ROWS_AT_ONCE + 70_000
    assert differ("i * 7919 % 1000003", n=n)
    assert not differ(f"CASE WHEN i = {n - 1} THEN 7 * 7919 % 1000003 ELSE i * 7919 % 1000003 END", n=n)


def test_sorting_fewer_more_or_too_many_rows_proves_nothing() -> None:
    assert not differ("i", n_rows=101)
    assert not differ("i", n_rows=99)
    assert not differ("i", n_rows=SORTED_ROWS + 1)


@pytest.mark.parametrize(
    "x",
    [
        "i",
        "3 * i - 50",
        "i::TINYINT",
        "(i + 4294967000)::UINTEGER",
        "9223372036854775707 + i",
        "make_timestamp(i)",
        "make_timestamptz(i)",
        "CASE WHEN i < 99 THEN make_timestamptz(i) ELSE 'infinity' END",
    ],
)
def test_whole_numbers_and_times_in_their_order_are_all_different(x: str) -> None:
    assert increases(x)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("place", [1, 2048, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 1, 122_880, 2 * ROWS_AT_ONCE])
def test_one_value_twice_is_seen_wherever_it_stands(place: int, threads: int) -> None:
    assert not increases(f"CASE WHEN i >= {place} THEN i - 1 ELSE i END", n=2 * ROWS_AT_ONCE + 1, threads=threads)


@pytest.mark.parametrize(
    "x", ["-i", "i // 2", "i % 50", "CASE WHEN i <> 50 THEN i END", "NULL::BIGINT", "i::DOUBLE", "'a' || i", "i::HUGEINT"]
)
def test_what_falls_repeats_is_null_or_of_another_type_proves_nothing(x: str) -> None:
    assert not increases(x)


def test_fewer_or_more_rows_than_the_source_has_prove_nothing() -> None:
    assert not increases("i", n_rows=101)
    assert not increases("i", n_rows=99)


def test_a_page_that_cannot_be_read_proves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    values = np.sort(np.random.default_rng(1).choice(10**12, 1_000_000, replace=False))
    pq.write_table(pa.table({"x": values}), path, use_dictionary=False, row_group_size=500_000)
    with open_connection() as connection:
        connection.execute(f"CREATE VIEW src_t AS SELECT * FROM read_parquet('{path}')")
        assert strictly_increases(connection, "t", "x", "BIGINT", n_rows=len(values))
        start = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
        damaged = bytearray(path.read_bytes())
        damaged[start : start + 64] = b"\xff" * 64
        path.write_bytes(damaged)
        for proof in (strictly_increases, differ_when_sorted):
            with suppress(GonogoError):  # the engine may fail before its first batch or after it
                assert not proof(connection, "t", "x", "BIGINT", n_rows=len(values))
