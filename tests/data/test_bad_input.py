"""Every kind of broken data is a record with a code and a place, never a traceback and never a guess."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gonogo.data.connection import open_connection
from gonogo.data.schema import check_sources
from gonogo.data.sources import read_sources
from gonogo.types.contract import Source
from gonogo.types.errors import SourceEmpty, SourceUnreadable
from tests.data.small_contract import contract, read, rows_of, types_of


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.jsonl", "t.arrow"])
def test_an_empty_file_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceEmpty, match="holds no byte"):
        read(tmp_path, name, b"")


def test_a_header_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceEmpty, match="has no row"):
        read(tmp_path, "t.csv", b"a,b\n")


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "t.parquet")
    with pytest.raises(SourceEmpty):
        read(tmp_path, "t.parquet")


@pytest.mark.parametrize("rows", [1, 50_000])
def test_a_file_in_another_encoding_is_refused_with_its_line(rows: int, tmp_path: Path) -> None:
    content = b"a,b\n" + b"1,plain\n" * rows + "1,café\n".encode("latin-1")
    with pytest.raises(SourceUnreadable) as refused:
        read(tmp_path, "t.csv", content)
    assert f"Line: {rows + 2}" in refused.value.found
    assert "UTF-8" in refused.value.next


def test_a_header_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match=r"line 1 of t\.csv is not UTF-8"):
        read(tmp_path, "t.csv", "café\n1\n".encode("latin-1"))


def test_utf_16_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="UTF-16"):
        read(tmp_path, "t.csv", "a,b\n1,2\n".encode("utf-16"))


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    connection, _ = read(tmp_path, "t.csv", "\ufeffa,b\n1,2\n".encode())
    assert types_of(connection) == {"a": "BIGINT", "b": "BIGINT"}


@pytest.mark.parametrize("line", [b"3\n", b"3,4,5\n"])
def test_a_ragged_line_is_refused_by_its_number(line: bytes, tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable) as refused:
        read(tmp_path, "t.csv", b"a,b\n1,2\n" + line + b"6,7\n")
    assert "Line: 3" in refused.value.found
    assert "as many values as the header" in refused.value.next


def test_a_quote_that_never_closes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        read(tmp_path, "t.csv", b'a,b\n"x,2\n3,4\n')


def test_a_nul_byte_is_refused_by_its_line(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match=r"line 3 of t\.csv holds a NUL byte"):
        read(tmp_path, "t.csv", b"a,b\n1,2\n3,\x004\n")


@pytest.mark.parametrize(("header", "said"), [(b"a,b,a", "two columns of one name"), (b"a,,b", "without a name")])
def test_a_header_that_does_not_name_its_columns_is_refused(header: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match=said):
        read(tmp_path, "t.csv", header + b"\n1,2,3\n")


def test_separators_quotes_and_line_ends_of_other_houses_are_understood(tmp_path: Path) -> None:
    connection, _ = read(tmp_path, "t.csv", b'a;b\r\n1;"x;""y""\r\nz"\r\n2;\r\n')
    assert rows_of(connection, "SELECT a, replace(b, chr(13), '') FROM src_t ORDER BY a") == [(1, 'x;"y"\nz'), (2, None)]


def test_ids_keep_their_zeros_and_their_digits(tmp_path: Path) -> None:
    content = b"zip,id,card,n\n" + b"10115,1,1,1\n" * 3000 + b"00703,9007199254740993,12345678901234567890123456789012345678901,2.5\n"
    connection, _ = read(tmp_path, "t.csv", content)
    assert types_of(connection) == {"zip": "VARCHAR", "id": "BIGINT", "card": "VARCHAR", "n": "DOUBLE"}
    assert rows_of(connection, "SELECT zip, id FROM src_t WHERE n > 2") == [("00703", 9007199254740993)]


def test_words_for_no_value_are_nulls_among_numbers_and_names_among_names(tmp_path: Path) -> None:
    connection, _ = read(tmp_path, "t.csv", b"country,temp\nNA,1.5\nDE,NA\n")
    assert rows_of(connection) == [("NA", 1.5), ("DE", None)]


def test_a_time_without_a_zone_stays_naive(tmp_path: Path) -> None:
    connection, _ = read(tmp_path, "t.csv", b"a,b,c\n2020-01-01 10:00:00,2020-01-01T10:00:00Z,2020-01-01\n")
    assert types_of(connection) == {"a": "TIMESTAMP", "b": "TIMESTAMP WITH TIME ZONE", "c": "DATE"}


def test_one_row_is_read(tmp_path: Path) -> None:
    connection, pin = read(tmp_path, "t.csv", b"a\n1\n")
    assert pin.n_rows == 1
    checked = check_sources(contract(sources={"t": Source(read="t.csv", timeless=True)}), connection)
    assert {f.status.value for f in checked.findings if f.check == "constant"} == {"skipped"}


def test_mixed_types_stay_text_and_are_an_open_finding_with_the_odd_value(tmp_path: Path) -> None:
    connection, _ = read(tmp_path, "t.csv", b"a\n" + b"1.5\n" * 50 + b"broken\n")
    assert types_of(connection) == {"a": "VARCHAR"}
    (finding,) = [f for f in check_sources(said(), connection).findings if f.check == "mixed_types"]
    assert finding.status.value == "open"
    assert "'broken'" in finding.sentence


def test_json_lines_of_mixed_types_are_read_without_a_guess(tmp_path: Path) -> None:
    connection, _ = read(tmp_path, "t.jsonl", b'{"a": 1}\n{"a": "x"}\n')
    assert types_of(connection)["a"] in ("VARCHAR", "JSON")


def test_broken_json_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        read(tmp_path, "t.jsonl", b'{"a": 1}\n{"a": \n')


def test_an_all_null_column_is_told(tmp_path: Path) -> None:
    connection, _ = read(tmp_path, "t.csv", b"a,b\n1,\n2,\n")
    (finding,) = [f for f in check_sources(said(), connection).findings if f.check == "all_null"]
    assert (finding.where, finding.status.value) == ("sources.t.b", "note")


def said() -> object:
    return contract(sources={"t": Source(read="t.csv", timeless=True)})


@pytest.mark.parametrize("cut", [4, 60, -30])
def test_a_corrupt_parquet_file_is_refused(cut: int, tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": list(range(1000))}), tmp_path / "t.parquet")
    with pytest.raises(SourceUnreadable, match=r"t\.parquet"):
        read(tmp_path, "t.parquet", (tmp_path / "t.parquet").read_bytes()[:cut])


def test_a_parquet_file_whose_pages_are_corrupt_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [f"x{i}" for i in range(5000)]}), tmp_path / "t.parquet", compression="zstd")
    content = bytearray((tmp_path / "t.parquet").read_bytes())
    content[100:400] = bytes(300)
    with pytest.raises(SourceUnreadable):
        read(tmp_path, "t.parquet", bytes(content), sql="select upper(a) as a from input")


@pytest.mark.parametrize("name", ["t.arrow", "t.parquet", "duckdb:t.db#t"])
def test_bytes_that_are_no_table_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "t.db").write_bytes(b"these bytes are no table" * 100)
    if "#" not in name:
        (tmp_path / name).write_bytes(b"these bytes are no table" * 100)
    with pytest.raises(SourceUnreadable):
        read(tmp_path, name)


@pytest.mark.parametrize("name", ["nothing.csv", "*.csv", "duckdb:no.db#t", "t.xlsx", "folder.csv"])
def test_what_is_not_there_cannot_be_opened_or_is_of_no_known_format_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_bytes(b"x")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(SourceUnreadable):
        read(tmp_path, name)


def test_five_thousand_columns_are_read_and_checked(tmp_path: Path) -> None:
    pq.write_table(pa.table({f"c{i}": [i, i + 1] for i in range(5000)}), tmp_path / "t.parquet")
    connection = open_connection()
    (pin,) = read_sources(said_of("t.parquet"), folder=tmp_path, connection=connection)
    assert len(pin.columns) == 5000
    checked = check_sources(said_of("t.parquet"), connection)
    assert {f.status.value for f in checked.findings} <= {"clean", "note"}


def said_of(name: str) -> object:
    return contract(sources={"t": Source(read=name, timeless=True)})


def test_a_csv_file_of_three_hundred_columns_is_read(tmp_path: Path) -> None:
    header = ",".join(f"c{i}" for i in range(300))
    connection, _ = read(tmp_path, "t.csv", f"{header}\n{','.join('1' for _ in range(300))}\n".encode())
    assert set(types_of(connection).values()) == {"BIGINT"}


def test_little_memory_with_a_workspace_still_reads(tmp_path: Path) -> None:
    rows = 400_000
    pq.write_table(pa.table({"a": list(range(rows)), "b": [f"value number {i}" for i in range(rows)]}), tmp_path / "t.parquet")
    connection = open_connection(threads=1, memory_limit="100MB", workspace=tmp_path)
    said = contract(sources={"t": Source(read="t.parquet", timeless=True, sql="select a, b || b || b as b from input")})
    (pin,) = read_sources(said, folder=tmp_path, connection=connection)
    assert pin.n_rows == rows
