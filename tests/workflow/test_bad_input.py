"""Bad input ends in a record with a code on stderr and exit 2 or 3: never a traceback, never a verdict, and the ledger as it was."""

from __future__ import annotations

import io
import re
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from gonogo.backends.sqlite import SqliteLog
from gonogo.ledger.verify import verify
from tests.workflow import worlds
from tests.workflow.command import Answer, gonogo

PARCELS = worlds.tables().parcels
N = worlds.N_PARCELS
TARGET = ("(hours_late > 0)::int", "hours_late")
Spoil = Callable[[Path], object]


def head(folder: Path) -> str:
    return verify(SqliteLog(folder / ".gonogo" / "ledger.sqlite", read_only=True)).head


def check_refused(answer: Answer, code: str, status: int = 2) -> None:
    assert re.match(rf"{code}: \S", answer.err), answer
    assert (answer.status, answer.out) == (status, "")
    assert "next" in answer.err


def edited(folder: Path, before: str, after: str) -> None:
    text = (folder / "contract.toml").read_text()
    assert before in text
    (folder / "contract.toml").write_text(text.replace(before, after, 1))


def parquet(folder: Path, **columns: object) -> None:
    """The parcels with some columns replaced."""
    table = PARCELS
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values) if isinstance(values, list) else values)
    pq.write_table(table, folder / "parcels.parquet")


def csv(folder: Path, change: Callable[[bytes], bytes]) -> None:
    """The parcels as CSV, its bytes changed."""
    written = io.BytesIO()
    pa.csv.write_csv(PARCELS, written)
    (folder / "parcels.csv").write_bytes(change(written.getvalue()))
    edited(folder, 'read = "parcels.parquet"', 'read = "parcels.csv"')


def target(folder: Path, values: list[float]) -> None:
    parquet(folder, hours_late=values)
    edited(folder, *TARGET)


def raw(folder: Path, change: Callable[[bytearray], object]) -> None:
    data = bytearray((folder / "parcels.parquet").read_bytes())
    change(data)
    (folder / "parcels.parquet").write_bytes(data)


def flip(data: bytearray) -> None:
    data[2_000:2_100] = bytes(100)


def moments(us: int) -> pa.Array:
    return pa.array([us] * N, worlds.MOMENT)


BAD: dict[str, tuple[Spoil, str]] = {
    "an empty file": (lambda f: (f / "parcels.parquet").write_bytes(b""), "GNG-D003"),
    "an empty CSV file": (lambda f: csv(f, lambda data: b""), "GNG-D003"),
    "a header only": (lambda f: csv(f, lambda data: data[: data.index(b"\n") + 1]), "GNG-D003"),
    "a table without rows": (lambda f: pq.write_table(PARCELS.slice(0, 0), f / "parcels.parquet"), "GNG-D003"),
    "a wrong encoding": (lambda f: csv(f, lambda data: data.replace(b"ams", "äms".encode("latin-1"))), "GNG-D002"),
    "a ragged CSV": (lambda f: csv(f, lambda data: data + b'"px","2024-01-01"\n'), "GNG-D002"),
    "a NaN in the target": (lambda f: target(f, [float("nan") if i % 7 == 0 else 1.0 for i in range(N)]), "GNG-D008"),
    "an infinite target": (lambda f: target(f, [float("inf") if i % 7 == 0 else 1.0 for i in range(N)]), "GNG-D008"),
    "one class only": (lambda f: parquet(f, hours_late=[3] * N), "GNG-D008"),
    "a column of nulls where none is allowed": (lambda f: parquet(f, weight_kg=pa.nulls(N, pa.float64())), "GNG-D001"),
    "text where times must be": (lambda f: parquet(f, handed_in_at=["yesterday"] * N), "GNG-D00[56]"),
    "keys that stand twice": (lambda f: parquet(f, parcel=["p1"] * N), "GNG-D007"),
    "keys that are null": (lambda f: parquet(f, parcel=pa.nulls(N, pa.string())), "GNG-D007"),
    "dates of 1900": (lambda f: parquet(f, handed_in_at=moments(-2_208_988_800_000_000)), "GNG-D006"),
    "dates of 2100": (lambda f: parquet(f, handed_in_at=moments(4_102_444_800_000_000)), "GNG-D006"),
    "naive times": (lambda f: parquet(f, handed_in_at=PARCELS["handed_in_at"].cast(pa.timestamp("us"))), "GNG-D006"),
    "a corrupt Parquet file": (lambda f: raw(f, flip), "GNG-D002"),
    "a Parquet file that was cut off": (lambda f: raw(f, lambda data: data.__delitem__(slice(-50, None))), "GNG-D002"),
    "a file that is no Parquet": (lambda f: (f / "parcels.parquet").write_bytes(b"parcel,day\n1,2\n"), "GNG-D002"),
    "a file that is not there": (lambda f: (f / "scans.parquet").unlink(), "GNG-D002"),
    "one row": (lambda f: pq.write_table(PARCELS.slice(0, 1), f / "parcels.parquet"), "GNG-D009"),
    "a contract of a newer version": (lambda f: edited(f, "gonogo = 1", "gonogo = 2"), "GNG-C001"),
    "a contract that is not TOML": (lambda f: (f / "contract.toml").write_text("gonogo = = 1"), "GNG-C001"),
    "a contract in another encoding": (lambda f: (f / "contract.toml").write_bytes("name = 'ä'".encode("latin-1")), "GNG-C001"),
    "no gates": (lambda f: (f / "contract.toml").write_text(re.sub(r"\[\[gates\]\][^\[]*", "", worlds.contract())), "GNG-C001"),
    "an unknown family": (lambda f: edited(f, 'family = "tabular"', 'family = "tabula"'), "GNG-C002"),
    "a unit that is no column": (lambda f: edited(f, 'unit = "day"', 'unit = "dya"'), "GNG-D004"),
    "a slice that is no column": (
        lambda f: (edited(f, 'slices = ["depot"]', 'slices = ["depo"]'), edited(f, 'column = "depot"', 'column = "depo"')),
        "GNG-D004",
    ),
    "a feature of a column that is not there": (lambda f: edited(f, '"weight_kg"', '"weight"'), "GNG-D004"),
    "SQL that is none": (lambda f: edited(f, '"weight_kg"', '"weight_kg +"'), "GNG-D011"),
    "SQL that reads a file": (lambda f: edited(f, '"weight_kg"', "\"(select count(*) from read_csv('/etc/passwd'))\""), "GNG-D011"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_record_with_a_code_and_the_ledger_as_it_was_for(what, done):
    spoil, code = BAD[what]
    before = head(done)
    spoil(done)
    check_refused(gonogo("run", done), code)
    assert head(done) == before


def test_a_column_of_mixed_types_is_a_finding_that_is_open_and_no_go(done):
    csv(done, lambda data: data.replace(b",8.2,", b",heavy,"))
    answer = gonogo("run", done)
    assert answer.status == 1
    assert answer.out.startswith("NO-GO")
    assert "GNG-Q011" in answer.out


def test_an_error_is_one_record_on_stdout_where_a_machine_asked_and_text_on_stderr(done):
    (done / "scans.parquet").unlink()
    answer = gonogo("run", done, "--json")
    assert answer.status == 2
    assert set(answer.record["error"]) == {"code", "message", "found", "expected", "where", "next"}
    assert answer.err.startswith(answer.record["error"]["code"])


def test_a_ledger_that_another_process_holds_is_told_and_left_alone(done, monkeypatch):
    monkeypatch.setitem(SqliteLog.__init__.__kwdefaults__, "timeout_s", 0.2)
    edited(done, "at_least = 0.6", "at_least = 0.61")
    before = head(done)
    with closing(sqlite3.connect(done / ".gonogo" / "ledger.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        check_refused(gonogo("run", done), "GNG-L001", status=3)
        other.execute("ROLLBACK")
    assert head(done) == before
    assert gonogo("run", done).status == 0


def test_an_edited_ledger_is_told_and_nothing_is_decided_on_it(done):
    with closing(sqlite3.connect(done / ".gonogo" / "ledger.sqlite", isolation_level=None)) as other:
        other.execute("DROP TRIGGER never_updated")
        other.execute("UPDATE entries SET body = replace(body, 'parcels', 'persons') WHERE seq = 2")
    check_refused(gonogo("run", done), "GNG-L002", status=3)
    check_refused(gonogo("ledger", "verify", done), "GNG-L002", status=3)


def test_a_ledger_that_is_another_file_is_told(done):
    (done / ".gonogo" / "ledger.sqlite").write_bytes(b"not a ledger at all, and long enough to be read as a header" * 20)
    check_refused(gonogo("run", done), "GNG-L004", status=3)


def test_a_state_folder_that_is_a_file_is_told(tmp_path):
    folder = worlds.build(tmp_path)
    (folder / ".gonogo").write_text("")
    check_refused(gonogo("run", folder), "GNG-S001", status=3)


def limited(n_bytes: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))


def test_a_full_disk_is_told_and_the_next_run_goes_on(tmp_path):
    folder = worlds.build(tmp_path)
    command = [sys.executable, "-B", "-m", "gonogo.cli.main", "run", str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limited(20_000))
    check_refused(Answer(ended.returncode, ended.stdout, ended.stderr), "GNG-S001", status=3)
    assert gonogo("run", folder).status == 0


@pytest.mark.slow
def test_five_thousand_columns_are_read_and_only_those_that_are_named_count(tmp_path):
    folder = worlds.build(tmp_path)
    wide = {f"extra_{i}": pa.array(np.zeros(N, dtype=np.int8)) for i in range(5_000)}
    pq.write_table(pa.table({**dict(zip(PARCELS.column_names, PARCELS.columns, strict=True)), **wide}), folder / "parcels.parquet")
    answer = gonogo("snapshot", folder, "--json")
    assert answer.status == 0
    assert answer.record["tables"]["train"]["n_rows"] > 1_000
