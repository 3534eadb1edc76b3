"""Facts about the log in one SQLite file."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from gonogo.backends import sqlite
from gonogo.backends.sqlite import SqliteLog
from gonogo.types.errors import LedgerBroken, LedgerBusy, LedgerRefused, StorageFailed
from tests.contracts.log_suite import LogSuite, follow


class TestSqliteLog(LogSuite):
    @pytest.fixture
    def log(self, tmp_path: Path) -> SqliteLog:
        return SqliteLog(tmp_path / "state" / "ledger.sqlite")


class TestSqliteLogInSmallPages(LogSuite):
    """The same promises where every read spans several pages."""

    @pytest.fixture
    def log(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqliteLog:
        monkeypatch.setattr(sqlite, "_PAGE", 3)
        return SqliteLog(tmp_path / "ledger.sqlite")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of three lines."""
    path = tmp_path / "ledger.sqlite"
    log = SqliteLog(path)
    for n in range(3):
        follow(log, {"n": n})
    return path


def raw(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(path, isolation_level=None))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET body = '{}' WHERE seq = 2",
        "DELETE FROM entries WHERE seq = 3",
        "DELETE FROM entries",
        "REPLACE INTO entries SELECT * FROM entries WHERE seq = 3",
        'INSERT INTO entries SELECT seq + 1, at, "by", kind, body, parent, hash FROM entries WHERE seq = 3',
        'INSERT INTO entries SELECT -1, at, "by", kind, body, parent, hash FROM entries WHERE seq = 1',
    ],
)
def test_the_database_itself_refuses_to_change_or_misplace_an_entry(path: Path, statement: str) -> None:
    before = list(SqliteLog(path).lines())
    with raw(path) as connection, pytest.raises(sqlite3.IntegrityError, match="an entry"):
        connection.execute(statement)
    assert list(SqliteLog(path).lines()) == before


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TRIGGER never_updated",
        "DROP TRIGGER follows_the_head",
        "CREATE TRIGGER more AFTER INSERT ON entries BEGIN SELECT 1; END",
        "CREATE VIEW other AS SELECT 1",
        "ALTER TABLE entries ADD COLUMN note TEXT",
    ],
)
def test_missing_or_foreign_guards_are_found_before_anything_is_read_or_written(path: Path, statement: str) -> None:
    log = SqliteLog(path)
    with raw(path) as connection:
        connection.execute(statement)
    for ask in (log.head, lambda: follow(log, {}), lambda: list(log.lines()), lambda: SqliteLog(path)):
        with pytest.raises(LedgerBroken, match="guards"):
            ask()


def test_the_ledger_is_one_file_which_a_copy_takes_along_whole(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite"
    shutil.copy(path, copy)
    assert list(SqliteLog(copy, read_only=True).lines()) == list(SqliteLog(path).lines())


def test_a_locked_ledger_says_so_and_is_as_it_was(path: Path) -> None:
    log = SqliteLog(path, timeout_s=0.05)
    before = list(log.lines())
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerBusy, match="GNG-L001") as refused:
            follow(log, {"n": 9})
        assert list(log.lines()) == before  # readers go on
    assert refused.value.exit_status == 3
    follow(log, {"n": 9})


def test_a_writer_waits_for_another_one(path: Path) -> None:
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        writer = threading.Thread(target=follow, args=(SqliteLog(path, timeout_s=10), {"n": 9}))
        writer.start()
        time.sleep(0.1)
        assert writer.is_alive()
        other.execute("ROLLBACK")
        writer.join()
    assert len(list(SqliteLog(path).lines())) == 4


def test_who_waits_for_another_one_asks_every_millisecond_however_long_it_takes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, waits = SqliteLog(path), []
    with raw(path) as other:
        other.execute("BEGIN EXCLUSIVE")

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 50:
                other.execute("ROLLBACK")

        monkeypatch.setattr(sqlite.time, "sleep", sleep)
        assert len(list(log.lines())) == 3
    assert waits == [0.001] * 50


def test_a_reader_reads_while_a_writer_writes_and_cannot_write(path: Path) -> None:
    reader, writer = SqliteLog(path, read_only=True), SqliteLog(path)
    lines = reader.lines()
    next(lines)
    line = follow(writer, {"n": 3})
    assert reader.head() == line
    with pytest.raises(StorageFailed):
        follow(reader, {"n": 4})


def test_a_reader_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(LedgerRefused, match="no ledger here"):
        SqliteLog(tmp_path / "ledger.sqlite", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_was_removed_is_not_silently_begun_anew(path: Path) -> None:
    log = SqliteLog(path)
    path.unlink()
    with pytest.raises(LedgerRefused, match="no ledger here"):
        follow(log, {})
    assert not path.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_reader_without_the_right_to_write_reads(path: Path) -> None:
    path.chmod(0o400)
    path.parent.chmod(0o500)
    assert len(list(SqliteLog(path, read_only=True).lines())) == 3
    path.parent.chmod(0o700)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary\n" * 200)
    with pytest.raises(LedgerRefused, match="no gonogo ledger"):
        SqliteLog(path)
    assert path.read_text() == "dear diary\n" * 200


def test_the_database_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    with raw(path) as connection:
        connection.execute("CREATE TABLE runs (id TEXT)")
    before = path.read_bytes()
    with pytest.raises(LedgerRefused, match="another SQLite database"):
        SqliteLog(path)
    assert path.read_bytes() == before


def test_a_ledger_of_a_newer_version_is_refused_with_both_versions(path: Path) -> None:
    with raw(path) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(LedgerRefused) as refused:
        SqliteLog(path)
    assert (refused.value.found, refused.value.expected) == ("version 2", "version 1")


def test_an_empty_file_is_what_a_kill_during_creation_leaves_and_becomes_a_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.touch()
    follow(SqliteLog(path), {})
    assert len(list(SqliteLog(path).lines())) == 1


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises((LedgerRefused, StorageFailed)):
        SqliteLog(tmp_path)


def test_a_folder_that_cannot_be_made_is_a_storage_failure(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StorageFailed):
        SqliteLog(tmp_path / "state" / "ledger.sqlite")


def test_a_damaged_page_is_a_broken_ledger(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:4104] = b"\xff" * 8  # the header of the table's page
    path.write_bytes(data)
    with pytest.raises(LedgerBroken, match="damaged"):
        SqliteLog(path).check()


def test_every_commit_is_synced_to_one_file(path: Path) -> None:
    with SqliteLog(path)._connection() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("truncate",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
