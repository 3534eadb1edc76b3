"""Content that comes in exactly, or not at all."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gonogo.types.errors import SourceUnreadable
from tests.data.small_contract import read, rows_of


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (("18446744073709551617", "2"), "HUGEINT"),
        (("9007199254740993", "2.5"), "VARCHAR"),  # as floats, the first would end in 2
        (("1.0", "2"), "DOUBLE"),
        (("-0.5", "1e3"), "DOUBLE"),
        (("9007199254740993", "2"), "BIGINT"),
    ],
)
def test_a_number_of_json_keeps_every_digit(values: tuple[str, str], kind: str, tmp_path: Path) -> None:
    connection, pin = read(tmp_path, "t.jsonl", "".join(f'{{"a": {value}}}\n' for value in values).encode())
    assert pin.columns["a"] == kind
    if kind != "DOUBLE":
        assert rows_of(connection, "SELECT a::VARCHAR FROM src_t") == [(value,) for value in values]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".arrow", ".py"])
def test_two_columns_whose_names_differ_in_case_alone_are_refused(suffix: str, tmp_path: Path) -> None:
    """SQL would read the first of them under both names."""
    table = pa.table({"id": [1], "x": [2], "ID": [3]})
    name = f"t{suffix}"
    if suffix == ".parquet":
        pq.write_table(table, tmp_path / name)
    elif suffix == ".arrow":
        with pa.OSFile(str(tmp_path / name), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    elif suffix == ".py":
        (tmp_path / name).write_text("import pyarrow as pa\ndef made():\n    return pa.table({'id': [1], 'x': [2], 'ID': [3]})\n")
        name = "python:t:made"
    else:
        (tmp_path / name).write_text("id,x,ID\n1,2,3\n" if suffix == ".csv" else '{"id": 1, "x": 2, "ID": 3}\n')
    with pytest.raises(SourceUnreadable, match=r"two (columns|keys) of one name"):
        read(tmp_path, name)


def test_a_key_of_json_may_end_in_a_number(tmp_path: Path) -> None:
    connection, _ = read(tmp_path, "t.jsonl", b'{"x": 1, "x_1": 2, "x_a": 3}\n')
    assert rows_of(connection) == [(1, 2, 3)]
