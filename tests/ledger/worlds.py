"""Small ledgers with known content."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gonogo.backends import sqlite
from gonogo.backends.sqlite import SqliteLog
from gonogo.ledger.ledger import Ledger
from gonogo.types.entry import GENESIS, Entry

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that goes one minute further with each look."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        self.time += timedelta(minutes=1)
        return self.time


def ledger_of(path: Path, *bodies: Mapping[str, Any], kind: str = "note") -> Ledger:
    """A ledger with these entries."""
    ledger = Ledger(SqliteLog(path), by="ada@lab", now=Clock())
    for body in bodies:
        ledger.append(kind, body)
    return ledger


def entries_of(*steps: tuple[str, Mapping[str, Any]]) -> list[Entry]:
    """Entries that were never in a store, for the folds: hash "hash-1", "hash-2", … ."""
    return [
        Entry(
            seq=seq,
            at=START + timedelta(minutes=seq),
            by="ada@lab",
            kind=kind,
            body=body,
            parent=f"hash-{seq - 1}" if seq > 1 else GENESIS,
            hash=f"hash-{seq}",
        )
        for seq, (kind, body) in enumerate(steps, start=1)
    ]


@contextmanager
def unguarded(path: Path) -> Iterator[sqlite3.Connection]:
    """The database as somebody sees it who drops the guards, and puts them back when done."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for name in ("never_updated", "never_deleted", "follows_the_head"):
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        for statement in sqlite._SCHEMA[1:]:
            connection.execute(statement)
        connection.execute("COMMIT")
