"""What does gonogo ask of the outside world?

Two small promises: bytes that are found again by their digest, and a log that only grows. Every adapter passes the same suites
(`tests/contracts`). Tables, latest values and jobs join when something needs them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gonogo.types.record import Digest


class Blobs(Protocol):
    """Bytes by digest. What is stored is never changed; storing it again changes nothing."""

    def put(self, data: bytes) -> Digest:
        """Store these bytes; when it returns, a crash does not lose them. Raises StorageFailed."""

    def put_file(self, path: Path) -> Digest:
        """Store a file's bytes without holding them in memory. Raises StorageFailed."""

    def get(self, digest: Digest) -> bytes:
        """The bytes, verified. Raises RecordUnknown where there are none, BlobCorrupt where they are others."""

    def open_path(self, digest: Digest) -> Path:
        """A file that holds the bytes, verified before it is handed out, only to be read. Raises as `get`."""

    def has(self, digest: Digest) -> bool:
        """Is anything stored under that digest? Not a proof that it is intact: reading is."""

    def digests(self) -> Iterator[Digest]:
        """Every stored digest, sorted."""


@dataclass(frozen=True, slots=True)
class Line:
    """One entry as it is stored: text, exactly the bytes that its hash covers (see ledger/chain.py)."""

    seq: int
    at: str  # UTC, ISO 8601, microseconds
    by: str
    kind: str
    body: str  # canonical JSON
    parent: Digest
    hash: Digest


class Log(Protocol):
    """Lines in one order, for all writers; nothing is changed, moved or taken away."""

    def append(self, line: Line) -> bool:
        """Add the line if its parent is the hash of the head and its seq the next one; False if another writer was first.

        When it returns True, a crash does not lose the line. Raises LedgerBusy, StorageFailed.
        """

    def head(self) -> Line | None:
        """The last line; None in an empty log."""

    def lines(self, *, newest_first: bool = False) -> Iterator[Line]:
        """Every line in the order of seq. Does not block a writer, however slowly it is read."""

    def find(self, prefix: str) -> tuple[Line, ...]:
        """Lines whose hash starts so, in the order of seq; at most 20."""

    def check(self) -> None:
        """Raises LedgerBroken where the store itself is damaged."""
