"""Verify and list what was recorded."""

from __future__ import annotations

from pathlib import Path

from gonogo.ledger.verify import Verified
from gonogo.types.entry import Entry
from gonogo.types.errors import UsageError
from gonogo.workflow.workspace import STATE, open_recorded


def verify(folder: Path | str, *, head: str | None = None) -> Verified:
    """The chain of a folder's ledger holds; with a head kept elsewhere, nothing was cut off either.

    Raises LedgerBroken with the entry that does not fit, UsageError where there is no ledger: nothing to verify is not verified.
    """
    from gonogo.backends.sqlite import SqliteLog
    from gonogo.ledger import verify

    path = Path(folder) / STATE / "ledger.sqlite"
    if not path.exists():
        raise UsageError("There is no ledger to verify.", where=str(path), next=f"gonogo run {folder}")
    return verify.verify(SqliteLog(path, read_only=True), head)


def entries(folder: Path | str) -> tuple[Entry, ...]:
    """Every entry of a folder's ledger, oldest first. Raises UsageError where there is no ledger."""
    _, ledger = open_recorded(folder)
    return tuple(ledger.entries())
