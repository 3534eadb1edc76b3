"""Who answers whom, by what the ledger says?

A pure fold: the same entries give the same route. The controller writes what comes out here, and nothing else, so that a controller that
was killed between the ledger and the route goes on where the ledger stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gonogo.ledger.rollouts import Course
from gonogo.serving.route import Route
from gonogo.types.entry import Entry
from gonogo.types.errors import Unavailable
from gonogo.types.record import Digest
from gonogo.types.release import Phase, Plan, Standing

_WATCHED = (Phase.REGISTERED, Phase.SHADOW, Phase.CANARY, Phase.FULL, Phase.PROBATION)


@dataclass(frozen=True, kw_only=True, slots=True)
class Office:
    """Who is in charge of a contract's answers, by the ledger."""

    contract: str
    champion: Digest  # the live candidate, or what stands in for one
    is_released: bool  # False: nothing was released, or all of it was brought back; the baseline answers
    standing: Standing | None  # of the newest rollout, also when it has ended
    epoch: int


def office(entries: Iterable[Entry], contract: str) -> Office:
    """Who is in charge. Raises Unavailable where there is neither a release nor a training."""
    course, baseline, target = Course(contract), "", ""
    tried_against: dict[Digest, Digest] = {}  # rollout → its champion
    for entry in entries:
        before = tuple(course.releases)
        course.take(entry)
        if entry.kind == "training" and entry.body.get("contract") == contract:
            baseline = str(entry.body.get("baseline", ""))
        elif entry.kind == "rollout_opened" and course.standing is not None:
            target = tried_against.setdefault(course.standing.rollout, course.standing.champion)
        elif before and not course.releases:
            # Whoever was brought back gives way to the one it was tried against, not to a baseline that was trained since.
            target = tried_against.get(str(before[0].body.get("rollout", "")), "")
    live = course.releases[-1].body["candidate"] if course.releases else ""
    champion = live or target or baseline
    if not champion:
        raise Unavailable(
            f"Nothing can answer for {contract!r}: no model was trained.",
            found="a ledger without a training and without a release",
            next="gonogo run FOLDER",
        )
    return Office(contract=contract, champion=champion, is_released=bool(live), standing=course.standing, epoch=course.epoch)


def route(held: Office, plan: Plan | None, package_of: Callable[[Digest], Digest]) -> Route:
    """The route of that office.

    plan: of the newest rollout, where that is under way. package_of: candidate → the package that it is answered from.
    """
    now = held.standing
    if now is None or plan is None or now.phase not in _WATCHED:
        return Route(epoch=held.epoch, champion=held.champion, champion_package=package_of(held.champion))
    challenger = package_of(plan.challenger)
    if now.phase is Phase.REGISTERED:
        return Route(
            epoch=held.epoch,
            champion=held.champion,
            champion_package=package_of(held.champion),
            phase=Phase.REGISTERED,
            plan=now.rollout,
            load=(challenger,),
        )
    return Route(
        epoch=held.epoch,
        champion=plan.champion,
        champion_package=package_of(plan.champion),
        challenger=plan.challenger,
        challenger_package=challenger,
        phase=now.phase,
        step=now.step,
        share=now.share,
        share_alone=1.0 if now.phase is Phase.PROBATION else 0.0,
        plan=now.rollout,
        salt=plan.salt,
        bucket_by=plan.bucket_by,
        slices=plan.slices,
        losses=plan.losses,
    )


def packages(entries: Iterable[Entry]) -> dict[Digest, Digest]:
    """Candidate → the newest package of it."""
    return {str(e.body["candidate"]): str(e.body["package"]) for e in entries if e.kind == "package"}
