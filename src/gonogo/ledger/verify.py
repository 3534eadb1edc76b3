"""Has anybody changed the ledger since it was written?"""

from __future__ import annotations

from dataclasses import dataclass

from gonogo.backends.protocols import Log
from gonogo.ledger.ledger import oldest_to_newest
from gonogo.types.entry import GENESIS
from gonogo.types.errors import LedgerBroken
from gonogo.types.record import Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """The chain holds, from the first entry to the head."""

    n: int  # entries
    head: Digest  # keep it elsewhere: only against such a copy is a cut-off or wholly rewritten ledger found
    n_after_expected: int  # entries appended since the expected head; 0 where none was given


def verify(log: Log, expected_head: Digest | None = None) -> Verified:
    """Every entry hashes to its hash and follows the one before it; expected_head, where given, is among them.

    expected_head: a head that was kept elsewhere, in full.
    Raises LedgerBroken with the first entry that was edited, is missing, stands twice or out of order, or does not follow; or, where the
    chain holds in itself but lacks the expected head, because the ledger was cut off or written anew.
    """
    log.check()
    n, head = 0, GENESIS
    expected_at = 0 if expected_head in (None, GENESIS) else None
    for line in oldest_to_newest(log):
        n, head = line.seq, line.hash
        if head == expected_head:
            expected_at = n
    if expected_at is None:
        raise _lacks(str(expected_head), n, head)
    return Verified(n=n, head=head, n_after_expected=0 if expected_head is None else n - expected_at)


def _lacks(expected: Digest, n: int, head: Digest) -> LedgerBroken:
    return LedgerBroken(
        "The ledger does not contain the head that was kept elsewhere: it was cut off after it was read, or written anew.",
        found=f"{n:,} entries, head {head}",
        expected=f"an entry with the hash {expected}",
        where=f"after entry {n}" if n else "an empty ledger",
        next="keep this file for inspection and restore the copy that holds that entry; check that the expected head is complete",
    )
