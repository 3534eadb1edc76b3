"""What is new in the ledger, asked fifty times a second?"""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

from gonogo.ledger.ledger import Ledger
from gonogo.types.entry import Entry

_COUNTER_AT, _COUNTER_BYTES = 24, 4  # of an SQLite file: rises with every transaction (file format, section 1.3)
# Whatever the counter says. A writer that is killed within its commit leaves a count that is taken back with it, and the next commit
# counts to the same number again: by the counter alone that one would never be news.
_LOOK_ANYWAY_S = 1.0


class Following:
    """The entries of a ledger that others append to. Looking costs a read of four bytes, and once a second one line."""

    def __init__(self, ledger: Ledger, path: Path) -> None:
        """path: the ledger's SQLite file."""
        self._ledger = ledger
        # Kept open until the process ends: closing it would drop the locks that SQLite holds on the same file (POSIX).
        self._file = os.open(path, os.O_RDONLY)
        self._counter = b""
        self._looked_s = 0.0
        self._entries: list[Entry] = []

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every entry that was read so far, oldest first, each verified with its link."""
        return tuple(self._entries)

    @property
    def has_news(self) -> bool:
        """May anything have been written since the last look?"""
        return self._count() != self._counter or time.monotonic() - self._looked_s > _LOOK_ANYWAY_S

    def refresh(self) -> tuple[Entry, ...]:
        """The entries that came since the last look, oldest first. Raises LedgerBroken, LedgerBusy, LedgerRefused."""
        if not self.has_news:
            return ()
        counter, looked_s = self._count(), time.monotonic()
        new = self._new()
        self._entries.extend(new)
        # One that moved while it was read, either way, is not believed: what was appended in between is looked for again.
        self._counter = counter if self._count() == counter else b""
        self._looked_s = looked_s
        return tuple(new)

    def _new(self) -> list[Entry]:
        if not self._entries:
            return list(self._ledger.entries())
        last = self._entries[-1]
        if self._ledger.head() == last.hash:
            return []
        new = list(itertools.takewhile(lambda entry: entry.seq > last.seq, self._ledger.entries(newest_first=True)))
        new.reverse()
        return new

    def _count(self) -> bytes:
        return os.pread(self._file, _COUNTER_BYTES, _COUNTER_AT)
