from __future__ import annotations

import datetime as dt
import gzip
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gonogo.data.connection import open_connection
from gonogo.data.content import digest_of_batches
from gonogo.data.readers import refuse_changed
from gonogo.data.sources import read_raw, read_sources
from gonogo.types.contract import Source
from gonogo.types.errors import ColumnMissing, ColumnMistyped, SourceEmpty, SourceUnreadable, SqlRefused, TimeRefused
from tests.data.small_contract import contract, read, rows_of, types_of

TABLE = pa.table(
    {
        "id": pa.array([9007199254740993, 2, None], pa.int64()),
        "name": ["a", None, "ü"],
        "x": [0.5, -0.0, None],
        "at": pa.array([1, None, 3], pa.timestamp("us", tz="UTC")),
    }
)
EXPECTED = [(9007199254740993, "a", 0.5, 1), (2, None, 0.0, None), (None, "ü", None, 3)]
QUERY = 'SELECT id, name, x, epoch_us("at") FROM src_t'


def write_parquet(path: Path) -> str:
    pq.write_table(TABLE, path / "t.parquet", row_group_size=2)
    return "t.parquet"


def write_arrow_file(path: Path) -> str:
    with pa.OSFile(str(path / "t.arrow"), "wb") as sink, pa.ipc.new_file(sink, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=1)
    return "t.arrow"


def write_arrow_stream(path: Path) -> str:
    with pa.OSFile(str(path / "t.arrows"), "wb") as sink, pa.ipc.new_stream(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)
    return "t.arrows"


def write_csv(path: Path) -> str:
    text = "id,name,x,at\n9007199254740993,a,0.5,1970-01-01T00:00:00.000001Z\n2,,-0,\n,ü,,1970-01-01 01:00:00.000003+01:00\n"
    (path / "t.csv").write_text(text, encoding="utf-8")
    return "t.csv"


def write_gzipped_csv(path: Path) -> str:
    write_csv(path)
    (path / "t.csv.gz").write_bytes(gzip.compress((path / "t.csv").read_bytes()))
    return "t.csv.gz"


def write_json_lines(path: Path) -> str:
    (path / "t.jsonl").write_text(
        '{"id": 9007199254740993, "name": "a", "x": 0.5, "at": "1970-01-01T00:00:00.000001Z"}\n{"id": 2, "x": -0.0}\n'
        '{"name": "ü", "at": "1970-01-01 01:00:00.000003+01:00"}\n',
        encoding="utf-8",
    )
    return "t.jsonl"


def write_duckdb(path: Path) -> str:
    with duckdb.connect(str(path / "t.duckdb")) as file:
        file.execute("SET TimeZone = 'UTC'")
        file.register("t", TABLE)
        file.execute("CREATE SCHEMA lake; CREATE TABLE lake.things AS FROM t")
    return "duckdb:t.duckdb#lake.things"


def write_python_table(path: Path) -> str:
    write_parquet(path)
    (path / "maker.py").write_text(
        "import pathlib, pyarrow.parquet as pq\ndef table():\n    return pq.read_table(pathlib.Path(__file__).parent / 't.parquet')\n"
        "def path():\n    return 't.parquet'\ndef batches():\n    yield from table().to_batches(max_chunksize=1)\n"
        "def nothing():\n    return 7\ndef fails():\n    raise KeyError('no such thing')\ndef fails_late():\n"
        "    yield table().to_batches()[0]\n    raise RuntimeError('the wire was cut')\n"
    )
    return "python:maker:table"


WRITERS = [
    write_parquet,
    write_arrow_file,
    write_arrow_stream,
    write_csv,
    write_gzipped_csv,
    write_json_lines,
    write_duckdb,
    write_python_table,
]


@pytest.mark.parametrize("write", WRITERS)
def test_every_format_gives_the_same_values_nulls_and_times(write: object, tmp_path: Path) -> None:
    connection, pin = read(tmp_path, write(tmp_path))  # type: ignore[operator]
    assert rows_of(connection, QUERY) == EXPECTED
    assert types_of(connection) == {"id": "BIGINT", "name": "VARCHAR", "x": "DOUBLE", "at": "TIMESTAMP WITH TIME ZONE"}
    assert pin.n_rows == 3
    assert pin.columns["id"] == "BIGINT"


@pytest.mark.parametrize("write", WRITERS)
def test_the_digest_is_of_the_content_whatever_its_folder_and_its_age(write: object, tmp_path: Path) -> None:
    here, there = tmp_path / "a", tmp_path / "b"
    for folder in (here, there):
        folder.mkdir()
    if write is write_gzipped_csv:  # gzip writes the time into the file, so its bytes are others
        write_gzipped_csv(here)
        (there / "t.csv.gz").write_bytes((here / "t.csv.gz").read_bytes())
        name = "t.csv.gz"
    else:
        name = write(here)  # type: ignore[operator]
        write(there)  # type: ignore[operator]
    for file in there.iterdir():
        if file.is_file():
            os.utime(file, (1, 1))
    assert read(here, name)[1].digest == read(there, name)[1].digest


@pytest.mark.parametrize("function", ["table", "path", "batches"])
def test_a_python_source_may_give_a_table_a_path_or_batches(function: str, tmp_path: Path) -> None:
    write_python_table(tmp_path)
    connection, _ = read(tmp_path, f"python:maker:{function}")
    assert rows_of(connection, QUERY) == EXPECTED


def test_a_table_has_one_digest_however_it_is_cut_into_batches(tmp_path: Path) -> None:
    write_python_table(tmp_path)
    assert read(tmp_path, "python:maker:table")[1].digest == read(tmp_path, "python:maker:batches")[1].digest


def test_the_digest_of_a_table_sees_values_nulls_names_types_and_order() -> None:
    base = {"a": pa.array([1, None, 0]), "b": ["x", "", None], "c": [[1, 2], [], None], "d": [{"e": 1}, None, {"e": None}]}
    table = pa.table(base)
    others = [
        pa.table(base | {"a": pa.array([1, 0, None])}),
        pa.table(base | {"a": pa.array([1, None, 0], pa.int32())}),
        pa.table(base | {"b": ["", "x", None]}),
        pa.table(base | {"b": ["x", None, ""]}),
        pa.table(base | {"c": [[1], [2], None]}),
        pa.table(base | {"d": [{"e": 1}, None, None]}),
        table.rename_columns(["a", "b", "c", "f"]),
        table.slice(0, 2),
        table.take([1, 0, 2]),
    ]
    digests = [digest_of_batches(t.schema, t.to_batches()) for t in (table, *others)]
    assert len(set(digests)) == len(digests)


def test_dictionaries_and_wide_strings_are_the_same_content() -> None:
    plain = pa.table({"a": ["x", None, "y", "x"]})
    coded = pa.table({"a": pa.array(["x", None, "y", "x"]).dictionary_encode()})
    wide = pa.table({"a": pa.array(["x", None, "y", "x"], pa.large_string())})
    sliced = pa.concat_tables([plain, plain]).slice(4)
    digests = {digest_of_batches(t.schema, t.to_batches()) for t in (plain, coded, wide, sliced)}
    assert len(digests) == 1


def test_a_python_source_leaves_no_trace_in_the_process(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("import pyarrow as pa\nVALUES = pa.table({'a': [1]})\n")
    (tmp_path / "maker.py").write_text("from helper import VALUES\ndef table():\n    return VALUES\n")
    before, path = set(sys.modules), list(sys.path)
    read(tmp_path, "python:maker:table")
    assert not {"maker", "helper"} & set(sys.modules)
    assert sys.path == path
    assert before <= set(sys.modules)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["helper.py", "maker.py"]


def test_two_contracts_may_each_have_a_module_of_one_name(tmp_path: Path) -> None:
    for value in (1, 2):
        folder = tmp_path / str(value)
        folder.mkdir()
        (folder / "maker.py").write_text(f"import pyarrow as pa\ndef table():\n    return pa.table({{'a': [{value}]}})\n")
        connection, _ = read(folder, "python:maker:table")
        assert rows_of(connection) == [(value,)]


@pytest.mark.parametrize(
    ("function", "said"),
    [("fails", "KeyError"), ("fails_late", "the wire was cut"), ("nothing", "int"), ("missing", "no function"), ("", "names no function")],
)
def test_whatever_a_python_source_does_wrong_is_one_refusal(function: str, said: str, tmp_path: Path) -> None:
    write_python_table(tmp_path)
    with pytest.raises(SourceUnreadable) as refused:
        read(tmp_path, f"python:maker:{function}")
    assert said in str(refused.value)


def test_a_python_module_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match=r"nowhere_at_all\.x\(\) failed"):
        read(tmp_path, "python:nowhere_at_all:x")


def test_one_read_serves_every_source_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "maker.py").write_text(
        "import pathlib, pyarrow as pa\ndef table():\n    seen = pathlib.Path(__file__).parent / 'seen'\n"
        "    seen.write_text((seen.read_text() if seen.exists() else '') + 'x')\n    return pa.table({'a': [1, 2]})\n"
    )
    one = Source(read="python:maker:table", timeless=True)
    other = Source(read="python:maker:table", sql="select a + 1 as b from input", timeless=True)
    connection = open_connection()
    pins = read_sources(contract(sources={"one": one, "other": other}), folder=tmp_path, connection=connection)
    assert (tmp_path / "seen").read_text() == "x"
    assert rows_of(connection, "SELECT b FROM src_other ORDER BY b") == [(2,), (3,)]
    assert pins[0].digest == pins[1].digest


def test_a_glob_reads_its_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, value in (("b", 2), ("a", 1), ("c", 3)):
        (tmp_path / f"{name}.csv").write_text(f"v\n{value}\n")
    connection, pin = read(tmp_path, "*.csv")
    assert rows_of(connection) == [(1,), (2,), (3,)]
    (tmp_path / "a.csv").write_text("v\n9\n")
    assert read(tmp_path, "*.csv")[1].digest != pin.digest


def test_files_of_differing_columns_are_refused_by_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "2.parquet")
    with pytest.raises(SourceUnreadable, match=r"2\.parquet has other columns than 1\.parquet"):
        read(tmp_path, "*.parquet")


def test_sources_are_shaped_by_their_sql(tmp_path: Path) -> None:
    connection, pin = read(tmp_path, "t.csv", b"a\n1\n2\n3\n", sql="select a * 10 as b from input where a > 1;")
    assert rows_of(connection) == [(20,), (30,)]
    assert pin.n_rows == 2
    assert dict(pin.columns) == {"b": "BIGINT"}


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_csv('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from input, read_text('/etc/passwd')",
        "select (select content from read_text('/etc/passwd')) as c from input",
        "with x as (select * from read_text('/etc/passwd')) select * from input, x",
        "select * from input union all select * from glob('*')",
        "select * from query('select 1')",
        "select * from src_other",
        "select * from main.input",
        "select * from information_schema.tables",
        "select *, now() as n from input",
        "select *, current_date as n from input",
        "select *, random() as n from input",
        "select * from input using sample 1",
        "attach 'x.db'",
        "copy input to 'x.csv'",
        "select 1; select 2",
        "drop table src_t",
        "select * from (describe input)",
        "select from where",
        "",
    ][:-1],
)
def test_sql_that_reads_elsewhere_acts_or_does_not_repeat_is_refused(sql: str, tmp_path: Path) -> None:
    with pytest.raises(SqlRefused):
        read(tmp_path, "t.csv", b"a\n1\n", sql=sql)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_sql_may_join_group_and_nest_over_its_input(tmp_path: Path) -> None:
    sql = """with big as (select a, b from input where a > 1)
        select b, count(*) as n, max(q.a) as top from (select * from big union all select * from input) q, range(1) group by b order by b"""
    connection, _ = read(tmp_path, "t.csv", b"a,b\n1,x\n2,x\n3,y\n", sql=sql)
    assert rows_of(connection) == [("x", 3, 2), ("y", 2, 3)]


def test_sql_of_a_column_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ColumnMissing) as refused:
        read(tmp_path, "t.csv", b"a\n1\n", sql="select b from input")
    assert refused.value.where == "sources.t.sql"


def test_sql_that_casts_what_is_none_says_which_value(tmp_path: Path) -> None:
    with pytest.raises(ColumnMistyped) as refused:
        read(tmp_path, "t.csv", b"a\n1\nx\n", sql="select a::int as a from input")
    assert "'x'" in refused.value.found


def test_sql_that_leaves_no_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceEmpty, match="leaves no row"):
        read(tmp_path, "t.csv", b"a\n1\n", sql="select a from input where a > 1")


def test_columns_that_the_contract_names_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ColumnMissing, match="no column seq"):
        read(tmp_path, "t.csv", b"a\n1\n", sequence="seq")


EVENTS = b"t,k\n2020-01-01T00:00:00Z,2020-01-01T00:05:00Z\n2020-01-02T00:00:00Z,2020-01-02T00:05:00Z\n"
TIMES = {"timeless": False, "event_time": "t", "known_at": "k"}


def test_aware_times_of_events_are_read(tmp_path: Path) -> None:
    connection, _ = read(tmp_path, "t.csv", EVENTS, **TIMES)
    assert rows_of(connection, "SELECT epoch_us(k) - epoch_us(t) FROM src_t") == [(300_000_000,)] * 2


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"2020-01-02 00:00:00", "naive"),
        (b"2020-01-02", "naive"),
        (b"1900-01-01T00:00:00Z", "stands for something else"),
        (b"1900-01-01T00:00:00-05:00", "stands for something else"),
        (b"2100-01-01T00:00:00Z", "stands for something else"),
        (b"9999-12-31T00:00:00Z", "stands for something else"),
        (b"", "1 of 2 times in k are null"),
    ],
)
def test_naive_absurd_and_missing_times_are_refused(value: bytes, said: str, tmp_path: Path) -> None:
    naive = b"Z" not in value and value
    content = EVENTS.replace(b"2020-01-02T00:05:00Z", value)
    if naive:
        content = content.replace(b"2020-01-01T00:05:00Z", value)
    with pytest.raises(TimeRefused, match=said) as refused:
        read(tmp_path, "t.csv", content, **TIMES)
    assert refused.value.where == "sources.t"


def test_a_column_of_numbers_is_no_time_and_the_fix_is_told(tmp_path: Path) -> None:
    with pytest.raises(ColumnMistyped) as refused:
        read(tmp_path, "t.csv", b"t,k\n1577836800,1577836800\n", **TIMES)
    assert "make_timestamptz" in refused.value.next


def test_a_retraction_may_be_null_for_never(tmp_path: Path) -> None:
    content = b"t,k,r\n2020-01-01T00:00:00Z,2020-01-01T00:05:00Z,\n2020-01-02T00:00:00Z,2020-01-02T00:05:00Z,2020-01-03T00:00:00Z\n"
    connection, _ = read(tmp_path, "t.csv", content, retracted_at="r", **TIMES)
    assert rows_of(connection, "SELECT count(r) FROM src_t") == [(1,)]


@pytest.fixture
def table() -> Iterator[str]:
    import psycopg

    url, name = "postgresql://postgres@127.0.0.1:5432/test", f"t_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(
            f"CREATE TABLE {name} (id bigint, name text, x double precision, at timestamptz, price numeric(12, 3), day date, tags int[])"
        )
        yield f"{url}#{name}"
        server.execute(f"DROP TABLE {name}")


def insert(table: str, values: str) -> None:
    import psycopg

    url, _, name = table.partition("#")
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"INSERT INTO {name} VALUES {values}")


FIRST = "(9007199254740993, 'a', 0.5, '2020-01-01 00:00:00+02', 1.125, '2020-02-03', '{1,2}')"
SECOND = "(2, NULL, NULL, NULL, NULL, NULL, NULL)"


@pytest.mark.postgres
def test_a_table_of_postgresql_is_read_exactly(table: str, tmp_path: Path) -> None:
    insert(table, f"{FIRST}, {SECOND}")
    connection, pin = read(tmp_path, table)
    query = 'SELECT id, name, x, epoch_us("at"), price::VARCHAR, day, tags FROM src_t ORDER BY id DESC'
    moment = 1_577_829_600_000_000
    assert rows_of(connection, query)[0] == (9007199254740993, "a", 0.5, moment, "1.125", dt.date(2020, 2, 3), "{1,2}")
    assert rows_of(connection, query)[1] == (2, None, None, None, None, None, None)
    assert pin.n_rows == 2


@pytest.mark.postgres
def test_the_order_in_which_a_database_keeps_its_rows_is_no_part_of_the_digest(table: str, tmp_path: Path) -> None:
    import psycopg

    insert(table, f"{FIRST}, {SECOND}")
    one = read(tmp_path, table)[1].digest
    url, _, name = table.partition("#")
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"DELETE FROM {name}")
    insert(table, f"{SECOND}, {FIRST}")
    assert read(tmp_path, table)[1].digest == one


@pytest.mark.postgres
def test_more_rows_than_one_fetch_all_arrive(table: str, tmp_path: Path) -> None:
    insert(table, "(0)".replace("(0)", "(0, NULL, NULL, NULL, NULL, NULL, NULL)"))
    import psycopg

    url, _, name = table.partition("#")
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"INSERT INTO {name} (id) SELECT i FROM generate_series(1, 45000) i")
    connection, pin = read(tmp_path, table)
    assert pin.n_rows == 45_001
    assert rows_of(connection, "SELECT sum(id)::BIGINT FROM src_t") == [(45_000 * 45_001 // 2,)]


@pytest.mark.postgres
def test_an_empty_table_and_an_unknown_one_are_told_apart(table: str, tmp_path: Path) -> None:
    with pytest.raises(SourceEmpty):
        read(tmp_path, table)
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        read(tmp_path, table + "_not_there")


def test_a_database_that_cannot_be_reached_never_tells_its_password(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable) as refused:
        read(tmp_path, "postgresql://ann:secret@127.0.0.1:1/shop#orders")
    assert "secret" not in str(refused.value)
    assert "postgresql://ann@127.0.0.1:1/shop#orders" in str(refused.value)


def test_sql_over_parquet_sees_nan_though_the_footer_is_silent_of_it(tmp_path: Path) -> None:
    known = pa.array([0] * 4, pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({"x": [1.0, 2.0, float("nan"), 3.0], "known": known}), tmp_path / "t.parquet")
    sql = "select *, isnan(x) as lost, x > 10 as large from input where isnan(x) or x > 2"
    connection, _ = read(tmp_path, "t.parquet", known_at="known", timeless=False, sql=sql)
    assert rows_of(connection, "SELECT sum(lost::int), sum(large::int), count(*) FROM src_t") == [(1, 1, 2)]


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": [1]}), file)
    raw = read_raw("t.parquet", "raw", folder=tmp_path, connection=open_connection(), where="sources.t.read")
    refuse_changed(raw, "sources.t.read")
    pq.write_table(pa.table({"x": [1, 2]}), file)
    with pytest.raises(SourceUnreadable, match="was changed while it was being read"):
        refuse_changed(raw, "sources.t.read")
