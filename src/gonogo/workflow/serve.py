"""Serve: who answers for a folder, and is everything there that an answer needs?"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from gonogo.serving.places import Places
from gonogo.serving.route import Route, RouteWriter
from gonogo.types import errors
from gonogo.types.contract import Contract
from gonogo.types.entry import Entry
from gonogo.types.errors import GonogoError, HouseError
from gonogo.types.record import Digest, digest
from gonogo.types.release import Plan
from gonogo.workflow import routes
from gonogo.workflow.workspace import Workspace, open_workspace


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What stands before the first answer."""

    contract: Contract  # by which it is answered: that of the rollout under way, else today's
    contract_digest: Digest
    route: Route
    note: str  # who answers, in one line for a person


def prepare(folder: Path | str, *, say: Callable[[str], None] = lambda text: None) -> Prepared:
    """Package what is not packaged yet, and write the first route, by what the ledger says.

    say: told when something takes a while. Raises Unavailable where nothing was trained; what packaging raises.
    """
    workspace = open_workspace(folder)
    entries = tuple(workspace.ledger.entries())
    held = routes.office(entries, workspace.contract.name)
    plan = _plan_of(workspace, held)
    entries = _packaged(workspace, entries, held, plan, say)
    packages = routes.packages(entries)
    wanted = routes.route(held, plan, packages.__getitem__)
    writer = RouteWriter(Places.of(folder).route)
    try:
        # A share is the controller's to give, once every worker holds what it needs.
        first = wanted if wanted.share == 0 else wanted.alone()
        writer.end_lease()  # one of an earlier start of the machine, whose clock was ahead of this one's, would last for days
        if writer.current() != wanted:
            writer.write(first)
    finally:
        writer.close()
    contract = workspace.records.get(Contract, plan.contract) if plan is not None else workspace.contract
    return Prepared(contract=contract, contract_digest=digest(contract), route=wanted, note=note(held, plan))


def note(held: routes.Office, plan: Plan | None) -> str:
    """Who answers, in words."""
    who = held.champion.removeprefix("sha256:")[:12]
    if plan is not None and held.standing is not None:
        challenger = plan.challenger.removeprefix("sha256:")[:12]
        return f"champion {who}, challenger {challenger} at {held.standing.phase.value}, {held.standing.share:.0%} of traffic"
    if held.is_released:
        return f"champion {who}"
    return f"nothing is released: {who}, the baseline, answers; gonogo release starts the rollout of a candidate whose verdict is GO"


def _plan_of(workspace: Workspace, held: routes.Office) -> Plan | None:
    now = held.standing
    return workspace.records.get(Plan, now.rollout) if now is not None and now.is_under_way else None


def _packaged(
    workspace: Workspace, entries: tuple[Entry, ...], held: routes.Office, plan: Plan | None, say: Callable[[str], None]
) -> tuple[Entry, ...]:
    """The entries, once every candidate that may answer has its package."""
    needed = (held.champion,) if plan is None else (plan.champion, plan.challenger)
    packages = routes.packages(entries)
    missing = [
        candidate for candidate in dict.fromkeys(needed) if candidate not in packages or not workspace.blobs.has(packages[candidate])
    ]
    if not missing:
        return entries
    say(f"packages {', '.join(candidate.removeprefix('sha256:')[:12] for candidate in missing)}: once for each candidate")
    _elsewhere(workspace.folder, missing)
    return tuple(workspace.ledger.entries())


def _elsewhere(folder: Path, candidates: Iterable[Digest]) -> None:
    """Package in a process of its own: the libraries that it needs must not stay in a server's memory. Raises what it raised."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        _package_and_exit(folder, candidates, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if told:
        raise error_of(json.loads(told))
    if status:
        raise HouseError("Packaging a model ended without saying why.", found=f"status {os.waitstatus_to_exitcode(status)}")


def _package_and_exit(folder: Path, candidates: Iterable[Digest], writing: int) -> NoReturn:
    status = 1
    try:
        from gonogo.workflow.package import package

        workspace = open_workspace(folder)
        for candidate in candidates:
            package(workspace, candidate)
        status = 0
    except GonogoError as error:
        os.write(writing, json.dumps(error.as_record()).encode())
    except BaseException as error:
        os.write(
            writing, json.dumps(HouseError("Packaging a model failed.", found=f"{type(error).__name__}: {error}").as_record()).encode()
        )
    finally:
        os._exit(status)


def error_of(record: Mapping[str, Any]) -> GonogoError:
    """The error of that record, as it was raised in another process."""
    classes = {c.code: c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, GonogoError)}
    kind = classes.get(record["code"], HouseError)
    told = {name: record.get(name, "") for name in ("found", "expected", "where", "next")}
    if kind is errors.ContractRefused:
        kind = HouseError
    return kind(record["message"], **told)
