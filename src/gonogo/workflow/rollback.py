"""Rollback: bring the model back that answered before, at any phase, and say so only once it is so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gonogo.ledger.rollouts import Course
from gonogo.types.errors import ReleaseRefused, UsageError
from gonogo.workflow.rollout import Done, follow
from gonogo.workflow.workspace import open_workspace


def rollback(contract: str, why: str, *, folder: Path | str = ".", by: str = "") -> Done:
    """Undo the rollout that is under way, else the release that is live. One entry of the ledger; every worker has confirmed it.

    Raises UsageError without a reason or for another contract than the folder's, ReleaseRefused where nothing stands that could be undone,
    NotConfirmed where a worker does not follow in time: it is recorded then, and stays so.
    """
    workspace = open_workspace(folder, by=by)
    name = workspace.contract.name
    if contract != name:
        raise UsageError(f"The contract of this folder is not {contract!r}.", found=contract, expected=name, where=str(folder))
    if not why.strip():
        raise UsageError("A rollback needs a reason.", found="nothing", expected="--why TEXT", where="--why")
    course = Course(name)
    for entry in workspace.ledger.entries():
        course.take(entry)
    now = course.standing
    body: dict[str, Any] = {"contract": name, "why": why, "because": "command", "epoch": course.epoch + 1}
    if now is not None and now.is_under_way:
        body["rollout"] = now.rollout
    elif course.releases:
        body["release"] = course.releases[-1].hash
    else:
        raise ReleaseRefused(
            f"There is nothing of {name} that could be brought back.",
            found="no rollout under way and no release that stands",
            expected="one of them",
            next="gonogo rollout status",
        )
    return follow(workspace, "rollback", workspace.ledger.append("rollback", body))
