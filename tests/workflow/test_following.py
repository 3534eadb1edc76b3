"""What is new in the ledger."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gonogo.backends.sqlite import SqliteLog
from gonogo.ledger.ledger import Ledger
from gonogo.workflow import following as module
from gonogo.workflow.following import Following


@pytest.fixture
def ledger(tmp_path):
    return Ledger(SqliteLog(tmp_path / "ledger.sqlite"), by="test", now=lambda: datetime.now(UTC))


@pytest.fixture
def following(ledger, tmp_path):
    return Following(ledger, tmp_path / "ledger.sqlite")


def kinds(entries):
    return [entry.kind for entry in entries]


def test_each_entry_is_new_once(ledger, following):
    assert following.refresh() == ()
    ledger.append("a", {})
    ledger.append("b", {})
    assert kinds(following.refresh()) == ["a", "b"]
    assert following.refresh() == ()
    ledger.append("c", {})
    assert kinds(following.refresh()) == ["c"]
    assert kinds(following.entries) == ["a", "b", "c"]


def test_entries_that_come_in_the_same_instant_are_not_missed(ledger, following):
    seen = []
    for i in range(50):
        ledger.append(f"kind{i}", {})
        seen += kinds(following.refresh())
    assert seen == [f"kind{i}" for i in range(50)]


def test_a_follower_that_starts_late_reads_everything(ledger, tmp_path):
    for i in range(5):
        ledger.append(f"kind{i}", {})
    assert len(Following(ledger, tmp_path / "ledger.sqlite").refresh()) == 5


def test_there_is_news_until_it_is_read(ledger, following):
    following.refresh()
    assert not following.has_news
    ledger.append("a", {})
    assert following.has_news
    following.refresh()
    assert not following.has_news


def count(path: Path, by: int) -> None:
    """Move the file's counter of transactions, as a commit does that a kill then takes back."""
    with path.open("r+b") as file:
        now = int.from_bytes(os.pread(file.fileno(), 4, 24), "big")
        os.pwrite(file.fileno(), (now + by).to_bytes(4, "big"), 24)


def test_an_entry_behind_a_commit_that_was_taken_back_is_not_missed(ledger, following, tmp_path, monkeypatch):
    ledger.append("a", {})
    following.refresh()
    count(tmp_path / "ledger.sqlite", 1)
    following.refresh()
    count(tmp_path / "ledger.sqlite", -1)
    ledger.append("b", {})
    assert not following.has_news  # the counter stands where it stood
    monkeypatch.setattr(module, "_LOOK_ANYWAY_S", 0.0)
    assert kinds(following.refresh()) == ["b"]


def test_a_counter_that_goes_back_while_it_is_read_is_not_believed(ledger, following, tmp_path, monkeypatch):
    ledger.append("a", {})
    following.refresh()
    count(tmp_path / "ledger.sqlite", 1)
    head = Ledger.head

    def rolled_back(self):
        count(tmp_path / "ledger.sqlite", -1)
        return head(self)

    monkeypatch.setattr(Ledger, "head", rolled_back)
    following.refresh()
    monkeypatch.undo()
    ledger.append("b", {})
    assert following.has_news
    assert kinds(following.refresh()) == ["b"]
