"""How is something written down for ever, and read back?

Nothing is read that was not verified: whoever folds over entries folds over what was written.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from gonogo.backends.protocols import Line, Log
from gonogo.ledger.chain import check_hash, check_link, entry_of, next_line
from gonogo.types.entry import GENESIS, Entry
from gonogo.types.errors import LedgerBusy, RecordUnknown
from gonogo.types.record import Digest

_RACES = 1_000  # lost to other writers in a row; each one means that another entry was written
_SHORTEST = 6  # hex digits of a hash that name an entry


class Ledger:
    """An append-only, hash-chained list of entries over a log."""

    def __init__(self, log: Log, *, by: str, now: Callable[[], datetime]) -> None:
        """by: who writes, user@host or a service's name. now: the clock, aware; order comes from seq, so it may jump back."""
        self._log = log
        self._by = by
        self._now = now

    def append(self, kind: str, body: Mapping[str, Any]) -> Entry:
        """The entry as it now stands, for ever. Raises LedgerBusy, StorageFailed; LedgerBroken if the head was tampered with."""
        for _ in range(_RACES):
            head = self._log.head()
            if head is not None:
                check_hash(head)
            line = next_line(head, at=self._now(), by=self._by, kind=kind, body=body)
            if self._log.append(line):
                return entry_of(line)
        raise LedgerBusy(
            f"Other writers were first {_RACES:,} times in a row.",
            found="a ledger that grows faster than this entry can follow",
            next="run the same command again when fewer writers are at work",
        )

    def head(self) -> Digest:
        """The hash of the last entry; GENESIS while there is none. Keep it elsewhere to find truncation."""
        line = self._log.head()
        if line is None:
            return GENESIS
        check_hash(line)
        return line.hash

    def entries(self, kind: str | None = None, *, newest_first: bool = False) -> Iterator[Entry]:
        """Entries in order, of one kind or all, each verified with its link to its neighbour. Raises LedgerBroken on the way."""
        lines = newest_to_oldest(self._log) if newest_first else oldest_to_newest(self._log)
        return (entry_of(line) for line in lines if kind is None or line.kind == kind)

    def get(self, hash_or_prefix: str) -> Entry:
        """The one entry whose hash starts so: at least 6 hex digits, with or without "sha256:". Raises RecordUnknown."""
        hex_digits = hash_or_prefix.removeprefix("sha256:")
        lines = self._log.find("sha256:" + hex_digits) if len(hex_digits) >= _SHORTEST else ()
        if len(lines) != 1:
            raise RecordUnknown(
                f"{len(lines) or 'No'} entries have a hash that starts with {hex_digits!r}.",
                found=", ".join(f"{line.hash[:19]} ({line.kind}, entry {line.seq})" for line in lines) or "none",
                expected=f"exactly one; at least {_SHORTEST} hex digits",
                next="give more digits of the hash; `gonogo ledger list` prints them",
            )
        check_hash(lines[0])
        return entry_of(lines[0])


def oldest_to_newest(log: Log) -> Iterator[Line]:
    """Every line, each checked against its hash and against the line before it. Raises LedgerBroken where one fails."""
    before: Line | None = None
    for line in log.lines():
        check_hash(line)
        check_link(line, before)
        yield line
        before = line


def newest_to_oldest(log: Log) -> Iterator[Line]:
    """The same, backwards. A line is yielded once it is known to follow the one before it, the first one to be the first."""
    backwards: Iterator[Line | None] = itertools.chain(log.lines(newest_first=True), (None,))
    for line, before in itertools.pairwise(backwards):
        if line is not None:
            check_hash(line)
            check_link(line, before)
            yield line
