"""Waive a finding: who accepts it, and why. The finding stays on the page; the gate on findings no longer counts it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from gonogo.gates.findings import BLOCKING
from gonogo.ledger import registry
from gonogo.types.entry import Entry
from gonogo.types.errors import UsageError
from gonogo.types.snapshot import Snapshot
from gonogo.workflow.workspace import Workspace, open_workspace


def waive(folder: Path | str, code: str, *, where: str, name: str, reason: str, until: datetime | None = None) -> Entry:
    """The entry that waives the findings of this code at this place, until a moment or until it is withdrawn.

    where: as the finding says it, e.g. "features.air_time". name: the person who answers for it.
    Raises UsageError for an empty name, place or reason, for a naive moment, and for a finding that the newest snapshot does not have.
    """
    for what, text in (("code", code), ("where", where), ("name", name), ("reason", reason)):
        if not text.strip():
            raise UsageError(f"A waiver needs a {what}.", found="nothing", expected="who waives what, where, and why")
    if until is not None and until.tzinfo is None:
        raise UsageError("The end of a waiver has no time zone.", found=until.isoformat(), expected="e.g. 2026-01-31T00:00:00Z")
    workspace = open_workspace(folder)
    _check_found(workspace, code, where)
    body = {"contract": workspace.contract.name, "code": code, "where": where, "name": name, "reason": reason}
    return workspace.ledger.append("waiver", body | ({} if until is None else {"until": until.isoformat()}))


def _check_found(workspace: Workspace, code: str, where: str) -> None:
    """A waiver of what was not found would look like one that counts."""
    snapshot = _last_snapshot(workspace)
    if snapshot is None or any((f.code, f.where) == (code, where) for f in snapshot.findings if f.status in BLOCKING):
        return
    blocking = [f"{f.code} at {f.where}" for f in snapshot.findings if f.status in BLOCKING]
    raise UsageError(
        f"There is no open finding {code} at {where}.",
        found=", ".join(blocking) or "no open finding at all",
        expected="code and place of an open finding, as they are printed",
        next=f"gonogo run {workspace.folder} shows them",
    )


def _last_snapshot(workspace: Workspace) -> Snapshot | None:
    entry = registry.last(workspace.ledger.entries("snapshot"), "snapshot", contract=workspace.contract.name)
    there = entry is not None and workspace.blobs.has(entry.body["snapshot"])
    return workspace.records.get(Snapshot, entry.body["snapshot"]) if entry is not None and there else None
