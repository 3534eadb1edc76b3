"""What is new in the ledger, asked fifty times a second?"""

from __future__ import annotations

import os
from pathlib import Path

from gonogo.ledger.ledger import Ledger
from gonogo.types.entry import Entry

_COUNTER_AT, _COUNTER_BYTES = 24, 4  # of an SQLite file: rises with every transaction (file format, section 1.3)


class Following:
    """The entries of a ledger that others append to. Looking costs a read of four bytes while nothing was appended."""

    def __init__(self, ledger: Ledger, path: Path) -> None:
        """path: the ledger's SQLite file."""
        self._ledger = ledger
        # Kept open until the process ends: closing it would drop the locks that SQLite holds on the same file (POSIX).
        self._file = os.open(path, os.O_RDONLY)
        self._counter = b""
        self._entries: list[Entry] = []

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every entry that was read so far, oldest first, each verified with its link."""
        return tuple(self._entries)

    @property
    def has_news(self) -> bool:
        """Was anything written since the last look? Also after a transaction that came to nothing."""
        return os.pread(self._file, _COUNTER_BYTES, _COUNTER_AT) != self._counter

    def refresh(self) -> tuple[Entry, ...]:
        """The entries that came since the last look, oldest first. Raises LedgerBroken, LedgerBusy, LedgerRefused."""
        counter = os.pread(self._file, _COUNTER_BYTES, _COUNTER_AT)
        if counter == self._counter:
            return ()
        known = self._entries[-1].seq if self._entries else 0
        new: list[Entry] = []
        if known:
            for entry in self._ledger.entries(newest_first=True):
                if entry.seq <= known:
                    break
                new.append(entry)
            new.reverse()
        else:
            new.extend(self._ledger.entries())
        self._entries.extend(new)
        # The counter is the one seen before reading: what was appended in between is looked for again.
        self._counter = counter
        return tuple(new)
