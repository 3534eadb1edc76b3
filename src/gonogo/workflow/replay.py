"""Replay: decide an old verdict again, or judge a stage of a rollout again, from what was stored alone, and compare bytes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from gonogo.ledger.ledger import Ledger
from gonogo.ledger.records import resolve
from gonogo.serving.places import Places
from gonogo.types.entry import Entry
from gonogo.types.errors import LogFailed, RecordUnknown, ReplayDiffers
from gonogo.types.record import Digest, canonical
from gonogo.types.release import Judgement, Plan
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejudged:
    """A judgement that was made again to the same bytes."""

    digest: Digest
    judgement: Judgement
    n_lines: int  # of the judge's log that it rests on
    n_bytes: int


def replay_judgement(prefix: str, *, folder: Path | str = ".") -> Rejudged:
    """The judgement of that digest, or of a unique prefix of it, from the plan of its rollout and the judge's log.

    Raises ReplayDiffers where the bytes are not those that were stored, LogFailed where the log is damaged or ends too early,
    RecordUnknown where nothing was decided on such a judgement.
    """
    import numpy as np

    from gonogo.gates.judge import replay as judge_again
    from gonogo.serving.judgelog import read_blocks
    from gonogo.types.traffic import OBSERVATION

    records, ledger = open_recorded(folder)
    digest = resolve(prefix, _judgements(ledger))
    stored = records.get(Judgement, digest)
    place = Places.of(folder).judge_of(stored.plan)
    lines = np.concatenate([np.zeros(0, OBSERVATION), *(block.observations for block in read_blocks(place))])
    if len(lines) < stored.cut:
        raise LogFailed(
            "The judge's log ends before the judgement was made.",
            found=f"{len(lines):,} lines",
            expected=f"at least {stored.cut:,}",
            where=str(place),
            next="restore the folder from a copy: without its lines a judgement cannot be made again",
        )
    judge_again(records.get(Plan, stored.plan), stored, lines[stored.start : stored.cut])
    return Rejudged(digest=digest, judgement=stored, n_lines=stored.cut - stored.start, n_bytes=len(canonical(stored)))


def is_judgement(prefix: str, *, folder: Path | str = ".") -> bool:
    """Does that prefix name a judgement of the folder's ledger, and no verdict?"""
    _, ledger = open_recorded(folder)
    try:
        resolve(prefix, _judgements(ledger))
    except RecordUnknown:
        return False
    return True


def _judgements(ledger: Ledger) -> tuple[Entry, ...]:
    """The entries that rest on a judgement, with nothing in them but its digest."""
    named = (e for e in ledger.entries() if isinstance(e.body.get("judgement"), str))
    return tuple(dataclasses.replace(e, body={"judgement": e.body["judgement"]}) for e in named)


def _first_change(stored: Verdict, again: Verdict) -> str:
    for before, after in zip(stored.rulings, again.rulings, strict=False):
        if before != after:
            return f"{before.gate}: {before.status.value} became {after.status.value}"
    return f"{len(stored.rulings)} rulings became {len(again.rulings)}"
