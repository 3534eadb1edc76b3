"""Rollout: where a release stands, and what a person orders: hold, resume, advance, approve, abort.

An order is an entry of the ledger; the controller follows it. It is done once every worker has confirmed the route that follows from it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gonogo.gates import rollout as table
from gonogo.ledger import registry, rollouts
from gonogo.ledger.records import Records
from gonogo.serving.places import Places
from gonogo.serving.route import RouteReader
from gonogo.serving.workerpage import is_silent, living
from gonogo.types.entry import Entry
from gonogo.types.errors import ArtifactRefused, ControllerBusy, ReleaseRefused, StorageFailed
from gonogo.types.record import Digest, from_json
from gonogo.types.release import Judgement, Phase, Plan, Standing
from gonogo.workflow import routes
from gonogo.workflow.confirm import Confirmation, confirm
from gonogo.workflow.waiting import NO_CONTROLLER, Waiting, read_waiting
from gonogo.workflow.workspace import Workspace, open_workspace


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerSeen:
    """One process that answers."""

    worker: int
    pid: int
    epoch: int  # of the route that it follows
    is_silent: bool  # no sign of life for two seconds
    ready: tuple[Digest, ...]  # packages that it holds
    refused: dict[Digest, str]
    in_flight: int
    drops: int  # shadow answers that were not made


@dataclass(frozen=True, kw_only=True, slots=True)
class ShareMove:
    """One change of the challenger's share, and why."""

    at: str  # ISO 8601, UTC
    share: float  # after it
    because: str  # "certificate" | "allocation" | "harm" | …
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """Where a contract's traffic stands."""

    contract: str
    champion: Digest | None  # the live candidate; None: the baseline answers
    standing: Standing | None  # of the newest rollout, also when it has ended
    plan: Plan | None
    judgement: Judgement | None  # the newest of the stage that is judged now
    alarms: tuple[str, ...]  # of the rollout, newest last
    workers: tuple[WorkerSeen, ...]
    waits_for: str  # what must come before it can move, beside evidence, time and a person; "" for nothing
    waits_since: datetime | None
    shares: tuple[ShareMove, ...] = ()  # of the rollout, newest last
    frozen: str = ""  # why a policy may not move the share now, or not up; "" where it may, and where none does


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """An order that is recorded, and who follows it."""

    command: str
    contract: str
    champion: Digest  # who is in charge after it
    standing: Standing | None  # of the newest rollout, after it
    entry: int  # its number in the ledger
    workers: tuple[int, ...]  # those that confirmed; empty: nobody serves
    seconds: float  # until the last of them had


def status(folder: Path | str) -> Situation:
    """Where the folder's contract stands. Reads only."""
    workspace = open_workspace(folder)
    places, name = Places.of(folder), workspace.contract.name
    entries = tuple(workspace.ledger.entries())
    now = rollouts.standing(entries, name)
    waiting = _waiting(places) if now is not None and now.is_under_way else None
    plan = None if now is None else workspace.records.get(Plan, now.rollout)
    found = None if now is None else latest_judgement(places, now)
    return Situation(
        contract=name,
        champion=registry.champion(entries, name),
        standing=now,
        plan=plan,
        judgement=found,
        alarms=() if now is None else _alarms(entries, now),
        workers=_workers(places),
        waits_for=waiting.what if waiting else "",
        waits_since=waiting.since if waiting else None,
        shares=() if now is None else tuple(_shares(entries, now)),
        frozen="" if now is None or plan is None else _frozen(plan, now, found),
    )


def hold(folder: Path | str, *, why: str, by: str = "") -> Done:
    """It stays where it is until somebody resumes it. Harm still brings it back."""
    return _order("hold", folder, why=why, by=by)


def resume(folder: Path | str, *, why: str, by: str = "") -> Done:
    """It may move again; the signals that paused it are accepted."""
    return _order("resume", folder, why=why, by=by)


def advance(folder: Path | str, *, why: str, by: str = "") -> Done:
    """The next stage without the rest of the bake time. Raises ReleaseRefused where the evidence does not pass."""
    return _order("advance", folder, why=why, by=by)


def approve(folder: Path | str, *, why: str, by: str = "") -> Done:
    """It may enter the next stage, which waits for a person."""
    return _order("approve", folder, why=why, by=by)


def abort(folder: Path | str, *, why: str, by: str = "") -> Done:
    """The champion answers everybody again."""
    return _order("abort", folder, why=why, by=by)


def _order(command: str, folder: Path | str, *, why: str, by: str) -> Done:
    """Raises ReleaseRefused for what is not in the table, NotConfirmed where a worker does not follow in time."""
    workspace = open_workspace(folder, by=by)
    places, name = Places.of(folder), workspace.contract.name
    course = rollouts.Course(name)
    for entry in workspace.ledger.entries():
        course.take(entry)
    now = course.standing
    if now is None:
        raise ReleaseRefused(f"There is no rollout of {name}.", found="none", expected="one that is under way", next="gonogo release")
    plan = workspace.records.get(Plan, now.rollout)
    judgement = latest_judgement(places, now)
    if command == "advance" and not is_watched(places):
        raise ReleaseRefused(
            "Nobody judges this rollout now: what was judged last is of another time.",
            found="no controller that gives signs of life",
            expected="a judgement of now",
            where=f"rollout {now.rollout[:15]}",
            next="gonogo serve, then advance",
        )
    move = table.command(command, plan, now, judgement, why=why)
    stored = workspace.records.put(judgement) if judgement is not None and move.act in (table.Act.STEP, table.Act.RELEASE) else None
    kind, body = table.entry_of(move, plan, now, epoch=course.epoch + 1, judgement=judgement if stored else None, judgement_digest=stored)
    return follow(workspace, command, workspace.ledger.append(kind, body))


def follow(workspace: Workspace, command: str, entry: Entry) -> Done:
    """Wait until the workers follow what was just recorded. Where no controller runs, its work on the route is done here."""
    places, name = Places.of(workspace.folder), workspace.contract.name
    held = routes.office(workspace.ledger.entries(), name)
    confirmation = _confirmed(workspace, places, held)
    return Done(
        command=command,
        contract=name,
        champion=held.champion,
        standing=held.standing,
        entry=entry.seq,
        workers=confirmation.workers,
        seconds=confirmation.seconds,
    )


def _confirmed(workspace: Workspace, places: Places, held: routes.Office) -> Confirmation:
    started = time.monotonic()

    def help_on() -> None:
        # A controller that lives is quicker than this; where none does, nobody else would ever do it.
        if time.monotonic() - started > 0.5:
            _set_route_alone(workspace)

    if not living(places.workers):
        _set_route_alone(workspace)
    now = held.standing
    # While a rollout is under way the route's champion is the one that it is tried against.
    champion = now.champion if now is not None and now.is_under_way and now.phase is not Phase.REGISTERED else held.champion
    return confirm(places, held.epoch, champion, help_on=help_on)


def _set_route_alone(workspace: Workspace) -> None:
    """What the controller would do, where there is none: the route that follows from the ledger, if it only takes traffic away."""
    from gonogo.serving.route import RouteWriter
    from gonogo.workflow.control import take_lock

    places = Places.of(workspace.folder)
    try:
        lock = take_lock(places)
    except ControllerBusy:
        return
    try:
        entries = tuple(workspace.ledger.entries())
        held = routes.office(entries, workspace.contract.name)
        now = held.standing
        plan = workspace.records.get(Plan, now.rollout) if now is not None and now.is_under_way else None
        packages = routes.packages(entries)
        writer = RouteWriter(places.route)
        try:
            current = writer.current()
            if current is not None:
                wanted = routes.route(held, plan, packages.__getitem__)
                if wanted != current and wanted.share <= current.share:
                    writer.write(wanted)
        finally:
            writer.close()
    finally:
        lock.close()


def latest_judgement(places: Places, now: Standing) -> Judgement | None:
    """The newest judgement of the stage, as the controller shows it; None where there is none, or it is of an earlier stage."""
    try:
        judgement = from_json(Judgement, json.loads((places.judge_of(now.rollout) / "latest.json").read_bytes()))
    except (FileNotFoundError, ValueError, ArtifactRefused):
        return None
    return judgement if (judgement.plan, judgement.step, judgement.start) == (now.rollout, now.step, now.start) else None


def judgements(records: Records, entries: tuple[Entry, ...], rollout: Digest) -> tuple[Judgement, ...]:
    """Every judgement on which something was decided in that rollout, oldest first."""
    named: list[Any] = [e.body.get("judgement") for e in entries if e.body.get("rollout") == rollout]
    return tuple(records.get(Judgement, digest) for digest in named if digest)


def _alarms(entries: tuple[Entry, ...], now: Standing) -> tuple[str, ...]:
    return tuple(f"{e.body['what']}: {e.body['why']}" for e in entries if e.kind == "alarm" and e.body.get("rollout") == now.rollout)


def _waiting(places: Places) -> Waiting | None:
    """What the controller says that it waits for; where it is not there, that, and what it said last."""
    if not living(places.workers):
        return None  # nobody serves, which is said beside it
    said = read_waiting(places)
    if is_watched(places):
        return said
    return Waiting(what=NO_CONTROLLER, since=datetime.now(UTC)) if said is None else replace(said, what=f"{NO_CONTROLLER} {said.what}")


def is_watched(places: Places) -> bool:
    """Does a controller give signs of life?"""
    try:
        reader = RouteReader(places.route)
    except StorageFailed:
        return False
    try:
        return reader.is_watched(time.monotonic_ns())
    finally:
        reader.close()


def _shares(entries: tuple[Entry, ...], now: Standing) -> Iterator[ShareMove]:
    share = 0.0
    for happened in rollouts.history(entries, now.contract):
        entry, standing = happened.entry, happened.standing
        if standing.rollout == now.rollout and standing.share != share:
            share = standing.share
            yield ShareMove(
                at=entry.at.isoformat(), share=share, because=str(entry.body.get("because", "")), why=str(entry.body.get("why", ""))
            )


def _frozen(plan: Plan, now: Standing, judgement: Judgement | None) -> str:
    if plan.moves is None or now.phase is not Phase.CANARY:
        return ""
    from gonogo.gates.allocation import doubted, frozen

    if (why := frozen(plan, now, judgement)) or judgement is None:
        return why
    doubting = doubted(plan, judgement)
    return f"it does not rise while {doubting} speaks for harm" if doubting else ""


def _workers(places: Places) -> tuple[WorkerSeen, ...]:
    now = time.monotonic_ns()
    return tuple(
        WorkerSeen(
            worker=seen.worker,
            pid=seen.pid,
            epoch=seen.epoch,
            is_silent=is_silent(seen, now),
            ready=seen.holds.ready,
            refused=dict(seen.holds.refused),
            in_flight=seen.in_flight,
            drops=seen.drops,
        )
        for seen in living(places.workers)
    )
