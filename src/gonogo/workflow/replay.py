"""Replay: decide an old verdict again, from stored records alone, and compare bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gonogo.types.errors import ReplayDiffers
from gonogo.types.record import Digest, canonical
from gonogo.types.verdict import Verdict
from gonogo.workflow.decide import Docket, find_verdict, judge
from gonogo.workflow.workspace import open_recorded


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """A verdict that was decided again to the same bytes."""

    digest: Digest
    verdict: Verdict
    n_bytes: int


def replay(verdict: str, *, folder: Path | str = ".") -> Replayed:
    """The verdict of that digest, or of a unique prefix of it, decided again from the records it names.

    Needs neither the data nor the model nor today's contract. Raises ReplayDiffers where the bytes are not those that were stored,
    RecordUnknown where there is no such verdict.
    """
    records, ledger = open_recorded(folder)
    entry = find_verdict(ledger, verdict)
    digest: Digest = entry.body["verdict"]
    stored = records.get(Verdict, digest)
    again = judge(records, records.get(Docket, entry.body["docket"]))
    if canonical(again) != canonical(stored):
        raise ReplayDiffers("The verdict does not decide again to the same bytes.", found=_first_change(stored, again), where=digest)
    return Replayed(digest=digest, verdict=stored, n_bytes=len(canonical(stored)))


def _first_change(stored: Verdict, again: Verdict) -> str:
    for before, after in zip(stored.rulings, again.rulings, strict=False):
        if before != after:
            return f"{before.gate}: {before.status.value} became {after.status.value}"
    return f"{len(stored.rulings)} rulings became {len(again.rulings)}"
