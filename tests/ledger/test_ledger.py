"""Facts about writing entries down and reading them back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from gonogo.backends.protocols import Line
from gonogo.backends.sqlite import SqliteLog
from gonogo.ledger.ledger import Ledger
from gonogo.ledger.verify import verify
from gonogo.types.entry import GENESIS
from gonogo.types.errors import LedgerBroken, LedgerBusy, RecordUnknown
from tests.ledger.worlds import START, Clock, ledger_of, unguarded


def test_entries_come_back_as_they_were_appended(tmp_path: Path) -> None:
    ledger = Ledger(SqliteLog(tmp_path / "l"), by="ada@lab", now=Clock())
    written = [ledger.append(kind, {"n": n}) for n, kind in enumerate(["snapshot", "verdict", "snapshot"])]
    assert list(ledger.entries()) == written
    assert list(ledger.entries(newest_first=True)) == written[::-1]
    assert list(ledger.entries("snapshot")) == [written[0], written[2]]
    assert list(ledger.entries("snapshot", newest_first=True)) == [written[2], written[0]]
    assert list(ledger.entries("nonsense")) == []
    assert [e.seq for e in written] == [1, 2, 3]
    assert ledger.head() == written[-1].hash
    assert written[1].at == START + timedelta(minutes=2)


def test_an_empty_ledger_has_the_genesis_head(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path / "l")
    assert ledger.head() == GENESIS
    assert list(ledger.entries()) == list(ledger.entries(newest_first=True)) == []


def test_what_append_returns_is_what_a_reader_gets_not_what_the_caller_held(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path / "l")
    entry = ledger.append("note", {"pair": (1, 2), "at": START})
    assert entry.body == {"pair": [1, 2], "at": "2026-03-01T12:00:00.000000Z"}
    assert ledger.get(entry.hash) == entry


def test_a_clock_set_back_does_not_reorder(tmp_path: Path) -> None:
    moments = iter([START, START - timedelta(days=365), START + timedelta(days=1)])
    ledger = Ledger(SqliteLog(tmp_path / "l"), by="ada", now=lambda: next(moments))
    for n in range(3):
        ledger.append("note", {"n": n})
    assert [e.body["n"] for e in ledger.entries()] == [0, 1, 2]
    assert verify(SqliteLog(tmp_path / "l")).n == 3


def test_an_entry_is_found_by_a_unique_start_of_its_hash(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path / "l", {"n": 1}, {"n": 2})
    first, second = ledger.entries()
    assert ledger.get(first.hash) == first
    assert ledger.get(second.hash[7:15]) == second
    for unknown in (first.hash[7:12], "", "sha256:", "ffffffffff"):
        with pytest.raises(RecordUnknown, match="GNG-L003"):
            ledger.get(unknown)


class Contended:
    """A log before which another writer is always first."""

    def __init__(self, log: SqliteLog, lost: int) -> None:
        self._log, self._lost = log, lost

    def append(self, line: Line) -> bool:
        self._lost -= 1
        if self._lost >= 0:
            Ledger(self._log, by="bob", now=Clock()).append("note", {"lost": self._lost})
        return self._log.append(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)


def test_an_append_that_lost_the_race_is_tried_again_behind_the_winner(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "l")
    entry = Ledger(Contended(log, 3), by="ada", now=Clock()).append("note", {})
    assert entry.seq == 4
    assert [e.by for e in Ledger(log, by="x", now=Clock()).entries()] == ["bob", "bob", "bob", "ada"]


def test_an_append_that_loses_every_race_gives_up_with_a_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gonogo.ledger.ledger._RACES", 3)
    log = SqliteLog(tmp_path / "l")
    with pytest.raises(LedgerBusy, match="first 3 times"):
        Ledger(Contended(log, 9), by="ada", now=Clock()).append("note", {})
    assert {e.by for e in Ledger(log, by="x", now=Clock()).entries()} == {"bob"}


def test_nothing_is_read_from_or_added_to_a_ledger_that_was_tampered_with(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path / "l", {"n": 1}, {"n": 2}, {"n": 3})
    heads = [e.hash for e in ledger.entries()]
    with unguarded(tmp_path / "l") as connection:
        connection.execute("UPDATE entries SET body = '{\"n\":9}' WHERE seq = 3")
    reads = (
        lambda: list(ledger.entries()),
        lambda: list(ledger.entries(newest_first=True)),
        lambda: list(ledger.entries("other")),
        ledger.head,
        lambda: ledger.get(heads[2]),
        lambda: ledger.append("note", {}),
    )
    for read in reads:
        with pytest.raises(LedgerBroken, match="Entry 3"):
            read()


def test_reading_backwards_finds_a_missing_beginning(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path / "l", {"n": 1}, {"n": 2}, {"n": 3})
    with unguarded(tmp_path / "l") as connection:
        connection.execute("DELETE FROM entries WHERE seq = 1")
    with pytest.raises(LedgerBroken, match="Entry 1 of the ledger is missing"):
        list(ledger.entries(newest_first=True))
