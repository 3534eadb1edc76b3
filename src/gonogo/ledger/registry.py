"""Who is live, who was and why, and what has been waived?

Folds over entries, oldest first: nothing is stored apart, so nothing can disagree with the ledger. The kinds they read, and what the
bodies must say:

    release            contract, candidate, verdict        the candidate becomes champion; of a `rollout`, only where that is FULL
    rollback           contract, why; release, rollout     undoes that release, or the rollout's (without either: the last that stands)
    opened             candidate                           the test table was opened for it
    waiver             code, where, name, reason; until    a finding is accepted, by whom and why
    waiver_withdrawn   waiver: hash                        … and no longer
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gonogo.ledger.rollouts import Course
from gonogo.types.entry import Entry
from gonogo.types.errors import LedgerRefused
from gonogo.types.record import Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Reign:
    """From when a candidate was champion, and through what."""

    candidate: Digest | None  # None: the baseline answers, for every release was undone
    verdict: Digest | None  # the verdict it was released on
    release: Digest | None  # hash of its release entry
    since: datetime
    seq: int  # of the entry that began it
    by: str
    because: str  # "release" | "rollback"
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiver:
    """A finding that somebody accepts, with the reason."""

    hash: Digest  # of its entry
    code: str
    where: str
    name: str  # who answers for it
    reason: str
    until: datetime | None  # None: until it is withdrawn
    contract: str  # "": for any contract of this ledger


def champion(entries: Iterable[Entry], contract_name: str) -> Digest | None:
    """The candidate that is live: the last release that no later rollback undid. None where there is none."""
    reigns = history(entries, contract_name)
    return reigns[-1].candidate if reigns else None


def history(entries: Iterable[Entry], contract_name: str) -> tuple[Reign, ...]:
    """Every change of champion, oldest first. A rollback of what does not stand changes nothing, so it may be written twice."""
    course = Course(contract_name)
    reigns: list[Reign] = []
    for entry in entries:
        live = course.releases[-1:]
        course.take(entry)
        if course.releases[-1:] != live:
            reigns.append(_reign(course.releases, entry))
    return tuple(reigns)


def _reign(standing: list[Entry], entry: Entry) -> Reign:
    release = standing[-1] if standing else None
    return Reign(
        candidate=None if release is None else _text(release, "candidate"),
        verdict=None if release is None else _text(release, "verdict"),
        release=None if release is None else release.hash,
        since=entry.at,
        seq=entry.seq,
        by=entry.by,
        because=entry.kind,
        why=str(entry.body.get("why", "")),
    )


def last(entries: Iterable[Entry], kind: str, **body_match: Any) -> Entry | None:
    """The newest entry of that kind whose body holds these values; None where there is none."""
    return max((e for e in entries if e.kind == kind and _matches(e, body_match)), key=lambda e: e.seq, default=None)


def opened(entries: Iterable[Entry], candidate: Digest) -> int:
    """How often the test table was opened for this candidate."""
    return sum(entry.kind == "opened" and _text(entry, "candidate") == candidate for entry in entries)


def waivers(entries: Iterable[Entry]) -> tuple[Waiver, ...]:
    """The waivers that were not withdrawn, oldest first. Whether one has run out (`until`), the caller decides: there is no clock here."""
    standing: dict[Digest, Waiver] = {}
    for entry in entries:
        if entry.kind == "waiver":
            standing[entry.hash] = _waiver(entry)
        elif entry.kind == "waiver_withdrawn":
            standing.pop(_text(entry, "waiver"), None)
    return tuple(standing.values())


def _waiver(entry: Entry) -> Waiver:
    return Waiver(
        hash=entry.hash,
        code=_text(entry, "code"),
        where=_text(entry, "where"),
        name=_text(entry, "name"),
        reason=_text(entry, "reason"),
        until=_until(entry),
        contract=str(entry.body.get("contract", "")),
    )


def _until(entry: Entry) -> datetime | None:
    if entry.body.get("until") is None:
        return None
    try:
        until = datetime.fromisoformat(_text(entry, "until"))
    except ValueError as error:
        raise _unreadable(entry, "until", "a moment, ISO 8601") from error
    if until.tzinfo is None:
        raise _unreadable(entry, "until", "a moment with its offset from UTC")
    return until


def _matches(entry: Entry, body_match: dict[str, Any]) -> bool:
    return all(name in entry.body and entry.body[name] == value for name, value in body_match.items())


def _text(entry: Entry, name: str) -> str:
    value = entry.body.get(name)
    if not isinstance(value, str) or not value:
        raise _unreadable(entry, name, "a text")
    return value


def _unreadable(entry: Entry, name: str, expected: str) -> LedgerRefused:
    # Passing over it could keep an undone release alive, or a withdrawn waiver.
    return LedgerRefused(
        f"Entry {entry.seq}, a {entry.kind}, does not say its {name!r} in a way that is read here.",
        found=repr(entry.body.get(name))[:80],
        expected=expected,
        where=f"entry {entry.seq}",
        next="use the gonogo that wrote it, or a newer one",
    )
