"""Replay: decide an old verdict again, or judge a stage of a rollout again, from what was stored alone, and compare bytes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from gonogo.ledger.ledger import Ledger
from gonogo.ledger.records import resolve
from gonogo.serving.places import Places
from gonogo.types.allocation import Allotment
from gonogo.types.entry import Entry
from gonogo.types.errors import LogFailed, RecordUnknown, ReplayDiffers
from gonogo.types.record import Digest, canonical
from gonogo.types.release import Judgement, Plan
from gonogo.types.verdict import Verdict
from gonogo.workflow.decide import Docket, find_verdict, judge
from gonogo.workflow.policies import find
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
    """A judgement, or a policy's move of the share, that was made again to the same bytes."""

    digest: Digest
    judgement: Judgement | Allotment
    n_lines: int  # of the judge's log that it rests on
    n_bytes: int

    @property
    def outcome(self) -> str:
        """What it came to, in a word or two."""
        return self.judgement.status.value if isinstance(self.judgement, Judgement) else f"share {self.judgement.share:g}"


def replay_judgement(prefix: str, *, folder: Path | str = ".") -> Rejudged:
    """The judgement or allotment of that digest, or of a unique prefix of it, from the plan of its rollout and the judge's log.

    Raises ReplayDiffers where the bytes are not those that were stored, LogFailed where the log is damaged or ends too early,
    RecordUnknown where nothing was decided on it, PolicyUnknown where the policy that moved the share is not installed.
    """
    import numpy as np

    from gonogo.gates.allocation import replay as allot_again
    from gonogo.gates.judge import replay as judge_again
    from gonogo.serving.judgelog import read_blocks
    from gonogo.types.traffic import OBSERVATION

    records, ledger = open_recorded(folder)
    digest = resolve(prefix, _judgements(ledger))
    is_allotment = any(e.body.get("allotment") == digest for e in ledger.entries())
    stored: Judgement | Allotment = records.get(Allotment, digest) if is_allotment else records.get(Judgement, digest)
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
    plan, its = records.get(Plan, stored.plan), lines[stored.start : stored.cut]
    if isinstance(stored, Allotment):
        installed = find(stored.policy)
        allot_again(plan, stored, its, installed.policy, installed.version)
    else:
        judge_again(plan, stored, its)
    return Rejudged(digest=digest, judgement=stored, n_lines=stored.cut - stored.start, n_bytes=len(canonical(stored)))


def is_judgement(prefix: str, *, folder: Path | str = ".") -> bool:
    """Does that prefix name a judgement or an allotment of the folder's ledger, and no verdict?"""
    _, ledger = open_recorded(folder)
    try:
        resolve(prefix, _judgements(ledger))
    except RecordUnknown:
        return False
    return True


def _judgements(ledger: Ledger) -> tuple[Entry, ...]:
    """The entries that rest on a judgement or an allotment, each with nothing in it but one digest."""
    named = ((e, e.body.get(what)) for e in ledger.entries() for what in ("judgement", "allotment"))
    return tuple(dataclasses.replace(e, body={"judgement": one}) for e, one in named if isinstance(one, str))


def _first_change(stored: Verdict, again: Verdict) -> str:
    for before, after in zip(stored.rulings, again.rulings, strict=False):
        if before != after:
            return f"{before.gate}: {before.status.value} became {after.status.value}"
    return f"{len(stored.rulings)} rulings became {len(again.rulings)}"
