"""Where does a release stand, how did it come there, and which releases count?

Folds over entries, oldest first, that read nothing else. What they read, all with the name of the `contract`:

    rollout_opened     rollout, verdict, champion, challenger             a plan is recorded; nothing moves yet
    rollout_step       rollout, from, to, step, share, epoch, because     traffic may move; judgement, why, certified, cut, approval_next
    rollout_held       rollout, why                                       no step forward until it is resumed
    rollout_resumed    rollout, why                                       accepts: signals that paused it and are accepted
    rollout_approved   rollout, step, why                                 a person lets it enter that step
    release            candidate, verdict; rollout                        the challenger of that rollout becomes champion: probation begins
    rollback           why; rollout, release                              back, whoever says so, at any phase

An entry that comes too late, twice, or from where the rollout no longer stands is void: it stays in the ledger and changes nothing. So an
entry may be written again after a crash, and of two writers one is heard. An entry that cannot be read is refused: passing over it could
keep alive what was brought back. A rollback always wins, and an epoch only ever rises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gonogo.types.entry import Entry
from gonogo.types.errors import LedgerRefused
from gonogo.types.record import Digest
from gonogo.types.release import Phase, Standing

# Phase → those that may come next. A rollback leads from everywhere to ROLLED_BACK, and PROBATION is entered by a release alone.
FOLLOWS: Mapping[Phase, tuple[Phase, ...]] = {
    Phase.REGISTERED: (Phase.SHADOW,),
    Phase.SHADOW: (Phase.CANARY, Phase.FULL),
    Phase.CANARY: (Phase.CANARY, Phase.FULL),
    Phase.FULL: (Phase.PROBATION,),
    Phase.PROBATION: (Phase.SETTLED,),
    Phase.SETTLED: (),
    Phase.ROLLED_BACK: (),
}
KINDS = ("rollout_opened", "rollout_step", "rollout_held", "rollout_resumed", "rollout_approved", "release", "rollback")
ALLOCATION = "allocation"  # the one step that stays at its stage: a policy moves the share


@dataclass(frozen=True, kw_only=True, slots=True)
class Happening:
    """One thing that happened to a rollout, and where it stood after."""

    entry: Entry
    standing: Standing


def standing(entries: Iterable[Entry], contract: str) -> Standing | None:
    """Where the contract's newest rollout stands, also when it has ended; None where there never was one."""
    course = Course(contract)
    for entry in entries:
        course.take(entry)
    return course.standing


def history(entries: Iterable[Entry], contract: str) -> tuple[Happening, ...]:
    """Everything that changed a rollout of the contract, oldest first. What was void is left out."""
    course = Course(contract)
    happened: list[Happening] = []
    for entry in entries:
        before = course.standing
        course.take(entry)
        if course.standing is not None and course.standing != before:
            happened.append(Happening(entry=entry, standing=course.standing))
    return tuple(happened)


def last_epoch(entries: Iterable[Entry], contract: str) -> int:
    """The highest epoch of any rollout of the contract; 0 before the first. The next route takes a higher one."""
    course = Course(contract)
    for entry in entries:
        course.take(entry)
    return course.epoch


def void(entries: Iterable[Entry], contract: str) -> tuple[Entry, ...]:
    """The entries that changed nothing: written twice, too late, or out of the table."""
    course = Course(contract)
    return tuple(entry for entry in entries if entry.kind in KINDS and entry.body.get("contract") == contract and not course.take(entry))


class Course:
    """The fold itself: entries of one contract in their order, and what they have come to.

    standing: of the newest rollout. releases: entries of the releases that stand, the live one last. epoch: the highest so far.
    """

    def __init__(self, contract: str) -> None:
        self.contract = contract
        self.standing: Standing | None = None
        self.releases: list[Entry] = []
        self.epoch = 0
        self._opened: set[Digest] = set()

    def take(self, entry: Entry) -> bool:
        """The next entry; did it change anything?"""
        if entry.kind not in KINDS or _text(entry, "contract") != self.contract:
            return False
        changed: bool = getattr(self, f"_{entry.kind}")(entry)
        return changed

    # ── forward ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _rollout_opened(self, entry: Entry) -> bool:
        rollout = _text(entry, "rollout")
        verdict, champion, challenger = (_text(entry, name) for name in ("verdict", "champion", "challenger"))
        if (self.standing is not None and self.standing.is_under_way) or rollout in self._opened:
            return False
        self._opened.add(rollout)
        self.standing = Standing(
            rollout=rollout,
            contract=self.contract,
            phase=Phase.REGISTERED,
            step=-1,
            share=0.0,
            epoch=self.epoch,
            held="",
            waits_for_approval=False,
            since_seq=entry.seq,
            opened_seq=entry.seq,
            why=str(entry.body.get("why", "")),
            verdict=verdict,
            champion=champion,
            challenger=challenger,
        )
        return True

    def _rollout_step(self, entry: Entry) -> bool:
        rollout, origin, to = _text(entry, "rollout"), _phase(entry, "from"), _phase(entry, "to")
        step, epoch, share = _whole(entry, "step"), _whole(entry, "epoch"), _share(entry)
        certified, cut = _texts(entry, "certified"), _whole(entry, "cut", default=0)
        now = self._under_way(rollout)
        if now is None or origin is not now.phase or epoch <= self.epoch:
            return False
        if entry.body.get("because") == ALLOCATION:
            if to is not Phase.CANARY or now.phase is not Phase.CANARY or step != now.step or not 0 < share < 1:
                return False
        elif to is Phase.PROBATION or to not in FOLLOWS[now.phase] or step != now.step + 1 or not _fits(to, share, now.share):
            return False
        self.epoch = epoch
        self.standing = replace(
            now,
            phase=to,
            step=step,
            share=share,
            epoch=epoch,
            first_epoch=now.first_epoch or epoch,
            start=now.start if step == now.step else cut,
            certified=_union(now.certified, certified),
            waits_for_approval=entry.body.get("approval_next") is True and step + 1 not in now.approved,
            since_seq=entry.seq,
            why=str(entry.body.get("why", "")),
        )
        return True

    def _release(self, entry: Entry) -> bool:
        candidate, _ = _text(entry, "candidate"), _text(entry, "verdict")
        if entry.body.get("rollout") is None:  # released without a rollout: by hand, or before there were any
            self.releases.append(entry)
            return True
        rollout, certified, cut = _text(entry, "rollout"), _texts(entry, "certified"), _whole(entry, "cut", default=0)
        epoch = _whole(entry, "epoch", default=self.epoch + 1)
        now = self._under_way(rollout)
        if now is None or now.phase is not Phase.FULL or candidate != now.challenger or epoch <= self.epoch:
            return False
        self.releases.append(entry)
        self.epoch = epoch
        self.standing = replace(
            now,
            phase=Phase.PROBATION,
            step=now.step + 1,
            share=1.0,
            epoch=epoch,
            start=cut,
            certified=_union(now.certified, certified),
            waits_for_approval=False,
            since_seq=entry.seq,
            why=str(entry.body.get("why", "")),
        )
        return True

    # ── what a person says ──────────────────────────────────────────────────────────────────────────────────────────────

    def _rollout_held(self, entry: Entry) -> bool:
        now, why = self._under_way(_text(entry, "rollout")), _text(entry, "why")
        if now is None or now.held:
            return False
        self.standing = replace(now, held=why)
        return True

    def _rollout_resumed(self, entry: Entry) -> bool:
        now, accepted = self._under_way(_text(entry, "rollout")), _texts(entry, "accepts")
        if now is None or not now.held:
            return False
        self.standing = replace(now, held="", accepted=_union(now.accepted, accepted))
        return True

    def _rollout_approved(self, entry: Entry) -> bool:
        now, step = self._under_way(_text(entry, "rollout")), _whole(entry, "step")
        if now is None or step in now.approved or step <= now.step:
            return False
        waits = now.waits_for_approval and step != now.step + 1
        self.standing = replace(now, approved=(*now.approved, step), waits_for_approval=waits)
        return True

    # ── back ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _rollback(self, entry: Entry) -> bool:
        """Undo the release that is named, or that of the rollout that is named, or the last; the rollout that it is of ends with it."""
        rollout, release = _text(entry, "rollout", default=""), _text(entry, "release", default="")
        undone = [one for one in self.releases if self._is_meant(one, rollout, release)]
        ends = self._ends(rollout, release, undone)
        self.releases = [one for one in self.releases if one not in undone]
        if ends and self.standing is not None:
            self.epoch = max(self.epoch + 1, _whole(entry, "epoch", default=0))
            self.standing = replace(
                self.standing,
                phase=Phase.ROLLED_BACK,
                share=0.0,
                epoch=self.epoch,
                held="",
                waits_for_approval=False,
                since_seq=entry.seq,
                why=str(entry.body.get("why", "")),
            )
        return bool(undone) or ends

    def _is_meant(self, release: Entry, rollout: str, named: str) -> bool:
        if named:
            return release.hash == named
        if rollout:
            return bool(release.body.get("rollout") == rollout)
        return release is self.releases[-1]

    def _ends(self, rollout: str, release: str, undone: list[Entry]) -> bool:
        """Does the newest rollout end with it?

        One that is under way ends by its name, without any name, or where what it stands on is undone. One that has settled ends only with
        its own release.
        """
        now = self.standing
        if now is None or now.phase is Phase.ROLLED_BACK:
            return False
        if any(one.body.get("rollout") == now.rollout for one in undone):
            return True
        if not now.is_under_way:
            return False
        if rollout:
            return rollout == now.rollout
        return not release or self.releases[-1:] == undone[-1:] != []

    def _under_way(self, rollout: Digest) -> Standing | None:
        now = self.standing
        return now if now is not None and now.rollout == rollout and now.is_under_way else None


def _fits(to: Phase, share: float, before: float) -> bool:
    """Is that a share of that phase, and not below the last one?"""
    if to is Phase.SHADOW:
        return share == 0
    return before <= share < 1 and share > 0 if to is Phase.CANARY else share == 1


def _union(before: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return (*before, *(name for name in more if name not in before))


# ── reading a body: strictly, or not at all ─────────────────────────────────────────────────────────────────────────────────


def _text(entry: Entry, name: str, *, default: str | None = None) -> str:
    value = entry.body.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or not value:
        raise _unreadable(entry, name, "a text")
    return value


def _texts(entry: Entry, name: str) -> tuple[str, ...]:
    value = entry.body.get(name, [])
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise _unreadable(entry, name, "a list of texts")
    return tuple(value)


def _whole(entry: Entry, name: str, *, default: int | None = None) -> int:
    value = entry.body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _unreadable(entry, name, "a whole number, 0 or more")
    return value


def _share(entry: Entry) -> float:
    value: Any = entry.body.get("share")
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise _unreadable(entry, "share", "a number from 0 to 1")
    return float(value)


def _phase(entry: Entry, name: str) -> Phase:
    try:
        return Phase(_text(entry, name))
    except ValueError:
        raise _unreadable(entry, name, "one of " + ", ".join(phase.value for phase in Phase)) from None


def _unreadable(entry: Entry, name: str, expected: str) -> LedgerRefused:
    return LedgerRefused(
        f"Entry {entry.seq}, a {entry.kind}, does not say its {name!r} in a way that is read here.",
        found=repr(entry.body.get(name))[:80],
        expected=expected,
        where=f"entry {entry.seq}",
        next="use the gonogo that wrote it, or a newer one",
    )
